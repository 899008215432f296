//! Walking a tree of YAML: what each helper expects, and the problems it finds on the way.
//!
//! A walker never stops at the first problem: it notes it with its place, and goes on with what is absent.

use crate::model::labels::is_plain_label_name;
use crate::model::{METRIC_NAME, Span};

use super::Problem;
use super::yaml::{Content, Entry, Node, Place};

/// Label pairs as written: where, name, value.
pub(in crate::rules) type Pairs = Vec<(Place, String, String)>;

/// Reads one file, and collects what is wrong with it.
pub(in crate::rules) struct Walk<'a> {
    path: &'a str,
    pub(in crate::rules) problems: Vec<Problem>,
}

impl<'a> Walk<'a> {
    pub(in crate::rules) fn new(path: &'a str) -> Self {
        Walk { path, problems: Vec::new() }
    }

    pub(in crate::rules) fn path(&self) -> &'a str {
        self.path
    }

    pub(in crate::rules) fn problem(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem { file: self.path.to_owned(), place, message: message.into() });
    }

    /// Names with texts; whatever stands as a value is taken as it is written, and nothing as "".
    pub(in crate::rules) fn labels(&mut self, entry: &Entry) -> Pairs {
        let mut pairs = Pairs::new();
        for label in self.map(&entry.value, &entry.key) {
            let place = label.value.place;
            // Prometheus 3 takes any UTF-8 name; control characters are a slip of the pen wherever they stand.
            if label.key.is_empty() || (!is_plain_label_name(&label.key) && label.key.chars().any(char::is_control)) {
                self.problem(label.place, format!("{:?} is no label name", label.key));
            } else if label.key == METRIC_NAME && entry.key == "labels" {
                self.problem(label.place, format!("{METRIC_NAME} cannot be set by a label"));
            } else {
                pairs.push((place, label.key.clone(), self.text(label)));
            }
        }
        pairs
    }

    pub(in crate::rules) fn unknown(&mut self, entry: &Entry, inside: &str) {
        self.problem(entry.place, format!("unknown key {:?} in {inside}", entry.key));
    }

    pub(in crate::rules) fn map<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Entry] {
        match &node.content {
            Content::Map(entries) => entries,
            Content::Null => &[],
            other => {
                self.problem(node.place, format!("{what} must be a map, and here is {}", other.kind()));
                &[]
            }
        }
    }

    pub(in crate::rules) fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.content {
            Content::List(items) => items,
            Content::Null => &[],
            other => {
                self.problem(node.place, format!("{what} must be a list, and here is {}", other.kind()));
                &[]
            }
        }
    }

    pub(in crate::rules) fn text(&mut self, entry: &Entry) -> String {
        match &entry.value.content {
            Content::Scalar(text) => text.clone(),
            Content::Null => String::new(),
            other => {
                let hint = if matches!(other, Content::Map(_)) { " (a template must stand in quotes)" } else { "" };
                let message = format!("{} must be a single value, and here is {}{hint}", entry.key, other.kind());
                self.problem(entry.value.place, message);
                String::new()
            }
        }
    }

    /// A single value in a list.
    pub(in crate::rules) fn item(&mut self, node: &Node, what: &str) -> String {
        match &node.content {
            Content::Scalar(text) => text.clone(),
            other => {
                self.problem(node.place, format!("{what} must list single values, and here is {}", other.kind()));
                String::new()
            }
        }
    }

    /// A list of single values, or one alone.
    pub(in crate::rules) fn texts(&mut self, entry: &Entry) -> Vec<String> {
        if let Content::Scalar(text) = &entry.value.content {
            return vec![text.clone()];
        }
        let nodes = self.list(&entry.value, &entry.key);
        nodes.iter().map(|node| self.item(node, &entry.key)).collect()
    }

    /// A list of headers, each written `name: value`.
    pub(in crate::rules) fn headers(&mut self, entry: &Entry) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for header in self.texts(entry) {
            match header.split_once(':') {
                Some((name, value)) if !name.trim().is_empty() => {
                    headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
                _ => self.problem(entry.value.place, format!("a header is written `name: value`, not {header:?}")),
            }
        }
        headers
    }

    pub(in crate::rules) fn boolean(&mut self, entry: &Entry) -> bool {
        match self.text(entry).as_str() {
            "true" | "True" | "TRUE" | "yes" | "on" => true,
            "false" | "False" | "FALSE" | "no" | "off" | "" => false,
            other => {
                self.problem(entry.value.place, format!("{}: {other:?} is neither true nor false", entry.key));
                false
            }
        }
    }

    pub(in crate::rules) fn count(&mut self, entry: &Entry) -> usize {
        let text = self.text(entry);
        match text.parse() {
            _ if text.is_empty() => 0,
            Ok(count) => count,
            Err(_) => {
                self.problem(entry.value.place, format!("{}: {text:?} is no count", entry.key));
                0
            }
        }
    }

    pub(in crate::rules) fn positive_span(&mut self, entry: &Entry) -> Option<Span> {
        let span = self.span(entry)?;
        if span < Span::ZERO {
            self.problem(entry.value.place, format!("{} must be positive", entry.key));
        }
        // Prometheus: an interval of 0 means the default.
        (span > Span::ZERO).then_some(span)
    }

    pub(in crate::rules) fn span(&mut self, entry: &Entry) -> Option<Span> {
        let text = self.text(entry);
        if text.is_empty() {
            return None;
        }
        let span = parse_span(&text);
        match span {
            None => self.problem(entry.value.place, format!("{}: {text:?} is no duration", entry.key)),
            Some(span) if span < Span::ZERO && !matches!(entry.key.as_str(), "eval_offset" | "eval_delay") => {
                self.problem(entry.value.place, format!("{} must not be negative", entry.key));
            }
            Some(_) => {}
        }
        span
    }
}

/// Whether Prometheus takes the duration as it is written.
pub(super) fn is_prometheus_span(text: &str) -> bool {
    text.is_empty() || text.parse::<Span>().is_ok()
}

/// A Prometheus duration (`1h30m`), or what vmalert takes beyond it: a sign, fractions, units in any order.
fn parse_span(text: &str) -> Option<Span> {
    if let Ok(span) = text.parse() {
        return Some(span);
    }
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut millis = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(number);
        let unit = tail.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let unit: Span = format!("1{unit}").parse().ok()?;
        millis += number.parse::<f64>().ok()? * unit.as_millis() as f64;
        rest = tail;
    }
    let millis = millis.round();
    (millis < i64::MAX as f64).then(|| Span::from_millis(if negative { -(millis as i64) } else { millis as i64 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_both_worlds_are_read() {
        #[track_caller]
        fn check(text: &str, millis: Option<i64>) {
            assert_eq!(parse_span(text).map(Span::as_millis), millis, "{text}");
        }
        check("1h30m", Some(5_400_000));
        check("0", Some(0));
        check("1.5h", Some(5_400_000));
        check("-30s", Some(-30_000));
        check("5s1m", Some(65_000));
        check("60", None);
        check("soon", None);
        check("-", None);
    }
}
