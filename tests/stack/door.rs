//! The door to the world: what Weir answers to requests that are wrong, odd or many, and what it keeps of them.
//!
//! Everything here goes over HTTP to the real program. A refusal is judged by its code, by its text, and by what can be
//! asked for afterwards: whatever was good beside the bad must be there.

use prost::Message;
use serde_json::Value;
use weir::ingest::wire::proto::prometheus::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest};

use crate::world::{Answer, Api, Stack};

/// The bits of Prometheus' stale marker.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Bytes of a request once decompressed, by default.
const DECODED_BYTES_MAX: usize = 32 << 20;
/// Bytes of a request as sent, by default.
const BODY_BYTES_MAX: usize = 8 << 20;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");

/// A series by its labels, `name=value` each, with samples by time in seconds.
pub(crate) fn series(labels: &[(&str, &str)], samples: &[(f64, f64)]) -> TimeSeries {
    let labels = labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() });
    let sample = |&(at, value): &(f64, f64)| Sample { value, timestamp: (at * 1000.0).round() as i64 };
    TimeSeries { labels: labels.collect(), samples: samples.iter().map(sample).collect(), ..TimeSeries::default() }
}

pub(crate) fn request(timeseries: Vec<TimeSeries>) -> WriteRequest {
    WriteRequest { timeseries, ..WriteRequest::default() }
}

/// A request that says what metrics mean, and brings no sample.
pub(crate) fn descriptions(metrics: impl Iterator<Item = (String, String)>) -> WriteRequest {
    let metadata = metrics.map(|(metric_family_name, help)| MetricMetadata {
        r#type: 2,
        metric_family_name,
        help,
        ..MetricMetadata::default()
    });
    WriteRequest { metadata: metadata.collect(), ..WriteRequest::default() }
}

pub(crate) fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("a request is far below snappy's 4 GiB")
}

/// Pushes a request as Prometheus does.
pub(crate) async fn push(api: &Api, request: &WriteRequest) -> Answer {
    api.send("POST", "/api/v1/write", &[PROTOBUF, SNAPPY], snappy(&request.encode_to_vec())).await
}

/// Whether somebody took the request.
pub(crate) async fn try_push(api: &Api, request: &WriteRequest) -> bool {
    let body = snappy(&request.encode_to_vec());
    let answer = api.try_send("POST", "/api/v1/write", &[PROTOBUF, SNAPPY], body).await;
    answer.is_ok_and(|answer| (200..300).contains(&answer.code))
}

/// Weir's time, seconds.
pub(crate) async fn now(api: &Api) -> f64 {
    value(&api.query("vector(time())", None).await).expect("time() has a value")
}

/// The value of the only element.
pub(crate) fn value(result: &[Value]) -> Option<f64> {
    match result {
        [only] => only["value"][1].as_str()?.parse().ok(),
        _ => None,
    }
}

#[tokio::test]
async fn requests_that_cannot_be_read_are_refused_as_a_whole() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let _weir = stack.start_weir(&[]).await;
    let good = snappy(&request(vec![series(&[("__name__", "whole")], &[(now(&api).await, 1.0)])]).encode_to_vec());

    let check = async |headers: &[(&str, &str)], body: Vec<u8>, code: u16, part: &str| {
        let answer = api.send("POST", "/api/v1/write", headers, body).await;
        assert_eq!((answer.code, answer.text.contains(part)), (code, true), "{part:?} is awaited: {answer:?}");
        assert!(answer.kind.starts_with("text/plain"), "senders log the text: {answer:?}");
        assert!(answer.retry_after.is_none(), "it would be wrong again: {answer:?}");
    };
    let usual = [PROTOBUF, SNAPPY];
    check(&usual, vec![], 400, "empty").await;
    check(&usual, b"\xff\xff\xff\xff\xff\xff\xff".to_vec(), 400, "snappy").await;
    check(&usual, good[..good.len() - 3].to_vec(), 400, "snappy").await;
    check(&usual, snappy(b"\x0a\x50no message is this short"), 400, "protobuf").await;
    check(&usual, b"\xff\xff\xff\xff\x0f\x00a".to_vec(), 400, "decompresses to more than").await;
    check(&usual, b"\x80\x80\x80\x08\x00a".to_vec(), 400, "snappy").await;
    check(&usual, snappy(&vec![0; DECODED_BYTES_MAX + 1]), 400, "decompresses to more than 33554432 bytes").await;
    check(&usual, vec![0; BODY_BYTES_MAX + 1], 413, "limit of 8388608 bytes").await;
    check(&[("content-type", "application/json"), SNAPPY], good.clone(), 415, "application/x-protobuf").await;
    check(&[("content-type", "application/x-protobuf;proto=no.Such"), SNAPPY], good.clone(), 415, "no.Such").await;
    check(&[PROTOBUF, ("content-encoding", "br")], good.clone(), 415, "br").await;
    check(&[PROTOBUF, ("content-encoding", "gzip")], good.clone(), 400, "gzip").await;

    assert_eq!(api.query("whole", None).await.len(), 0, "nothing of it is kept");
    assert_eq!(api.send("POST", "/api/v1/write", &usual, good.clone()).await.code, 204);
    assert_eq!(api.query("whole", None).await.len(), 1);
    // The oldest senders say nothing of themselves.
    assert_eq!(api.send("POST", "/api/v1/push", &[], good).await.code, 204);
}

