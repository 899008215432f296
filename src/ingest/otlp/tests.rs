//! OpenTelemetry's points as series, in JSON, which is protobuf by the time it is read.

use crate::ingest::tests::{Door, Kept};
use crate::ingest::{ImportFormat, ImportRequest, Settings, refusal_text};
use crate::model::Timestamp;
use crate::store::Appended;

use super::naming::Kind;
use super::{OtlpSettings, Translation};

fn send(door: &Door, metrics: &str) -> Appended {
    let attributes = r#"[{"key":"service.name","value":{"stringValue":"shop"}},
        {"key":"service.namespace","value":{"stringValue":"eu"}},
        {"key":"service.instance.id","value":{"stringValue":"i1"}},
        {"key":"host.name","value":{"stringValue":"h"}}]"#;
    let body = format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":{attributes}}},"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#
    );
    let request = ImportRequest {
        body: body.as_bytes(),
        content_encoding: None,
        format: &ImportFormat::OtlpJson,
        extra: &[],
        replica: None,
        labels: &[],
        received_at: Timestamp::from_millis(0),
    };
    door.ingest.import(&request).expect("a good request")
}

fn shown(kept: &Kept) -> Vec<String> {
    let labels = |name: &crate::store::SeriesName| {
        let rest = name.labels.without(|label| label == "job" || label == "instance");
        (name.labels.get("job").unwrap_or("").to_owned(), rest.to_string())
    };
    let mut lines = Vec::new();
    for (name, samples) in &kept.series {
        let (job, rest) = labels(name);
        assert_eq!(job, "eu/shop");
        for sample in samples {
            let value = match &sample.histogram {
                Some(histogram) => {
                    let spans: Vec<_> = histogram.positive_spans.iter().map(|one| (one.offset, one.length)).collect();
                    format!("{} of {:?} {:?}", histogram.count, spans, histogram.positive_buckets)
                }
                None => sample.value.to_string(),
            };
            lines.push(format!("{rest} {value}@{}", sample.at.as_millis()));
        }
    }
    lines
}

const TARGET: &str = "target_info{host_name=\"h\"} 1@2000";

#[track_caller]
fn check(metrics: &str, expected: &[&str]) {
    let door = Door::new();
    let appended = send(&door, metrics);
    assert!(!appended.refusals.has_faults(), "{}", refusal_text(&appended.refusals));
    let mut expected: Vec<&str> = expected.to_vec();
    expected.push(TARGET);
    assert_eq!(shown(&door.kept()), expected);
}

#[test]
fn gauges_and_sums_are_named_with_their_units() {
    check(
        r#"{"name":"mem.used","unit":"By","gauge":{"dataPoints":[{"timeUnixNano":"2000000000","asInt":"7",
            "attributes":[{"key":"a.b","value":{"intValue":"3"}},{"key":"0","value":{"boolValue":true}}]}]}}"#,
        &["mem_used_bytes{a_b=\"3\", key_0=\"true\"} 7@2000"],
    );
    check(
        r#"{"name":"http.requests","unit":"{request}","sum":{"isMonotonic":true,"aggregationTemporality":2,
            "dataPoints":[{"timeUnixNano":2000000000,"asDouble":1.5}]}}"#,
        &["http_requests_total 1.5@2000"],
    );
}

#[test]
fn histograms_become_classic_buckets() {
    check(
        r#"{"name":"d","unit":"s","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"2000000000",
            "count":"6","sum":9.5,"bucketCounts":["1","2","3"],"explicitBounds":[0.5,1]}]}}"#,
        &[
            "d_seconds_sum 9.5@2000",
            "d_seconds_count 6@2000",
            "d_seconds_bucket{le=\"0.5\"} 1@2000",
            "d_seconds_bucket{le=\"1\"} 3@2000",
            "d_seconds_bucket{le=\"+Inf\"} 6@2000",
        ],
    );
}

#[test]
fn summaries_keep_their_quantiles() {
    check(
        r#"{"name":"q","summary":{"dataPoints":[{"timeUnixNano":"2000000000","count":"2","sum":3,
            "quantileValues":[{"quantile":0.5,"value":1},{"quantile":0.99,"value":2}]}]}}"#,
        &["q_sum 3@2000", "q_count 2@2000", "q{quantile=\"0.5\"} 1@2000", "q{quantile=\"0.99\"} 2@2000"],
    );
}

