//! `/api/v1/export` and `/api/v1/export/csv`: stored samples as VictoriaMetrics gives them out, streamed.
//!
//! What is exported in JSON can be imported again, to the bit. A stale marker is `null`. Native histograms, for which
//! VictoriaMetrics has no form, stand in lines of their own, with `histograms` in place of `values`; in text they are what
//! [`exposition`](super::exposition) says, and CSV, which has one value a row, leaves them out.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::access::Caller;
use crate::model::{Column, Histogram, Labels, METRIC_NAME, Matcher, ResetHint, Sample, TimeRange, Timestamp, number};
use crate::store::SampleSource;

use super::error::ApiError;
use super::exposition::{self, Escaping, Form, write_histogram, write_series};
use super::json::Json;
use super::params::{Params, rfc3339};
use super::query::timeout;
use super::stream::{Pipe, Stopped};
use super::{Http, series};

/// Samples of one line, so that a line is never as long as a series. (`max_rows_per_line` asks for fewer.)
const ROWS_PER_LINE_MAX: usize = 10_000;

/// Histograms of one line.
const HISTOGRAMS_PER_LINE_MAX: usize = 100;

/// What to export.
struct Wanted {
    sets: Vec<Vec<Matcher>>,
    range: Option<TimeRange>,
}

/// Samples of a series, by kind.
enum Rows<'a> {
    Floats(&'a [Sample]),
    Histograms(&'a [(Timestamp, Arc<Histogram>)]),
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
        mut write: impl FnMut(&mut Pipe, &Labels, Rows<'_>) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let Some(range) = self.range else { return Ok(()) };
        let mut column = Column::default();
        for matchers in &self.sets {
            for series in source.select(matchers, range)?.series {
                series.samples.read(&mut column)?;
                let floats: Vec<Sample> = column.floats().collect();
                if !floats.is_empty() {
                    write(pipe, &series.labels, Rows::Floats(&floats))?;
                }
                let histograms = column.histograms.iter().map(|(row, one)| (column.at[*row], Arc::clone(one)));
                let histograms: Vec<_> = histograms.collect();
                if !histograms.is_empty() {
                    write(pipe, &series.labels, Rows::Histograms(&histograms))?;
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
        wanted.each(source.as_ref(), pipe, |pipe, labels, found| match found {
            Rows::Floats(samples) => samples.chunks(rows).try_for_each(|samples| {
                match is_text {
                    true => text_lines(pipe.page(), labels, samples),
                    false => json_line(pipe.page(), labels, samples),
                }
                pipe.turn()
            }),
            // One of them may be as long as hundreds of floats.
            Rows::Histograms(histograms) => histograms.chunks(rows.min(HISTOGRAMS_PER_LINE_MAX)).try_for_each(|some| {
                match is_text {
                    true => text_histograms(pipe.page(), labels, some),
                    false => json_histograms(pipe.page(), labels, some),
                }
                pipe.turn()
            }),
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
        match sample.is_stale() {
            true => write_null(json),
            false => write_number(json, sample.value),
        }
    });
    json.raw(",\"timestamps\":").array(samples, |json, sample| {
        json.integer(sample.at.as_millis());
    });
    json.raw("}\n");
    page.extend_from_slice(&json.into_bytes());
}

/// The end of a series.
fn write_null(json: &mut Json) {
    json.raw("null");
}

/// A number, or the text that stands for it where JSON has none.
fn write_number(json: &mut Json, value: f64) {
    match value {
        value if value.is_nan() => json.raw("\"NaN\""),
        f64::INFINITY => json.raw("\"Infinity\""),
        f64::NEG_INFINITY => json.raw("\"-Infinity\""),
        value => json.number(value),
    };
}

/// Every field of each histogram, so that it can be imported again as it was.
fn json_histograms(page: &mut Vec<u8>, labels: &Labels, histograms: &[(Timestamp, Arc<Histogram>)]) {
    let mut json = Json::default();
    json.raw("{\"metric\":").labels(labels).raw(",\"histograms\":").array(histograms, |json, (_, histogram)| {
        match histogram.is_stale() {
            true => write_null(json),
            false => write_histogram_object(json, histogram),
        }
    });
    json.raw(",\"timestamps\":").array(histograms, |json, (at, _)| {
        json.integer(at.as_millis());
    });
    json.raw("}\n");
    page.extend_from_slice(&json.into_bytes());
}

fn write_histogram_object(json: &mut Json, histogram: &Histogram) {
    json.raw("{\"schema\":").integer(histogram.schema);
    for (name, value) in [
        ("count", histogram.count),
        ("sum", histogram.sum),
        ("zero_threshold", histogram.zero_threshold),
        ("zero_count", histogram.zero_count),
    ] {
        json.raw(",").string(name).raw(":");
        write_number(json, value);
    }
    for (side, spans, buckets) in [
        ("positive", &histogram.positive_spans, &histogram.positive_buckets),
        ("negative", &histogram.negative_spans, &histogram.negative_buckets),
    ] {
        if !spans.is_empty() {
            json.raw(",\"").raw(side).raw("_spans\":").array(spans, |json, span| {
                json.raw("[").integer(span.offset).raw(",").integer(span.length).raw("]");
            });
            json.raw(",\"").raw(side).raw("_buckets\":").array(buckets, |json, count| write_number(json, *count));
        }
    }
    if !histogram.custom_values.is_empty() {
        json.raw(",\"custom_values\":").array(&histogram.custom_values, |json, bound| write_number(json, *bound));
    }
    let hint = match histogram.reset_hint {
        ResetHint::Unknown => "",
        ResetHint::Yes => ",\"reset_hint\":\"reset\"",
        ResetHint::No => ",\"reset_hint\":\"none\"",
        ResetHint::Gauge => ",\"reset_hint\":\"gauge\"",
    };
    json.raw(hint).raw(if histogram.integer { ",\"integer\":true}" } else { "}" });
}

fn text_histograms(page: &mut Vec<u8>, labels: &Labels, histograms: &[(Timestamp, Arc<Histogram>)]) {
    let (mut text, wanted) = (String::new(), exposition::Wanted { form: Form::Text, escaping: Escaping::AllowUtf8 });
    for (at, histogram) in histograms {
        write_histogram(&mut text, labels, histogram, &at.as_millis().to_string(), wanted);
    }
    page.extend_from_slice(text.as_bytes());
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
        wanted.each(source.as_ref(), pipe, |pipe, labels, found| {
            let Rows::Floats(samples) = found else { return Ok(()) };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::STALE_NAN_BITS;
    use crate::model::histogram::BucketSpan;

    #[test]
    fn a_histogram_is_written_with_all_that_it_is() {
        let histogram = Histogram {
            schema: 3,
            zero_threshold: 0.25,
            zero_count: 1.0,
            count: 4.0,
            sum: f64::INFINITY,
            positive_spans: vec![BucketSpan { offset: -2, length: 1 }],
            positive_buckets: vec![3.0],
            reset_hint: ResetHint::No,
            integer: true,
            ..Histogram::default()
        };
        let stale = Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() };
        let at = Timestamp::from_millis;
        let (mut page, labels) = (Vec::new(), Labels::from_pairs([("__name__", "h")]));
        json_histograms(&mut page, &labels, &[(at(1000), Arc::new(histogram)), (at(2000), Arc::new(stale))]);
        // What reads it again is tested with the same line.
        let expected = concat!(
            r#"{"metric":{"__name__":"h"},"histograms":[{"schema":3,"count":4,"sum":"Infinity","zero_threshold":0.25,"#,
            r#""zero_count":1,"positive_spans":[[-2,1]],"positive_buckets":[3],"reset_hint":"none","integer":true},null],"#,
            r#""timestamps":[1000,2000]}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(page).unwrap(), expected);
    }
}
