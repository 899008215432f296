//! Who sent a request, as far as it says: for the register of queries and its log.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::promql::register::asker::CLIENT_TEXT_BYTES_MAX;
use crate::promql::register::{Asker, HttpAsker};

/// Where a connection comes from: an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The sender of a request.
pub(super) struct AskedBy(pub(super) Asker);

impl<S: Sync> FromRequestParts<S> for AskedBy {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(AskedBy(Asker::Http(Box::new(HttpAsker {
            address: parts.extensions.get::<Peer>().map(|peer| peer.0.ip()),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            user_agent: said(&parts.headers, "user-agent"),
            dashboard: said(&parts.headers, "x-dashboard-uid"),
            panel: said(&parts.headers, "x-panel-id"),
        }))))
    }
}

fn said(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok().filter(|text| !text.is_empty())?;
    Some(text[..text.floor_char_boundary(CLIENT_TEXT_BYTES_MAX)].to_owned())
}
