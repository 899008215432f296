//! What this room counts: requests by route and outcome.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::model::Span;

/// Which route, as the route table writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    handler: String,
}

/// Which route, and the status code of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    handler: String,
    code: u16,
}

/// The room's metrics. Clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: Family<Outcome, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    pub(super) in_flight: Gauge,
    pub(super) connections: Gauge,
    pub(super) panics: Counter,
}

/// Bounds of the request time histogram, in seconds.
const SECONDS: [f64; 9] = [0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0, 120.0];

impl Metrics {
    /// Registers under `weir_http_`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Metrics {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            panics: Counter::default(),
        };
        let room = registry.sub_registry_with_prefix("weir_http");
        room.register("requests", "Requests answered, by route and status code", metrics.requests.clone());
        room.register("request_seconds", "Time until the answer began, by route", metrics.seconds.clone());
        room.register("requests_in_flight", "Requests that are being answered", metrics.in_flight.clone());
        room.register("connections", "Open connections", metrics.connections.clone());
        room.register("panics", "Requests that ended in a bug", metrics.panics.clone());
        metrics
    }

    pub(super) fn count(&self, handler: &str, code: u16, took: Span) {
        self.requests.get_or_create(&Outcome { handler: handler.to_owned(), code }).inc();
        self.seconds.get_or_create(&Route { handler: handler.to_owned() }).observe(took.as_seconds());
    }
}
