//! Delivering from a queue, whatever it holds and whoever takes it: turn after turn until told to stop, then what is
//! left, bounded in time.
//!
//! A [`Courier`] knows no time: each turn ends with how long to rest before the next one. So a test can live through
//! ten minutes of a dead receiver by counting.

use std::future::Future;

use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Takes from a queue and delivers.
pub(in crate::rules) trait Courier: Send + Sync + 'static {
    /// At most one request.
    fn turn(&mut self) -> impl Future<Output = Rest> + Send;

    /// Waits until something was added to the queue; may return early.
    fn filled(&self) -> impl Future<Output = ()> + Send;

    /// How many wait.
    fn waiting(&self) -> usize;

    /// Whom it brings it, for the log.
    fn receiver(&self) -> &str;
}

/// What follows a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rules) enum Rest {
    /// The next turn, at once.
    None,
    /// Nothing waits.
    UntilFilled,
    /// The receiver did not take it, and needs time.
    For(Duration),
}

/// The pauses between requests to somebody who takes nothing: each twice as long as the one before.
#[derive(Clone, Copy, Debug)]
pub(in crate::rules) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(in crate::rules) fn new(min: Duration, max: Duration) -> Self {
        Backoff { min, max, next: min }
    }

    /// After a request that was taken.
    pub(in crate::rules) fn reset(&mut self) -> Rest {
        self.next = self.min;
        Rest::None
    }

    /// After one that was not.
    pub(in crate::rules) fn grow(&mut self) -> Rest {
        let rest = Rest::For(self.next);
        self.next = (self.next * 2).min(self.max);
        rest
    }
}

/// Delivers until told to stop, then what is left, for as long as `drain` allows.
pub(in crate::rules) async fn deliver(mut courier: impl Courier, drain: Duration, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let rest = tokio::select! {
            rest = courier.turn() => rest,
            // A stop does not wait for a silent receiver longer than for a full queue.
            () = async { stop.cancelled().await; sleep(drain).await } => return,
        };
        let rested = async {
            match rest {
                Rest::None => {}
                Rest::UntilFilled => courier.filled().await,
                Rest::For(pause) => sleep(pause).await,
            }
        };
        tokio::select! {
            () = rested => {}
            () = stop.cancelled() => {}
        }
    }
    let drained = timeout(drain, async {
        while courier.waiting() > 0 {
            if let Rest::For(pause) = courier.turn().await {
                sleep(pause).await;
            }
        }
    });
    if drained.await.is_err() {
        let (receiver, left) = (courier.receiver(), courier.waiting());
        tracing::error!(receiver, left, "stop with something undelivered");
    }
}
