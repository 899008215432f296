//! Relabeling at the way in: rules that rewrite the labels of a series, or drop it, before it is named.
//!
//! The language is Prometheus' `relabel_config`, all actions. Rules run in order, each on what the one before left;
//! a label with an empty value is an absent label. They run once for each key that the store does not know, not for
//! each sample, so a rule costs nothing in steady state. The replica label is still there for them to see and change.
//!
//! A [`RelabelConfig`] is what stands in a configuration, a [`Rule`] is one that was checked and compiled.

mod config;
mod md5;
mod steps;
#[cfg(test)]
mod tests;

pub use config::{RelabelConfig, RelabelError};
pub use steps::{Rewritten, Step, steps};

use regex::Captures;

use crate::model::{LabelsBuilder, Pattern};

/// One compiled rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    source_labels: Vec<String>,
    separator: String,
    action: Action,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Replace { regex: Pattern, target: String, replacement: String },
    Keep(Pattern),
    Drop(Pattern),
    KeepEqual { target: String },
    DropEqual { target: String },
    HashMod { target: String, modulus: u64 },
    LabelMap { regex: Pattern, replacement: String },
    LabelDrop(Pattern),
    LabelKeep(Pattern),
    Lowercase { target: String },
    Uppercase { target: String },
}

/// Applies `rules` in order. `false` = the series is dropped, and `labels` are of no use any more.
pub fn apply(rules: &[Rule], labels: &mut LabelsBuilder) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Rule {
    /// Applies this rule; `false` = the series is dropped.
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        match &self.action {
            Action::Keep(regex) => return regex.matches(&self.source(labels)),
            Action::Drop(regex) => return !regex.matches(&self.source(labels)),
            Action::KeepEqual { target } => return value(labels, target) == self.source(labels),
            Action::DropEqual { target } => return value(labels, target) != self.source(labels),
            Action::Replace { regex, target, replacement } => {
                let source = self.source(labels);
                if let Some(groups) = regex.regex().captures(&source) {
                    let target = expand(&groups, target);
                    // A rule that makes no name of its target is passed over, as in Prometheus.
                    if !target.is_empty() {
                        labels.set(&target, &expand(&groups, replacement));
                    }
                }
            }
            Action::HashMod { target, modulus } => {
                labels.set(target, &(md5::last_eight_bytes(self.source(labels).as_bytes()) % modulus).to_string());
            }
            Action::Lowercase { target } => labels.set(target, &self.source(labels).to_lowercase()),
            Action::Uppercase { target } => labels.set(target, &self.source(labels).to_uppercase()),
            Action::LabelMap { regex, replacement } => {
                for (name, value) in present(labels) {
                    let mapped = regex.regex().captures(&name).map(|groups| expand(&groups, replacement));
                    if let Some(mapped) = mapped.filter(|mapped| !mapped.is_empty()) {
                        labels.set(&mapped, &value);
                    }
                }
            }
            Action::LabelDrop(regex) => remove(labels, |name| regex.matches(name)),
            Action::LabelKeep(regex) => remove(labels, |name| !regex.matches(name)),
        }
        true
    }

    /// The values of the source labels, joined; what is absent is empty.
    fn source(&self, labels: &LabelsBuilder) -> String {
        let values: Vec<&str> = self.source_labels.iter().map(|name| value(labels, name)).collect();
        values.join(&self.separator)
    }
}

fn value<'a>(labels: &'a LabelsBuilder, name: &str) -> &'a str {
    labels.get(name).unwrap_or_default()
}

/// The labels that are there, by name: what a rule writes does not change what it reads.
fn present(labels: &LabelsBuilder) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = labels.pairs().iter().filter(|(_, value)| !value.is_empty()).cloned().collect();
    pairs.sort_unstable();
    pairs
}

fn remove(labels: &mut LabelsBuilder, is_unwanted: impl Fn(&str) -> bool) {
    for (name, _) in present(labels) {
        if is_unwanted(&name) {
            labels.remove(&name);
        }
    }
}

/// `$1`, `${1}` and `${name}` become what the groups matched; the rules are those of Go's `Regexp.Expand`.
fn expand(groups: &Captures<'_>, template: &str) -> String {
    let mut text = String::new();
    groups.expand(template, &mut text);
    text
}
