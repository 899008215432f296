//! How a running query is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::QueryError;

const RUNNING: u8 = 0;
const TIMED_OUT: u8 = 1;
const CANCELED: u8 = 2;

/// A switch shared by a query and whoever watches over it. The engine looks at it every few thousand samples; the
/// watcher (who has a clock and sees the client go away) flips it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// The query ran out of time.
    pub fn time_out(&self) {
        self.set(TIMED_OUT);
    }

    /// Nobody waits for the answer any more.
    pub fn cancel(&self) {
        self.set(CANCELED);
    }

    fn set(&self, state: u8) {
        // The first reason stays; a failed exchange means there already is one.
        let _ = self.0.compare_exchange(RUNNING, state, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// # Errors
    /// The reason, once the query shall stop.
    pub fn check(&self) -> Result<(), QueryError> {
        match self.0.load(Ordering::Relaxed) {
            RUNNING => Ok(()),
            TIMED_OUT => Err(QueryError::Timeout("expression evaluation")),
            _ => Err(QueryError::Canceled("expression evaluation")),
        }
    }
}
