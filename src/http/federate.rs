//! `/federate`: the newest sample of each selected series, in the text format, for a Prometheus that scrapes us.
//!
//! Native histograms have no form in this format and are left out; times are the samples' own, so that the scraping
//! side keeps them.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::model::labels::{Quoted, is_plain_label_name, is_plain_metric_name};
use crate::model::{Column, Labels, METRIC_NAME, Matcher, Sample, Span, TimeRange, number, sample};
use crate::store::{SampleSource, StoreError};

use super::error::ApiError;
use super::params::Params;
use super::{Http, series};

/// How far back a series' newest sample may lie. (Prometheus: the lookback delta.)
const LOOKBACK: Span = Span::from_secs(5 * 60);

/// `/federate`
pub(super) async fn federate(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, Response> {
    let sets = series::matcher_sets(&params).map_err(|why| ApiError::bad_data(why).text())?;
    let now = http.now();
    // The left end is open, as that of an instant selector is.
    let range = TimeRange::new(now - LOOKBACK + Span::from_millis(1), now).expect("the lookback is positive");
    let source = http.source(&caller);
    let work = move || newest(source.as_ref(), &sets, range);
    let found = http.lookups.run(work).await.map_err(|error| error.text())?;
    let found = found.map_err(|error| ApiError::from(error).text())?;
    let mut text = String::new();
    let mut name = None;
    for (labels, sample) in &found {
        if name != labels.metric_name() {
            name = labels.metric_name();
            writeln!(text, "# TYPE {} untyped", Name(name.unwrap_or(""))).expect("a String takes every write");
        }
        write_series(&mut text, labels);
        text.push(' ');
        number::write_float(&mut text, sample.value);
        writeln!(text, " {}", sample.at.as_millis()).expect("a String takes every write");
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// The newest float of each selected series that has not ended, sorted by labels.
fn newest(
    source: &dyn SampleSource,
    sets: &[Vec<Matcher>],
    range: TimeRange,
) -> Result<Vec<(Labels, Sample)>, StoreError> {
    let (mut found, mut column) = (Vec::new(), Column::default());
    for matchers in sets {
        for series in source.select(matchers, range)?.series {
            series.samples.read(&mut column)?;
            let Some(last) = column.at.len().checked_sub(1) else { continue };
            let is_histogram = column.histograms.last().is_some_and(|(row, _)| *row == last);
            let newest = Sample { at: column.at[last], value: column.values[last] };
            if !is_histogram && !sample::is_stale(newest.value) {
                found.push((series.labels, newest));
            }
        }
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found.dedup_by(|(left, _), (right, _)| left == right);
    Ok(found)
}

/// A metric name as the text format has it: in quotes where it must be.
struct Name<'a>(&'a str);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match is_plain_metric_name(self.0) {
            true => out.write_str(self.0),
            false => Quoted(self.0).fmt(out),
        }
    }
}

pub(super) fn write_series(text: &mut String, labels: &Labels) {
    let name = labels.metric_name().unwrap_or("");
    let mut separator = '{';
    // A name that must be quoted stands inside the braces. (Prometheus' text format since UTF-8 names.)
    match is_plain_metric_name(name) {
        true => text.push_str(name),
        false => {
            write!(text, "{{{}", Quoted(name)).expect("a String takes every write");
            separator = ',';
        }
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
        text.push(separator);
        separator = ',';
        match is_plain_label_name(label) {
            true => text.push_str(label),
            false => write!(text, "{}", Quoted(label)).expect("a String takes every write"),
        }
        text.push_str("=\"");
        for letter in value.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                plain => text.push(plain),
            }
        }
        text.push('"');
    }
    if separator == ',' {
        text.push('}');
    }
}
