//! Samples in other forms than remote write's: `/api/v1/import*`, `/write`, `/api/v1/otlp/v1/metrics`.
//!
//! 204 (OpenTelemetry: 200) = everything is durable; 400 = what could be kept is, and the text says what could not;
//! 413, 415 = nobody here reads that; 503 with Retry-After = send it again.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::ingest::import::{CsvFormat, Precision};
use crate::ingest::{ImportFormat, ImportRequest, refusal_text};
use crate::store::Appended;

use super::error::{ApiError, ErrorKind};
use super::params::Params;
use super::senders::{Sender, Visit};
use super::write::{refused, replica};
use super::{Http, body, json_response};

/// `/api/v1/import`: VictoriaMetrics' JSON lines.
pub(super) async fn json_lines(State(http): State<Arc<Http>>, caller: Caller, request: Request) -> Response {
    respond(accept(&http, &caller, request, ImportFormat::JsonLines, Vec::new()).await)
}

/// `/api/v1/import/csv?format=...`
pub(super) async fn csv(State(http): State<Arc<Http>>, caller: Caller, request: Request) -> Response {
    let params = in_url(&request);
    match params.first("format").parse::<CsvFormat>() {
        Ok(format) => respond(accept(&http, &caller, request, ImportFormat::Csv(format), Vec::new()).await),
        Err(why) => ApiError::parameter("format", why).text(),
    }
}

/// `/api/v1/import/prometheus`, and with labels in the path, as a Pushgateway has them: `/metrics/job/x/instance/y`.
pub(super) async fn text(
    State(http): State<Arc<Http>>,
    caller: Caller,
    grouping: Option<Path<String>>,
    request: Request,
) -> Response {
    let labels = match grouping.map(|Path(path)| pairs_in_path(&path)).transpose() {
        Ok(labels) => labels.unwrap_or_default(),
        Err(error) => return error.text(),
    };
    let open_metrics = content_type(request.headers()).contains("openmetrics");
    respond(accept(&http, &caller, request, ImportFormat::Text { open_metrics }, labels).await)
}

/// `/write`, `/api/v2/write`: Influx' line protocol.
pub(super) async fn influx(State(http): State<Arc<Http>>, caller: Caller, request: Request) -> Response {
    let params = in_url(&request);
    let database = [params.first("db"), params.first("bucket")].into_iter().find(|name| !name.is_empty());
    let database = database.unwrap_or("").to_owned();
    match params.first("precision").parse::<Precision>() {
        Ok(precision) => {
            let format = ImportFormat::Influx(precision, database);
            respond(accept(&http, &caller, request, format, Vec::new()).await)
        }
        Err(why) => ApiError::parameter("precision", why).text(),
    }
}

