//! What this room counts: evaluations by group, notifications by Alertmanager, reloads.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::Timestamp;

type FloatGauge = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GroupLabels {
    file: String,
    group: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NotifierLabels {
    alertmanager: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabels {
    peer: String,
}

/// The room's metrics. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    evaluations: Family<GroupLabels, Counter>,
    failures: Family<GroupLabels, Counter>,
    missed: Family<GroupLabels, Counter>,
    last_seconds: Family<GroupLabels, FloatGauge>,
    last_at: Family<GroupLabels, FloatGauge>,
    waited_seconds: Family<GroupLabels, FloatGauge>,
    held: Family<GroupLabels, Gauge>,
    sent: Family<NotifierLabels, Counter>,
    failed: Family<NotifierLabels, Counter>,
    dropped: Family<NotifierLabels, Counter>,
    waiting: Family<NotifierLabels, Gauge>,
    peer_sent: Family<PeerLabels, Counter>,
    peer_failed: Family<PeerLabels, Counter>,
    peer_dropped: Family<PeerLabels, Counter>,
    peer_waiting_bytes: Family<PeerLabels, Gauge>,
    reload_successful: Gauge,
    reloaded_at: FloatGauge,
}

/// The counters of one group.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupMetrics {
    pub(super) evaluations: Counter,
    pub(super) failures: Counter,
    pub(super) missed: Counter,
    pub(super) last_seconds: FloatGauge,
    pub(super) last_at: FloatGauge,
    pub(super) waited_seconds: FloatGauge,
    pub(super) held: Gauge,
}

/// The counters of one Alertmanager.
#[derive(Clone, Debug, Default)]
pub struct NotifierMetrics {
    pub(super) sent: Counter,
    pub(super) failed: Counter,
    pub(super) dropped: Counter,
    pub(super) waiting: Gauge,
}

/// The counters of one peer.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerMetrics {
    pub(super) sent: Counter,
    pub(super) failed: Counter,
    pub(super) dropped: Counter,
    pub(super) waiting_bytes: Gauge,
}

impl Metrics {
    /// Registers under `weir_rules_`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics::default();
        let Metrics { evaluations, failures, missed, last_seconds, last_at, waited_seconds, held, .. } =
            metrics.clone();
        let Metrics { sent, failed, dropped, waiting, reload_successful, reloaded_at, .. } = metrics.clone();
        let Metrics { peer_sent, peer_failed, peer_dropped, peer_waiting_bytes, .. } = metrics.clone();
        let room = registry.sub_registry_with_prefix("weir_rules");
        room.register("group_evaluations", "Evaluations, by group", evaluations);
        room.register("rule_failures", "Rules that could not be evaluated, kept or written, by group", failures);
        room.register("group_missed", "Evaluations left out because the one before took too long", missed);
        room.register("group_last_duration_seconds", "How long the last evaluation took", last_seconds);
        room.register("group_last_evaluation_timestamp_seconds", "When the last evaluation was due", last_at);
        room.register("group_input_wait_seconds", "How long the last evaluation waited for data", waited_seconds);
        room.register("alerts_input_stale", "Alerts held because what they read was not delivered", held);
        room.register("notifications_sent", "Alerts that an Alertmanager took", sent);
        room.register(
            "notifications_failed",
            "Alerts in requests that an Alertmanager did not take; most are retried",
            failed,
        );
        room.register("notifications_dropped", "Alerts dropped because the queue was full", dropped);
        room.register("notifications_waiting", "Alerts that wait for an Alertmanager", waiting);
        room.register("peer_requests_sent", "Requests with results that a peer took", peer_sent);
        room.register("peer_requests_failed", "Requests with results that a peer did not take", peer_failed);
        room.register("peer_requests_dropped", "Requests with results dropped for want of room", peer_dropped);
        room.register("peer_waiting_bytes", "Bytes of results that wait for a peer", peer_waiting_bytes);
        room.register("reload_successful", "Whether the last reading of rule files succeeded", reload_successful);
        room.register("reload_success_timestamp_seconds", "When rule files were last read with success", reloaded_at);
        metrics
    }

    pub(super) fn group(&self, file: &str, group: &str) -> GroupMetrics {
        let labels = GroupLabels { file: file.to_owned(), group: group.to_owned() };
        GroupMetrics {
            evaluations: self.evaluations.get_or_create_owned(&labels),
            failures: self.failures.get_or_create_owned(&labels),
            missed: self.missed.get_or_create_owned(&labels),
            last_seconds: self.last_seconds.get_or_create_owned(&labels),
            last_at: self.last_at.get_or_create_owned(&labels),
            waited_seconds: self.waited_seconds.get_or_create_owned(&labels),
            held: self.held.get_or_create_owned(&labels),
        }
    }

    pub(super) fn notifier(&self, url: &str) -> NotifierMetrics {
        let labels = NotifierLabels { alertmanager: url.to_owned() };
        NotifierMetrics {
            sent: self.sent.get_or_create_owned(&labels),
            failed: self.failed.get_or_create_owned(&labels),
            dropped: self.dropped.get_or_create_owned(&labels),
            waiting: self.waiting.get_or_create_owned(&labels),
        }
    }

    pub(super) fn peer(&self, url: &str) -> PeerMetrics {
        let labels = PeerLabels { peer: url.to_owned() };
        PeerMetrics {
            sent: self.peer_sent.get_or_create_owned(&labels),
            failed: self.peer_failed.get_or_create_owned(&labels),
            dropped: self.peer_dropped.get_or_create_owned(&labels),
            waiting_bytes: self.peer_waiting_bytes.get_or_create_owned(&labels),
        }
    }

    /// Notes the outcome of reading rule files.
    pub(super) fn reloaded(&self, successful: bool, at: Timestamp) {
        self.reload_successful.set(successful.into());
        if successful {
            self.reloaded_at.set(at.as_seconds());
        }
    }
}
