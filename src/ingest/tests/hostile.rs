//! Bodies that nobody writes by accident.

use proptest::prelude::*;
use prost::Message;

use super::*;

#[track_caller]
fn refused(settings: Settings, body: &[u8], why: &str) {
    let door = Door::with(settings);
    let error = door.ingest.write(&request(&snappy(body))).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
    assert!(door.kept().series.is_empty());
}

#[test]
fn lengths_that_lie_are_found_at_every_depth() {
    let plain = Settings::default;
    refused(plain(), &[0x0a, 0x05, 0x0a], "write request is cut short");
    refused(plain(), &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "write request is cut short");
    refused(plain(), &[0x0a, 0x03, 0x0a, 0x7f, 0x00], "series is cut short");
    refused(plain(), &[0x0a, 0x04, 0x12, 0x02, 0x10, 0x80], "sample is cut short");
    refused(plain(), &[0x0a, 0x04, 0x12, 0x02, 0x09, 0x00], "sample is cut short");
    refused(plain(), &[0x0a, 0x02, 0x10, 0x00], "field 2 of series");
    refused(plain(), &[0x0b], "no field");
    refused(plain(), &[0x00, 0x00], "no field");
    refused(plain(), &[0x08, 0x00], "field 1 of write request");
    // A label that lies inside bytes that are whole: only that series is refused.
    let door = Door::new();
    let written = door.ingest.write(&request(&snappy(&[0x0a, 0x06, 0x0a, 0x02, 0x0a, 0x09, 0x12, 0x00]))).unwrap();
    assert_eq!(written.appended.refusals.counts, [("malformed", 1)]);
}

#[test]
fn requests_hold_a_limited_number_of_everything() {
    let tiny = Settings {
        series_per_request_max: 2,
        samples_per_request_max: 3,
        symbols_per_request_max: 4,
        ..Settings::default()
    };
    let one = || series(&[("__name__", "up")], &[(1, 1.0)]);
    assert!(Door::with(tiny.clone()).send_v1(&v1(vec![one(), one()])).is_ok());
    refused(tiny.clone(), &v1(vec![one(), one(), one()]).encode_to_vec(), "more than 2 series");
    let long = series(&[("__name__", "up")], &[(1, 1.0); 4]);
    refused(tiny.clone(), &v1(vec![long]).encode_to_vec(), "more than 3 samples");
    let symbols = p2::Request { symbols: vec![String::new(); 5], timeseries: Vec::new() };
    let error = Door::with(tiny).send_v2(&symbols).unwrap_err().to_string();
    assert_eq!(error, "more than 4 symbols in one request");
}

#[test]
fn a_million_labels_cost_one_refusal() {
    let mut wide = series(&[("__name__", "up")], &[(1, 1.0)]);
    wide.labels.extend((0..1_000_000).map(|_| label("a", "b")));
    let written = Door::new().send_v1(&v1(vec![wide])).unwrap();
    assert_eq!(written.appended.refusals.counts, [("too_many_labels", 1)]);
}

#[test]
fn a_symbol_repeated_without_end_is_not_copied_without_end() {
    let mut symbols = v2::Symbols::new();
    let big = "x".repeat(16_000);
    let labels_refs = symbols.labels(&[("__name__", &big)]);
    let samples = v2::samples(&[(1, 1.0)]);
    let one = p2::TimeSeries { labels_refs, samples, ..Default::default() };
    let settings = Settings { label_value_bytes_max: 1_000, ..Settings::default() };
    let written = Door::with(settings).send_v2(&symbols.request(vec![one; 10_000])).unwrap();
    assert_eq!(written.appended.refusals.counts, [("label_value_too_long", 10_000)]);
    let text = super::super::refusal_text(&written.appended.refusals);
    assert!(text.len() <= 1024, "{text}");
}

#[test]
fn labels_scattered_without_end_are_not_copied_without_end() {
    let scattered = [&[0x12, 0x00][..], &[0x0a, 0x00].repeat(100_000)].concat();
    let body = v1(Vec::new()).encode_to_vec();
    assert!(body.is_empty());
    let mut body = vec![0x0a];
    prost::encoding::encode_varint(scattered.len() as u64, &mut body);
    body.extend(scattered);
    refused(Settings::default(), &body, "bytes of labels in one request");
}

