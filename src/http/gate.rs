//! How blocking work is run: a bounded number at once, a bounded queue, a deadline, and a stop when nobody waits.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Sleep;

use crate::model::Span;
use crate::promql::{Interrupt, QueryError};

use super::error::{ApiError, ErrorKind};
use super::outlet::{self, CancelWhenDropped, Outlet, Turn};
use super::stream;

/// How long an interrupted query may take to notice before its asker is answered without it.
const NOTICE_WITHIN: Duration = Duration::from_secs(1);

/// Of the runtime's threads, one of so many may be busy with queries, which may take long,
const QUERIES_SHARE: usize = 4;
/// and one of so many with brief work: the others are there for everyone else.
const BRIEF_SHARE: usize = 2;

/// A place inside a gate, given back when the last copy goes. Whoever holds the result of a query in memory keeps its
/// place too, so that slow readers of large answers are bounded as well.
#[derive(Clone, Debug)]
pub struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Lets a bounded number through; a bounded number waits; the rest is turned away.
#[derive(Clone, Debug)]
pub struct Gate {
    running: Arc<Semaphore>,
    /// One permit for everyone inside, running or waiting.
    inside: Arc<Semaphore>,
    /// Threads of the runtime that are busy with brief work.
    lent: Arc<AtomicUsize>,
    what: &'static str,
}

impl Gate {
    /// For `running` at once and `waiting` behind them; `what` names them in errors.
    pub fn new(what: &'static str, running: usize, waiting: usize) -> Self {
        let places = running.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        Gate {
            running: Arc::new(Semaphore::new(running)),
            inside: Arc::new(Semaphore::new(places)),
            lent: Arc::default(),
            what,
        }
    }

    /// Another gate, which shares the runtime's threads with this one.
    pub fn beside(&self, what: &'static str, running: usize, waiting: usize) -> Self {
        Gate { lent: Arc::clone(&self.lent), ..Gate::new(what, running, waiting) }
    }

    /// How many run now.
    pub fn running_places_left(&self) -> usize {
        self.running.available_permits()
    }

    fn enter(&self) -> Result<Place, ApiError> {
        let permit = self.inside.clone().try_acquire_owned().map_err(|_| {
            ApiError::new(ErrorKind::Unavailable, format!("too many {} are waiting already", self.what))
        })?;
        Ok(Place { _permit: Arc::new(permit) })
    }