#[test]
fn exponential_histograms_become_native_ones() {
    let point = |scale: i32| {
        format!(
            r#"{{"name":"e","exponentialHistogram":{{"aggregationTemporality":2,"dataPoints":[{{
            "timeUnixNano":"2000000000","count":"10","sum":9,"scale":{scale},"zeroCount":"1",
            "positive":{{"offset":-1,"bucketCounts":["2","0","3","0","0","0","4"]}}}}]}}}}"#
        )
    };
    // A bucket of index i is Prometheus' i + 1; gaps of up to two empty ones stay inside a span.
    check(&point(0), &["e 10 of [(0, 3), (3, 1)] [2.0, 0.0, 3.0, 4.0]@2000"]);
    // Indexes -1, 1, 5 at scale 9 are -1, 0, 2 at 8.
    check(&point(9), &["e 10 of [(0, 4)] [2.0, 3.0, 0.0, 4.0]@2000"]);
    let door = Door::new();
    let appended = send(&door, &point(-5));
    assert!(refusal_text(&appended.refusals).contains("coarser than -4"), "{appended:?}");
}

#[test]
fn deltas_are_summed_up_over_requests() {
    let door = Door::new();
    let sum = |at: u64, value: f64| {
        format!(
            r#"{{"name":"c","sum":{{"isMonotonic":true,"aggregationTemporality":1,"dataPoints":[
            {{"timeUnixNano":"{at}000000000","asDouble":{value}}}]}}}}"#
        )
    };
    assert!(!send(&door, &sum(1, 2.0)).refusals.has_faults());
    assert!(!send(&door, &sum(2, 3.0)).refusals.has_faults());
    let late = send(&door, &sum(2, 3.0));
    assert!(refusal_text(&late.refusals).contains("not newer than the one before"), "{late:?}");
    let kept = shown(&door.kept());
    let sums: Vec<&String> = kept.iter().filter(|line| line.starts_with("c_total")).collect();
    assert_eq!(sums, ["c_total 2@1000", "c_total 5@2000"]);

    let door = Door::new();
    let histogram = |at: u64, scale: i32, counts: &str| {
        format!(
            r#"{{"name":"e","exponentialHistogram":{{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","dataPoints":[
            {{"timeUnixNano":"{at}000000000","count":"3","sum":1,"scale":{scale},"positive":{{"offset":0,"bucketCounts":{counts}}}}}]}}}}"#
        )
    };
    send(&door, &histogram(1, 1, "[1,2]"));
    send(&door, &histogram(2, 0, "[3]"));
    let kept = shown(&door.kept());
    let sums: Vec<&String> = kept.iter().filter(|line| line.starts_with("e ")).collect();
    assert_eq!(sums, ["e 3 of [(1, 2)] [1.0, 2.0]@1000", "e 6 of [(1, 1)] [6.0]@2000"]);
}

#[test]
fn what_is_not_recorded_any_more_ends_its_series() {
    let door = Door::new();
    send(&door, r#"{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"2000000000","flags":1}]}}"#);
    let kept = door.kept();
    assert!(crate::model::sample::is_stale(kept.series[0].1[0].value), "{:?}", kept.series[0]);
}

#[test]
fn a_point_that_cannot_be_kept_costs_no_other() {
    let door = Door::new();
    let appended = send(
        &door,
        r#"{"name":"h","histogram":{"dataPoints":[{"bucketCounts":[1],"explicitBounds":[1,2]}]}},
           {"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"2000000000"},{"timeUnixNano":"2000000000","asDouble":1}]}}"#,
    );
    assert_eq!(shown(&door.kept()), ["g 1@2000", TARGET]);
    let said = refusal_text(&appended.refusals);
    assert!(said.contains("1 buckets for 2 bounds") && said.contains("a point without a value"), "{said}");
}

#[test]
fn names_are_translated_as_the_strategy_says() {
    use Translation::*;
    #[track_caller]
    fn check(name: &str, unit: &str, kind: Kind, expected: [&str; 4]) {
        let strategies = [
            UnderscoreEscapingWithSuffixes,
            UnderscoreEscapingWithoutSuffixes,
            NoUTF8EscapingWithSuffixes,
            NoTranslation,
        ];
        for (translation_strategy, expected) in strategies.into_iter().zip(expected) {
            let settings = OtlpSettings { translation_strategy, ..OtlpSettings::default() };
            assert_eq!(settings.metric_name(name, unit, kind), expected, "{translation_strategy:?}");
        }
    }
    check("a.b", "s", Kind::Gauge, ["a_b_seconds", "a_b", "a.b_seconds", "a.b"]);
    check("a", "By/s", Kind::Gauge, ["a_bytes_per_second", "a", "a_bytes_per_second", "a"]);
    check("a_total", "ms", Kind::Counter, ["a_milliseconds_total", "a_total", "a_total_milliseconds_total", "a_total"]);
    check("used", "1", Kind::Gauge, ["used_ratio", "used", "used_ratio", "used"]);
    check("1st", "", Kind::Histogram, ["_1st", "_1st", "1st", "1st"]);
    check("disk bytes", "By", Kind::Gauge, ["disk_bytes", "disk_bytes", "disk bytes", "disk bytes"]);
}

#[test]
fn attributes_are_promoted_and_names_that_meet_are_joined() {
    let otlp = OtlpSettings { promote_resource_attributes: vec!["host.name".into()], ..OtlpSettings::default() };
    let door = Door::with(Settings { otlp, ..Settings::default() });
    send(
        &door,
        r#"{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"2000000000","asInt":1,"attributes":[
           {"key":"a.b","value":{"stringValue":"1"}},{"key":"a_b","value":{"stringValue":"2"}},
           {"key":"list","value":{"arrayValue":{"values":[{"intValue":1},{"stringValue":"x"}]}}},
           {"key":"job","value":{"stringValue":"forged"}}]}]}}"#,
    );
    assert_eq!(shown(&door.kept())[0], "g{a_b=\"1;2\", host_name=\"h\", list=\"[1,\\\"x\\\"]\"} 1@2000");
}

