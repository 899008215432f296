//! The `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}` notation of test scripts and rule tests.

use crate::model::histogram::BucketSpan;
use crate::model::{Histogram, ResetHint};

use super::HistogramError;

/// More buckets than this in one list are refused.
const BUCKETS_MAX: usize = 10_000;

/// Reads a histogram in the notation of Prometheus' test scripts; `text` is what stands between `{{` and `}}`. Also
/// says whether a counter reset hint was given. Keys: `schema sum count z_bucket z_bucket_w custom_values buckets offset
/// n_buckets n_offset counter_reset_hint`, each at most once, in any order.
///
/// # Errors
/// Where a key is unknown or stands twice, or a value cannot be read.
pub fn parse(text: &str) -> Result<(Histogram, bool), HistogramError> {
    let mut histogram = Histogram::default();
    let (mut offset, mut negative_offset) = (0, 0);
    let mut seen = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, tail) = rest.split_once(':').ok_or(HistogramError::Notation("a key without a value"))?;
        let (value, tail) = match tail.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or(HistogramError::Notation("a list without an end"))?,
            None => tail.split_once(char::is_whitespace).unwrap_or((tail, "")),
        };
        if seen.contains(&key) {
            return Err(HistogramError::Notation("a key stands twice"));
        }
        seen.push(key);
        match key {
            "schema" => histogram.schema = whole(value)?,
            "sum" => histogram.sum = number(value)?,
            "count" => histogram.count = number(value)?,
            "z_bucket" => histogram.zero_count = number(value)?,
            "z_bucket_w" => histogram.zero_threshold = number(value)?,
            "custom_values" => histogram.custom_values = numbers(value)?,
            "buckets" => histogram.positive_buckets = numbers(value)?,
            "n_buckets" => histogram.negative_buckets = numbers(value)?,
            "offset" => offset = whole(value)?,
            "n_offset" => negative_offset = whole(value)?,
            "counter_reset_hint" => histogram.reset_hint = hint(value)?,
            _ => return Err(HistogramError::Notation("unknown key")),
        }
        rest = tail.trim_start();
    }
    histogram.positive_spans = spans(offset, histogram.positive_buckets.len());
    histogram.negative_spans = spans(negative_offset, histogram.negative_buckets.len());
    Ok((histogram, seen.contains(&"counter_reset_hint")))
}

/// Prints a histogram in the notation that [`parse`] reads, without the braces and without its hint; gaps between
/// spans are filled with zeros.
pub fn print(histogram: &Histogram) -> String {
    use super::buckets::Cells;
    let mut out = format!("schema:{} count:{} sum:{}", histogram.schema, histogram.count, histogram.sum);
    if histogram.zero_count != 0.0 {
        out += &format!(" z_bucket:{}", histogram.zero_count);
    }
    if histogram.zero_threshold != 0.0 {
        out += &format!(" z_bucket_w:{:e}", histogram.zero_threshold);
    }
    let list = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    if !histogram.custom_values.is_empty() {
        out += &format!(" custom_values:[{}]", list(&mut histogram.custom_values.iter().copied()));
    }
    let sides = [
        ("", Cells::new(&histogram.positive_spans, &histogram.positive_buckets)),
        ("n_", Cells::new(&histogram.negative_spans, &histogram.negative_buckets)),
    ];
    for (prefix, cells) in sides {
        let Some((first, _)) = cells.clone().next() else { continue };
        let mut dense: Vec<f64> = Vec::new();
        for (index, count) in cells {
            dense.resize((index - first) as usize, 0.0);
            dense.push(count);
        }
        if first != 0 {
            out += &format!(" {prefix}offset:{first}");
        }
        out += &format!(" {prefix}buckets:[{}]", list(&mut dense.into_iter()));
    }
    out
}

fn spans(offset: i32, buckets: usize) -> Vec<BucketSpan> {
    match u32::try_from(buckets) {
        Ok(0) | Err(_) => Vec::new(),
        Ok(length) => vec![BucketSpan { offset, length }],
    }
}

fn whole(text: &str) -> Result<i32, HistogramError> {
    text.parse().map_err(|_| HistogramError::Notation("not a whole number"))
}

fn number(text: &str) -> Result<f64, HistogramError> {
    // Rust reads what Go reads here, and more (`infinity`), which does no harm.
    text.parse().map_err(|_| HistogramError::Notation("not a number"))
}

fn numbers(text: &str) -> Result<Vec<f64>, HistogramError> {
    let numbers = text.split_whitespace().take(BUCKETS_MAX + 1).map(number).collect::<Result<Vec<_>, _>>()?;
    match numbers.len() {
        ..=BUCKETS_MAX => Ok(numbers),
        _ => Err(HistogramError::Notation("too many buckets")),
    }
}

fn hint(text: &str) -> Result<ResetHint, HistogramError> {
    match text {
        "unknown" => Ok(ResetHint::Unknown),
        "reset" => Ok(ResetHint::Yes),
        "not_reset" => Ok(ResetHint::No),
        "gauge" => Ok(ResetHint::Gauge),
        _ => Err(HistogramError::Notation("unknown counter reset hint")),
    }
}
