//! What groups and messages say of times, labels, limits and links.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Labels, Span, Timestamp};
use crate::promql::{Point, VectorSample};
use crate::rules::alerting::{Alerting, Surroundings};
use crate::rules::file::{self, GroupSpec, RuleKind};
use crate::rules::group::{Group, Inheritance};
use crate::rules::rule::Moment;
use crate::rules::schedule::Schedule;
use crate::rules::status::{Health, Input, RuleState};
use crate::rules::template::{Query, TemplateSample};

use super::world::{Outside, defaults};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn spec(group: &str) -> GroupSpec {
    file::parse("a.yml", &format!("groups:\n- {group}"), &defaults()).unwrap().groups.remove(0)
}

/// One tick of a group while `x` has two series.
fn tick(group: &str) -> (Outside, Vec<RuleState>) {
    let outside = Outside::default();
    for host in ["a", "b"] {
        outside.samples.put(&Labels::from_pairs([("__name__", "x"), ("host", host)]), AT - Span::MINUTE, 1.0);
    }
    let file = file::parse("a.yml", &format!("groups:\n- {group}"), &defaults()).unwrap();
    let mut groups = Group::of_files(&[file], Span::ZERO, Inheritance::default());
    groups[0].tick(AT, &outside.world());
    (outside, groups[0].status().rules)
}

#[test]
fn results_carry_the_time_that_was_looked_at() {
    let (outside, _) = tick("{name: g, query_offset: 10s, rules: [{record: y, expr: x}, {alert: A, expr: x}]}");
    let y = Labels::from_pairs([("__name__", "y"), ("host", "a")]);
    assert_eq!(outside.samples.at(&y, AT - Span::from_secs(10)), Some(1.0));
    let since = Labels::from_pairs([("__name__", "ALERTS_FOR_STATE"), ("alertname", "A"), ("host", "a")]);
    assert_eq!(outside.samples.at(&since, AT - Span::from_secs(10)), Some(1_700_000_000.0), "the tick, in seconds");
}

#[test]
fn a_rule_that_gives_too_much_gives_nothing() {
    #[track_caller]
    fn check(group: &str, error: &str) {
        let (outside, rules) = tick(group);
        assert_eq!((rules[0].health, rules[0].last_error.as_str()), (Health::Err, error));
        assert_eq!(outside.samples.0.lock().len(), 2, "nothing was written");
        assert_eq!(outside.sent.lock().len(), 0, "nothing was said");
    }
    let over = "the rule gives 2 results, over the limit of 1";
    check("{name: g, limit: 1, rules: [{record: y, expr: x}]}", over);
    check("{name: g, limit: 1, rules: [{alert: A, expr: x}]}", over);
    let same = "vector contains metrics with the same labelset after applying rule labels: ";
    check("{name: g, rules: [{record: y, expr: x, labels: {host: c}}]}", &format!("{same}y{{host=\"c\"}}"));
    let alert = r#"{alertname="A", host="c"}"#;
    check("{name: g, rules: [{alert: A, expr: x, labels: {host: c}}]}", &format!("{same}{alert}"));
    let foreign = "expressions of type graphite cannot be evaluated here";
    check("{name: g, type: graphite, rules: [{record: y, expr: 'sum(*, x)'}]}", foreign);
}

#[test]
fn a_message_tells_what_alertmanager_needs() {
    let (outside, _) = tick(
        "{name: g, interval: 2m, labels: {team: core}, rules: [{alert: A, expr: x, labels: {region: '{{ $labels.host }}'}}]}",
    );
    let sent = outside.sent.lock();
    let told = &sent[0];
    let wanted = [("alertname", "A"), ("host", "a"), ("region", "a"), ("team", "core")];
    assert_eq!(told.labels, Labels::from_pairs(wanted), "an external label does not replace the alert's own");
    assert_eq!((told.starts_at, told.ends_at), (AT, AT + Span::MINUTE.times(8)), "four intervals ahead");
    assert_eq!(told.generator_url, "http://weir.test/graph?g0.expr=x&g0.tab=1");
    let (outside, _) = tick("{name: g, interval: 10s, rules: [{alert: A, expr: x}]}");
    let told = &outside.sent.lock()[0];
    assert_eq!(told.labels.get("region"), Some("eu"), "an external label fills in");
    assert_eq!(told.ends_at, AT + Span::MINUTE.times(4), "four resends ahead");
}

#[test]
fn a_group_ticks_where_its_file_says() {
    let offset = |group: &str| Schedule::of("a.yml", &spec(group)).last_before(AT) - (AT - Span::from_secs(20));
    // AT lies 20 s after a full minute.
    assert_eq!(offset("{name: g, eval_alignment: true}"), Span::ZERO);
    assert_eq!(offset("{name: g, eval_offset: 15s}"), Span::from_secs(15));
    assert_eq!(offset("{name: g, eval_offset: -45s}"), Span::from_secs(15));
    let spread: std::collections::BTreeSet<_> = (0..50).map(|group| offset(&format!("{{name: g{group}}}"))).collect();
    assert!(spread.len() > 45, "groups are spread: {} offsets", spread.len());
    assert_eq!(offset("{name: g1}"), offset("{name: g1}"), "and stay where they are");
}

/// Answers every query with one sample, and notes what was asked.
struct Noting(Arc<Mutex<Vec<String>>>);

impl Query for Noting {
    fn query(&self, expr: &str) -> Result<Vec<TemplateSample>, String> {
        self.0.lock().push(expr.to_owned());
        Ok(vec![TemplateSample { labels: Labels::empty(), value: 7.0 }])
    }
}

#[test]
fn a_text_that_cannot_be_expanded_does_not_stop_the_alert() {
    let rule = spec(
        r#"{name: g, rules: [{alert: A, expr: x, annotations: {bad: '{{ $labels.host.x }}', good: '{{ query "y" | first | value }}'}}]}"#,
    )
    .rules
    .remove(0);
    let RuleKind::Alerting { hold, keep_firing, labels, annotations, .. } = &rule.kind else { panic!("an alert") };
    let alerting = Alerting {
        name: &rule.name,
        expr: &rule.expr,
        hold: *hold,
        keep_firing: *keep_firing,
        limit: 0,
        labels,
        annotations,
    };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (query, input) = (&Noting(asked.clone()), &Input::default());
    let around = Surroundings {
        external_labels: &Labels::empty(),
        external_url: "",
        query,
        input,
        group_id: "",
        interval: Span::MINUTE,
    };
    let sample = VectorSample { labels: Labels::from_pairs([("host", "a")]), at: AT, point: Point::Float(1.0) };
    let outcome = alerting.step(&Default::default(), &[sample], Moment { at: AT, data_at: AT }, around).unwrap();
    let texts = &outcome.alerts.values().next().unwrap().annotations;
    assert!(texts.get("bad").unwrap().starts_with("<error expanding template: "), "{texts}");
    assert_eq!((texts.get("good"), asked.lock().as_slice()), (Some("7"), ["y".to_owned()].as_slice()));
}
