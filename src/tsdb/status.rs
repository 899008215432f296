//! What a store tells about itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::Timestamp;

use super::damages::Damage;
use super::log::segment;
use super::metrics::LevelLabel;
use super::part::Part;
use super::store::{Store, View};

/// What the levels of parts are called, in the order of [`Status::levels`].
pub const LEVELS: [&str; 3] = ["spilled", "merged", "sealed"];

/// How far recovery is; read by other threads while [`Tsdb::open`](super::Tsdb::open) works.
#[derive(Debug, Default)]
pub struct Progress {
    total_bytes: AtomicU64,
    done_bytes: AtomicU64,
}

impl Progress {
    /// Log bytes to replay in all; 0 until they are counted.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Log bytes replayed.
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn did(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Log segments read.
    pub segments: u64,
    /// Bytes of log read.
    pub log_bytes: u64,
    /// Samples replayed into the head.
    pub samples: u64,
    /// Bytes at ends of segments where writing was cut short. Nothing in them was acknowledged, unless the disk broke
    /// its word.
    pub torn_bytes: u64,
    /// What was damaged, file and offset, in words. The rest was recovered.
    pub damages: Vec<String>,
    /// Samples whose series nothing names any more, because the record that named it is damaged.
    pub nameless_samples: u64,
    /// Complete parts that the catalogue did not know and that were taken in: it was behind them.
    pub adopted_parts: u64,
    /// Parts that were no part of the manifest and were removed.
    pub removed_parts: u64,
}

/// A store at a glance. Plain data.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Series in memory.
    pub series: usize,
    /// Known keys that lead to them.
    pub aliases: usize,
    /// Memory that labels, keys and their index take, in bytes, roughly.
    pub names_bytes: usize,
    /// The metrics of which most series were refused by a limit since the start, and how often one was: most first,
    /// at most 256.
    pub offenders: Vec<(String, u64)>,
    /// Rows in the head, repeated ones included.
    pub head_rows: usize,
    /// Memory for those rows, in bytes, by estimate.
    pub head_bytes: usize,
    /// Parts in the manifest.
    pub parts: usize,
    /// Rows in them.
    pub part_rows: u64,
    /// Their size on disk, in bytes.
    pub part_bytes: u64,
    /// Segments of the log.
    pub log_segments: usize,
    /// Their size on disk, in bytes.
    pub log_bytes: u64,
    /// The oldest and the newest sample, as far as known.
    pub oldest: Option<Timestamp>,
    /// See `oldest`.
    pub newest: Option<Timestamp>,
    /// Why writes are refused, or fail; `None` where they work.
    pub read_only: Option<String>,
    /// Free bytes on the disk, as the last round of maintenance found it; 0 before the first.
    pub free_bytes: u64,
    /// The parts by level: from the head, merged, sealed.
    pub levels: [Sum; 3],
    /// The parts by UTC day, counted from 1970-01-01.
    pub days: BTreeMap<i64, Sum>,
    /// Damage met since the start, by file and place.
    pub damages: Vec<Damage>,
    /// What recovery found at start.
    pub recovered: Recovered,
}

/// Some parts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many they are.
    pub parts: u64,
    /// Their rows.
    pub rows: u64,
    /// Their size on disk, in bytes.
    pub bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, part: &Part) {
        self.parts += 1;
        self.rows += part.meta().rows;
        self.bytes += part.bytes();
    }
}

/// What a round of maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Parts written from the head.
    pub spilled: usize,
    /// Parts merged away.
    pub merged: usize,
    /// Parts dropped because all their samples are beyond retention.
    pub retired: usize,
    /// Idle series dropped from memory.
    pub forgotten: usize,
}

impl Store {
    pub(super) fn status(&self) -> Status {
        let view = self.view.load();
        let (log_segments, log_bytes) = self.log_size();
        let (mut levels, mut days) = ([Sum::default(); 3], BTreeMap::<i64, Sum>::new());
        for part in &view.parts {
            levels[part.meta().level as usize].add(part);
            days.entry(part.meta().day).or_default().add(part);
        }
        Status {
            series: self.resolver.series_count(),
            aliases: self.resolver.alias_count(),
            names_bytes: self.resolver.heap_bytes(),
            offenders: self.resolver.offenders(),
            head_rows: self.head.rows() + view.frozen.as_ref().map_or(0, |frozen| frozen.rows()),
            head_bytes: self.head.bytes(),
            parts: view.parts.len(),
            part_rows: view.parts.iter().map(|part| part.meta().rows).sum(),
            part_bytes: view.parts.iter().map(|part| part.bytes()).sum(),
            log_segments,
            log_bytes,
            oldest: view.parts.iter().map(|part| part.range().start()).min(),
            newest: self.newest(&view),
            levels,
            days,
            damages: self.damages.list(),
            read_only: self.health.trouble(),
            free_bytes: self.health.free_bytes.load(Ordering::Relaxed),
            recovered: self.recovered.clone(),
        }
    }

    /// Segments of the log, and their size on disk in bytes.
    pub(super) fn log_size(&self) -> (usize, u64) {
        let segments = segment::list(&self.log_directory()).unwrap_or_default();
        let sizes = segments.iter().filter_map(|number| segment::path(&self.log_directory(), *number).metadata().ok());
        (segments.len(), sizes.map(|file| file.len()).sum())
    }

    /// The newest sample ever seen, as far as known.
    pub(super) fn newest(&self, view: &View) -> Option<Timestamp> {
        view.parts.iter().map(|part| part.range().end()).chain(self.head.newest()).max()
    }

    /// Brings the gauges up to date.
    pub(super) fn show(&self) {
        let status = self.status();
        // Ids are given out in order, and never twice.
        let made = u64::from(self.resolver.registry.read().next_id());
        self.metrics.series_made.inc_by(made.saturating_sub(self.metrics.series_made.get()));
        self.metrics.series.set(status.series as u64);
        self.metrics.names_bytes.set(status.names_bytes as u64);
        self.metrics.head_bytes.set(status.head_bytes as u64);
        self.metrics.parts.set(status.parts as u64);
        self.metrics.part_bytes.set(status.part_bytes);
        self.metrics.log_bytes.set(status.log_bytes);
        self.metrics.head_rows.set(status.head_rows as u64);
        self.metrics.log_segments.set(status.log_segments as u64);
        self.metrics.aliases.set(status.aliases as u64);
        for (level, sum) in LEVELS.iter().zip(&status.levels) {
            let level = LevelLabel { level };
            self.metrics.level_parts.get_or_create(&level).set(sum.parts);
            self.metrics.level_bytes.get_or_create(&level).set(sum.bytes);
            self.metrics.level_rows.get_or_create(&level).set(sum.rows);
        }
        self.metrics.read_only.set(u64::from(status.read_only.is_some()));
        self.metrics.free_bytes.set(status.free_bytes);
    }
}
