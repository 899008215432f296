//! How long something takes, for rooms that have no clock.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Tells the time since some fixed moment; only differences mean something. Clones tell the same.
#[derive(Clone)]
pub struct Stopwatch(pub Arc<dyn Fn() -> Duration + Send + Sync>);

impl Stopwatch {
    /// Shows zero for ever: for those who do not want to know.
    pub fn standing() -> Self {
        Stopwatch(Arc::new(|| Duration::ZERO))
    }

    /// Time since the fixed moment.
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Stopwatch {
    fn default() -> Self {
        Stopwatch::standing()
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopwatch")
    }
}
