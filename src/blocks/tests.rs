//! Blocks that Prometheus 2.42 wrote (`tests/fixtures/blocks`): as they are, and damaged in every byte.
//!
//! The first holds floats, by `promtool tsdb create-blocks-from openmetrics`; the second native histograms, taken in by
//! remote write and written by a snapshot.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::histogram::BucketSpan;
use crate::model::sample::is_stale;
use crate::model::{Column, ResetHint, TimeRange, Timestamp};

use super::bytes::checksum;
use super::{Block, BlockError, chunk, find};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/blocks")
}

/// The blocks of the fixtures: floats, histograms.
fn blocks() -> [PathBuf; 2] {
    find(&fixtures()).expect("readable").try_into().expect("two blocks")
}

/// All series with their samples, and what was wrong.
fn read_all(block: &Block, range: TimeRange) -> (Vec<(String, Column)>, Vec<BlockError>) {
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for entry in block.entries() {
        match entry {
            Ok(entry) => {
                let mut column = Column::default();
                block.read(&entry, range, &mut column, &mut |error| wrong.push(error));
                all.push((entry.labels.to_string(), column));
            }
            Err(error) => wrong.push(error),
        }
    }
    (all, wrong)
}

fn read_sound(directory: &Path) -> Vec<(String, Column)> {
    let (all, wrong) = read_all(&Block::open(directory).expect("a block"), TimeRange::ALL);
    assert!(wrong.is_empty(), "{wrong:?}");
    all
}

/// What promtool was given begins here.
const BEGIN: i64 = 1_700_049_600;

