//! Torn writes, flipped bits, failing disks, lost catalogues.

use std::fs;
use std::path::PathBuf;

use crate::model::{Column, Matcher, Span, TimeRange};
use crate::store::{LaneView, MetricMetadata, SampleSink, SampleSource};

use super::super::FsyncPolicy;
use super::super::catalogue::memory::Memory;
use super::super::catalogue::{Change, Durability, KeyValue, keys};
use super::super::files::Disk;
use super::disk::Failing;
use super::world::{World, after_noon, read};

type Everything = Vec<(String, i64, u64)>;

/// Three requests, and what was there after each of them.
fn three_requests(world: &World) -> Vec<Everything> {
    let mut states = vec![Vec::new()];
    for round in 0..3 {
        let at = after_noon(round * 15);
        world
            .push(&[("|__name__=up,job=a", at, round as f64), ("|__name__=up,job=b", at, 0.1 + round as f64)])
            .expect("there is room");
        states.push(world.everything());
    }
    states
}

/// Where each byte of a log is tried, the room behind its records is short.
fn little_room() -> World {
    World::with(|settings| settings.segment_bytes_max = 32_000)
}

fn only_file(world: &World, folder: &str) -> PathBuf {
    let files: Vec<_> = fs::read_dir(world.settings.data.join(folder)).expect("a folder").collect();
    assert_eq!(files.len(), 1);
    files.into_iter().next().expect("one").expect("readable").path()
}

#[test]
fn a_log_cut_at_any_byte_recovers_whole_requests() {
    let first = little_room();
    let states = three_requests(&first);
    let log = fs::read(only_file(&first, "log")).expect("readable");
    assert!(log.ends_with(&[0; 50]), "there is room behind the records");
    let mut world = little_room();
    let path = world.settings.data.join("log").join("0000000000000001.log");
    let mut seen = 0;
    for length in 0..=log.len() {
        world.catalogue = Memory::default();
        fs::write(&path, &log[..length]).expect("writable");
        world.crash();
        let found = world.everything();
        let state = states.iter().position(|state| *state == found).expect("whole requests, in order");
        assert!(state >= seen, "a longer log holds no less");
        seen = state;
        assert_eq!(world.store().status().recovered.damages, Vec::<String>::new(), "a torn end is no damage");
    }
    assert_eq!(seen, 3);
}

#[test]
fn a_bit_flipped_anywhere_in_the_log_is_reported_and_invents_nothing() {
    let first = little_room();
    let expected = three_requests(&first).pop().expect("three");
    let log = fs::read(only_file(&first, "log")).expect("readable");
    let mut world = little_room();
    let path = world.settings.data.join("log").join("0000000000000001.log");
    for place in 0..log.len() {
        let mut bad = log.clone();
        bad[place] ^= 1 << (place % 8);
        world.catalogue = Memory::default();
        fs::write(&path, &bad).expect("writable");
        match world.open() {
            // The version is part of a checked header: a flip there never looks like a newer program.
            Err(error) => panic!("byte {place}: refused to start: {error}"),
            Ok(()) => {
                let found = world.everything();
                let recovered = world.store().status().recovered;
                let reported = !recovered.damages.is_empty() || recovered.torn_bytes > 0;
                assert!(reported || found == expected, "byte {place}: silent loss");
                assert!(found.iter().all(|row| expected.contains(row)), "byte {place}: invented");
            }
        }
    }
}

#[test]
fn records_behind_a_damaged_one_are_recovered() {
    let mut world = little_room();
    let expected = three_requests(&world).pop().expect("three");
    let path = only_file(&world, "log");
    let mut log = fs::read(&path).expect("readable");
    let marks: Vec<usize> =
        (0..log.len() - 4).filter(|place| log[*place..*place + 4] == super::super::log::record::MARK).collect();
    // The last but one record holds the second request.
    let record = marks[marks.len() - 2];
    log[record + 14] ^= 0x10;
    fs::write(&path, &log).expect("writable");
    world.crash();
    assert_eq!(world.everything().len(), expected.len() - 2);
    assert_eq!(world.store().status().recovered.damages.len(), 1);
}

