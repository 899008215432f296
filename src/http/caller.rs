//! Who sends a request, and whether the route answers them.
//!
//! [`admit`] turns credentials into a [`Caller`] before any route is entered; [`guarded`] puts routes behind a right.
//! Handlers take the caller as an argument and read the store through [`Http::source`], which knows no way around them.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::access::{Access, Admission, Caller, Credentials, Denied, Right, Rights};

use super::access_log::SeenAs;
use super::error::{ApiError, ErrorKind};
use super::params::Params;
use super::{Http, access_log};

/// Longest `Authorization` that is looked at, in bytes.
const AUTHORIZATION_BYTES_MAX: usize = 4096;

/// Settles who asks, for every request. Wrong credentials end here.
pub(super) async fn admit(State(http): State<Arc<Http>>, mut request: Request, next: Next) -> Response {
    let sent = Sent::read(&request);
    let caller = match find(&http, &sent).await {
        Ok(caller) => caller,
        Err(error) => return refuse(&http.services.access, &request, &error),
    };
    let seen_as = SeenAs::of(&caller);
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    response.extensions_mut().insert(seen_as);
    response
}

async fn find(http: &Http, sent: &Sent) -> Result<Caller, ApiError> {
    match http.services.access.admit(sent.credentials(), http.now()) {
        Admission::Caller(caller) => Ok(*caller),
        Admission::Denied(why) => Err(denied(why)),
        // A password costs a tenth of a second: a few at once, off the threads that serve.
        Admission::Unchecked(check) => {
            let turn = http.password_checks.acquire().await.expect("the semaphore is never closed");
            let checked = tokio::task::spawn_blocking(move || check.run()).await;
            drop(turn);
            match checked {
                Ok(checked) => checked.map_err(denied),
                Err(_) => Err(ApiError::new(ErrorKind::Unavailable, "shutting down")),
            }
        }
    }
}

fn denied(why: Denied) -> ApiError {
    match why {
        Denied::Wrong => ApiError::new(ErrorKind::Unauthorized, "wrong credentials, or a token that has ended"),
        Denied::TooOften(wait) => {
            let seconds = u32::try_from(wait.as_millis().div_euclid(1000) + 1).unwrap_or(u32::MAX);
            let why = format!("over the token's rate of requests; try again in {seconds} s");
            ApiError::new(ErrorKind::TooOften { seconds }, why)
        }
    }
}

/// What a request says of who sends it.
enum Sent {
    Nothing,
    Bearer(String),
    Basic(String, String),
    Unreadable,
}

impl Sent {
    fn read(request: &Request) -> Self {
        if let Some(value) = request.headers().get(header::AUTHORIZATION) {
            return Sent::header(value);
        }
        // A picture in a mail or a ticket has no headers of its own.
        if request.uri().path().starts_with("/graph.") {
            let token = Params::parse(request.uri().query().unwrap_or("")).first("token").to_owned();
            if !token.is_empty() {
                return Sent::Bearer(token);
            }
        }
        Sent::Nothing
    }

    fn header(value: &HeaderValue) -> Self {
        let text = value.to_str().ok().filter(|text| text.len() <= AUTHORIZATION_BYTES_MAX).unwrap_or("");
        let Some((scheme, rest)) = text.trim().split_once(' ') else { return Sent::Unreadable };
        if scheme.eq_ignore_ascii_case("bearer") {
            return Sent::Bearer(rest.trim().to_owned());
        }
        let plain = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok()).flatten();
        let plain = plain.and_then(|bytes| String::from_utf8(bytes).ok());
        match plain.as_deref().and_then(|plain| plain.split_once(':')) {
            Some((name, password)) => Sent::Basic(name.to_owned(), password.to_owned()),
            None => Sent::Unreadable,
        }
    }

    fn credentials(&self) -> Credentials<'_> {
        match self {
            Sent::Nothing => Credentials::None,
            Sent::Bearer(token) => Credentials::Bearer(token),
            Sent::Basic(name, password) => Credentials::Basic { name, password },
            Sent::Unreadable => Credentials::Unreadable,
        }
    }
}

/// An error in the words of its route, with what a client needs to log in.
fn refuse(access: &Access, request: &Request, error: &ApiError) -> Response {
    let path = request.uri().path();
    let mut response = match access_log::is_api(path) && !is_for_senders(path) {
        true => error.envelope(),
        false => error.text(),
    };
    if error.kind == ErrorKind::Unauthorized {
        // Only where there are passwords: a browser would ask for one.
        if access.has_users() {
            add(response.headers_mut(), "Basic realm=\"weir\", charset=\"UTF-8\"");
        }
        add(response.headers_mut(), "Bearer realm=\"weir\"");
    }
    response
}

fn add(headers: &mut HeaderMap, challenge: &'static str) {
    headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
}

/// Senders log what they are told, and read plain text.
fn is_for_senders(path: &str) -> bool {
    matches!(path, "/api/v1/write" | "/api/v1/read")
        || path == "/api/v1/push"
        || path.starts_with("/api/v1/import")
        || path.starts_with("/api/v1/otlp")
}

/// Puts the routes so far behind a right.
pub(super) fn guarded(http: &Arc<Http>, routes: Router<Arc<Http>>, right: Right) -> Router<Arc<Http>> {
    let access = Arc::clone(&http.services.access);
    routes.route_layer(from_fn(move |request: Request, next: Next| {
        let access = Arc::clone(&access);
        async move { need(&access, right, request, next).await }
    }))
}

async fn need(access: &Access, right: Right, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>().cloned().unwrap_or_else(|| Caller::anonymous(Rights::NONE));
    let path = request.uri().path();
    if caller.may(right, path) {
        return next.run(request).await;
    }
    let error = match (caller.rights.is_empty(), caller.rights.allow(right)) {
        (true, _) => ApiError::new(ErrorKind::Unauthorized, "credentials are needed here: a token or a password"),
        (_, true) => ApiError::new(ErrorKind::Denied, format!("this token does not open {path}")),
        _ => ApiError::new(ErrorKind::Denied, format!("the right {right:?} is needed here", right = right.as_str())),
    };
    refuse(access, &request, &error)
}

/// The page's own files: open, unless a browser can ask for a password and send it with everything that follows.
pub(super) fn for_browsers(http: &Arc<Http>, routes: Router<Arc<Http>>) -> Router<Arc<Http>> {
    routes.route_layer(from_fn_with_state(
        Arc::clone(http),
        async |State(http): State<Arc<Http>>, request: Request, next: Next| {
            let stranger = request.extensions().get::<Caller>().is_none_or(|caller| caller.rights.is_empty());
            match stranger && http.services.access.has_users() {
                true => {
                    let error = ApiError::new(ErrorKind::Unauthorized, "a password is needed here");
                    refuse(&http.services.access, &request, &error)
                }
                false => next.run(request).await,
            }
        },
    ))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    /// Nobody, where [`admit`] has not been passed.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Caller>().cloned().unwrap_or_else(|| Caller::anonymous(Rights::NONE)))
    }
}