    /// Runs a query: on a thread of the runtime, or, where a quarter of those are busy so, on one that may block. Most queries
    /// take less time than handing them to another thread, and back, would. It stops when `timeout` has passed, counted from now, or when the
    /// caller drops the returned future: that is what happens when the client goes away.
    ///
    /// # Errors
    /// `Unavailable` where the queue is full, `Timeout`, or what `work` says; `parameter` names the text's parameter.
    pub async fn run_query<T: Send + 'static>(
        &self,
        timeout: Span,
        interrupt: &Interrupt,
        parameter: &str,
        work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
    ) -> Result<(T, Place), ApiError> {
        let place = self.enter()?;
        let held_by_work = place.clone();
        let mut deadline = Box::pin(tokio::time::sleep(timeout.to_std()));
        let turn = self.turn(&mut deadline, parameter).await?;
        let watch = CancelWhenDropped(interrupt.clone());
        let work = move || {
            // Given back when the work ends, not when its asker leaves.
            let _held = (held_by_work, turn);
            work()
        };
        // A task of its own either way: the connection's goes on watching for the client to leave.
        let mut job = match self.lend(QUERIES_SHARE) {
            Some(lent) => tokio::spawn(async move {
                let _lent = lent;
                work()
            }),
            None => tokio::task::spawn_blocking(work),
        };
        let ended = tokio::select! {
            ended = &mut job => ended,
            () = &mut deadline => {
                interrupt.time_out();
                tokio::time::timeout(NOTICE_WITHIN, &mut job).await.map_err(|_| {
                    ApiError::query(parameter, QueryError::Timeout("expression evaluation"))
                })?
            }
        };
        drop(watch);
        match ended {
            Ok(answer) => Ok((answer.map_err(|error| ApiError::query(parameter, error))?, place)),
            Err(panic) => Err(crashed(panic)),
        }
    }

    /// As [`run_query`](Self::run_query), for a query that writes its answer while it works it out. Once a part of it has
    /// left, what `work` says ends the body and is no longer an error here, and `timeout` counts the time in which the
    /// reader waits.
    ///
    /// # Errors
    /// As [`run_query`](Self::run_query).
    pub(super) async fn answer_query(
        &self,
        timeout: Span,
        interrupt: &Interrupt,
        parameter: &'static str,
        work: impl FnOnce(&mut Outlet) -> Result<(), QueryError> + Send + 'static,
    ) -> Result<axum::body::Body, ApiError> {
        let place = self.enter()?;
        let held_by_work = place.clone();
        let mut deadline = Box::pin(tokio::time::sleep(timeout.to_std()));
        let permit = self.turn(&mut deadline, parameter).await?;
        let turn = Turn::new(Arc::clone(&self.running), permit);
        let watch = CancelWhenDropped(interrupt.clone());
        let (sender, mut begun) = oneshot::channel();
        let mut job = tokio::task::spawn_blocking(move || {
            let _held = held_by_work;
            let mut outlet = Outlet::new(turn, sender);
            let outcome = work(&mut outlet);
            outlet.end(outcome.map_err(|error| ApiError::query(parameter, error)))
        });
        let ended = tokio::select! {
            biased;
            Ok(begun) = &mut begun => {
                let time_left = deadline.deadline().saturating_duration_since(tokio::time::Instant::now());
                return Ok(outlet::begun(begun, time_left, watch, place));
            }
            ended = &mut job => ended,
            () = &mut deadline => {
                interrupt.time_out();
                let late = tokio::time::timeout(NOTICE_WITHIN, &mut job).await;
                late.map_err(|_| ApiError::query(parameter, QueryError::Timeout("expression evaluation")))?
            }
        };
        // It may have begun to leave while it was told to stop.
        if let Ok(begun) = begun.try_recv() {
            return Ok(outlet::begun(begun, Duration::ZERO, watch, place));
        }
        match ended {
            Ok(pages) => Ok(outlet::whole(pages?, place)),
            Err(panic) => Err(crashed(panic)),
        }
    }

    /// A place among those that run.
    async fn turn(&self, deadline: &mut Pin<Box<Sleep>>, parameter: &str) -> Result<OwnedSemaphorePermit, ApiError> {
        tokio::select! {
            biased;
            turn = self.running.clone().acquire_owned() => Ok(turn.expect("the gate is never closed")),
            () = deadline => Err(ApiError::query(parameter, QueryError::Timeout("query queue"))),
        }
    }

    /// Runs work that writes its answer page by page, on a thread that may block; the place is kept until the last page
    /// is taken. `timeout` bounds the wait for the place alone: how long the answer takes is up to who reads it, and
    /// who stops reading is cut off by the listener.
    ///
    /// # Errors
    /// `Unavailable` where the queue is full, `Timeout`, or what `work` says before its first page is full.
    pub(super) async fn stream(
        &self,
        timeout: Span,
        work: impl FnOnce(&mut stream::Pipe) -> Result<(), stream::Stopped> + Send + 'static,
    ) -> Result<axum::body::Body, ApiError> {
        let place = self.enter()?;
        let turn = tokio::time::timeout(timeout.to_std(), self.running.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| ApiError::query("match[]", QueryError::Timeout("query queue")))?;
        let (sender, receiver) = tokio::sync::mpsc::channel(stream::FRAMES_WAITING_MAX);
        tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            stream::run(sender, work);
        });
        stream::body(receiver).await
    }

    /// Runs work that blocks, on the thread that asks: the runtime's other tasks move to another one.
    ///
    /// # Errors
    /// `Unavailable` where the queue is full.
    pub async fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T, ApiError> {
        let _place = self.enter()?;
        let _turn = self.running.clone().acquire_owned().await.expect("the gate is never closed");
        Ok(move_others_away(work))
    }

    /// As [`run`](Self::run), for work of a few milliseconds that comes thousands of times a second: up to half of the
    /// runtime's threads do it without moving their other tasks away, which is a twentieth of the CPU of a write.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_briefly<T>(&self, work: impl FnOnce() -> T) -> Result<T, ApiError> {
        let _place = self.enter()?;
        let _turn = self.running.clone().acquire_owned().await.expect("the gate is never closed");
        Ok(match self.lend(BRIEF_SHARE) {
            Some(_lent) => work(),
            None => move_others_away(work),
        })
    }

    /// A thread of the runtime for work that keeps it busy, if no more than one of `share` are lent so already.
    fn lend(&self, share: usize) -> Option<Lent> {
        let runtime = Handle::current();
        let threads = runtime.metrics().num_workers();
        let lent = Lent(Arc::clone(&self.lent));
        let before = self.lent.fetch_add(1, Ordering::Relaxed);
        (before < threads / share).then_some(lent)
    }
}