#[test]
fn the_report_fits_a_senders_log() {
    let bad = |name: &str| series(&[("__name__", name), ("a", "1"), ("a", "2")], &[(1, 1.0)]);
    let door = Door::new();
    let mut histogram = series(&[("__name__", "h"), ("note", "two\nlines")], &[]);
    histogram.histograms = vec![p1::Histogram { schema: 99, timestamp: 1500, ..Default::default() }];
    let mut all = vec![histogram];
    all.extend((0..4).map(|index| bad(&format!("m{index}"))));
    let written = door.send_v1(&v1(all)).unwrap();
    let text = super::super::refusal_text(&written.appended.refusals);
    assert!(text.starts_with("5 samples refused ("), "{text}");
    assert!(text.contains("duplicate_label_name 4") && text.contains("bad_histogram 1"), "{text}");
    assert!(text.contains(r#"{__name__="h", note="two\nlines"} at 1.500: bad histogram: unknown schema 99"#), "{text}");
    let long = series(&[("__name__", &"x".repeat(4096)), ("a", &"y".repeat(4096)), ("a", "")], &[(1, 1.0)]);
    let written = door.send_v1(&v1(vec![long; 100])).unwrap();
    let text = super::super::refusal_text(&written.appended.refusals);
    assert!(text.contains("duplicate_label_name 100") && text.contains("xxx..."), "{text}");
    assert!(text.len() <= 1024 && !text.contains('\n'), "{text}");
}

fn valid_bodies() -> (Vec<u8>, Vec<u8>) {
    let mut one = series(&[("__name__", "up"), ("job", "node")], &[(1_600_000_000_000, 1.5), (1_600_000_015_000, 2.5)]);
    one.histograms = vec![histograms::integer()];
    one.exemplars = vec![p1::Exemplar { labels: vec![label("trace_id", "x")], value: 1.0, timestamp: 3 }];
    let metadata = vec![p1::MetricMetadata { metric_family_name: "up".to_owned(), ..Default::default() }];
    let v1 = p1::WriteRequest { timeseries: vec![one.clone(), one], metadata }.encode_to_vec();
    let mut symbols = v2::Symbols::new();
    let labels_refs = symbols.labels(&[("__name__", "h"), ("job", "node")]);
    let histograms = vec![histograms::integer_v2()];
    let metadata = Some(p2::Metadata { r#type: 3, help_ref: 1, unit_ref: 0 });
    let exemplars = vec![p2::Exemplar { labels_refs: labels_refs.clone(), value: 1.0, timestamp: 2 }];
    let two = p2::TimeSeries { labels_refs, histograms, exemplars, metadata, ..Default::default() };
    (v1, symbols.request(vec![two.clone(), two]).encode_to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is done to a body, the answer is an answer; and what prost reads from a version 1 body, we read too.
    #[test]
    fn mutated_bodies_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6)) {
        let (one, two) = valid_bodies();
        for (mut body, content_type) in [(one, None), (two, Some(V2))] {
            for (place, byte, kind) in &changes {
                let at = place.index(body.len());
                match kind {
                    0 => body[at] = *byte,
                    1 => body.insert(at, *byte),
                    _ => drop(body.remove(at)),
                }
            }
            let door = Door::new();
            let plain = WriteRequest { content_type, content_encoding: Some("identity"), ..request(&body) };
            let read = door.ingest.write(&plain).is_ok();
            if content_type.is_none() && p1::WriteRequest::decode(body.as_slice()).is_ok() {
                let foreign = door.ingest.write(&plain).is_err_and(|error| error.to_string().contains("remote write 1.0"));
                prop_assert!(read || foreign || has_groups(&body));
            }
            // The same bytes as if they were compressed.
            for content_encoding in [None, Some("snappy"), Some("zstd")] {
                let _ = door.ingest.write(&WriteRequest { content_encoding, ..plain });
            }
        }
    }
}

/// Groups are no part of proto3; prost skips them all the same.
fn has_groups(body: &[u8]) -> bool {
    body.iter().any(|byte| matches!(byte & 7, 3 | 4))
}
