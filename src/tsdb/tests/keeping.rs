//! What was acknowledged is there, once, whatever happened since.

use crate::model::{Matcher, Span, TimeRange, Timestamp};
use crate::store::{SampleSource, StoreError};

use super::super::FsyncPolicy;
use super::world::{World, after_noon, at};

#[test]
fn an_acknowledged_sample_is_visible_at_once_and_after_a_crash() {
    let mut world = World::new();
    let appended =
        world.push(&[("|__name__=up,job=a", after_noon(0), 1.0), ("|__name__=up,job=b", after_noon(0), 0.5)]);
    assert_eq!(appended.expect("there is room").samples, 2);
    let expected = world.everything();
    assert_eq!(expected.len(), 2);
    world.crash();
    assert_eq!(world.everything(), expected);
    assert_eq!(world.spill().expect("spills"), 1);
    assert_eq!(world.everything(), expected);
    assert_eq!(world.store().status().log_bytes, 0, "a spilled head needs no log");
    world.crash();
    assert_eq!(world.everything(), expected);
    assert_eq!(world.store().status().recovered.samples, 0);
}

#[test]
fn a_series_keeps_its_id_through_restarts_and_silence() {
    let mut world = World::new();
    for round in 0..4 {
        world.push(&[("|__name__=up", after_noon(round), 1.0)]).expect("there is room");
        world.spill().expect("spills");
        world.push(&[("|__name__=other", after_noon(round), 1.0)]).expect("there is room");
        world.spill().expect("spills");
        if round % 2 == 0 {
            world.crash();
        }
    }
    let next = world.store().store.resolver.registry.read().next_id();
    assert_eq!(next, 2, "two label sets, two ids");
    assert_eq!(world.everything().len(), 8);
}

#[test]
fn samples_out_of_time_are_refused_by_name_and_the_rest_is_kept() {
    let world = World::with(|settings| settings.retention = Span::HOUR);
    let late = after_noon(-3_601);
    let early = after_noon(601);
    let appended = world
        .push(&[("|__name__=up", late, 1.0), ("|__name__=up", after_noon(0), 1.0), ("|__name__=up", early, 1.0)])
        .expect("there is room");
    assert_eq!(appended.samples, 1);
    assert_eq!(appended.refusals.counts, [("too_old", 1), ("too_far_in_future", 1)]);
    assert_eq!(appended.refusals.first[0].series, "up");
    assert_eq!(world.everything().len(), 1);
}

#[test]
fn a_clock_far_ahead_refuses_no_sample_of_today() {
    let mut world = World::with(|settings| settings.retention = Span::DAY);
    world.push(&[("|__name__=up", after_noon(0), 1.0)]).expect("there is room");
    world.spill().expect("spills");
    world.pass(Span::DAY.times(30));
    world.crash();
    for second in 1..3 {
        let appended = world.push(&[("|__name__=up", after_noon(second), 1.0)]).expect("there is room");
        assert_eq!(appended.samples, 1, "second {second}");
    }
    world.store().maintain(world.now).expect("maintains");
    assert_eq!(world.everything().len(), 3);
}

#[test]
fn a_century_of_retention_takes_samples_from_1970_in_any_order() {
    let mut world = World::with(|settings| settings.retention = "100y".parse().expect("a duration"));
    let days = [0, 5_000, 17, 17, 10_000, 1, 19_000];
    for day in days {
        world.push(&[("|__name__=old", at(day * 86_400_000), day as f64)]).expect("there is room");
    }
    let expected = world.everything();
    assert_eq!(expected.len(), 6);
    assert_eq!(world.spill().expect("spills"), 6, "a part for each day");
    assert_eq!(world.everything(), expected);
    world.crash();
    assert_eq!(world.everything(), expected);
    let first = TimeRange::at(Timestamp::EPOCH);
    assert_eq!(world.store().label_values("__name__", &[], first).expect("readable"), ["old"]);
    let nothing = TimeRange::at(at(2));
    assert!(world.store().series(&[Matcher::equal("__name__", "old")], nothing).expect("readable").is_empty());
}

#[test]
fn the_larger_of_two_values_at_one_instant_stays_in_any_order() {
    for values in [[1.0, 2.0], [2.0, 1.0]] {
        for between in [false, true] {
            let world = World::new();
            for value in values {
                world.push(&[("|__name__=up", after_noon(0), value)]).expect("there is room");
                if between {
                    world.spill().expect("spills");
                }
            }
            let all = world.everything();
            assert_eq!(all.len(), 1);
            assert_eq!(f64::from_bits(all[0].2), 2.0);
        }
    }
}

#[test]
fn without_a_log_a_crash_shows() {
    let mut world = World::with(|settings| settings.fsync = FsyncPolicy::Unlogged);
    world.push(&[("|__name__=up", after_noon(0), 1.0)]).expect("there is room");
    assert_eq!(world.everything().len(), 1);
    world.crash();
    assert_eq!(world.everything().len(), 0, "the control for every test that reopens a store");
}

#[test]
fn two_processes_cannot_share_a_directory() {
    let world = World::new();
    let again = super::super::Tsdb::open(
        world.settings.clone(),
        Box::new(world.catalogue.clone()),
        super::super::Metrics::default(),
        world.now,
        &super::super::Progress::default(),
    );
    assert!(matches!(again, Err(StoreError::NotReady(_))));
}

#[test]
fn a_store_tells_how_long_its_work_takes() {
    #[track_caller]
    fn check(world: &World, lines: &[&str]) {
        let mut registry = prometheus_client::registry::Registry::default();
        world.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a string takes all");
        for line in lines {
            assert!(text.lines().any(|told| told == *line), "{line} is not in\n{text}");
        }
    }
    let mut world = World::new();
    for minute in 0..3 {
        world.push(&[("|__name__=up", after_noon(minute * 60), 1.0)]).expect("there is room");
    }
    // The watch moves on by a second at each look.
    let written = ["weir_tsdb_log_write_seconds_count 3", "weir_tsdb_log_write_seconds_sum 3.0"];
    check(&world, &[&written[..], &["weir_tsdb_log_requests_total 3", "weir_tsdb_log_write_errors_total 0"]].concat());
    world.crash();
    check(&world, &["weir_tsdb_replay_seconds_count 1", "weir_tsdb_samples_replayed_total 3"]);
    world.store().settle().expect("spills");
    check(&world, &["weir_tsdb_spill_seconds_count 1", "weir_tsdb_merge_seconds_count 1"]);
    check(&world, &["weir_tsdb_series_made_total 1"]);
}
