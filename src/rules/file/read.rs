//! What each key of a rule file means.
//!
//! A [`Reader`] walks the tree and collects problems instead of stopping at the first: the author sees all of them.

use std::sync::Arc;

use crate::model::{Labels, Matcher, Span};
use crate::promql::Features;
use crate::promql::parse::parse_selector;
use crate::rules::expression;
use crate::rules::template::Template;

use super::dialect::{self, Dialect};
use super::spec::{Engine, GroupSpec, RuleKind, RuleSpec, UPDATES_MAX_DEFAULT};
use super::walk::{Pairs, Walk, is_prometheus_span};
use super::yaml::{self, Entry, Node, Place};
use super::{Defaults, Problem, RuleFile};

/// Reads one file; `shared` are the texts whose templates its own may call.
pub(super) fn file(path: &str, text: &str, defaults: &Defaults, shared: &[String]) -> Result<RuleFile, Vec<Problem>> {
    let (text, unset) = defaults.environment.expand(text);
    let mut reader = Reader { walk: Walk::new(path), defaults, shared, notes: Vec::new() };
    for (place, name) in unset {
        reader
            .note(place, format!("%{{{name}}} stays as it is written: there is no such variable (vmalert refuses it)"));
    }
    let mut groups: Vec<(Place, GroupSpec)> = Vec::new();
    match yaml::documents(&text) {
        Ok(documents) => {
            if let Some(second) = documents.get(1) {
                reader.note(second.place, "Prometheus, Mimir and Thanos read only the first document of a file");
            }
            documents.iter().for_each(|document| reader.document(document, &mut groups));
        }
        Err((place, message)) => reader.walk.problem(place, message),
    }
    reader.finish(groups)
}

/// Reads one group.
pub(super) fn group(path: &str, text: &str, defaults: &Defaults) -> Result<RuleFile, Vec<Problem>> {
    let mut reader = Reader { walk: Walk::new(path), defaults, shared: &[], notes: Vec::new() };
    let mut groups = Vec::new();
    match yaml::documents(text) {
        Ok(documents) => {
            groups.extend(documents.first().map(|document| (document.place, reader.group(document))));
        }
        Err((place, message)) => reader.walk.problem(place, message),
    }
    reader.finish(groups)
}

struct Reader<'a> {
    walk: Walk<'a>,
    defaults: &'a Defaults,
    shared: &'a [String],
    notes: Vec<Problem>,
}

/// The label that vmalert adds to each alert: its group.
const ALERTGROUP: &str = "alertgroup";
/// Most evaluations of a rule that are remembered.
const UPDATES_MAX: usize = 1000;

