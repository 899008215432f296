//! The whole surface: every route is described, every description has a route, and nothing answers with a bug.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;

use crate::http::status::OPENAPI;

use super::world::{NOW, World, escaped, read};

/// The paths of the route tables, as they are written there.
fn routes() -> BTreeSet<String> {
    let text: String = include_str!("../mod.rs").split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.replace(".route( \"", ".route(\"");
    let paths = text.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
    paths.map(|path| path.replace("{*", "{")).collect()
}

#[test]
fn every_route_is_described_and_every_description_has_a_route() {
    let described: BTreeSet<String> = OPENAPI
        .lines()
        .filter_map(|line| line.strip_prefix("  /")?.strip_suffix(':').map(|path| format!("/{path}")))
        .collect();
    let routes: BTreeSet<String> = routes().into_iter().filter(|path| !path.starts_with("/ui/{")).collect();
    let missing: Vec<_> = routes.difference(&described).collect();
    let invented: Vec<_> = described.difference(&routes).collect();
    assert!(missing.is_empty() && invented.is_empty(), "not in openapi.yaml: {missing:?}; no route: {invented:?}");
}

#[tokio::test]
async fn no_route_answers_with_a_bug_whatever_the_method_and_parameters() {
    let world = World::new();
    let odd =
        ["", "?query=up&start=x&end=y&step=z", "?match[]=%7B&limit=-1", "?%00=%ff&time=nan", "?format=,,,&expr=("];
    for path in routes() {
        let path =
            path.replace("{name}", "U__x").replace("{id}", "0").replace("{grouping}", "a/b").replace("{path}", "x");
        let path = path.replace("{namespace}", "n").replace("{group}", "g");
        if path == "/api/v1/notifications/live" {
            continue;
        }
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            for parameters in odd {
                let (status, body) = world.ask(method.clone(), &format!("{path}{parameters}")).await;
                assert!(status < 500, "{method} {path}{parameters}: {status} {body}");
                if path.starts_with("/api/v1/") && status == 405 && method != Method::HEAD {
                    assert!(body.starts_with(r#"{"status":"error","errorType":"bad_data""#), "{method} {path}: {body}");
                }
            }
        }
    }
}

#[tokio::test]
async fn names_are_searched_for() {
    let world = World::new();
    let lines = |body: String| body.lines().map(str::to_owned).collect::<Vec<_>>();
    let (status, body) = world.get("/api/v1/search/metric_names?search[]=dwn&include_metadata=true").await;
    let down = r#"{"results":[{"name":"down","type":"gauge","help":"d","unit":""}]}"#;
    assert_eq!(
        (status, lines(body)),
        (200, vec![down.to_owned(), r#"{"status":"success","has_more":false}"#.to_owned()])
    );
    let (_, body) = world.get("/api/v1/search/label_values?label=job&limit=1&sort_dir=dsc").await;
    assert_eq!(lines(body)[..], [r#"{"results":[{"value":"b"}]}"#, r#"{"status":"success","has_more":true}"#]);
    let (_, body) =
        world.get("/api/v1/search/label_names?search[]=JOB&case_sensitive=false&fuzz_alg=jarowinkler").await;
    assert_eq!(lines(body)[0], r#"{"results":[{"name":"job"}]}"#);
    let (_, body) = world.get("/api/v1/search/metric_names?search[]=nothing").await;
    assert_eq!(lines(body)[0], r#"{"results":[]}"#, "the first batch is sent even if it is empty");
    for wrong in ["label_values", "metric_names?sort_by=score", "metric_names?fuzz_alg=x", "label_names?limit=-1"] {
        assert_eq!(world.get(&format!("/api/v1/search/{wrong}")).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn senders_stand_among_the_targets() {
    let world = World::new();
    let write = |body: &'static str| {
        let request = Request::post("/api/v1/write").header(header::USER_AGENT, "Prometheus/3.14.0");
        request.header("x-weir-replica", "a").body(Body::from(body)).unwrap()
    };
    world.send(write("fine")).await;
    let (_, body) = world.get("/api/v1/targets").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let target = &body["data"]["activeTargets"][0];
    assert_eq!((&target["health"], &target["labels"]["job"]), (&"up".into(), &"Prometheus/3.14.0".into()));
    world.send(write("some old")).await;
    let (_, body) = world.get("/api/v1/targets?state=active").await;
    assert!(body.contains(r#""health":"down""#) && body.contains("3 samples refused"), "{body}");
    assert!(world.get("/api/v1/targets?state=dropped").await.1.contains(r#""activeTargets":[]"#));
}

#[tokio::test]
async fn a_sender_is_told_with_its_protocol_and_what_was_refused() {
    let world = World::new();
    let write = |kind: &'static str, body: &'static str| {
        let request = Request::post("/api/v1/write").header(header::USER_AGENT, "Prometheus/3.14.0");
        request.header("x-weir-replica", "a").header(header::CONTENT_TYPE, kind).body(Body::from(body)).unwrap()
    };
    let (v1, v2) = ("application/x-protobuf", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    for (kind, body) in [(v1, "fine"), (v2, "some old"), (v2, "relabeled"), (v2, "png"), (v2, "disk full")] {
        world.send(write(kind, body)).await;
    }
    let request = Request::post("/api/v1/import").body(Body::from("fine")).unwrap();
    world.send(request).await;
    let (status, body) = world.get("/api/v1/status/senders").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    // Requests that name no series count for who wrote last from there: one sender, and the import beside it.
    let (lines, pair) = (&body["data"]["senders"][0], &body["data"]["senders"][1]);
    assert_eq!((status, body["data"]["senders"].as_array().unwrap().len()), (200, 2), "{body}");
    assert_eq!((&lines["protocol"], &lines["path"]), (&"JSON lines".into(), &"/api/v1/import".into()));
    let who = ["cluster", "replica", "protocol", "silent", "requests", "samples", "histograms", "lastError"];
    let now = NOW / 1000;
    assert_eq!(
        who.map(|field| pair[field].clone()),
        serde_json::json!(["eu1", "a", "remote write 2.0", false, 5, 15, 3, "store is read-only: no space left"])
            .as_array()
            .unwrap()[..]
    );
    let first =
        |series: &str, at: Option<f64>, why: &str| serde_json::json!([{"series": series, "at": at, "why": why}]);
    assert_eq!(
        pair["refused"],
        serde_json::json!([
            {"reason": "no_metric_name", "samples": 1, "lastAt": now, "first": first("{}", None, "no metric name")},
            {"reason": "relabeled", "samples": 7, "lastAt": now, "first": []},
            {"reason": "too_old", "samples": 2, "lastAt": now, "first": first("up{job=\"a\"}", Some(1.5), "older than retention")},
        ])
    );
    assert_eq!(
        pair["failed"],
        serde_json::json!([
            {"reason": "unavailable", "requests": 1, "lastAt": now, "error": "store is read-only: no space left"},
            {"reason": "unsupported", "requests": 1, "lastAt": now, "error": "content type image/png"},
        ])
    );
}

#[tokio::test]
async fn unit_tests_of_rules_are_run() {
    let world = World::new();
    let ask = async |test: &str, rules: &str| {
        let body = format!("test={}&rules={}", escaped(test), escaped(rules));
        let request =
            Request::post("/api/v1/test_rules").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, body) = read(world.send(request.body(Body::from(body)).unwrap()).await).await;
        (status, serde_json::from_str::<serde_json::Value>(&body).unwrap())
    };
    let rules = "groups: [{name: g, rules: [{record: 'job:up', expr: sum by (job) (up)}]}]";
    let test = "tests:\n- input_series: [{series: 'up{job=\"a\"}', values: '1x9'}]\n  promql_expr_test:\n  \
                - {expr: 'job:up', eval_time: 1m, exp_samples: [{labels: 'job:up{job=\"a\"}', value: 2}]}\n";
    let (status, answer) = ask(test, rules).await;
    let failure = serde_json::json!({"what": "expr job:up at 1m", "line": 4, "diff": [
        {"kind": "missing", "text": "job:up{job=\"a\"} 2"}, {"kind": "extra", "text": "job:up{job=\"a\"} 1"},
    ]});
    let tests = serde_json::json!([{"name": "test 1", "line": 2, "passed": false, "failures": [failure]}]);
    assert_eq!((status, &answer["data"]["passed"], &answer["data"]["tests"]), (200, &false.into(), &tests), "{answer}");
    let (_, answer) = ask(&test.replace("value: 2", "value: 1"), rules).await;
    assert_eq!(answer["data"]["passed"], true, "{answer}");
    let (_, answer) = ask(test, "groups: 7").await;
    assert_eq!((&answer["data"]["problems"][0]["in"], &answer["data"]["passed"]), (&"rules".into(), &false.into()));
    assert_eq!(ask("", rules).await.0, 400);
}

#[tokio::test]
async fn notices_come_as_a_list_and_as_events() {
    let world = World::new();
    let (status, body) = world.get("/api/v1/notifications").await;
    assert!(status == 200 && body.contains("Configuration reload has failed."), "{body}");
    let request = || Request::get("/api/v1/notifications/live").body(Body::empty()).unwrap();
    let mut listeners = Vec::new();
    for _ in 0..16 {
        let response = world.send(request()).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        listeners.push(response.into_body());
    }
    let event = listeners[0].frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(event.starts_with(b"data: {\"text\":\"Configuration reload has failed.\""), "{event:?}");
    assert_eq!(read(world.send(request()).await).await.0, 204, "one listener too many");
    listeners.pop();
    assert_eq!(world.send(request()).await.status(), 200);
}
