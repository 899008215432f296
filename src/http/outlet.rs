//! Where a query writes its answer while it works it out.
//!
//! The first pages are kept back, so that an answer of usual size leaves whole, with its length, and whatever fails until
//! then is told with a status. Once they hold [`KEPT_BYTES_MAX`], they leave, and each page behind them as soon as it is
//! full; at most [`FRAMES_WAITING_MAX`] wait for the reader, so that an answer of any size costs that much memory. What
//! fails then breaks the body off: nobody takes a half for the whole.
//!
//! A reader that is slower than the query costs a place in the queue, not one of those that run: whoever waits for a
//! reader lets another query run meanwhile. And a query's time is the time that its reader waits.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, Sleep};

use crate::promql::{Interrupt, QueryError};

use super::error::{ApiError, ErrorKind};
use super::gate::Place;
use super::json::Json;
use super::json::pages::{PAGE_BYTES, Sheets};
use super::stream::{FRAMES_WAITING_MAX, Piece};

/// Bytes of an answer that are kept back before it begins to leave.
const KEPT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// One of the places of those that run, which may be lent to others.
pub(super) struct Turn {
    running: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    /// Queries may run on threads that the runtime knows nothing of.
    runtime: Handle,
}

impl Turn {
    /// For a task of the runtime to make.
    pub(super) fn new(running: Arc<Semaphore>, permit: OwnedSemaphorePermit) -> Self {
        Turn { running, permit: Some(permit), runtime: Handle::current() }
    }

    /// Lets others run while `wait` blocks.
    fn lent_while<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        self.permit = None;
        let waited = wait();
        self.permit = self.runtime.block_on(Arc::clone(&self.running).acquire_owned()).ok();
        waited
    }
}

/// The pages of an answer under way.
pub(super) struct Outlet {
    json: Json,
    kept: VecDeque<Bytes>,
    kept_bytes: usize,
    leaving: Leaving,
    turn: Turn,
}

enum Leaving {
    /// Nothing left yet; who waits for the first pages.
    Not(Option<oneshot::Sender<Begun>>),
    To(mpsc::Sender<Piece>),
}

/// An answer that begins to leave before it is complete.
pub(super) struct Begun {
    kept: VecDeque<Bytes>,
    rest: mpsc::Receiver<Piece>,
}

impl Sheets for Outlet {
    type Stop = QueryError;

    fn page(&mut self) -> &mut Json {
        &mut self.json
    }

    fn turn_page(&mut self) -> Result<(), QueryError> {
        if self.json.len() >= PAGE_BYTES { self.flush() } else { Ok(()) }
    }
}

impl Outlet {
    pub(super) fn new(turn: Turn, begun: oneshot::Sender<Begun>) -> Self {
        let leaving = Leaving::Not(Some(begun));
        Outlet { json: Json::default(), kept: VecDeque::new(), kept_bytes: 0, leaving, turn }
    }

    fn flush(&mut self) -> Result<(), QueryError> {
        let page = Bytes::from(self.json.take());
        if let Leaving::Not(begun) = &mut self.leaving {
            self.kept_bytes += page.len();
            self.kept.push_back(page);
            if self.kept_bytes < KEPT_BYTES_MAX {
                return Ok(());
            }
            let (sender, rest) = mpsc::channel(FRAMES_WAITING_MAX);
            let begun = begun.take().expect("an answer begins once");
            begun.send(Begun { kept: std::mem::take(&mut self.kept), rest }).map_err(|_| gone())?;
            self.leaving = Leaving::To(sender);
            return Ok(());
        }
        self.send(Piece::Page(page)).map_err(|()| gone())
    }

    fn send(&mut self, piece: Piece) -> Result<(), ()> {
        let Leaving::To(sender) = &self.leaving else { return Ok(()) };
        match sender.try_send(piece) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(()),
            Err(mpsc::error::TrySendError::Full(piece)) => {
                self.turn.lent_while(|| sender.blocking_send(piece)).map_err(|_| ())
            }
        }
    }

    /// Ends the answer. What did not leave yet comes back, and so does an error that can still be told.
    pub(super) fn end(mut self, outcome: Result<(), ApiError>) -> Result<VecDeque<Bytes>, ApiError> {
        if let Leaving::Not(_) = self.leaving {
            outcome?;
            self.kept.push_back(Bytes::from(self.json.take()));
            return Ok(self.kept);
        }
        let outcome = match outcome {
            Ok(()) => match self.flush() {
                Ok(()) => Piece::End,
                Err(_) => return Ok(VecDeque::new()),
            },
            Err(error) => Piece::Failed(error),
        };
        // Who has gone needs no end.
        let _ = self.send(outcome);
        Ok(VecDeque::new())
    }
}

fn gone() -> QueryError {
    QueryError::Canceled("the writing of the answer")
}

/// Stops a query when nobody waits for it any more.
pub(super) struct CancelWhenDropped(pub(super) Interrupt);

impl Drop for CancelWhenDropped {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The body of an answer that is complete.
pub(super) fn whole(mut pages: VecDeque<Bytes>, place: Place) -> Body {
    pages.retain(|page| !page.is_empty());
    Body::new(Pages { pages, rest: None, _place: place })
}

/// The body of an answer that is still being worked out, for at most `time_left` in which its reader waits.
pub(super) fn begun(begun: Begun, time_left: Duration, watch: CancelWhenDropped, place: Place) -> Body {
    let rest = Rest { pieces: begun.rest, time_left, deadline: None, watch };
    Body::new(Pages { pages: begun.kept, rest: Some(rest), _place: place })
}

struct Pages {
    pages: VecDeque<Bytes>,
    /// `None` once everything is here.
    rest: Option<Rest>,
    _place: Place,
}

struct Rest {
    pieces: mpsc::Receiver<Piece>,
    time_left: Duration,
    /// Set while the reader waits.
    deadline: Option<Pin<Box<Sleep>>>,
    watch: CancelWhenDropped,
}

impl Rest {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Piece>> {
        if let Poll::Ready(piece) = self.pieces.poll_recv(context) {
            if let Some(deadline) = self.deadline.take() {
                self.time_left = deadline.deadline().saturating_duration_since(Instant::now());
            }
            return Poll::Ready(piece);
        }
        let time_left = self.time_left;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(time_left)));
        std::task::ready!(deadline.as_mut().poll(context));
        self.watch.0.time_out();
        let error = QueryError::Timeout("expression evaluation");
        Poll::Ready(Some(Piece::Failed(ApiError::query("query", error))))
    }
}

impl HttpBody for Pages {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        if let Some(page) = self.pages.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(page))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let error = match std::task::ready!(rest.poll(context)) {
            Some(Piece::Page(page)) => return Poll::Ready(Some(Ok(Frame::data(page)))),
            Some(Piece::End) => {
                self.rest = None;
                return Poll::Ready(None);
            }
            Some(Piece::Failed(error)) => error,
            None => ApiError::new(ErrorKind::Internal, "the answer broke off"),
        };
        tracing::warn!(target: "weir::query", %error, "an answer broke off while it was read");
        self.rest = None;
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.pages.is_empty() && self.rest.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.pages.iter().map(|page| page.len() as u64).sum();
        match &self.rest {
            None => SizeHint::with_exact(known),
            Some(_) => {
                let mut hint = SizeHint::new();
                hint.set_lower(known);
                hint
            }
        }
    }
}
