//! What was read stays what it was, as far as the store says that it does.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::ha::tests::scene::{Faults, MARKERS, Random, scene};
use crate::ha::{MergeRules, merge};
use crate::model::{Column, Labels, Matcher, Span, TimeRange, Timestamp};
use crate::store::{DeleteSeries, Footing, SampleSource};

use super::super::FsyncPolicy;
use super::world::{World, after_noon, read};

/// A read of a while ago.
struct Earlier {
    footing: Footing,
    range: TimeRange,
    rows: Vec<(Timestamp, u64)>,
}

impl Earlier {
    fn read(world: &World, range: TimeRange) -> Earlier {
        let footing = world.store().footing().expect("a store tells");
        let source = world.store().resting_on(&footing).expect("a store tells");
        let shown = only(read(&*source, &[], range));
        Earlier { footing, range, rows: rows_of(&shown, range, Timestamp::MAX) }
    }

    /// How many rows still hold; they are what a read gives now.
    fn check(&self, world: &World) -> Result<usize, TestCaseError> {
        let until = world.store().holds_before(&self.footing);
        let now = only(world.read(&[], self.range));
        let early: Vec<_> = self.rows.iter().copied().filter(|(at, _)| *at < until).collect();
        prop_assert_eq!(&early, &rows_of(&now, self.range, until), "until {:?}", until);
        Ok(early.len())
    }
}

/// The one series that there is, if any.
fn only(mut found: BTreeMap<String, Column>) -> Column {
    found.pop_first().map(|(_, column)| column).unwrap_or_default()
}

fn rows_of(column: &Column, range: TimeRange, until: Timestamp) -> Vec<(Timestamp, u64)> {
    let rows = column.at.iter().zip(&column.values).map(|(at, value)| (*at, value.to_bits()));
    rows.filter(|(at, _)| range.contains(*at) && *at < until).collect()
}

/// The first rows of a lane.
fn first_rows(lane: &Column, count: usize) -> Column {
    let mut column = lane.clone();
    column.at.truncate(count);
    column.values.truncate(count);
    column
}

/// As many as `PROPTEST_CASES` says beyond proptest's own 256, or 150.
fn scenes() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if asked.cases > 256 { asked.cases } else { 150 };
    ProptestConfig { cases, failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(scenes())]

    /// Rows of up to three replicas come in any order, also late, between spills and merges.
    #[test]
    fn what_was_read_holds_as_far_as_the_store_says(seed: u64, count in 1..4_usize) {
        let mut random = Random(seed ^ 0xf00d);
        let mut lanes = scene(seed, count, Faults { skew: 20_000, ..MARKERS }).lanes;
        let moved = after_noon(random.of(&[0, 12 * 3600 - 20 * 60]) - 10_000) - Timestamp::EPOCH;
        lanes.iter_mut().for_each(|lane| lane.at.iter_mut().for_each(|at| *at = *at + moved));
        lanes.retain(|lane| !lane.is_empty());
        let times: Vec<Timestamp> = lanes.iter().flat_map(|lane| lane.at.iter().copied()).collect();
        let (Some(first), Some(last)) = (times.iter().min().copied(), times.iter().max().copied()) else { return Ok(()) };

        let mut world = World::with(|settings| settings.fsync = FsyncPolicy::Never);
        world.pass(Span::DAY);
        // A counter and a gauge are merged by other rules.
        let name = random.of(&["x", "x_total"]);
        let labels = Labels::from_pairs([("__name__", name)]);
        let keys = ["a", "b", "c"].map(|replica| format!("{replica}|__name__={name}"));
        let mut next = vec![0; lanes.len()];
        let mut earlier: Vec<Earlier> = Vec::new();
        let bias = random.of(&[10, 50, 90]);
        while next.iter().zip(&lanes).any(|(next, lane)| *next < lane.len()) {
            let mut lane = if random.chance(bias) { 0 } else { random.below(lanes.len() as u64) as usize };
            while next[lane] == lanes[lane].len() {
                lane = (lane + 1) % lanes.len();
            }
            let until = lanes[lane].len().min(next[lane] + 1 + random.below(4) as usize);
            let rows: Vec<_> = (next[lane]..until)
                .map(|row| (keys[lane].as_str(), lanes[lane].at[row], lanes[lane].values[row]))
                .collect();
            next[lane] = until;
            world.push(&rows).expect("there is room");
            match random.below(60) {
                0 => drop(world.spill().expect("spills")),
                1 => drop(world.store().settle().expect("settles")),
                2..6 => {
                    let length = (last - first).as_millis() as u64 + 1;
                    let from = first + Span::from_millis(random.below(length) as i64);
                    let range = TimeRange::new(from, from + Span::from_millis(random.below(length) as i64)).expect("rises");
                    let read = Earlier::read(&world, range);
                    let known = lanes.iter().zip(&next).map(|(lane, next)| first_rows(lane, *next));
                    let known: Vec<Column> = known.collect();
                    let mut whole = Column::default();
                    merge(&known.iter().collect::<Vec<_>>(), &MergeRules::for_series(&labels), &mut whole);
                    let expected = rows_of(&whole, range, Timestamp::MAX);
                    prop_assert_eq!(&read.rows, &expected, "a window shows what the whole shows");
                    earlier.push(read);
                }
                6..12 => {
                    for one in &earlier {
                        one.check(&world)?;
                    }
                }
                _ => {}
            }
        }
        for one in &earlier {
            one.check(&world)?;
        }
    }
}

