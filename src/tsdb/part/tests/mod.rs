//! Parts as a whole: what older programs wrote still reads.

mod format_2;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use roaring::RoaringBitmap;

use crate::model::histogram::BucketSpan;
use crate::model::{Column, Histogram, Labels, Lane, Matcher, ResetHint, STALE_NAN_BITS, Span, TimeRange, Timestamp};
use crate::store::BatchSample;

use super::super::context::Thinning;
use super::super::files::Disk;
use super::super::index::evaluate;
use super::super::resolve::lanes::Group;
use super::super::rewrite::Rewrite;
use super::super::rows;
use super::{Level, Part, PartSeries, PartWriter};

/// A series to be written: id, group, labels, lanes.
type Series = (u32, u32, Labels, Vec<(Lane, Column)>);

/// The day of the fixture.
const DAY: i64 = 19_675;

fn at(millis: i64) -> Timestamp {
    Timestamp::EPOCH + Span::from_millis(DAY * Span::DAY.as_millis() + millis)
}

/// The groups of the fixture: none, a pair, a single replica.
fn groups() -> Vec<Group> {
    let group = |cluster: &str, replicas: &[&str]| Group {
        cluster: cluster.into(),
        replicas: replicas.iter().map(|replica| (*replica).to_owned()).collect(),
    };
    vec![group("", &[""]), group("eu", &["a", "b"]), group("us", &["a"])]
}

/// What `tests/fixtures/part-1.part` was written from: every kind of row, one lane and two, one chunk and several, two
/// blocks of the directory. Never to be changed.
fn series_of_the_fixture() -> Vec<Series> {
    let mut all = Vec::new();
    for number in 0..150_u32 {
        let (target, kind) = (number % 5, number / 5);
        let name = format!("metric_{:02}", kind);
        let instance = format!("host-{target}:9100");
        let labels = Labels::from_pairs([("__name__", name.as_str()), ("instance", &instance), ("job", "node")]);
        let group = if target == 4 { 2 } else { target % 2 };
        let lanes = if group == 1 { 2 } else { 1 };
        let columns = (0..lanes).map(|lane| (Lane(lane), column_of_the_fixture(kind, target, lane))).collect();
        all.push((target * 1_000 + kind, group, labels, columns));
    }
    all.sort_by(|left, right| left.2.cmp(&right.2));
    all
}

fn column_of_the_fixture(kind: u32, target: u32, lane: u8) -> Column {
    let mut column = Column::default();
    let rows = if kind.is_multiple_of(10) { 70 } else { 12 };
    for row in 0..rows {
        let late = if (row + i64::from(target)) % 50 == 7 { 9 } else { 0 };
        let millis = i64::from(target) * 137 + i64::from(lane) * 7_000 + row * 15_000 + late;
        let start = if kind == 7 { at(i64::from(target) * 100) } else { Timestamp::EPOCH };
        let value = match kind % 6 {
            0 => f64::from(kind),
            1 => (row * row * 40 + i64::from(target)) as f64,
            2 => row as f64 / 4.0 - 1.0,
            3 => (row as f64 + 1.5).sqrt(),
            4 if row == 5 => f64::from_bits(STALE_NAN_BITS),
            4 => 9_007_199_254_740_993.0,
            _ => -0.0,
        };
        let histogram = (kind == 11 || kind == 20 && row > 60).then(|| {
            Arc::new(Histogram {
                integer: true,
                count: (row * 3) as f64,
                sum: row as f64 * 0.5,
                positive_spans: vec![BucketSpan { offset: -2, length: 2 }],
                positive_buckets: vec![row as f64, (row * 2) as f64],
                reset_hint: if row == 0 { ResetHint::Yes } else { ResetHint::No },
                ..Histogram::default()
            })
        });
        rows::push(&mut column, &BatchSample { at: at(millis), start, value, histogram });
    }
    column
}

/// A series as text, every bit of it.
type Shown = (u32, u32, Vec<(Lane, Vec<String>)>);

