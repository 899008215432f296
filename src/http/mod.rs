//! Routes, parameters, JSON, status codes: the Prometheus HTTP API over the other rooms.
//!
//! A handler reads parameters, asks one service, and writes the answer; it holds no rule of its own. Blocking work
//! runs behind a [`gate`] that bounds how much runs and waits, ends it at its deadline, and stops it when the client
//! goes away. Large answers are written while they are read. What a request may ask is handed in as [`Services`]; the
//! time of day too.
//!
//! Invariants: handlers read the store through [`Http::source`] only, so that no parameter shows a caller more than they
//! may see; only [`error`] knows status codes; everything under `/api/v1/` answers JSON, errors included (remote
//! write's senders read plain text); anything else that is unknown is a plain-text 404.
//!
//! Read next: the table in [`router`], then [`params`], [`query`], [`json`].

pub mod services;
pub mod readiness;
pub mod error;
pub mod params;
pub mod json;
pub mod serve;
pub mod tls;
pub mod metrics;
pub mod gate;
mod early;
mod body;
mod access_log;
mod caller;
mod asker;
mod graph;
mod import;
mod export;
mod exposition;
mod families;
mod notices;
mod search;
mod senders;
mod relabel;
mod remote_read;
mod stream;
mod outlet;
mod tokens;
mod prefix;
mod query;
mod running;
mod series;
mod rules;
mod rule_json;
mod backtest;
mod test_rules;
mod ruler;
mod status;
pub mod storage;
mod write;
mod ha;
mod federate;
mod admin;
mod ops;
mod page;
mod process;

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Router, handler::Handler};
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::{CompressionLayer, CompressionLevel};

use crate::access::{Caller, Right};
use crate::model::Timestamp;
use crate::store::SampleSource;

pub use early::until_ready;
pub use metrics::Metrics;
pub use readiness::{Phase, Readiness};
pub use serve::{ListenSettings, listen};
pub use services::{
    Admin, AnswerHeaders, BuildInfo, ConfigStatus, Queries, Relabeling, Services, Settings, StorageStatus, Writer,
    answer_headers,
};
pub use status::PROMETHEUS_VERSION;
pub use storage::{Cardinality, CardinalityWish, PartsReport, StorageReport};
pub use tls::{Tls, TlsAcceptance, TlsSettings};
pub use tokens::{token_json, token_spec};

use caller::guarded;
use gate::Gate;
use json::Json;

/// Each takes one CPU for a tenth of a second.
const PASSWORD_CHECKS_MAX: usize = 2;

/// What all handlers share.
pub struct Http {
    services: Services,
    settings: Settings,
    /// Queries with samples.
    queries: Gate,
    /// Series, labels, metadata: short, and not to wait behind queries.
    lookups: Gate,
    writes: Gate,
    write_room: write::Room,
    /// Passwords that are checked at once.
    password_checks: tokio::sync::Semaphore,
    request_ids: access_log::RequestIds,
    /// Places for listeners to notices.
    listeners: Arc<tokio::sync::Semaphore>,
    senders: senders::Senders,
}

impl Http {
    fn now(&self) -> Timestamp {
        (self.services.clock)()
    }

    /// The store as this caller sees it: the one way of handlers to what is kept.
    fn source(&self, caller: &Caller) -> Arc<dyn SampleSource> {
        caller.sees(&self.services.source)
    }

    /// The same through the choice of lanes that the request makes.
    fn source_of(&self, caller: &Caller, params: &params::Params) -> Result<Arc<dyn SampleSource>, error::ApiError> {
        let source = self.source(caller);
        match ha::lane_view(params)? {
            crate::store::LaneView::Merged => Ok(source),
            lanes => source.with_lanes(&lanes).ok_or_else(|| error::ApiError::bad_data("this store keeps no lanes")),
        }
    }
}

