//! Who writes here: what `/api/v1/targets` shows in place of scrape targets.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::model::{Span, Timestamp};

/// Senders that are remembered; of more the quietest is forgotten.
const SENDERS_MAX: usize = 1_000;

/// A sender that was silent for so long is down. (vmagent and Prometheus send at least every minute: metadata.)
pub(super) const SILENT_AFTER: Span = Span::from_secs(5 * 60);

/// Who a sender is: its address, what it calls itself, and the replica it names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Sender {
    pub(super) address: Option<IpAddr>,
    pub(super) user_agent: String,
    pub(super) replica: String,
    pub(super) path: String,
}

/// What is known of a sender.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) last_at: Timestamp,
    pub(super) took: Span,
    /// Why the last request failed; empty where it did not.
    pub(super) last_error: String,
}

/// All senders since the start.
#[derive(Debug, Default)]
pub(super) struct Senders(Mutex<HashMap<Sender, Seen>>);

impl Senders {
    pub(super) fn saw(&self, sender: Sender, seen: Seen) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SENDERS_MAX && !known.contains_key(&sender) {
            let quietest = known.iter().min_by_key(|(_, seen)| seen.last_at).map(|(sender, _)| sender.clone());
            quietest.map(|quietest| known.remove(&quietest));
        }
        known.insert(sender, seen);
    }

    /// All of them, sorted.
    pub(super) fn all(&self) -> Vec<(Sender, Seen)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.iter().map(|(sender, seen)| (sender.clone(), seen.clone())).collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        all
    }
}
