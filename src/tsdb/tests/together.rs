//! What happens while a merge is under way, and in which order the two end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::model::{Matcher, Span, TimeRange};
use crate::store::{DeleteSeries, StoreError};

use super::super::Pace;
use super::super::catalogue::memory::Memory;
use super::super::files::Disk;
use super::disk::Failing;
use super::world::{World, after_noon};

/// A merge that lets something else happen in its first rest.
struct Meanwhile<F: Fn() + Sync> {
    happen: F,
    happened: AtomicBool,
    goes_on: bool,
}

impl<F: Fn() + Sync> Meanwhile<F> {
    fn new(happen: F) -> Self {
        Meanwhile { happen, happened: AtomicBool::new(false), goes_on: true }
    }
}

impl<F: Fn() + Sync> Pace for Meanwhile<F> {
    fn worked(&self) -> Duration {
        Duration::ZERO
    }

    fn rest(&self, _length: Duration) -> bool {
        if !self.happened.swap(true, Ordering::SeqCst) {
            (self.happen)();
        }
        self.goes_on
    }
}

/// Series of each spill: more than a merge takes without a look around.
const SERIES: usize = 40;

fn push_round(world: &World, round: i64) {
    let keys: Vec<String> = (0..SERIES).map(|series| format!("|__name__=m,i={series}")).collect();
    let rows: Vec<_> = keys.iter().map(|key| (key.as_str(), after_noon(round * 15), round as f64)).collect();
    world.push(&rows).expect("there is room");
}

/// Four spilled parts of one day: enough to be merged.
fn ready_to_merge() -> World {
    let mut world = World::new();
    world.on_a_failing_disk(Failing::never());
    for round in 0..4 {
        push_round(&world, round);
        world.spill().expect("spills");
    }
    world
}

fn merge_while(world: &World, happen: impl Fn() + Sync) -> Result<usize, StoreError> {
    let meanwhile = Meanwhile::new(happen);
    let merged = world.store().merge(world.now, &meanwhile);
    assert!(meanwhile.happened.into_inner(), "the merge looks around");
    merged
}

#[test]
fn the_head_is_spilled_while_a_merge_is_under_way() {
    let mut world = ready_to_merge();
    let merged = merge_while(&world, || {
        push_round(&world, 5);
        assert_eq!(world.spill().expect("spills"), 1);
        push_round(&world, 6);
    });
    assert_eq!(merged.expect("merges"), 4);
    assert_eq!(world.store().status().parts, 2);
    for _ in 0..2 {
        assert_eq!(world.everything().len(), 6 * SERIES);
        world.crash();
        assert_eq!(world.store().status().recovered.removed_parts, 0);
    }
}

#[test]
fn a_stop_at_any_step_of_both_loses_nothing() {
    for step in 0.. {
        let mut world = ready_to_merge();
        push_round(&world, 5);
        let expected = world.everything();
        world.faults.allow(step);
        let spilled = AtomicBool::new(false);
        let merged =
            world.store().merge(world.now, &Meanwhile::new(|| spilled.store(world.spill().is_ok(), Ordering::SeqCst)));
        assert_eq!(world.everything(), expected, "step {step}: still readable");
        let whole = merged.is_ok() && spilled.into_inner();
        world.disk = Disk::default();
        world.crash();
        assert_eq!(world.everything(), expected, "step {step}: after the restart");
        world.spill().expect("spills");
        world.store().settle().expect("settles");
        assert_eq!(world.everything(), expected, "step {step}: settled");
        if whole {
            assert!(step > 12, "the whole way was interrupted");
            break;
        }
    }
}

#[test]
fn what_is_deleted_during_a_merge_stays_deleted_and_may_come_again() {
    let mut world = ready_to_merge();
    let range = TimeRange::new(after_noon(0), after_noon(20)).expect("in order");
    let merged = merge_while(&world, || {
        world.store().delete_series(&[Matcher::equal("i", "7")], range).expect("deletes");
        world.push(&[("|__name__=m,i=7", after_noon(15), 9.0)]).expect("there is room");
    });
    assert_eq!(merged.expect("merges"), 4);
    let expected = world.everything();
    assert_eq!(expected.len(), 4 * SERIES - 2 + 1);
    world.crash();
    assert_eq!(world.everything(), expected);
    for _ in 0..2 {
        world.store().settle().expect("settles");
        world.pass(Span::DAY);
        world.store().maintain(world.now).expect("maintains");
        assert_eq!(world.everything(), expected);
        world.crash();
    }
    assert!(world.store().store.view.load().deletions.is_empty(), "nothing is left to delete");
}

