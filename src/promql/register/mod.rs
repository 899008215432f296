//! Which queries run, which ran, and who asked: active queries with a way to stop them, the most expensive of the last
//! thousands, and a line in the query log for each.
//!
//! The life of an entry is a [`Running`]: [`Register::enter`] makes it when a query is asked for, [`Running::starts`]
//! says that it has a place to run, [`Running::ended`] what became of it. One that is dropped before (its asker left
//! the queue) leaves no trace. What time it is comes in with each call.
//!
//! Nothing here evaluates or decides; and no number of queries makes it grow: see the bounds in [`active`] and [`top`].
//!
//! Read next: [`asker`], [`active`], [`top`], [`log`].

pub mod asker;
pub mod active;
pub mod top;
pub mod log;

use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::{Span, StepGrid, Timestamp};
use crate::store::LaneView;

use super::{Answer, Interrupt, QueryError};

pub use active::{ActiveQuery, QueryId};
pub use asker::{Asker, HttpAsker, RuleAsker};
pub use top::{Top, TopEntry};

use active::Active;
use top::Recent;

/// A query as it was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Its text.
    pub text: Arc<str>,
    /// The points it is asked for; one of them for an instant query.
    pub grid: StepGrid,
    /// Who asked.
    pub asker: Asker,
    /// Which lanes of HA pairs it sees.
    pub lanes: LaneView,
}

/// Takes lines for the query log, without the line's end.
pub type WriteLine = Box<dyn Fn(&str) + Send + Sync>;

/// Queries that take this long are worth a warning in the program's own log.
const SLOW: Span = Span::from_secs(5);

/// Bytes of a slow query's text in that log.
const LOGGED_BYTES_MAX: usize = 2048;

/// Keeps account of all queries of a process.
#[derive(Default)]
pub struct Register {
    active: Mutex<Active>,
    recent: Mutex<Recent>,
    write_line: Option<WriteLine>,
}

impl Register {
    /// An empty register; each query that ends is told to `write_line`, if there is one.
    pub fn new(write_line: Option<WriteLine>) -> Self {
        Register { write_line, ..Register::default() }
    }

    /// A query was asked for; `interrupt` is what stops it.
    pub fn enter(self: &Arc<Self>, question: Question, interrupt: &Interrupt, now: Timestamp) -> Running {
        let question = Arc::new(question);
        let id = self.active.lock().add(Arc::clone(&question), interrupt.clone(), now);
        Running { register: Arc::clone(self), id, question, asked_at: now, started_at: now }
    }

    /// The queries that run or wait now, oldest first.
    pub fn active(&self) -> Vec<ActiveQuery> {
        self.active.lock().list()
    }

    /// Stops a query; `false` where none has this id (any more).
    pub fn cancel(&self, id: QueryId) -> bool {
        self.active.lock().cancel(id)
    }

    /// The most expensive queries that ended no longer than `lifetime` ago, at most `most` in each list.
    pub fn top(&self, most: usize, lifetime: Span, now: Timestamp) -> Top {
        self.recent.lock().top(most, lifetime, now)
    }
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Register").field("active", &self.active.lock().len()).finish_non_exhaustive()
    }
}

/// A query from the question to its end.
#[derive(Debug)]
pub struct Running {
    register: Arc<Register>,
    id: QueryId,
    question: Arc<Question>,
    asked_at: Timestamp,
    started_at: Timestamp,
}

impl Running {
    /// It has a place now; what went before was waiting.
    pub fn starts(&mut self, now: Timestamp) {
        self.started_at = now;
        self.register.active.lock().starts(self.id, now);
    }

    /// It came to its end.
    pub fn ended(self, now: Timestamp, outcome: &Result<Answer, QueryError>) {
        let (queued, took) = (self.started_at - self.asked_at, now - self.started_at);
        let peak_bytes = outcome.as_ref().map_or(0, |answer| answer.stats.peak_bytes);
        self.register.recent.lock().add(&self.question, now, took, peak_bytes);
        self.warn_if_slow(took, outcome);
        if let Some(write_line) = &self.register.write_line {
            write_line(&log::line(&self.question, now, queued, took, outcome));
        }
    }

    fn warn_if_slow(&self, took: Span, outcome: &Result<Answer, QueryError>) {
        if took < SLOW {
            return;
        }
        let text = &self.question.text[..self.question.text.floor_char_boundary(LOGGED_BYTES_MAX)];
        let (took_ms, asker) = (took.as_millis(), &self.question.asker);
        match outcome {
            Ok(Answer { stats, .. }) => tracing::warn!(
                target: "weir::query",
                query = text,
                took_ms,
                series = stats.series_fetched,
                samples = stats.samples_read,
                %asker,
                "slow query"
            ),
            Err(error) => {
                tracing::warn!(target: "weir::query", query = text, took_ms, %asker, %error, "slow query failed");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.register.active.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests;