#[test]
fn a_bit_flipped_anywhere_in_a_part_is_never_an_answer() {
    let mut world = World::new();
    let expected = three_requests(&world).pop().expect("three");
    world.spill().expect("spills");
    let path = only_file(&world, "parts");
    let part = fs::read(&path).expect("readable");
    let catalogue = world.catalogue.entries();
    for place in 0..part.len() {
        let mut bad = part.clone();
        bad[place] ^= 1 << (place % 8);
        fs::write(&path, &bad).expect("writable");
        world.catalogue = Memory::of(catalogue.clone());
        if world.open().is_err() {
            continue;
        }
        let reported = !world.store().status().recovered.damages.is_empty();
        let answer = world.store().select(&[], TimeRange::ALL).and_then(|found| {
            let mut rows = Vec::new();
            for series in &found.series {
                let mut column = Column::default();
                series.samples.read(&mut column)?;
                rows.extend(
                    column
                        .at
                        .iter()
                        .zip(&column.values)
                        .map(|(at, value)| (series.labels.to_string(), at.as_millis(), value.to_bits())),
                );
            }
            Ok((rows, found.warnings.all()))
        });
        let (rows, warnings) = answer.unwrap_or_else(|error| panic!("byte {place}: the rest is served: {error}"));
        assert!(reported || !warnings.is_empty() || rows == expected, "byte {place}: a wrong answer");
        assert!(rows.iter().all(|row| expected.contains(row)), "byte {place}: invented");
        let _ = fs::remove_file(path.with_extension("damaged"));
    }
}

#[test]
fn a_stop_at_any_step_of_a_spill_or_merge_loses_nothing() {
    for step in 0.. {
        let mut world = World::new();
        world.on_a_failing_disk(Failing::never());
        for round in 0..4 {
            three_requests(&world);
            world.push(&[("|__name__=late", after_noon(-round * 3_600), 1.0)]).expect("there is room");
            if round < 3 {
                world.spill().expect("spills");
            }
        }
        let expected = world.everything();
        world.faults.allow(step);
        let spilled = world.spill();
        assert_eq!(world.everything(), expected, "step {step}: a failed spill is still readable");
        let maintained = world.store().maintain(world.now);
        assert_eq!(world.everything(), expected, "step {step}: a failed merge is still readable");
        let failed = spilled.is_err() || maintained.is_err();
        world.disk = Disk::default();
        world.crash();
        assert_eq!(world.everything(), expected, "step {step}: after the restart");
        world.spill().expect("spills");
        assert_eq!(world.everything(), expected, "step {step}: after another spill");
        if !failed {
            assert!(step > 8, "the whole way was interrupted");
            break;
        }
    }
}

#[test]
fn a_failed_append_is_an_error_and_the_next_one_works() {
    for step in 0..6 {
        let mut world = World::new();
        world.on_a_failing_disk(Failing::never());
        world.push(&[("|__name__=kept", after_noon(0), 1.0)]).expect("there is room");
        world.faults.allow(step);
        let refused =
            (0..4).map(|round| world.push(&[("|__name__=new", after_noon(round), 1.0)])).filter(Result::is_err);
        let refused = refused.count();
        assert!(refused > 0, "step {step}");
        assert_eq!(world.everything().len(), 1 + 4 - refused, "only what was acknowledged is visible");
        world.faults.allow(i64::MAX);
        world.push(&[("|__name__=new", after_noon(60), 2.0)]).expect("the disk works again");
        let acknowledged = world.everything();
        world.disk = Disk::default();
        world.crash();
        let found = world.everything();
        assert!(acknowledged.iter().all(|row| found.contains(row)), "step {step}: an acknowledged row is lost");
        assert_eq!(world.store().status().recovered.nameless_samples, 0);
    }
}

#[test]
fn a_catalogue_that_fails_delays_a_spill_and_loses_nothing() {
    let mut world = World::new();
    let expected = three_requests(&world).pop().expect("three");
    world.catalogue.fail_writes(true);
    assert!(world.spill().is_err());
    assert_eq!(world.everything(), expected);
    world.push(&[("|__name__=more", after_noon(0), 1.0)]).expect("appends need no catalogue");
    world.catalogue.fail_writes(false);
    world.spill().expect("spills what was frozen");
    assert_eq!(world.everything().len(), expected.len() + 1);
    world.crash();
    assert_eq!(world.everything().len(), expected.len() + 1);
}

#[test]
fn metadata_that_could_not_be_written_is_written_when_it_comes_again() {
    let mut world = World::new();
    let said = MetricMetadata { kind: "gauge".into(), ..MetricMetadata::default() };
    let said = [("up".to_owned(), said)];
    world.catalogue.fail_writes(true);
    assert!(world.store().append_metadata(&said).is_err());
    world.catalogue.fail_writes(false);
    world.store().append_metadata(&said).expect("writable");
    world.crash();
    assert_eq!(world.store().metadata(None).expect("readable"), [(said[0].0.clone(), vec![said[0].1.clone()])]);
}

