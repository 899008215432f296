//! Series in the notation of test scripts and rule tests: `up{job="node"} 0+1x5 _ stale {{count:1 sum:2}}x3`.
//!
//! Values are given step by step: `_` leaves one out, `_x3` three; `1+2x3` is `1 3 5 7`, `1x3` is `1 1 1 1`; `stale` is
//! the stale marker; histograms stand in double braces and may be repeated, added and subtracted like numbers.

use std::sync::Arc;

use crate::model::{Histogram, Labels, LabelsBuilder, METRIC_NAME};

use super::histogram;

/// More values than this in one line are refused.
pub const VALUES_MAX: usize = 1_000_000;

/// What a series has at one step.
#[derive(Clone, Debug, PartialEq)]
pub enum SeriesValue {
    /// Nothing.
    Omitted,
    /// The stale marker.
    Stale,
    /// A float.
    Float(f64),
    /// A histogram, and whether its counter reset hint was written out.
    Histogram(Arc<Histogram>, bool),
}

/// Why a line is no series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad series at {rest:?}: {expected}")]
pub struct SeriesTextError {
    /// What could not be read, from there to the end of the line.
    pub rest: String,
    /// What was expected there.
    pub expected: &'static str,
}

fn wrong<T>(rest: &str, expected: &'static str) -> Result<T, SeriesTextError> {
    Err(SeriesTextError { rest: rest.to_owned(), expected })
}

/// Reads labels and the values behind them.
///
/// # Errors
/// Where the line follows no such notation.
pub fn parse_series(line: &str) -> Result<(Labels, Vec<SeriesValue>), SeriesTextError> {
    let (labels, rest) = parse_labels(line.trim_start())?;
    match rest.chars().next() {
        None | Some(' ' | '\t') => Ok((labels, parse_values(rest)?)),
        Some(_) => wrong(rest, "a space behind the labels"),
    }
}

/// Reads `name{label="value"}` at the beginning of `text`; gives what stands behind it.
///
/// # Errors
/// Where no labels stand there.
pub fn parse_labels(text: &str) -> Result<(Labels, &str), SeriesTextError> {
    let mut builder = LabelsBuilder::default();
    let (name, mut rest) = identifier(text);
    if name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return wrong(text, "a metric name");
    }
    if !name.is_empty() {
        builder.push(METRIC_NAME, name);
    }
    if rest.starts_with('{') && !rest.starts_with("{{") {
        rest = &rest[1..];
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            if let Some(behind) = rest.strip_prefix('}') {
                rest = behind;
                break;
            }
            let (label, behind) = match rest.starts_with(['"', '\'', '`']) {
                true => quoted(rest)?,
                false => {
                    let (label, behind) = identifier(rest);
                    (label.to_owned(), behind)
                }
            };
            if label.is_empty() {
                return wrong(rest, "a label name");
            }
            rest = behind.trim_start();
            let Some(behind) = rest.strip_prefix('=') else {
                builder.push(METRIC_NAME, label);
                continue;
            };
            let (value, behind) = quoted(behind.trim_start())?;
            builder.push(label, value);
            rest = behind;
        }
    }
    match builder.build() {
        Ok(labels) => Ok((labels, rest)),
        Err(_) => wrong(text, "each label once"),
    }
}

fn identifier(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == ':'));
    text.split_at(end.unwrap_or(text.len()))
}

/// Reads a string literal with Go's escapes.
///
/// # Errors
/// Where none stands there or it does not end.
pub fn quoted(text: &str) -> Result<(String, &str), SeriesTextError> {
    let mut letters = text.char_indices();
    let quote = match letters.next() {
        Some((_, quote @ ('"' | '\'' | '`'))) => quote,
        _ => return wrong(text, "a quoted text"),
    };
    let mut bytes = Vec::new();
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            let read = String::from_utf8_lossy(&bytes).into_owned();
            return Ok((read, &text[at + letter.len_utf8()..]));
        }
        if letter != '\\' || quote == '`' {
            bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let escape = letters.next().map(|(_, escape)| escape);
        let mut digits = |count: usize, radix: u32, lead: &str| {
            let digits = letters.by_ref().take(count).map(|(_, digit)| digit).collect::<String>();
            u32::from_str_radix(&format!("{lead}{digits}"), radix).ok()
        };
        match escape {
            Some('a') => bytes.push(7),
            Some('b') => bytes.push(8),
            Some('f') => bytes.push(12),
            Some('n') => bytes.push(b'\n'),
            Some('r') => bytes.push(b'\r'),
            Some('t') => bytes.push(b'\t'),
            Some('v') => bytes.push(11),
            Some('x') => bytes.extend(digits(2, 16, "").map(|byte| byte as u8)),
            Some('u') => push_char(&mut bytes, digits(4, 16, "")),
            Some('U') => push_char(&mut bytes, digits(8, 16, "")),
            Some(octal @ '0'..='7') => bytes.extend(digits(2, 8, &octal.to_string()).map(|byte| byte as u8)),
            Some(plain) => push_char(&mut bytes, Some(u32::from(plain))),
            None => break,
        }
    }
    wrong(text, "a closing quote")
}

