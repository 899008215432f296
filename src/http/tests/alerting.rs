//! Rules, alerts, Alertmanagers.

use crate::model::{Labels, Span, Timestamp};
use crate::rules::status::{AlertPhase, AlertStatus, AlertingState, GroupStatus, Health, RuleState, Update};

use super::world::World;

fn recording(name: &str) -> RuleState {
    RuleState { name: name.into(), query: "sum(up)".into(), ..RuleState::default() }
}

fn alerting(name: &str) -> RuleState {
    let at = Timestamp::from_millis(1_500);
    let labels = Labels::from_pairs([("alertname", name), ("job", "a")]);
    let alert = AlertStatus {
        labels,
        annotations: Labels::from_pairs([("summary", "a is down")]),
        phase: AlertPhase::Firing,
        active_at: at,
        keep_firing_since: None,
        value: 1.0,
        input_stale: false,
    };
    RuleState {
        health: Health::Err,
        last_error: "many-to-many".into(),
        labels: Labels::from_pairs([("severity", "page")]),
        last_evaluation: Some(at),
        evaluation_seconds: 0.25,
        alerting: Some(AlertingState {
            hold: Span::from_millis(90_000),
            keep_firing: Span::ZERO,
            annotations: Labels::from_pairs([("summary", "{{ $labels.job }} is down")]),
            alerts: vec![AlertStatus { phase: AlertPhase::Pending, ..alert.clone() }, alert],
        }),
        ..recording(name)
    }
}

fn group(name: &str, file: &str, rules: Vec<RuleState>) -> GroupStatus {
    GroupStatus { name: name.into(), file: file.into(), interval: Span::from_secs(15), rules, ..GroupStatus::default() }
}

const NEVER: &str = r#""evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z""#;

