//! One alert's life, as data.
//!
//! ```text
//!             the expression holds           ... for `for`              ... no more
//!   (nothing) ---------------------> Pending ------------> Firing ---------------------> Resolved --15 min--> (nothing)
//!                                       |                    ^ |  keep_firing_for: stays Firing
//!                                       +--- no more ---> (nothing)
//! ```
//!
//! Names of times are Prometheus': `active_at` is when the expression began to hold, `fired_at` when the alert began
//! to fire. The steps between states are taken in [`alerting`](super::alerting).

use std::collections::BTreeMap;

use crate::model::{Labels, Span, Timestamp};

/// How long a resolved alert is kept, so that a notifier which missed the news still hears it.
/// (Prometheus: `resolvedRetention`.)
pub const RESOLVED_KEPT: Span = Span::from_millis(15 * 60 * 1000);

/// The alerts of one rule, by their labels.
pub type Alerts = BTreeMap<Labels, Alert>;

/// One alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Expanded annotations, as of the last evaluation that found the expression holding.
    pub annotations: Labels,
    /// The expression's value then.
    pub value: f64,
    /// Since when the expression holds.
    pub active_at: Timestamp,
    /// Where it stands.
    pub stage: Stage,
    /// When a notifier last took it; set after delivery, never before.
    pub last_sent: Option<Timestamp>,
    /// Why it stands where it is though the expression does not hold: what it reads has not been delivered.
    pub input_stale: Option<String>,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The expression holds, but not long enough yet.
    Pending,
    /// It fires.
    Firing {
        /// Since when.
        since: Timestamp,
        /// Since when it only fires because of `keep_firing_for`.
        kept_since: Option<Timestamp>,
    },
    /// It fired, and does so no more.
    Resolved {
        /// When it had begun to fire.
        fired_at: Timestamp,
        /// When it ended.
        at: Timestamp,
    },
}

impl Alert {
    /// Whether it is pending or firing.
    pub fn is_active(&self) -> bool {
        !matches!(self.stage, Stage::Resolved { .. })
    }

    /// Whether notifiers are due to hear of it at `at`: at once when it changed, then every `resend_delay`.
    /// (Prometheus: `Alert.needsSending`, but `last_sent` is the time of a delivery.)
    pub fn needs_sending(&self, at: Timestamp, resend_delay: Span) -> bool {
        let changed_at = match self.stage {
            Stage::Pending => return false,
            Stage::Firing { since, .. } => since,
            Stage::Resolved { at, .. } => at,
        };
        self.last_sent.is_none_or(|sent| sent < changed_at || sent + resend_delay <= at)
    }

    /// Whether `other` differs in what must outlive the process: its stage and when it began, not its value.
    pub fn differs_durably(&self, other: &Alert) -> bool {
        (self.active_at, self.stage, self.last_sent) != (other.active_at, other.stage, other.last_sent)
    }
}
