//! What went wrong, in the words of the Prometheus API, and the one place that knows status codes.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::model::with_causes;
use crate::promql::QueryError;
use crate::store::StoreError;

use super::json::Json;

/// Seconds after which a sender or reader that was turned away may come back.
pub const RETRY_AFTER_SECONDS: u32 = 5;

/// Why a request gets no answer, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong; asking again will not help.
    BadData,
    /// The request is right, but cannot be carried out: the query fails, or goes over a limit.
    Execution,
    /// The asker went away.
    Canceled,
    /// It took longer than it may.
    Timeout,
    /// Our fault.
    Internal,
    /// Not now: starting, stopping or too busy.
    Unavailable,
    /// There is nothing under this path or name.
    NotFound,
    /// The path is right and the method is not.
    MethodNotAllowed,
    /// The body is over the limit.
    TooLarge,
    /// The body is of a kind that nobody here reads.
    Unsupported,
    /// The body came too slowly.
    TooSlow,
    /// What is asked for is switched off.
    Forbidden,
    /// Nobody knows who asks.
    Unauthorized,
    /// It is known who asks, and they may not.
    Denied,
    /// They may, but not so often.
    TooOften {
        /// When to come back.
        seconds: u32,
    },
}

impl ErrorKind {
    /// The status code, and the API's `errorType`. Codes are those of Prometheus 3.14; Go clients read JSON bodies
    /// only with 2xx, 400, 422 and 503.
    fn told_as(self) -> (StatusCode, &'static str) {
        match self {
            ErrorKind::BadData => (StatusCode::BAD_REQUEST, "bad_data"),
            ErrorKind::Execution => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
            ErrorKind::Canceled => (client_closed_request(), "canceled"),
            ErrorKind::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            ErrorKind::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "bad_data"),
            ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "bad_data"),
            ErrorKind::Unsupported => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad_data"),
            ErrorKind::TooSlow => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "unavailable"),
            ErrorKind::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            ErrorKind::Denied => (StatusCode::FORBIDDEN, "forbidden"),
            ErrorKind::TooOften { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
        }
    }

    /// The kind as reports on many requests name it.
    pub(super) fn reason(self) -> &'static str {
        match self {
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::TooSlow => "too_slow",
            kind => kind.told_as().1,
        }
    }
}

/// 499, nginx's "client closed request": nobody reads it but the access log.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).expect("499 is a three-digit number")
}

/// An error on its way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What the caller can do.
    pub kind: ErrorKind,
    /// What to tell a person.
    pub message: String,
}

impl ApiError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        ApiError { kind, message: message.into() }
    }

    /// The request is wrong.
    pub fn bad_data(message: impl Into<String>) -> Self {
        ApiError::new(ErrorKind::BadData, message)
    }

    /// The value of a parameter is wrong.
    pub fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        ApiError::bad_data(format!("invalid parameter \"{name}\": {why}"))
    }

    /// A query error where the query's text came in the parameter `name`: a text that is no query is the parameter's
    /// fault, everything else that of the evaluation.
    pub fn query(name: &str, error: QueryError) -> Self {
        match error {
            QueryError::Parse(why) => ApiError::parameter(name, why),
            QueryError::Store(error) => error.into(),
            QueryError::Overloaded(_) => ApiError::new(ErrorKind::Unavailable, error.to_string()),
            QueryError::Timeout(_) => ApiError::new(ErrorKind::Timeout, error.to_string()),
            QueryError::Canceled(_) => ApiError::new(ErrorKind::Canceled, error.to_string()),
            _ => ApiError::new(ErrorKind::Execution, error.to_string()),
        }
    }

    /// The JSON envelope: the form of every error under `/api/v1/`.
    pub fn envelope(&self) -> Response {
        let (status, error_type) = self.kind.told_as();
        let mut json = Json::default();
        json.raw("{\"status\":\"error\",\"errorType\":").string(error_type).raw(",\"error\":").string(&self.message);
        json.raw("}");
        let mut answer = (status, Body::from(json.into_bytes())).into_response();
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.say_when_to_retry(&mut answer);
        answer
    }

    /// Plain text: the form that senders log, and that health checks show.
    pub fn text(&self) -> Response {
        let (status, _) = self.kind.told_as();
        let mut answer = (status, format!("{}\n", self.message)).into_response();
        answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.say_when_to_retry(&mut answer);
        answer
    }

    fn say_when_to_retry(&self, answer: &mut Response) {
        let seconds = match self.kind {
            ErrorKind::Unavailable => RETRY_AFTER_SECONDS,
            ErrorKind::TooOften { seconds } => seconds,
            _ => return,
        };
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.envelope()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Overloaded(_) | StoreError::ReadOnly(_) | StoreError::NotReady(_) => ErrorKind::Unavailable,
            StoreError::TooLarge(_) => ErrorKind::Execution,
            StoreError::Canceled => ErrorKind::Canceled,
            _ => ErrorKind::Internal,
        };
        if kind == ErrorKind::Internal {
            tracing::error!(error = %with_causes(&error), "store could not answer");
        }
        ApiError::new(kind, error.to_string())
    }
}
