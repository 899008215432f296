//! `/admin/tokens` and `/whoami`: tokens made, listed and revoked, and who a caller is.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::access::{Caller, Kind, Right, Rights, Scope, Token, TokenSpec, TokensError};
use crate::model::{Matcher, Span, Timestamp};
use crate::promql::parse::parse_selector;

use super::error::{ApiError, ErrorKind};
use super::json::Json;
use super::params::{Params, parse_span, parse_time, rfc3339};
use super::{Http, answer, body};

/// Largest body of a request for a token, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a token shall be, from the JSON that `POST /api/v1/admin/tokens` takes.
///
/// # Errors
/// What is wrong with it.
pub fn token_spec(json: &[u8], now: Timestamp) -> Result<TokenSpec, ApiError> {
    let wish: Wish = serde_json::from_slice(json).map_err(|error| ApiError::bad_data(error.to_string()))?;
    wish.spec(now)
}

/// A token as the API shows it, without its secret.
pub fn token_json(token: &Token) -> String {
    let mut json = Json::default();
    json.raw("{");
    write_token(&mut json, token);
    json.raw("}");
    json.into_string()
}

/// `/api/v1/whoami`
pub(super) async fn whoami(State(http): State<Arc<Http>>, caller: Caller) -> Response {
    let access = &http.services.access;
    let mut login = Vec::new();
    if !access.is_open() {
        login.extend(access.has_users().then_some("basic"));
        login.push("token");
    }
    answer(|json| {
        json.raw("{\"kind\":").string(caller.kind.as_str()).raw(",\"name\":").string(&caller.name);
        write_rights(json, caller.rights);
        let selector = caller.view.as_ref().map(|view| selector(&view.matchers)).unwrap_or_default();
        json.raw(",\"matchers\":").string(&selector).raw(",\"expiresAt\":");
        write_time(json, caller.expires_at);
        json.raw(",\"login\":").array(login, |json, way| {
            json.string(way);
        });
        json.raw("}");
    })
}

/// Anybody may do anything while there are no users, but whoever makes a token wants it to mean something: where the
/// admin API is off, an anonymous caller cannot.
fn check(http: &Http, caller: &Caller) -> Result<(), ApiError> {
    match caller.kind == Kind::Anonymous && http.services.admin.is_none() {
        true => Err(ApiError::new(
            ErrorKind::Denied,
            "tokens are made by users and by tokens with the right admin; set http.admin, or use `weir token` beside the data",
        )),
        false => Ok(()),
    }
}

/// `GET /api/v1/admin/tokens`
pub(super) async fn list(State(http): State<Arc<Http>>, caller: Caller) -> Result<Response, ApiError> {
    check(&http, &caller)?;
    let tokens = http.services.access.tokens().list();
    Ok(answer(|json| {
        json.raw("{\"tokens\":").array(&tokens, |json, token| {
            json.raw("{");
            write_token(json, token);
            json.raw("}");
        });
        json.raw("}");
    }))
}

/// `POST /api/v1/admin/tokens`
pub(super) async fn create(
    State(http): State<Arc<Http>>,
    caller: Caller,
    request: Request,
) -> Result<Response, Response> {
    check(&http, &caller).map_err(IntoResponse::into_response)?;
    let wish = Wish::read(&http, request).await?;
    let now = http.now();
    let spec = wish.spec(now).map_err(IntoResponse::into_response)?;
    let work = || http.services.access.tokens().create(spec, &caller.name, now);
    let made = http.lookups.run(work).await.map_err(IntoResponse::into_response)?;
    let (token, text) = made.map_err(|error| refused(error).into_response())?;
    tracing::info!(id = token.id, name = token.spec.name, by = caller.name, "a token is made");
    Ok(answer(|json| {
        json.raw("{");
        write_token(json, &token);
        json.raw(",\"token\":").string(&text).raw("}");
    }))
}

fn refused(error: TokensError) -> ApiError {
    match error {
        TokensError::Store(error) => error.into(),
        other => ApiError::bad_data(other.to_string()),
    }
}

/// `DELETE /api/v1/admin/tokens/<id>`, and `POST .../revoke` for clients that cannot delete.
pub(super) async fn revoke(
    State(http): State<Arc<Http>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, ApiError> {
    check(&http, &caller)?;
    match http.lookups.run(|| http.services.access.tokens().revoke(&id)).await?? {
        true => {
            tracing::info!(id, by = caller.name, "a token is revoked");
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        false => Err(ApiError::new(ErrorKind::NotFound, format!("no token has the id {id}"))),
    }
}

/// A wish for a token as it comes: JSON, or a form.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    name: String,
    rights: Vec<String>,
    matchers: String,
    from: Option<TimeText>,
    until: Option<TimeText>,
    max_age: String,
    paths: Vec<String>,
    requests_per_second: Option<f64>,
    burst: Option<f64>,
    labels: BTreeMap<String, String>,
    expires_at: Option<TimeText>,
    ttl: String,
}

/// A time as text or as a number of seconds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TimeText {
    Text(String),
    Seconds(f64),
}

