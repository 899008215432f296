//! What is answered before storage is recovered: alive, not ready yet, and how far recovery is.
//!
//! The port opens first of all, and the whole API needs an open store; so requests meet this small router until the
//! whole one is there, and that one ever after.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use super::error::{ApiError, ErrorKind};
use super::readiness::Readiness;
use super::{access_log, ops, prefix};

/// A router that hands requests to `whole` as soon as it is set, and says "not ready" until then.
pub fn until_ready(readiness: Arc<Readiness>, whole: Arc<OnceLock<Router>>) -> Router {
    Router::new().fallback(move |request: Request| {
        let (readiness, whole) = (Arc::clone(&readiness), Arc::clone(&whole));
        async move {
            match whole.get() {
                Some(router) => router.clone().oneshot(request).await.into_response(),
                None => answer(&readiness, request).await,
            }
        }
    })
}

async fn answer(readiness: &Readiness, request: Request) -> Response {
    let request = prefix::strip(request);
    let path = request.uri().path();
    if path == "/-/healthy" {
        return ops::healthy().await.into_response();
    }
    let obstacle = readiness.obstacle().unwrap_or_else(|| "starting".to_owned());
    let error = ApiError::new(ErrorKind::Unavailable, format!("Weir is not ready: {obstacle}"));
    match access_log::is_api(path) {
        true => error.envelope(),
        false => error.text(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;

    use super::*;
    use crate::http::Phase;

    async fn status(router: &Router, path: &str) -> StatusCode {
        let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
        router.clone().oneshot(request).await.expect("routers do not fail").status()
    }

    #[tokio::test]
    async fn the_whole_router_takes_over_once_it_is_there() {
        let (readiness, whole) = (Arc::new(Readiness::default()), Arc::new(OnceLock::new()));
        let router = until_ready(Arc::clone(&readiness), Arc::clone(&whole));
        readiness.enter(Phase::Recovering { done: 1, total: 4, what: "replaying".into() });
        assert_eq!(status(&router, "/-/healthy").await, StatusCode::OK);
        assert_eq!(status(&router, "/-/ready").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status(&router, "/api/v1/write").await, StatusCode::SERVICE_UNAVAILABLE);
        whole.set(Router::new().fallback(async || "whole")).expect("set once");
        assert_eq!(status(&router, "/-/ready").await, StatusCode::OK);
    }
}
