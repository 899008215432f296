//! An HA pair pushes; Weir keeps one series of each target, answers as a replica does, and has no gap when one dies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::queries::QUERIES;
use crate::world::{Api, Stack, eventually, pause, tools};

/// Seconds between two scrapes of one replica.
const INTERVAL: f64 = 2.0;
/// How much later than planned a real Prometheus on a busy machine may scrape, seconds.
const JITTER: f64 = 0.1;

#[tokio::test]
async fn a_pair_becomes_one_series_without_a_gap() {
    let Some(tools) = tools() else { return };
    let stack = Stack::new(tools, "2s");
    let api = stack.api();
    let _weir = stack.start_weir(&[]).await;
    let _node = stack.start_node_exporter();
    let _alertmanager = stack.start_alertmanager();
    let a = stack.start_replica(0, false);
    let b = stack.start_replica(1, true);

    eventually("both replicas are scraped and push", Duration::from_secs(60), async || {
        let up = api.query("count(up == 1)", None).await;
        let pushed = api.query("count(prometheus_remote_storage_samples_total > 0)", None).await;
        (value(up.first()?)? >= 5.0 && value(pushed.first()?)? >= 2.0).then_some(())
    })
    .await;
    let started = now(&api).await;
    pause(Duration::from_secs(70)).await;

    each_target_has_one_series_without_replica_label(&api).await;
    answers_are_those_of_replica_a(&api, &Api::new(stack.replicas[0])).await;

    a.kill();
    pause(Duration::from_secs(60)).await;
    let a = stack.start_replica(0, false);
    pause(Duration::from_secs(20)).await;
    b.kill();
    pause(Duration::from_secs(60)).await;
    let _b = stack.start_replica(1, true);
    pause(Duration::from_secs(10)).await;
    let ended = now(&api).await;
    no_series_has_a_gap_or_crowded_points(&api, started, ended).await;
    drop(a);
}

/// Story a.
async fn each_target_has_one_series_without_replica_label(api: &Api) {
    let with_label = api.data("/api/v1/series", &[("match[]", "{__replica__!=\"\"}")]).await;
    assert_eq!(with_label, Value::Array(vec![]), "no series keeps the replica label");
    let per_target = api.query("count by (job, instance) (up)", None).await;
    assert_eq!(per_target.len(), 5, "five targets: {per_target:?}");
    for target in &per_target {
        assert_eq!(value(target), Some(1.0), "one `up` a target: {target}");
    }
}

/// Story b: for each query the same answer, instant and range, to 1e-9 relative.
async fn answers_are_those_of_replica_a(weir: &Api, replica: &Api) {
    let end = quiet_instant(weir).await;
    let mut differing = Vec::new();
    for query in QUERIES {
        let instant = [("query", *query), ("time", &format!("{end:.3}"))];
        let (start, end) = (format!("{:.3}", end - 16.0), format!("{end:.3}"));
        let range = [("query", *query), ("start", &start), ("end", &end), ("step", "4")];
        for (path, parameters) in [("/api/v1/query", &instant[..]), ("/api/v1/query_range", &range[..])] {
            let ours = canonical(&weir.data(path, parameters).await);
            let theirs = canonical(&replica.data(path, parameters).await);
            if let Some(difference) = first_difference(&ours, &theirs) {
                differing.push(format!("{path} {query}: {difference}"));
            }
        }
    }
    assert!(differing.is_empty(), "{} answers differ:\n{}", differing.len(), differing.join("\n"));
    assert!(QUERIES.len() >= 40, "at least forty queries");
}

