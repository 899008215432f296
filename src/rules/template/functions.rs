//! What a template can call: Go's built-ins, Prometheus' functions, vmalert's functions.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;

use crate::model::Span;

use super::format::{printf, shown};
use super::humanize;
use super::value::{TemplateSample, Value};
use super::{Data, Query};

/// What functions may look at beside their arguments.
pub(super) struct Context<'a> {
    pub(super) data: &'a Data,
    pub(super) query: &'a dyn Query,
}

const NAMES: &[&str] = &[
    // Go
    "and",
    "or",
    "not",
    "len",
    "index",
    "slice",
    "print",
    "printf",
    "println",
    "html",
    "js",
    "urlquery",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge", // Prometheus
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "args",
    "tmpl",
    "reReplaceAll",
    "safeHtml",
    "match",
    "title",
    "toUpper",
    "toLower",
    "graphLink",
    "tableLink",
    "sortByLabel",
    "stripPort",
    "stripDomain",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "now",
    "pathPrefix",
    "externalURL",
    "parseDuration",
    "urlQueryEscape", // vmalert
    "crlfEscape",
    "quotesEscape",
    "jsonEscape",
    "htmlEscape",
    "pathEscape",
    "queryEscape",
    "formatTime",
    "parseDurationTime",
];

/// Whether a function of this name can be called.
pub(super) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

type Outcome = Result<Value, String>;

