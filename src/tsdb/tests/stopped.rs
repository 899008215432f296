//! What can be said of a store that does not run.

use std::fs;

use crate::model::{Matcher, Span, TimeRange};
use crate::store::{DeleteSeries, Journal};

use super::super::catalogue::memory::Memory;
use super::super::stopped::{Stopped, carry_over};
use super::world::{World, after_noon};

fn filled() -> World {
    let mut world = World::new();
    for day in [-1, 0] {
        for series in 0..200 {
            let key = format!("|__name__=m,i={series}");
            world
                .push(&[(&key, after_noon(day * 86_400), 0.1), (&key, after_noon(day * 86_400 + 15), 0.2)])
                .expect("room");
        }
        world.spill().expect("spills");
    }
    world.pass(Span::HOUR);
    world.push(&[("|__name__=logged", after_noon(60), 1.0)]).expect("there is room");
    world
}

/// What a look at everything finds.
fn found(world: &mut World) -> (Vec<String>, super::super::stopped::Verified) {
    world.stop();
    let stopped = Stopped::lock(&world.settings.data).expect("nobody has it");
    let mut damages = Vec::new();
    let mut verified = stopped.verify(&mut |damage| damages.push(damage.to_string())).expect("readable");
    let mut report = |damage: super::super::Damage| damages.push(damage.to_string());
    stopped.verify_catalogue(&world.catalogue, &mut verified, &mut report).expect("readable");
    (damages, verified)
}

#[test]
fn a_running_store_is_left_alone() {
    let mut world = filled();
    let error = Stopped::lock(&world.settings.data).expect_err("it runs").to_string();
    assert!(error.ends_with("is in use by another process"), "{error}");
    world.stop();
    Stopped::lock(&world.settings.data).expect("it does not run any more");
    let error = Stopped::lock(&world.settings.data.join("parts")).expect_err("no store").to_string();
    assert!(error.ends_with("holds no store"), "{error}");
}

#[test]
fn stats_count_what_is_there() {
    let mut world = filled();
    world.stop();
    let stats = Stopped::lock(&world.settings.data).expect("nobody has it").stats().expect("readable");
    assert_eq!((stats.series, stats.parts.parts, stats.parts.rows), (200, 2, 800));
    assert_eq!(stats.days.values().map(|sum| sum.rows).collect::<Vec<_>>(), [400, 400]);
    assert_eq!(stats.levels.map(|sum| sum.parts), [2, 0, 0]);
    assert_eq!(stats.disk["parts"], stats.parts.bytes);
    assert!(stats.disk["log"] > 0 && stats.damages.is_empty());
}

#[test]
fn a_look_at_everything_finds_nothing_in_a_good_store() {
    let mut world = filled();
    let (damages, verified) = found(&mut world);
    assert_eq!(damages, Vec::<String>::new());
    assert_eq!((verified.parts, verified.rows, verified.segments, verified.set_aside), (2, 800, 1, 0));
    assert!(verified.records >= 2 && verified.catalogue_rows > 8);
}

#[test]
fn a_look_at_everything_names_file_and_place() {
    #[track_caller]
    fn check(file: &str, place: usize, found_there: &str, at: &str) {
        let mut world = filled();
        world.stop();
        let path = world.settings.data.join(file);
        let good = fs::read(&path).expect("readable");
        let mut bad = good.clone();
        bad[place] ^= 4;
        fs::write(&path, &bad).expect("writable");
        let (damages, _) = found(&mut world);
        let [damage] = &damages[..] else { panic!("one damage: {damages:?}") };
        let what = damage.strip_prefix(&format!("{}: ", path.display())).expect("the file is named first");
        assert!(what.contains(found_there) && what.ends_with(at), "{damage}");
        fs::write(&path, &good).expect("writable");
        assert_eq!(found(&mut world).0, Vec::<String>::new(), "looking changes nothing");
    }
    check("parts/0000000000000001.part", 18, "a wrong checksum, which costs m{i=\"0\"} and 199 more,", " at byte 16");
    check("parts/0000000000000001.part", 0, "no part header", " at byte 0");
    check("log/0000000000000003.log", 50, "bytes that are no record", " at byte 49");
}

#[test]
fn a_catalogue_made_again_knows_what_was_deleted_and_the_journal() {
    let mut world = filled();
    world.store().delete_series(&[Matcher::equal("i", "7")], TimeRange::ALL).expect("deletes");
    world.store().write(&[(b"rules/x".to_vec(), Some(b"firing".to_vec()))]).expect("kept");
    let expected = world.everything();
    world.stop();
    let new = Memory::default();
    assert_eq!(carry_over(&world.catalogue, &new).expect("writable"), (2, vec![]));
    world.catalogue = new;
    world.crash();
    assert_eq!(world.everything(), expected);
    assert_eq!(world.store().status().recovered.adopted_parts, 3);
    assert_eq!(world.store().scan(b"").expect("readable").len(), 1);
    world.push(&[("|__name__=m,i=7", after_noon(0), 5.0)]).expect("there is room");
    assert_eq!(world.everything().len(), expected.len() + 1, "what comes now is not deleted");
    world.crash();
    assert_eq!(world.everything().len(), expected.len() + 1);
}
