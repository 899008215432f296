//! Comma-separated columns, with VictoriaMetrics' `format`: `1:label:host,2:metric:cpu,3:time:unix_s`.

use std::borrow::Cow;

use crate::model::{METRIC_NAME, Timestamp};

use super::{Broken, Collector};

/// What the columns mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvFormat {
    /// Column, counted from 0, and what it holds.
    columns: Vec<(usize, Column)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Label(String),
    Metric(String),
    Time(TimeForm),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TimeForm {
    Seconds,
    Millis,
    Nanos,
    Rfc3339,
    /// A layout in the letters of strftime.
    Custom(String),
}

/// Why a `format` cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CsvFormatError {
    /// An entry that is not `column:kind:name`.
    #[error("{0:?} is not column:label:name, column:metric:name or column:time:form")]
    Entry(String),
    /// Nothing to store.
    #[error("a column with a metric is needed, such as 2:metric:cpu")]
    NoMetric,
    /// A time that is written otherwise.
    #[error("unknown time form {0:?}; unix_s, unix_ms, unix_ns, rfc3339 and custom:%Y-%m-%d are known")]
    TimeForm(String),
}

/// Columns of one line.
const COLUMNS_MAX: usize = 1000;

impl std::str::FromStr for CsvFormat {
    type Err = CsvFormatError;

    fn from_str(text: &str) -> Result<Self, CsvFormatError> {
        let mut columns = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let broken = || CsvFormatError::Entry(entry.to_owned());
            let mut parts = entry.splitn(3, ':');
            let (Some(number), Some(kind), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(broken());
            };
            let number: usize = number.parse().map_err(|_| broken())?;
            let index = number.checked_sub(1).filter(|index| *index < COLUMNS_MAX).ok_or_else(broken)?;
            columns.push((
                index,
                match kind {
                    "label" if !name.is_empty() => Column::Label(name.to_owned()),
                    "metric" if !name.is_empty() => Column::Metric(name.to_owned()),
                    "time" => Column::Time(match name {
                        "unix_s" => TimeForm::Seconds,
                        "unix_ms" => TimeForm::Millis,
                        "unix_ns" => TimeForm::Nanos,
                        "rfc3339" => TimeForm::Rfc3339,
                        _ => match name.strip_prefix("custom:").filter(|layout| layout.contains('%')) {
                            Some(layout) => TimeForm::Custom(layout.to_owned()),
                            None => return Err(CsvFormatError::TimeForm(name.to_owned())),
                        },
                    }),
                    _ => return Err(broken()),
                },
            ));
        }
        match columns.iter().any(|(_, column)| matches!(column, Column::Metric(_))) {
            true => Ok(CsvFormat { columns }),
            false => Err(CsvFormatError::NoMetric),
        }
    }
}

pub(super) fn line(
    line: &str,
    format: &CsvFormat,
    now: Timestamp,
    collector: &mut Collector<'_>,
) -> Result<(), Broken> {
    let fields = split(line)?;
    let field =
        |index: usize| fields.get(index).map(AsRef::as_ref).ok_or_else(|| format!("there is no column {}", index + 1));
    let (mut labels, mut at, mut metrics) = (Vec::new(), now, Vec::new());
    for (index, column) in &format.columns {
        let text = field(*index)?;
        match column {
            Column::Label(name) if !text.is_empty() => labels.push((name.as_str(), text)),
            Column::Label(_) => {}
            Column::Metric(name) => metrics.push((name.as_str(), text)),
            Column::Time(form) => at = time(text, form).ok_or_else(|| format!("{text:?} is no time"))?,
        }
    }
    let mut broken = None;
    for (name, text) in metrics {
        // A cell that is empty holds nothing.
        if text.is_empty() {
            continue;
        }
        match text.parse::<f64>() {
            Ok(value) => {
                collector.float(std::iter::once((METRIC_NAME, name)).chain(labels.iter().copied()), at, value)?;
            }
            Err(_) => broken = Some(format!("{text:?} is no value of {name}")),
        }
    }
    broken.map_or(Ok(()), |why| Err(why.into()))
}

fn time(text: &str, form: &TimeForm) -> Option<Timestamp> {
    Some(Timestamp::from_millis(match form {
        TimeForm::Seconds => (text.parse::<f64>().ok().filter(|seconds| seconds.is_finite())? * 1000.0) as i64,
        TimeForm::Millis => text.parse().ok()?,
        TimeForm::Nanos => text.parse::<i64>().ok()?.div_euclid(1_000_000),
        TimeForm::Rfc3339 => text.parse::<jiff::Timestamp>().ok()?.as_millisecond(),
        TimeForm::Custom(layout) => {
            let parsed = jiff::fmt::strtime::parse(layout, text).ok()?;
            match parsed.to_timestamp() {
                Ok(at) => at.as_millisecond(),
                Err(_) => {
                    // Without an offset it is UTC; without a time of day, its midnight.
                    let date = parsed.to_datetime().ok().or_else(|| Some(parsed.to_date().ok()?.at(0, 0, 0, 0)))?;
                    date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()
                }
            }
        }
    }))
}

/// The cells of a line; one in double quotes may hold commas, and quotes twice.
fn split(line: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let (mut fields, mut rest) = (Vec::new(), line);
    loop {
        if fields.len() == COLUMNS_MAX {
            return Err(format!("more than {COLUMNS_MAX} columns"));
        }
        let Some(inside) = rest.strip_prefix('"') else {
            let (field, tail) = rest.split_once(',').map_or((rest, None), |(field, tail)| (field, Some(tail)));
            fields.push(Cow::Borrowed(field.trim()));
            match tail {
                Some(tail) => rest = tail,
                None => return Ok(fields),
            }
            continue;
        };
        let (mut plain, mut from) = (String::new(), inside);
        let tail = loop {
            let (text, tail) = from.split_once('"').ok_or("a quote does not end")?;
            plain.push_str(text);
            match tail.strip_prefix('"') {
                Some(more) => {
                    plain.push('"');
                    from = more;
                }
                None => break tail,
            }
        };
        fields.push(Cow::Owned(plain));
        match tail.trim_start().strip_prefix(',') {
            Some(tail) => rest = tail,
            None if tail.trim().is_empty() => return Ok(fields),
            None => return Err("a comma is expected behind a quote".to_owned()),
        }
    }
}
