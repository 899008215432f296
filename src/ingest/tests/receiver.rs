//! The cases of a remote write receiver's acceptance, one row each, and what was written is read back.
//!
//! Described by prometheus/compliance: content types and encodings, broken bodies, samples, histograms, exemplars,
//! metadata, mixtures, and version 1 beside version 2. The statuses these outcomes become are tested in `http`.

use super::v2::{Symbols, samples};
use super::*;

/// What a request holds, and under which headers it comes.
struct Case {
    name: &'static str,
    kind: Option<&'static str>,
    encoding: Option<&'static str>,
    body: Vec<u8>,
    expected: Expected,
}

#[derive(Debug, PartialEq)]
enum Expected {
    /// Written in full or in part: samples, histograms, exemplars, refused; and the series that can be read back.
    Written([u64; 4], Vec<&'static str>),
    /// 415
    Unsupported,
    /// 400, and nothing is kept.
    Malformed,
}

use Expected::{Malformed, Unsupported, Written as Kept};

fn case(name: &'static str, request: &p2::Request, counts: [u64; 4], series: &[&'static str]) -> Case {
    let body = snappy(&request.encode_to_vec());
    Case { name, kind: Some(V2), encoding: Some("snappy"), body, expected: Kept(counts, series.to_vec()) }
}

fn one(labels: &[(&str, &str)], change: impl FnOnce(&mut p2::TimeSeries, &mut Symbols)) -> p2::Request {
    let mut symbols = Symbols::new();
    let labels_refs = symbols.labels(labels);
    let mut series = p2::TimeSeries { labels_refs, samples: samples(&[(1, 1.0)]), ..Default::default() };
    change(&mut series, &mut symbols);
    symbols.request(vec![series])
}

fn up(change: impl FnOnce(&mut p2::TimeSeries, &mut Symbols)) -> p2::Request {
    one(&[("__name__", "up"), ("job", "a")], change)
}

fn histogram(change: impl FnOnce(&mut p2::Histogram)) -> p2::Request {
    let mut sent = histograms::integer_v2();
    change(&mut sent);
    up(|series, _| (series.samples, series.histograms) = (vec![], vec![sent]))
}

fn float(sent: &mut p2::Histogram) {
    sent.count = Some(p2::histogram::Count::CountFloat(12.5));
    sent.zero_count = Some(p2::histogram::ZeroCount::ZeroCountFloat(4.5));
    (sent.positive_deltas, sent.negative_deltas) = (vec![], vec![]);
    (sent.positive_counts, sent.negative_counts) = (vec![1.0, 3.0, 2.0], vec![2.0]);
}

fn custom(sent: &mut p2::Histogram) {
    let count = Some(p2::histogram::Count::CountInt(3));
    let positive_spans = vec![p2::BucketSpan { offset: 0, length: 2 }];
    *sent = p2::Histogram { count, schema: -53, positive_spans, timestamp: 5, ..Default::default() };
    (sent.positive_deltas, sent.custom_values) = (vec![1, 1], vec![0.5, 1.0]);
}

fn exemplar(symbols: &mut Symbols, value: &str) -> p2::Exemplar {
    p2::Exemplar { labels_refs: symbols.labels(&[("trace_id", value)]), value: 0.5, timestamp: 1 }
}

