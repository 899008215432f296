//! Influx' line protocol: `cpu,host=a usage=0.5,idle=12i 1600000000000000000`.
//!
//! A field becomes the metric `measurement_field`, tags become labels, as VictoriaMetrics does it. Texts are no samples
//! and are passed over.

use std::borrow::Cow;

use crate::model::{METRIC_NAME, Timestamp};

use super::{Broken, Collector};

/// What times count in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Nanoseconds.
    #[default]
    Nanos,
    /// Microseconds.
    Micros,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" | "n" | "ns" => Precision::Nanos,
            "u" | "us" | "µ" => Precision::Micros,
            "ms" => Precision::Millis,
            "s" => Precision::Seconds,
            "m" => Precision::Minutes,
            "h" => Precision::Hours,
            _ => return Err(format!("unknown precision {text:?}; ns, us, ms, s, m and h are known")),
        })
    }
}

impl Precision {
    fn time(self, count: i64) -> Timestamp {
        Timestamp::from_millis(match self {
            Precision::Nanos => count.div_euclid(1_000_000),
            Precision::Micros => count.div_euclid(1_000),
            Precision::Millis => count,
            Precision::Seconds => count.saturating_mul(1_000),
            Precision::Minutes => count.saturating_mul(60_000),
            Precision::Hours => count.saturating_mul(3_600_000),
        })
    }
}

pub(super) fn line(
    line: &str,
    precision: Precision,
    database: &str,
    now: Timestamp,
    collector: &mut Collector<'_>,
) -> Result<(), Broken> {
    let line = line.trim();
    if line.starts_with('#') {
        return Ok(());
    }
    let (series, rest) = cut(line, ' ', false).ok_or("fields are missing")?;
    let (fields, at) = match cut(rest.trim_start(), ' ', true) {
        Some((fields, at)) if !at.trim().is_empty() => {
            let count = at.trim().parse().map_err(|_| format!("{:?} is no time", at.trim()))?;
            (fields, precision.time(count))
        }
        Some((fields, _)) => (fields, now),
        None => (rest.trim_start(), now),
    };
    let mut tags = pieces(series, false);
    let measurement = plain(tags.next().unwrap_or(""));
    let mut labels = Vec::new();
    for tag in tags {
        let (name, value) = cut(tag, '=', false).ok_or_else(|| format!("tag {tag:?} has no value"))?;
        labels.push((plain(name), plain(value)));
    }
    if !database.is_empty() && labels.iter().all(|(name, _)| name != "db") {
        labels.push((Cow::Borrowed("db"), Cow::Borrowed(database)));
    }
    let mut broken = None;
    for field in pieces(fields, true) {
        let Some((name, value)) = cut(field, '=', false) else {
            broken = Some(format!("field {field:?} has no value"));
            continue;
        };
        let name = plain(name);
        let metric = if measurement.is_empty() { name.into_owned() } else { format!("{measurement}_{name}") };
        match number(value) {
            Value::Number(value) => {
                let pairs = labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
                collector.float(std::iter::once((METRIC_NAME, metric.as_str())).chain(pairs), at, value)?;
            }
            Value::Text => {}
            Value::Neither => broken = Some(format!("{value:?} is no value of {metric}")),
        }
    }
    broken.map_or(Ok(()), |why| Err(why.into()))
}

enum Value {
    Number(f64),
    Text,
    Neither,
}

fn number(text: &str) -> Value {
    if text.starts_with('"') {
        return if text.len() > 1 && text.ends_with('"') { Value::Text } else { Value::Neither };
    }
    match text {
        "t" | "T" | "true" | "True" | "TRUE" => return Value::Number(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => return Value::Number(0.0),
        _ => {}
    }
    let integer = text.strip_suffix('i').and_then(|text| text.parse::<i64>().ok()).map(|number| number as f64);
    let integer = integer.or_else(|| text.strip_suffix('u')?.parse::<u64>().ok().map(|number| number as f64));
    integer.or_else(|| text.parse().ok()).map_or(Value::Neither, Value::Number)
}

/// Cuts at the first `at` that is not escaped and, with `quotes`, not inside them.
fn cut(text: &str, at: char, quotes: bool) -> Option<(&str, &str)> {
    let (mut escaped, mut inside) = (false, false);
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if quotes => inside = !inside,
            letter if letter == at && !inside => return Some((&text[..index], &text[index + at.len_utf8()..])),
            _ => {}
        }
    }
    None
}

/// What stands between commas.
fn pieces(text: &str, quotes: bool) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (piece, tail) = cut(text, ',', quotes).map_or((text, None), |(piece, tail)| (piece, Some(tail)));
        rest = tail;
        Some(piece)
    })
}

/// A name without its escapes: a backslash counts only before what must be escaped.
fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut letters) = (String::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(next @ (',' | '=' | ' ' | '"' | '\\'))) => {
                plain.push(*next);
                letters.next();
            }
            _ => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}
