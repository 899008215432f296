//! Remote write 1.0, held against the generated decoder.

use proptest::prelude::*;
use prost::Message;

use super::super::digests::Digests;
use super::super::told::Told;
use super::*;

#[test]
fn samples_keep_every_bit_and_their_order() {
    let stale = f64::from_bits(crate::model::STALE_NAN_BITS);
    let odd_nan = f64::from_bits(0x7ff8_0000_0000_1234);
    let values = [0.0, -1.5, f64::INFINITY, f64::NEG_INFINITY, stale, odd_nan, 5e-324];
    let samples: Vec<_> = values.iter().enumerate().map(|(index, value)| (index as i64 - 3, *value)).collect();
    let door = Door::new();
    let written = door.send_v1(&v1(vec![series(&[("__name__", "up")], &samples)])).unwrap();
    assert_eq!(written.appended.samples, 7);
    let kept = door.kept().series;
    let expected: Vec<_> = samples.iter().map(|(at, value)| (*at, value.to_bits(), None)).collect();
    assert_eq!(rows(&kept[0].1), expected);
}

#[test]
fn a_key_is_the_label_bytes_as_sent() {
    let sent = series(&[("__name__", "up"), ("job", "node")], &[(1, 1.0)]);
    let labels = p1::TimeSeries { labels: sent.labels.clone(), ..Default::default() }.encode_to_vec();
    let door = Door::new();
    door.send_v1(&v1(vec![sent])).unwrap();
    assert_eq!(door.kept().keys, [labels]);
}

#[test]
fn labels_in_more_than_one_place_are_brought_together() {
    let (front, back) =
        (series(&[("__name__", "up")], &[(1, 1.0)]), series(&[("job", "node"), ("a", "b")], &[(2, 2.0)]));
    let scattered = [front.encode_to_vec(), back.encode_to_vec()].concat();
    let mut body = vec![0x0a, u8::try_from(scattered.len()).unwrap()];
    body.extend(scattered);
    let door = Door::new();
    door.ingest.write(&request(&snappy(&body))).unwrap();
    let kept = door.kept();
    assert_eq!(kept.series[0].0, named(&[("__name__", "up"), ("job", "node"), ("a", "b")]));
    assert_eq!(rows(&kept.series[0].1).len(), 2);
    let together = series(&[("__name__", "up"), ("job", "node"), ("a", "b")], &[(1, 1.0)]);
    door.send_v1(&v1(vec![together])).unwrap();
    assert_eq!(door.kept().keys, kept.keys, "the same key as if they had come in one piece");
}

#[test]
fn exemplars_come_with_or_without_samples() {
    let exemplar = |text: &str| p1::Exemplar { labels: vec![label("trace_id", text)], value: 0.5, timestamp: 7 };
    let mut alone = series(&[("__name__", "a")], &[]);
    alone.exemplars = vec![exemplar("x"), exemplar(&"long".repeat(40))];
    let door = Door::new();
    let empty = series(&[("__name__", "nothing")], &[]);
    let written = door.send_v1(&v1(vec![empty, series(&[("__name__", "b")], &[(1, 1.0)]), alone])).unwrap();
    assert_eq!((written.appended.samples, written.appended.exemplars), (1, 1));
    let kept = door.kept();
    let expected =
        Exemplar { labels: Labels::from_pairs([("trace_id", "x")]), value: 0.5, at: Timestamp::from_millis(7) };
    assert_eq!(kept.exemplars, [(1, expected)]);
    assert_eq!(kept.series.len(), 2, "a series with nothing in it is not worth a name");
}

#[test]
fn metadata_is_passed_on_alone_too() {
    let metadata = p1::MetricMetadata {
        r#type: 1,
        metric_family_name: "http_requests_total".to_owned(),
        help: "Requests.".to_owned(),
        unit: String::new(),
    };
    let door = Door::new();
    door.send_v1(&p1::WriteRequest { metadata: vec![metadata], timeseries: Vec::new() }).unwrap();
    let expected = MetricMetadata { kind: "counter".to_owned(), help: "Requests.".to_owned(), unit: String::new() };
    assert_eq!(door.kept().metadata, [("http_requests_total".to_owned(), expected)]);
}

#[test]
fn a_request_cut_anywhere_is_refused_or_a_shorter_request() {
    let mut rich = series(&[("__name__", "up"), ("job", "node")], &[(1, 1.0), (2, 2.0)]);
    rich.exemplars = vec![p1::Exemplar { labels: vec![label("a", "b")], value: 1.0, timestamp: 300 }];
    rich.histograms = vec![histograms::integer()];
    let body = v1(vec![series(&[("__name__", "first")], &[(1, 1.0)]), rich]).encode_to_vec();
    let ends: Vec<usize> = {
        let first = 2 + usize::from(body[1]);
        vec![first, body.len()]
    };
    for cut in 1..=body.len() {
        let door = Door::new();
        let written = door.ingest.write(&request(&snappy(&body[..cut])));
        assert_eq!(written.is_ok(), ends.contains(&cut), "cut at {cut} of {}", body.len());
        if written.is_err() {
            assert!(door.kept().series.is_empty(), "nothing of a broken request is kept");
        }
    }
}

fn any_label() -> impl Strategy<Value = p1::Label> {
    ("[a-z_]{0,4}", "[a-z☃]{0,200}").prop_map(|(name, value)| p1::Label { name, value })
}

fn any_series() -> impl Strategy<Value = p1::TimeSeries> {
    let sample = (any::<u64>(), any::<i64>())
        .prop_map(|(bits, timestamp)| p1::Sample { value: f64::from_bits(bits), timestamp });
    let histogram = prop_oneof![4 => Just(None), 1 => Just(Some(histograms::integer()))];
    (prop::collection::vec(any_label(), 0..6), prop::collection::vec(sample, 0..4), histogram).prop_map(
        |(labels, samples, histogram)| p1::TimeSeries {
            labels,
            samples,
            histograms: histogram.into_iter().collect(),
            ..Default::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The reader and the generated decoder see the same series, labels and samples.
    #[test]
    fn the_reader_agrees_with_the_generated_decoder(timeseries in prop::collection::vec(any_series(), 0..5)) {
        let bytes = v1(timeseries).encode_to_vec();
        let oracle = p1::WriteRequest::decode(bytes.as_slice()).unwrap();
        let decoded = super::super::wire::decode(WriteVersion::V1, &bytes, &Settings::default(), &Digests::new(0), &Told::default()).unwrap();
        let batch = decoded.batch_series();
        let expected: Vec<_> =
            oracle.timeseries.iter().filter(|series| !series.samples.is_empty() || !series.histograms.is_empty()).collect();
        prop_assert_eq!(batch.len(), expected.len());
        for (series, expected) in batch.iter().zip(expected) {
            let labels: Vec<_> = super::super::wire::key::labels(series.key)
                .map(|label| label.map(|(name, value)| (name.to_vec(), value.to_vec())).unwrap())
                .collect();
            let expected_labels: Vec<_> = expected
                .labels
                .iter()
                .map(|label| (label.name.clone().into_bytes(), label.value.clone().into_bytes()))
                .collect();
            prop_assert_eq!(labels, expected_labels);
            let samples = &decoded.samples[series.samples.clone()];
            prop_assert_eq!(samples.len(), expected.samples.len() + expected.histograms.len());
            for (sample, expected) in samples.iter().zip(&expected.samples) {
                prop_assert_eq!(sample.at.as_millis(), expected.timestamp);
                prop_assert_eq!(sample.value.to_bits(), expected.value.to_bits());
            }
        }
    }
}