/// An instant, some scrapes ago, so that no sample's time differs from it by a whole second: window boundaries, which
/// count in whole seconds, then fall on no sample. It is no whole second itself, where the steps of subqueries fall.
async fn quiet_instant(api: &Api) -> f64 {
    let newest = now(api).await.floor() - 6.0;
    let mut phases = BTreeSet::new();
    for series in api.query("{job!=\"\"}[60s]", Some(newest + 6.0)).await {
        for point in series["values"].as_array().into_iter().flatten() {
            let millis = (point[0].as_f64().expect("a time") * 1000.0).round() as i64;
            phases.insert(millis.rem_euclid(1000));
        }
    }
    let free = (4..997_i64).find(|phase| (-3..=3).all(|near| !phases.contains(&(phase + near).rem_euclid(1000))));
    newest + free.expect("some phase of the second is free of samples") as f64 / 1000.0
}

/// Labels (without the group's, which a replica's own API does not show) with points by time.
fn canonical(data: &Value) -> BTreeMap<String, Vec<(String, f64)>> {
    let result = &data["result"];
    let point = |point: &Value| {
        let value = point[1].as_str().expect("a value is a string");
        (point[0].to_string(), value.parse().unwrap_or(f64::NAN))
    };
    if data["resultType"] == "scalar" {
        return BTreeMap::from([("scalar".into(), vec![point(result)])]);
    }
    let mut series = BTreeMap::new();
    for element in result.as_array().expect("vectors and matrices are arrays") {
        let mut labels = element["metric"].as_object().cloned().unwrap_or_default();
        labels.remove("cluster");
        let points = match element.get("values") {
            Some(values) => values.as_array().expect("values").iter().map(point).collect(),
            None => vec![point(&element["value"])],
        };
        series.insert(Value::Object(labels.into_iter().collect()).to_string(), points);
    }
    series
}

fn first_difference(
    ours: &BTreeMap<String, Vec<(String, f64)>>,
    theirs: &BTreeMap<String, Vec<(String, f64)>>,
) -> Option<String> {
    for labels in ours.keys().chain(theirs.keys()) {
        let (Some(left), Some(right)) = (ours.get(labels), theirs.get(labels)) else {
            return Some(format!("{labels} is on one side only (ours: {})", ours.contains_key(labels)));
        };
        if left.len() != right.len() {
            return Some(format!("{labels}: {left:?} against {right:?}"));
        }
        for ((at, ours), (their_at, theirs)) in left.iter().zip(right) {
            let close = ours == theirs
                || (ours.is_nan() && theirs.is_nan())
                || (ours - theirs).abs() <= 1e-9 * ours.abs().max(theirs.abs());
            if at != their_at || !close {
                return Some(format!("{labels}: {ours} at {at} against {theirs} at {their_at}"));
            }
        }
    }
    None
}

/// Story c, for each series of a target that was never down.
async fn no_series_has_a_gap_or_crowded_points(api: &Api, started: f64, ended: f64) {
    let length = (ended - started).ceil();
    let series = api.query(&format!("{{job=~\"node|alertmanager|weir\"}}[{length}s]"), Some(ended)).await;
    let (mut checked, mut wrong) = (0, Vec::new());
    for element in &series {
        let times: Vec<f64> = element["values"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|point| point[0].as_f64().expect("a time"))
            .collect();
        let whole = times.first().is_some_and(|first| first - started < 2.0 * INTERVAL);
        if !whole {
            continue; // born later: a label value that first appeared while the story ran
        }
        checked += 1;
        let even = 0.5 * INTERVAL - JITTER..=1.5 * INTERVAL + JITTER;
        for pair in times.windows(2) {
            let gap = pair[1] - pair[0];
            if !even.contains(&gap) {
                wrong.push(format!("{}: {gap:.3} s from {} to {}", element["metric"], pair[0], pair[1]));
            }
        }
    }
    assert!(checked > 300, "node-exporter alone has hundreds of series; {checked} were checked");
    assert!(
        wrong.is_empty(),
        "{} wrong spacings in {checked} series, first:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
}

fn value(element: &Value) -> Option<f64> {
    element["value"][1].as_str()?.parse().ok()
}

/// Weir's time, seconds.
async fn now(api: &Api) -> f64 {
    api.query("vector(time())", None).await.first().and_then(value).expect("time() has a value")
}
