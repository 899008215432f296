//! `/federate`: the newest sample of each selected series, in the text format, for a Prometheus that scrapes us.
//!
//! Native histograms have no form in this format and are left out; times are the samples' own, so that the scraping
//! side keeps them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::model::{Column, Labels, Matcher, Sample, Span, TimeRange, number, sample};
use crate::store::{SampleSource, StoreError};

use super::error::ApiError;
use super::exposition::{Wanted, write_name, write_series};
use super::params::Params;
use super::{Http, series};

/// How far back a series' newest sample may lie. (Prometheus: the lookback delta.)
const LOOKBACK: Span = Span::from_secs(5 * 60);

/// `/federate`
pub(super) async fn federate(
    State(http): State<Arc<Http>>,
    caller: Caller,
    headers: HeaderMap,
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
    let wanted = Wanted::by(&headers);
    let mut text = String::new();
    let mut name = None;
    for (labels, sample) in &found {
        if name != labels.metric_name() {
            name = labels.metric_name();
            text.push_str("# TYPE ");
            write_name(&mut text, name.unwrap_or(""), wanted.escaping);
            text.push_str(if wanted.open_metrics { " unknown\n" } else { " untyped\n" });
        }
        write_series(&mut text, labels, wanted.escaping);
        text.push(' ');
        number::write_float(&mut text, sample.value);
        text.push(' ');
        // OpenMetrics counts in seconds.
        text.push_str(&if wanted.open_metrics { sample.at.to_string() } else { sample.at.as_millis().to_string() });
        text.push('\n');
    }
    if wanted.open_metrics {
        text.push_str("# EOF\n");
    }
    Ok(([(header::CONTENT_TYPE, wanted.content_type())], text).into_response())
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
