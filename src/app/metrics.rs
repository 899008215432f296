//! What the program says of itself as a whole.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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
