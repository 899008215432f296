//! Two replicas, one series.

use std::sync::Arc;

use proptest::prelude::*;

use crate::ha::tests::scene::{MARKERS, PLAIN, Random, scene};
use crate::ha::{MergeRules, merge};
use crate::model::{Column, Histogram, Span, TimeRange, Timestamp};
use crate::store::pairs::Pairs;
use crate::store::{BatchSample, LaneView, SampleSource};

use super::super::FsyncPolicy;
use super::world::{World, after_noon, read};

#[test]
fn a_pair_is_one_series_whose_leader_is_kept_and_whose_gaps_are_filled() {
    let mut world = World::new();
    for round in 0..40 {
        if !(8..12).contains(&round) {
            world.push(&[("a|__name__=up", after_noon(round * 15), 1.0)]).expect("there is room");
        }
        world.push(&[("b|__name__=up", after_noon(round * 15 + 5), 2.0)]).expect("there is room");
    }
    for _ in 0..3 {
        let found = world.read(&[], TimeRange::ALL);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["up"]);
        let column = &found["up"];
        // The leader is verbatim up to its hole and again once ten clean scrapes have shown that it is back: until
        // round 22 its twin goes on.
        assert_eq!(column.values.iter().filter(|value| **value == 1.0).count(), 8 + 18, "the leader");
        assert_eq!(column.values.iter().filter(|value| **value == 2.0).count(), 14, "its twin in the hole and after");
        let seen = |view| read(&*world.store().with_lanes(&view).expect("offered"), &[], TimeRange::ALL);
        let raw = seen(LaneView::Raw);
        assert_eq!(raw.keys().collect::<Vec<_>>(), [r#"up{__replica__="a"}"#, r#"up{__replica__="b"}"#]);
        assert_eq!(seen(LaneView::Replica("b".into()))["up"].len(), 40);
        let narrow = TimeRange::new(after_noon(100), after_noon(200)).expect("in order");
        let expected: Vec<Timestamp> = column.at.iter().copied().filter(|at| narrow.contains(*at)).collect();
        assert_eq!(world.read(&[], narrow)["up"].at, expected, "a narrow window shows what a wide one shows");
        world.spill().expect("spills");
        world.crash();
    }
}

#[test]
fn histograms_and_start_timestamps_come_back_from_everywhere() {
    let mut world = World::new();
    let histogram = |count: f64| {
        Arc::new(Histogram {
            schema: 3,
            count,
            sum: 2.5 * count,
            positive_spans: vec![crate::model::histogram::BucketSpan { offset: -1, length: 2 }],
            positive_buckets: vec![count - 1.0, 1.0],
            integer: true,
            ..Histogram::default()
        })
    };
    for round in 0..40_i64 {
        let row = BatchSample {
            at: after_noon(round * 15),
            start: if round % 4 == 0 { Timestamp::EPOCH } else { after_noon(-60) },
            value: round as f64,
            histogram: (round % 3 == 0).then(|| histogram(round as f64 + 2.0)),
        };
        let appended = world.push_rows(&[("|__name__=h", row)]).expect("there is room");
        assert_eq!(appended.samples + appended.histograms, 1);
    }
    for _ in 0..3 {
        let column = &world.read(&[], TimeRange::ALL)["h"];
        assert_eq!(column.len(), 40);
        assert_eq!(column.histograms.len(), 14);
        for (row, found) in &column.histograms {
            assert_eq!(**found, *histogram(*row as f64 + 2.0));
        }
        for (row, start) in column.starts.iter().enumerate() {
            assert_eq!(*start, if row % 4 == 0 { Timestamp::EPOCH } else { after_noon(-60) });
        }
        world.crash();
        world.spill().expect("spills");
    }
}

#[test]
fn what_an_evaluator_writes_is_seen_at_once_though_another_leads() {
    let world = World::new();
    for round in 0..40 {
        let at = after_noon(round * 15);
        world.push(&[("weir rules/b|__name__=y", at, 2.0)]).expect("there is room");
        let column = &world.read(&[], TimeRange::ALL)["y"];
        assert_eq!((column.len() as i64, column.at.last()), (round + 1, Some(&at)), "the rule after it reads it");
        // The same tick of the other one, a little later; it is down for a while.
        if !(10..20).contains(&round) {
            world.push(&[("weir rules/a|__name__=y", at, 1.0)]).expect("there is room");
            let column = &world.read(&[], TimeRange::ALL)["y"];
            assert_eq!((column.len() as i64, column.at.last()), (round + 1, Some(&at)), "one sample a tick");
        }
    }
}

/// Both replicas, every 15 s, the second one 5 s later; `a` misses the rounds that `down` names.
fn pair(world: &mut World, rounds: std::ops::Range<i64>, down: impl Fn(i64) -> bool) {
    for round in rounds {
        world.now = after_noon(round * 15 + 6);
        if !down(round) {
            world.push(&[("a|__name__=x", after_noon(round * 15), 1.0)]).expect("there is room");
        }
        let appended = world.push(&[("b|__name__=x", after_noon(round * 15 + 5), 2.0)]).expect("there is room");
        assert_eq!(appended.samples, 1, "what is covered counts as written");
    }
}

#[test]
fn of_two_that_make_up_for_an_outage_the_leader_goes_first() {
    let mut world = World::new();
    let push = |world: &World, replica: &str, round: i64, phase: i64| {
        let key = format!("{replica}|__name__=x");
        world.push(&[(&*key, after_noon(round * 15 + phase), 1.0)]).expect("there is room").pause
    };
    pair(&mut world, 0..40, |_| false);
    let covered = |world: &World| world.store().store.metrics.covered.get();
    assert_eq!(push(&world, "b", 40, 5), Span::ZERO, "a live pair: the leader's next scrape is still to come");
    world.pass(Span::HOUR);
    for round in 40..50 {
        assert_eq!(push(&world, "a", round, 0), Span::ZERO, "nobody is before the leader");
    }
    let before = covered(&world);
    for round in 41..49 {
        assert_eq!(push(&world, "b", round, 5), Span::ZERO, "behind the leader");
    }
    assert_eq!(covered(&world), before + 8);
    assert!(push(&world, "b", 50, 5) > Span::ZERO, "ahead of a leader that is just as busy");
    world.pass(Span::from_secs(2));
    assert_eq!(push(&world, "b", 51, 5), Span::ZERO, "ahead of a leader that is silent");
}

#[test]
fn of_a_healthy_pair_one_replica_is_kept() {
    let mut world = World::new();
    pair(&mut world, 0..200, |_| false);
    world.spill().expect("spills");
    pair(&mut world, 200..400, |_| false);
    world.crash();
    pair(&mut world, 400..600, |_| false);
    let column = &world.read(&[], TimeRange::ALL)["x"];
    assert!(column.len() == 600 && column.values.iter().all(|value| *value == 1.0), "the preferred replica, verbatim");
    world.store().settle().expect("settles");
    let kept = world.store().status().part_rows;
    // The newest sample of `b` may still be needed.
    assert!(kept == 601, "{kept} samples are kept of 600 scrapes");
    assert_eq!(world.read(&[], TimeRange::ALL)["x"].len(), 600);
}

#[test]
fn two_stores_that_were_fed_differently_answer_with_the_same_bits() {
    let down = |round: i64| (100..140).contains(&round) || round % 37 == 0;
    let (mut one, mut other) = (World::new(), World::new());
    pair(&mut one, 0..300, down);
    // The other gets all of `b` first, with restarts and spills in between, and then `a`'s backlog.
    pair(&mut other, 0..300, |_| true);
    other.spill().expect("spills");
    other.crash();
    for round in (0..300).filter(|round| !down(*round)) {
        other.push(&[("a|__name__=x", after_noon(round * 15), 1.0)]).expect("there is room");
    }
    for settled in [false, true] {
        for (from, until) in [(0, 4_500), (600, 700), (1_490, 2_110), (2_000, 2_600), (4_000, 4_400)] {
            let range = TimeRange::new(after_noon(from), after_noon(until)).expect("in order");
            let shown = |world: &World| {
                let column = world.read(&[], range).remove("x").expect("it has samples");
                (column.at, column.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
            };
            assert_eq!(shown(&one), shown(&other), "{from}..{until}, settled: {settled}");
        }
        one.store().settle().expect("settles");
        one.crash();
    }
}

#[test]
fn an_operator_changes_who_leads_from_a_moment_on_and_it_lasts() {
    let mut world = World::new();
    pair(&mut world, 0..40, |_| false);
    let order = ["b".to_owned()];
    world.store().prefer("eu", &order, after_noon(600)).expect("there is such a replica");
    assert!(
        world.store().prefer("us", &order, after_noon(600)).unwrap_err().to_string().contains("groups are: \"eu\"")
    );
    let unknown = world.store().prefer("eu", &["c".to_owned()], after_noon(600)).unwrap_err();
    assert_eq!(unknown.to_string(), r#"group "eu" has no replica "c"; it has: "a", "b""#);
    pair(&mut world, 40..80, |_| false);
    for _ in 0..2 {
        let column = &world.read(&[], TimeRange::ALL)["x"];
        let led_by = |value: f64| column.values.iter().filter(|found| **found == value).count();
        assert_eq!((led_by(1.0), led_by(2.0)), (40, 40));
        let groups = world.store().groups(after_noon(1200)).expect("readable");
        assert_eq!((groups[0].series, groups[0].label.as_deref()), (1, None), "requests alone name it");
        assert_eq!((groups[0].cluster.as_str(), &groups[0].order[..]), ("eu", &["b".to_owned(), "a".to_owned()][..]));
        world.crash();
    }
}

#[test]
fn explain_says_which_lane_feeds_each_sample() {
    let mut world = World::new();
    pair(&mut world, 0..60, |round| (40..44).contains(&round));
    let range = TimeRange::new(after_noon(550), after_noon(700)).expect("in order");
    let (series, more) = world.store().explain(&[], range, 10).expect("readable");
    assert!(series.len() == 1 && !more);
    let kept: Vec<_> = series[0].lanes.iter().map(|(_, rows)| rows.iter().filter(|row| row.kept).count()).collect();
    assert_eq!(series[0].lanes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(kept.iter().sum::<usize>(), world.read(&[], range)["x"].len());
    assert!(kept[1] >= 4, "b fills what a misses");
}

#[test]
fn of_a_healthy_pairs_second_replica_one_row_waits_at_most() {
    let mut world = World::new();
    // Until the gate knows the interval and a clean run, both are kept.
    pair(&mut world, 0..100, |_| false);
    world.spill().expect("spills");
    let mut kept = world.store().status().part_rows;
    // Whatever the head holds when it is spilled is in parts: the leader's rows, and the one that waited.
    for (round, scrapes) in [(100, 1), (101, 7), (108, 50), (158, 200)] {
        pair(&mut world, round..round + scrapes, |_| false);
        world.spill().expect("spills");
        let rows = world.store().status().part_rows - kept;
        assert!(rows <= scrapes as u64 + 1, "{rows} rows of {scrapes} scrapes");
        kept += rows;
    }
}

/// Two hundred scenes, or as many as `PROPTEST_CASES` says beyond proptest's own 256.
fn scenes() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if asked.cases > 256 { asked.cases } else { 200 };
    ProptestConfig { cases, failure_persistence: None, ..asked }
}

/// The rows of `column` inside `range`, as they can be compared.
fn bits(column: &Column, range: TimeRange) -> Vec<(Timestamp, u64)> {
    let rows = column.at.iter().zip(&column.values).map(|(at, value)| (*at, value.to_bits()));
    rows.filter(|(at, _)| range.contains(*at)).collect()
}

proptest! {
    #![proptest_config(scenes())]

    /// P2, P3, P4, P12, through the whole store: gates, log, head, spills, merges of parts, restarts.
    #[test]
    fn a_store_shows_what_the_lanes_make_whatever_came_when(seed: u64, count in 2..4_usize, markers: bool) {
        let mut scene = scene(seed, count, if markers { MARKERS } else { PLAIN });
        let mut random = Random(seed ^ 0x5eed);
        // Some scenes lie across midnight, where one part ends and another begins.
        let moved = after_noon(random.of(&[0, 12 * 3600 - 20 * 60]) - 10_000) - Timestamp::EPOCH;
        scene.lanes.iter_mut().for_each(|lane| lane.at.iter_mut().for_each(|at| *at = *at + moved));
        // Of a replica that never sent a row nobody knows.
        scene.lanes.retain(|lane| !lane.is_empty());
        let count = scene.lanes.len();
        let columns: Vec<&Column> = scene.lanes.iter().collect();
        let mut expected = Column::default();
        merge(&columns, &MergeRules::default(), &mut expected);
        prop_assume!(!expected.is_empty());

        let mut world = World::with(|settings| settings.fsync = FsyncPolicy::Never);
        world.pass(Span::DAY);
        let keys = ["a|__name__=x", "b|__name__=x", "c|__name__=x"];
        // Every replica has been heard of: a group leads by those that it knows.
        for (key, column) in keys.iter().zip(&columns) {
            world.push(&[(key, column.at[0], column.values[0])]).expect("there is room");
        }
        let mut next = vec![0; count];
        let (bias, lag) = (random.of(&[10, 50, 90]), random.of(&[0_usize, 0, 1, 3, 20]));
        while next.iter().zip(&columns).any(|(next, lane)| *next < lane.len()) {
            let behind = next[0] + lag < next[1 % count];
            let mut lane = if behind || random.chance(bias) { 0 } else { random.below(count as u64) as usize };
            while next[lane] == columns[lane].len() {
                lane = (lane + 1) % count;
            }
            let until = columns[lane].len().min(next[lane] + 1 + random.below(2) as usize);
            let rows: Vec<_> =
                (next[lane]..until).map(|row| (keys[lane], columns[lane].at[row], columns[lane].values[row])).collect();
            next[lane] = until;
            world.push(&rows).expect("there is room");
            match random.below(150) {
                0 => world.crash(),
                1 | 2 => drop(world.spill().expect("spills")),
                3 => drop(world.store().settle().expect("settles")),
                _ => {}
            }
        }
        let (first, last) = (expected.at[0], expected.at[expected.len() - 1]);
        for _ in 0..3 {
            let shown = world.read(&[], TimeRange::ALL).remove("x").unwrap_or_default();
            prop_assert_eq!(bits(&shown, TimeRange::ALL), bits(&expected, TimeRange::ALL));
            let length = (last - first).as_millis() as u64 + 1;
            let from = first + Span::from_millis(random.below(length) as i64);
            let window = TimeRange::new(from, from + Span::from_millis(random.below(length) as i64)).expect("rises");
            let shown = world.read(&[], window).remove("x").unwrap_or_default();
            prop_assert_eq!(bits(&shown, window), bits(&expected, window));
            match random.below(3) {
                0 => world.crash(),
                1 => drop(world.spill().expect("spills")),
                _ => drop(world.store().settle().expect("settles")),
            }
        }
    }
}
