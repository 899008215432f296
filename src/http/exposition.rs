//! Series as expositions write them: Prometheus' text 0.0.4, OpenMetrics and protobuf, names escaped as the client asks.
//!
//! Only protobuf has a form for native histograms. In text, one with custom bounds is the classic histogram that it was made
//! of, and an exponential one shows its sum, its count, and the bucket of all observations. (Prometheus: the same.)
//!
//! A client that does not say it reads any name (`escaping=allow-utf-8` in `Accept`) gets names that every parser
//! knows; old ones would fail at a name in quotes. (Prometheus: `model.EscapeName`.)

use std::borrow::Cow;
use std::fmt::Write;

use axum::http::{HeaderMap, header};

use crate::model::labels::{Quoted, is_plain_label_name, is_plain_metric_name};
use crate::model::{Histogram, Labels, METRIC_NAME, ResetHint, number};
use crate::promql::histogram::ascending;

/// What is written for letters that old names do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// Nothing: the name stands in quotes.
    AllowUtf8,
    /// An underscore for each.
    Underscores,
    /// `_dot_` for dots, two underscores for everything else.
    Dots,
    /// The letter's number: `U__a_2e_b`.
    Values,
}

/// What an exposition is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Text 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Families of protobuf, each with its length in front.
    Protobuf,
}

/// How a client wants series to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) form: Form,
    pub(super) escaping: Escaping,
}

impl Wanted {
    /// From `Accept`: what is wanted most of what is known; of equals, the first.
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
        let known = accepts.flat_map(|accept| accept.split(',')).filter_map(|part| Some((form(part)?, part)));
        let best = known.reduce(|best, next| if weight(next.1) > weight(best.1) { next } else { best });
        let (form, part) = best.unwrap_or((Form::Text, ""));
        let escaping = match part {
            part if part.contains("escaping=allow-utf-8") => Escaping::AllowUtf8,
            part if part.contains("escaping=dots") => Escaping::Dots,
            part if part.contains("escaping=values") => Escaping::Values,
            _ => Escaping::Underscores,
        };
        Wanted { form, escaping }
    }

    /// The answer's `Content-Type`.
    pub(super) fn content_type(self) -> String {
        let kind = match self.form {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Form::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        };
        let escaping = match self.escaping {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        };
        format!("{kind}; escaping={escaping}")
    }
}

/// What a part of `Accept` asks for, if we speak it.
fn form(part: &str) -> Option<Form> {
    match part.split(';').next().unwrap_or("").trim() {
        "text/plain" => Some(Form::Text),
        "application/openmetrics-text" => Some(Form::OpenMetrics),
        "application/vnd.google.protobuf" => {
            let is_ours = part.contains("proto=io.prometheus.client.MetricFamily") && part.contains("delimited");
            is_ours.then_some(Form::Protobuf)
        }
        _ => None,
    }
}

/// How much a part of `Accept` is wanted.
fn weight(part: &str) -> f32 {
    let weight = part.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
}

/// A name as the client reads it; one that stays as it is may need quotes.
pub(super) fn escaped(name: &str, escaping: Escaping) -> Cow<'_, str> {
    let is_plain = |index: usize, letter: char| {
        letter.is_ascii_alphabetic() || matches!(letter, '_' | ':') || (index > 0 && letter.is_ascii_digit())
    };
    match escaping {
        Escaping::AllowUtf8 => return name.into(),
        Escaping::Underscores | Escaping::Values if is_plain_metric_name(name) || name.is_empty() => {
            return name.into();
        }
        _ => {}
    }
    let mut text = String::new();
    if escaping == Escaping::Values {
        text.push_str("U__");
    }
    for (index, letter) in name.chars().enumerate() {
        match (escaping, letter) {
            (Escaping::Underscores, letter) => text.push(if is_plain(index, letter) { letter } else { '_' }),
            (_, '_') => text.push_str("__"),
            (Escaping::Dots, '.') => text.push_str("_dot_"),
            (_, letter) if is_plain(index, letter) => text.push(letter),
            (Escaping::Dots, _) => text.push_str("__"),
            (_, letter) => write!(text, "_{:x}_", u32::from(letter)).expect("a String takes every write"),
        }
    }
    text.into()
}

/// A metric's name as a `TYPE` line has it.
pub(super) fn write_name(text: &mut String, name: &str, escaping: Escaping) {
    let name = escaped(name, escaping);
    match is_plain_metric_name(&name) {
        true => text.push_str(&name),
        false => write!(text, "{}", Quoted(&name)).expect("a String takes every write"),
    }
}

/// Name and labels of a series.
pub(super) fn write_series(text: &mut String, labels: &Labels, escaping: Escaping) {
    write_named(text, labels, "", None, escaping);
}