fn recorded(name: &str) -> String {
    format!(r#"{{"name":"{name}","query":"sum(up)","labels":{{}},"health":"unknown",{NEVER},"type":"recording"}}"#)
}

fn grouped(name: &str, file: &str, rules: &str) -> String {
    format!(r#"{{"name":"{name}","file":"{file}","rules":[{rules}],"interval":15,"limit":0,{NEVER}}}"#)
}

#[tokio::test]
async fn rules_are_listed_as_prometheus_lists_them() {
    let world = World::new();
    world.check_part("/api/v1/rules", r#"{"groups":[]}"#).await;
    *world.rules.0.lock().unwrap() = vec![group("g", "f.yml", vec![recording("job:up"), alerting("Down")])];
    let alert = |state: &str| {
        format!(
            r#"{{"labels":{{"alertname":"Down","job":"a"}},"annotations":{{"summary":"a is down"}},"state":"{state}","activeAt":"1970-01-01T00:00:01.5Z","value":"1e+00"}}"#
        )
    };
    let alerts = format!("{},{}", alert("pending"), alert("firing"));
    let down = |alerts: &str| {
        format!(
            concat!(
                r#"{{"state":"firing","name":"Down","query":"sum(up)","duration":90,"keepFiringFor":0,"labels":{{"severity":"page"}},"#,
                r#""annotations":{{"summary":"{{{{ $labels.job }}}} is down"}},"alerts":[{}],"health":"err","lastError":"many-to-many","#,
                r#""evaluationTime":0.25,"lastEvaluation":"1970-01-01T00:00:01.5Z","type":"alerting"}}"#,
            ),
            alerts
        )
    };
    let groups = |rules: &str| format!(r#"{{"groups":[{}]}}"#, grouped("g", "f.yml", rules));
    world.check_part("/api/v1/rules", &groups(&format!("{},{}", recorded("job:up"), down(&alerts)))).await;
    world.check_part("/api/v1/rules?type=alert&exclude_alerts=true", &groups(&down(""))).await;
    world.check_part("/api/v1/rules?type=record", &groups(&recorded("job:up"))).await;
    world.check_part("/api/v1/rules?rule_name[]=job:up", &groups(&recorded("job:up"))).await;
    world.check_part("/api/v1/rules?match[]=%7Bseverity=%22page%22%7D&exclude_alerts=1", &groups(&down(""))).await;
    world.check_part("/api/v1/rules?rule_group[]=h", r#"{"groups":[]}"#).await;
    world.check_part("/api/v1/rules?file[]=f.yml&rule_name[]=none", r#"{"groups":[]}"#).await;
    world.check_part("/api/v1/alerts", &format!(r#"{{"alerts":[{alerts}]}}"#)).await;
    world
        .check(
            "/api/v1/alertmanagers",
            r#"{"activeAlertmanagers":[{"url":"http://am:9093/api/v2/alerts"}],"droppedAlertmanagers":[]}"#,
        )
        .await;
}

#[tokio::test]
async fn groups_come_in_pages() {
    let world = World::new();
    *world.rules.0.lock().unwrap() =
        ["a", "b", "c"].map(|name| group(name, "f.yml", vec![recording("r")])).into_iter().collect();
    let (mut seen, mut token) = (Vec::new(), String::new());
    for _ in 0..2 {
        let (_, body) = world.get(&format!("/api/v1/rules?group_limit=2{token}")).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let groups = body["data"]["groups"].as_array().unwrap();
        seen.extend(groups.iter().map(|group| group["name"].as_str().unwrap().to_owned()));
        token = format!("&group_next_token={}", body["data"]["groupNextToken"].as_str().unwrap_or("end"));
    }
    assert_eq!((seen.join(""), token.as_str()), ("abc".to_owned(), "&group_next_token=end"));
}

#[tokio::test]
async fn wrong_rule_filters_are_told_in_prometheus_words() {
    let world = World::new();
    for (query, text) in [
        ("type=x", r#"invalid parameter "type": not supported value "x""#),
        (
            "exclude_alerts=maybe",
            r#"invalid parameter "exclude_alerts": error converting exclude_alerts: strconv.ParseBool: parsing "maybe": invalid syntax"#,
        ),
        ("group_limit=0", r#"invalid parameter "group_limit": group_limit needs to be greater than 0"#),
        (
            "group_limit=x",
            r#"invalid parameter "group_limit": group_limit needs to be a valid number: strconv.ParseInt: parsing "x": invalid syntax"#,
        ),
        (
            "group_next_token=x",
            r#"invalid parameter "group_next_token": group_limit needs to be present in order to paginate over the groups"#,
        ),
        (
            "group_limit=1&group_next_token=x",
            r#"invalid parameter "group_next_token": invalid group_next_token 'x'. were rule groups changed?"#,
        ),
        ("match[]=%7B%7D", "match[] must contain at least one non-empty matcher"),
    ] {
        world.refuse(&format!("/api/v1/rules?{query}"), 400, "bad_data", text).await;
    }
}

#[tokio::test]
async fn vmalert_s_fields_and_filters_are_there() {
    let world = World::new();
    let update = Update {
        ran_at: Timestamp::from_millis(2_000),
        at: Timestamp::from_millis(1_500),
        seconds: 0.5,
        samples: 0,
        series_fetched: 0,
        error: String::new(),
    };
    let lonely = RuleState {
        id: "r1".into(),
        query: "sum(x{a='b'})".into(),
        health: Health::Ok,
        updates: vec![update],
        updates_max: 20,
        ..recording("lonely")
    };
    let group = GroupStatus { id: "g1".into(), ..group("g", "f.yml", vec![lonely, alerting("Down")]) };
    *world.rules.0.lock().unwrap() = vec![group];
    world
        .check_part(
            "/api/v1/rules?state=nomatch",
            r#"{"groups":[{"id":"g1","states":{"nomatch":1},"rules":[{"state":"nomatch","lastSamples":0,"lastSeriesFetched":0,
            "hint":"no series match what this rule selects: sum(x{a='b'})","group_id":"g1"}]}]}"#,
        )
        .await;
    world.check_part("/api/v1/rules?state=firing", r#"{"groups":[{"rules":[{"name":"Down"}]}]}"#).await;
    world.check_part("/api/v1/rules?search=LONE", r#"{"groups":[{"rules":[{"name":"lonely"}]}]}"#).await;
    world
        .check_part(
            "/api/v1/rules?group_limit=1&page_num=2",
            r#"{"groups":[],"page":2,"total_pages":1,"total_rules":2}"#,
        )
        .await;
    let (_, rule) = world.get("/api/v1/rule?group_id=g1&rule_id=r1").await;
    let rule: serde_json::Value = serde_json::from_str(&rule).unwrap();
    let curl = rule["updates"][0]["curl"].as_str().unwrap();
    assert_eq!(
        curl,
        "curl -s --data-urlencode 'query=sum(x{a='\\''b'\\''})' --data-urlencode 'time=1.500' '/api/v1/query'"
    );
    let (_, alerts) = world.get("/api/v1/alerts").await;
    let alerts: serde_json::Value = serde_json::from_str(&alerts).unwrap();
    let silence = alerts["data"]["alerts"][0]["silence"].as_str().unwrap();
    assert!(silence.starts_with("http://am:9093/#/silences/new?filter=%7Balertname%3D%22Down%22"), "{silence}");
    world
        .refuse("/api/v1/rule?group_id=g1&rule_id=none", 404, "not_found", "there is no rule with the id \"none\"")
        .await;
    let (status, said) = world.get("/config/v1/rules").await;
    assert_eq!((status, said.contains("set rules.api: true")), (404, true), "{said}");
}
