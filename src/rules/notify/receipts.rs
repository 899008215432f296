//! What was delivered: the way back from notifiers to groups.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Labels, Timestamp};
use crate::rules::journal::RuleIdentity;

/// Which alert of which rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AlertKey {
    /// The rule.
    pub rule: Arc<RuleIdentity>,
    /// The alert's labels.
    pub labels: Labels,
}

/// When each alert was last said to some Alertmanager that took it: the time of the tick that said it. A receipt is
/// read once, by the rule's next tick.
#[derive(Default)]
pub struct Receipts(Mutex<HashMap<Arc<RuleIdentity>, HashMap<Labels, Timestamp>>>);

impl Receipts {
    /// Notes a delivery; the latest said time stays.
    pub fn note(&self, delivered: impl IntoIterator<Item = (Arc<AlertKey>, Timestamp)>) {
        let mut rules = self.0.lock();
        for (key, said_at) in delivered {
            let at = rules.entry(key.rule.clone()).or_default().entry(key.labels.clone()).or_insert(said_at);
            *at = said_at.max(*at);
        }
    }

    /// Takes the receipts of one rule.
    pub fn take(&self, rule: &RuleIdentity) -> HashMap<Labels, Timestamp> {
        self.0.lock().remove(rule).unwrap_or_default()
    }
}
