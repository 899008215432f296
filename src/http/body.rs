//! Request bodies, read whole under a limit of bytes and of time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::error::{ApiError, ErrorKind};

/// Bytes of a body over the limit that are read and thrown away. A client that is still sending would meet a broken
/// pipe instead of the answer, take that for a fault of the network, and send the same again for ever.
const DISCARDED_BYTES_MAX: usize = 64 << 20;

/// Reads a body. Of what is declared too large no byte is kept.
///
/// # Errors
/// `TooLarge`, `TooSlow` over `timeout` for the whole body, `BadData` where the client breaks off.
pub(super) async fn read(body: Body, bytes_max: usize, timeout: Duration) -> Result<Bytes, ApiError> {
    let too_large =
        || ApiError::new(ErrorKind::TooLarge, format!("request body is larger than the limit of {bytes_max} bytes"));
    let declared = axum::body::HttpBody::size_hint(&body);
    let whole = async {
        let mut body = body;
        if declared.lower() > bytes_max as u64 {
            discard(body).await;
            return Err(too_large());
        }
        let mut first = Bytes::new();
        // The limit has been held against the declared length, so this reserves no more than it.
        let mut rest = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ApiError::bad_data(format!("read request body: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if first.len() + rest.len() + data.len() > bytes_max {
                discard(body).await;
                return Err(too_large());
            }
            match (first.is_empty(), rest.is_empty()) {
                (true, true) => first = data,
                (false, true) => {
                    rest.reserve(usize::try_from(declared.lower()).unwrap_or(0).max(first.len() + data.len()));
                    rest.extend_from_slice(&first);
                    rest.extend_from_slice(&data);
                    first = Bytes::new();
                }
                _ => rest.extend_from_slice(&data),
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    };
    match tokio::time::timeout(timeout, whole).await {
        Ok(read) => read,
        Err(_) => Err(ApiError::new(ErrorKind::TooSlow, "request body took too long to arrive")),
    }
}

/// Reads the rest of a body for its client's sake, within bounds.
async fn discard(mut body: Body) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > DISCARDED_BYTES_MAX {
            return;
        }
    }
}