fn shown((id, group, _, lanes): &Series) -> Shown {
    let show =
        |row: BatchSample| format!("{:?} {:?} {:#x} {:?}", row.at, row.start, row.value.to_bits(), row.histogram);
    let lanes = lanes.iter().map(|(lane, column)| (*lane, rows::each(column).map(show).collect()));
    (*id, *group, lanes.collect())
}

/// Every series of a part with the rows of its lanes, by its labels.
fn everything(part: &Part) -> BTreeMap<String, Shown> {
    let mut all = RoaringBitmap::new();
    all.insert_range(0..part.meta().series);
    let mut found = BTreeMap::new();
    for (series, chunks) in part.find(&all).expect("readable") {
        let labels = part.labels(&series).expect("readable");
        let mut lanes: Vec<(Lane, Column)> = Vec::new();
        for chunk in &chunks {
            part.read_chunk(chunk, super::super::head::lane_of(&mut lanes, chunk.lane)).expect("readable");
        }
        found.insert(labels.to_string(), shown(&(series.id, series.group, labels, lanes)));
    }
    found
}

fn fixture() -> (tempfile::TempDir, Part) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = super::path(directory.path(), 5);
    std::fs::write(&path, include_bytes!("../../../../tests/fixtures/part-1.part")).expect("writable");
    let part = Part::open(&path, &Arc::default()).expect("an older part opens");
    (directory, part)
}

#[test]
fn a_part_of_format_1_gives_back_what_was_written() {
    let (_directory, part) = fixture();
    let expected: BTreeMap<String, Shown> =
        series_of_the_fixture().into_iter().map(|series| (series.2.to_string(), shown(&series))).collect();
    assert_eq!(everything(&part), expected);
    assert_eq!(part.groups(), groups());
    assert_eq!((part.meta().level, part.meta().day, &*part.meta().replaces), (Level::Sealed, DAY, &[2, 3][..]));
    for (id, ..) in expected.values() {
        assert!(!part.find_by_id(*id).expect("readable").is_empty());
    }
}

/// What a look at the whole part finds wrong.
fn damages(part: &Part) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    part.verify(&mut |damage| found.push((damage.offset, damage.found)));
    found
}

#[test]
fn a_look_at_a_whole_part_finds_the_damaged_series_and_no_other() {
    let (_directory, part) = fixture();
    assert_eq!(damages(&part), []);
    let bytes: u64 = part.describe().iter().map(|kind| kind.bytes).sum();
    assert!(bytes < part.bytes() && bytes > part.bytes() * 3 / 4, "tables are the rest: {bytes} of {}", part.bytes());
    let mut damaged = std::fs::read(part.path()).expect("readable");
    damaged[20] ^= 4;
    std::fs::write(part.path(), damaged).expect("writable");
    let found = damages(&Part::open(part.path(), &Arc::default()).expect("opens"));
    let expected = "a wrong checksum, which costs metric_00{instance=\"host-0:9100\", job=\"node\"},";
    assert_eq!(found, [(16, expected.to_owned())]);
}

/// Writes series as a part of today's format.
fn written(series: &[Series], level: Level, chunk_rows: usize) -> (tempfile::TempDir, Part) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let disk = Disk::default();
    let mut writer = PartWriter::create(&disk, directory.path(), 5, DAY, level, vec![2, 3]).expect("writable");
    for (id, group, labels, lanes) in series {
        writer.add(*id, *group, labels, lanes, chunk_rows).expect("writable");
    }
    let path = writer.finish(&groups()).expect("writable").expect("rows");
    let part = Part::open(&path, &Arc::default()).expect("a part opens");
    (directory, part)
}

#[track_caller]
fn check_written(series: &[Series], level: Level, chunk_rows: usize) -> (tempfile::TempDir, Part) {
    let (directory, part) = written(series, level, chunk_rows);
    let expected: BTreeMap<String, Shown> = series.iter().map(|one| (one.2.to_string(), shown(one))).collect();
    assert_eq!(everything(&part), expected);
    assert_eq!(damages(&part), []);
    assert_eq!(part.groups(), groups());
    for (id, ..) in series {
        assert!(!part.find_by_id(*id).expect("readable").is_empty());
    }
    assert_eq!(part.find_by_id(u32::MAX).expect("readable"), []);
    (directory, part)
}