/// `/influx/query`: Telegraf asks for a database to be made before it writes; there is nothing to make.
pub(super) async fn influx_query() -> Response {
    json_response(r#"{"results":[{"series":[{"values":[]}]}]}"#.into())
}

/// `/api/v1/otlp/v1/metrics` and its aliases.
pub(super) async fn otlp(State(http): State<Arc<Http>>, caller: Caller, request: Request) -> Response {
    let kind = content_type(request.headers());
    let is_json = kind.starts_with("application/json");
    if !is_json && !kind.is_empty() && !kind.starts_with("application/x-protobuf") {
        let why =
            format!("unsupported content type {kind:?}; application/x-protobuf and application/json are spoken here");
        return ApiError::new(ErrorKind::Unsupported, why).text();
    }
    let format = if is_json { ImportFormat::OtlpJson } else { ImportFormat::Otlp };
    match accept(&http, &caller, request, format, Vec::new()).await {
        Ok(appended) => told_by_otlp(&appended, is_json),
        Err(error) => error.text(),
    }
}

/// An `ExportMetricsServiceResponse`: what was refused is a partial success, so that nothing is sent again.
fn told_by_otlp(appended: &Appended, is_json: bool) -> Response {
    let refusals = &appended.refusals;
    let told = refusals.has_faults().then(|| (refusals.total(), refusal_text(refusals)));
    if is_json {
        let answer = match told {
            None => serde_json::json!({}),
            Some((count, why)) => {
                serde_json::json!({"partialSuccess": {"rejectedDataPoints": count.to_string(), "errorMessage": why}})
            }
        };
        return json_response(answer.to_string().into());
    }
    let mut bytes = Vec::new();
    if let Some((count, why)) = told {
        // partial_success = 1 { rejected_data_points = 1, error_message = 2 }
        let mut inner = vec![0x08];
        push_varint(&mut inner, count);
        inner.push(0x12);
        push_varint(&mut inner, why.len() as u64);
        inner.extend_from_slice(why.as_bytes());
        bytes.push(0x0a);
        push_varint(&mut bytes, inner.len() as u64);
        bytes.extend_from_slice(&inner);
    }
    ([(header::CONTENT_TYPE, "application/x-protobuf")], bytes).into_response()
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

async fn accept(
    http: &Arc<Http>,
    caller: &Caller,
    request: Request,
    format: ImportFormat,
    extra: Vec<(String, String)>,
) -> Result<Appended, ApiError> {
    let (sender, began_at, protocol) = (Sender::of(&request), http.now(), format.name());
    let outcome = take_in(http, caller, request, format, extra).await;
    let visit = Visit { at: began_at, took: http.now() - began_at, protocol, first: None, outcome: outcome.as_ref() };
    http.senders.saw(sender, &visit);
    outcome
}

async fn take_in(
    http: &Arc<Http>,
    caller: &Caller,
    request: Request,
    format: ImportFormat,
    mut extra: Vec<(String, String)>,
) -> Result<Appended, ApiError> {
    let (parts, body) = request.into_parts();
    let received_at = http.now();
    let bytes_max = http.settings.write_body_bytes_max;
    let declared = axum::body::HttpBody::size_hint(&body).exact().and_then(|length| usize::try_from(length).ok());
    let room = http.write_room.room_for(declared.unwrap_or(bytes_max).min(bytes_max))?;
    let body = body::read(body, bytes_max, http.settings.body_timeout).await?;
    let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let encoding = header(header::CONTENT_ENCODING);
    let params = Params::parse(parts.uri.query().unwrap_or(""));
    for label in params.all("extra_label") {
        let (name, value) = label
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| ApiError::parameter("extra_label", format_args!("{label:?} is not name=value")))?;
        extra.push((name.to_owned(), value.to_owned()));
    }
    let replica = replica(http, caller, &parts.headers, &params);
    let labels = Arc::clone(&caller.labels);
    let writer = Arc::clone(&http.services.writer);
    let work = move || {
        let _held = room;
        writer.import(&ImportRequest {
            body: &body,
            content_encoding: encoding.as_deref(),
            format: &format,
            extra: &extra,
            replica: replica.as_deref(),
            labels: &labels,
            received_at,
        })
    };
    // An import may be large: it does not count as brief.
    http.writes.run(work).await?.map_err(|error| refused(&error))
}

fn respond(outcome: Result<Appended, ApiError>) -> Response {
    match outcome {
        Ok(appended) if appended.refusals.has_faults() => ApiError::bad_data(refusal_text(&appended.refusals)).text(),
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error.text(),
    }
}

fn in_url(request: &Request) -> Params {
    Params::parse(request.uri().query().unwrap_or(""))
}

fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    kind.trim().to_ascii_lowercase()
}

/// `job/x/instance/y` as labels.
fn pairs_in_path(path: &str) -> Result<Vec<(String, String)>, ApiError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (pairs, odd) = parts.as_chunks::<2>();
    match odd.is_empty() {
        true => Ok(pairs.iter().map(|[name, value]| ((*name).to_owned(), (*value).to_owned())).collect()),
        false => Err(ApiError::bad_data(format!("labels in the path are name/value/...: {path:?} has one without"))),
    }
}