#[test]
fn a_lost_catalogue_is_made_again_from_parts_and_log() {
    let mut world = World::new();
    three_requests(&world);
    world.push(&[("b|__name__=pair", after_noon(0), 1.0), ("a|__name__=pair", after_noon(1), 2.0)]).expect("room");
    world.spill().expect("spills");
    world.push(&[("|__name__=up,job=a", after_noon(60), 1.0)]).expect("there is room");
    let expected = world.everything();
    for _ in 0..2 {
        world.catalogue = Memory::default();
        world.crash();
        assert_eq!(world.everything(), expected);
        assert_eq!(world.store().status().recovered.nameless_samples, 0);
        world.push(&[("|__name__=up,job=a", after_noon(60), 1.0)]).expect("there is room");
        world.spill().expect("spills");
        assert_eq!(world.everything(), expected);
    }
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let mut world = World::new();
    three_requests(&world);
    let newer = Change::Put(keys::FORMAT.to_vec(), keys::encode_number(3));
    let known = Change::Put(keys::FORMAT.to_vec(), keys::encode_number(2));
    world.catalogue.write(&[newer], Durability::Synced).expect("in memory");
    let error = world.open().expect_err("a newer store");
    assert_eq!(format!("{error}"), "catalogue: the store has format 3, and this program opens up to 2");
    world.catalogue.write(&[known], Durability::Synced).expect("in memory");

    let path = only_file(&world, "log");
    let good = fs::read(&path).expect("readable");
    let mut log = good.clone();
    log[8] = 2;
    let crc = crc32c::crc32c(&log[..24]);
    log[24..28].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &log).expect("writable");
    let error = world.open().expect_err("a newer log").to_string();
    assert!(error.ends_with("log format 2, and this program reads up to 1 at byte 8"), "{error}");
    fs::write(&path, &good).expect("writable");
    world.crash();

    world.spill().expect("spills");
    let path = only_file(&world, "parts");
    let mut part = fs::read(&path).expect("readable");
    let footer = part.len() - 32;
    part[8] = 4;
    part[footer + 16] = 4;
    let crc = crc32c::crc32c(&part[footer..footer + 20]);
    part[footer + 20..footer + 24].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &part).expect("writable");
    let error = world.open().expect_err("a newer part").to_string();
    assert!(error.ends_with("part format 4, and this program reads up to 3 at byte 8"), "{error}");
    assert!(path.exists(), "nothing is touched");
}

#[test]
fn requests_that_come_together_are_all_there_after_a_crash() {
    let mut world = World::new();
    std::thread::scope(|scope| {
        for sender in 0..6 {
            let world = &world;
            scope.spawn(move || {
                for round in 0..20 {
                    let key = format!("|__name__=up,sender={sender},series={}", round % 7);
                    world.push(&[(&key, after_noon(round), 1.0)]).expect("there is room");
                    if round == 10 && sender == 0 {
                        world.spill().expect("spills under load");
                    }
                }
            });
        }
    });
    assert_eq!(world.everything().len(), 120);
    world.crash();
    assert_eq!(world.everything().len(), 120);
    assert_eq!(world.store().status().recovered.nameless_samples, 0);
}

/// How many series are shown, and how many ids were ever given out.
fn series_and_ids(world: &World) -> (usize, u32) {
    let shown = world.store().select(&[], TimeRange::ALL).expect("readable").series.len();
    (shown, world.store().store.resolver.registry.read().next_id())
}

fn raw(world: &World) -> Vec<String> {
    let raw = world.store().with_lanes(&LaneView::Raw).expect("lanes are kept");
    let mut shown = Vec::new();
    for (labels, column) in read(&*raw, &[], TimeRange::ALL) {
        shown.push(format!("{labels} {:?} {:?}", column.at, column.values));
    }
    shown
}

#[test]
fn a_lost_catalogue_and_a_crash_before_the_next_spill_cost_no_name() {
    let mut world = World::new();
    world.push(&[("b|__name__=pair", after_noon(0), 1.0), ("a|__name__=pair", after_noon(1), 2.0)]).expect("room");
    world.push(&[("|__name__=up", after_noon(0), 3.0)]).expect("there is room");
    world.spill().expect("spills");
    // Catalogued by now, so that this stretch of log does not name it.
    world.push(&[("|__name__=up", after_noon(60), 4.0)]).expect("there is room");
    let (expected, lanes) = (world.everything(), raw(&world));
    world.catalogue = Memory::default();
    for _ in 0..3 {
        world.crash();
        assert_eq!(world.store().status().recovered.nameless_samples, 0);
        world.push(&[("a|__name__=pair", after_noon(1), 2.0), ("|__name__=up", after_noon(60), 4.0)]).expect("room");
        assert_eq!(series_and_ids(&world), (2, 2), "nobody gets a second id");
        assert_eq!(world.everything(), expected);
        assert_eq!(raw(&world), lanes, "a lane belongs to its replica for ever");
    }
}