/// A series' labels as they are sent.
type Pairs<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn bad_series_cost_their_neighbours_nothing() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let _weir = stack.start_weir(&["--retention=1d"]).await;
    let now = now(&api).await;
    let many: Vec<String> = (0..64).map(|number| format!("label_{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "x")).chain([("__name__", "bad")]).collect();
    let long = "x".repeat(5_000);

    let cases: [(&str, Pairs<'_>, f64, &str); 8] = [
        (
            "duplicate_label_name",
            &[("__name__", "bad"), ("job", "a"), ("job", "b")],
            now,
            "duplicate label name \"job\"",
        ),
        ("empty_label_name", &[("__name__", "bad"), ("", "a")], now, "empty label name"),
        // The mark is replaced by bytes that are no text.
        ("invalid_utf8", &[("__name__", "bad"), ("job", "MARK")], now, "not valid UTF-8"),
        ("too_many_labels", &many, now, "more than 64 labels"),
        ("label_value_too_long", &[("__name__", "bad"), ("job", &long)], now, "longer than 4096 bytes"),
        ("no_metric_name", &[("job", "bad")], now, "no metric name"),
        ("too_far_in_future", &[("__name__", "bad"), ("job", "ahead")], now + 3_600.0, "bad{job=\"ahead\"}"),
        ("too_old", &[("__name__", "bad"), ("job", "old")], now - 2.0 * 86_400.0, "older than retention"),
    ];
    let mut all = Vec::new();
    for (reason, labels, at, part) in cases {
        let bad = series(labels, &[(at, 1.0)]);
        all.push(bad.clone());
        let neighbour = |name| series(&[("__name__", name), ("case", reason)], &[(now, 1.0)]);
        let bytes = request(vec![neighbour("before"), bad, neighbour("after")]).encode_to_vec();
        let answer = api.send("POST", "/api/v1/write", &[PROTOBUF, SNAPPY], snappy(&without_mark(bytes))).await;
        assert_eq!(answer.code, 400, "{reason}: {answer:?}");
        let start = format!("1 sample refused ({reason} 1), all others are kept: ");
        assert!(answer.text.starts_with(&start) && answer.text.contains(part), "{reason}: {answer:?}");
        let kept = api.query(&format!("{{__name__=~\"before|after\",case=\"{reason}\"}}"), None).await;
        assert_eq!(kept.len(), 2, "{reason}: the neighbours are kept");
    }

    // All at once, one of them with two samples: counts by reason, and the first offenders by name.
    let old = series(&[("__name__", "bad"), ("job", "older")], &[(now - 4e5, 1.0), (now - 3e5, 1.0), (now, 5.0)]);
    all.push(old);
    all.push(series(&[("__name__", "last")], &[(now, 1.0)]));
    let bytes = without_mark(request(all).encode_to_vec());
    let answer = api.send("POST", "/api/v1/write", &[PROTOBUF, SNAPPY], snappy(&bytes)).await;
    assert_eq!(answer.code, 400, "{answer:?}");
    for part in ["10 samples refused (", "too_old 3", "invalid_utf8 1", "too_far_in_future 1", "duplicate label name"] {
        assert!(answer.text.contains(part), "{part:?} is awaited: {answer:?}");
    }
    assert!(answer.text.len() <= 1025 && answer.text.lines().count() == 1, "senders log one line: {answer:?}");
    assert_eq!(
        value(&api.query("bad{job=\"older\"}", None).await),
        Some(5.0),
        "a good sample of a series with bad ones"
    );
    assert_eq!(value(&api.query("last", None).await), Some(1.0));
    assert_eq!(api.query("bad{job!=\"older\"}", None).await.len(), 0, "nothing bad is kept");
}

/// Puts bytes that are no UTF-8 where the mark stands.
fn without_mark(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(place) = bytes.windows(4).position(|bytes| bytes == b"MARK") {
        bytes[place..place + 4].copy_from_slice(&[0xff, 0xfe, 0x80, 0xc0]);
    }
    bytes
}

#[tokio::test]
async fn a_stale_marker_ends_a_series() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let _weir = stack.start_weir(&[]).await;
    let now = now(&api).await.floor();
    let samples = [(now - 60.0, 3.0), (now - 30.0, f64::from_bits(STALE))];
    assert_eq!(push(&api, &request(vec![series(&[("__name__", "ended")], &samples)])).await.code, 204);
    assert_eq!(value(&api.query("ended", Some(now - 45.0)).await), Some(3.0));
    assert_eq!(api.query("ended", Some(now - 10.0)).await.len(), 0, "no lookback over a stale marker");
    assert_eq!(value(&api.query("count_over_time(ended[2m])", Some(now)).await), Some(1.0), "a marker is no sample");
}

#[tokio::test]
async fn the_whole_of_unix_time_comes_in_any_order() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let weir = stack.start_weir(&["--retention=100y"]).await;
    let year: f64 = 365.25 * 86_400.0;
    let years = [30.0, 0.0, 5.0, 56.0, 5.1, 29.9, 1.0];
    for (place, years) in years.iter().enumerate() {
        let sample = [((years * year).floor(), place as f64)];
        let answer = push(&api, &request(vec![series(&[("__name__", "history")], &sample)])).await;
        assert_eq!(answer.code, 204, "{years} years after 1970: {answer:?}");
    }
    let check = async || {
        for (place, years) in years.iter().enumerate() {
            let at = (years * year).floor();
            assert_eq!(value(&api.query("history", Some(at)).await), Some(place as f64), "{years} years after 1970");
        }
        let all = api.query("history[60y]", Some(57.0 * year)).await;
        let points = all[0]["values"].as_array().expect("a matrix").len();
        assert_eq!(points, years.len(), "each once");
    };
    check().await;
    weir.kill();
    let _weir = stack.start_weir(&["--retention=100y"]).await;
    check().await;
}