#[test]
fn every_kind_of_row_comes_back() {
    let series = series_of_the_fixture();
    check_written(&series, Level::Spilled, 480);
    check_written(&series, Level::Sealed, 32);
    let (_directory, part) = check_written(&series, Level::Sealed, 8_192);
    let (_fixture, older) = fixture();
    assert!(part.bytes() < older.bytes() / 2, "{} bytes, and {} in format 1", part.bytes(), older.bytes());
}

/// A series of plain rows: every `step` milliseconds from `first` on, `late` where the row is a multiple of 7.
fn plain(id: u32, name: &str, first: i64, step: i64, rows: i64) -> Series {
    let mut column = Column::default();
    for row in 0..rows {
        let millis = first + row * step + if row % 7 == 3 { 9 } else { 0 };
        let row = BatchSample { at: at(millis), start: Timestamp::EPOCH, value: (row * 3) as f64, histogram: None };
        rows::push(&mut column, &row);
    }
    (id, 0, Labels::from_pairs([("__name__", name)]), vec![(Lane(0), column)])
}

fn columns_of(part: &Part) -> usize {
    part.times.bytes() as usize
}

#[test]
fn series_of_one_target_share_their_times_also_when_they_began_later_or_ended_earlier() {
    let whole = plain(1, "a", 5, 15_000, 400);
    let mut later = plain(2, "b", 5, 15_000, 400);
    rows::clip(&mut later.3[0].1, TimeRange::new(at(1_000_000), at(90_000_000)).expect("a range"));
    let mut earlier = plain(3, "c", 5, 15_000, 400);
    rows::clip(&mut earlier.3[0].1, TimeRange::new(at(0), at(3_000_000)).expect("a range"));
    let alone = columns_of(&check_written(std::slice::from_ref(&whole), Level::Spilled, 480).1);
    let (_directory, part) = check_written(&[whole, later, earlier], Level::Spilled, 480);
    assert_eq!(columns_of(&part), alone);
}

#[test]
fn times_that_differ_in_one_row_are_not_taken_for_the_same() {
    let (one, mut other) = (plain(1, "a", 5, 15_000, 100), plain(2, "b", 5, 15_000, 100));
    other.3[0].1.at[50] = other.3[0].1.at[50] + Span::from_millis(1);
    let alone = columns_of(&check_written(std::slice::from_ref(&one), Level::Spilled, 480).1);
    let (_directory, part) = check_written(&[one, other], Level::Spilled, 480);
    assert!(columns_of(&part) > alone);
}

#[test]
fn where_there_are_too_many_columns_chunks_carry_their_own_times() {
    let more = 300;
    let series: Vec<Series> = (0..super::columns::COLUMNS_MAX as u32 + more)
        .map(|id| plain(id, &format!("m{id:06}"), i64::from(id) * 3, 1, 2))
        .collect();
    let (_directory, part) = written(&series, Level::Spilled, 480);
    assert_eq!(damages(&part), []);
    let (mut place, mut own) = (0, 0);
    part.find_each(&(0..part.meta().series).collect(), |found, chunks| {
        let (mut column, (id, _, _, lanes)) = (Column::default(), &series[place]);
        part.read_chunk(&chunks[0], &mut column)?;
        assert_eq!((found.id, &column.at, &column.values), (*id, &lanes[0].1.at, &lanes[0].1.values));
        (place, own) = (place + 1, own + u32::from(chunks[0].shared_times().is_none()));
        Ok(())
    })
    .expect("readable");
    assert_eq!((place, own), (series.len(), more));
}