/// Calls a function; the last argument may have come through a pipe.
pub(super) fn call(name: &str, arguments: Vec<Value>, context: &Context<'_>) -> Outcome {
    let arguments = Arguments(arguments);
    let text = |text: String| Ok(Value::String(text));
    match name {
        "not" => Ok(Value::Bool(!arguments.exactly(1)?[0].is_true())),
        "len" => length(&arguments.exactly(1)?[0]),
        "index" => index(&arguments.0),
        "slice" => slice(&arguments.0),
        "print" => text(print(&arguments.0)),
        "println" => text(arguments.0.iter().map(shown).collect::<Vec<_>>().join(" ") + "\n"),
        "printf" => {
            let (pattern, rest) =
                arguments.0.split_first().ok_or("wrong number of args for printf: want at least 1 got 0")?;
            text(printf(as_text(pattern)?, rest))
        }
        "html" | "htmlEscape" => text(html(&print(&arguments.0))),
        "js" => text(js(&print(&arguments.0))),
        "urlquery" | "urlQueryEscape" | "queryEscape" => text(query_escape(&print(&arguments.0))),
        "eq" => {
            let (first, rest) = arguments.0.split_first().ok_or("missing argument for comparison")?;
            if rest.is_empty() {
                return Err("missing argument for comparison".into());
            }
            let mut equal = false;
            for other in rest {
                equal |= same(first, other)?;
            }
            Ok(Value::Bool(equal))
        }
        "ne" => arguments.exactly(2).and_then(|pair| Ok(Value::Bool(!same(&pair[0], &pair[1])?))),
        "lt" => compare(&arguments, |order| order == Some(Ordering::Less)),
        "le" => compare(&arguments, |order| matches!(order, Some(Ordering::Less | Ordering::Equal))),
        "gt" => compare(&arguments, |order| order == Some(Ordering::Greater)),
        "ge" => compare(&arguments, |order| matches!(order, Some(Ordering::Greater | Ordering::Equal))),

        "query" => {
            let samples = context.query.query(arguments.text(0, 1)?)?;
            Ok(Value::List(samples.into_iter().map(Value::Sample).collect()))
        }
        "first" => {
            let samples = arguments.samples(0, 1)?;
            let first = samples.into_iter().next();
            first.map(Value::Sample).ok_or_else(|| "first() called on vector with no elements".into())
        }
        "label" => text(arguments.sample(1, 2)?.labels.get(as_text(&arguments.0[0])?).unwrap_or("").to_owned()),
        "value" => Ok(Value::Float(arguments.sample(0, 1)?.value)),
        "strvalue" => text(arguments.sample(0, 1)?.labels.get("__value__").unwrap_or("").to_owned()),
        "args" => {
            let named = arguments.0.into_iter().enumerate().map(|(at, value)| (format!("arg{at}"), value));
            Ok(Value::Map(named.collect::<BTreeMap<_, _>>()))
        }
        "reReplaceAll" => {
            let pattern = regex(arguments.text(0, 3)?)?;
            text(pattern.replace_all(arguments.text(2, 3)?, arguments.text(1, 3)?).into_owned())
        }
        "match" => Ok(Value::Bool(regex(arguments.text(0, 2)?)?.is_match(arguments.text(1, 2)?))),
        "safeHtml" => text(arguments.text(0, 1)?.to_owned()),
        "title" => text(title(arguments.text(0, 1)?)),
        "toUpper" => text(mapped(arguments.text(0, 1)?, char::to_uppercase)),
        "toLower" => text(mapped(arguments.text(0, 1)?, char::to_lowercase)),
        "graphLink" => text(format!("/graph?g0.expr={}&g0.tab=0", query_escape(arguments.text(0, 1)?))),
        "tableLink" => text(format!("/graph?g0.expr={}&g0.tab=1", query_escape(arguments.text(0, 1)?))),
        "sortByLabel" => {
            let label = arguments.text(0, 2)?.to_owned();
            let mut samples = arguments.samples(1, 2)?;
            samples.sort_by(|left, right| {
                left.labels.get(&label).unwrap_or("").cmp(right.labels.get(&label).unwrap_or(""))
            });
            Ok(Value::List(samples.into_iter().map(Value::Sample).collect()))
        }
        "stripPort" => text(split_port(arguments.text(0, 1)?).0.to_owned()),
        "stripDomain" => text(strip_domain(arguments.text(0, 1)?)),

        "humanize" => text(humanize::humanize(arguments.number(0, 1)?)),
        "humanize1024" => text(humanize::humanize1024(arguments.number(0, 1)?)),
        "humanizeDuration" => text(humanize::duration(arguments.number(0, 1)?)),
        "humanizePercentage" => text(humanize::percentage(arguments.number(0, 1)?)),
        "humanizeTimestamp" => text(humanize::time(in_range(arguments.number(0, 1)?)?)),
        "toTime" => Ok(Value::Time(in_range(arguments.number(0, 1)?)?)),
        "formatTime" => text(humanize::time_in_layout(arguments.text(0, 2)?, arguments.number(1, 2)?)),
        "toDuration" => Ok(Value::Duration(arguments.number(0, 1)?)),
        "now" => arguments.exactly(0).map(|_| Value::Float(context.data.at.as_seconds())),
        "parseDuration" => span(arguments.text(0, 1)?).map(|span| Value::Float(span.as_seconds())),
        "parseDurationTime" => span(arguments.text(0, 1)?).map(|span| Value::Duration(span.as_seconds())),

        "externalURL" => arguments.exactly(0).map(|_| Value::String(context.data.external_url.clone())),
        "pathPrefix" => arguments.exactly(0).map(|_| Value::String(path_of(&context.data.external_url).to_owned())),
        "pathEscape" => text(percent(arguments.text(0, 1)?, b"-_.~$&+:=@")),
        "crlfEscape" => text(arguments.text(0, 1)?.replace('\n', "\\n").replace('\r', "\\r")),
        "quotesEscape" => text(json_inside(arguments.text(0, 1)?)),
        "jsonEscape" => text(format!("\"{}\"", json_inside(arguments.text(0, 1)?))),
        other => Err(format!("function {other:?} not defined")),
    }
}

struct Arguments(Vec<Value>);

impl Arguments {
    fn exactly(&self, count: usize) -> Result<&[Value], String> {
        match self.0.len() == count {
            true => Ok(&self.0),
            false => Err(format!("wrong number of args: want {count} got {}", self.0.len())),
        }
    }

