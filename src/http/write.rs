//! `/api/v1/write`: the body goes to the decoder as it came, and what became of it goes back to the sender.
//!
//! 204 = everything is durable; 400 = what could be kept is, the rest never will be; 413 and 415 = nobody here reads
//! that; 503 with Retry-After = send it again. Never 5xx for a fault of the data: senders would repeat it for ever.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::ingest::{IngestError, WriteRequest, WriteVersion, Written, refusal_text};
use crate::model::{Span, with_causes};
use crate::store::{Appended, StoreError};

use super::error::{ApiError, ErrorKind};
use super::params::Params;
use super::senders::{Sender, Visit};
use super::{Http, body};

const SAMPLES_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Names the sender's HA replica where its labels do not; the URL parameter `replica` does the same, and so does the name
/// of a user or token that the settings list.
pub(super) const REPLICA: HeaderName = HeaderName::from_static("x-weir-replica");
/// Names the HA group of that replica; the URL parameter `cluster` does the same. Labels do where neither is there.
const CLUSTER: HeaderName = HeaderName::from_static("x-weir-cluster");

/// `/api/v1/write` and its aliases.
pub(super) async fn write(State(http): State<Arc<Http>>, caller: Caller, request: Request) -> Response {
    let version_claimed = claimed_version(request.headers());
    let (sender, began_at) = (Sender::of(&request), http.now());
    let outcome = accept(&http, &caller, request).await;
    let visit = Visit {
        at: began_at,
        took: http.now() - began_at,
        protocol: outcome.as_ref().map_or(version_claimed, |written| written.version).name(),
        first: outcome.as_ref().ok().and_then(|written| written.first.as_ref()),
        outcome: outcome.as_ref().map(|written| &written.appended),
    };
    http.senders.saw(sender, &visit);
    match outcome {
        Ok(written) => respond(&written),
        Err(error) => {
            let mut response = error.text();
            if version_claimed == WriteVersion::V2 {
                tell_counts(response.headers_mut(), &Appended::default());
            }
            response
        }
    }
}

async fn accept(http: &Arc<Http>, caller: &Caller, request: Request) -> Result<Written, ApiError> {
    let (parts, body) = request.into_parts();
    let received_at = http.now();
    let bytes_max = http.settings.write_body_bytes_max;
    // Room for the body is taken before it is read: what its length claims, or the most it may have.
    let declared = axum::body::HttpBody::size_hint(&body).exact().and_then(|length| usize::try_from(length).ok());
    let room = http.write_room.room_for(declared.unwrap_or(bytes_max).min(bytes_max))?;
    let body = body::read(body, bytes_max, http.settings.body_timeout).await?;
    let header = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (content_type, content_encoding) = (header(header::CONTENT_TYPE), header(header::CONTENT_ENCODING));
    let in_url = Params::parse(parts.uri.query().unwrap_or(""));
    let replica = replica(http, caller, &parts.headers, &in_url);
    let cluster = header(CLUSTER).or_else(|| Some(in_url.first("cluster").to_owned()));
    let labels = Arc::clone(&caller.labels);
    let writer = Arc::clone(&http.services.writer);
    let work = move || {
        let _held = room;
        writer.write(&WriteRequest {
            body: &body,
            content_type: content_type.as_deref(),
            content_encoding: content_encoding.as_deref(),
            replica: replica.as_deref(),
            cluster: cluster.as_deref(),
            labels: &labels,
            received_at,
        })
    };
    let written = http.writes.run_briefly(work).await?.map_err(|error| refused(&error))?;
    // All of it is durable; only the sender hears of it later. It costs no thread and no memory but the connection's.
    if written.appended.pause > Span::ZERO {
        tokio::time::sleep(written.appended.pause.to_std()).await;
    }
    Ok(written)
}

/// The replica that a request names beside its labels: by header, in the URL, or by who sends it.
pub(super) fn replica(http: &Http, caller: &Caller, headers: &HeaderMap, in_url: &Params) -> Option<String> {
    let by_header = headers.get(REPLICA).and_then(|name| name.to_str().ok()).unwrap_or("");
    let is_replica = http.settings.replica_users.contains(&caller.name);
    let by_user = if is_replica { caller.name.as_str() } else { "" };
    [by_header, in_url.first("replica"), by_user].into_iter().find(|name| !name.is_empty()).map(str::to_owned)
}

pub(super) fn refused(error: &IngestError) -> ApiError {
    let kind = match error {
        IngestError::Malformed(_) => ErrorKind::BadData,
        IngestError::TooLarge(_) => ErrorKind::TooLarge,
        IngestError::Unsupported(_) => ErrorKind::Unsupported,
        // A limit that the same bytes will pass again.
        IngestError::Store(StoreError::TooLarge(_)) => ErrorKind::BadData,
        // Whatever storage has, it is no fault of the data: the sender keeps it and comes back.
        _ => ErrorKind::Unavailable,
    };
    if kind == ErrorKind::Unavailable {
        tracing::warn!(error = %with_causes(error), "write not stored");
    }
    ApiError::new(kind, with_causes(error))
}

/// What the headers say; the decoder has the last word, but an error needs an answer in the sender's protocol.
fn claimed_version(headers: &HeaderMap) -> WriteVersion {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    match kind.contains("io.prometheus.write.v2") {
        true => WriteVersion::V2,
        false => WriteVersion::V1,
    }
}

fn respond(written: &Written) -> Response {
    let refusals = &written.appended.refusals;
    let mut response = match refusals.has_faults() {
        false => StatusCode::NO_CONTENT.into_response(),
        true => ApiError::bad_data(refusal_text(refusals)).text(),
    };
    if written.version == WriteVersion::V2 {
        tell_counts(response.headers_mut(), &written.appended);
    }
    response
}

fn tell_counts(headers: &mut HeaderMap, appended: &Appended) {
    headers.insert(SAMPLES_WRITTEN, HeaderValue::from(appended.samples));
    headers.insert(HISTOGRAMS_WRITTEN, HeaderValue::from(appended.histograms));
    headers.insert(EXEMPLARS_WRITTEN, HeaderValue::from(appended.exemplars));
}

/// A budget of bytes for bodies in memory.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<tokio::sync::Semaphore>);

/// Bytes in one permit.
const UNIT: usize = 1024;

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        Room(Arc::new(tokio::sync::Semaphore::new(bytes / UNIT)))
    }

    pub(super) fn room_for(&self, bytes: usize) -> Result<tokio::sync::OwnedSemaphorePermit, ApiError> {
        let units = u32::try_from(bytes / UNIT + 1).unwrap_or(u32::MAX);
        self.0
            .clone()
            .try_acquire_many_owned(units)
            .map_err(|_| ApiError::new(ErrorKind::Unavailable, "too many bytes of writes are in memory already"))
    }
}