#[test]
fn a_catalogue_that_forgot_its_newest_writes_costs_no_part() {
    let mut world = World::new();
    world.push(&[("|__name__=old", after_noon(0), 1.0)]).expect("there is room");
    world.spill().expect("spills");
    let older = world.catalogue.entries();
    world.push(&[("b|__name__=pair", after_noon(0), 1.0), ("a|__name__=pair", after_noon(1), 2.0)]).expect("room");
    world.spill().expect("spills");
    let (expected, lanes) = (world.everything(), raw(&world));
    world.catalogue = Memory::of(older);
    world.crash();
    assert_eq!(world.store().status().recovered.adopted_parts, 1);
    for _ in 0..2 {
        world.push(&[("a|__name__=pair", after_noon(1), 2.0)]).expect("there is room");
        assert_eq!(series_and_ids(&world), (2, 2));
        assert_eq!((world.everything(), raw(&world)), (expected.clone(), lanes.clone()));
        world.crash();
        assert_eq!(world.store().status().recovered.adopted_parts, 0, "the catalogue knows it again");
    }
}

#[test]
fn a_commit_that_failed_and_happened_all_the_same_loses_nothing() {
    let mut world = World::new();
    let expected = three_requests(&world).pop().expect("three");
    world.catalogue.fail_writes_but_keep_them(true);
    for _ in 0..3 {
        assert!(world.spill().is_err());
        assert_eq!(world.everything(), expected);
    }
    assert_eq!(fs::read_dir(world.settings.data.join("parts")).expect("a folder").count(), 1, "written once");
    world.catalogue.fail_writes_but_keep_them(false);
    world.crash();
    assert_eq!(world.store().status().recovered.damages, Vec::<String>::new());
    assert_eq!(world.everything(), expected);
}

#[test]
fn a_merge_that_could_not_be_named_is_not_written_again() {
    let mut world = World::new();
    for round in 0..4 {
        world.push(&[("|__name__=up", after_noon(round), 1.0)]).expect("there is room");
        world.spill().expect("spills");
    }
    let expected = world.everything();
    world.catalogue.fail_writes_but_keep_them(true);
    for _ in 0..200 {
        drop(world.store().maintain(world.now));
    }
    assert_eq!(fs::read_dir(world.settings.data.join("parts")).expect("a folder").count(), 5);
    assert_eq!(world.everything(), expected);
    world.catalogue.fail_writes_but_keep_them(false);
    world.crash();
    assert_eq!(world.everything(), expected);
    assert_eq!(world.store().status().parts, 1);
}

#[test]
fn a_damaged_part_keeps_no_other_day_from_being_merged() {
    let mut world = World::new();
    for (round, day) in [0, 0, 0, 0, -1, -1].into_iter().enumerate() {
        let at = after_noon(day * 86_400 + round as i64);
        world.push(&[("|__name__=up", at, round as f64 + 0.1)]).expect("there is room");
        world.spill().expect("spills");
    }
    // The newest two parts are those of yesterday, whose seal comes first.
    let path = world.settings.data.join("parts").join("0000000000000005.part");
    let mut part = fs::read(&path).expect("readable");
    part[18] ^= 1;
    fs::write(&path, &part).expect("writable");
    world.crash();
    let merged: usize = (0..100).map(|_| world.store().maintain(world.now).expect("nothing fails").merged).sum();
    assert_eq!(merged, 6, "what can be read of yesterday, and today's parts");
    assert_eq!(world.everything().len(), 5, "a damaged chunk costs its own rows");
    assert!(path.with_extension("damaged").exists() && !path.exists(), "the file is put aside, not removed");
    world.crash();
    assert_eq!(world.everything().len(), 5);
    assert_eq!(world.store().status().recovered.damages, Vec::<String>::new(), "the manifest does not miss it");
}

