//! What real clients send, one test for each trap that others fell into.

use axum::body::Body;
use axum::http::{Method, Request, header};

use super::world::{NOW, World, read};

/// Trap 1: Grafana's "Save & test" asks at second 4.
#[tokio::test]
async fn grafana_tests_the_connection_at_second_four() {
    let world = World::new();
    let (status, body) = world.post_form("/api/v1/query", "query=1%2B1&time=4").await;
    let expected =
        r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]},"stats":{"seriesFetched":"0"}}"#;
    assert_eq!((status, body.as_str()), (200, expected));
}

/// Trap 2: Grafana probes exemplars with milliseconds where seconds are meant.
#[tokio::test]
async fn grafana_probes_exemplars_in_the_year_58000() {
    let world = World::new();
    let uri = "/api/v1/query_exemplars?query=test&start=1795359600000&end=1795363200000";
    world.check(uri, "[]").await;
}

/// Trap 3: vmalert posts an empty JSON body, with everything in the URL.
#[tokio::test]
async fn vmalert_posts_parameters_in_the_url() {
    let world = World::new();
    let request = Request::post("/api/v1/query?query=up&step=300s&time=1795355144")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::empty())
        .unwrap();
    let (status, body) = read(world.send(request).await).await;
    assert_eq!(status, 200);
    assert!(body.contains(r#""value":[1795355144,"1"]"#), "{body}");
    assert!(body.ends_with(r#""stats":{"seriesFetched":"2"}}"#), "vmalert reads a string here: {body}");
    // A form body and the URL are one; the body counts first.
    let (status, _) = world.post_form("/api/v1/query?time=7&query=down", "query=up").await;
    assert_eq!((status, world.engine.last().text.as_str(), world.engine.last().start), (200, "up", 7000));
}

/// Trap 4: Grafana posts to label values first.
#[tokio::test]
async fn grafana_posts_for_label_values() {
    let world = World::new();
    let (status, body) = world.ask(Method::POST, "/api/v1/label/job/values?match[]=up&limit=10").await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"success","data":["a","b"]}"#));
    let (status, body) = world.post_form("/api/v1/labels", "match[]=up&start=1&end=2&limit=40000").await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"success","data":["__name__","job"]}"#));
}

/// Traps 5 and 6: Grafana takes us for Mimir, or for too old, by what buildinfo says.
#[tokio::test]
async fn grafana_takes_us_for_a_new_prometheus() {
    let world = World::new();
    let (_, body) = world.get("/api/v1/status/buildinfo").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["data"].get("features"), None);
    let version: Vec<u32> =
        body["data"]["version"].as_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect();
    assert!(version >= vec![2, 24, 0]);
}

/// Trap 7: Grafana decides "no ruler" by a 404 that says so in plain text.
#[tokio::test]
async fn grafana_finds_no_ruler() {
    let world = World::new();
    for path in ["/rules/test/test", "/api/v1/../rules", "/config/v1/rules"] {
        let (status, body) = world.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(
            body.contains(if path.starts_with("/api/v1/") { "no such endpoint" } else { "page not found" }),
            "{body}"
        );
    }
}

/// Trap 8: an empty list is a list.
#[tokio::test]
async fn grafana_maps_over_groups() {
    let world = World::new();
    world.check_part("/api/v1/rules?exclude_alerts=true&group_limit=100", r#"{"groups":[]}"#).await;
    world.check("/api/v1/alerts", r#"{"alerts":[]}"#).await;
}

/// Trap 9: vmagent begins with zstd and its own version header; the decoder learns what the headers say.
#[tokio::test]
async fn vmagent_writes_with_zstd() {
    let world = World::new();
    let request = Request::post("/api/v1/write")
        .header(header::CONTENT_ENCODING, "zstd")
        .header(header::CONTENT_TYPE, "application/x-protobuf")
        .header("x-victoriametrics-remote-write-version", "1")
        .body(Body::from("fine"))
        .unwrap();
    assert_eq!(read(world.send(request).await).await.0, 204);
    assert_eq!(world.writer.taken.lock().unwrap()[0].encoding, "zstd");
}

/// Trap 10: batches are larger than 2 MB, the default bound of the web framework.
#[tokio::test]
async fn otel_writes_three_megabytes() {
    let world = World::new();
    let request = Request::post("/api/v1/write").body(Body::from(vec![0; 3 << 20])).unwrap();
    assert_eq!(read(world.send(request).await).await.0, 204);
    let form = format!("query=up&padding={}", "x".repeat(3 << 20));
    assert_eq!(world.post_form("/api/v1/query", &form).await.0, 200);
}

/// Trap 15: prometheus-api-client checks the connection with `GET /`.
#[tokio::test]
async fn the_root_leads_to_the_page() {
    let world = World::new();
    let response = world.send(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!((response.status().as_u16(), response.headers()[header::LOCATION].to_str().unwrap()), (307, "ui/"));
    assert_eq!(world.get("/ui/").await.0, 200);
}

/// codemirror and KEDA send RFC 3339; prometheus-adapter may compute a negative timeout and sends durations; Grafana
/// adds whatever the user configured; promtool asks a year into the future.
#[tokio::test]
async fn other_clients_have_their_ways() {
    let world = World::new();
    for uri in [
        "/api/v1/query?query=up&time=2026-11-22T13:00:00.000Z",
        "/api/v1/query?query=up&time=1600000000.781&timeout=-5s&max_source_resolution=5m",
        "/api/v1/query?query=up&timeout=30s&nocache=1",
        "/api/v1/query_range?query=up&start=2026-11-22T13:00:00Z&end=2026-11-22T13:10:00Z&step=1m",
        "/api/v1/series?match[]=up&start=1763827200&end=1826899200",
    ] {
        assert_eq!(world.get(uri).await.0, 200, "{uri}");
    }
    assert_eq!(world.engine.asked.lock().unwrap()[1].start, 1_600_000_000_781);
    assert_eq!(world.engine.asked.lock().unwrap()[2].start, NOW);
}
