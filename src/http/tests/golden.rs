//! Every route of Prometheus' API against what it answered before, byte for byte: tests/golden.
//!
//! The answers were held against Prometheus' own; where they differ on purpose, docs/compatibility.md says why. Where one
//! changes, the new ones are written beside: look at the difference, and copy them over if it is meant.

use std::fmt::Write;
use std::path::Path;

use axum::body::Body;
use axum::http::{Request, header};

use super::world::{World, read};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// A line of questions as a request.
fn request(line: &str) -> Request<Body> {
    let (method, rest) = line.split_once(' ').expect("a method");
    let (uri, form) = match rest.split_once(' ') {
        Some((uri, form)) => (uri, Some(form)),
        None => (rest, None),
    };
    let uri = uri.replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
    let request = Request::builder().method(method).uri(uri);
    match form {
        None => request.body(Body::empty()),
        Some(form) => request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.replace(' ', "+"))),
    }
    .expect("a request")
}

#[tokio::test]
async fn every_route_answers_as_it_did() {
    let questions = std::fs::read_to_string(Path::new(FOLDER).join("questions.txt")).expect("questions");
    let mut answers = String::new();
    for line in questions.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // A world for each, so that no question has to do with another.
        let response = World::new().send(request(line)).await;
        let kind = response.headers().get(header::CONTENT_TYPE).map_or("-", |kind| kind.to_str().expect("text"));
        let kind = kind.to_owned();
        let (status, body) = read(response).await;
        writeln!(answers, "{line}\n{status} {kind}\n{}\n", body.trim_end()).expect("a String takes every write");
    }
    let expected = std::fs::read_to_string(Path::new(FOLDER).join("answers.txt")).unwrap_or_default();
    if answers != expected {
        let found = std::env::temp_dir().join("weir-answers.txt");
        std::fs::write(&found, &answers).expect("a writable folder");
        let differs = answers.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
        panic!("answers differ from tests/golden/answers.txt at line {:?}; those of now: {}", differs, found.display());
    }
}
