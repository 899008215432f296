//! Merges, seals, retention and deletions.

use crate::model::{Matcher, Span, TimeRange};
use crate::store::{DeleteSeries, Journal, MetricMetadata, SampleSink, SampleSource};

use super::world::{World, after_noon};

/// Spills `rounds` times, with a sample of each of 300 series in each.
fn spill_often(world: &World, rounds: i64) {
    for round in 0..rounds {
        let keys: Vec<String> = (0..300).map(|series| format!("|__name__=m{},i={series}", series % 3)).collect();
        let rows: Vec<_> = keys.iter().map(|key| (key.as_str(), after_noon(round * 15), round as f64)).collect();
        world.push(&rows).expect("there is room");
        world.spill().expect("spills");
    }
}

#[test]
fn spilled_parts_are_merged_and_a_day_that_is_over_is_sealed() {
    let mut world = World::new();
    spill_often(&world, 5);
    let expected = world.everything();
    assert_eq!(world.store().status().parts, 5);
    assert_eq!(world.store().maintain(world.now).expect("maintains").merged, 5);
    assert_eq!(world.store().status().parts, 1);
    assert_eq!(world.everything(), expected);
    world.pass(Span::DAY);
    assert_eq!(world.store().maintain(world.now).expect("maintains").merged, 1);
    assert_eq!(world.everything(), expected);
    assert_eq!(world.store().maintain(world.now).expect("maintains").merged, 0, "a sealed day is left alone");
    world.crash();
    assert_eq!(world.everything(), expected);
    assert_eq!(world.store().status().recovered.removed_parts, 0);
}

#[test]
fn parts_answer_matchers_and_times_from_their_own_index() {
    let world = World::new();
    spill_often(&world, 2);
    let range = TimeRange::new(after_noon(0), after_noon(14)).expect("in order");
    let matchers = [Matcher::equal("__name__", "m1"), Matcher::regex("i", "1[0-9]|299|7").expect("valid")];
    let found = world.read(&matchers, range);
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        [r#"m1{i="10"}"#, r#"m1{i="13"}"#, r#"m1{i="16"}"#, r#"m1{i="19"}"#, r#"m1{i="7"}"#]
    );
    assert!(found.values().all(|column| column.at == [after_noon(0)]));
    assert_eq!(world.store().label_values("__name__", &[], range).expect("readable"), ["m0", "m1", "m2"]);
    assert_eq!(world.store().label_names(&matchers, range).expect("readable"), ["__name__", "i"]);
    assert_eq!(world.store().series(&[Matcher::not_equal("__name__", "m0")], range).expect("readable").len(), 200);
    let between = TimeRange::new(after_noon(1), after_noon(14)).expect("in order");
    assert!(world.store().series(&[], between).expect("readable").is_empty(), "between two samples there is none");
}

#[test]
fn a_day_beyond_retention_goes_and_a_clock_that_jumps_ahead_drops_nothing() {
    let mut world = World::with(|settings| settings.retention = Span::DAY.times(2));
    world.push(&[("|__name__=up", after_noon(0), 1.0)]).expect("there is room");
    world.spill().expect("spills");
    let jumped = world.now + Span::DAY.times(1000);
    assert_eq!(world.store().maintain(jumped).expect("maintains").retired, 0);
    assert_eq!(world.everything().len(), 1);
    world.pass(Span::DAY.times(4));
    world.push(&[("|__name__=up", world.now, 2.0)]).expect("there is room");
    world.spill().expect("spills");
    assert_eq!(world.store().maintain(world.now).expect("maintains").retired, 1);
    let left = world.everything();
    assert_eq!(left.len(), 1);
    world.crash();
    assert_eq!(world.everything(), left);
}

#[test]
fn deleted_rows_are_gone_at_once_and_may_come_again() {
    let mut world = World::new();
    spill_often(&world, 3);
    let range = TimeRange::new(after_noon(15), after_noon(20)).expect("in order");
    let matchers = [Matcher::equal("__name__", "m1")];
    world.push(&[("|__name__=m1,i=1", after_noon(16), 7.0)]).expect("there is room");
    world.store().delete_series(&matchers, range).expect("deletes");
    assert_eq!(world.everything().len(), 900 - 100);
    assert!(world.store().series(&matchers, range).expect("readable").is_empty());
    world.crash();
    assert_eq!(world.everything().len(), 900 - 100);
    world.push(&[("|__name__=m1,i=1", after_noon(16), 8.0)]).expect("there is room");
    let expected = world.everything();
    assert_eq!(expected.len(), 900 - 100 + 1);
    world.spill().expect("spills");
    world.pass(Span::DAY);
    world.store().maintain(world.now).expect("merges");
    assert_eq!(world.everything(), expected);
    world.store().maintain(world.now).expect("forgets the deletion");
    assert!(world.store().store.view.load().deletions.is_empty());
    world.crash();
    assert_eq!(world.everything(), expected);
}

#[test]
fn idle_series_leave_memory_and_are_still_found() {
    let world = World::new();
    spill_often(&world, 1);
    world.push(&[("|__name__=m1,i=1", after_noon(30), 1.0)]).expect("there is room");
    world.spill().expect("spills");
    assert_eq!(world.store().status().series, 1);
    assert_eq!(world.everything().len(), 301);
    spill_often(&world, 1);
    assert_eq!(world.store().store.resolver.registry.read().next_id(), 300, "the same ids as before");
}

#[test]
fn names_that_only_retired_parts_had_go_with_them() {
    let mut world = World::with(|settings| settings.retention = Span::DAY.times(2));
    world.push(&[("|__name__=old", world.now, 1.0), ("|__name__=kept", world.now, 1.0)]).expect("there is room");
    world.spill().expect("spills");
    world.pass(Span::DAY.times(4));
    world.push(&[("|__name__=kept", world.now, 2.0)]).expect("there is room");
    world.spill().expect("spills");
    assert_eq!(world.store().maintain(world.now).expect("maintains").retired, 1);
    world.crash();
    world.push(&[("|__name__=kept", world.now, 3.0)]).expect("there is room");
    let next = |world: &World| world.store().store.resolver.registry.read().next_id();
    assert_eq!(next(&world), 2, "a series that a part has keeps its id");
    world.push(&[("|__name__=old", world.now, 3.0)]).expect("there is room");
    assert_eq!(next(&world), 3, "one that is gone is new, and gets an id that nobody had");
}

#[test]
fn metadata_and_journal_survive_a_crash() {
    let mut world = World::new();
    let said =
        |help: &str| ("up".to_owned(), MetricMetadata { kind: "gauge".into(), help: help.into(), unit: "".into() });
    world.store().append_metadata(&[said("is it there"), said("is it there"), said("really")]).expect("kept");
    world.store().write(&[(b"rules/a".to_vec(), Some(b"1".to_vec())), (b"x".to_vec(), Some(vec![]))]).expect("kept");
    world.store().write(&[(b"x".to_vec(), None)]).expect("kept");
    world.crash();
    let metadata = world.store().metadata(Some("up")).expect("readable");
    assert_eq!(metadata[0].1.len(), 2);
    assert_eq!(world.store().scan(b"").expect("readable"), [(b"rules/a".to_vec(), b"1".to_vec())]);
}
