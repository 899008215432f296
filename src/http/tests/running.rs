//! What runs, what ran, who asked, and how to stop it.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::http::Settings;
use crate::http::asker::Peer;
use crate::model::Span;

use super::world::{Wish, World, escaped, read};

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON")
}

/// A query by a Grafana panel.
fn by_panel(uri: &str) -> Request<Body> {
    let request = Request::get(uri).header("user-agent", "Grafana/12").header("x-dashboard-uid", "abc");
    let peer = Peer(SocketAddr::from(([10, 0, 0, 7], 1234)));
    request.header("x-panel-id", "4").extension(peer).body(Body::empty()).expect("a request")
}

#[tokio::test]
async fn a_query_that_runs_is_listed_with_its_asker_and_can_be_stopped() {
    let world = World::new();
    let uri = "/api/v1/query_range?query=slow&start=60&end=120&step=60";
    let (router, request) = (world.router.clone(), by_panel(uri));
    let asked = tokio::spawn(async move { read(tower::ServiceExt::oneshot(router, request).await.unwrap()).await });
    let active = loop {
        let (status, body) = world.get("/api/v1/status/active_queries").await;
        assert_eq!(status, 200);
        let body = parsed(&body);
        if body["data"][0]["state"] == "running" {
            break body;
        }
        tokio::task::yield_now().await;
    };
    let id = active["data"][0]["id"].as_str().unwrap().to_owned();
    let expected = json!({"status": "ok", "data": [{
        "duration": "0.000s",
        "id": id,
        "state": "running",
        "remote_addr": "10.0.0.7",
        "user_agent": "Grafana/12",
        "dashboard": "abc",
        "panel": "4",
        "query": "slow",
        "start": 60_000,
        "end": 120_000,
        "step": 60_000,
    }]});
    assert_eq!(active, expected);

    let cancel = format!("/api/v1/status/active_queries/cancel?id={id}");
    assert_eq!(world.ask(Method::GET, &cancel).await.0, 405, "a look must not stop anything");
    let (status, body) = world.ask(Method::POST, &cancel).await;
    assert_eq!((status, &parsed(&body)["data"]["canceled"]), (200, &json!(id)));
    let (status, body) = asked.await.unwrap();
    assert_eq!((status, &parsed(&body)["errorType"]), (499, &json!("canceled")));
    assert_eq!(world.ask(Method::POST, &cancel).await.0, 404, "it has ended");
    assert_eq!(parsed(&world.get("/api/v1/status/active_queries").await.1)["data"], json!([]));
    let (status, _) = world.ask(Method::POST, "/api/v1/status/active_queries/cancel?id=x").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn unit_tests_of_rules_are_listed_and_can_be_stopped() {
    let world = World::new();
    let tests = "tests:\n- interval: 1s\n  input_series: [{series: x, values: '0+1x190000'}]\n  alert_rule_test:\n  \
                 - {eval_time: 190000s, alertname: a}\n";
    let rules = "groups: [{name: g, interval: 1s, rules: [{alert: a, expr: 'sum_over_time(x[1h:1s]) < 0'}]}]";
    let body = format!("test={}&rules={}", escaped(tests), escaped(rules));
    let request = Request::post("/api/v1/test_rules").header("content-type", "application/x-www-form-urlencoded");
    let (router, request) = (world.router.clone(), request.body(Body::from(body)).expect("a request"));
    let asked = tokio::spawn(async move { read(tower::ServiceExt::oneshot(router, request).await.unwrap()).await });
    let active = loop {
        let body = parsed(&world.get("/api/v1/status/active_queries").await.1);
        if body["data"][0]["state"] == "running" {
            break body;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(active["data"][0]["query"], "# unit tests of rules");
    let id = active["data"][0]["id"].as_str().expect("an id");
    let cancel = format!("/api/v1/status/active_queries/cancel?id={id}");
    assert_eq!(world.ask(Method::POST, &cancel).await.0, 200);
    let (status, body) = asked.await.unwrap();
    assert_eq!((status, &parsed(&body)["errorType"]), (499, &json!("canceled")));
}

#[tokio::test]
async fn a_client_that_leaves_is_no_longer_listed() {
    let settings = Settings { queries_running_max: 1, ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    {
        let leaving = world.get("/api/v1/query?query=slow");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), leaving).await.is_err());
    }
    while !world.register.active().is_empty() {
        tokio::task::yield_now().await;
    }
    let top = world.register.top(9, Span::HOUR, crate::model::Timestamp::from_millis(super::world::NOW));
    assert_eq!(top.queries, 1, "but it has cost something");
}

#[tokio::test]
async fn the_queries_that_cost_most_are_listed() {
    let world = World::new();
    for _ in 0..2 {
        world.get("/api/v1/query?query=up").await;
    }
    world.get("/api/v1/query_range?query=-up&start=0&end=600&step=1").await;
    let (status, body) = world.get("/api/v1/status/top_queries?topN=1&maxLifetime=5m").await;
    let body = parsed(&body);
    assert_eq!((status, &body["topN"], &body["maxLifetime"]), (200, &json!("1"), &json!("5m")));
    assert_eq!(body["search.queryStats.lastQueriesCount"], 3);
    assert_eq!(body["topByCount"], json!([{"query": "up", "timeRangeSeconds": 0, "count": 2, "lastAsker": "unknown"}]));
    let memory = &body["topByAvgMemoryUsage"][0];
    assert_eq!((&memory["query"], &memory["timeRangeSeconds"]), (&json!("-up"), &json!(600)));
    assert!(memory["avgMemoryBytes"].as_u64().unwrap() > 0, "{memory}");
    assert_eq!(world.get("/api/v1/status/top_queries?topN=-1").await.0, 400);
}

#[tokio::test]
async fn a_query_is_traced_where_asked_for() {
    let world = World::new();
    let uri = "/api/v1/query_range?query=sum(rate(up%5B5s%5D))%2Bsum(rate(up%5B5s%5D))&start=10&end=20&step=5";
    let (status, body) = world.get(&format!("{uri}&trace=1")).await;
    assert_eq!(status, 200);
    let trace = &parsed(&body)["trace"];
    let sum = &trace["children"][0];
    let rate = &sum["children"][0];
    let fetch = &rate["children"][0];
    let operators = [trace, sum, rate, fetch].map(|part| part["operator"].as_str().unwrap());
    assert_eq!(operators, ["match", "aggregate", "rollup", "fetch"]);
    assert_eq!((&sum["query"], &rate["query"]), (&json!("sum(rate(up[5s]))"), &json!("rate(up[5s])")));
    assert_eq!((&sum["series"], &sum["points"]), (&json!(1), &json!(3)));
    // Two series with a sample each half second, and one fetch for both selectors.
    assert_eq!((&rate["series"], &rate["samplesRead"]), (&json!(2), &json!(60)));
    assert_eq!((&fetch["series"], &fetch["sharedBy"]), (&json!(2), &json!(2)));
    let took = |part: &Value| part["duration_msec"].as_f64().unwrap();
    assert!(took(trace) >= took(sum) && took(sum) >= took(rate) && took(rate) > 0.0, "{trace}");
    let (_, body) = world.get(uri).await;
    assert_eq!(parsed(&body).get("trace"), None, "only where asked for");
}

#[tokio::test]
async fn look_ups_have_the_deadline_of_queries() {
    let settings = Settings { query_timeout: Span::from_millis(500), ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    let text = "query timed out in expression evaluation";
    world.refuse("/api/v1/series?match[]=stuck", 503, "timeout", text).await;
    assert_eq!(world.get("/api/v1/labels").await.0, 200);
}