#[test]
fn what_retention_drops_during_a_merge_does_not_come_back() {
    let mut world = ready_to_merge();
    let later = world.now + Span::DAY.times(200);
    let merged = merge_while(&world, || {
        world.store().store.head.saw(later);
        assert_eq!(world.store().tend(later).expect("retires").retired, 4);
    });
    assert_eq!(merged.expect("gives up"), 0);
    for _ in 0..2 {
        assert_eq!((world.everything().len(), world.store().status().parts), (0, 0));
        world.crash();
    }
    let left = std::fs::read_dir(world.settings.data.join("parts")).expect("a folder").count();
    assert_eq!(left, 0, "no file is left");
}

#[test]
fn a_merge_in_doubt_that_retention_overtakes_does_not_come_back() {
    let mut world = ready_to_merge();
    world.catalogue.fail_writes_but_keep_them(true);
    world.store().merge(world.now, &super::super::Unpaced).expect_err("the sync fails");
    world.catalogue.fail_writes_but_keep_them(false);
    let later = world.now + Span::DAY.times(200);
    world.store().store.head.saw(later);
    assert_eq!(world.store().tend(later).expect("retires").retired, 4);
    assert_eq!(world.store().merge(later, &super::super::Unpaced).expect("gives up"), 0);
    for _ in 0..2 {
        assert_eq!((world.everything().len(), world.store().status().parts), (0, 0));
        world.crash();
    }
}

#[test]
fn a_catalogue_that_forgot_the_merge_that_ended_last_costs_nothing() {
    let mut world = ready_to_merge();
    let after_spill = parking_lot::Mutex::new(None);
    let merged = merge_while(&world, || {
        push_round(&world, 5);
        world.spill().expect("spills");
        *after_spill.lock() = Some(world.catalogue.entries());
    });
    assert_eq!(merged.expect("merges"), 4);
    let expected = world.everything();
    world.catalogue = Memory::of(after_spill.into_inner().expect("the spill came first"));
    world.crash();
    assert_eq!(world.everything(), expected, "the merged part has the lower number, and is taken in");
    assert_eq!(world.store().status().recovered.adopted_parts, 1);
    world.crash();
    assert_eq!(world.everything(), expected);
    assert_eq!(world.store().status().recovered.adopted_parts, 0);
}

#[test]
fn a_merge_that_is_told_to_stop_leaves_everything_as_it_was() {
    let world = ready_to_merge();
    let expected = world.everything();
    let stop = Meanwhile { goes_on: false, ..Meanwhile::new(|| {}) };
    assert_eq!(world.store().merge(world.now, &stop).expect("stops"), 0);
    assert_eq!((world.everything(), world.store().status().parts), (expected, 4));
    let files = std::fs::read_dir(world.settings.data.join("parts")).expect("a folder").count();
    assert_eq!(files, 4, "no attempt is left");
    assert_eq!(world.store().merge(world.now, &super::super::Unpaced).expect("merges"), 4);
}

#[test]
fn a_day_whose_merge_failed_waits_and_no_other_does() {
    let mut world = ready_to_merge();
    for round in 0..2 {
        push_round(&world, round - 24 * 60 * 4);
        world.spill().expect("spills");
    }
    let merge = |world: &World| world.store().merge(world.now, &super::super::Unpaced);
    world.faults.allow(0);
    merge(&world).expect_err("yesterday is sealed first, and cannot be");
    world.faults.allow(i64::MAX);
    assert_eq!(merge(&world).expect("merges"), 4, "today's parts");
    assert_eq!(merge(&world).expect("waits"), 0);
    world.pass(Span::MINUTE);
    assert_eq!(merge(&world).expect("merges"), 2, "yesterday's");
}

#[test]
fn the_oldest_parts_go_when_all_take_too_much() {
    let mut world = World::new();
    for day in [-3, -1, 0, -2] {
        push_round(&world, day * 24 * 60 * 4);
        world.spill().expect("spills");
    }
    push_round(&world, 1);
    world.spill().expect("spills");
    let all = world.store().status();
    assert_eq!(world.store().tend(world.now).expect("tends").retired, 0, "without a limit nothing goes");
    let days = |world: &World| -> Vec<i64> {
        world.store().store.view.load().parts.iter().map(|part| part.meta().day - after_noon(0).day()).collect()
    };
    world.settings.retention_bytes = (all.part_bytes + all.log_bytes) * 3 / 5;
    world.crash();
    assert_eq!(world.store().tend(world.now).expect("tends").retired, 2);
    assert_eq!(days(&world), [-1, 0, 0]);
    world.crash();
    assert_eq!(days(&world), [-1, 0, 0]);
    world.settings.retention_bytes = 1;
    world.crash();
    world.store().tend(world.now).expect("tends");
    assert_eq!(days(&world), [0], "the newest part stays");
    assert_eq!(world.everything().len(), SERIES);
    assert_eq!(world.store().store.metrics.retired_by_size.get(), 2);
}
