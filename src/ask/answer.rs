//! An answer of the API, read from its JSON.

use anyhow::{Context, bail};
use serde_json::Value;

use crate::http::params::rfc3339;
use crate::model::Timestamp;

/// What was answered.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) data: Data,
    /// Warnings and infos.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Data {
    /// One value without labels.
    Single(Point),
    /// A value a series.
    Vector(Vec<(Labels, Point)>),
    /// Values over time.
    Matrix(Vec<(Labels, Vec<Point>)>),
    /// Label sets.
    Series(Vec<Labels>),
    /// Label names or values.
    Texts(Vec<String>),
}

/// Names with values, in the order of the answer.
pub(super) type Labels = Vec<(String, String)>;

/// A value at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) at: Timestamp,
    /// As the API writes it; of a histogram, its count and sum.
    pub(super) text: String,
}

impl Point {
    /// The number, if it is one that can be drawn.
    pub(super) fn number(&self) -> Option<f64> {
        self.text.parse().ok().filter(|number: &f64| number.is_finite())
    }
}

impl Answer {
    pub(super) fn read(json: &Value) -> anyhow::Result<Self> {
        let data = &json["data"];
        let data = match (data.as_array(), data["resultType"].as_str()) {
            (Some(list), _) if list.iter().all(Value::is_string) => {
                Data::Texts(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            (Some(list), _) => Data::Series(list.iter().map(labels).collect()),
            (None, Some("scalar" | "string")) => Data::Single(point(&data["result"])?),
            (None, Some("vector")) => {
                let sample = |one: &Value| Ok((labels(&one["metric"]), either(one, "value", "histogram")?));
                Data::Vector(results(data)?.iter().map(sample).collect::<anyhow::Result<_>>()?)
            }
            (None, Some("matrix")) => Data::Matrix(results(data)?.iter().map(series).collect::<anyhow::Result<_>>()?),
            _ => bail!("the answer is of a kind that is not known here"),
        };
        let notes = ["warnings", "infos"].iter().filter_map(|kind| json[*kind].as_array()).flatten();
        Ok(Answer { data, notes: notes.filter_map(Value::as_str).map(str::to_owned).collect() })
    }
}

fn results(data: &Value) -> anyhow::Result<&Vec<Value>> {
    data["result"].as_array().context("the answer has no list of results")
}

fn labels(json: &Value) -> Labels {
    let pairs = json.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn either(json: &Value, float: &str, histogram: &str) -> anyhow::Result<Point> {
    match &json[float] {
        Value::Null => point(&json[histogram]),
        value => point(value),
    }
}

fn series(json: &Value) -> anyhow::Result<(Labels, Vec<Point>)> {
    let lists = ["values", "histograms"].iter().filter_map(|kind| json[*kind].as_array()).flatten();
    let mut points = lists.map(point).collect::<anyhow::Result<Vec<_>>>()?;
    points.sort_by_key(|point| point.at);
    Ok((labels(&json["metric"]), points))
}

/// `[seconds, "value"]` or `[seconds, {histogram}]`
fn point(json: &Value) -> anyhow::Result<Point> {
    let seconds = json[0].as_f64().context("a point has no time")?;
    let text = match &json[1] {
        Value::String(text) => text.clone(),
        histogram => format!(
            "count {} sum {}",
            histogram["count"].as_str().context("a point has no value")?,
            histogram["sum"].as_str().unwrap_or("?")
        ),
    };
    Ok(Point { at: Timestamp::from_millis((seconds * 1000.0).round() as i64), text })
}

/// `up{job="node"}`
pub(super) fn name_of(labels: &[(String, String)]) -> String {
    let name = labels.iter().find(|(name, _)| name == "__name__").map_or("", |(_, value)| value);
    let rest: Vec<String> =
        labels.iter().filter(|(name, _)| name != "__name__").map(|(name, value)| format!("{name}={value:?}")).collect();
    match rest.is_empty() && !name.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", rest.join(", ")),
    }
}

/// `2026-11-22 13:00:00`, with milliseconds only where there are some; in UTC.
pub(super) fn time_of(at: Timestamp) -> String {
    rfc3339(at).replace('T', " ").trim_end_matches('Z').to_owned()
}

/// Colours, where there is a terminal to see them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) colours: bool,
}

/// How many series have a colour of their own.
const PALETTE: [u8; 6] = [36, 33, 35, 32, 34, 31];

impl Paint {
    pub(super) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    /// The colour of the series with this number.
    pub(super) fn series(self, number: usize, text: &str) -> String {
        self.code(&PALETTE[number % PALETTE.len()].to_string(), text)
    }

    fn code(self, code: &str, text: &str) -> String {
        match self.colours && !text.is_empty() {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}
