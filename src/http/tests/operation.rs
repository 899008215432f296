//! Health, readiness, reload, metrics, status, admin, and what surrounds every request.

use axum::body::Body;
use axum::http::{Method, Request, header};
use http_body_util::BodyExt;

use crate::http::{Phase, Settings};
use crate::model::TimeRange;

use super::world::{Wish, World, read};

#[tokio::test]
async fn before_it_is_ready_the_program_says_how_far_it_is() {
    let world = World::wished(Wish { ready: false, ..Wish::default() });
    assert_eq!(world.get("/-/healthy").await, (200, "Weir is healthy.\n".into()));
    assert_eq!(world.get("/-/ready").await, (503, "Weir is not ready: starting\n".into()));
    world.readiness.enter(Phase::Recovering { done: 3, total: 12, what: "replaying the log".into() });
    assert_eq!(world.get("/-/ready").await, (503, "Weir is not ready: replaying the log: 3 of 12 (25 %)\n".into()));
    let text = "not ready: replaying the log: 3 of 12 (25 %)";
    world.refuse("/api/v1/query?query=up", 503, "unavailable", text).await;
    let (status, _) = world.ask(Method::POST, "/api/v1/write").await;
    assert_eq!(status, 503, "senders come back");
    world.check("/api/v1/status/walreplay", r#"{"min":0,"max":12,"current":3}"#).await;
    assert_eq!(world.get("/metrics").await.0, 200);

    world.readiness.enter(Phase::Ready);
    assert_eq!(world.get("/-/ready").await, (200, "Weir is ready.\n".into()));
    let (_, verbose) = world.get("/-/ready?verbose").await;
    assert!(verbose.contains("queries: 20 of 20 places free"), "{verbose}");
    assert_eq!(world.ask(Method::HEAD, "/-/ready").await, (200, String::new()));

    world.readiness.enter(Phase::Stopping);
    assert_eq!(world.get("/-/ready").await.0, 503);
    assert_eq!(world.get("/api/v1/query?query=up").await.0, 200, "what still arrives is answered");
}

#[tokio::test]
async fn reload_reports_what_is_wrong() {
    let world = World::new();
    assert_eq!(world.ask(Method::POST, "/-/reload").await, (200, String::new()));
    assert_eq!(world.ask(Method::PUT, "/-/reload").await.0, 200);
    assert_eq!(world.get("/-/reload").await.0, 405);
    let broken = Wish { reload: Err("weir.yml:3:1: unknown key".into()), ..Wish::default() };
    assert_eq!(
        World::wished(broken).ask(Method::POST, "/-/reload").await,
        (500, "failed to reload config: weir.yml:3:1: unknown key\n".into())
    );
    let closed = Wish { settings: Settings { reload_by_http: false, ..Settings::default() }, ..Wish::default() };
    assert_eq!(World::wished(closed).ask(Method::POST, "/-/reload").await.0, 403);
}

#[tokio::test]
async fn metrics_count_requests_by_route() {
    let world = World::new();
    world.get("/api/v1/label/job/values").await;
    world.get("/no/such/path").await;
    let request = Request::get("/metrics").header(header::ACCEPT, "application/openmetrics-text;version=1.0.0");
    let response = world.send(request.body(Body::empty()).unwrap()).await;
    assert!(response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("application/openmetrics-text"));
    let (_, text) = read(response).await;
    for line in [
        r#"weir_http_requests_total{handler="/api/v1/label/{name}/values",code="200"} 1"#,
        r#"weir_http_requests_total{handler="unknown",code="404"} 1"#,
        "weir_http_requests_in_flight 1",
        "# TYPE process_cpu_seconds counter",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let response = world.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
}

#[tokio::test]
async fn status_has_the_fields_of_prometheus() {
    let world = World::new();
    world
        .check(
            "/api/v1/status/buildinfo",
            r#"{"version":"3.14.0","revision":"abc","branch":"","buildUser":"","buildDate":"","goVersion":"","product":"Weir","productVersion":"0.1.0"}"#,
        )
        .await;
    world.check("/api/v1/status/flags", r#"{"listen":"0.0.0.0:8488"}"#).await;
    world.check("/api/v1/status/config", r#"{"yaml":"listen: x\n"}"#).await;
    world
        .check(
            "/api/v1/status/tsdb?limit=1",
            concat!(
                r#"{"headStats":{"numSeries":3,"numLabelPairs":5,"chunkCount":3,"minTime":9223372036854775807,"maxTime":-9223372036854775808},"#,
                r#""totalSeries":3,"totalLabelValuePairs":0,"#,
                r#""seriesCountByMetricName":[{"name":"up","value":2}],"labelValueCountByLabelName":[],"#,
                r#""memoryInBytesByLabelName":[],"seriesCountByLabelValuePair":[],"#,
                r#""seriesCountByLabelName":[],"seriesCountByFocusLabelValue":[]}"#,
            ),
        )
        .await;
    let (code, body) = world.get("/api/v1/status/tsdb?topN=2&date=2026-11-22&focusLabel=job&match[]=up").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let data = &body["data"];
    assert_eq!((code, &data["totalSeries"], &data["totalLabelValuePairs"]), (200, &3.into(), &6.into()));
    let named = |name: &str, value: u64| serde_json::json!({"name": name, "value": value});
    assert_eq!(data["seriesCountByFocusLabelValue"], serde_json::json!([named("a", 1), named("b", 1)]));
    assert_eq!(data["seriesCountByLabelName"], serde_json::json!([named("__name__", 3), named("job", 2)]));
    for (query, text) in [
        ("topN=0", "topN must be a positive number"),
        ("date=soon", r#"invalid parameter "date": "soon" is no date; write for example 2026-11-22"#),
    ] {
        world.refuse(&format!("/api/v1/status/tsdb?{query}"), 400, "bad_data", text).await;
    }
    world
        .check(
            "/api/v1/status/storage",
            concat!(
                r#"{"readOnly":false,"why":"","freeBytes":1000,"series":3,"head":{"samples":5,"bytes":800},"#,
                r#""log":{"segments":1,"bytes":64},"parts":{"parts":2,"samples":10,"bytes":300},"#,
                r#""levels":{"spilled":{"parts":2,"samples":10,"bytes":300}},"#,
                r#""days":{"2026-11-22":{"parts":2,"samples":10,"bytes":300}},"#,
                r#""refusedSeries":[{"name":"http_requests_total","value":3}],"#,
                r#""damages":["a.part: a wrong checksum at byte 16"]}"#,
            ),
        )
        .await;
    world.refuse("/api/v1/status/tsdb?limit=0", 400, "bad_data", "limit must be a positive number").await;
    let (_, body) = world.get("/api/v1/status/runtimeinfo").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["data"]["storageRetention"], "90d");
    assert_eq!(body["data"]["serverTime"], "2026-11-22T16:00:00Z");
    let (_, body) = world.get("/api/v1/features").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["data"]["promql"]["at_modifier"], true);
    let (_, body) = world.get("/version").await;
    assert!(body.starts_with(r#"{"version":"3.14.0""#), "{body}");
}

#[tokio::test]
async fn scraping_is_empty_but_right() {
    let world = World::new();
    world.check("/api/v1/targets", r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#).await;
    world.check("/api/v1/targets/metadata?metric=up", "[]").await;
    world.check("/api/v1/scrape_pools", r#"{"scrapePools":[]}"#).await;
}

#[tokio::test]
async fn deleting_needs_the_admin_api() {
    let world = World::new();
    let (status, body) = world.ask(Method::POST, "/api/v1/admin/tsdb/delete_series?match[]=up&start=1&end=2").await;
    assert_eq!((status, body.as_str()), (204, ""));
    let (_, body) = world.post_form("/api/v1/admin/tsdb/delete_series", "match[]=up").await;
    assert_eq!(body, "");
    let deleted = world.deleted.lock().unwrap().clone();
    let at = |text: &str| crate::http::params::parse_time(text).unwrap();
    let up = "__name__=\"up\"".to_owned();
    assert_eq!(deleted, [(up.clone(), TimeRange::new(at("1"), at("2")).unwrap()), (up, TimeRange::ALL)]);
    assert_eq!(
        world.ask(Method::PUT, "/api/v1/admin/tsdb/snapshot?skip_head=true").await,
        (200, r#"{"status":"success","data":{"name":"20261122T160000Z-true"}}"#.into())
    );
    assert_eq!(world.ask(Method::POST, "/api/v1/admin/tsdb/clean_tombstones").await.0, 204);
    assert_eq!(world.ask(Method::POST, "/api/v1/admin/tsdb/delete_series").await.0, 400);
    assert_eq!(world.get("/api/v1/admin/tsdb/delete_series?match[]=up").await.0, 405, "a link must not delete");

    let world = World::wished(Wish { admin: false, ..Wish::default() });
    let (status, body) = world.ask(Method::POST, "/api/v1/admin/tsdb/delete_series?match[]=up").await;
    assert_eq!((status, body.contains("admin APIs disabled")), (503, true));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_in_the_form_of_their_place() {
    let world = World::new();
    world.refuse("/api/v1/nothing", 404, "not_found", "no such endpoint: /api/v1/nothing").await;
    assert_eq!(world.get("/nothing").await, (404, "404 page not found\n".into()));
    let response = world.send(Request::delete("/api/v1/query").body(Body::empty()).unwrap()).await;
    let allowed = response.headers()[header::ALLOW].to_str().unwrap().to_owned();
    assert_eq!(allowed, "GET,HEAD,POST");
    let (status, body) = read(response).await;
    assert_eq!(status, 405);
    assert!(body.starts_with(r#"{"status":"error","errorType":"bad_data""#), "{body}");
    assert_eq!(world.get("/api/v1/write").await.0, 405);
}

#[tokio::test]
async fn other_origins_may_read() {
    let world = World::new();
    let request =
        Request::options("/api/v1/query").header(header::ORIGIN, "http://grafana").body(Body::empty()).unwrap();
    let response = world.send(request).await;
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(response.headers()[header::ACCESS_CONTROL_ALLOW_METHODS], "GET, POST, OPTIONS");
}

#[tokio::test]
async fn each_request_has_an_id() {
    let world = World::new();
    let id = |response: &axum::response::Response| response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let request = || Request::get("/-/healthy");
    let first = id(&world.send(request().body(Body::empty()).unwrap()).await);
    let second = id(&world.send(request().body(Body::empty()).unwrap()).await);
    assert_ne!(first, second);
    let brought = request().header("x-request-id", "trace-7").body(Body::empty()).unwrap();
    assert_eq!(id(&world.send(brought).await), "trace-7");
    let hostile = request().header("x-request-id", "a b").body(Body::empty()).unwrap();
    assert_ne!(id(&world.send(hostile).await), "a b");
}

#[tokio::test]
async fn answers_are_compressed_where_the_client_reads_that() {
    let world = World::new();
    let uri = "/api/v1/query_range?query=up&start=0&end=10000&step=1";
    let (_, plain) = world.get(uri).await;
    assert!(plain.len() > 200_000, "several pages");
    for encoding in ["gzip", "zstd"] {
        let request = Request::get(uri).header(header::ACCEPT_ENCODING, encoding).body(Body::empty()).unwrap();
        let response = world.send(request).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], encoding);
        let vary: Vec<_> = response.headers().get_all(header::VARY).iter().collect();
        assert!(vary.iter().any(|vary| vary.to_str().unwrap().eq_ignore_ascii_case("accept-encoding")), "{vary:?}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.len() * 4 < plain.len(), "{encoding}: {} of {}", body.len(), plain.len());
    }
}

#[tokio::test]
async fn every_prefix_reaches_the_same_routes() {
    let world = World::new();
    let (_, plain) = world.get("/api/v1/query?query=up&time=4").await;
    for prefix in ["/prometheus", "/select/0/prometheus", "/vm", "/vm/prometheus"] {
        assert_eq!(
            world.get(&format!("{prefix}/api/v1/query?query=up&time=4")).await,
            (200, plain.clone()),
            "{prefix}"
        );
    }
    assert_eq!(world.ask(Method::POST, "/insert/0/prometheus/api/v1/write").await.0, 204);
    assert_eq!(world.ask(Method::POST, "/prometheus/api/v1/push").await.0, 204);
    assert_eq!(world.get("/select/7/prometheus/api/v1/query?query=up").await.0, 404);
}
