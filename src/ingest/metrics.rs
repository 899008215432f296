//! What this room counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of the way in; cheap to clone, all clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(super) requests: Family<RequestLabels, Counter>,
    pub(super) samples: Counter,
    pub(super) histograms: Counter,
    pub(super) exemplars: Counter,
    pub(super) exemplars_dropped: Counter,
    pub(super) refused: Family<ReasonLabels, Counter>,
    pub(super) body_bytes: Counter,
    pub(super) decoded_bytes: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) reason: &'static str,
}

impl Metrics {
    /// Makes the counters known under the prefix `weir_ingest_`.
    pub fn register(&self, registry: &mut Registry) {
        let room = registry.sub_registry_with_prefix("weir_ingest");
        room.register("requests", "Write requests by outcome", self.requests.clone());
        room.register("samples", "Float samples that senders were told are written", self.samples.clone());
        room.register("histograms", "Histograms that senders were told are written", self.histograms.clone());
        room.register("exemplars", "Exemplars that senders were told are written", self.exemplars.clone());
        room.register("exemplars_dropped", "Exemplars with unusable labels", self.exemplars_dropped.clone());
        room.register("refused_samples", "Samples that were not kept, by reason", self.refused.clone());
        room.register("body_bytes", "Bytes of request bodies as received", self.body_bytes.clone());
        room.register("decoded_bytes", "Bytes of request bodies once decompressed", self.decoded_bytes.clone());
    }
}
