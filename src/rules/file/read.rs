//! What each key of a rule file means.
//!
//! A [`Reader`] walks the tree and collects problems instead of stopping at the first: the author sees all of them.

use std::sync::Arc;

use crate::model::labels::is_plain_label_name;
use crate::model::{Labels, METRIC_NAME, Span};
use crate::rules::expression;
use crate::rules::template::Template;

use super::spec::{Engine, GroupSpec, RuleKind, RuleSpec};
use super::yaml::{self, Content, Entry, Node, Place};
use super::{Defaults, Problem, RuleFile};

pub(super) fn file(path: &str, text: &str, defaults: &Defaults) -> Result<RuleFile, Vec<Problem>> {
    let mut reader = Reader { path, defaults, problems: Vec::new() };
    let mut groups: Vec<(Place, GroupSpec)> = Vec::new();
    match yaml::documents(text) {
        Ok(documents) => documents.iter().for_each(|document| reader.document(document, &mut groups)),
        Err((place, message)) => reader.problem(place, message),
    }
    for (index, (place, group)) in groups.iter().enumerate() {
        if let Some((first, _)) = groups[..index].iter().find(|(_, earlier)| earlier.name == group.name) {
            reader.problem(*place, format!("group {:?} is already defined at line {}", group.name, first.line));
        }
    }
    reader.problems.sort();
    match reader.problems.is_empty() {
        true => Ok(RuleFile { path: path.to_owned(), groups: groups.into_iter().map(|(_, group)| group).collect() }),
        false => Err(reader.problems),
    }
}

struct Reader<'a> {
    path: &'a str,
    defaults: &'a Defaults,
    problems: Vec<Problem>,
}

/// Label pairs as written: where, name, value.
type Pairs = Vec<(Place, String, String)>;

