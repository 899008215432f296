//! What a unit-test file says. (promtool: `cmd/promtool/unittest.go`; vmalert-tool: `app/vmalert-tool/unittest`.)

use std::path::Path;
use std::sync::Arc;

use crate::model::{Labels, METRIC_NAME, Span, Timestamp};
use crate::promql::Point;
use crate::promql::series_text::{SeriesValue, parse_labels, parse_number, parse_series};
use crate::rules::file::walk::Walk;
use crate::rules::file::yaml::{self, Entry, Node};
use crate::rules::file::{Place, Problem};

/// One file.
#[derive(Clone, Debug)]
pub(super) struct UnitFile {
    /// Patterns, relative to the file's folder made so.
    pub(super) rule_files: Vec<String>,
    pub(super) evaluation_interval: Span,
    pub(super) group_order: Vec<String>,
    /// Whether floats that are neighbours count as equal.
    pub(super) fuzzy: bool,
    /// Whether it is written for vmalert-tool, whose alerts have the label `alertgroup`.
    pub(super) for_vmalert: bool,
    pub(super) tests: Vec<UnitTest>,
}

/// One test: series in, alerts and answers out.
#[derive(Clone, Debug)]
pub(super) struct UnitTest {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) interval: Span,
    pub(super) start: Timestamp,
    pub(super) series: Vec<(Labels, Vec<SeriesValue>)>,
    pub(super) external_labels: Labels,
    pub(super) external_url: Option<String>,
    pub(super) alerts: Vec<AlertCase>,
    pub(super) exprs: Vec<ExprCase>,
}

/// Which alerts must fire at a time.
#[derive(Clone, Debug)]
pub(super) struct AlertCase {
    pub(super) place: Place,
    /// After the start.
    pub(super) at: Span,
    /// vmalert-tool: the group that has the alert.
    pub(super) group: Option<String>,
    pub(super) name: String,
    /// Labels without `alertname`, and annotations.
    pub(super) expected: Vec<(Labels, Labels)>,
}

/// What an expression must give at a time.
#[derive(Clone, Debug)]
pub(super) struct ExprCase {
    pub(super) place: Place,
    pub(super) at: Span,
    pub(super) expr: String,
    pub(super) expected: Vec<(Labels, Point)>,
}

impl UnitTest {
    /// The last time that something is looked at, after the start.
    pub(super) fn last(&self) -> Span {
        let (alerts, exprs) = (self.alerts.iter().map(|case| case.at), self.exprs.iter().map(|case| case.at));
        alerts.chain(exprs).max().unwrap_or(Span::ZERO)
    }
}

/// Reads a file whose series have at most `values_max` values in all.
pub(super) fn read(path: &str, text: &str, values_max: usize) -> Result<UnitFile, Vec<Problem>> {
    let mut reader = Reader { walk: Walk::new(path), values_max, values_left: values_max };
    let mut file = UnitFile {
        rule_files: Vec::new(),
        evaluation_interval: Span::MINUTE,
        group_order: Vec::new(),
        fuzzy: false,
        for_vmalert: false,
        tests: Vec::new(),
    };
    match yaml::documents(text) {
        Ok(documents) => {
            if let Some(document) = documents.first() {
                reader.document(document, &mut file);
            }
        }
        Err((place, message)) => reader.walk.problem(place, message),
    }
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    for pattern in &mut file.rule_files {
        if !pattern.contains("://") {
            *pattern = folder.join(&*pattern).display().to_string();
        }
    }
    match reader.walk.problems.is_empty() {
        true => Ok(file),
        false => Err(reader.walk.problems),
    }
}

struct Reader<'a> {
    walk: Walk<'a>,
    values_max: usize,
    values_left: usize,
}

