//! What happens around every request: an id, a line in the access log, counts, CORS, and the answer to a bug.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::{Caller, Kind};

use super::Http;
use super::error::{ApiError, ErrorKind};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken over from a client.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Makes ids for requests that bring none: the program's start, then a count.
#[derive(Debug, Default)]
pub(super) struct RequestIds {
    started_at_millis: i64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(started_at_millis: i64) -> Self {
        RequestIds { started_at_millis, next: AtomicU64::new(1) }
    }

    fn id(&self, headers: &HeaderMap) -> HeaderValue {
        let brought = headers.get(REQUEST_ID).filter(|id| {
            let id = id.as_bytes();
            !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(u8::is_ascii_graphic)
        });
        brought.cloned().unwrap_or_else(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            HeaderValue::try_from(format!("{:x}-{number:x}", self.started_at_millis)).expect("hex digits and a dash")
        })
    }
}

/// Who a request was answered as: an extension of its answer.
#[derive(Clone, Debug)]
pub(super) struct SeenAs(Option<String>);

impl SeenAs {
    pub(super) fn of(caller: &Caller) -> Self {
        SeenAs(match caller.kind {
            Kind::Anonymous => None,
            Kind::User => Some(caller.name.clone()),
            Kind::Token => Some(format!("token {} ({})", caller.token_id, caller.name)),
        })
    }
}

/// Counts the request as under way until it is answered or its client goes away.
struct UnderWay(prometheus_client::metrics::gauge::Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The outermost layer.
pub(super) async fn log(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let metrics = &http.services.metrics;
    metrics.in_flight.inc();
    let _under_way = UnderWay(metrics.in_flight.clone());
    let began_at = http.now();
    let id = http.request_ids.id(request.headers());
    // A fallback has no route: all unknown paths count as one, or a scanner would make a series of each.
    let handler = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());

    let mut response = match method {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    allow_other_origins(&headers, response.headers_mut());
    response.headers_mut().insert(REQUEST_ID, id.clone());
    for (name, value) in http.services.headers.load().iter() {
        response.headers_mut().insert(name, value.clone());
    }

    let (code, took) = (response.status().as_u16(), http.now() - began_at);
    metrics.count(&handler, code, took);
    let seen_as = response.extensions_mut().remove::<SeenAs>().and_then(|seen_as| seen_as.0);
    // What the client does not say takes no room in the line.
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    // Queries are worth a line; writes, scrapes and probes come every few seconds and are not.
    let routine = code < 400 && !handler.contains("/query");
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "weir::access",
                id = id.to_str().unwrap_or(""),
                %method,
                path = uri.path(),
                code,
                took_ms = took.as_millis(),
                caller = seen_as,
                user_agent = text("user-agent"),
                dashboard = text("x-dashboard-uid"),
                panel = text("x-panel-id"),
                "request"
            )
        };
    }
    match (code, routine) {
        (500.., _) => line!(warn),
        (_, true) => line!(debug),
        _ => line!(info),
    }
    response
}

/// CORS as Prometheus answers it by default: everyone may read, nobody's cookies count.
fn allow_other_origins(asked: &HeaderMap, answer: &mut HeaderMap) {
    answer.append(header::VARY, HeaderValue::from_static("Origin"));
    if asked.contains_key(header::ORIGIN) {
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
        ] {
            answer.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Before the program is ready the API answers 503; what tells how far it is answers always.
pub(super) async fn readiness(State(http): State<Arc<Http>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let waits = (is_api(path) && path != "/api/v1/status/walreplay") || path == "/federate";
    match http.services.readiness.obstacle().filter(|_| waits) {
        Some(obstacle) => ApiError::new(ErrorKind::Unavailable, format!("not ready: {obstacle}")).envelope(),
        None => next.run(request).await,
    }
}

/// Whether errors under this path are JSON.
pub(super) fn is_api(path: &str) -> bool {
    path == "/api/v1" || path.starts_with("/api/v1/")
}

/// No such path. The plain text tells Grafana that this is no Mimir, and `/api/v1/` speaks JSON always.
pub(super) async fn not_found(request: Request) -> Response {
    match is_api(request.uri().path()) {
        true => ApiError::new(ErrorKind::NotFound, format!("no such endpoint: {}", request.uri().path())).envelope(),
        false => page_not_found(),
    }
}

/// Go's words for it: clients look for them.
pub(super) fn page_not_found() -> Response {
    ApiError::new(ErrorKind::NotFound, "404 page not found").text()
}

/// The path is there, the method is not; the router adds `Allow`.
pub(super) async fn method_not_allowed(request: Request) -> Response {
    let error = ApiError::new(ErrorKind::MethodNotAllowed, format!("method {} is not allowed here", request.method()));
    match is_api(request.uri().path()) {
        true => error.envelope(),
        false => error.text(),
    }
}

/// A panic is a bug: the request ends with 500, the program goes on.
pub(super) fn after_panic(metrics: &super::metrics::Metrics, panic: &(dyn Any + Send)) -> Response<Body> {
    metrics.panics.inc();
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = text, "a request ended in a bug");
    ApiError::new(ErrorKind::Internal, "internal error: a bug ended this request; the log has more").envelope()
}
