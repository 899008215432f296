//! A disk that fills up, fails, and works again.

use std::io::ErrorKind;

use crate::model::Span;
use crate::store::{SampleSink, StoreError};

use super::disk::Failing;
use super::world::{World, after_noon};

const MIB: u64 = 1 << 20;

/// A store with a floor of 40 MiB and a reserve of 1 MiB, on a disk that has `free` bytes.
fn with_free(free: u64) -> World {
    let mut world = World::with(|settings| (settings.free_bytes_min, settings.reserve_bytes) = (40 * MIB, MIB));
    world.on_a_failing_disk(Failing::never());
    world.faults.pretend_free(free);
    world.store().tend(world.now).expect("tends");
    world
}

fn push(world: &World, second: i64) -> Result<(), StoreError> {
    world.push(&[("|__name__=up", after_noon(second), 1.0)]).map(drop)
}

#[test]
fn below_the_floor_writes_are_refused_until_there_is_room_to_spare() {
    #[track_caller]
    fn check(world: &World, free: u64, writes: bool) {
        world.faults.pretend_free(free);
        world.store().tend(world.now).expect("maintenance goes on");
        match push(world, 0) {
            Ok(()) => assert!(writes, "{free} bytes free"),
            Err(StoreError::ReadOnly(why)) => {
                assert!(!writes, "{free} bytes free: {why}");
                assert!(why.starts_with(&format!("{} bytes are free", world.store().status().free_bytes)), "{why}");
            }
            Err(other) => panic!("{other}"),
        }
        assert_eq!(world.store().status().read_only.is_some(), !writes);
        assert_eq!(world.store().store.metrics.read_only.get(), u64::from(!writes));
    }
    let world = with_free(500 * MIB);
    check(&world, 40 * MIB, true);
    check(&world, 40 * MIB - 1, false);
    assert!(world.store().append_metadata(&[]).is_err(), "metadata takes room as well");
    check(&world, 50 * MIB - 1, false);
    check(&world, 50 * MIB, true);
    check(&world, 40 * MIB, true);
    check(&world, 0, false);
    check(&world, 50 * MIB, false);
    check(&world, 51 * MIB, true);
}

#[test]
fn the_floor_is_at_most_a_tenth_of_the_disk() {
    let mut world = World::with(|settings| settings.free_bytes_min = u64::MAX);
    world.on_a_failing_disk(Failing::never());
    for (free, writes) in [(100_000_000, true), (99_999_999, false), (124_999_999, false), (125_000_000, true)] {
        world.faults.pretend_free(free);
        world.store().tend(world.now).expect("tends");
        assert_eq!(push(&world, 0).is_ok(), writes, "{free} bytes free");
    }
}

#[test]
fn the_reserve_is_given_up_when_it_is_needed_and_made_again() {
    let world = with_free(500 * MIB);
    let reserve = world.settings.data.join("reserve");
    let check = |free: u64, bytes: Option<u64>| {
        world.faults.pretend_free(free);
        world.store().tend(world.now).expect("tends");
        assert_eq!(reserve.metadata().ok().map(|file| file.len()), bytes, "{free} bytes free");
    };
    check(500 * MIB, Some(MIB));
    check(30 * MIB, Some(MIB));
    check(20 * MIB - 1, None);
    check(50 * MIB, None);
    check(51 * MIB, Some(MIB));
}

#[test]
fn spills_and_retention_go_on_while_nothing_is_taken() {
    let mut world = with_free(500 * MIB);
    for round in 0..4 {
        push(&world, round).expect("there is room");
        world.spill().expect("spills");
    }
    push(&world, 100).expect("there is room");
    world.faults.pretend_free(MIB);
    world.pass(Span::HOUR);
    let done = world.store().maintain(world.now).expect("maintains");
    assert_eq!((done.spilled, done.merged), (1, 0), "a merge needs room that is not there");
    assert!(matches!(world.store().settle(), Err(StoreError::ReadOnly(_))));
    assert_eq!(world.everything().len(), 5);
    world.pass(Span::DAY.times(100));
    world.store().store.head.saw(world.now);
    assert_eq!(world.store().maintain(world.now).expect("maintains").retired, 5);
}

#[test]
fn a_failing_disk_is_told_and_forgotten_with_the_first_write_that_works() {
    for error in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::QuotaExceeded, ErrorKind::Other] {
        let mut world = World::new();
        world.on_a_failing_disk(Failing::with(error));
        push(&world, 0).expect("there is room");
        for step in 0..3 {
            world.faults.allow(step);
            let refused = (1..5).filter(|second| push(&world, *second).is_err()).count();
            assert!(refused > 0, "{error}: the disk fails");
            let why = world.store().status().read_only.expect("the store says so");
            assert!(why.contains("injected failure"), "{error}: {why}");
            world.faults.allow(i64::MAX);
            push(&world, 10).expect("the disk works again");
            assert_eq!(world.store().status().read_only, None);
        }
    }
}
