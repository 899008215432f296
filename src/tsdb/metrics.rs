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
    /// Parts dropped by retention.
    pub retired: Counter,
    /// Damaged stretches found in log or parts.
    pub damages: Counter,
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
            ("parts_retired", "Parts dropped by retention", &self.retired),
            ("damages", "Damaged stretches found in log or parts", &self.damages),
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
        ];
        for (name, help, gauge) in gauges {
            tsdb.register(name, help, gauge.clone());
        }
    }
}