    fn text(&self, at: usize, count: usize) -> Result<&str, String> {
        as_text(&self.exactly(count)?[at])
    }

    /// A number, also out of a text. (Prometheus: `convertToFloat`.)
    fn number(&self, at: usize, count: usize) -> Result<f64, String> {
        match &self.exactly(count)?[at] {
            Value::Float(number) | Value::Time(number) | Value::Duration(number) => Ok(*number),
            Value::Int(number) => Ok(*number as f64),
            Value::String(text) => match text.as_str() {
                "+Inf" | "Inf" => Ok(f64::INFINITY),
                "-Inf" => Ok(f64::NEG_INFINITY),
                "NaN" => Ok(f64::NAN),
                text => text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
            },
            other => Err(format!("can't convert {} to float", other.type_name())),
        }
    }

    fn sample(&self, at: usize, count: usize) -> Result<&TemplateSample, String> {
        match &self.exactly(count)?[at] {
            Value::Sample(sample) => Ok(sample),
            other => Err(format!("wrong type for value; expected a sample; got {}", other.type_name())),
        }
    }

    fn samples(&self, at: usize, count: usize) -> Result<Vec<TemplateSample>, String> {
        let Value::List(list) = &self.exactly(count)?[at] else {
            return Err("wrong type for value; expected a query's result".into());
        };
        list.iter()
            .map(|item| match item {
                Value::Sample(sample) => Ok(sample.clone()),
                other => Err(format!("wrong type for value; expected a sample; got {}", other.type_name())),
            })
            .collect()
    }
}

fn as_text(value: &Value) -> Result<&str, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(format!("wrong type for value; expected string; got {}", other.type_name())),
    }
}

fn regex(pattern: &str) -> Result<regex::Regex, String> {
    regex::Regex::new(pattern).map_err(|error| error.to_string())
}

fn span(text: &str) -> Result<Span, String> {
    text.parse().map_err(|error: crate::model::time::SpanError| error.to_string())
}

fn length(value: &Value) -> Outcome {
    let length = match value {
        Value::String(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Labels(labels) => labels.len(),
        Value::Map(map) => map.len(),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(length as i64))
}

fn index(arguments: &[Value]) -> Outcome {
    let (collection, keys) = arguments.split_first().ok_or("wrong number of args for index: want at least 1 got 0")?;
    let mut value = collection.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Labels(labels), Value::String(name)) => Value::String(labels.get(name).unwrap_or("").to_owned()),
            (Value::Map(map), Value::String(name)) => map.get(name).cloned().unwrap_or(Value::Nil),
            (Value::List(list), Value::Int(at)) => {
                let item = usize::try_from(*at).ok().and_then(|at| list.get(at));
                item.cloned().ok_or_else(|| format!("index out of range: {at}"))?
            }
            (Value::String(text), Value::Int(at)) => {
                let byte = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at));
                Value::Int(i64::from(*byte.ok_or_else(|| format!("index out of range: {at}"))?))
            }
            (other, _) => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(value)
}

fn slice(arguments: &[Value]) -> Outcome {
    let (item, bounds) = arguments.split_first().ok_or("wrong number of args for slice: want at least 1 got 0")?;
    let bound = |at: usize, default: usize| match bounds.get(at) {
        None => Ok(default),
        Some(Value::Int(bound)) => usize::try_from(*bound).map_err(|_| format!("index out of range: {bound}")),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    match item {
        Value::String(text) => {
            let part = text.get(bound(0, 0)?..bound(1, text.len())?);
            part.map(|part| Value::String(part.to_owned())).ok_or_else(|| "index out of range".into())
        }
        Value::List(list) => {
            let part = list.get(bound(0, 0)?..bound(1, list.len())?);
            part.map(|part| Value::List(part.to_vec())).ok_or_else(|| "index out of range".into())
        }
        other => Err(format!("can't slice item of type {}", other.type_name())),
    }
}

/// Go's `Sprint`: a space between two operands when neither is a string.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in values.iter().enumerate() {
        let text_beside = |value: &Value| matches!(value, Value::String(_));
        if at > 0 && !text_beside(value) && !text_beside(&values[at - 1]) {
            out.push(' ');
        }
        out.push_str(&shown(value));
    }
    out
}

