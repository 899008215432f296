//! Alert state that outlives the process: one small record an alert, written when its state changes.
//!
//! ```text
//!   key    rules/alert/ + rule (16 bytes) + labels (16 bytes)
//!   value  JSON, see [`Record`]
//!   key    rules/started: rules have run on this store before
//! ```
//!
//! A rule is known by its group's name, its own name, its labels as written, and its place among equals; neither by
//! its file, nor by its expression, its annotations or its `for`. So a firing alert fires on when a file is renamed or
//! an expression edited. Hashes make the key short; the record says in full whose it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::model::number::format_float;
use crate::model::{Labels, Timestamp};
use crate::store::{Journal, JournalChange, StoreError};

use super::alert::{Alert, Alerts, Stage};

const PREFIX: &[u8] = b"rules/alert/";
/// Stands once rules have run.
const STARTED: &[u8] = b"rules/started";

/// What makes a rule the same rule over time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleIdentity {
    /// The group's name.
    pub group: String,
    /// The rule's name.
    pub rule: String,
    /// The rule's labels as written, the group's included.
    pub labels: Labels,
    /// Its place among rules that are equal in all of the above, counted from 0.
    pub among_equals: u32,
}

impl RuleIdentity {
    /// A number for links; not for keys.
    pub fn short_key(&self) -> u64 {
        u64::from_be_bytes(self.key()[..8].try_into().expect("eight of sixteen bytes"))
    }

    fn key(&self) -> [u8; 16] {
        let RuleIdentity { group, rule, labels, among_equals } = self;
        xxh3_128(format!("{group}\0{rule}\0{among_equals}\0{}", labels.as_packed()).as_bytes()).to_be_bytes()
    }
}

/// The record of one alert. Times are milliseconds since the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The record's format.
    v: u32,
    group: String,
    rule: String,
    rule_labels: BTreeMap<String, String>,
    #[serde(default)]
    among_equals: u32,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    value: String,
    active_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fired_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept_since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_sent: Option<i64>,
}

const VERSION: u32 = 1;

/// Keeps and recalls alerts.
#[derive(Clone)]
pub struct AlertJournal(Arc<dyn Journal>);

impl AlertJournal {
    /// Over the store's journal.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        AlertJournal(journal)
    }

    /// All alerts that were kept, by rule. Records that cannot be read are logged and left out: a damaged record must
    /// not keep the pager from starting.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn recall(&self) -> Result<HashMap<RuleIdentity, Alerts>, StoreError> {
        let mut rules: HashMap<RuleIdentity, Alerts> = HashMap::new();
        for (key, value) in self.0.scan(PREFIX)? {
            match serde_json::from_slice::<Record>(&value) {
                Ok(record) if record.v == VERSION => {
                    let (identity, labels, alert) = record.alert();
                    rules.entry(identity).or_default().insert(labels, alert);
                }
                Ok(record) => tracing::error!(version = record.v, "leave out an alert record of an unknown format"),
                Err(damage) => {
                    let key = String::from_utf8_lossy(&key);
                    tracing::error!(%key, %damage, "leave out an alert record that cannot be read");
                }
            }
        }
        Ok(rules)
    }

    /// Adds what changed from `before` to `after` to `changes`.
    pub(super) fn changes(
        &self,
        rule: &RuleIdentity,
        before: &Alerts,
        after: &Alerts,
        changes: &mut Vec<JournalChange>,
    ) {
        let key = |labels: &Labels| {
            let labels = xxh3_128(labels.as_packed().as_bytes()).to_be_bytes();
            [PREFIX, &rule.key(), &labels].concat()
        };
        for (labels, alert) in after {
            if before.get(labels).is_none_or(|known| alert.differs_durably(known)) {
                let record = Record::of(rule, labels, alert);
                let record = serde_json::to_vec(&record).expect("strings and numbers always make JSON");
                changes.push((key(labels), Some(record)));
            }
        }
        let gone = before.keys().filter(|labels| !after.contains_key(*labels));
        changes.extend(gone.map(|labels| (key(labels), None)));
    }

    /// Makes changes durable, in one write.
    ///
    /// # Errors
    /// Where the store cannot take writes; nothing is kept then.
    pub(super) fn write(&self, changes: &[JournalChange]) -> Result<(), StoreError> {
        match changes.is_empty() {
            true => Ok(()),
            false => self.0.write(changes),
        }
    }

    /// Whether rules have never run on this store; asked once, since the answer is "no" from then on.
    ///
    /// # Errors
    /// Where the journal cannot be read or written.
    pub fn is_first_start(&self) -> Result<bool, StoreError> {
        let started = !self.0.scan(STARTED)?.is_empty() || !self.0.scan(PREFIX)?.is_empty();
        if !started {
            self.0.write(&[(STARTED.to_vec(), Some(vec![1]))])?;
        }
        Ok(!started)
    }
}

fn pairs(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl Record {
    fn of(rule: &RuleIdentity, labels: &Labels, alert: &Alert) -> Self {
        let (fired_at, kept_since, resolved_at) = match alert.stage {
            Stage::Pending => (None, None, None),
            Stage::Firing { since, kept_since } => (Some(since), kept_since, None),
            Stage::Resolved { fired_at, at } => (Some(fired_at), None, Some(at)),
        };
        Record {
            v: VERSION,
            group: rule.group.clone(),
            rule: rule.rule.clone(),
            rule_labels: pairs(&rule.labels),
            among_equals: rule.among_equals,
            labels: pairs(labels),
            annotations: pairs(&alert.annotations),
            // As text: JSON has no NaN and no infinity.
            value: format_float(alert.value),
            active_at: alert.active_at.as_millis(),
            fired_at: fired_at.map(Timestamp::as_millis),
            kept_since: kept_since.map(Timestamp::as_millis),
            resolved_at: resolved_at.map(Timestamp::as_millis),
            last_sent: alert.last_sent.map(Timestamp::as_millis),
        }
    }

    fn alert(self) -> (RuleIdentity, Labels, Alert) {
        let time = Timestamp::from_millis;
        let stage = match (self.fired_at.map(time), self.resolved_at.map(time)) {
            (None, _) => Stage::Pending,
            (Some(since), None) => Stage::Firing { since, kept_since: self.kept_since.map(time) },
            (Some(fired_at), Some(at)) => Stage::Resolved { fired_at, at },
        };
        let alert = Alert {
            annotations: Labels::from_pairs(self.annotations),
            value: self.value.parse().unwrap_or(f64::NAN),
            active_at: time(self.active_at),
            stage,
            last_sent: self.last_sent.map(time),
            input_stale: None,
        };
        let identity = RuleIdentity {
            group: self.group,
            rule: self.rule,
            labels: Labels::from_pairs(self.rule_labels),
            among_equals: self.among_equals,
        };
        (identity, Labels::from_pairs(self.labels), alert)
    }
}