/// Ten thousand changed requests in both forms: none panics.
#[test]
fn mutated_requests_are_refused_or_read() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"e","exponentialHistogram":{"aggregationTemporality":1,
        "dataPoints":[{"timeUnixNano":"2000000000","count":"10","sum":9,"scale":9,"zeroCount":"1",
        "positive":{"offset":-1,"bucketCounts":["2","0","3"]}}]}},{"name":"h","histogram":{"dataPoints":[{"count":1,
        "bucketCounts":["1","2","3"],"explicitBounds":[0.5,1]}]}}]}]}]}"#;
    let protobuf = super::json::to_protobuf(json.as_bytes()).unwrap();
    let mut seed = 3u64;
    let door = Door::new();
    for (body, format) in [(json.as_bytes(), ImportFormat::OtlpJson), (&protobuf, ImportFormat::Otlp)] {
        for _ in 0..10_000 {
            let mut bytes = body.to_vec();
            for _ in 0..2 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (seed >> 33) as usize % bytes.len();
                bytes[at] = (seed >> 24) as u8;
            }
            let _ = door.ingest.import(&ImportRequest {
                body: &bytes,
                content_encoding: None,
                format: &format,
                extra: &[],
                replica: None,
                labels: &[],
                received_at: Timestamp::from_millis(0),
            });
        }
    }
}

#[test]
fn exemplars_stand_with_the_bucket_that_their_value_lies_in() {
    let door = Door::new();
    let exemplar = |value: &str, ids: &str| format!(r#"{{"timeUnixNano":"1500000000","asDouble":{value}{ids}}}"#);
    let ids = r#","traceId":"000102030405060708090a0b0c0d0e0f","spanId":"00ff00ff00ff00ff""#;
    let long = format!(
        r#","traceId":"0f","filteredAttributes":[{{"key":"k","value":{{"stringValue":"{}"}}}}]"#,
        "x".repeat(200)
    );
    let attributes = r#","filteredAttributes":[{"key":"who","value":{"stringValue":"me"}},{"key":"raw","value":{"bytesValue":"AP8="}}]"#;
    let exemplars = [exemplar("0.5", ids), exemplar("1.5", &long), exemplar("9", attributes)].join(",");
    let histogram = format!(
        r#"{{"name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[{{"timeUnixNano":"2000000000","count":"3",
            "bucketCounts":["1","1","1"],"explicitBounds":[1,2],"exemplars":[{exemplars}]}}]}}}}"#
    );
    let counter = format!(
        r#"{{"name":"c","sum":{{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[
            {{"timeUnixNano":"2000000000","asInt":"3","exemplars":[{}]}}]}}}}"#,
        exemplar("1", ids)
    );
    let appended = send(&door, &format!("{histogram},{counter}"));
    assert_eq!(appended.exemplars, 4);
    let kept = door.kept();
    let shown: Vec<String> = kept
        .exemplars
        .iter()
        .map(|(series, one)| {
            let labels = &kept.series[*series].0.labels;
            let bucket = labels.get("le").or(labels.metric_name()).unwrap_or("");
            format!("{bucket}: {} {}@{}", one.labels, one.value, one.at.as_millis())
        })
        .collect();
    let expected = [
        r#"1: {span_id="00ff00ff00ff00ff", trace_id="000102030405060708090a0b0c0d0e0f"} 0.5@1500"#,
        r#"2: {trace_id="0f"} 1.5@1500"#,
        r#"+Inf: {raw="AP8=", who="me"} 9@1500"#,
        r#"c_total: {span_id="00ff00ff00ff00ff", trace_id="000102030405060708090a0b0c0d0e0f"} 1@1500"#,
    ];
    assert_eq!(shown, expected);
}