impl Reader<'_> {
    /// What was read, or all that is wrong with it.
    fn finish(mut self, groups: Vec<(Place, GroupSpec)>) -> Result<RuleFile, Vec<Problem>> {
        let path = self.walk.path();
        for (index, (place, group)) in groups.iter().enumerate() {
            if let Some((first, _)) = groups[..index].iter().find(|(_, earlier)| earlier.name == group.name) {
                self.walk.problem(*place, format!("group {:?} is already defined at line {}", group.name, first.line));
            }
        }
        let Reader { walk: Walk { mut problems, .. }, mut notes, .. } = self;
        problems.sort();
        notes.sort();
        match problems.is_empty() {
            true => {
                let groups = groups.into_iter().map(|(_, group)| group).collect();
                Ok(RuleFile { path: path.to_owned(), groups, notes })
            }
            false => Err(problems),
        }
    }

    /// Notes what works here and not everywhere.
    fn note(&mut self, place: Place, message: impl Into<String>) {
        self.notes.push(Problem { file: self.walk.path().to_owned(), place, message: message.into() });
    }

    /// Notes a key that other programs refuse.
    fn note_key(&mut self, entry: &Entry, knowing: &[Dialect]) {
        if let Some(refusing) = dialect::refusing(knowing) {
            self.note(entry.place, format!("{refusing} would refuse the key {:?}", entry.key));
        }
    }

    fn document(&mut self, document: &Node, groups: &mut Vec<(Place, GroupSpec)>) {
        let entries = self.walk.map(document, "a rule file");
        // A Kubernetes manifest (PrometheusRule, VMRule) has the groups under `spec`.
        let manifest = entries.iter().any(|entry| entry.key == "apiVersion");
        for entry in entries {
            match entry.key.as_str() {
                "groups" if !manifest => self.groups(&entry.value, groups),
                "spec" if manifest => {
                    for entry in self.walk.map(&entry.value, "spec") {
                        match entry.key.as_str() {
                            "groups" => self.groups(&entry.value, groups),
                            _ => self.walk.unknown(entry, "spec"),
                        }
                    }
                    self.note(document.place, "only the Kubernetes operators read a manifest; others want `groups`");
                }
                "apiVersion" | "kind" | "metadata" | "status" if manifest => {}
                // Mimir's and Cortex' tools name the tenant's namespace in the file.
                "namespace" => self.note_key(entry, &[Dialect::Mimir]),
                _ => self.walk.unknown(entry, "a rule file"),
            }
        }
    }

    fn groups(&mut self, node: &Node, groups: &mut Vec<(Place, GroupSpec)>) {
        for group in self.walk.list(node, "groups") {
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
            concurrency: 0,
            engine: Engine::Prometheus,
            debug: false,
            notifier_headers: [].into(),
            labels: Labels::empty(),
            rules: Vec::new(),
        };
        let (mut labels, mut rules, mut offset_place) = (Pairs::new(), None, node.place);
        let mut narrowing = Vec::new();
        for entry in self.walk.map(node, "a group") {
            let value = &entry.value;
            self.note_key(entry, dialect::of_group_key(&entry.key));
            match entry.key.as_str() {
                "name" => group.name = self.walk.text(entry),
                "interval" => {
                    if let Some(interval) = self.walk.positive_span(entry) {
                        group.interval = interval;
                    }
                }
                "eval_offset" => {
                    offset_place = value.place;
                    group.eval_offset = self.walk.span(entry);
                }
                "eval_delay" | "query_offset" | "evaluation_delay" => group.query_offset = self.walk.span(entry),
                "eval_alignment" | "align_evaluation_time_on_interval" => group.aligned = self.walk.boolean(entry),
                "limit" => group.limit = self.walk.count(entry),
                "concurrency" => group.concurrency = self.walk.count(entry),
                "type" => group.engine = self.engine(entry),
                "debug" => group.debug = self.walk.boolean(entry),
                "labels" => labels = self.walk.labels(entry),
                "rules" => rules = Some(value),
                "params" => narrowing = self.params(entry),
                "notifier_headers" => group.notifier_headers = self.walk.headers(entry).into(),
                // For the requests to a data source that vmalert makes, and for Mimir's and Thanos' own stores; there
                // is no such request here.
                "headers"
                | "tenant"
                | "source_tenants"
                | "partial_response_strategy"
                | "namespace"
                | "remote_write" => {}
                _ => self.walk.unknown(entry, "a group"),
            }
        }
        if group.name.is_empty() {
            self.walk.problem(node.place, "the group has no name");
        }
        match (group.eval_offset, group.query_offset) {
            (Some(offset), _) if offset.as_millis().abs() > group.interval.as_millis() => {
                self.walk
                    .problem(offset_place, format!("eval_offset {offset} exceeds the interval {}", group.interval));
            }
            (Some(_), Some(_)) => self.walk.problem(offset_place, "eval_offset and eval_delay exclude each other"),
            _ => {}
        }
        group.labels = Labels::from_pairs(labels.iter().map(|(_, name, value)| (name, value)));
        if let Some(rules) = rules {
            for node in self.walk.list(rules, "rules") {
                let Some(rule) = self.rule(node, &group, &labels, &narrowing) else { continue };
                let same = |known: &RuleSpec| {
                    (&known.name, &known.expr, &known.labels) == (&rule.name, &rule.expr, &rule.labels)
                };
                if group.rules.iter().any(same) {
                    self.note(node.place, "vmalert would refuse a rule that stands twice in its group");
                }
                group.rules.push(rule);
            }
        }
        group
    }

    /// `params` (vmalert): what a request to VictoriaMetrics says beside the query. What narrows it down, narrows down
    /// each selector here; several filters would be "one or the other", which no selector can say.
    fn params(&mut self, entry: &Entry) -> Vec<Matcher> {
        let mut narrowing = Vec::new();
        for entry in self.walk.map(&entry.value, "params") {
            let (texts, place) = (self.walk.texts(entry), entry.value.place);
            match entry.key.as_str() {
                "extra_label" => {
                    for text in texts {
                        match text.split_once('=') {
                            Some((name, value)) => narrowing.push(Matcher::equal(name, value)),
                            None => {
                                self.walk.problem(place, format!("extra_label is written name=value, not {text:?}"));
                            }
                        }
                    }
                }
                "extra_filters" | "extra_filters[]" => match texts.as_slice() {
                    [] => {}
                    [one] => match parse_selector(one) {
                        Ok(matchers) => narrowing.extend(matchers),
                        Err(refusal) => self.walk.problem(place, format!("{}: {refusal}", entry.key)),
                    },
                    _ => self.walk.problem(place, format!("{}: only one filter can be given here", entry.key)),
                },
                // How VictoriaMetrics is to go about it.
                "nocache" | "trace" | "deny_partial_response" | "latency_offset" => {}
                other => self.note(entry.place, format!("the parameter {other:?} has no effect here")),
            }
        }
        narrowing
    }

    fn rule(
        &mut self,
        node: &Node,
        group: &GroupSpec,
        group_labels: &Pairs,
        narrowing: &[Matcher],
    ) -> Option<RuleSpec> {
        let found_before = self.walk.problems.len();
        let (mut record, mut alert, mut expr) = (None, None, None);
        let (mut hold, mut keep_firing, mut labels, mut annotations) = (None, None, Pairs::new(), None);
        let (mut debug, mut updates_max) = (group.debug, UPDATES_MAX_DEFAULT);
        for entry in self.walk.map(node, "a rule") {
            self.note_key(entry, dialect::of_rule_key(&entry.key));
            match entry.key.as_str() {
                "record" => record = Some((entry.value.place, self.walk.text(entry))),
                "alert" => alert = Some((entry.value.place, self.walk.text(entry))),
                "expr" => expr = Some((entry.value.place, self.walk.text(entry))),
                "for" => hold = self.rule_span(entry),
                "keep_firing_for" => keep_firing = self.rule_span(entry),
                "labels" => labels = self.walk.labels(entry),
                "annotations" => annotations = Some((entry.place, self.walk.labels(entry))),
                "debug" => debug = self.walk.boolean(entry),
                "update_entries_limit" => updates_max = self.walk.count(entry).clamp(1, UPDATES_MAX),
                _ => self.walk.unknown(entry, "a rule"),
            }
        }
        let mut labels = self.merged(group_labels, &labels);
        let (place, name, alerting) = match (record, alert) {
            (Some((place, name)), None) => (place, name, false),
            (None, Some((place, name))) => (place, name, true),
            (None, None) => {
                self.walk.problem(node.place, "a rule needs `record` or `alert`");
                return None;
            }
            (Some(_), Some((place, _))) => {
                self.walk.problem(place, "a rule has `record` or `alert`, not both");
                return None;
            }
        };
        if name.is_empty() {
            self.walk.problem(place, "the rule's name is empty");
        }
        let expr = match expr {
            Some((place, text)) if text.trim().is_empty() => {
                self.walk.problem(place, "the expression is empty");
                String::new()
            }
            Some((place, text)) => self.expression(place, text, &group.engine, narrowing),
            None => {
                self.walk.problem(node.place, format!("rule {name:?} has no `expr`"));
                String::new()
            }
        };
        if alerting && self.defaults.alertgroup && !labels.iter().any(|(_, name, _)| name == ALERTGROUP) {
            labels.push((node.place, ALERTGROUP.to_owned(), group.name.clone()));
            labels.sort_by(|left, right| left.1.cmp(&right.1));
        }
        let kind = match alerting {
            true => self.alerting(hold, keep_firing, &labels, annotations.map_or_else(Pairs::new, |(_, found)| found)),
            false => {
                let hold = hold.map(|(place, _)| (place, "for"));
                let keep_firing = keep_firing.map(|(place, _)| (place, "keep_firing_for"));
                let annotations = annotations.filter(|(_, found)| !found.is_empty());
                let annotations = annotations.map(|(place, _)| (place, "annotations"));
                for (place, key) in [hold, keep_firing, annotations].into_iter().flatten() {
                    self.walk.problem(place, format!("a recording rule has no `{key}`"));
                }
                if name.contains(['{', '}']) {
                    self.walk.problem(place, format!("{name:?} is no metric name"));
                }
                RuleKind::Recording
            }
        };
        let labels = labels.into_iter().map(|(_, name, value)| (name, value)).collect();
        (self.walk.problems.len() == found_before).then_some(RuleSpec { name, expr, labels, kind, debug, updates_max })
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
            match Template::parse_with(text, self.shared) {
                Ok(template) => templates.push((name.clone(), template)),
                Err(refusal) => self.walk.problem(*place, format!("{what} {name}: {refusal}")),
            }
        }
        templates.into()
    }

    fn rule_span(&mut self, entry: &Entry) -> Option<(Place, Span)> {
        let span = self.walk.span(entry)?;
        if !is_prometheus_span(&self.walk.text(entry)) {
            self.note(
                entry.value.place,
                format!("Prometheus, Mimir and Thanos would refuse this {}: {span} is plain", entry.key),
            );
        }
        Some((entry.place, span))
    }

    fn expression(&mut self, place: Place, text: String, engine: &Engine, narrowing: &[Matcher]) -> String {
        match engine {
            Engine::Foreign(_) => text,
            Engine::Prometheus => match expression::check(&text, &self.defaults.features, narrowing) {
                Ok(printed) => {
                    let plain = Features::default();
                    if self.defaults.features != plain && expression::check(&text, &plain, &[]).is_err() {
                        self.note(place, "Prometheus would refuse the expression unless its feature flags are on");
                    }
                    printed
                }
                Err(message) => {
                    self.walk.problem(place, format!("expr: {message}"));
                    text
                }
            },
        }
    }

    fn engine(&mut self, entry: &Entry) -> Engine {
        match self.walk.text(entry).as_str() {
            "" | "prometheus" => Engine::Prometheus,
            foreign @ ("graphite" | "vlogs") => Engine::Foreign(foreign.to_owned()),
            other => {
                self.walk.problem(entry.value.place, format!("unknown type {other:?}: prometheus, graphite or vlogs"));
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
}
