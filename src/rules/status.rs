//! What is known of groups, rules and alerts at one moment; plain data for the API.

use crate::model::{Labels, Span, Timestamp};

/// Gives the state of all groups.
pub trait RuleStatus: Send + Sync {
    /// All groups, by file, then name.
    fn groups(&self) -> Vec<GroupStatus>;

    /// The Alertmanagers that are sent to: their URLs, active ones first.
    fn notifiers(&self) -> Vec<String>;
}

/// A group of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupStatus {
    /// Its name, unique inside its file.
    pub name: String,
    /// The file it was read from.
    pub file: String,
    /// How often it is evaluated.
    pub interval: Span,
    /// Most results a rule may give; 0 = any.
    pub limit: usize,
    /// When it was last evaluated; `None` before the first time.
    pub last_evaluation: Option<Timestamp>,
    /// How long that took, in seconds.
    pub evaluation_seconds: f64,
    /// Its rules, in order.
    pub rules: Vec<RuleState>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleState {
    /// The record's or alert's name.
    pub name: String,
    /// The expression as PromQL prints it.
    pub query: String,
    /// Labels added to each result.
    pub labels: Labels,
    /// Whether the last evaluation worked.
    pub health: Health,
    /// Why it did not; empty where it did.
    pub last_error: String,
    /// When it was last evaluated.
    pub last_evaluation: Option<Timestamp>,
    /// How long that took, in seconds.
    pub evaluation_seconds: f64,
    /// What an alerting rule has beside; `None` for a recording rule.
    pub alerting: Option<AlertingState>,
}

/// Whether a rule's last evaluation worked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// It worked.
    Ok,
    /// It failed.
    Err,
}

/// What an alerting rule has beside a recording rule.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingState {
    /// How long the expression must hold before the alert fires.
    pub hold: Span,
    /// How long the alert keeps firing after the expression stopped holding.
    pub keep_firing: Span,
    /// Annotation templates as written, by name.
    pub annotations: Labels,
    /// Its alerts that are pending or firing.
    pub alerts: Vec<AlertStatus>,
}

/// The state of one alert; ordered by urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertPhase {
    /// The expression does not hold.
    Inactive,
    /// It holds, but not long enough yet.
    Pending,
    /// The alert fires.
    Firing,
}

impl AlertPhase {
    /// As the API and `ALERTS{alertstate=...}` name it.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertPhase::Inactive => "inactive",
            AlertPhase::Pending => "pending",
            AlertPhase::Firing => "firing",
        }
    }
}

/// One alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertStatus {
    /// Its labels, `alertname` included.
    pub labels: Labels,
    /// Its annotations, expanded.
    pub annotations: Labels,
    /// Pending or firing.
    pub phase: AlertPhase,
    /// Since when the expression holds.
    pub active_at: Timestamp,
    /// Since when it only keeps firing; `None` while the expression holds.
    pub keep_firing_since: Option<Timestamp>,
    /// The expression's value at the last evaluation.
    pub value: f64,
}
