//! `/api/v1/export` and `/api/v1/export/csv`: stored samples as VictoriaMetrics gives them out, streamed.
//!
//! What is exported can be imported again, but for native histograms, for which these forms have no place: they are
//! left out. A stale marker is `null` in JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::model::{Column, Labels, METRIC_NAME, Matcher, Sample, TimeRange, number};
use crate::store::SampleSource;

use super::error::ApiError;
use super::exposition::{Escaping, write_series};
use super::json::Json;
use super::params::{Params, rfc3339};
use super::query::timeout;
use super::stream::{Pipe, Stopped};
use super::{Http, series};

/// Samples of one line, so that a line is never as long as a series. (`max_rows_per_line` asks for fewer.)
const ROWS_PER_LINE_MAX: usize = 10_000;

/// What to export.
struct Wanted {
    sets: Vec<Vec<Matcher>>,
    range: Option<TimeRange>,
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, ApiError> {
        // VictoriaMetrics also calls it `match`.
        let params_with_alias = match params.all("match[]").next() {
            None if params.all("match").next().is_some() => params.renamed("match", "match[]"),
            None => return Err(ApiError::bad_data("no match[] parameter provided")),
            Some(_) => params.clone(),
        };
        let sets = series::matcher_sets(&params_with_alias).map_err(|why| ApiError::parameter("match[]", why))?;
        Ok(Wanted { sets, range: params.range()? })
    }

    /// Reads series by series; one that several selectors find comes once for each, as samples of one time are one.
    fn each(
        &self,
        source: &dyn SampleSource,
        pipe: &mut Pipe,
        mut write: impl FnMut(&mut Pipe, &Labels, &[Sample]) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let Some(range) = self.range else { return Ok(()) };
        let mut column = Column::default();
        for matchers in &self.sets {
            for series in source.select(matchers, range)?.series {
                series.samples.read(&mut column)?;
                let floats: Vec<Sample> = column.floats().collect();
                if !floats.is_empty() {
                    write(pipe, &series.labels, &floats)?;
                }
            }
        }
        Ok(())
    }
}

/// `/api/v1/export`: a JSON object a line, or with `format=prometheus` the text format.
pub(super) async fn json_lines(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&params)?;
    let rows = params.number("max_rows_per_line")?.and_then(|rows| usize::try_from(rows).ok());
    let rows = rows.filter(|rows| *rows > 0).unwrap_or(usize::MAX).min(ROWS_PER_LINE_MAX);
    let is_text = match params.first("format") {
        "" | "promapi_lines" => false,
        "prometheus" => true,
        other => return Err(ApiError::parameter("format", format_args!("unknown format {other:?}"))),
    };
    let source = http.source_of(&caller, &params)?;
    let work = move |pipe: &mut Pipe| {
        wanted.each(source.as_ref(), pipe, |pipe, labels, samples| {
            for samples in samples.chunks(rows) {
                match is_text {
                    true => text_lines(pipe.page(), labels, samples),
                    false => json_line(pipe.page(), labels, samples),
                }
                pipe.turn()?;
            }
            Ok(())
        })
    };
    let body = http.queries.stream(timeout(&http, &params)?, work).await?;
    let kind =
        if is_text { "text/plain; version=0.0.4; charset=utf-8" } else { "application/stream+json; charset=utf-8" };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

fn json_line(page: &mut Vec<u8>, labels: &Labels, samples: &[Sample]) {
    let mut json = Json::default();
    json.raw("{\"metric\":").labels(labels).raw(",\"values\":").array(samples, |json, sample| {
        match sample.value {
            value if sample.is_stale() || value.is_nan() => {
                json.raw(if sample.is_stale() { "null" } else { "\"NaN\"" })
            }
            f64::INFINITY => json.raw("\"Infinity\""),
            f64::NEG_INFINITY => json.raw("\"-Infinity\""),
            value => json.number(value),
        };
    });
    json.raw(",\"timestamps\":").array(samples, |json, sample| {
        json.integer(sample.at.as_millis());
    });
    json.raw("}\n");
    page.extend_from_slice(&json.into_bytes());
}

fn text_lines(page: &mut Vec<u8>, labels: &Labels, samples: &[Sample]) {
    let mut name = String::new();
    write_series(&mut name, labels, Escaping::AllowUtf8);
    for sample in samples {
        let mut line = format!("{name} ");
        number::write_float(&mut line, sample.value);
        page.extend_from_slice(format!("{line} {}\n", sample.at.as_millis()).as_bytes());
    }
}

/// What a column of CSV holds.
enum Cell {
    Label(String),
    Value,
    Time(fn(&Sample) -> String),
}

/// `/api/v1/export/csv?format=__name__,job,__value__,__timestamp__:unix_ms`
pub(super) async fn csv(State(http): State<Arc<Http>>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let cells = params.first("format").split(',').map(str::trim).filter(|name| !name.is_empty());
    let cells = cells.map(cell).collect::<Result<Vec<_>, ApiError>>()?;
    if cells.is_empty() {
        let why = "columns are wanted, e.g. __name__,job,__value__,__timestamp__:rfc3339";
        return Err(ApiError::parameter("format", why));
    }
    let wanted = Wanted::read(&params)?;
    let source = http.source_of(&caller, &params)?;
    let work = move |pipe: &mut Pipe| {
        wanted.each(source.as_ref(), pipe, |pipe, labels, samples| {
            for sample in samples.iter().filter(|sample| !sample.is_stale()) {
                let row: Vec<String> = cells.iter().map(|cell| written(cell, labels, sample)).collect();
                pipe.page().extend_from_slice(row.join(",").as_bytes());
                pipe.page().push(b'\n');
                pipe.turn()?;
            }
            Ok(())
        })
    };
    let body = http.queries.stream(timeout(&http, &params)?, work).await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], body).into_response())
}

fn cell(name: &str) -> Result<Cell, ApiError> {
    Ok(match name {
        "__value__" => Cell::Value,
        "__timestamp__" | "__timestamp__:unix_ms" => Cell::Time(|sample| sample.at.as_millis().to_string()),
        "__timestamp__:unix_s" => Cell::Time(|sample| sample.at.as_millis().div_euclid(1000).to_string()),
        "__timestamp__:unix_ns" => Cell::Time(|sample| (i128::from(sample.at.as_millis()) * 1_000_000).to_string()),
        "__timestamp__:rfc3339" => Cell::Time(|sample| rfc3339(sample.at)),
        other if other.starts_with("__timestamp__:") => {
            return Err(ApiError::parameter("format", format_args!("unknown time form in {other:?}")));
        }
        label => Cell::Label(label.to_owned()),
    })
}

fn written(cell: &Cell, labels: &Labels, sample: &Sample) -> String {
    match cell {
        Cell::Value => number::format_float(sample.value),
        Cell::Time(write) => write(sample),
        Cell::Label(name) => {
            let value = labels.get(if name == "__name__" { METRIC_NAME } else { name }).unwrap_or("");
            match value.contains([',', '"', '\n', '\r']) {
                true => format!("\"{}\"", value.replace('"', "\"\"")),
                false => value.to_owned(),
            }
        }
    }
}