#[test]
fn a_read_of_some_rows_gives_all_that_lie_inside() {
    for series in series_of_the_fixture().into_iter().chain([plain(77_777, "z", 5, 100, 1_000)]) {
        let (_directory, part) = written(std::slice::from_ref(&series), Level::Spilled, 480);
        for (from, to) in
            [(0, 90_000), (50_000, 50_200), (44_000, 3_000_000), (20_000, 20_001), (90_000_000, 91_000_000)]
        {
            let range = TimeRange::new(at(from), at(to)).expect("a range");
            part.find_each(&RoaringBitmap::from_iter([0]), |_, chunks| {
                for (lane, mut expected) in series.3.clone() {
                    let mut found = Column::default();
                    for chunk in chunks.iter().filter(|chunk| chunk.lane == lane) {
                        part.read_rows(chunk, range, &mut found)?;
                    }
                    rows::clip(&mut found, range);
                    rows::clip(&mut expected, range);
                    let one = |column| shown(&(0, 0, Labels::empty(), vec![(lane, column)]));
                    assert_eq!(one(found), one(expected), "{} {from}..{to}", series.2);
                }
                Ok(())
            })
            .expect("readable");
        }
    }
}

#[test]
fn many_series_in_many_blocks_are_found_by_labels_and_by_id() {
    let mut series = Vec::new();
    for number in 0..3_000_u32 {
        let (metric, target) = (number / 60, number % 60);
        let (name, instance) = (format!("metric_{metric:03}"), format!("host-{target:02}"));
        let parity = if (metric + target) % 3 == 0 { "fizz" } else { "plain" };
        let labels = Labels::from_pairs([("__name__", name.as_str()), ("instance", &instance), ("parity", parity)]);
        let lanes = plain(0, "x", i64::from(target) * 31, 15_000, 8 + i64::from(metric) % 9).3;
        series.push((target * 100 + metric, 0, labels, lanes));
    }
    series.sort_by(|left, right| left.2.cmp(&right.2));
    let (_directory, part) = check_written(&series, Level::Sealed, 480);
    for matchers in [
        vec![Matcher::equal("instance", "host-07")],
        vec![Matcher::equal("__name__", "metric_011")],
        vec![Matcher::equal("parity", "fizz")],
        vec![Matcher::not_equal("parity", "fizz"), Matcher::regex("instance", "host-.[37]").expect("valid")],
    ] {
        let found = evaluate(&part, &matchers).expect("readable");
        let expected = (0..series.len()).filter(|place| Matcher::all_match(&matchers, &series[*place].2));
        assert_eq!(found, expected.map(|place| place as u32).collect::<RoaringBitmap>(), "{matchers:?}");
    }
    let bytes = |kind: &str| part.describe().into_iter().find(|found| found.name == kind).expect("a kind").bytes;
    assert!(bytes("directory") < 3_000 * 2, "{} bytes of directory", bytes("directory"));
}

#[test]
fn a_damaged_block_of_chunks_costs_its_own_series_alone() {
    let mut series: Vec<Series> = (0..200).map(|id| plain(id, &format!("m{id:03}"), 5, 15_000, 300)).collect();
    for (number, one) in series.iter_mut().enumerate() {
        one.3[0].1.values.iter_mut().enumerate().for_each(|(row, value)| *value = (row * row * number % 251) as f64);
    }
    let (_directory, part) = written(&series, Level::Spilled, 480);
    assert!(part.chunks.len() > 2, "{} blocks", part.chunks.len());
    let mut bytes = std::fs::read(part.path()).expect("readable");
    let offset = part.chunks.offset(1);
    bytes[offset as usize + 100] ^= 1;
    std::fs::write(part.path(), bytes).expect("writable");
    let part = Part::open(part.path(), &Arc::default()).expect("opens");
    let (mut lost, mut first) = (0, None);
    let all = (0..part.meta().series).collect();
    for (series, chunks) in part.find(&all).expect("readable") {
        if part.read_chunk(&chunks[0], &mut Column::default()).is_err() {
            lost += 1;
            first.get_or_insert(part.labels(&series).expect("readable").to_string());
        }
    }
    assert!(lost > 0 && lost < 190, "{lost} series");
    let what = format!("a wrong checksum, which costs {} and {} more,", first.expect("one at least"), lost - 1);
    assert_eq!(damages(&part), [(offset, what)]);
}

/// Where a series has rows in a spill: rows passed over, rows, milliseconds added to its times.
type Spill = Vec<(usize, usize, i64)>;

