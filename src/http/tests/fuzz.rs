//! Whatever is asked, the answer is an answer: mutants of every kind of question that clients are known to ask.
//!
//! Each run takes ten thousand of each kind; many more: `cargo test --release fuzz_ -- --ignored`.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};

use crate::ingest::wire::encoded;
use crate::ingest::wire::proto::prometheus as proto;
use crate::model::mutate::Mutator;
use crate::model::{Labels, Matcher, TimeRange, Timestamp};
use crate::store::{ExemplarSeries, MetricMetadata, SampleSource, SeriesSet, StoreError};

use super::world::{NOW, Shelf, World};

/// Mutants of each kind in every run.
const MUTANTS: u64 = 10_000;

/// And where one has time.
const MANY_MUTANTS: u64 = 500_000;

/// Paths with their parameters.
const QUESTIONS: [(&str, &[&str]); 6] = [
    (
        "/api/v1/query",
        &["query=up&time=1.5", "query=sum(rate(up[5m]))by(job)&timeout=5s&stats=all", "query=up&limit=1"],
    ),
    (
        "/api/v1/query_range",
        &[
            "query=up&start=10&end=11&step=500ms",
            "query=up%2F2&start=2026-01-01T00:00:00Z&end=1767225700&step=15&trace=1",
        ],
    ),
    (
        "/api/v1/series",
        &[
            "match[]=up&start=1&end=2&limit=3",
            "match[]=%7Bjob%3D~%22a%7Cb%22%7D",
            "match[]=%7B%22http.status%22%3D%22200%22%7D",
        ],
    ),
    ("/api/v1/labels", &["start=0&end=5", "match[]=up&limit=1"]),
    ("/federate", &["match[]=up&match[]=%7Bjob%3D%22a%22%7D"]),
    (
        "/api/v1/export",
        &[
            "match[]=up&start=1795363100&end=1795363200&max_rows_per_line=7",
            "match[]=up&format=prometheus&start=1795363190",
        ],
    ),
];

/// Parts of parameters.
const WORDS: [&str; 14] = [
    "%22",
    "%7B",
    "%7D",
    "%00",
    "%ff",
    "%",
    "&",
    "NaN",
    "-1",
    "1e30",
    "9223372036854775807",
    "match[]=",
    "step=0",
    "[5m]",
];

/// The store of other tests, with samples of a few seconds alone: mutants ask for any time.
struct Narrow;

impl SampleSource for Narrow {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let kept = |first: i64, last: i64| {
            let start = range.start().max(Timestamp::from_millis(first));
            TimeRange::new(start, range.end().min(Timestamp::from_millis(last)))
        };
        match kept(0, 20_000).or_else(|| kept(NOW - 20_000, NOW)) {
            Some(range) => Shelf.select(matchers, range),
            None => Ok(SeriesSet::default()),
        }
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        Shelf.series(matchers, range)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        Shelf.label_names(matchers, range)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        Shelf.label_values(name, matchers, range)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        Shelf.metadata(metric)
    }

    fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        Shelf.exemplars(selectors, range)
    }
}

/// Mutates forms: they are bytes that need not fit a URL.
async fn feed_questions(first: u64, count: u64) {
    let world = World::over(Arc::new(Narrow));
    for (path, forms) in QUESTIONS {
        let seeds: Vec<Vec<u8>> = forms.iter().map(|form| form.as_bytes().to_vec()).collect();
        for number in first..first + count {
            let form = Mutator::new(number).mutant(&seeds, &WORDS);
            let request = Request::builder()
                .method(if path == "/federate" { "GET" } else { "POST" })
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            let request = match path {
                "/federate" => {
                    let query: String =
                        form.iter().filter(|byte| byte.is_ascii_graphic()).map(|byte| char::from(*byte)).collect();
                    request.uri(format!(
                        "{path}?{}",
                        query.replace(['#', '<', '>', '"', '`', '{', '}', '\\', '^', '|'], "_")
                    ))
                }
                path => request.uri(path),
            };
            let Ok(request) = request.body(Body::from(form.clone())) else { continue };
            let status = world.send(request).await.status().as_u16();
            assert!(status < 500, "{status}, mutant {number}: {path} {}", String::from_utf8_lossy(&form));
        }
    }
}

/// Mutates remote reads, and what they are packed in.
async fn feed_reads(first: u64, count: u64) {
    let matcher =
        |kind, name: &str, value: &str| proto::LabelMatcher { r#type: kind, name: name.into(), value: value.into() };
    let query = proto::Query {
        start_timestamp_ms: 1_000,
        end_timestamp_ms: 11_000,
        matchers: vec![matcher(0, "__name__", "up"), matcher(2, "job", "a|b")],
        ..proto::Query::default()
    };
    let request =
        |types: &[i32]| proto::ReadRequest { queries: vec![query.clone()], accepted_response_types: types.to_vec() };
    let seeds = [encoded(&request(&[])), encoded(&request(&[1, 0]))];
    let world = World::over(Arc::new(Narrow));
    let packed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).expect("in memory");
    for number in first..first + count {
        let mut mutator = Mutator::new(number);
        let body = match number % 4 {
            0 => mutator.mutant(&[packed(&seeds[0])], &[]),
            _ => packed(&mutator.mutant(&seeds, &[])),
        };
        let status = world.send(Request::post("/api/v1/read").body(Body::from(body)).unwrap()).await.status().as_u16();
        assert!(status < 500, "{status}, mutant {number}");
    }
}

#[tokio::test]
async fn mutants_of_questions_are_answered_or_refused() {
    feed_questions(0, MUTANTS).await;
}

#[tokio::test]
async fn mutants_of_remote_reads_are_answered_or_refused() {
    feed_reads(0, MUTANTS).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn fuzz_questions() {
    feed_questions(1_000_000, MANY_MUTANTS).await;
    feed_reads(1_000_000, MANY_MUTANTS).await;
}