impl Reader<'_> {
    fn document(&mut self, document: &Node, file: &mut UnitFile) {
        let mut tests = None;
        for entry in self.walk.map(document, "a unit-test file") {
            match entry.key.as_str() {
                "rule_files" => file.rule_files = self.texts(entry),
                "evaluation_interval" => {
                    file.evaluation_interval = self.walk.positive_span(entry).unwrap_or(file.evaluation_interval);
                }
                "group_eval_order" => file.group_order = self.texts(entry),
                "fuzzy_compare" => file.fuzzy = self.walk.boolean(entry),
                "tests" => tests = Some(entry),
                _ => self.walk.unknown(entry, "a unit-test file"),
            }
        }
        if let Some(tests) = tests {
            for node in self.walk.list(&tests.value, "tests") {
                let test = self.test(node, file);
                file.tests.push(test);
            }
        }
    }

    fn test(&mut self, node: &Node, file: &mut UnitFile) -> UnitTest {
        let mut test = UnitTest {
            place: node.place,
            name: String::new(),
            interval: file.evaluation_interval,
            start: Timestamp::EPOCH,
            series: Vec::new(),
            external_labels: Labels::empty(),
            external_url: None,
            alerts: Vec::new(),
            exprs: Vec::new(),
        };
        for entry in self.walk.map(node, "a test") {
            match entry.key.as_str() {
                "interval" => test.interval = self.walk.positive_span(entry).unwrap_or(test.interval),
                "name" => test.name = self.walk.text(entry),
                "start_timestamp" => test.start = self.time(entry),
                "input_series" => test.series = self.each(entry, Self::series),
                "external_labels" => test.external_labels = self.labels(entry),
                "external_url" => test.external_url = Some(self.walk.text(entry)),
                "alert_rule_test" => test.alerts = self.each(entry, Self::alert),
                "promql_expr_test" => test.exprs.extend(self.each(entry, Self::expr)),
                "metricsql_expr_test" => {
                    file.for_vmalert = true;
                    test.exprs.extend(self.each(entry, Self::expr));
                }
                _ => self.walk.unknown(entry, "a test"),
            }
        }
        file.for_vmalert |= test.alerts.iter().any(|case| case.group.is_some());
        test
    }

    fn each<T>(&mut self, entry: &Entry, read: fn(&mut Self, &Node) -> Option<T>) -> Vec<T> {
        let nodes = self.walk.list(&entry.value, &entry.key);
        nodes.iter().filter_map(|node| read(self, node)).collect()
    }

    fn series(&mut self, node: &Node) -> Option<(Labels, Vec<SeriesValue>)> {
        let (mut series, mut values) = (String::new(), String::new());
        for entry in self.walk.map(node, "a series") {
            match entry.key.as_str() {
                "series" => series = self.walk.text(entry),
                "values" => values = self.walk.text(entry),
                _ => self.walk.unknown(entry, "a series"),
            }
        }
        let line = format!("{} {}", series.trim(), values.split_whitespace().collect::<Vec<_>>().join(" "));
        if self.values_left == 0 {
            return None;
        }
        match parse_series(&line) {
            Ok((_, values)) if values.len() > self.values_left => {
                self.values_left = 0;
                let message =
                    format!("the series of a file may have {} values in all, and these are more", self.values_max);
                self.walk.problem(node.place, message);
                None
            }
            Ok(read) => {
                self.values_left -= read.1.len();
                Some(read)
            }
            Err(refusal) => {
                self.walk.problem(node.place, refusal.to_string());
                None
            }
        }
    }

    fn alert(&mut self, node: &Node) -> Option<AlertCase> {
        let (mut at, mut group, mut name, mut expected) = (Span::ZERO, None, String::new(), Vec::new());
        for entry in self.walk.map(node, "an alert test") {
            match entry.key.as_str() {
                "eval_time" => at = self.walk.span(entry).unwrap_or(at),
                "groupname" => group = Some(self.walk.text(entry)),
                "alertname" => name = self.walk.text(entry),
                "exp_alerts" => expected = self.each(entry, Self::expected_alert),
                _ => self.walk.unknown(entry, "an alert test"),
            }
        }
        if name.is_empty() {
            self.walk.problem(node.place, "an alert test needs `alertname`");
        }
        Some(AlertCase { place: node.place, at, group, name, expected })
    }

    fn expected_alert(&mut self, node: &Node) -> Option<(Labels, Labels)> {
        let (mut labels, mut annotations) = (Labels::empty(), Labels::empty());
        for entry in self.walk.map(node, "an expected alert") {
            match entry.key.as_str() {
                "exp_labels" => labels = self.labels(entry),
                "exp_annotations" => annotations = self.labels(entry),
                _ => self.walk.unknown(entry, "an expected alert"),
            }
        }
        Some((labels, annotations))
    }

    fn expr(&mut self, node: &Node) -> Option<ExprCase> {
        let (mut at, mut expr, mut expected) = (Span::ZERO, String::new(), Vec::new());
        for entry in self.walk.map(node, "an expression test") {
            match entry.key.as_str() {
                "eval_time" => at = self.walk.span(entry).unwrap_or(at),
                "expr" => expr = self.walk.text(entry),
                "exp_samples" => expected = self.each(entry, Self::expected_sample),
                _ => self.walk.unknown(entry, "an expression test"),
            }
        }
        Some(ExprCase { place: node.place, at, expr, expected })
    }

    fn expected_sample(&mut self, node: &Node) -> Option<(Labels, Point)> {
        let (mut labels, mut point) = (Labels::empty(), Point::Float(0.0));
        for entry in self.walk.map(node, "an expected sample") {
            let text = self.walk.text(entry);
            let read = match entry.key.as_str() {
                "labels" => selector(&text).map(|read| labels = read),
                "value" => number(&text).map(|read| point = Point::Float(read)),
                "histogram" if text.is_empty() => Ok(()),
                "histogram" => histogram(&text).map(|read| point = read),
                _ => {
                    self.walk.unknown(entry, "an expected sample");
                    continue;
                }
            };
            if let Err(why) = read {
                self.walk.problem(entry.value.place, format!("{}: {why}", entry.key));
            }
        }
        Some((labels, point))
    }

    fn labels(&mut self, entry: &Entry) -> Labels {
        let pairs = self.walk.labels(entry);
        Labels::from_pairs(pairs.iter().map(|(_, name, value)| (name, value)))
    }

    fn texts(&mut self, entry: &Entry) -> Vec<String> {
        let nodes = self.walk.list(&entry.value, &entry.key);
        nodes.iter().map(|node| self.walk.item(node, &entry.key)).collect()
    }

    /// Seconds since 1970, or a time as RFC 3339 writes it.
    fn time(&mut self, entry: &Entry) -> Timestamp {
        let text = self.walk.text(entry);
        let seconds = text.parse::<f64>().ok().map(|seconds| Timestamp::from_millis((seconds * 1000.0) as i64));
        let written = || text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp::from_millis(at.as_millisecond()));
        seconds.or_else(written).unwrap_or_else(|| {
            self.walk.problem(entry.value.place, format!("{}: {text:?} is neither seconds nor RFC 3339", entry.key));
            Timestamp::EPOCH
        })
    }
}