impl Reader<'_> {
    fn problem(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem { file: self.path.to_owned(), place, message: message.into() });
    }

    fn document(&mut self, document: &Node, groups: &mut Vec<(Place, GroupSpec)>) {
        let entries = self.map(document, "a rule file");
        // A Kubernetes manifest (PrometheusRule, VMRule) has the groups under `spec`.
        let manifest = entries.iter().any(|entry| entry.key == "apiVersion");
        for entry in entries {
            match entry.key.as_str() {
                "groups" if !manifest => self.groups(&entry.value, groups),
                "spec" if manifest => {
                    for entry in self.map(&entry.value, "spec") {
                        match entry.key.as_str() {
                            "groups" => self.groups(&entry.value, groups),
                            _ => self.unknown(entry, "spec"),
                        }
                    }
                }
                "apiVersion" | "kind" | "metadata" | "status" if manifest => {}
                // Mimir's and Cortex' tools name the tenant's namespace in the file.
                "namespace" => {}
                _ => self.unknown(entry, "a rule file"),
            }
        }
    }

    fn groups(&mut self, node: &Node, groups: &mut Vec<(Place, GroupSpec)>) {
        for group in self.list(node, "groups") {
            let read = self.group(group);
            groups.push((group.place, read));
        }
    }

    fn group(&mut self, node: &Node) -> GroupSpec {
        let mut group = GroupSpec {
            name: String::new(),
            interval: self.defaults.interval,
            eval_offset: None,
            query_offset: None,
            aligned: false,
            limit: 0,
            engine: Engine::Prometheus,
            debug: false,
            rules: Vec::new(),
        };
        let (mut labels, mut rules, mut offset_place) = (Pairs::new(), None, node.place);
        for entry in self.map(node, "a group") {
            let value = &entry.value;
            match entry.key.as_str() {
                "name" => group.name = self.text(entry),
                "interval" => {
                    if let Some(interval) = self.positive_span(entry) {
                        group.interval = interval;
                    }
                }
                "eval_offset" => {
                    offset_place = value.place;
                    group.eval_offset = self.span(entry);
                }
                "eval_delay" | "query_offset" => group.query_offset = self.span(entry),
                "eval_alignment" | "align_evaluation_time_on_interval" => group.aligned = self.boolean(entry),
                "limit" => group.limit = self.count(entry),
                // Rules run in file order here, each seeing what the earlier ones gave: nothing to gain by a number.
                "concurrency" => _ = self.count(entry),
                "type" => group.engine = self.engine(entry),
                "debug" => group.debug = self.boolean(entry),
                "labels" => labels = self.labels(entry),
                "rules" => rules = Some(value),
                // For the data source and notifier requests that vmalert makes, and for Mimir's and Thanos' own
                // stores; there is no such request here.
                "params"
                | "headers"
                | "notifier_headers"
                | "tenant"
                | "source_tenants"
                | "partial_response_strategy"
                | "namespace"
                | "remote_write" => {}
                _ => self.unknown(entry, "a group"),
            }
        }
        if group.name.is_empty() {
            self.problem(node.place, "the group has no name");
        }
        match (group.eval_offset, group.query_offset) {
            (Some(offset), _) if offset.as_millis().abs() > group.interval.as_millis() => {
                self.problem(offset_place, format!("eval_offset {offset} exceeds the interval {}", group.interval));
            }
            (Some(_), Some(_)) => self.problem(offset_place, "eval_offset and eval_delay exclude each other"),
            _ => {}
        }
        if let Some(rules) = rules {
            for rule in self.list(rules, "rules") {
                if let Some(rule) = self.rule(rule, &group, &labels) {
                    group.rules.push(rule);
                }
            }
        }
        group
    }

    fn rule(&mut self, node: &Node, group: &GroupSpec, group_labels: &Pairs) -> Option<RuleSpec> {
        let found_before = self.problems.len();
        let (mut record, mut alert, mut expr) = (None, None, None);
        let (mut hold, mut keep_firing, mut labels, mut annotations) = (None, None, Pairs::new(), None);
        let mut debug = group.debug;
        for entry in self.map(node, "a rule") {
            match entry.key.as_str() {
                "record" => record = Some((entry.value.place, self.text(entry))),
                "alert" => alert = Some((entry.value.place, self.text(entry))),
                "expr" => expr = Some((entry.value.place, self.text(entry))),
                "for" => hold = self.span(entry).map(|span| (entry.place, span)),
                "keep_firing_for" => keep_firing = self.span(entry).map(|span| (entry.place, span)),
                "labels" => labels = self.labels(entry),
                "annotations" => annotations = Some((entry.place, self.labels(entry))),
                "debug" => debug = self.boolean(entry),
                "update_entries_limit" => _ = self.count(entry),
                _ => self.unknown(entry, "a rule"),
            }
        }
        let labels = self.merged(group_labels, &labels);
        let (place, name, alerting) = match (record, alert) {
            (Some((place, name)), None) => (place, name, false),
            (None, Some((place, name))) => (place, name, true),
            (None, None) => {
                self.problem(node.place, "a rule needs `record` or `alert`");
                return None;
            }
            (Some(_), Some((place, _))) => {
                self.problem(place, "a rule has `record` or `alert`, not both");
                return None;
            }
        };
        if name.is_empty() {
            self.problem(place, "the rule's name is empty");
        }
        let expr = match expr {
            Some((place, text)) if text.trim().is_empty() => {
                self.problem(place, "the expression is empty");
                String::new()
            }
            Some((place, text)) => self.expression(place, text, &group.engine),
            None => {
                self.problem(node.place, format!("rule {name:?} has no `expr`"));
                String::new()
            }
        };
        let kind = match alerting {
            true => self.alerting(hold, keep_firing, &labels, annotations.map_or_else(Pairs::new, |(_, found)| found)),
            false => {
                let hold = hold.map(|(place, _)| (place, "for"));
                let keep_firing = keep_firing.map(|(place, _)| (place, "keep_firing_for"));
                let annotations = annotations.filter(|(_, found)| !found.is_empty());
                let annotations = annotations.map(|(place, _)| (place, "annotations"));
                for (place, key) in [hold, keep_firing, annotations].into_iter().flatten() {
                    self.problem(place, format!("a recording rule has no `{key}`"));
                }
                if name.contains(['{', '}']) {
                    self.problem(place, format!("{name:?} is no metric name"));
                }
                RuleKind::Recording
            }
        };
        let labels = labels.into_iter().map(|(_, name, value)| (name, value)).collect();
        (self.problems.len() == found_before).then_some(RuleSpec { name, expr, labels, kind, debug })
    }

    fn alerting(
        &mut self,
        hold: Option<(Place, Span)>,
        keep_firing: Option<(Place, Span)>,
        labels: &Pairs,
        annotations: Pairs,
    ) -> RuleKind {
        let labels = self.templates("label", labels);
        let templates = self.templates("annotation", &annotations);
        RuleKind::Alerting {
            hold: hold.map_or(Span::ZERO, |(_, span)| span),
            keep_firing: keep_firing.map_or(Span::ZERO, |(_, span)| span),
            labels,
            annotations: templates,
            annotations_text: Labels::from_pairs(annotations.into_iter().map(|(_, name, value)| (name, value))),
        }
    }

    fn templates(&mut self, what: &str, pairs: &Pairs) -> Arc<[(String, Template)]> {
        let mut templates = Vec::with_capacity(pairs.len());
        for (place, name, text) in pairs {
            match Template::parse(text) {
                Ok(template) => templates.push((name.clone(), template)),
                Err(refusal) => self.problem(*place, format!("{what} {name}: {refusal}")),
            }
        }
        templates.into()
    }

    fn expression(&mut self, place: Place, text: String, engine: &Engine) -> String {
        match engine {
            Engine::Foreign(_) => text,
            Engine::Prometheus => match expression::check(&text, &self.defaults.features) {
                Ok(printed) => printed,
                Err(message) => {
                    self.problem(place, format!("expr: {message}"));
                    text
                }
            },
        }
    }

    fn engine(&mut self, entry: &Entry) -> Engine {
        match self.text(entry).as_str() {
            "" | "prometheus" => Engine::Prometheus,
            foreign @ ("graphite" | "vlogs") => Engine::Foreign(foreign.to_owned()),
            other => {
                self.problem(entry.value.place, format!("unknown type {other:?}: prometheus, graphite or vlogs"));
                Engine::Prometheus
            }
        }
    }

    /// The rule's labels over the group's.
    fn merged(&self, group: &Pairs, rule: &Pairs) -> Pairs {
        let inherited = group.iter().filter(|(_, name, _)| !rule.iter().any(|(_, own, _)| own == name));
        let mut labels: Pairs = inherited.chain(rule).cloned().collect();
        labels.sort_by(|left, right| left.1.cmp(&right.1));
        labels
    }

    /// Names with texts; whatever stands as a value is taken as it is written, and nothing as "".
    fn labels(&mut self, entry: &Entry) -> Pairs {
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

    fn unknown(&mut self, entry: &Entry, inside: &str) {
        self.problem(entry.place, format!("unknown key {:?} in {inside}", entry.key));
    }

    fn map<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Entry] {
        match &node.content {
            Content::Map(entries) => entries,
            Content::Null => &[],
            other => {
                self.problem(node.place, format!("{what} must be a map, and here is {}", other.kind()));
                &[]
            }
        }
    }

    fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.content {
            Content::List(items) => items,
            Content::Null => &[],
            other => {
                self.problem(node.place, format!("{what} must be a list, and here is {}", other.kind()));
                &[]
            }
        }
    }

    fn text(&mut self, entry: &Entry) -> String {
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

    fn boolean(&mut self, entry: &Entry) -> bool {
        match self.text(entry).as_str() {
            "true" | "True" | "TRUE" | "yes" | "on" => true,
            "false" | "False" | "FALSE" | "no" | "off" | "" => false,
            other => {
                self.problem(entry.value.place, format!("{}: {other:?} is neither true nor false", entry.key));
                false
            }
        }
    }

    fn count(&mut self, entry: &Entry) -> usize {
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

    fn positive_span(&mut self, entry: &Entry) -> Option<Span> {
        let span = self.span(entry)?;
        if span < Span::ZERO {
            self.problem(entry.value.place, format!("{} must be positive", entry.key));
        }
        // Prometheus: an interval of 0 means the default.
        (span > Span::ZERO).then_some(span)
    }

    fn span(&mut self, entry: &Entry) -> Option<Span> {
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
