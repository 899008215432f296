//! The room's own metrics. Made and registered by whoever owns the registry, given to the store.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::model::Stopwatch;

/// Which parts a value is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct LevelLabel {
    /// `spilled`, `merged` or `sealed`.
    pub level: &'static str,
}

/// How long something took, each time, in seconds. Clones count together.
#[derive(Clone, Debug)]
pub struct Durations {
    seconds: Histogram,
    stopwatch: Stopwatch,
}

/// From a fast disk's sync to a merge of a large day: 50 us doubled 22 times is 210 s.
const SHORTEST_SECONDS: f64 = 0.000_05;
const DOUBLINGS: u16 = 23;

impl Durations {
    fn new(stopwatch: &Stopwatch) -> Self {
        let seconds = Histogram::new(exponential_buckets(SHORTEST_SECONDS, 2.0, DOUBLINGS));
        Durations { seconds, stopwatch: stopwatch.clone() }
    }

    /// Does something, and takes its time.
    pub(super) fn time<T>(&self, act: impl FnOnce() -> T) -> T {
        let start = self.stopwatch.now();
        let done = act();
        self.seconds.observe(self.stopwatch.now().saturating_sub(start).as_secs_f64());
        done
    }
}

/// What the log counts.
#[derive(Clone, Debug)]
pub struct LogMetrics {
    /// Writes of a group, the sync that the policy asks for included.
    pub(super) writes: Durations,
    /// Requests in those groups.
    pub(super) requests: Counter,
    /// Bytes written.
    pub(super) bytes: Counter,
    /// Writes that failed.
    pub(super) errors: Counter,
}

/// Counters and gauges of storage; clones count together. The default measures no time.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The log's own.
    pub log: LogMetrics,
    /// Samples taken.
    pub samples: Counter,
    /// Samples refused.
    pub refused: Counter,
    /// Samples that met another value at their time, in their own lane.
    pub conflicts: Counter,
    /// Samples of HA pairs that ended at the door, since the preferred replica covers them.
    pub covered: Counter,
    /// Writes answered later, so that the preferred replica comes first.
    pub paused: Counter,
    /// Appends that failed as a whole.
    pub append_errors: Counter,
    /// Rounds of maintenance that failed.
    pub maintain_errors: Counter,
    /// Parts written from the head.
    pub spilled: Counter,
    /// Parts merged away.
    pub merged: Counter,
    /// Parts dropped by retention since they are too old.
    pub retired: Counter,
    /// Parts dropped by retention since the disk's share is used up.
    pub retired_by_size: Counter,
    /// Damaged stretches found in log or parts.
    pub damages: Counter,
    /// Series that ever were new here.
    pub series_made: Counter,
    /// Series in memory.
    pub series: Gauge<u64, AtomicU64>,
    /// Memory of labels, keys and their index.
    pub names_bytes: Gauge<u64, AtomicU64>,
    /// Memory of the head's rows.
    pub head_bytes: Gauge<u64, AtomicU64>,
    /// Parts of the manifest.
    pub parts: Gauge<u64, AtomicU64>,
    /// Bytes of those parts.
    pub part_bytes: Gauge<u64, AtomicU64>,
    /// Bytes of the log.
    pub log_bytes: Gauge<u64, AtomicU64>,
    /// 1 while writes are refused or fail.
    pub read_only: Gauge<u64, AtomicU64>,
    /// Free bytes on the disk.
    pub free_bytes: Gauge<u64, AtomicU64>,
    /// Rows in the head.
    pub head_rows: Gauge<u64, AtomicU64>,
    /// Keys of senders that lead to series.
    pub aliases: Gauge<u64, AtomicU64>,
    /// Segments of the log.
    pub log_segments: Gauge<u64, AtomicU64>,
    /// Parts by level.
    pub level_parts: Family<LevelLabel, Gauge<u64, AtomicU64>>,
    /// Their bytes.
    pub level_bytes: Family<LevelLabel, Gauge<u64, AtomicU64>>,
    /// Their rows.
    pub level_rows: Family<LevelLabel, Gauge<u64, AtomicU64>>,
    /// Spills of the head, from the freeze until the manifest names the parts.
    pub spills: Durations,
    /// Merges that were begun.
    pub merges: Durations,
    /// The replay of the log at start.
    pub replays: Durations,
    /// CPU time of merges.
    pub merge_cpu_seconds: Counter<f64, AtomicU64>,
    /// Rows written by spills.
    pub spilled_rows: Counter,
    /// Bytes written by spills.
    pub spilled_bytes: Counter,
    /// Rows written by merges.
    pub merged_rows: Counter,
    /// Bytes written by merges.
    pub merged_bytes: Counter,
    /// Merges that failed or were overtaken.
    pub merges_given_up: Counter,
    /// Snapshots taken.
    pub snapshots: Counter,
    /// Samples replayed at start.
    pub replayed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::timed_by(&Stopwatch::standing())
    }
}

