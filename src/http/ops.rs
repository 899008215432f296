//! What operators and orchestrators ask: alive, ready, reload, metrics, version.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, ErrorKind};
use super::json::Json;
use super::params::Params;
use super::readiness::Phase;
use super::{Http, json_response, page, process, status};

/// `/-/healthy`: the process answers.
pub(super) async fn healthy() -> &'static str {
    "Weir is healthy.\n"
}

/// `/-/ready`: requests are answered; `?verbose` tells more.
pub(super) async fn ready(State(http): State<Arc<Http>>, params: Params) -> Response {
    let verbose = params.all("verbose").next().is_some();
    let readiness = &http.services.readiness;
    if readiness.phase() == Phase::Stopping {
        return ApiError::new(ErrorKind::Unavailable, "Weir is stopping.").text();
    }
    if let Some(obstacle) = readiness.obstacle() {
        return ApiError::new(ErrorKind::Unavailable, format!("Weir is not ready: {obstacle}")).text();
    }
    let mut text = "Weir is ready.\n".to_owned();
    if verbose {
        let storage = http.services.storage.report();
        match storage.read_only {
            Some(why) => text.push_str(&format!("storage: takes no writes: {why}\n")),
            None => text.push_str(&format!("storage: takes writes, {} bytes free\n", storage.free_bytes)),
        }
        let places = |gate: &super::gate::Gate| gate.running_places_left();
        text.push_str(&format!(
            "version: {}\nqueries: {} of {} places free\nwrites: {} of {} places free\nrule groups: {}\n",
            http.services.build.version,
            places(&http.queries),
            http.settings.queries_running_max,
            places(&http.writes),
            http.settings.writes_running_max,
            http.services.rules.groups().len(),
        ));
    }
    text.into_response()
}

/// `/-/reload`: reads the configuration again; where it is wrong, the old one stays and the answer says why.
pub(super) async fn reload(State(http): State<Arc<Http>>) -> Response {
    if !http.settings.reload_by_http {
        return ApiError::new(ErrorKind::Forbidden, "Lifecycle API is not enabled.").text();
    }
    let reload = Arc::clone(&http.services.reload);
    match http.lookups.run(move || reload()).await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(why)) => ApiError::new(ErrorKind::Internal, format!("failed to reload config: {why}")).text(),
        Err(error) => error.text(),
    }
}

/// `/-/quit`: processes are ended by their supervisor here.
pub(super) async fn quit() -> Response {
    ApiError::new(ErrorKind::Forbidden, "Weir is not ended over HTTP: send it SIGTERM.").text()
}

/// `/metrics`: what Weir counts of itself. The text serves both formats; its type is the one that was asked for.
pub(super) async fn metrics(State(http): State<Arc<Http>>, headers: HeaderMap) -> Response {
    let mut text = String::new();
    let encoded = prometheus_client::encoding::text::encode_registry(&mut text, &http.services.registry);
    encoded.expect("a String takes every write, and encoders fail only where writes do");
    process::write(&mut text);
    text.push_str("# EOF\n");
    let open_metrics = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("application/openmetrics-text")));
    let kind = match open_metrics {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// `/version`
pub(super) async fn version(State(http): State<Arc<Http>>) -> Response {
    let mut json = Json::default();
    status::write_build(&mut json, &http.services.build);
    json_response(json.into_bytes().into())
}

/// `/` and `/ui`: people and connection checks alike are sent to the page.
pub(super) async fn to_page(RawQuery(query): RawQuery) -> Response {
    page::redirect("ui/", query.as_deref())
}

/// `/graph`: where links of alerts point, as Prometheus writes them.
pub(super) async fn to_graph(RawQuery(query): RawQuery) -> Response {
    page::redirect("ui/query", query.as_deref())
}
