//! What the program says of itself as a whole.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;

use crate::promql::Engine;

/// Clones count together.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    /// 1 while the configuration that holds is the one on disk.
    pub(super) reload_successful: Gauge,
    pub(super) reload_failures: Counter,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        metrics.reload_successful.set(1);
        let room = registry.sub_registry_with_prefix("weir_app");
        room.register("reload_successful", "Whether the last reload worked", metrics.reload_successful.clone());
        room.register("reload_failures", "Reloads that did not work", metrics.reload_failures.clone());
        metrics
    }
}

/// Shows how often answers of range queries were of use again.
#[derive(Debug)]
pub(super) struct AnswerMetrics(pub(super) Arc<Engine>);

impl Collector for AnswerMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let reuse = self.0.answers().reuse();
        let counters = [
            (
                "weir_promql_cache_steps_reused",
                "Steps of range queries taken over from an earlier answer",
                reuse.reused,
            ),
            ("weir_promql_cache_steps_worked_out", "Steps of range queries that were worked out", reuse.worked_out),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let bytes = ConstGauge::new(reuse.bytes as f64);
        let help = "Answers of range queries that are kept";
        bytes.encode(encoder.encode_descriptor("weir_promql_cache_bytes", help, None, bytes.metric_type())?)
    }
}
