//! Asks the data directory of a Weir that is stopped: our own engine over that store, and the API's own writer.

use std::path::Path;

use anyhow::{Context, anyhow, bail, ensure};

use crate::clock::Clock;
use crate::http::json::Json;
use crate::http::json::answer::{AnswerPieces, Frame};
use crate::http::json::pages::Pieces;
use crate::http::params::{parse_span, parse_time};
use crate::model::{Matcher, StepGrid, TimeRange, Timestamp};
use crate::promql::parse::parse_selector;
use crate::promql::{self, Engine, Features, QueryOptions};
use crate::store::{SampleSource, StoreError};

use super::Request;

/// Opens the store, asks, and gives the answer as the API would. The store is left as it was: what its log holds is
/// read into memory and forgotten.
///
/// # Errors
/// Where the store cannot be opened (a Weir runs on it), a feature has no such name, or the query fails.
pub(super) fn ask(data: &Path, features: &[String], request: &Request, clock: &Clock) -> anyhow::Result<String> {
    let features: Features = features.join(",").parse()?;
    // A typo must not leave an empty store behind.
    ensure!(data.join("catalogue").is_dir(), "{} is no data directory of Weir", data.display());
    let store = crate::app::open_stopped(data, clock).with_context(|| format!("open {}", data.display()))?;
    answer(store.as_ref(), features, request)
}

/// What the API would answer.
pub(super) fn answer(source: &dyn SampleSource, features: Features, request: &Request) -> anyhow::Result<String> {
    match request.path.as_str() {
        "/query" | "/query_range" => query(source, features, request),
        "/series" => {
            let found = look_up(request, |matchers, range| source.series(matchers, range))?;
            Ok(listed(&found, |json, labels| {
                json.labels(labels);
            }))
        }
        path => {
            let name = path.strip_prefix("/label/").and_then(|rest| rest.strip_suffix("/values"));
            let found = look_up(request, |matchers, range| match name {
                Some(name) => source.label_values(name, matchers, range),
                None => source.label_names(matchers, range),
            })?;
            Ok(listed(&found, |json, text| {
                json.string(text);
            }))
        }
    }
}

fn query(source: &dyn SampleSource, features: Features, request: &Request) -> anyhow::Result<String> {
    let engine = Engine::new(promql::Settings { features, ..promql::Settings::default() });
    let traced = request.first("trace").is_some();
    let options = QueryOptions { stopwatch: traced.then(Clock::stopwatch), ..QueryOptions::default() };
    let text = request.first("query").unwrap_or_default();
    let time = |name| parse_time(request.first(name).unwrap_or_default()).map_err(|why| anyhow!("{name}: {why}"));
    let answer = match request.path.as_str() {
        "/query" => engine.instant(source, text, time("time")?, &options)?,
        _ => {
            let step = parse_span(request.first("step").unwrap_or_default()).map_err(anyhow::Error::msg)?;
            let grid = StepGrid::new(time("start")?, time("end")?, step);
            let grid = grid.context("a range needs an end that is not before its start, and a positive step")?;
            engine.range(source, text, grid, &options)?
        }
    };
    let (mut pieces, mut json) = (AnswerPieces::new(answer, &Frame::default()), Json::default());
    while pieces.write_next(&mut json) {}
    Ok(json.into_string())
}

/// What `find` finds for each selector of the request, each once; for all series where there is none.
fn look_up<T: Ord>(
    request: &Request,
    find: impl Fn(&[Matcher], TimeRange) -> Result<Vec<T>, StoreError>,
) -> anyhow::Result<Vec<T>> {
    let time = |name, default| match request.first(name) {
        Some(text) => parse_time(text).map_err(|why| anyhow!("{name}: {why}")),
        None => Ok(default),
    };
    let range = TimeRange::new(time("start", Timestamp::MIN)?, time("end", Timestamp::MAX)?);
    let Some(range) = range else { bail!("the end is before the start") };
    let mut selectors = Vec::new();
    for (_, text) in request.params.iter().filter(|(name, _)| *name == "match[]") {
        selectors.push(parse_selector(text).map_err(|error| anyhow!("{error}"))?);
    }
    if selectors.is_empty() {
        return Ok(find(&[], range)?);
    }
    let mut found = Vec::new();
    for matchers in &selectors {
        found.extend(find(matchers, range)?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn listed<T>(items: &[T], write: impl FnMut(&mut Json, &T)) -> String {
    let mut json = Json::default();
    json.raw("{\"status\":\"success\",\"data\":").array(items, write).raw("}");
    json.into_string()
}