#[test]
fn floats_come_back_as_promtool_took_them() {
    let block = Block::open(&blocks()[0]).expect("a block");
    assert_eq!((block.samples, block.range.start().as_millis()), (604, BEGIN * 1000));
    let all = read_sound(&blocks()[0]);
    let names: Vec<&str> = all.iter().map(|(labels, _)| labels.as_str()).collect();
    assert_eq!(names, ["inf", r#"temperature{room="kitchen"}"#, r#"x_total{job="a", path="/é"}"#]);
    let rows = |column: &Column| -> Vec<(i64, f64)> {
        column.floats().map(|sample| (sample.at.as_millis() - BEGIN * 1000, sample.value)).collect()
    };
    let odd = [
        (1_000, f64::INFINITY),
        (2_000, f64::NEG_INFINITY),
        (3_000, -0.0),
        (4_000, 1e308),
        (5_000, 5e-324),
        (4_000_000, 1.0),
    ];
    let bits = |rows: &[(i64, f64)]| -> Vec<(i64, u64)> { rows.iter().map(|(at, v)| (*at, v.to_bits())).collect() };
    assert_eq!(bits(&rows(&all[0].1)), bits(&odd));
    for (row, (at, value)) in rows(&all[1].1).into_iter().enumerate() {
        assert_eq!(at, row as i64 * 15_000);
        let expected = (row as f64 / 10.0).sin() * 20.0;
        assert!(if row % 50 == 0 { value.is_nan() } else { (value - expected).abs() < 1e-12 }, "{row}: {value}");
    }
    let counted = (0..300_i64).filter(|row| !(100..102).contains(row));
    let counted = counted.map(|row| (row * 15_000 + row % 5, (row * 100) as f64 + (row % 7) as f64 * 0.25));
    assert_eq!(rows(&all[2].1), counted.collect::<Vec<_>>());
}

#[test]
fn a_stretch_of_time_is_cut_out_exactly() {
    let block = Block::open(&blocks()[0]).expect("a block");
    let at = |secs: i64| Timestamp::from_millis((BEGIN + secs) * 1000);
    let (all, _) = read_all(&block, TimeRange::new(at(150), at(300)).expect("in order"));
    assert_eq!(all[1].1.at, (10..=20).map(|row| at(row * 15)).collect::<Vec<_>>());
    assert!(all[0].1.is_empty());
}

#[test]
fn native_histograms_come_back_as_they_were_sent() {
    let all = read_sound(&blocks()[1]);
    let names: Vec<&str> = all.iter().map(|(labels, _)| labels.as_str()).collect();
    assert_eq!(names, [r#"floats{job="h"}"#, r#"gauges{job="h"}"#, r#"ints{job="h"}"#]);
    for (name, column) in &all {
        let (integer, gauge) = (name.starts_with("ints"), name.starts_with("gauges"));
        assert_eq!(column.len(), if integer { 80 } else { 79 });
        assert_eq!(column.histograms.len(), 79);
        assert!(!integer || is_stale(column.values[79]), "the last one ends the series");
        for (row, histogram) in &column.histograms {
            let counts = [row * 3 + 1, row * 2, row * 2 + 1].map(|count| count as f64);
            let total = counts.iter().sum::<f64>() + 2.0;
            assert_eq!(
                column.at[*row] - column.at[0],
                crate::model::Span::from_millis(*row as i64 * 15_000 + *row as i64 % 3)
            );
            assert_eq!(histogram.positive_buckets, counts, "{name} {row}");
            assert_eq!(
                histogram.positive_spans,
                [BucketSpan { offset: -1, length: 2 }, BucketSpan { offset: 3, length: 1 }]
            );
            assert_eq!((&*histogram.negative_buckets, histogram.negative_spans.len()), (&[0.0][..], 1));
            assert_eq!((histogram.schema, histogram.integer), (3, integer));
            assert_eq!(histogram.sum, total * 1.25);
            assert_eq!(histogram.count, if integer { total } else { total + 0.5 });
            assert_eq!(histogram.zero_count, if integer { 2.0 } else { 2.5 });
            assert_eq!(histogram.zero_threshold, if gauge { 0.001 } else { 2_f64.powi(-128) });
            // That version's snapshots lose the mark of gauges.
            let hint = if *row == 0 { ResetHint::Unknown } else { ResetHint::No };
            assert_eq!(histogram.reset_hint, hint, "{name} {row}");
        }
    }
}

#[test]
fn a_chunk_says_what_is_known_of_resets() {
    let block = Block::open(&blocks()[1]).expect("a block");
    let entry = block.entries().next().expect("one").expect("sound");
    let mut data = Vec::new();
    let (encoding, _) = block.segments.read(entry.chunks[0].reference, &mut data).expect("sound");
    for (flags, first, others) in [
        (0x00, ResetHint::Unknown, ResetHint::No),
        (0x40, ResetHint::Unknown, ResetHint::No),
        (0x80, ResetHint::Yes, ResetHint::No),
        (0xc0, ResetHint::Gauge, ResetHint::Gauge),
    ] {
        data[2] = flags;
        let mut column = Column::default();
        chunk::decode(encoding, &data, &mut column).expect("sound");
        let hints: Vec<ResetHint> = column.histograms.iter().map(|(_, histogram)| histogram.reset_hint).collect();
        assert_eq!(hints[0], first);
        assert!(hints[1..].iter().all(|hint| *hint == others), "{flags:x}");
    }
}

/// A copy that may be damaged.
fn copy(block: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(to.path().join("chunks")).expect("a folder");
    for file in ["meta.json", "index", "tombstones", "chunks/000001"] {
        fs::copy(block.join(file), to.path().join(file)).expect("copied");
    }
    to
}

#[test]
fn what_was_deleted_stays_away() {
    let block = copy(&blocks()[0]);
    let entries: Vec<_> =
        Block::open(block.path()).expect("a block").entries().map(|entry| entry.expect("sound")).collect();
    // The third series, in the first minute: its place, and both ends, zigzag.
    let mut content = Vec::new();
    let mut varint = |mut value: u64| {
        while value > 0x7f {
            content.push(value as u8 | 0x80);
            value >>= 7;
        }
        content.push(value as u8);
    };
    varint(entries[2].reference);
    [BEGIN * 1000, BEGIN * 1000 + 60_000].into_iter().for_each(|millis| varint((millis as u64) << 1));
    let head = [0x01, 0x30, 0xBA, 0x30, 1];
    let file = [&head[..], &content[..], &checksum(&content).to_be_bytes()[..]].concat();
    fs::write(block.path().join("tombstones"), file).expect("written");
    let (before, after) = (read_sound(&blocks()[0]), read_sound(block.path()));
    // At 0, 15.001, 30.002 and 45.003; what is at 60.004 lies behind.
    assert_eq!(after[2].1.at, before[2].1.at[4..]);
    assert_eq!(after[1].1.at, before[1].1.at);
}

/// Whether everything that is read of a damaged copy is true, or somebody is told.
fn check_damaged(directory: &Path, sound: &[(String, Column)], what: &str) {
    let Ok(block) = Block::open(directory) else { return };
    let (all, wrong) = read_all(&block, TimeRange::ALL);
    let same = all.len() == sound.len()
        && all.iter().zip(sound).all(|((name, rows), (sound_name, sound_rows))| {
            name == sound_name && rows.at == sound_rows.at && rows.histograms.len() == sound_rows.histograms.len()
        });
    assert!(same || !wrong.is_empty(), "{what}: other rows, and nobody is told");
}

#[test]
fn a_damage_in_any_byte_is_told_and_never_believed() {
    for block in blocks() {
        let (copy, sound) = (copy(&block), read_sound(&block));
        for file in ["index", "tombstones", "chunks/000001"] {
            let (path, whole) = (copy.path().join(file), fs::read(block.join(file)).expect("readable"));
            for place in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[place] ^= 1 << (place % 8);
                fs::write(&path, &damaged).expect("written");
                check_damaged(copy.path(), &sound, &format!("{file}, byte {place}"));
                if place % 7 == 0 {
                    fs::write(&path, &whole[..place]).expect("written");
                    check_damaged(copy.path(), &sound, &format!("{file}, cut at {place}"));
                }
            }
            fs::write(&path, whole).expect("written");
        }
        read_sound(copy.path());
    }
}

#[test]
fn a_damaged_chunk_costs_its_own_samples_alone() {
    let copy = copy(&blocks()[0]);
    let path = copy.path().join("chunks/000001");
    let mut bytes = fs::read(&path).expect("readable");
    bytes[60] ^= 1;
    fs::write(&path, bytes).expect("written");
    let (all, wrong) = read_all(&Block::open(copy.path()).expect("a block"), TimeRange::ALL);
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].to_string().ends_with("a chunk with a wrong checksum"), "{}", wrong[0]);
    let whole: Vec<usize> = read_sound(&blocks()[0]).iter().map(|(_, rows)| rows.len()).collect();
    let left: Vec<usize> = all.iter().map(|(_, rows)| rows.len()).collect();
    assert_eq!(left.iter().zip(&whole).filter(|(left, whole)| left < whole).count(), 1);
}

#[test]
fn fuzz_chunks_whose_checksum_holds() {
    let mut seeds: Vec<(u8, Vec<u8>)> = Vec::new();
    for block in blocks() {
        let block = Block::open(&block).expect("a block");
        for entry in block.entries().map(|entry| entry.expect("sound")) {
            for meta in &entry.chunks {
                let mut data = Vec::new();
                let (encoding, _) = block.segments.read(meta.reference, &mut data).expect("sound");
                seeds.push((encoding, data));
            }
        }
    }
    assert_eq!(seeds.len(), 10);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut chance = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    for round in 0..20_000 {
        let (encoding, mut data) = seeds[chance(seeds.len())].clone();
        for _ in 0..=chance(4) {
            let place = chance(data.len());
            match chance(4) {
                0 => data.truncate(place),
                1 => data.insert(place, chance(256) as u8),
                _ if data.is_empty() => {}
                _ => data[place] ^= 1 << chance(8),
            }
        }
        let encoding = if chance(8) == 0 { 1 + chance(3) as u8 } else { encoding };
        let mut column = Column::default();
        let _ = chunk::decode(encoding, &data, &mut column);
        assert!(column.at.windows(2).all(|pair| pair[0] < pair[1]), "round {round}: times rise");
        assert!(column.len() <= 65_536);
    }
}

#[test]
fn what_is_no_block_is_told_by_its_name() {
    let empty = tempfile::tempdir().expect("a temporary directory");
    assert!(find(empty.path()).expect("readable").is_empty());
    assert!(matches!(Block::open(empty.path()), Err(BlockError::Io { .. })));
    let newer = copy(&blocks()[0]);
    let path = newer.path().join("index");
    let mut bytes = fs::read(&path).expect("readable");
    bytes[4] = 9;
    fs::write(&path, bytes).expect("written");
    let error = Block::open(newer.path()).expect_err("newer").to_string();
    assert!(error.ends_with("index has format 9, which this program does not read"), "{error}");
}
