//! A snapshot is a store.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::{Matcher, TimeRange};
use crate::store::{DeleteSeries, Journal, StoreError};

use super::super::catalogue::memory::Memory;
use super::super::snapshot;
use super::disk::Failing;
use super::world::{World, after_noon};

/// Takes a snapshot; gives its name and its catalogue.
fn take(world: &World, skip_head: bool) -> Result<(String, Memory), StoreError> {
    let catalogue = Memory::default();
    let copy = catalogue.clone();
    let name = world.store().snapshot(world.now, skip_head, &|_| Ok(Box::new(copy.clone())))?;
    Ok((name, catalogue))
}

/// Another Weir on a snapshot.
fn opened(world: &World, (name, catalogue): &(String, Memory)) -> World {
    let mut other = World::with(|settings| settings.data = world.settings.data.join("snapshots").join(name));
    other.catalogue = catalogue.clone();
    other.crash();
    assert_eq!(other.store().status().recovered.damages, Vec::<String>::new());
    other
}

fn filled() -> World {
    let world = World::new();
    for round in 0..6 {
        world
            .push(&[
                ("a|__name__=pair", after_noon(round * 15), round as f64),
                ("b|__name__=pair", after_noon(round * 15 + 5), round as f64),
                ("|__name__=late", after_noon(-round * 40_000), 0.1),
            ])
            .expect("there is room");
        if round % 2 == 0 {
            world.spill().expect("spills");
        }
    }
    world.store().write(&[(b"rules/x".to_vec(), Some(b"firing".to_vec()))]).expect("kept");
    world
}

#[test]
fn a_snapshot_has_all_that_was_acknowledged_and_goes_its_own_way() {
    let world = filled();
    let expected = world.everything();
    let taken = take(&world, false).expect("taken");
    assert!(taken.0.starts_with("20231115T120000Z-") && taken.0.len() == 33, "{}", taken.0);
    let mut other = opened(&world, &taken);
    assert_eq!(other.everything(), expected);
    assert_eq!(other.store().scan(b"rules/").expect("readable"), [(b"rules/x".to_vec(), b"firing".to_vec())]);

    world.push(&[("|__name__=ours", after_noon(300), 1.0)]).expect("there is room");
    world.store().settle().expect("merges away what is linked");
    other.push(&[("|__name__=theirs", after_noon(300), 2.0)]).expect("there is room");
    other.store().settle().expect("merges");
    for _ in 0..2 {
        assert_eq!(other.everything().len(), expected.len() + 1);
        assert!(other.everything().iter().all(|(series, ..)| series != "ours"));
        other.crash();
    }
    assert!(world.everything().iter().all(|(series, ..)| series != "theirs"));
}

#[test]
fn a_snapshot_without_the_head_has_what_is_in_parts() {
    let world = filled();
    let late = |world: &World| world.everything().iter().filter(|(series, ..)| series == "late").count();
    let other = opened(&world, &take(&world, true).expect("taken"));
    assert_eq!((late(&world), late(&other)), (6, 5), "the last round was not spilled");
}

#[test]
fn what_was_deleted_is_not_in_a_snapshot_either() {
    let world = filled();
    world.store().delete_series(&[Matcher::equal("__name__", "pair")], TimeRange::ALL).expect("deletes");
    let mut other = opened(&world, &take(&world, true).expect("taken"));
    for _ in 0..2 {
        assert_eq!(other.everything(), world.everything());
        other.store().settle().expect("settles");
        other.crash();
    }
}

#[test]
fn a_snapshot_that_fails_at_any_step_leaves_nothing_and_harms_nothing() {
    for step in 0.. {
        let mut world = filled();
        world.on_a_failing_disk(Failing::never());
        let expected = world.everything();
        world.faults.allow(step);
        let taken = take(&world, false);
        world.faults.allow(i64::MAX);
        assert_eq!(world.everything(), expected, "step {step}");
        assert_eq!(snapshot::list(&world.settings.data).expect("readable").len(), usize::from(taken.is_ok()));
        let again = take(&world, false).expect("the disk works again");
        assert_eq!(opened(&world, &again).everything(), expected, "step {step}");
        if let Ok((name, _)) = taken {
            assert!(step > 8, "the whole way was interrupted");
            assert_ne!(name, again.0);
            snapshot::remove(&world.settings.data, &name).expect("removes");
            assert!(snapshot::remove(&world.settings.data, "../parts").is_err(), "a name, no path");
            assert_eq!(snapshot::list(&world.settings.data).expect("readable"), [again.0]);
            break;
        }
    }
}

#[test]
fn a_snapshot_under_load_has_what_was_acknowledged_before_it() {
    let world = World::new();
    let acknowledged = AtomicI64::new(0);
    let taken = std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..400 {
                world.push(&[("|__name__=load", after_noon(round), 1.0)]).expect("there is room");
                acknowledged.store(round + 1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            for _ in 0..20 {
                world.store().maintain(world.now).expect("maintains");
            }
        });
        let mut taken = Vec::new();
        while acknowledged.load(Ordering::SeqCst) < 400 && taken.len() < 20 {
            let before = acknowledged.load(Ordering::SeqCst);
            taken.push((before, take(&world, false).expect("taken")));
        }
        taken
    });
    assert!(!taken.is_empty());
    for (before, snapshot) in taken {
        let found = opened(&world, &snapshot).everything();
        assert!(found.len() as i64 >= before, "{before} were acknowledged, {} are there", found.len());
        let rising = (0..found.len() as i64).map(|second| after_noon(second).as_millis());
        assert!(rising.eq(found.iter().map(|(_, at, _)| *at)), "no hole");
    }
}
