//! Mimir's ruler config API: groups of rules under namespaces, read and changed. Only where it is switched on.

use std::fmt::Write;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::rules::status::EditRules;

use super::Http;
use super::error::{ApiError, ErrorKind};
use super::params::decode;

type Namespaces = Vec<(String, Vec<(String, String)>)>;

/// Why there is no answer. Grafana knows a server without a ruler by a 404 in plain text.
pub(super) enum Refusal {
    SwitchedOff,
    Api(ApiError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Refusal::Api(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let why = "404 page not found: editing rules is switched off; set rules.api: true";
        match self {
            Refusal::SwitchedOff => ApiError::new(ErrorKind::NotFound, why).text(),
            Refusal::Api(error) => error.envelope(),
        }
    }
}

fn editor(http: &Http) -> Result<&dyn EditRules, Refusal> {
    http.services.rules.editor().ok_or(Refusal::SwitchedOff)
}

/// `GET /config/v1/rules`
pub(super) async fn all(State(http): State<Arc<Http>>) -> Result<Response, Refusal> {
    Ok(yaml(listed(&editor(&http)?.namespaces())))
}

/// `GET /config/v1/rules/{namespace}`
pub(super) async fn namespace(State(http): State<Arc<Http>>, Path(name): Path<String>) -> Result<Response, Refusal> {
    let mut namespaces = editor(&http)?.namespaces();
    namespaces.retain(|(own, _)| *own == plain(&name));
    match namespaces.is_empty() {
        true => Err(ApiError::new(ErrorKind::NotFound, "no rule groups found").into()),
        false => Ok(yaml(listed(&namespaces))),
    }
}

/// `GET /config/v1/rules/{namespace}/{group}`
pub(super) async fn group(
    State(http): State<Arc<Http>>,
    Path((namespace, group)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let (namespace, group) = (plain(&namespace), plain(&group));
    let namespaces = editor(&http)?.namespaces().into_iter();
    let mut groups = namespaces.filter(|(own, _)| *own == namespace).flat_map(|(_, groups)| groups);
    match groups.find(|(name, _)| *name == group) {
        Some((_, text)) => Ok(yaml(text)),
        None => Err(ApiError::new(ErrorKind::NotFound, "group does not exist").into()),
    }
}

/// `POST /config/v1/rules/{namespace}`
pub(super) async fn set(
    State(http): State<Arc<Http>>,
    Path(namespace): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    editor(&http)?;
    let text = String::from_utf8(body.to_vec()).map_err(|_| ApiError::bad_data("the group is no UTF-8"))?;
    let namespace = plain(&namespace);
    let changing = Arc::clone(&http);
    let work = move || editor(&changing).map(|editor| editor.set(&namespace, &text));
    http.lookups.run(work).await??.map_err(|problems| ApiError::bad_data(problems.join("\n")))?;
    Ok(accepted())
}

/// `DELETE /config/v1/rules/{namespace}`
pub(super) async fn remove_namespace(
    State(http): State<Arc<Http>>,
    Path(namespace): Path<String>,
) -> Result<Response, Refusal> {
    remove(http, plain(&namespace), None).await
}

/// `DELETE /config/v1/rules/{namespace}/{group}`
pub(super) async fn remove_group(
    State(http): State<Arc<Http>>,
    Path((namespace, group)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    remove(http, plain(&namespace), Some(plain(&group))).await
}

async fn remove(http: Arc<Http>, namespace: String, group: Option<String>) -> Result<Response, Refusal> {
    let changing = Arc::clone(&http);
    let work = move || editor(&changing).map(|editor| editor.remove(&namespace, group.as_deref()));
    let removed = http.lookups.run(work).await??;
    match removed.map_err(|why| ApiError::new(ErrorKind::Unavailable, why))? {
        true => Ok(accepted()),
        false => Err(ApiError::new(ErrorKind::NotFound, "group does not exist").into()),
    }
}

/// Grafana escapes names a second time.
fn plain(name: &str) -> String {
    decode(name).unwrap_or_else(|| name.to_owned())
}

fn accepted() -> Response {
    let said = r#"{"status":"success","data":null,"errorType":"","error":""}"#;
    let mut answer = (StatusCode::ACCEPTED, said).into_response();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn yaml(text: String) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"))], text).into_response()
}

/// Namespaces with their groups, each as its author wrote it, one level further in.
fn listed(namespaces: &Namespaces) -> String {
    let mut text = String::new();
    for (namespace, groups) in namespaces {
        let _ = writeln!(text, "{namespace:?}:");
        for (_, group) in groups {
            let mut first = true;
            for line in group.lines().filter(|line| !line.trim_end().is_empty() && line.trim_end() != "---") {
                // A comment before the first key may stand in front of the item.
                let mark = if first && !line.trim_start().starts_with('#') { "- " } else { "  " };
                first &= mark == "  ";
                let _ = writeln!(text, "    {mark}{line}");
            }
        }
    }
    if text.is_empty() { "{}\n".to_owned() } else { text }
}