fn push_char(bytes: &mut Vec<u8>, code: Option<u32>) {
    let letter = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
}

/// Reads values separated by spaces.
///
/// # Errors
/// Where something else stands there, histograms cannot be added, or there are more than [`VALUES_MAX`].
pub fn parse_values(text: &str) -> Result<Vec<SeriesValue>, SeriesTextError> {
    let mut values = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        rest = match rest.starts_with("{{") {
            true => histogram_item(rest, &mut values)?,
            false => plain_item(rest, &mut values)?,
        }
        .trim_start();
        if values.len() > VALUES_MAX {
            return wrong(rest, "fewer values");
        }
    }
    Ok(values)
}

fn times(text: &str, rest: &str) -> Result<usize, SeriesTextError> {
    match text.parse::<usize>() {
        Ok(times) if times < VALUES_MAX => Ok(times),
        _ => wrong(rest, "how many times"),
    }
}

fn plain_item<'a>(text: &'a str, values: &mut Vec<SeriesValue>) -> Result<&'a str, SeriesTextError> {
    let (item, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    if let Some(count) = item.strip_prefix('_') {
        let count = if count.is_empty() { 1 } else { times(count.strip_prefix('x').unwrap_or(""), text)? };
        values.extend(std::iter::repeat_n(SeriesValue::Omitted, count));
        return Ok(rest);
    }
    // `0x10` is ten zeros here, as in Prometheus.
    let (numbers, count) = match item.rsplit_once('x') {
        Some((numbers, count)) => (numbers, Some(times(count, text)?)),
        None => (item, None),
    };
    let repeat = count.map_or(1, |count| count + 1);
    if numbers == "stale" {
        values.extend(std::iter::repeat_n(SeriesValue::Stale, repeat));
        return Ok(rest);
    }
    let (first, step) = numbers.split_at(number_end(numbers));
    let Some(mut value) = parse_number(first) else { return wrong(text, "a number") };
    let step = match step {
        "" => None,
        _ if count.is_none() => return wrong(text, "how many times"),
        step => match parse_number(step) {
            Some(step) => Some(step),
            None => return wrong(text, "a number"),
        },
    };
    for _ in 0..repeat {
        values.push(SeriesValue::Float(value));
        value += step.unwrap_or(0.0);
    }
    Ok(rest)
}

/// Where the first signed number of `1e-3+2` ends.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_sign = |at: usize| matches!(bytes[at], b'+' | b'-');
    let in_exponent = |at: usize| matches!(bytes[at - 1], b'e' | b'E') && !text.starts_with("0x");
    (1..bytes.len()).find(|at| is_sign(*at) && !in_exponent(*at)).unwrap_or(bytes.len())
}

/// A number as scripts write it: decimal with optional `_` between digits, `Inf`, `NaN`, hexadecimal.
pub fn parse_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1.0, digits),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if let Some(hexadecimal) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        return u64::from_str_radix(&hexadecimal.replace('_', ""), 16).ok().map(|number| sign * number as f64);
    }
    let known = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || ["inf", "nan"].contains(&digits.to_ascii_lowercase().as_str());
    known.then(|| digits.replace('_', "").parse::<f64>().ok()).flatten().map(|number| sign * number)
}

