//! A rule as it stands in a configuration, and what is wrong with it.

use serde::Deserialize;

use crate::model::{Pattern, PatternError};

use super::{Action, Rule};

/// One entry of a `relabel_configs` list, with Prometheus' names and defaults.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelabelConfig {
    /// Labels whose values are joined to the text that the rule looks at.
    pub source_labels: Vec<String>,
    /// What stands between them.
    pub separator: String,
    /// What the text, or a label's name, must match as a whole.
    pub regex: String,
    /// For `hashmod`: how many values there are.
    pub modulus: u64,
    /// The label that is written; may refer to groups of `regex` in `replace`.
    pub target_label: String,
    /// What is written; may refer to groups of `regex`.
    pub replacement: String,
    /// What is done, in any case: `replace`, `keep`, `drop`, `keepequal`, `dropequal`, `hashmod`, `labelmap`,
    /// `labeldrop`, `labelkeep`, `lowercase`, `uppercase`.
    pub action: String,
}

impl Default for RelabelConfig {
    fn default() -> Self {
        RelabelConfig {
            source_labels: Vec::new(),
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: "replace".to_owned(),
        }
    }
}

/// Why a rule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    /// No such action.
    #[error("unknown relabel action {0:?}")]
    UnknownAction(String),
    /// `hashmod` by nothing.
    #[error("relabel action hashmod needs a modulus above 0")]
    NoModulus,
    /// The action writes a label, and none is named.
    #[error("relabel action {0} needs a target_label")]
    NoTarget(String),
    /// The action does not read a field that is set.
    #[error("relabel action {action} takes no {field}")]
    Unused {
        /// The action.
        action: String,
        /// The field.
        field: &'static str,
    },
    /// The regular expression is none.
    #[error("relabel regex: {0}")]
    Regex(#[from] PatternError),
}

impl RelabelConfig {
    /// Checks the rule and compiles it.
    ///
    /// # Errors
    /// What Prometheus would refuse too, so that a rule is not half understood.
    pub fn compile(&self) -> Result<Rule, RelabelError> {
        let action = self.action.to_ascii_lowercase();
        let target = || match self.target_label.is_empty() {
            true => Err(RelabelError::NoTarget(action.clone())),
            false => Ok(self.target_label.clone()),
        };
        let regex = || Pattern::new(&self.regex);
        let replacement = self.replacement.clone();
        let compiled = match action.as_str() {
            "replace" => Action::Replace { regex: regex()?, target: target()?, replacement },
            "keep" => Action::Keep(regex()?),
            "drop" => Action::Drop(regex()?),
            "keepequal" => Action::KeepEqual { target: target()? },
            "dropequal" => Action::DropEqual { target: target()? },
            "hashmod" if self.modulus == 0 => return Err(RelabelError::NoModulus),
            "hashmod" => Action::HashMod { target: target()?, modulus: self.modulus },
            "labelmap" => Action::LabelMap { regex: regex()?, replacement },
            "labeldrop" => Action::LabelDrop(regex()?),
            "labelkeep" => Action::LabelKeep(regex()?),
            "lowercase" => Action::Lowercase { target: target()? },
            "uppercase" => Action::Uppercase { target: target()? },
            _ => return Err(RelabelError::UnknownAction(self.action.clone())),
        };
        self.check_unused(&action)?;
        Ok(Rule { source_labels: self.source_labels.clone(), separator: self.separator.clone(), action: compiled })
    }

    /// A field that an action ignores was meant to do something.
    fn check_unused(&self, action: &str) -> Result<(), RelabelError> {
        let default = RelabelConfig::default();
        let fields = [
            ("source_labels", self.source_labels != default.source_labels),
            ("separator", self.separator != default.separator),
            ("regex", self.regex != default.regex),
            ("modulus", self.modulus != default.modulus),
            ("target_label", self.target_label != default.target_label),
            ("replacement", self.replacement != default.replacement),
        ];
        let unused: &[&str] = match action {
            "keepequal" | "dropequal" => &["separator", "regex", "modulus", "replacement"],
            "labeldrop" | "labelkeep" => &["source_labels", "separator", "modulus", "target_label", "replacement"],
            "lowercase" | "uppercase" => &["replacement"],
            _ => &[],
        };
        match fields.into_iter().find(|(field, is_set)| *is_set && unused.contains(field)) {
            Some((field, _)) => Err(RelabelError::Unused { action: action.to_owned(), field }),
            None => Ok(()),
        }
    }
}
