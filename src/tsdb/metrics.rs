//! The room's own metrics. Made and registered by whoever owns the registry, given to the store.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters and gauges of storage; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Samples taken.
    pub samples: Counter,
    /// Samples refused.
    pub refused: Counter,
    /// Samples that met another value at their time, in their own lane.
    pub conflicts: Counter,
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
    /// Series in memory.
    pub series: Gauge<u64, AtomicU64>,
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
}

impl Metrics {
    /// Shows all of them under `weir_tsdb_...`.
    pub fn register(&self, registry: &mut Registry) {
        let tsdb = registry.sub_registry_with_prefix("weir_tsdb");
        let counters = [
            ("samples", "Samples that are durable and visible", &self.samples),
            ("samples_refused", "Samples that were not kept", &self.refused),
            ("conflicts", "Samples that met another value at their time in their lane", &self.conflicts),
            ("append_errors", "Requests that could not be made durable", &self.append_errors),
            ("maintain_errors", "Rounds of maintenance that failed", &self.maintain_errors),
            ("parts_spilled", "Parts written from the head", &self.spilled),
            ("parts_merged", "Parts merged into others", &self.merged),
            ("parts_retired", "Parts dropped by retention since they are too old", &self.retired),
            ("parts_retired_by_size", "Parts dropped by retention for their size", &self.retired_by_size),
            ("damages", "Damaged stretches found in log or parts", &self.damages),
        ];
        for (name, help, counter) in counters {
            tsdb.register(name, help, counter.clone());
        }
        let gauges = [
            ("series", "Series in memory", &self.series),
            ("head_bytes", "Memory that rows in the head take, by estimate", &self.head_bytes),
            ("parts", "Parts of the manifest", &self.parts),
            ("parts_bytes", "Size of all parts on disk", &self.part_bytes),
            ("log_bytes", "Size of the log on disk", &self.log_bytes),
            ("read_only", "Whether writes are refused or fail for the disk's sake", &self.read_only),
            ("disk_free_bytes", "What is free on the disk that holds the data", &self.free_bytes),
        ];
        for (name, help, gauge) in gauges {
            tsdb.register(name, help, gauge.clone());
        }
    }
}