/// The whole API as one service.
pub fn router(services: Services, settings: Settings) -> Router {
    let metrics = services.metrics.clone();
    let queries = Gate::new("queries", settings.queries_running_max, settings.queries_waiting_max);
    let http = Arc::new(Http {
        lookups: queries.beside("lookups", settings.queries_running_max, settings.queries_waiting_max),
        writes: queries.beside("writes", settings.writes_running_max, settings.writes_waiting_max),
        queries,
        write_room: write::Room::new(settings.write_bytes_in_flight_max),
        listeners: Arc::new(tokio::sync::Semaphore::new(notices::LISTENERS_MAX)),
        senders: senders::Senders::default(),
        password_checks: tokio::sync::Semaphore::new(PASSWORD_CHECKS_MAX),
        request_ids: access_log::RequestIds::new(services.started_at.as_millis()),
        services,
        settings,
    });
    let routes = Router::new()
        .merge(guarded(&http, reading(), Right::Read))
        .merge(guarded(&http, pictures(), Right::Graph))
        .merge(guarded(&http, writing(), Right::Write))
        .merge(guarded(&http, telling(), Right::Status))
        .merge(guarded(&http, changing(), Right::Admin))
        .merge(caller::for_browsers(&http, pages()))
        .route("/api/v1/whoami", ask(tokens::whoami))
        .route("/-/healthy", get(ops::healthy))
        .route("/-/ready", get(ops::ready))
        .fallback(access_log::not_found)
        .method_not_allowed_fallback(access_log::method_not_allowed);

    // From the inside out: what stands last sees a request first.
    let routes = routes
        .layer(from_fn_with_state(Arc::clone(&http), access_log::readiness))
        .layer(from_fn_with_state(Arc::clone(&http), caller::admit))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn std::any::Any + Send>| {
            access_log::after_panic(&metrics, panic.as_ref())
        }))
        .layer(from_fn_with_state(Arc::clone(&http), access_log::log))
        .with_state(http);
    // Prefixes must go before a route is looked for, which no layer of the router itself can do.
    Router::new().fallback_service(tower::Layer::layer(&MapRequestLayer::new(prefix::strip), routes))
}

/// What shows samples, or what is made of them.
fn reading() -> Router<Arc<Http>> {
    Router::new()
        .route("/api/v1/query", ask(query::instant))
        .route("/api/v1/query_range", ask(query::range))
        .route("/api/v1/query_exemplars", ask(query::exemplars))
        .route("/api/v1/format_query", ask(query::layout))
        .route("/api/v1/parse_query", ask(query::syntax_tree))
        .route("/api/v1/series", ask(series::series))
        .route("/api/v1/labels", ask(series::label_names))
        .route("/api/v1/label/{name}/values", ask(series::label_values))
        .route("/api/v1/metadata", ask(series::metadata))
        .route("/api/v1/search/metric_names", ask(search::metric_names))
        .route("/api/v1/search/label_names", ask(search::label_names))
        .route("/api/v1/search/label_values", ask(search::label_values))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/rules/backtest", ask(backtest::run))
        .route("/api/v1/test_rules", ask(test_rules::run))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/group", get(rules::group))
        .route("/api/v1/rule", get(rules::rule))
        .route("/api/v1/alert", get(rules::alert))
        .route("/api/v1/features", get(status::features))
        // Grafana asks for it before it asks for anything else.
        .route("/api/v1/status/buildinfo", get(status::build_info))
        .route("/api/v1/read", post(remote_read::read))
        .route("/api/v1/export", ask(export::json_lines))
        .route("/api/v1/export/csv", ask(export::csv))
        .route("/federate", get(federate::federate))
}

/// What shows samples as pictures.
fn pictures() -> Router<Arc<Http>> {
    Router::new().route("/graph.svg", get(graph::svg)).route("/graph.png", get(graph::png))
}

/// What takes samples in.
fn writing() -> Router<Arc<Http>> {
    Router::new()
        .route("/api/v1/write", post(write::write))
        .route("/api/v1/push", post(write::write))
        .route("/api/v1/otlp/v1/metrics", post(import::otlp))
        .route("/opentelemetry/v1/metrics", post(import::otlp))
        .route("/opentelemetry/api/v1/push", post(import::otlp))
        .route("/api/v1/import", change(import::json_lines))
        .route("/api/v1/import/csv", change(import::csv))
        .route("/api/v1/import/prometheus", change(import::text))
        .route("/api/v1/import/prometheus/metrics/{*grouping}", change(import::text))
        .route("/write", post(import::influx))
        .route("/api/v2/write", post(import::influx))
        .route("/influx/write", post(import::influx))
        .route("/influx/api/v2/write", post(import::influx))
        .route("/influx/query", ask(import::influx_query))
}

