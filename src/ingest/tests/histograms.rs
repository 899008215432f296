//! Native histograms: deltas become counts, and contradictions are found.

use super::*;
use crate::model::ResetHint;
use crate::model::histogram::BucketSpan;

fn span(offset: i32, length: u32) -> p1::BucketSpan {
    p1::BucketSpan { offset, length }
}

/// 1 + 3 + 2 positive, 2 negative, 4 around zero: 12 observations.
pub(super) fn integer() -> p1::Histogram {
    p1::Histogram {
        count: Some(p1::histogram::Count::CountInt(12)),
        sum: 18.4,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: Some(p1::histogram::ZeroCount::ZeroCountInt(4)),
        negative_spans: vec![span(0, 1)],
        negative_deltas: vec![2],
        positive_spans: vec![span(-3, 2), span(1, 1)],
        positive_deltas: vec![1, 2, -1],
        reset_hint: p1::histogram::ResetHint::No.into(),
        timestamp: 77,
        ..Default::default()
    }
}

pub(super) fn integer_v2() -> p2::Histogram {
    use prost::Message;
    p2::Histogram::decode(integer().encode_to_vec().as_slice()).unwrap()
}

fn custom() -> p1::Histogram {
    p1::Histogram {
        count: Some(p1::histogram::Count::CountFloat(3.5)),
        sum: 9.0,
        schema: -53,
        positive_spans: vec![span(0, 1), span(1, 1)],
        positive_counts: vec![1.0, 2.5],
        custom_values: vec![0.5, 1.0],
        timestamp: 78,
        ..Default::default()
    }
}

fn send(histogram: p1::Histogram) -> Result<Histogram, String> {
    let mut sent = series(&[("__name__", "h")], &[(1, 1.0)]);
    sent.histograms = vec![histogram];
    let door = Door::new();
    let written = door.send_v1(&v1(vec![sent])).unwrap();
    assert_eq!(written.appended.samples, 1, "the float beside it is kept");
    let kept = door.kept();
    match rows(&kept.series[0].1).get(1) {
        Some((_, _, histogram)) => Ok(histogram.clone().unwrap()),
        None => Err(written.appended.refusals.first[0].why.to_string()),
    }
}

#[test]
fn integer_deltas_become_absolute_counts() {
    let expected = Histogram {
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 4.0,
        count: 12.0,
        sum: 18.4,
        positive_spans: vec![BucketSpan { offset: -3, length: 2 }, BucketSpan { offset: 1, length: 1 }],
        positive_buckets: vec![1.0, 3.0, 2.0],
        negative_spans: vec![BucketSpan { offset: 0, length: 1 }],
        negative_buckets: vec![2.0],
        custom_values: Vec::new(),
        reset_hint: ResetHint::No,
        integer: true,
    };
    assert_eq!(send(integer()), Ok(expected));
}

#[test]
fn custom_buckets_keep_their_bounds() {
    let histogram = send(custom()).unwrap();
    assert_eq!((histogram.custom_values, histogram.positive_buckets), (vec![0.5, 1.0], vec![1.0, 2.5]));
    assert!(!histogram.integer);
}

#[test]
fn a_stale_histogram_passes_as_it_is() {
    let sum = f64::from_bits(crate::model::STALE_NAN_BITS);
    assert!(send(p1::Histogram { sum, ..Default::default() }).unwrap().is_stale());
}

#[test]
fn version_2_counts_histograms_apart() {
    let mut request = v2::message(&[("__name__", "h")], &[]);
    request.timeseries[0].histograms = vec![p2::Histogram { start_timestamp: 5, ..integer_v2() }];
    let door = Door::new();
    let written = door.send_v2(&request).unwrap();
    assert_eq!((written.appended.samples, written.appended.histograms), (0, 1));
    let sample = &door.kept().series[0].1[0];
    assert_eq!((sample.at.as_millis(), sample.start.as_millis()), (77, 5));
}

#[test]
fn contradictions_are_refused() {
    use p1::histogram::{Count, ZeroCount};
    #[track_caller]
    fn check(histogram: p1::Histogram, why: &str) {
        let refusal = send(histogram).unwrap_err();
        assert!(refusal.contains(why), "{refusal}");
    }
    let sane = integer;
    check(
        p1::Histogram { count: Some(Count::CountInt(11)), ..sane() },
        "12 observations in buckets, but a count of 11",
    );
    let nan_counted = p1::Histogram { count: Some(Count::CountInt(15)), sum: f64::NAN, ..sane() };
    assert!(send(nan_counted).is_ok(), "observations of NaN fall in no bucket");
    check(p1::Histogram { count: Some(Count::CountInt(11)), sum: f64::NAN, ..sane() }, "but a count of 11");
    check(p1::Histogram { count: Some(Count::CountFloat(12.0)), ..sane() }, "integer buckets under a float count");
    check(p1::Histogram { positive_deltas: vec![1, -2, 3], ..sane() }, "positive bucket count is negative");
    check(p1::Histogram { positive_deltas: vec![i64::MAX, 1, 0], ..sane() }, "overflow");
    check(p1::Histogram { positive_deltas: vec![1, 2], ..sane() }, "spans of 3 buckets, but 2 buckets");
    check(p1::Histogram { positive_spans: vec![span(0, u32::MAX), span(0, u32::MAX)], ..sane() }, "but 3 buckets");
    check(p1::Histogram { positive_spans: vec![span(0, 2), span(-1, 1)], ..sane() }, "spans overlap");
    check(p1::Histogram { schema: 9, ..sane() }, "unknown schema 9");
    check(p1::Histogram { custom_values: vec![1.0], ..sane() }, "exponential buckets with custom bounds");
    check(p1::Histogram { zero_threshold: -1.0, ..sane() }, "zero threshold");
    check(p1::Histogram { custom_values: vec![1.0, 1.0], ..custom() }, "do not rise");
    check(p1::Histogram { custom_values: vec![1.0, f64::INFINITY], ..custom() }, "not finite");
    check(p1::Histogram { custom_values: vec![], ..custom() }, "more custom buckets than bounds");
    check(p1::Histogram { zero_count: Some(ZeroCount::ZeroCountFloat(1.0)), ..custom() }, "zero bucket");
    check(p1::Histogram { negative_spans: vec![span(0, 0)], ..custom() }, "negative buckets");
    check(p1::Histogram { count: Some(Count::CountFloat(-1.0)), ..custom() }, "negative");
    check(p1::Histogram { positive_counts: vec![1.0, -0.5], ..custom() }, "negative");
}

#[test]
fn buckets_of_a_request_are_limited() {
    let many = p1::Histogram { positive_deltas: vec![0; 1_000_000], ..integer() };
    assert!(send(many.clone()).unwrap_err().contains("1000000 buckets"), "a million buckets without spans");
    let mut sent = series(&[("__name__", "h")], &[]);
    sent.histograms = vec![many.clone(), many.clone(), many];
    let error = Door::new().send_v1(&v1(vec![sent])).unwrap_err();
    assert_eq!(error.to_string(), "more than 2000000 histogram buckets in one request");
}
