//! Parts as a whole: what older programs wrote still reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::model::histogram::BucketSpan;
use crate::model::{Column, Histogram, Labels, Lane, ResetHint, STALE_NAN_BITS, Span, Timestamp};
use crate::store::BatchSample;

use super::super::files::Disk;
use super::super::resolve::lanes::Group;
use super::super::rows;
use super::{Level, Part, PartWriter};

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
    std::fs::write(&path, include_bytes!("../../../tests/fixtures/part-1.part")).expect("writable");
    let part = Part::open(&path).expect("an older part opens");
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
    part.verify(&mut |damage| found.push((damage.offset, damage.what)));
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
    let found = damages(&Part::open(part.path()).expect("opens"));
    let expected = "a wrong checksum: metric_00{instance=\"host-0:9100\", job=\"node\"}";
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
    let part = Part::open(&path).expect("a part opens");
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
