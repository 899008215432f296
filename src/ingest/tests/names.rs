//! Labels: limits, order, and who the replica is.

use super::*;
use crate::ingest::relabel::RelabelConfig;

/// What becomes of one series with these labels: its name, or the reason of refusal.
fn name_under(settings: Settings, labels: &[(&str, &str)], forced: Option<&str>) -> Result<SeriesName, String> {
    let door = Door::with(settings);
    let neighbour = series(&[("__name__", "neighbour")], &[(1, 1.0)]);
    let message = v1(vec![series(labels, &[(1, 1.0), (2, 2.0)]), neighbour]);
    let body = snappy(&message.encode_to_vec());
    let written = door.ingest.write(&WriteRequest { replica: forced, ..request(&body) }).unwrap();
    let mut kept = door.kept().series;
    assert_eq!(kept.pop().unwrap().0.labels, named(&[("__name__", "neighbour")]).labels, "neighbours are kept");
    match kept.pop() {
        Some((name, _)) => {
            assert_eq!(written.first.as_ref(), Some(&name), "the first series tells who writes");
            Ok(name)
        }
        None => {
            assert_eq!((written.appended.samples, written.first), (1, None));
            assert_eq!(written.appended.refusals.total(), 2);
            Err(written.appended.refusals.counts[0].0.to_owned())
        }
    }
}

#[track_caller]
fn refused(labels: &[(&str, &str)], reason: &str) {
    assert_eq!(name_under(Settings::default(), labels, None), Err(reason.to_owned()));
}

#[test]
fn labels_are_sorted_and_empty_values_are_absent() {
    let name = name_under(Settings::default(), &[("z", "1"), ("__name__", "up"), ("empty", ""), ("é", "☃")], None);
    assert_eq!(name, Ok(named(&[("__name__", "up"), ("z", "1"), ("é", "☃")])));
}

#[test]
fn labels_that_cannot_name_a_series_are_refused_alone() {
    let (name, long_name, long_value) = (("__name__", "up"), "n".repeat(1025), "v".repeat(4097));
    refused(&[], "no_metric_name");
    refused(&[("job", "a")], "no_metric_name");
    refused(&[("__name__", "")], "no_metric_name");
    refused(&[name, ("a", "1"), ("a", "2")], "duplicate_label_name");
    refused(&[name, ("a", "1"), ("a", "")], "duplicate_label_name");
    refused(&[name, ("__replica__", "a"), ("__replica__", "b")], "duplicate_label_name");
    refused(&[name, ("", "1")], "empty_label_name");
    refused(&[name, (&long_name, "1")], "label_name_too_long");
    refused(&[name, ("a", &long_value)], "label_value_too_long");
    let wide: Vec<String> = (0..64).map(|index| format!("l{index}")).collect();
    let mut labels: Vec<_> = wide.iter().map(|name| (name.as_str(), "1")).collect();
    labels[0].0 = "__name__";
    assert!(name_under(Settings::default(), &labels, None).is_ok(), "64 labels are allowed");
    labels.push(("one_more", "1"));
    refused(&labels, "too_many_labels");
    let value = "v".repeat(4096);
    refused(&[name, ("a", &value), ("b", &value), ("c", &value), ("d", &value)], "labels_too_long");
}

#[test]
fn bytes_that_are_no_text_are_refused_alone() {
    // prost cannot write them: the letter is replaced afterwards.
    let message = v1(vec![series(&[("__name__", "u#")], &[(1, 1.0)]), series(&[("__name__", "up")], &[(1, 1.0)])]);
    let mut bytes = message.encode_to_vec();
    *bytes.iter_mut().find(|byte| **byte == b'#').unwrap() = 0xff;
    let door = Door::new();
    let written = door.ingest.write(&request(&snappy(&bytes))).unwrap();
    assert_eq!(written.appended.refusals.counts, [("invalid_utf8", 1)]);
    assert_eq!(door.kept().series.len(), 1);
}

