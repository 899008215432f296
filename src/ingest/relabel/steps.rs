//! Relabeling made visible: what each rule makes of one series, and what would be stored in the end.

use crate::model::{LabelsBuilder, Replica};

use super::RelabelConfig;

/// What became of a sender's labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewritten {
    /// What each rule made of them, up to the one that dropped the series.
    pub steps: Vec<Step>,
    /// What would be stored, sorted, the replica label taken off; or why nothing would be.
    pub stored: Result<Vec<(String, String)>, String>,
    /// The HA replica it would be counted to.
    pub replica: Option<Replica>,
}

/// One rule at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The rule.
    pub rule: RelabelConfig,
    /// What it left, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Whether the series lives on.
    pub kept: bool,
}

/// Applies rules one by one, and notes what each does.
///
/// # Errors
/// The first rule that cannot be used, by its place in the list.
pub fn steps(rules: &[RelabelConfig], labels: &mut LabelsBuilder) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for (index, config) in rules.iter().enumerate() {
        let rule = config.compile().map_err(|error| format!("rule {}: {error}", index + 1))?;
        let kept = rule.apply(labels);
        steps.push(Step { rule: config.clone(), labels: super::present(labels), kept });
        if !kept {
            break;
        }
    }
    Ok(steps)
}
