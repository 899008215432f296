//! `/search/metric_names`, `/search/label_names`, `/search/label_values`: Prometheus 3.13's search for editors.
//!
//! The answer is NDJSON: batches of results, the first one even if it is empty, then a line that says whether there is
//! more. What is wrong with the request is said before the first line, as everywhere.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::model::{METRIC_NAME, TimeRange};
use crate::store::MetricMetadata;

use super::Http;
use super::error::ApiError;
use super::json::Json;
use super::params::Params;
use super::rules::parse_bool;
use super::series::{matcher_sets, union};

/// Results of one answer, and of one line, where nothing is said; and the most there may be. (Prometheus: the same.)
const LIMIT: usize = 100;
const BATCH: usize = 100;
const LIMIT_MAX: usize = 10_000;

/// Words to search for.
const TERMS_MAX: usize = 32;

/// How well a name must match where Jaro and Winkler decide, in hundredths.
const THRESHOLD: i64 = 80;

/// How a search goes.
struct Search {
    terms: Vec<String>,
    case_sensitive: bool,
    jaro_winkler: bool,
    /// Between 0 and 1.
    threshold: f64,
    by_score: bool,
    descending: bool,
    include_score: bool,
    limit: usize,
    batch: usize,
}

impl Search {
    fn read(params: &Params) -> Result<Self, ApiError> {
        let truth = |name: &str, usual: bool| match params.first(name) {
            "" => Ok(usual),
            text => parse_bool(text).ok_or_else(|| ApiError::parameter(name, "true or false is expected")),
        };
        let count = |name: &str, usual: usize, most: usize| match params.number(name)? {
            None => Ok(usual),
            Some(number) => match usize::try_from(number) {
                Ok(number) if number > 0 => Ok(number.min(most)),
                _ => Err(ApiError::parameter(name, format_args!("{name} must be positive"))),
            },
        };
        let word = |name: &str, known: [&str; 2]| match params.first(name) {
            "" => Ok(None),
            text => known
                .iter()
                .position(|word| *word == text)
                .map(Some)
                .ok_or_else(|| ApiError::parameter(name, format_args!("{} or {} is expected", known[0], known[1]))),
        };
        let terms: Vec<String> = params.all("search[]").filter(|term| !term.is_empty()).map(str::to_owned).collect();
        if terms.len() > TERMS_MAX {
            return Err(ApiError::parameter("search[]", format_args!("at most {TERMS_MAX} terms are searched for")));
        }
        let threshold = params.number("fuzz_threshold")?.unwrap_or(THRESHOLD);
        if !(0..=100).contains(&threshold) {
            return Err(ApiError::parameter("fuzz_threshold", "a number from 0 to 100 is expected"));
        }
        let by_score = word("sort_by", ["alpha", "score"])? == Some(1);
        if by_score && terms.is_empty() {
            return Err(ApiError::parameter("sort_by", "score needs search[]"));
        }
        let direction = word("sort_dir", ["asc", "dsc"])?;
        if by_score && direction.is_some() {
            return Err(ApiError::parameter(
                "sort_dir",
                "sort_dir goes with sort_by=alpha; the best score is always first",
            ));
        }
        let case_sensitive = truth("case_sensitive", true)?;
        let fold = |term: String| if case_sensitive { term } else { term.to_lowercase() };
        Ok(Search {
            terms: terms.into_iter().map(fold).collect(),
            case_sensitive,
            jaro_winkler: word("fuzz_alg", ["subsequence", "jarowinkler"])? == Some(1),
            threshold: threshold as f64 / 100.0,
            by_score,
            descending: direction == Some(1),
            include_score: truth("include_score", false)?,
            limit: count("limit", LIMIT, LIMIT_MAX)?,
            batch: count("batch_size", BATCH, LIMIT_MAX)?,
        })
    }

    /// How well a name matches the best of the terms: 1 = it contains it from the start; `None` = not at all.
    fn score(&self, name: &str) -> Option<f64> {
        if self.terms.is_empty() {
            return Some(1.0);
        }
        let folded = if self.case_sensitive { name.to_owned() } else { name.to_lowercase() };
        let scores = self.terms.iter().filter_map(|term| {
            if let Some(at) = folded.find(term.as_str()) {
                return Some(if at == 0 { 1.0 } else { 0.95 });
            }
            match self.jaro_winkler {
                true => Some(strsim::jaro_winkler(term, &folded)).filter(|score| *score >= self.threshold),
                false => subsequence(term, &folded),
            }
        });
        scores.reduce(f64::max)
    }

