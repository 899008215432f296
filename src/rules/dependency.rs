//! Which rules of a group read which: so that those that do not may be evaluated together.
//!
//! A stage is a run of neighbours none of which reads what another of them gives. All of a stage ask before one of them
//! writes, so a rule that reads a *later* one still finds what that one gave a tick before, as the order of the file
//! says. A selector without a metric name, or an alert whose text asks queries of its own, may read anything.

use std::ops::Range;

use crate::model::{METRIC_NAME, Matcher};
use crate::promql::parse::parse;
use crate::promql::{Expr, ExprKind, Features};

use super::file::{RuleKind, RuleSpec};

/// The stages of rules in the order of their file.
pub(super) fn stages<'a>(rules: impl Iterator<Item = &'a RuleSpec>) -> Vec<Range<usize>> {
    let rules: Vec<&RuleSpec> = rules.collect();
    let mut stages: Vec<Range<usize>> = Vec::new();
    let mut given = Given::default();
    for (place, rule) in rules.iter().enumerate() {
        let fits = !reads(rule).is_none_or(|selectors| selectors.iter().any(|selector| given.has(selector)));
        match stages.last_mut() {
            Some(stage) if fits || given.is_empty() => stage.end = place + 1,
            _ => {
                stages.push(place..place + 1);
                given = Given::default();
            }
        }
        given.add(rule);
    }
    stages
}

/// What the rules of a stage give.
#[derive(Default)]
struct Given<'a> {
    rules: std::collections::HashMap<&'a str, Vec<&'a RuleSpec>>,
}

impl<'a> Given<'a> {
    fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn add(&mut self, rule: &'a RuleSpec) {
        match rule.kind {
            RuleKind::Recording => self.rules.entry(&rule.name).or_default().push(rule),
            RuleKind::Alerting { .. } => {
                self.rules.entry("ALERTS").or_default().push(rule);
                self.rules.entry("ALERTS_FOR_STATE").or_default().push(rule);
            }
        }
    }

    fn has(&self, selector: &[Matcher]) -> bool {
        let named = selector.iter().find(|matcher| matcher.name == METRIC_NAME).and_then(equal_value);
        let may_give = |rule: &RuleSpec| selector.iter().all(|matcher| may_match(rule, matcher));
        match named {
            Some(name) => self.rules.get(name).is_some_and(|rules| rules.iter().any(|rule| may_give(rule))),
            None => self.rules.iter().any(|(name, rules)| {
                let fits = selector.iter().all(|matcher| matcher.name != METRIC_NAME || matcher.matches(name));
                fits && rules.iter().any(|rule| may_give(rule))
            }),
        }
    }
}

/// The value of a matcher that wants one.
fn equal_value(matcher: &Matcher) -> Option<&str> {
    match matcher.parts() {
        ("=", value) => Some(value),
        _ => None,
    }
}

/// Whether a result of the rule may satisfy the matcher, by the labels that the rule sets.
fn may_match(rule: &RuleSpec, matcher: &Matcher) -> bool {
    if matcher.name == METRIC_NAME {
        return true;
    }
    let alerting = matches!(rule.kind, RuleKind::Alerting { .. });
    if alerting && matcher.name == "alertname" {
        return matcher.matches(&rule.name);
    }
    // The labels of alerts may be templates.
    let set = rule.labels.iter().find(|(name, value)| *name == matcher.name && !(alerting && value.contains("{{")));
    set.is_none_or(|(_, value)| matcher.matches(value))
}

/// The selectors that a rule reads; `None` where it may read anything.
fn reads(rule: &RuleSpec) -> Option<Vec<Vec<Matcher>>> {
    if let RuleKind::Alerting { labels, annotations, .. } = &rule.kind {
        let mut templates = labels.iter().chain(annotations.iter());
        if templates.any(|(_, template)| template.may_query()) {
            return None;
        }
    }
    selectors(&rule.expr)
}

/// The selectors of an expression; `None` where it cannot be read.
pub(super) fn selectors(expr: &str) -> Option<Vec<Vec<Matcher>>> {
    let mut found = Vec::new();
    collect(&parse(expr, &Features::all()).ok()?, &mut found);
    Some(found)
}

fn collect(expr: &Expr, found: &mut Vec<Vec<Matcher>>) {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Selector(selector) => found.push(selector.matchers.clone()),
        ExprKind::Range { selector: inner, .. } | ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => {
            collect(inner, found);
        }
        ExprKind::Subquery(subquery) => collect(&subquery.expr, found),
        ExprKind::Binary(binary) => {
            collect(&binary.left, found);
            collect(&binary.right, found);
        }
        ExprKind::Aggregate(aggregate) => {
            collect(&aggregate.expr, found);
            aggregate.parameter.iter().for_each(|parameter| collect(parameter, found));
        }
        ExprKind::Call(call) => call.arguments.iter().for_each(|argument| collect(argument, found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::file::{self, Defaults};

    #[test]
    fn neighbours_that_do_not_read_each_other_are_a_stage() {
        #[track_caller]
        fn check(rules: &str, ends: &[usize]) {
            let text = format!("groups:\n- name: g\n  rules: {rules}\n");
            let file = file::parse("a.yml", &text, &Defaults::default()).expect("the rules are good");
            let stages = stages(file.groups[0].rules.iter());
            assert_eq!(stages.iter().map(|stage| stage.end).collect::<Vec<_>>(), ends, "{rules}");
            assert!(stages.windows(2).all(|pair| pair[0].end == pair[1].start), "{rules}");
        }
        check("[{record: a, expr: x}, {record: b, expr: y}, {record: c, expr: x}]", &[3]);
        check("[{record: a, expr: x}, {record: b, expr: a}, {record: c, expr: b}]", &[1, 2, 3]);
        check("[{record: a, expr: x}, {record: b, expr: y}, {record: c, expr: a}, {record: d, expr: a}]", &[2, 4]);
        // A later rule is read as it was a tick before.
        check("[{record: a, expr: b}, {record: b, expr: x}]", &[2]);
        check("[{record: a, expr: x}, {record: b, expr: '{__name__=~\"a|z\"}'}]", &[1, 2]);
        check("[{record: a, expr: x}, {record: b, expr: '{job=\"node\"}'}]", &[1, 2]);
        check("[{record: a, expr: x, labels: {l: one}}, {record: b, expr: 'a{l=\"two\"}'}]", &[2]);
        check("[{alert: A, expr: x}, {alert: B, expr: 'ALERTS{alertname=\"C\"}'}]", &[2]);
        check("[{alert: A, expr: x}, {alert: B, expr: 'ALERTS{alertname=\"A\"}'}]", &[1, 2]);
        check("[{record: a, expr: x}, {alert: B, expr: y, annotations: {s: '{{ query \"a\" }}'}}]", &[1, 2]);
        check("[{record: a, expr: x}, {record: b, expr: 'sum(rate(y[5m])) / max_over_time(a[1h:5m])'}]", &[1, 2]);
        check("[]", &[]);
    }
}
