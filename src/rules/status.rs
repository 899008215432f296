//! What is known of groups, rules and alerts at one moment; plain data for the API.

use std::sync::Arc;

use crate::model::{Labels, Span, Timestamp};

/// Gives the state of all groups.
pub trait RuleStatus: Send + Sync {
    /// All groups, by file, then name.
    fn groups(&self) -> Vec<GroupStatus>;

    /// The Alertmanagers that are sent to: their URLs, active ones first.
    fn notifiers(&self) -> Vec<String>;

    /// How each notifier does.
    fn notifier_states(&self) -> Vec<NotifierState> {
        Vec::new()
    }

    /// How the last reading of rule files went.
    fn files(&self) -> FilesStatus {
        FilesStatus::default()
    }

    /// Where people reach this server, without a slash at the end.
    fn external_url(&self) -> String {
        String::new()
    }

    /// Changes rules; `None` where that is switched off.
    fn editor(&self) -> Option<&dyn EditRules> {
        None
    }
}

/// Changes rules that stand in no file. Each call waits for running evaluations.
pub trait EditRules: Send + Sync {
    /// Namespaces with their groups: names and YAML as it was given.
    fn namespaces(&self) -> Vec<(String, Vec<(String, String)>)>;

    /// Adds a group, or replaces the one of the same name; its alerts go on.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn set(&self, namespace: &str, text: &str) -> Result<(), Vec<String>>;

    /// Removes a group, or the whole namespace; its alerts are resolved. `false` where there is none.
    ///
    /// # Errors
    /// Where that cannot be kept.
    fn remove(&self, namespace: &str, group: Option<&str>) -> Result<bool, String>;
}

/// How the last reading of rule files went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FilesStatus {
    /// When what runs was read.
    pub loaded_at: Option<Timestamp>,
    /// What was wrong with what was read since; the old rules go on.
    pub problems: Vec<String>,
}

/// One notifier.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NotifierState {
    /// How it was found: `static`, `file`, `http`, `dns`, `consul`, `webhook`.
    pub kind: String,
    /// Where it is sent to.
    pub url: String,
    /// Why the last request failed; empty where it did not.
    pub last_error: String,
    /// Alerts that wait for it.
    pub waiting: u64,
    /// Alerts that it took.
    pub sent: u64,
    /// Alerts in requests that failed.
    pub failed: u64,
    /// Alerts dropped for want of room.
    pub dropped: u64,
}

/// What had been delivered when a group was evaluated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// How long the evaluation waited for it.
    pub waited: Span,
    /// The labels that name an HA group.
    pub cluster_labels: Arc<[String]>,
    /// The HA groups that had not delivered, of those that the group reads.
    pub behind: Vec<Behind>,
}

/// An HA group that has not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The value of its cluster label.
    pub cluster: String,
    /// The newest sample that it has delivered.
    pub up_to: Timestamp,
}

impl Input {
    /// Which late source an alert with these labels may come from, in words. An alert that names no cluster may come
    /// from each.
    pub fn lacking(&self, alert: &Labels) -> Option<String> {
        if self.behind.is_empty() {
            return None;
        }
        let own = self.cluster_labels.iter().find_map(|label| alert.get(label));
        let late = self.behind.iter().find(|behind| own.is_none_or(|own| own == behind.cluster))?;
        Some(format!("{} has delivered nothing newer than {}", late.cluster, late.up_to))
    }
}

/// What became of one evaluation of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// When it ran.
    pub ran_at: Timestamp,
    /// The time that the expression looked at.
    pub at: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many results there were; for alerts, how many were active.
    pub samples: usize,
    /// How many series its selectors found.
    pub series_fetched: u64,
    /// Why it failed; empty where it did not.
    pub error: String,
}

/// A group of rules.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Names it in links.
    pub id: String,
    /// How far back its rules look.
    pub query_offset: Span,
    /// How many of its rules may be evaluated at once; 0 = as many as the settings allow.
    pub concurrency: usize,
    /// Labels that each rule adds.
    pub labels: Labels,
    /// Ticks that were left out because the one before took too long.
    pub missed: u64,
    /// What had been delivered at the last evaluation.
    pub input: Input,
    /// When it is due next; `None` before it was scheduled.
    pub next_evaluation: Option<Timestamp>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// What became of the last evaluations, newest first.
    pub updates: Vec<Update>,
    /// How many of them are remembered.
    pub updates_max: usize,
    /// Names it in links.
    pub id: String,
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
    /// Whether it stands only because what it reads has not been delivered.
    pub input_stale: bool,
}