impl Wish {
    async fn read(http: &Arc<Http>, request: Request) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        if kind.trim_start().to_ascii_lowercase().starts_with("application/json") {
            let bytes = body::read(request.into_body(), BODY_BYTES_MAX, http.settings.body_timeout).await;
            let bytes = bytes.map_err(IntoResponse::into_response)?;
            let read = serde_json::from_slice(&bytes);
            return read.map_err(|error| ApiError::bad_data(format!("request body: {error}")).into_response());
        }
        let params = Params::from_request(request, http).await?;
        Wish::of_form(&params).map_err(IntoResponse::into_response)
    }

    fn of_form(params: &Params) -> Result<Self, ApiError> {
        let lines = |name: &str| params.all(name).map(str::to_owned).collect();
        let text = |name: &str| params.first(name).to_owned();
        let time = |name: &str| Some(TimeText::Text(text(name))).filter(|_| !params.first(name).is_empty());
        let number = |name: &str| match params.first(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| ApiError::parameter(name, "a number is expected")),
        };
        let pair = |label: &str| {
            let (name, value) = label.split_once('=').ok_or_else(|| ApiError::parameter("labels", "not name=value"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        Ok(Wish {
            name: text("name"),
            rights: lines("rights"),
            matchers: text("matchers"),
            from: time("from"),
            until: time("until"),
            max_age: text("maxAge"),
            paths: lines("paths"),
            requests_per_second: number("requestsPerSecond")?,
            burst: number("burst")?,
            labels: params.all("labels").map(pair).collect::<Result<_, ApiError>>()?,
            expires_at: time("expiresAt"),
            ttl: text("ttl"),
        })
    }

    fn spec(self, now: Timestamp) -> Result<TokenSpec, ApiError> {
        let time = |name: &str, text: Option<TimeText>| match text {
            None => Ok(None),
            Some(TimeText::Seconds(seconds)) => Ok(Some(Timestamp::from_millis((seconds * 1000.0) as i64))),
            Some(TimeText::Text(text)) => parse_time(&text).map(Some).map_err(|why| ApiError::parameter(name, why)),
        };
        let span = |name: &str, text: &str| match text {
            "" => Ok(None),
            text => parse_span(text).map(Some).map_err(|why| ApiError::parameter(name, why)),
        };
        let rights = match self.rights.is_empty() {
            true => Ok([Right::Read].into_iter().collect::<Rights>()),
            false => self.rights.iter().map(|right| right.parse()).collect::<Result<Rights, String>>(),
        };
        let matchers = match self.matchers.trim() {
            "" => Vec::new(),
            text => parse_selector(text).map_err(|error| ApiError::parameter("matchers", error))?,
        };
        let ttl = span("ttl", &self.ttl)?;
        let pace = self.requests_per_second.map(|rate| (rate, self.burst.unwrap_or((2.0 * rate).max(1.0))));
        Ok(TokenSpec {
            name: self.name,
            rights: rights.map_err(|why| ApiError::parameter("rights", why))?,
            scope: Scope {
                matchers: matchers.into(),
                from: time("from", self.from)?,
                until: time("until", self.until)?,
                max_age: span("maxAge", &self.max_age)?,
            },
            paths: self.paths,
            pace,
            labels: self.labels,
            expires_at: time("expiresAt", self.expires_at)?.or(ttl.map(|ttl| now + ttl)),
        })
    }
}

fn write_token(json: &mut Json, token: &Token) {
    let Token { id, spec, created_at, created_by, last_used_at } = token;
    json.raw("\"id\":").string(id).raw(",\"name\":").string(&spec.name);
    write_rights(json, spec.rights);
    json.raw(",\"matchers\":").string(&spec.scope.selector());
    for (name, at) in [("from", spec.scope.from), ("until", spec.scope.until), ("expiresAt", spec.expires_at)] {
        json.raw(",\"").raw(name).raw("\":");
        write_time(json, at);
    }
    json.raw(",\"maxAge\":").string(&spec.scope.max_age.map_or_else(String::new, |age: Span| age.to_string()));
    json.raw(",\"paths\":").array(&spec.paths, |json, path| {
        json.string(path);
    });
    for (name, value) in [("requestsPerSecond", spec.pace.map(|pace| pace.0)), ("burst", spec.pace.map(|pace| pace.1))]
    {
        json.raw(",\"").raw(name).raw("\":");
        match value {
            Some(value) => json.number(value),
            None => json.raw("null"),
        };
    }
    json.raw(",\"labels\":").object(&spec.labels, |json, value| {
        json.string(value);
    });
    json.raw(",\"createdAt\":").string(&rfc3339(*created_at)).raw(",\"createdBy\":").string(created_by);
    json.raw(",\"lastUsedAt\":");
    write_time(json, *last_used_at);
}

fn write_rights(json: &mut Json, rights: Rights) {
    json.raw(",\"rights\":").array(rights.iter(), |json, right| {
        json.string(right.as_str());
    });
}

fn write_time(json: &mut Json, at: Option<Timestamp>) {
    match at {
        Some(at) => json.string(&rfc3339(at)),
        None => json.raw("null"),
    };
}

fn selector(matchers: &[Matcher]) -> String {
    Scope { matchers: matchers.into(), ..Scope::default() }.selector()
}