fn histogram_item<'a>(text: &'a str, values: &mut Vec<SeriesValue>) -> Result<&'a str, SeriesTextError> {
    let (first, hint_given, rest) = one_histogram(text)?;
    let (sign, step, rest) = match rest.as_bytes() {
        [b'+' | b'-', b'{', b'{', ..] => {
            let (step, step_hint_given, behind) = one_histogram(&rest[1..])?;
            let sign = if rest.starts_with('-') { -1.0 } else { 1.0 };
            (sign, Some((step, step_hint_given)), behind)
        }
        _ => (1.0, None, rest),
    };
    let (item_end, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let repeat = match item_end.strip_prefix('x') {
        Some(count) => times(count, text)? + 1,
        None if item_end.is_empty() && step.is_none() => 1,
        None => return wrong(text, "how many times"),
    };
    let hint_given = step.as_ref().map_or(hint_given, |(_, given)| *given);
    let mut current = first;
    for _ in 0..repeat {
        values.push(SeriesValue::Histogram(Arc::new(current.clone()), hint_given));
        let Some((step, _)) = &step else { continue };
        let merged = match sign < 0.0 {
            true => histogram::sub(&mut current, step),
            false => histogram::add(&mut current, step),
        };
        if merged.is_err() {
            return wrong(text, "histograms that can be added");
        }
    }
    Ok(rest)
}

fn one_histogram(text: &str) -> Result<(Histogram, bool, &str), SeriesTextError> {
    let Some((inner, rest)) = text.strip_prefix("{{").and_then(|inner| inner.split_once("}}")) else {
        return wrong(text, "a histogram in double braces");
    };
    match histogram::notation::parse(inner) {
        Ok((histogram, hint_given)) => Ok((histogram, hint_given, rest)),
        Err(_) => wrong(text, "a histogram"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_step_by_step() {
        #[track_caller]
        fn check(text: &str, expected: &[Option<f64>]) {
            let values = parse_values(text).expect(text);
            let found = values
                .iter()
                .map(|value| match value {
                    SeriesValue::Float(value) => Some(*value),
                    SeriesValue::Omitted => None,
                    other => panic!("{other:?} is no float"),
                })
                .collect::<Vec<_>>();
            assert_eq!(found, expected);
        }
        check("", &[]);
        check("1 -2.5 1e-3", &[Some(1.0), Some(-2.5), Some(1e-3)]);
        check("0+10x2 _x2 _", &[Some(0.0), Some(10.0), Some(20.0), None, None, None]);
        check("1e-3-1x1", &[Some(1e-3), Some(-0.999)]);
        check("0x2\tInf", &[Some(0.0), Some(0.0), Some(0.0), Some(f64::INFINITY)]);
        for wrong in ["1+1", "x3", "1x", "one", "{{count:1}", "{{count:1}}+{{count:1}}", "infinity"] {
            assert!(parse_values(wrong).is_err(), "{wrong:?} is no list of values");
        }
    }

    #[test]
    fn labels_are_read_with_quotes_and_without() {
        #[track_caller]
        fn check(text: &str, expected: &[(&str, &str)]) {
            let (labels, values) = parse_series(text).expect(text);
            assert_eq!(labels, Labels::from_pairs(expected.iter().copied()));
            assert_eq!(values.len(), 1);
        }
        check("up 1", &[("__name__", "up")]);
        check("{} 1", &[]);
        check(r#"up{job="a", "b c"='d\n\x41',} 1"#, &[("__name__", "up"), ("job", "a"), ("b c", "d\nA")]);
        check(r#"{"a.b", x=`\`} {{count:1}}"#, &[("__name__", "a.b"), ("x", "\\")]);
        for wrong in ["up{", "1up{a=\"b\"} 1", "up{a}1", "up{=\"b\"} 1", "up{a=\"b} 1", "up{a=\"b\",a=\"c\"} 1"] {
            assert!(parse_series(wrong).is_err(), "{wrong:?} is no series");
        }
    }

    #[test]
    fn histograms_are_added_step_by_step() {
        let values = parse_values("{{count:1 buckets:[1]}}+{{count:2 sum:1 buckets:[1 1]}}x2").expect("valid");
        let counts = values.iter().map(|value| match value {
            SeriesValue::Histogram(histogram, hint_given) => (histogram.count, *hint_given),
            other => panic!("{other:?} is no histogram"),
        });
        assert_eq!(counts.collect::<Vec<_>>(), [(1.0, false), (3.0, false), (5.0, false)]);
    }
}
