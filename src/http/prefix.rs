//! The prefixes that people have in their configurations: those of a Prometheus behind a proxy, of VictoriaMetrics
//! single and cluster, of Mimir. They are taken off before routing, so every route works under each.

use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;

/// The path without its prefix; `None` where there is none.
///
/// VictoriaMetrics' cluster names a tenant in the path. There are no tenants here: only the default one is taken, so
/// that two tenants never become one by accident.
pub(super) fn without_prefix(path: &str) -> Option<&str> {
    const PREFIXES: [&str; 8] = [
        "/prometheus",
        "/select/0/prometheus",
        "/select/0:0/prometheus",
        "/insert/0/prometheus",
        "/insert/0:0/prometheus",
        "/vm/prometheus",
        "/vm",
        "/api/prom",
    ];
    let rest = PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix).filter(|rest| at_boundary(rest)))?;
    Some(if rest.is_empty() { "/" } else { rest })
}

fn at_boundary(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

/// Takes a prefix off a request's path.
pub(super) fn strip<B>(mut request: Request<B>) -> Request<B> {
    let Some(path) = without_prefix(request.uri().path()) else { return request };
    let path = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).expect("the end of a path is a path"));
    *request.uri_mut() = Uri::from_parts(parts).expect("only the path was shortened");
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_prefixes_are_taken_off() {
        #[track_caller]
        fn check(path: &str, rest: Option<&str>) {
            assert_eq!(without_prefix(path), rest);
        }
        check("/prometheus/api/v1/query", Some("/api/v1/query"));
        check("/prometheus", Some("/"));
        check("/select/0/prometheus/api/v1/labels", Some("/api/v1/labels"));
        check("/insert/0:0/prometheus/api/v1/write", Some("/api/v1/write"));
        check("/vm/api/v1/query", Some("/api/v1/query"));
        check("/vm/prometheus/api/v1/query", Some("/api/v1/query"));
        check("/select/7/prometheus/api/v1/query", None);
        check("/vmui", None);
        check("/api/v1/query", None);
    }
}