    /// The names that match, best or first ones first, and whether there are more than the limit.
    fn among(&self, names: Vec<String>) -> (Vec<(String, f64)>, bool) {
        let scored = names.into_iter().filter_map(|name| self.score(&name).map(|score| (name, score)));
        let mut found: Vec<(String, f64)> = scored.collect();
        match self.by_score {
            true => found.sort_by(|left, right| right.1.total_cmp(&left.1).then_with(|| left.0.cmp(&right.0))),
            false if self.descending => found.sort_by(|left, right| right.0.cmp(&left.0)),
            false => found.sort_by(|left, right| left.0.cmp(&right.0)),
        }
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        (found, has_more)
    }

    /// The answer; `key` is what a name is called in it.
    fn respond(
        &self,
        names: Vec<String>,
        key: &'static str,
        metadata: Option<&HashMap<String, MetricMetadata>>,
    ) -> Response {
        let (found, has_more) = self.among(names);
        let mut json = Json::default();
        let mut batches = found.chunks(self.batch);
        let first = batches.next().unwrap_or(&[]);
        for batch in std::iter::once(first).chain(batches) {
            json.raw("{\"results\":").array(batch, |json, (name, score)| {
                json.raw("{\"").raw(key).raw("\":").string(name);
                if self.include_score {
                    json.raw(",\"score\":").number(*score);
                }
                if let Some(known) = metadata.and_then(|metadata| metadata.get(name)) {
                    json.raw(",\"type\":").string(&known.kind).raw(",\"help\":").string(&known.help);
                    json.raw(",\"unit\":").string(&known.unit);
                }
                json.raw("}");
            });
            json.raw("}\n");
        }
        json.raw("{\"status\":\"success\",\"has_more\":").raw(if has_more { "true}\n" } else { "false}\n" });
        ([(header::CONTENT_TYPE, "application/x-ndjson; charset=utf-8")], json.into_bytes()).into_response()
    }
}

/// Whether all letters of `term` stand in `name`, in order; the denser the better.
fn subsequence(term: &str, name: &str) -> Option<f64> {
    let mut letters = name.char_indices();
    let (mut first, mut last) = (None, 0);
    for wanted in term.chars() {
        let (at, _) = letters.find(|(_, letter)| *letter == wanted)?;
        first.get_or_insert(at);
        last = at;
    }
    let length = last - first? + 1;
    Some(0.9 * term.len() as f64 / length.max(term.len()) as f64)
}

/// `/api/v1/search/metric_names`
pub(super) async fn metric_names(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::read(&params)?;
    let include_metadata = matches!(params.first("include_metadata"), "1" | "true");
    let names = values(&http, &caller, &params, METRIC_NAME).await?;
    let metadata = match include_metadata {
        false => None,
        true => {
            let source = http.source(&caller);
            let known = http.lookups.run(move || source.metadata(None)).await??;
            let newest = known.into_iter().filter_map(|(name, all)| Some((name, all.into_iter().next()?)));
            Some(newest.collect::<HashMap<String, MetricMetadata>>())
        }
    };
    Ok(search.respond(names, "name", metadata.as_ref()))
}

/// `/api/v1/search/label_names`
pub(super) async fn label_names(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::read(&params)?;
    let sets = matcher_sets(&params).map_err(|why| ApiError::parameter("match[]", why))?;
    let range = params.range()?;
    let names = union(&http, &caller, &params, sets, range, |source, matchers, range: TimeRange| {
        source.label_names(matchers, range)
    })
    .await?;
    Ok(search.respond(names, "name", None))
}

/// `/api/v1/search/label_values`
pub(super) async fn label_values(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let search = Search::read(&params)?;
    let label = params.first("label").to_owned();
    if label.is_empty() {
        return Err(ApiError::parameter("label", "a label's name is needed"));
    }
    let values = values(&http, &caller, &params, &label).await?;
    Ok(search.respond(values, "value", None))
}

async fn values(http: &Http, caller: &Caller, params: &Params, label: &str) -> Result<Vec<String>, ApiError> {
    let sets = matcher_sets(params).map_err(|why| ApiError::parameter("match[]", why))?;
    let (range, label) = (params.range()?, label.to_owned());
    union(http, caller, params, sets, range, move |source, matchers, range| {
        source.label_values(&label, matchers, range)
    })
    .await
}