/// Name and labels of one of the series that a series stands for in text: `suffix` is added to its name, `more` to its
/// labels.
fn write_named(text: &mut String, labels: &Labels, suffix: &str, more: Option<(&str, &str)>, escaping: Escaping) {
    let name = [labels.metric_name().unwrap_or(""), suffix].concat();
    let name = escaped(&name, escaping);
    let mut separator = '{';
    // A name that must be quoted stands inside the braces. (Prometheus' text format since UTF-8 names.)
    match is_plain_metric_name(&name) {
        true => text.push_str(&name),
        false => {
            write!(text, "{{{}", Quoted(&name)).expect("a String takes every write");
            separator = ',';
        }
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME).chain(more) {
        text.push(separator);
        separator = ',';
        let label = escaped(label, escaping);
        match is_plain_label_name(&label) {
            true => text.push_str(&label),
            false => write!(text, "{}", Quoted(&label)).expect("a String takes every write"),
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

/// A native histogram at `time` as far as text has a form for it.
pub(super) fn write_histogram(text: &mut String, labels: &Labels, histogram: &Histogram, time: &str, wanted: Wanted) {
    let is_gauge = wanted.form == Form::OpenMetrics && histogram.reset_hint == ResetHint::Gauge;
    let (sum, count) = if is_gauge { ("_gsum", "_gcount") } else { ("_sum", "_count") };
    let mut line = |suffix: &str, more: Option<(&str, &str)>, value: f64| {
        write_named(text, labels, suffix, more, wanted.escaping);
        text.push(' ');
        number::write_float(text, value);
        text.push(' ');
        text.push_str(time);
        text.push('\n');
    };
    for (bound, below) in classic_buckets(histogram) {
        line("_bucket", Some(("le", &le(bound, wanted.form))), below);
    }
    line("_bucket", Some(("le", "+Inf")), histogram.count);
    line(sum, None, histogram.sum);
    line(count, None, histogram.count);
}

/// A bound as a label: OpenMetrics demands a fraction.
fn le(bound: f64, form: Form) -> String {
    let text = number::format_float(bound);
    match form == Form::OpenMetrics && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        true => text + ".0",
        false => text,
    }
}

/// The classic histogram behind custom bounds: each bound with what lies at or below it, without the last, `+Inf`. Nothing
/// for other histograms.
pub(super) fn classic_buckets(histogram: &Histogram) -> impl Iterator<Item = (f64, f64)> {
    let bounds = if histogram.has_custom_buckets() { histogram.custom_values.as_slice() } else { &[] };
    let (mut buckets, mut below) = (ascending(histogram).peekable(), 0.0);
    bounds.iter().map(move |bound| {
        while let Some(bucket) = buckets.next_if(|bucket| bucket.upper <= *bound) {
            below += bucket.count;
        }
        (*bound, below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_the_client_reads_them() {
        #[track_caller]
        fn check(name: &str, underscores: &str, dots: &str, values: &str) {
            assert_eq!(escaped(name, Escaping::Underscores), underscores);
            assert_eq!(escaped(name, Escaping::Dots), dots);
            assert_eq!(escaped(name, Escaping::Values), values);
            assert_eq!(escaped(name, Escaping::AllowUtf8), name);
        }
        check("http_total", "http_total", "http__total", "http_total");
        check("http.status:sum", "http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum");
        check("a_b.c", "a_b_c", "a__b_dot_c", "U__a__b_2e_c");
        check("日 1", "__1", "____1", "U___65e5__20_1");
    }

    #[test]
    fn what_is_wanted_most_of_what_is_known_counts() {
        let wanted = |accept: &'static str| {
            Wanted::by(&HeaderMap::from_iter([(header::ACCEPT, header::HeaderValue::from_static(accept))]))
        };
        let prometheus_3 =
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.3,*/*;q=0.2";
        assert_eq!(wanted(prometheus_3), Wanted { form: Form::OpenMetrics, escaping: Escaping::AllowUtf8 });
        let with_histograms = "text/plain;version=0.0.4;q=0.3,application/vnd.google.protobuf;\
            proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping=allow-utf-8;q=0.7";
        assert_eq!(wanted(with_histograms), Wanted { form: Form::Protobuf, escaping: Escaping::AllowUtf8 });
        let other_protobuf = "application/vnd.google.protobuf;proto=x;encoding=text,text/plain";
        assert_eq!(wanted(other_protobuf), Wanted { form: Form::Text, escaping: Escaping::Underscores });
        assert_eq!(wanted("text/plain;version=0.0.4"), Wanted { form: Form::Text, escaping: Escaping::Underscores });
        assert_eq!(wanted("*/*"), Wanted { form: Form::Text, escaping: Escaping::Underscores });
    }
}