fn described(kind: i32) -> p2::Request {
    up(|series, symbols| {
        let (help_ref, unit_ref) = (symbols.reference("Help."), symbols.reference("seconds"));
        series.metadata = Some(p2::Metadata { r#type: kind, help_ref, unit_ref });
    })
}

fn cases() -> Vec<Case> {
    let good = up(|_, _| {});
    let plain = good.encode_to_vec();
    let raw = |name, kind, encoding, body: Vec<u8>, expected| Case { name, kind, encoding, body, expected };
    let kept = || Kept([1, 0, 0, 0], vec!["up{job=\"a\"}"]);
    let old = v1(vec![series(&[("__name__", "up"), ("job", "a")], &[(1, 1.0)])]).encode_to_vec();
    let stale = f64::from_bits(crate::model::sample::STALE_NAN_BITS);
    let mut cases = vec![
        raw("version 2", Some(V2), Some("snappy"), snappy(&plain), kept()),
        raw(
            "version 1 by name",
            Some("application/x-protobuf;proto=prometheus.WriteRequest"),
            Some("snappy"),
            snappy(&old),
            kept(),
        ),
        raw("version 1 without a name", Some("application/x-protobuf"), Some("snappy"), snappy(&old), kept()),
        raw("no content type", None, Some("snappy"), snappy(&old), kept()),
        raw("json", Some("application/json"), Some("snappy"), snappy(&plain), Unsupported),
        raw("a picture", Some("image/png"), Some("snappy"), snappy(&plain), Unsupported),
        raw(
            "an unknown message",
            Some("application/x-protobuf;proto=io.prometheus.write.v9.Request"),
            Some("snappy"),
            snappy(&plain),
            Unsupported,
        ),
        raw("gzip", Some(V2), Some("gzip"), plain.clone(), Unsupported),
        raw("deflate", Some(V2), Some("deflate"), plain.clone(), Unsupported),
        raw("an unknown encoding", Some(V2), Some("br"), plain.clone(), Unsupported),
        raw("no snappy", Some(V2), Some("snappy"), plain.clone(), Malformed),
        raw("snappy cut short", Some(V2), Some("snappy"), snappy(&plain)[..9].to_vec(), Malformed),
        raw("no protobuf", Some(V2), Some("snappy"), snappy(b"\xff\xff\xff\xff"), Malformed),
        raw("protobuf cut short", Some(V2), Some("snappy"), snappy(&plain[..plain.len() - 3]), Malformed),
        raw("nothing", Some(V2), Some("snappy"), vec![], Malformed),
        raw("version 1 under the name of 2", Some(V2), Some("snappy"), snappy(&old), Malformed),
        raw("version 2 under the name of 1", None, Some("snappy"), snappy(&plain), Malformed),
    ];
    let series = &["up{job=\"a\"}"][..];
    cases.extend([
        case(
            "several samples",
            &up(|series, _| series.samples = samples(&[(1, 1.0), (2, 2.0), (3, 3.0)])),
            [3, 0, 0, 0],
            series,
        ),
        case(
            "samples out of order",
            &up(|series, _| series.samples = samples(&[(3, 1.0), (1, 2.0)])),
            [2, 0, 0, 0],
            series,
        ),
        case(
            "the same sample twice",
            &up(|series, _| series.samples = samples(&[(1, 1.0), (1, 1.0)])),
            [2, 0, 0, 0],
            series,
        ),
        case("a stale marker", &up(|series, _| series.samples = samples(&[(1, stale)])), [1, 0, 0, 0], series),
        case(
            "values beyond numbers",
            &up(|series, _| series.samples = samples(&[(1, f64::NAN), (2, f64::INFINITY), (3, 0.0)])),
            [3, 0, 0, 0],
            series,
        ),
        case("a start", &up(|series, _| series.samples[0].start_timestamp = 1), [1, 0, 0, 0], series),
        case("an integer histogram", &histogram(|_| {}), [0, 1, 0, 0], series),
        case("a float histogram", &histogram(float), [0, 1, 0, 0], series),
        case("custom buckets", &histogram(custom), [0, 1, 0, 0], series),
        case("a gauge histogram", &histogram(|sent| sent.reset_hint = 3), [0, 1, 0, 0], series),
        case("a histogram with a start", &histogram(|sent| sent.start_timestamp = 5), [0, 1, 0, 0], series),
        case("a histogram that contradicts itself", &histogram(|sent| sent.schema = 99), [0, 0, 0, 1], series),
        case(
            "an exemplar",
            &up(|series, symbols| series.exemplars = vec![exemplar(symbols, "t")]),
            [1, 0, 1, 0],
            series,
        ),
        case(
            "an exemplar that is too long",
            &up(|series, symbols| series.exemplars = vec![exemplar(symbols, &"t".repeat(200))]),
            [1, 0, 0, 0],
            series,
        ),
        case("labels in another order", &one(&[("job", "a"), ("__name__", "up")], |_, _| {}), [1, 0, 0, 0], series),
        case(
            "names of any letters",
            &one(&[("__name__", "über.all"), ("a b", "☃")], |_, _| {}),
            [1, 0, 0, 0],
            &["{\"über.all\", \"a b\"=\"☃\"}"],
        ),
        case("an empty value", &one(&[("__name__", "up"), ("job", "a"), ("x", "")], |_, _| {}), [1, 0, 0, 0], series),
        case(
            "samples beside histograms",
            &up(|series, _| series.histograms = vec![histograms::integer_v2()]),
            [0, 0, 0, 2],
            &[],
        ),
        case("neither samples nor histograms", &up(|series, _| series.samples = vec![]), [0, 0, 0, 1], &[]),
        case("a symbol that is not there", &up(|series, _| series.labels_refs[1] = 77), [0, 0, 0, 1], &[]),
        case("half a label", &up(|series, _| series.labels_refs.push(1)), [0, 0, 0, 1], &[]),
        case("a label twice", &one(&[("__name__", "up"), ("job", "a"), ("job", "b")], |_, _| {}), [0, 0, 0, 1], &[]),
        case("a label without a name", &one(&[("__name__", "up"), ("", "a")], |_, _| {}), [0, 0, 0, 1], &[]),
        case("no metric name", &one(&[("job", "a")], |_, _| {}), [0, 0, 0, 1], &[]),
    ]);
    // Unspecified, and each of the seven types there are.
    cases.extend((0..8).map(|kind| case("metadata", &described(kind), [1, 0, 0, 0], series)));
    let mut mixed = Symbols::new();
    let (good, bad) = (mixed.labels(&[("__name__", "up"), ("job", "a")]), mixed.labels(&[("job", "b")]));
    let with = |labels_refs| p2::TimeSeries { labels_refs, samples: samples(&[(1, 1.0)]), ..Default::default() };
    let mixed = mixed.request(vec![with(bad.clone()), with(good), with(bad)]);
    cases.push(case("good among bad", &mixed, [1, 0, 0, 2], series));
    cases
}

#[test]
fn every_case_is_answered_and_read_back() {
    let cases = cases();
    assert!(cases.len() >= 39, "{} cases", cases.len());
    for Case { name, kind, encoding, body, expected } in cases {
        let door = Door::new();
        let request = WriteRequest { content_type: kind, content_encoding: encoding, ..request(&body) };
        let found = match door.ingest.write(&request) {
            Ok(Written { appended, .. }) => {
                let Appended { samples, histograms, exemplars, refusals, .. } = appended;
                let kept = door.kept().series.iter().map(|(name, _)| name.labels.to_string()).collect::<Vec<_>>();
                ([samples, histograms, exemplars, refusals.total()], kept)
            }
            Err(error) => {
                let kind = if matches!(error, IngestError::Unsupported(_)) { Unsupported } else { Malformed };
                assert_eq!(kind, expected, "{name}: {error}");
                assert!(door.kept().series.is_empty(), "{name}");
                continue;
            }
        };
        let Kept(counts, series) = expected else { panic!("{name}: {found:?} instead of {expected:?}") };
        assert_eq!((found.0, found.1), (counts, series.iter().map(ToString::to_string).collect()), "{name}");
    }
}