#[test]
fn a_damaged_index_keeps_its_part_from_being_merged_and_no_other() {
    let mut world = World::new();
    for round in 0..6 {
        let at = after_noon(round);
        world.push(&[("|__name__=up", at, 0.1), ("|__name__=up,job=a", at, 0.1)]).expect("there is room");
        world.spill().expect("spills");
    }
    let path = world.settings.data.join("parts").join("0000000000000003.part");
    let mut part = fs::read(&path).expect("readable");
    // The first value of a block of postings stands there, and last of all in the tables.
    let places: Vec<usize> = (0..part.len() - 3).filter(|place| part[*place..].starts_with(b"\x02up")).collect();
    part[places[places.len() - 2] + 1] ^= 1;
    fs::write(&path, &part).expect("writable");
    world.crash();
    let found = world.store().select(&[Matcher::equal("__name__", "up")], TimeRange::ALL).expect("served");
    assert_eq!(found.series.len(), 2);
    let warnings = found.warnings.all();
    assert!(matches!(&warnings[..], [one] if one.contains("0000000000000003.part")), "{warnings:?}");
    assert_eq!(world.store().maintain(world.now).expect("merges").merged, 6, "postings are not needed to merge");
}

#[test]
fn an_answer_without_a_damaged_block_says_so() {
    let mut world = World::new();
    for day in [0, -1] {
        for series in ["a", "b"] {
            let key = format!("|__name__=up,job={series}");
            world.push(&[(&key, after_noon(day * 86_400), 0.1)]).expect("there is room");
        }
        world.spill().expect("spills");
    }
    let path = world.settings.data.join("parts").join("0000000000000001.part");
    let mut part = fs::read(&path).expect("readable");
    part[18] ^= 1;
    fs::write(&path, &part).expect("writable");
    world.crash();
    for _ in 0..2 {
        let found = world.store().select(&[], TimeRange::ALL).expect("served");
        assert_eq!(found.warnings.all(), Vec::<String>::new(), "nothing is read yet");
        let mut rows = Vec::new();
        for series in &found.series {
            let mut column = Column::default();
            series.samples.read(&mut column).expect("the rest is served");
            rows.push(column.len());
        }
        assert_eq!(rows, [1, 1], "the block that both share is missing");
        let warnings = found.warnings.all();
        let [warning] = &warnings[..] else { panic!("one warning: {warnings:?}") };
        assert!(warning.contains("0000000000000001.part: a wrong checksum at byte 16"), "{warning}");
    }
    let damages = world.store().status().damages;
    assert_eq!((damages.len(), damages[0].offset, damages[0].file == path), (1, 16, true));
    assert_eq!(world.store().store.metrics.damages.get(), 1, "counted once");
}

#[test]
fn retention_makes_room_where_spills_fail() {
    let mut world = World::new();
    world.on_a_failing_disk(Failing::never());
    world.push(&[("|__name__=old", after_noon(0), 1.0)]).expect("there is room");
    world.spill().expect("spills");
    world.pass(Span::DAY.times(100));
    world.push(&[("|__name__=new", world.now, 1.0)]).expect("there is room");
    world.pass(Span::HOUR);
    world.faults.allow(0);
    assert!(world.store().maintain(world.now).is_err());
    assert_eq!(world.store().status().parts, 0);
}

#[test]
fn a_failed_sync_of_the_log_is_made_good_by_a_spill() {
    let mut world = World::with(|settings| settings.fsync = FsyncPolicy::Interval(Span::SECOND));
    world.on_a_failing_disk(Failing::never());
    world.push(&[("|__name__=up", after_noon(0), 1.0)]).expect("there is room");
    world.pass(Span::SECOND);
    world.faults.allow(0);
    assert!(world.store().sync_log(world.now).is_err());
    world.faults.allow(i64::MAX);
    assert_eq!(world.store().maintain(world.now).expect("the disk works again").spilled, 1);
    assert_eq!(world.store().maintain(world.now).expect("works").spilled, 0);
    world.push(&[("|__name__=up", after_noon(1), 1.0)]).expect("there is room");
    assert_eq!(world.everything().len(), 2);
}

#[test]
fn a_damaged_record_of_replicas_gives_their_lanes_to_nobody_else() {
    let mut world = World::new();
    world.push(&[("a|__name__=up", after_noon(0), 1.0), ("b|__name__=up", after_noon(1), 2.0)]).expect("room");
    let path = only_file(&world, "log");
    let mut log = fs::read(&path).expect("readable");
    let cluster = log.windows(3).position(|bytes| bytes == b"\x02eu").expect("the record that names the group");
    log[cluster + 1] ^= 1;
    fs::write(&path, &log).expect("writable");
    world.crash();
    assert_eq!(world.store().status().recovered.damages.len(), 1);
    world.push(&[("c|__name__=up", after_noon(2), 3.0)]).expect("there is room");
    assert_eq!(raw(&world).len(), 3, "three replicas, three lanes: {:?}", raw(&world));
}