impl Metrics {
    /// Metrics that take times by this watch.
    pub fn timed_by(stopwatch: &Stopwatch) -> Self {
        let log = LogMetrics {
            writes: Durations::new(stopwatch),
            requests: Counter::default(),
            bytes: Counter::default(),
            errors: Counter::default(),
        };
        Metrics {
            log,
            spills: Durations::new(stopwatch),
            merges: Durations::new(stopwatch),
            replays: Durations::new(stopwatch),
            samples: Counter::default(),
            refused: Counter::default(),
            conflicts: Counter::default(),
            covered: Counter::default(),
            paused: Counter::default(),
            append_errors: Counter::default(),
            maintain_errors: Counter::default(),
            spilled: Counter::default(),
            merged: Counter::default(),
            retired: Counter::default(),
            retired_by_size: Counter::default(),
            damages: Counter::default(),
            series_made: Counter::default(),
            series: Gauge::default(),
            names_bytes: Gauge::default(),
            head_bytes: Gauge::default(),
            parts: Gauge::default(),
            part_bytes: Gauge::default(),
            log_bytes: Gauge::default(),
            read_only: Gauge::default(),
            free_bytes: Gauge::default(),
            head_rows: Gauge::default(),
            aliases: Gauge::default(),
            log_segments: Gauge::default(),
            level_parts: Family::default(),
            level_bytes: Family::default(),
            level_rows: Family::default(),
            merge_cpu_seconds: Counter::default(),
            spilled_rows: Counter::default(),
            spilled_bytes: Counter::default(),
            merged_rows: Counter::default(),
            merged_bytes: Counter::default(),
            merges_given_up: Counter::default(),
            snapshots: Counter::default(),
            replayed: Counter::default(),
        }
    }

    /// Shows all of them under `weir_tsdb_...`.
    pub fn register(&self, registry: &mut Registry) {
        let tsdb = registry.sub_registry_with_prefix("weir_tsdb");
        let counters = [
            ("samples", "Samples that are durable and visible", &self.samples),
            ("samples_refused", "Samples that were not kept", &self.refused),
            ("conflicts", "Samples that met another value at their time in their lane", &self.conflicts),
            ("samples_covered", "Samples of HA pairs that the preferred replica makes superfluous", &self.covered),
            ("writes_paused", "Writes answered later, for the preferred replica to get ahead", &self.paused),
            ("append_errors", "Requests that could not be made durable", &self.append_errors),
            ("maintain_errors", "Rounds of maintenance that failed", &self.maintain_errors),
            ("parts_spilled", "Parts written from the head", &self.spilled),
            ("parts_merged", "Parts merged into others", &self.merged),
            ("parts_retired", "Parts dropped by retention since they are too old", &self.retired),
            ("parts_retired_by_size", "Parts dropped by retention for their size", &self.retired_by_size),
            ("spilled_rows", "Rows written to parts from the head", &self.spilled_rows),
            ("spilled_bytes", "Bytes of those parts", &self.spilled_bytes),
            ("merged_rows", "Rows written to merged parts", &self.merged_rows),
            ("merged_bytes", "Bytes of those parts", &self.merged_bytes),
            ("merges_given_up", "Merges that failed, were stopped or overtaken by retention", &self.merges_given_up),
            ("snapshots", "Snapshots taken", &self.snapshots),
            ("samples_replayed", "Samples read from the log at start", &self.replayed),
            (
                "log_requests",
                "Requests written to the log; by log_write_seconds_count, how many share a sync",
                &self.log.requests,
            ),
            ("log_written_bytes", "Bytes written to the log", &self.log.bytes),
            ("log_write_errors", "Writes to the log that failed", &self.log.errors),
            ("damages", "Damaged stretches found in log or parts", &self.damages),
            ("series_made", "Series that ever were new to this store", &self.series_made),
        ];
        for (name, help, counter) in counters {
            tsdb.register(name, help, counter.clone());
        }
        let gauges = [
            ("series", "Series in memory", &self.series),
            ("names_bytes", "Memory that labels, keys and their index take, by estimate", &self.names_bytes),
            ("head_bytes", "Memory that rows in the head take, by estimate", &self.head_bytes),
            ("parts", "Parts of the manifest", &self.parts),
            ("parts_bytes", "Size of all parts on disk", &self.part_bytes),
            ("log_bytes", "Size of the log on disk", &self.log_bytes),
            ("read_only", "Whether writes are refused or fail for the disk's sake", &self.read_only),
            ("head_rows", "Rows in the head, repeated ones included", &self.head_rows),
            ("aliases", "Keys of senders that lead to series in memory", &self.aliases),
            ("log_segments", "Segments of the log", &self.log_segments),
            ("disk_free_bytes", "What is free on the disk that holds the data", &self.free_bytes),
        ];
        for (name, help, gauge) in gauges {
            tsdb.register(name, help, gauge.clone());
        }
        let by_level = [
            ("level_parts", "Parts by level", &self.level_parts),
            ("level_bytes", "Size of parts on disk by level", &self.level_bytes),
            ("level_rows", "Rows in parts by level", &self.level_rows),
        ];
        for (name, help, family) in by_level {
            tsdb.register(name, help, family.clone());
        }
        let cpu = self.merge_cpu_seconds.clone();
        tsdb.register("merge_cpu_seconds", "CPU time that merges have taken", cpu);
        let durations = [
            ("log_write_seconds", "Time that a group of requests took to be written and synced", &self.log.writes),
            ("spill_seconds", "Time that the head took to become parts", &self.spills),
            ("merge_seconds", "Time that a merge took, what it waited included", &self.merges),
            ("replay_seconds", "Time that the start took to replay the log", &self.replays),
        ];
        for (name, help, durations) in durations {
            tsdb.register(name, help, durations.seconds.clone());
        }
    }
}