fn number(text: &str) -> Result<f64, String> {
    // YAML has its own words for what no digits can say.
    let plain = text.trim().trim_start_matches('.').to_lowercase();
    let named = match plain.as_str() {
        "inf" | "+inf" | "+.inf" => Some(f64::INFINITY),
        "-inf" | "-.inf" => Some(f64::NEG_INFINITY),
        "nan" => Some(f64::NAN),
        "" => Some(0.0),
        _ => None,
    };
    named.or_else(|| parse_number(text.trim())).ok_or_else(|| format!("{text:?} is no number"))
}

/// Labels as a selector writes them; a lone `{...}` or name, or nothing.
fn selector(text: &str) -> Result<Labels, String> {
    match parse_labels(text.trim()) {
        Ok((labels, rest)) if rest.trim().is_empty() => Ok(labels),
        Ok((_, rest)) => Err(format!("unexpected {rest:?}")),
        Err(refusal) => Err(refusal.to_string()),
    }
}

fn histogram(text: &str) -> Result<Point, String> {
    let (_, values) = parse_series(&format!("{{}} {text}")).map_err(|refusal| refusal.to_string())?;
    match values.as_slice() {
        [SeriesValue::Histogram(histogram, _)] => Ok(Point::Histogram(Arc::clone(histogram))),
        _ => Err("one histogram is expected".to_owned()),
    }
}

/// The alert's labels as they are found: with its name, and for vmalert-tool with its group's.
pub(super) fn expected_labels(case: &AlertCase, labels: &Labels, alertgroup: bool) -> Labels {
    let mut labels = labels.without(|name| name == METRIC_NAME).with("alertname", &case.name);
    if let (true, Some(group)) = (alertgroup, &case.group) {
        labels = labels.with("alertgroup", group);
    }
    labels
}