fn move_others_away<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// A thread of the runtime that is busy with a gate's work, given back also when the work panics.
struct Lent(Arc<AtomicUsize>);

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn crashed(error: tokio::task::JoinError) -> ApiError {
    match error.try_into_panic() {
        // Caught at the outermost layer, with every other panic of a handler.
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => ApiError::new(ErrorKind::Unavailable, "shutting down"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Blocks a place until told otherwise.
    fn stuck(interrupt: Interrupt) -> impl FnOnce() -> Result<(), QueryError> + Send {
        move || {
            loop {
                interrupt.check()?;
                std::thread::yield_now();
            }
        }
    }

    #[tokio::test]
    async fn a_query_stops_at_its_timeout() {
        let gate = Gate::new("queries", 1, 0);
        let interrupt = Interrupt::default();
        let error = gate
            .run_query(Span::from_millis(10), &interrupt, "query", stuck(interrupt.clone()))
            .await
            .expect_err("it never ends by itself");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Timeout, "query timed out in expression evaluation")
        );
    }

    #[tokio::test]
    async fn a_query_stops_when_its_asker_leaves_and_others_wait_in_a_bounded_queue() {
        let gate = Gate::new("queries", 1, 1);
        let (said, hear) = mpsc::channel();
        let interrupt = Interrupt::default();
        let work = stuck(interrupt.clone());
        let task = {
            let (gate, interrupt) = (gate.clone(), interrupt.clone());
            tokio::spawn(async move {
                gate.run_query(Span::HOUR, &interrupt, "query", move || {
                    said.send("running").unwrap();
                    let ended = work();
                    said.send("stopped").unwrap();
                    ended
                })
                .await
            })
        };
        while hear.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        // One runs, one may wait, a third is turned away.
        let never = Interrupt::default();
        let waiting = gate.run_query(Span::from_millis(20), &never, "query", || Ok(()));
        let third = async {
            tokio::task::yield_now().await;
            gate.run_query(Span::HOUR, &Interrupt::default(), "query", || Ok(())).await
        };
        let (waiting, third) = tokio::join!(waiting, third);
        assert_eq!(waiting.expect_err("no place").message, "query timed out in query queue");
        assert_eq!(third.expect_err("no room").kind, ErrorKind::Unavailable);

        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let heard = tokio::task::spawn_blocking(move || hear.recv()).await.unwrap();
        assert_eq!(heard, Ok("stopped"));
        // The place is free again.
        gate.run_query(Span::HOUR, &Interrupt::default(), "query", || Ok(())).await.unwrap();
    }
}
