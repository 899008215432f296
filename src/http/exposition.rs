//! Series as the text formats write them: Prometheus' 0.0.4 and OpenMetrics, names escaped as the client asks.
//!
//! A client that does not say it reads any name (`escaping=allow-utf-8` in `Accept`) gets names that every parser
//! knows; old ones would fail at a name in quotes. (Prometheus: `model.EscapeName`.)

use std::borrow::Cow;
use std::fmt::Write;

use axum::http::{HeaderMap, header};

use crate::model::labels::{Quoted, is_plain_label_name, is_plain_metric_name};
use crate::model::{Labels, METRIC_NAME};

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

/// How a client wants series to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) open_metrics: bool,
    pub(super) escaping: Escaping,
}

impl Wanted {
    /// From `Accept`.
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
        let parts: Vec<&str> = accepts.flat_map(|accept| accept.split(',')).map(str::trim).collect();
        let best =
            parts.iter().find(|part| part.contains("application/openmetrics-text") || part.contains("text/plain"));
        let open_metrics = best.is_some_and(|part| part.contains("application/openmetrics-text"));
        let escaping = match best.unwrap_or(&"") {
            part if part.contains("escaping=allow-utf-8") => Escaping::AllowUtf8,
            part if part.contains("escaping=dots") => Escaping::Dots,
            part if part.contains("escaping=values") => Escaping::Values,
            _ => Escaping::Underscores,
        };
        Wanted { open_metrics, escaping }
    }

    /// The answer's `Content-Type`.
    pub(super) fn content_type(self) -> String {
        let kind = match self.open_metrics {
            true => "application/openmetrics-text; version=1.0.0",
            false => "text/plain; version=0.0.4",
        };
        let escaping = match self.escaping {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        };
        format!("{kind}; charset=utf-8; escaping={escaping}")
    }
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
    let name = escaped(labels.metric_name().unwrap_or(""), escaping);
    let mut separator = '{';
    // A name that must be quoted stands inside the braces. (Prometheus' text format since UTF-8 names.)
    match is_plain_metric_name(&name) {
        true => text.push_str(&name),
        false => {
            write!(text, "{{{}", Quoted(&name)).expect("a String takes every write");
            separator = ',';
        }
    }
    for (label, value) in labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
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
    fn the_first_format_that_is_known_counts() {
        let wanted = |accept: &'static str| {
            Wanted::by(&HeaderMap::from_iter([(header::ACCEPT, header::HeaderValue::from_static(accept))]))
        };
        let prometheus_3 =
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.3,*/*;q=0.2";
        assert_eq!(wanted(prometheus_3), Wanted { open_metrics: true, escaping: Escaping::AllowUtf8 });
        assert_eq!(wanted("text/plain;version=0.0.4"), Wanted { open_metrics: false, escaping: Escaping::Underscores });
        assert_eq!(wanted("*/*"), Wanted { open_metrics: false, escaping: Escaping::Underscores });
    }
}
