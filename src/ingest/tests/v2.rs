//! Remote write 2.0: symbols, and series that break the protocol alone.

use proptest::prelude::*;

use super::*;

/// Symbols are collected as they are needed.
#[derive(Default)]
pub(super) struct Symbols(Vec<String>);

impl Symbols {
    pub(super) fn new() -> Self {
        Symbols(vec![String::new()])
    }

    pub(super) fn reference(&mut self, text: &str) -> u32 {
        let at = self.0.iter().position(|known| known == text).unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        u32::try_from(at).unwrap()
    }

    pub(super) fn labels(&mut self, labels: &[(&str, &str)]) -> Vec<u32> {
        labels.iter().flat_map(|(name, value)| [self.reference(name), self.reference(value)]).collect()
    }

    pub(super) fn request(self, timeseries: Vec<p2::TimeSeries>) -> p2::Request {
        p2::Request { symbols: self.0, timeseries }
    }
}

pub(super) fn samples(samples: &[(i64, f64)]) -> Vec<p2::Sample> {
    let sample =
        |(timestamp, value): &(i64, f64)| p2::Sample { value: *value, timestamp: *timestamp, start_timestamp: 0 };
    samples.iter().map(sample).collect()
}

pub(super) fn message(labels: &[(&str, &str)], floats: &[(i64, f64)]) -> p2::Request {
    let mut symbols = Symbols::new();
    let labels_refs = symbols.labels(labels);
    symbols.request(vec![p2::TimeSeries { labels_refs, samples: samples(floats), ..Default::default() }])
}

#[test]
fn a_series_has_the_name_that_version_1_would_give_it() {
    let (labels, floats) =
        ([("__name__", "up"), ("job", "node"), ("long", &"x".repeat(300))], [(1, 1.0), (2, f64::NEG_INFINITY)]);
    let door = Door::new();
    door.send_v1(&v1(vec![series(&labels, &floats)])).unwrap();
    let one = door.kept();
    let written = door.send_v2(&message(&labels, &floats)).unwrap();
    assert_eq!((written.version, written.appended.samples), (WriteVersion::V2, 2));
    let two = door.kept();
    assert_eq!(one.series[0].0, two.series[0].0, "a sender may change its version");
    assert_eq!(rows(&two.series[0].1)[1].1, f64::NEG_INFINITY.to_bits());
    assert_ne!(one.seeds, two.seeds, "the keys of one are not those of the other");
}

#[test]
fn a_series_keeps_its_key_whichever_numbers_its_symbols_have_and_whatever_it_brings() {
    let labels = [("__name__", "up"), ("job", "node")];
    let door = Door::new();
    let key_of = |request: &p2::Request, place: usize| {
        door.send_v2(request).unwrap();
        door.kept().keys[place].clone()
    };
    let key = key_of(&message(&labels, &[(1, 1.0)]), 0);
    let mut symbols = Symbols::new();
    symbols.reference("first");
    let other = symbols.labels(&[("job", "node"), ("__name__", "down")]);
    let labels_refs = symbols.labels(&labels);
    let series = |labels_refs: &[u32], floats| p2::TimeSeries {
        labels_refs: labels_refs.to_vec(),
        samples: samples(floats),
        ..Default::default()
    };
    // Several samples, and a start, are read the long way.
    let started = p2::TimeSeries { created_timestamp: 5, ..series(&labels_refs, &[(1, 1.0)]) };
    let all = vec![series(&other, &[(1, 1.0)]), series(&labels_refs, &[(1, 1.0), (2, 1.0)]), started];
    let request = symbols.request(all);
    assert_ne!(key_of(&request, 0), key);
    assert_eq!([key_of(&request, 1), key_of(&request, 2)], [key.clone(), key]);
}

#[test]
fn a_series_that_breaks_the_protocol_is_refused_alone() {
    let check = |break_it: fn(&mut p2::TimeSeries), reason: &'static str, refused: u64| {
        let mut symbols = Symbols::new();
        let good = symbols.labels(&[("__name__", "good")]);
        let bad = symbols.labels(&[("__name__", "bad")]);
        let mut broken =
            p2::TimeSeries { labels_refs: bad, samples: samples(&[(1, 1.0), (2, 2.0)]), ..Default::default() };
        break_it(&mut broken);
        let neighbour = p2::TimeSeries { labels_refs: good, samples: samples(&[(1, 1.0)]), ..Default::default() };
        let door = Door::new();
        let written = door.send_v2(&symbols.request(vec![broken, neighbour])).unwrap();
        assert_eq!(written.appended.refusals.counts, [(reason, refused)]);
        assert!(written.appended.refusals.has_faults());
        assert_eq!(written.appended.samples, 1);
        assert_eq!(rows(&door.kept().series[0].1), [(1, 1.0_f64.to_bits(), None)]);
    };
    check(|series| series.labels_refs[1] = 99, "malformed", 2);
    check(|series| series.labels_refs.push(0), "malformed", 2);
    check(|series| series.histograms.push(histograms::integer_v2()), "malformed", 3);
    check(|series| series.samples.clear(), "malformed", 1);
    check(|series| series.labels_refs.clear(), "no_metric_name", 2);
    check(|series| series.labels_refs.extend([1, 2].repeat(64)), "too_many_labels", 2);
    check(|series| series.labels_refs.extend([1, 2].repeat(1_000_000)), "too_many_labels", 2);
    check(|series| series.labels_refs.extend(series.labels_refs.clone()), "duplicate_label_name", 2);
}