#[tokio::test]
async fn what_comes_twice_is_there_once() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let _weir = stack.start_weir(&[]).await;
    let now = now(&api).await;
    let samples: Vec<(f64, f64)> = (0..10).map(|back| (now - 10.0 + f64::from(back), f64::from(back))).collect();
    let twice = request(vec![series(&[("__name__", "twice")], &samples)]);
    for _ in 0..2 {
        assert_eq!(push(&api, &twice).await.code, 204);
    }
    assert_eq!(value(&api.query("count_over_time(twice[1m])", None).await), Some(10.0));
}

#[tokio::test]
async fn a_pair_in_one_request_is_one_series() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let _weir = stack.start_weir(&[]).await;
    let now = now(&api).await.floor();
    // Two replicas that scrape every 15 s, the second 4 s after the first.
    let scrapes = |offset: f64, value: f64| -> Vec<(f64, f64)> {
        (0..12).map(|round| (now - 180.0 + 15.0 * f64::from(round) + offset, value)).collect()
    };
    let check = async |metric: &str, cluster: (&str, &str), replica: &str| {
        let lane = |name: &str, offset, value| {
            let labels = [("__name__", metric), cluster, ("job", "node"), (replica, name)];
            series(&labels, &scrapes(offset, value))
        };
        assert_eq!(push(&api, &request(vec![lane("a", 0.0, 1.0), lane("b", 4.0, 2.0)])).await.code, 204);
        let found = api.query(&format!("{metric}[5m]"), Some(now)).await;
        assert_eq!(found.len(), 1, "one series: {found:?}");
        let labels = serde_json::json!({"__name__": metric, cluster.0: cluster.1, "job": "node"});
        assert_eq!(found[0]["metric"], labels, "the replica is taken off, the group stays");
        let values: Vec<&str> =
            found[0]["values"].as_array().into_iter().flatten().filter_map(|point| point[1].as_str()).collect();
        assert_eq!(values.len(), 12, "a scrape each 15 s, not two: {values:?}");
        assert!(values.iter().all(|value| value == &values[0]), "one replica's samples throughout: {values:?}");
    };
    check("pair", ("cluster", "dc1"), "__replica__").await;
    check("operator", ("prometheus", "monitoring/k8s"), "prometheus_replica").await;
}

#[tokio::test]
async fn questions_that_are_wrong_are_told_where() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let _weir = stack.start_weir(&[]).await;
    let check = async |path: &str, code: u16, kind: &str, part: &str| {
        let answer = api.send("GET", path, &[], vec![]).await;
        assert_eq!((answer.code, answer.text.contains(part)), (code, true), "{path}: {part:?} is awaited: {answer:?}");
        assert!(answer.kind.starts_with(kind), "{path}: {answer:?}");
    };
    let json = "application/json";
    check(
        "/api/v1/query?query=sum(",
        400,
        json,
        r#"invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis"#,
    )
    .await;
    check("/api/v1/query?query=foo(up)", 400, json, r#"1:1: parse error: unknown function with name \"foo\""#).await;
    check("/api/v1/query", 400, json, r#""errorType":"bad_data""#).await;
    check("/api/v1/query?query=up&time=noon", 400, json, r#"cannot parse \"noon\" to a valid timestamp"#).await;
    check(
        "/api/v1/query_range?query=up&start=2&end=1&step=1",
        400,
        json,
        "end timestamp must not be before start time",
    )
    .await;
    check("/api/v1/query_range?query=up&start=1&end=2&step=0", 400, json, "zero or negative").await;
    check("/api/v1/query_range?query=up&start=0&end=99999999&step=1", 400, json, "exceeded maximum resolution").await;
    check("/api/v1/series", 400, json, "no match[] parameter provided").await;
    check("/api/v1/no-such", 404, json, "/api/v1/no-such").await;
    check("/no-such", 404, "text/plain", "404 page not found").await;
    check("/api/v1/write", 405, json, "GET").await;
    check("/-/ready", 200, "text/plain", "ready").await;
}
