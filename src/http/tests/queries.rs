//! `/query` and its siblings.

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::Body as HttpBody;

use crate::http::Settings;
use crate::model::Span;

use super::world::{Asked, NOW, Wish, World};

#[tokio::test]
async fn an_instant_query_answers_as_prometheus_does() {
    let world = World::new();
    let (status, body) = world.get("/api/v1/query?query=up&time=1.5").await;
    let expected = concat!(
        r#"{"status":"success","data":{"resultType":"vector","result":["#,
        r#"{"metric":{"__name__":"up","job":"a"},"value":[1.500,"1"]},{"metric":{"__name__":"up","job":"b"},"value":[1.500,"1"]}]},"#,
        r#""stats":{"seriesFetched":"2"}}"#,
    );
    assert_eq!((status, body.as_str()), (200, expected));
    let (_, body) = world.get("/api/v1/query?query=up&limit=1").await;
    assert!(body.contains(r#""warnings":["results truncated due to limit"]"#), "{body}");
    assert!(!body.contains(r#""job":"b""#), "{body}");
    let (_, body) = world.get("/api/v1/query?query=up&stats=all").await;
    assert!(body.contains(r#""stats":{"timings":{"#) && body.contains("totalQueryableSamplesPerStep"), "{body}");
    assert_eq!(world.engine.last().start, NOW, "without a time it is now");
}

#[tokio::test]
async fn a_range_query_answers_as_prometheus_does() {
    let world = World::new();
    let series = |job: &str| {
        format!(r#"{{"metric":{{"__name__":"up","job":"{job}"}},"values":[[10,"1"],[10.500,"1"],[11,"1"]]}}"#)
    };
    let data = format!(r#"{{"resultType":"matrix","result":[{},{}]}}"#, series("a"), series("b"));
    world.check("/api/v1/query_range?query=up&start=10&end=11&step=500ms", &data).await;
    let asked = Asked { text: "up".into(), start: 10_000, end: 11_000, step: 500, lookback: Some(Span::MINUTE) };
    world.get("/api/v1/query_range?query=up&start=10&end=11&step=0.5&lookback_delta=1m").await;
    assert_eq!(world.engine.last(), asked);
}

#[tokio::test]
async fn wrong_parameters_are_told_in_prometheus_words() {
    let world = World::new();
    for (uri, text) in [
        (
            "query?query=up&time=x",
            r#"invalid parameter "time": invalid time value for 'time': cannot parse "x" to a valid timestamp"#,
        ),
        ("query?query=up&limit=x", r#"invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax"#),
        ("query?query=up&limit=-1", r#"invalid parameter "limit": limit must be non-negative"#),
        ("query?query=up&timeout=soon", r#"invalid parameter "timeout": cannot parse "soon" to a valid duration"#),
        (
            "query?query=up&lookback_delta=x",
            r#"error parsing lookback delta duration: cannot parse "x" to a valid duration"#,
        ),
        ("query?query=sum(", r#"invalid parameter "query": 1:5: parse error: unclosed left parenthesis"#),
        ("query", r#"invalid parameter "query": unknown position: parse error: no expression found in input"#),
        ("query_range?query=up&end=1&step=1", r#"invalid parameter "start": cannot parse "" to a valid timestamp"#),
        (
            "query_range?query=up&start=x&end=1&step=1",
            r#"invalid parameter "start": cannot parse "x" to a valid timestamp"#,
        ),
        (
            "query_range?query=up&start=2&end=1&step=1",
            r#"invalid parameter "end": end timestamp must not be before start time"#,
        ),
        (
            "query_range?query=up&start=1&end=2&step=x",
            r#"invalid parameter "step": cannot parse "x" to a valid duration"#,
        ),
        (
            "query_range?query=up&start=1&end=2&step=1e30",
            r#"invalid parameter "step": cannot parse "1e30" to a valid duration. It overflows int64"#,
        ),
        (
            "query_range?query=up&start=1&end=2&step=0",
            r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#,
        ),
        (
            "query_range?query=up&start=1&end=2&step=-1",
            r#"invalid parameter "step": zero or negative query resolution step widths are not accepted. Try a positive integer"#,
        ),
        (
            "query_range?query=up&start=0&end=11001&step=1",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "query_range?query=sum(&start=1&end=2&step=1",
            r#"invalid parameter "query": 1:5: parse error: unclosed left parenthesis"#,
        ),
        (
            "query_range?query=up[5m]&start=1&end=2&step=1",
            r#"invalid parameter "query": invalid expression type "range vector" for range query, must be Scalar or instant Vector"#,
        ),
        ("query_exemplars?query=up&start=2&end=1", "end timestamp must not be before start timestamp"),
        ("query_exemplars?query=sum(", "1:5: parse error: unclosed left parenthesis"),
        ("format_query?query=sum(", r#"invalid parameter "query": 1:5: parse error: unclosed left parenthesis"#),
    ] {
        world.refuse(&format!("/api/v1/{uri}"), 400, "bad_data", text).await;
    }
    let (status, _) = world.get("/api/v1/query_range?query=up&start=0&end=11000&step=1").await;
    assert_eq!(status, 200, "11,000 steps are allowed");
}

#[tokio::test]
async fn each_failure_has_its_status() {
    let world = World::new();
    let (status, body) = world.get("/api/v1/query?query=up%20%2B%20on()%20up").await;
    assert_eq!(status, 422, "{body}");
    assert!(body.starts_with(r#"{"status":"error","errorType":"execution","error":"found duplicate series"#), "{body}");
    world.refuse("/api/v1/query?query=busy", 503, "unavailable", "overloaded: too many readers").await;
    let text = "query timed out in expression evaluation";
    world.refuse("/api/v1/query?query=slow&timeout=10ms", 503, "timeout", text).await;
    let (status, body) = world.get("/api/v1/query?query=bug").await;
    assert_eq!(status, 500);
    assert!(body.starts_with(r#"{"status":"error","errorType":"internal","error":"#), "{body}");
}

#[tokio::test]
async fn the_server_bounds_a_query_whatever_the_client_asks() {
    let settings = Settings { query_timeout: Span::from_millis(10), ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    let text = "query timed out in expression evaluation";
    world.refuse("/api/v1/query?query=slow&timeout=1h", 503, "timeout", text).await;
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_query() {
    let settings = Settings { queries_running_max: 1, ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    {
        let leaving = world.get("/api/v1/query?query=slow");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), leaving).await.is_err());
    }
    // With one place, another query gets through only because the first one stopped.
    let (status, _) = world.get("/api/v1/query?query=up&timeout=20s").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_large_answer_keeps_its_place_until_it_is_read() {
    let settings = Settings { queries_running_max: 1, queries_waiting_max: 0, ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    let request = Request::get("/api/v1/query_range?query=up&start=0&end=10000&step=1").body(Body::empty()).unwrap();
    let unread = world.send(request).await;
    assert_eq!(unread.status(), 200);
    world.refuse("/api/v1/query?query=up", 503, "unavailable", "too many queries are waiting already").await;
    drop(unread);
    assert_eq!(world.get("/api/v1/query?query=up").await.0, 200);
}

/// Asks for 10,001 steps of two series made of `expr`, a few megabytes of JSON where values have many digits.
fn long_answer(expr: &str) -> Request<Body> {
    let uri = format!("/api/v1/query_range?query={expr}&start=0&end=10000&step=1");
    Request::get(uri).body(Body::empty()).unwrap()
}

/// Labels and values by thousands: 20 curves with 17 digits a point.
const MANY_DIGITS: &str = "label_replace(up%2F3%2Btime()*pi(),%22x%22,%220%22,%22%22,%22%22)";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_longer_than_what_is_kept_back_leaves_page_by_page() {
    let world = World::new();
    let curves = |count: usize| -> String {
        let one = |index: usize| MANY_DIGITS.replace("%220%22", &format!("%22{index:03}%22"));
        (0..count).map(one).collect::<Vec<_>>().join("%20or%20")
    };
    let short = world.send(long_answer(&curves(1))).await.into_body();
    assert!(HttpBody::size_hint(&short).exact().is_some_and(|bytes| bytes > 300_000), "it leaves whole");
    let mut long = world.send(long_answer(&curves(8))).await.into_body();
    assert_eq!(HttpBody::size_hint(&long).exact(), None, "nobody knows its length yet");
    let mut text = Vec::new();
    while let Some(frame) = long.frame().await {
        let data = frame.unwrap().into_data().unwrap();
        assert!(data.len() < 80 * 1024, "a page of {} bytes", data.len());
        text.extend_from_slice(&data);
    }
    let read: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let series = read["data"]["result"].as_array().unwrap();
    assert_eq!((read["status"].as_str(), series.len()), (Some("success"), 16));
    assert!(series.iter().all(|one| one["values"].as_array().unwrap().len() == 10_001));
    let names: Vec<String> = series.iter().map(|one| one["metric"].to_string()).collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_a_long_answer_that_stops_lets_others_run_and_its_place_go_when_it_leaves() {
    let settings = Settings { queries_running_max: 1, queries_waiting_max: 1, ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    let curves = ["000", "001", "002", "003", "004", "005", "006", "007"];
    let curves = curves.map(|name| MANY_DIGITS.replace("%220%22", &format!("%22{name}%22")));
    let unread = world.send(long_answer(&curves.join("%20or%20"))).await;
    assert_eq!(unread.status(), 200);
    // It has the only place to run, and lends it while it waits for its reader.
    assert_eq!(world.get("/api/v1/query?query=up").await.0, 200);
    drop(unread);
    assert_eq!(world.get("/api/v1/query?query=up").await.0, 200);
}

#[tokio::test]
async fn exemplars_are_found_by_every_selector() {
    let world = World::new();
    let data = concat!(
        r#"[{"seriesLabels":{"__name__":"up","job":"a"},"exemplars":[{"labels":{"trace_id":"t1"},"value":"0.5","timestamp":1.500}]},"#,
        r#"{"seriesLabels":{"__name__":"up","job":"b"},"exemplars":[{"labels":{"trace_id":"t1"},"value":"0.5","timestamp":1.500}]}]"#,
    );
    world.check("/api/v1/query_exemplars?query=up&start=0&end=10", data).await;
    world.check("/api/v1/query_exemplars?query=up&start=5&end=10", "[]").await;
    world.check("/api/v1/query_exemplars?query=1", "[]").await;
}

#[tokio::test]
async fn queries_are_laid_out_and_taken_apart() {
    let world = World::new();
    world.check("/api/v1/format_query?query=foo%2Fbar", r#""foo / bar""#).await;
    let (status, body) = world.ask(Method::POST, "/api/v1/parse_query?query=foo%2Fbar").await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["data"]["type"], &body["data"]["op"]), (200, &"binaryExpr".into(), &"/".into()));
}
