//! The page: files that were built from `ui/` and lie in the program.
//!
//! All of them are one level below `/ui/` or in `/ui/assets/`, and name each other relative to themselves, so that the
//! page works behind any proxy. Which page is shown is the browser's business: every other name below `/ui/` is given
//! the same `index.html`.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::access_log;

/// A file of the page.
struct File {
    /// Its path below `/ui/`.
    path: &'static str,
    /// Changes with what is inside.
    tag: &'static str,
    bytes: &'static [u8],
}

// `FILES`, by path.
include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

/// What the page may load and run: its own files, nothing inline, no other host. Mantine and CodeMirror add rules of
/// style while they run.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'self'";

/// Names of built files hold a hash of what is inside: the same name never means anything else.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Asked again each time, and answered with 304.
const ASK_AGAIN: &str = "no-cache";

/// `/ui/`
pub(super) async fn index(asked: HeaderMap) -> Response {
    respond(index_file(), &asked)
}

/// `/ui/...`: a file, or the page that the browser makes of `index.html`.
pub(super) async fn file(Path(path): Path<String>, asked: HeaderMap) -> Response {
    match find(&path) {
        Some(file) => respond(file, &asked),
        // A page has one plain name; anything deeper would be a file that an older page remembers.
        None if !path.contains(['/', '.']) => respond(index_file(), &asked),
        None => access_log::page_not_found(),
    }
}

/// A redirect relative to what was asked for, so that a prefix that only the proxy knows stays; the query goes along.
pub(super) fn redirect(to: &str, query: Option<&str>) -> Response {
    let location = match query {
        Some(query) => format!("{to}?{query}"),
        None => to.to_owned(),
    };
    let location = HeaderValue::try_from(location).expect("a path and the query of a URI are visible ASCII");
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
}

fn find(path: &str) -> Option<&'static File> {
    FILES.binary_search_by(|file| file.path.cmp(path)).ok().map(|at| &FILES[at])
}

fn index_file() -> &'static File {
    find("index.html").expect("build.rs looks for it")
}

fn respond(file: &'static File, asked: &HeaderMap) -> Response {
    let lasts = if file.path.starts_with("assets/") { FOR_EVER } else { ASK_AGAIN };
    // An answer that was compressed on the way carries the tag as a weak one.
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|tags| {
        tags.to_str().is_ok_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == file.tag))
    });
    let headers = [
        (header::ETAG, file.tag),
        (header::CACHE_CONTROL, lasts),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, [(header::CONTENT_TYPE, kind(file.path))], file.bytes).into_response()
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        "json" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(response: &Response, name: header::HeaderName) -> &str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    async fn get(path: &str, tag: Option<&str>) -> Response {
        let mut asked = HeaderMap::new();
        if let Some(tag) = tag {
            asked.insert(header::IF_NONE_MATCH, HeaderValue::try_from(tag).unwrap());
        }
        file(Path(path.to_owned()), asked).await
    }

    #[test]
    fn every_file_has_a_type_and_a_place() {
        assert!(FILES.is_sorted_by(|left, right| left.path < right.path));
        for file in FILES {
            assert_ne!(kind(file.path), "application/octet-stream", "{}", file.path);
            assert!(!file.bytes.is_empty(), "{}", file.path);
        }
    }

    #[test]
    fn the_page_names_its_files_relative_to_itself_and_runs_nothing_inline() {
        let html = std::str::from_utf8(index_file().bytes).unwrap();
        let named: Vec<_> = html.split(['"', '\'']).filter(|text| text.starts_with("./assets/")).collect();
        assert!(!named.is_empty());
        for name in named {
            assert!(find(name.trim_start_matches("./")).is_some(), "{name}");
        }
        assert!(html.split("<script").skip(1).all(|script| script.contains("src=\"./assets/")), "{html}");
    }

    #[tokio::test]
    async fn files_last_and_the_page_is_asked_for_again() {
        let script = FILES.iter().find(|file| file.path.ends_with(".js")).unwrap();
        let response = get(script.path, None).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(&response, header::CACHE_CONTROL), FOR_EVER);
        assert_eq!(text(&response, header::CONTENT_TYPE), "text/javascript; charset=utf-8");

        let page = get("alerts", None).await;
        assert_eq!(text(&page, header::CACHE_CONTROL), ASK_AGAIN);
        assert_eq!(text(&page, header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert!(text(&page, header::CONTENT_SECURITY_POLICY).contains("script-src 'self';"));
        let tag = format!("\"other\", W/{}", text(&page, header::ETAG));
        assert_eq!(get("alerts", Some(&tag)).await.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(get("alerts", Some("\"other\"")).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn a_file_of_an_older_page_is_not_found() {
        for path in ["assets/index-gone.js", "assets/", "a/b", "../Cargo.toml"] {
            assert_eq!(get(path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
}
