//! Whether the program is up. The listener opens before storage is recovered, so that health checks are answered and
//! show how far recovery is.

use std::sync::{Mutex, PoisonError};

/// How far the program is. Set by `app`, read by every request.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<Phase>);

/// The phases of the program's life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is known yet.
    #[default]
    Starting,
    /// The log is being replayed.
    Recovering {
        /// Replayed so far, in whatever `total` counts.
        done: u64,
        /// What there is to replay.
        total: u64,
        /// A sentence for a person.
        what: String,
    },
    /// Requests are answered.
    Ready,
    /// Requests under way are finished, new ones should go elsewhere.
    Stopping,
}

impl Readiness {
    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// The phase as it stands.
    pub fn phase(&self) -> Phase {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why requests cannot be answered, if so. While stopping, what still arrives is answered.
    pub fn obstacle(&self) -> Option<String> {
        let phase = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*phase {
            Phase::Ready | Phase::Stopping => None,
            Phase::Starting => Some("starting".to_owned()),
            Phase::Recovering { done, total, what } => {
                let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(0);
                Some(format!("{what}: {done} of {total} ({percent} %)"))
            }
        }
    }
}