fn spills() -> impl Strategy<Value = (Vec<Spill>, Vec<u8>)> {
    let piece =
        (prop_oneof![3 => Just(0_usize), 1 => 0..40_usize], 1..150_usize, prop_oneof![4 => Just(0_i64), 1 => 0..5_i64]);
    (vec(vec(piece, 6), 1..4), vec(0..3_u8, 6))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_merge_keeps_every_row_whatever_is_shared(
        (spills, kinds) in spills(),
        chunk_rows in 20..200_usize,
        seal in any::<bool>(),
    ) {
        // Each spill covers 150 scrapes; a time that is moved may meet one of the next spill.
        let series_of = |number: usize, spill: &Spill| -> Vec<Series> {
            spill.iter().zip(&kinds).enumerate().map(|(id, ((skip, rows, moved), kind))| {
                let mut column = Column::default();
                for row in *skip..(skip + rows).min(152) {
                    let row = (number * 150 + row) as i64;
                    let value = match kind { 0 => 7.0, 1 => (row * row) as f64, _ => (row as f64).sqrt() };
                    let start = if *kind == 2 && id == 3 { at(0) } else { Timestamp::EPOCH };
                    let at = at(row * 15_000 + moved);
                    rows::push(&mut column, &BatchSample { at, start, value, histogram: None });
                }
                (id as u32, 0, Labels::from_pairs([("__name__", format!("m{id}"))]), vec![(Lane(0), column)])
            }).collect()
        };
        let mut expected: Vec<Series> = Vec::new();
        let mut parts = Vec::new();
        for (number, spill) in spills.iter().enumerate() {
            let series = series_of(number, spill);
            match expected.is_empty() {
                true => expected = series.clone(),
                false => for (known, more) in expected.iter_mut().zip(&series) {
                    rows::append(&mut known.3[0].1, &more.3[0].1);
                },
            }
            parts.push(written(&series, Level::Spilled, chunk_rows));
        }
        for series in &mut expected {
            rows::tidy(&mut series.3[0].1);
        }
        let (directory, disk) = (tempfile::tempdir().expect("a temporary directory"), Disk::default());
        let level = if seal { Level::Sealed } else { Level::Merged };
        let mut writer = PartWriter::create(&disk, directory.path(), 9, DAY, level, vec![5]).expect("writable");
        let mut rewrite = Rewrite::new(&[], level, None, Thinning::nowhere());
        for (ordinal, (id, group, labels, _)) in expected.iter().enumerate() {
            for (number, (_, part)) in parts.iter().enumerate() {
                part.find_each(&RoaringBitmap::from_iter([ordinal as u32]), |series, chunks| {
                    rewrite.take(part, number, series, chunks);
                    Ok(())
                }).expect("readable");
            }
            let series = PartSeries { ordinal: ordinal as u32, id: *id, group: *group };
            rewrite.write(&mut writer, series, labels).expect("writable");
            writer.end_series(*id, *group, labels).expect("writable");
        }
        let merged = Part::open(&writer.finish(&groups()).expect("writable").expect("rows"), &Arc::default()).expect("opens");
        let expected: BTreeMap<String, Shown> = expected.iter().map(|one| (one.2.to_string(), shown(one))).collect();
        prop_assert_eq!(everything(&merged), expected);
        prop_assert_eq!(damages(&merged), []);
    }
}

#[test]
fn a_part_of_format_1_is_merged_into_one_of_today() {
    let (_fixture, older) = fixture();
    let (directory, disk) = (tempfile::tempdir().expect("a temporary directory"), Disk::default());
    let mut writer = PartWriter::create(&disk, directory.path(), 6, DAY, Level::Merged, vec![5]).expect("writable");
    let mut rewrite = Rewrite::new(&[], Level::Merged, None, Thinning::nowhere());
    older
        .find_each(&(0..older.meta().series).collect(), |series, chunks| {
            rewrite.take(&older, 0, series, chunks);
            let labels = older.labels(&series)?;
            rewrite.write(&mut writer, series, &labels)?;
            writer.end_series(series.id, series.group, &labels)
        })
        .expect("merged");
    let merged =
        Part::open(&writer.finish(older.groups()).expect("writable").expect("rows"), &Arc::default()).expect("opens");
    assert_eq!(everything(&merged), everything(&older));
    assert_eq!(damages(&merged), []);
}