#[test]
fn the_first_replica_label_names_the_replica_and_is_taken_off() {
    #[track_caller]
    fn check(labels: &[(&str, &str)], forced: Option<&str>, left: &[(&str, &str)], replica: Option<Replica>) {
        let labels = [&[("__name__", "up")], labels].concat();
        let left = [&[("__name__", "up")], left].concat();
        let expected = SeriesName { replica, ..named(&left) };
        assert_eq!(name_under(Settings::default(), &labels, forced), Ok(expected));
    }
    let eu = ("cluster", "eu");
    let k8s = ("prometheus", "monitoring/k8s");
    check(&[], None, &[], None);
    check(&[eu], None, &[eu], None);
    check(&[eu, ("__replica__", "a")], None, &[eu], replica("eu", "a"));
    check(&[("__replica__", "a")], None, &[], replica("", "a"));
    check(&[eu, ("__replica__", "")], None, &[eu], None);
    check(&[k8s, ("prometheus_replica", "k8s-0")], None, &[k8s], replica("monitoring/k8s", "k8s-0"));
    // Each replica label has its own group label; the other one steps in where that is absent.
    check(&[eu, k8s, ("prometheus_replica", "k8s-0")], None, &[eu, k8s], replica("monitoring/k8s", "k8s-0"));
    check(&[eu, k8s, ("__replica__", "a")], None, &[eu, k8s], replica("eu", "a"));
    check(&[eu, ("prometheus_replica", "k8s-0")], None, &[eu], replica("eu", "k8s-0"));
    // One label is taken off, not all that might be one.
    let (both, other) = (("__replica__", "a"), ("prometheus_replica", "b"));
    check(&[other, both], None, &[other], replica("", "a"));
    // What the request says goes before what the labels say.
    check(&[eu], Some("x"), &[eu], replica("eu", "x"));
    check(&[eu, ("__replica__", "a")], Some("x"), &[eu], replica("eu", "x"));
    check(&[eu], Some(""), &[eu], None);
}

#[test]
fn other_labels_can_name_the_replica() {
    let settings = Settings {
        replica_labels: vec!["replica".to_owned()],
        cluster_labels: vec!["pair".to_owned()],
        ..Settings::default()
    };
    let labels = [("__name__", "up"), ("pair", "p"), ("replica", "1"), ("__replica__", "a")];
    let left = [("__name__", "up"), ("pair", "p"), ("__replica__", "a")];
    let expected = SeriesName { replica: replica("p", "1"), ..named(&left) };
    assert_eq!(name_under(settings, &labels, None), Ok(expected));
}

#[test]
fn a_request_can_name_the_group_of_its_replica() {
    let door = Door::with(Settings::default());
    let body = snappy(&v1(vec![series(&[("__name__", "y"), ("cluster", "dc1")], &[(1, 1.0)])]).encode_to_vec());
    for cluster in [None, Some("rules")] {
        door.ingest.write(&WriteRequest { replica: Some("a"), cluster, ..request(&body) }).unwrap();
    }
    let kept = door.kept();
    let replicas: Vec<_> = kept.series.iter().map(|(name, _)| name.replica.clone()).collect();
    assert_eq!(replicas, [replica("dc1", "a"), replica("rules", "a")]);
    assert_ne!(kept.seeds[0], kept.seeds[1], "the same bytes mean another lane");
}

#[test]
fn the_same_bytes_under_another_replica_or_setting_have_another_seed() {
    let message = v1(vec![series(&[("__name__", "up")], &[(1, 1.0)])]);
    let body = snappy(&message.encode_to_vec());
    let seed = |settings: Settings, replica: Option<&str>| {
        let door = Door::with(settings);
        door.ingest.write(&WriteRequest { replica, ..request(&body) }).unwrap();
        door.kept().seeds[0]
    };
    let mut seeds = vec![
        seed(Settings::default(), None),
        seed(Settings::default(), Some("a")),
        seed(Settings::default(), Some("b")),
        seed(Settings { replica_labels: Vec::new(), ..Settings::default() }, None),
    ];
    assert_eq!(seeds[0], seed(Settings::default(), None), "the seed does not change between runs");
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 4);
}

#[test]
fn relabeling_comes_before_the_replica_and_drops_without_blame() {
    let rule = |config: RelabelConfig| config.compile().unwrap();
    let drop_debug = RelabelConfig {
        source_labels: vec!["__name__".to_owned()],
        regex: "debug_.*".to_owned(),
        action: "drop".to_owned(),
        ..RelabelConfig::default()
    };
    let rename_replica = RelabelConfig {
        source_labels: vec!["host".to_owned()],
        target_label: "__replica__".to_owned(),
        ..RelabelConfig::default()
    };
    let settings = Settings { relabel: vec![rule(drop_debug), rule(rename_replica)], ..Settings::default() };
    let expected =
        SeriesName { replica: replica("eu", "h1"), ..named(&[("__name__", "up"), ("cluster", "eu"), ("host", "h1")]) };
    let labels = [("__name__", "up"), ("cluster", "eu"), ("host", "h1")];
    assert_eq!(name_under(settings.clone(), &labels, None), Ok(expected));
    let door = Door::with(settings);
    let written = door.send_v1(&v1(vec![series(&[("__name__", "debug_x")], &[(1, 1.0)])])).unwrap();
    assert_eq!(written.appended.refusals.counts, [("relabeled", 1)]);
    assert!(!written.appended.refusals.has_faults(), "the sender did nothing wrong");
}