#[test]
fn of_a_healthy_pair_all_but_the_last_minutes_hold() {
    let mut world = World::new();
    let scrape = |world: &mut World, round: i64| {
        world.now = after_noon(round * 15 + 6);
        world.push(&[("a|__name__=x", after_noon(round * 15), 1.0)]).expect("there is room");
        world.push(&[("b|__name__=x", after_noon(round * 15 + 5), 2.0)]).expect("there is room");
    };
    (0..200).for_each(|round| scrape(&mut world, round));
    let hour = TimeRange::new(after_noon(0), after_noon(3000)).expect("rises");
    let earlier = Earlier::read(&world, hour);
    assert_eq!(earlier.check(&world).expect("the same"), 200, "nothing has come since");
    scrape(&mut world, 200);
    assert_eq!(earlier.check(&world).expect("the same"), 176, "six minutes may still change: 24 scrapes");
    // What is deleted is gone, and what lies before stays.
    let gone = TimeRange::new(after_noon(1500), after_noon(1700)).expect("rises");
    world.store().delete_series(&[], gone).expect("deletes");
    assert_eq!(earlier.check(&world).expect("the same"), 76);
    // Another replica may be asked first: then all of it may be another one's.
    world.push(&[("0|__name__=y", after_noon(3020), 1.0)]).expect("there is room");
    assert_eq!(earlier.check(&world).expect("the same"), 0);
}

#[test]
fn of_a_single_prometheus_all_that_was_before_holds() {
    let mut world = World::new();
    world.pass(Span::HOUR);
    let push = |from: i64, until: i64| {
        let rows: Vec<_> = (from..until).map(|round| ("|__name__=x", after_noon(round * 15), 1.0)).collect();
        world.push(&rows).expect("there is room");
    };
    push(0, 100);
    let earlier = Earlier::read(&world, TimeRange::ALL);
    push(100, 101);
    assert_eq!(earlier.check(&world).expect("the same"), 100);
    push(40, 41);
    assert_eq!(earlier.check(&world).expect("the same"), 40, "a late sample");
}

#[test]
fn of_a_lone_prometheus_that_gets_a_twin_only_what_both_leave_holds() {
    let mut world = World::new();
    world.pass(Span::HOUR);
    // Of another series the twin is known already, so that it is no news that there is one.
    world.push(&[("|__name__=y", after_noon(0), 1.0), ("b|__name__=y", after_noon(1), 1.0)]).expect("there is room");
    let rows: Vec<_> = (0..60).map(|round| ("|__name__=x", after_noon(round * 15), 1.0)).collect();
    world.push(&rows).expect("there is room");
    let only_x = [Matcher::equal("__name__", "x")];
    let footing = world.store().footing().expect("a store tells");
    let source = world.store().resting_on(&footing).expect("a store tells");
    assert_eq!(read(&*source, &only_x, TimeRange::ALL)["x"].len(), 60);
    world.push(&[("b|__name__=x", after_noon(901), 2.0)]).expect("there is room");
    let holds = world.store().holds_before(&footing);
    assert!(holds <= after_noon(901 - 16 * 15), "{holds:?}: a pair's rows reach back");
}
