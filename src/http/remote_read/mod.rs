//! `/api/v1/read`: Prometheus' remote read, as whole samples or as a stream of chunks.
//!
//! The stream is what Prometheus, Thanos and vmctl ask for first: one frame after another, each a few series' chunks,
//! in the order of series, so that neither side holds an answer whole. Samples are the old form, and bounded.
//!
//! Read next: [`chunk`] for the encoding of chunks, then [`frames`].

mod chunk;
mod frames;
mod samples;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prost::Message;

use crate::access::Caller;
use crate::ingest::wire::proto::prometheus as proto;
use crate::model::{Matcher, MatcherTest, TimeRange, Timestamp};

use super::error::{ApiError, ErrorKind};
use super::{Http, body};

/// Largest request, in bytes, compressed or not: a few queries of a few matchers.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Queries of one request.
const QUERIES_MAX: usize = 100;

/// What one query asks for.
struct Wanted {
    matchers: Vec<Matcher>,
    /// `None` = nothing: its end lies before its start.
    range: Option<TimeRange>,
}

/// `/api/v1/read`
pub(super) async fn read(
    State(http): State<Arc<Http>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Response> {
    let bytes = body::read(request.into_body(), REQUEST_BYTES_MAX, http.settings.body_timeout).await;
    let bytes = bytes.map_err(|error| error.text())?;
    let (wanted, chunked) = decode(&bytes).map_err(|error| error.text())?;
    let source = http.source(&caller);
    let timeout = http.settings.query_timeout;
    if chunked {
        let work = move |pipe: &mut super::stream::Pipe| frames::write(source.as_ref(), &wanted, pipe);
        let body = http.queries.stream(timeout, work).await.map_err(|error| error.text())?;
        let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
        return Ok(([(header::CONTENT_TYPE, kind)], body).into_response());
    }
    let interrupt = crate::promql::Interrupt::default();
    let watched = interrupt.clone();
    let work = move || samples::collect(source.as_ref(), &wanted, &watched);
    let (answer, _) = http.queries.run_query(timeout, &interrupt, "query", work).await.map_err(|error| error.text())?;
    let body = snap::raw::Encoder::new().compress_vec(&answer.encode_to_vec());
    let body = body.map_err(|error| ApiError::new(ErrorKind::Execution, error.to_string()).text())?;
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, body).into_response())
}

/// Reads a request, and whether it takes a stream.
fn decode(bytes: &[u8]) -> Result<(Vec<Wanted>, bool), ApiError> {
    let broken = |why: String| ApiError::bad_data(format!("remote read request: {why}"));
    let length = snap::raw::decompress_len(bytes).map_err(|error| broken(error.to_string()))?;
    if length > REQUEST_BYTES_MAX {
        return Err(ApiError::new(
            ErrorKind::TooLarge,
            format!("request decompresses to over {REQUEST_BYTES_MAX} bytes"),
        ));
    }
    let plain = snap::raw::Decoder::new().decompress_vec(bytes).map_err(|error| broken(error.to_string()))?;
    let request = proto::ReadRequest::decode(plain.as_slice()).map_err(|error| broken(error.to_string()))?;
    if request.queries.len() > QUERIES_MAX {
        return Err(broken(format!("more than {QUERIES_MAX} queries")));
    }
    let wanted = request.queries.iter().map(wanted).collect::<Result<Vec<_>, String>>().map_err(broken)?;
    // The first known type counts. (Prometheus: `NegotiateResponseType`.) None at all means samples.
    let types = request.accepted_response_types.iter();
    let mut known = types.filter_map(|number| proto::read_request::ResponseType::try_from(*number).ok()).peekable();
    if known.peek().is_none() && !request.accepted_response_types.is_empty() {
        return Err(broken(
            "none of the accepted response types is spoken here; samples and streamed chunks are".into(),
        ));
    }
    Ok((wanted, known.next() == Some(proto::read_request::ResponseType::StreamedXorChunks)))
}

fn wanted(query: &proto::Query) -> Result<Wanted, String> {
    use proto::label_matcher::Type;
    let read = |sent: &proto::LabelMatcher| {
        let (name, value) = (sent.name.clone(), sent.value.clone());
        let pattern = |error: crate::model::PatternError| format!("matcher on {}: {error}", sent.name);
        Ok(match Type::try_from(sent.r#type).map_err(|_| format!("matcher of unknown type {}", sent.r#type))? {
            Type::Eq => Matcher::equal(name, value),
            Type::Neq => Matcher { name, test: MatcherTest::NotEqual(value) },
            Type::Re => Matcher::regex(name, &value).map_err(pattern)?,
            Type::Nre => Matcher::not_regex(name, &value).map_err(pattern)?,
        })
    };
    let time = Timestamp::from_millis;
    Ok(Wanted {
        matchers: query.matchers.iter().map(read).collect::<Result<_, String>>()?,
        range: TimeRange::new(time(query.start_timestamp_ms), time(query.end_timestamp_ms)),
    })
}