/// Go compares basic values of one kind only.
fn same(left: &Value, right: &Value) -> Result<bool, String> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Int(left), Value::Int(right)) => Ok(left == right),
        (Value::Float(left), Value::Float(right)) | (Value::Duration(left), Value::Duration(right)) => {
            Ok(left == right)
        }
        (Value::String(left), Value::String(right)) => Ok(left == right),
        (Value::Nil, other) | (other, Value::Nil) => Ok(*other == Value::Nil),
        _ => Err("incompatible types for comparison".into()),
    }
}

fn compare(arguments: &Arguments, wanted: impl Fn(Option<Ordering>) -> bool) -> Outcome {
    let pair = arguments.exactly(2)?;
    let order = match (&pair[0], &pair[1]) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Float(left), Value::Float(right)) | (Value::Duration(left), Value::Duration(right)) => {
            left.partial_cmp(right)
        }
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(_) | Value::Labels(_) | Value::Map(_) | Value::List(_), _) => {
            return Err("invalid type for comparison".into());
        }
        _ => return Err("incompatible types for comparison".into()),
    };
    Ok(Value::Bool(wanted(order)))
}

fn title(text: &str) -> String {
    let mut begins = true;
    text.chars()
        .map(|letter| {
            let shown = if begins { alone(letter, letter.to_uppercase()) } else { letter };
            // Go: beyond ASCII only white space parts words.
            begins = match letter.is_ascii() {
                true => !(letter.is_ascii_alphanumeric() || letter == '_'),
                false => letter.is_whitespace(),
            };
            shown
        })
        .collect()
}

/// Letter by letter: what becomes several letters stays as it is, as in Go.
fn mapped<I: Iterator<Item = char>>(text: &str, map: impl Fn(char) -> I) -> String {
    text.chars().map(|letter| alone(letter, map(letter))).collect()
}

fn alone(letter: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => letter,
    }
}

/// A time that Go can hold.
fn in_range(seconds: f64) -> Result<f64, String> {
    match seconds.is_finite() && (seconds * 1e9).abs() > i64::MAX as f64 {
        true => {
            let shown = shown(&Value::Float(seconds));
            Err(format!("{shown} cannot be represented as a nanoseconds timestamp since it overflows int64"))
        }
        false => Ok(seconds),
    }
}

/// Go's `JSEscapeString`.
fn js(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, letter| {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..'\x20' | '\x7f' => {
                write!(out, "\\u{:04X}", u32::from(letter)).expect("a String takes every write");
            }
            plain => out.push(plain),
        }
        out
    })
}

/// Host and port of `host:port`; without a port, all of it is host. (Go: `net.SplitHostPort`.)
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once("]:") {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

fn strip_domain(text: &str) -> String {
    let (host, port) = split_port(text);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let first = host.split('.').next().unwrap_or(host);
    port.map_or_else(|| first.to_owned(), |port| format!("{first}:{port}"))
}

fn path_of(url: &str) -> &str {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    behind_scheme.find('/').map_or("", |at| &behind_scheme[at..])
}

/// Percent-encodes all but letters, digits and `plain`.
fn percent(text: &str, plain: &[u8]) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            true => out.push(char::from(byte)),
            false => write!(out, "%{byte:02X}").expect("a String takes every write"),
        }
        out
    })
}

/// Go's `url.QueryEscape`: a space becomes `+`.
fn query_escape(text: &str) -> String {
    percent(text, b"-_.~").replace("%20", "+")
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            plain => out.push(plain),
        }
    }
    out
}

/// A JSON string without its quotes.
fn json_inside(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