#[test]
fn start_timestamps_come_from_samples_or_from_the_series() {
    let mut request = message(&[("__name__", "up")], &[(10, 1.0), (20, 2.0)]);
    request.timeseries[0].samples[0].start_timestamp = 5;
    request.timeseries[0].created_timestamp = 3;
    let door = Door::new();
    door.send_v2(&request).unwrap();
    let starts: Vec<_> = door.kept().series[0].1.iter().map(|sample| sample.start.as_millis()).collect();
    assert_eq!(starts, [5, 3]);
}

#[test]
fn metadata_names_the_metric_once() {
    let mut symbols = Symbols::new();
    let (help_ref, unit_ref) = (symbols.reference("Latency."), symbols.reference("seconds"));
    let mut series = |name: &str, kind: i32| p2::TimeSeries {
        labels_refs: symbols.labels(&[("__name__", name)]),
        samples: samples(&[(1, 1.0)]),
        metadata: Some(p2::Metadata { r#type: kind, help_ref, unit_ref }),
        ..Default::default()
    };
    let mut all = vec![series("latency_bucket", 3), series("latency_sum", 3), series("a_count", 2), series("x", 99)];
    all.push(p2::TimeSeries { metadata: Some(p2::Metadata::default()), ..series("unknown", 0) });
    let door = Door::new();
    door.send_v2(&symbols.request(all)).unwrap();
    let kept: Vec<_> = door.kept().metadata.into_iter().map(|(name, told)| (name, told.kind, told.help)).collect();
    let told = |name: &str, kind: &str| (name.to_owned(), kind.to_owned(), "Latency.".to_owned());
    assert_eq!(kept, [told("latency", "histogram"), told("a_count", "gauge"), told("x", "unknown")]);
}

#[test]
fn exemplars_refer_to_symbols_too() {
    let mut symbols = Symbols::new();
    let exemplar = |labels_refs| p2::Exemplar { labels_refs, value: 2.0, timestamp: 9 };
    let (labels_refs, trace) = (symbols.labels(&[("__name__", "up")]), symbols.labels(&[("trace_id", "x")]));
    let exemplars = vec![exemplar(trace), exemplar(vec![1, 99])];
    let series = p2::TimeSeries { labels_refs, samples: samples(&[(1, 1.0)]), exemplars, ..Default::default() };
    let door = Door::new();
    let written = door.send_v2(&symbols.request(vec![series])).unwrap();
    assert_eq!(written.appended.exemplars, 1);
    assert_eq!(door.kept().exemplars[0].1.labels, Labels::from_pairs([("trace_id", "x")]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Any series arrives with the labels and samples that were sent, whichever symbols it shares with others.
    #[test]
    fn series_arrive_as_sent(
        sent in prop::collection::vec(
            (prop::collection::btree_map("[a-e]{1,2}", "[x-z]{1,3}", 0..5), prop::collection::vec((any::<i64>(), any::<u64>()), 1..4)),
            0..6,
        )
    ) {
        let mut symbols = Symbols::new();
        let mut series = Vec::new();
        for (labels, floats) in &sent {
            let mut pairs = vec![("__name__", "m")];
            pairs.extend(labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let floats: Vec<_> = floats.iter().map(|(at, bits)| (*at, f64::from_bits(*bits))).collect();
            series.push(p2::TimeSeries { labels_refs: symbols.labels(&pairs), samples: samples(&floats), ..Default::default() });
        }
        let door = Door::new();
        door.send_v2(&symbols.request(series)).unwrap();
        let kept = door.kept().series;
        prop_assert_eq!(kept.len(), sent.len());
        for ((name, samples), (labels, floats)) in kept.iter().zip(&sent) {
            prop_assert_eq!(&name.labels, &Labels::from_pairs(labels).with("__name__", "m"));
            let floats: Vec<_> = floats.iter().map(|(at, bits)| (*at, *bits, None)).collect();
            prop_assert_eq!(rows(samples), floats);
        }
    }
}