/// What Weir says of itself.
fn telling() -> Router<Arc<Http>> {
    Router::new()
        .route("/api/v1/alertmanagers", get(rules::alertmanagers))
        .route("/api/v1/notifiers", get(rules::notifiers))
        .route("/config/v1/rules", get(ruler::all))
        .route("/config/v1/rules/{namespace}", get(ruler::namespace))
        .route("/config/v1/rules/{namespace}/{group}", get(ruler::group))
        .route("/api/v1/rules/{namespace}", get(ruler::namespace))
        .route("/api/v1/rules/{namespace}/{group}", get(ruler::group))
        .route("/api/v1/targets", get(status::targets))
        .route("/api/v1/targets/metadata", ask(status::empty_list))
        .route("/api/v1/scrape_pools", get(status::scrape_pools))
        .route("/api/v1/targets/relabel_steps", get(status::no_scrape_pool))
        .route("/api/v1/scrape_pools/config", get(status::no_scrape_pool))
        .route("/api/v1/notifications", get(notices::list))
        .route("/api/v1/notifications/live", get(notices::live))
        .route("/api/v1/openapi.yaml", get(status::openapi))
        .route("/api/v1/status/tsdb/blocks", get(status::blocks))
        .route("/api/v1/status/runtimeinfo", get(status::runtime_info))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/tsdb", get(storage::cardinality))
        .route("/api/v1/status/storage", get(storage::report))
        .route("/api/v1/status/senders", get(senders::status))
        .route("/api/v1/status/ha", ask(ha::status))
        .route("/api/v1/ha/explain", ask(ha::explain))
        .route("/api/v1/status/active_queries", ask(running::active))
        .route("/api/v1/status/top_queries", ask(running::top))
        .route("/api/v1/status/walreplay", get(status::replay))
        .route("/api/v1/relabel_steps", ask(relabel::steps))
        .route("/metrics", get(ops::metrics))
        .route("/version", get(ops::version))
}

/// What changes what is kept, or how it is served.
fn changing() -> Router<Arc<Http>> {
    Router::new()
        .route("/api/v1/status/active_queries/cancel", change(running::cancel))
        .route("/api/v1/ha/prefer", change(ha::prefer))
        .route("/api/v1/admin/tsdb/delete_series", change(admin::delete_series))
        .route("/api/v1/admin/tsdb/clean_tombstones", change(admin::clean_tombstones))
        .route("/api/v1/admin/tsdb/snapshot", change(admin::snapshot))
        .route("/api/v1/admin/tokens", get(tokens::list).post(tokens::create))
        .route("/api/v1/admin/tokens/{id}", delete(tokens::revoke))
        .route("/api/v1/admin/tokens/{id}/revoke", change(tokens::revoke))
        .route("/config/v1/rules/{namespace}", post(ruler::set).delete(ruler::remove_namespace))
        .route("/config/v1/rules/{namespace}/{group}", delete(ruler::remove_group))
        .route("/api/v1/rules/{namespace}", post(ruler::set).delete(ruler::remove_namespace))
        .route("/api/v1/rules/{namespace}/{group}", delete(ruler::remove_group))
        .route("/-/reload", change(ops::reload))
        .route("/-/quit", change(ops::quit))
}

/// What people open.
fn pages() -> Router<Arc<Http>> {
    Router::new()
        .route("/", get(ops::to_page))
        .route("/graph", get(ops::to_graph))
        .route("/ui", get(ops::to_page))
        .route("/ui/", get(page::index))
        .route("/ui/{*path}", get(page::file))
}

/// A question: GET or POST.
fn ask<T: 'static>(handler: impl Handler<T, Arc<Http>>) -> MethodRouter<Arc<Http>> {
    get(handler.clone()).post(handler)
}

/// A change: POST or PUT.
fn change<T: 'static>(handler: impl Handler<T, Arc<Http>>) -> MethodRouter<Arc<Http>> {
    post(handler.clone()).put(handler)
}

/// A successful answer with small data, written at once.
fn answer(write_data: impl FnOnce(&mut Json)) -> Response {
    let mut json = Json::default();
    json.raw("{\"status\":\"success\",\"data\":");
    write_data(&mut json);
    json.raw("}");
    json_response(Body::from(json.into_bytes()))
}

fn json_response(body: Body) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

#[cfg(test)]
mod tests;
