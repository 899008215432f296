//! Answers that are read from the store while they leave: a thread reads, the client's pace sets its own.
//!
//! At most [`FRAMES_WAITING_MAX`] pages wait between the two, so an answer of any length costs that much memory. An
//! error before the first page is a status; after it, the body breaks off, so that nobody takes a half for the whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

use crate::store::StoreError;

use super::error::{ApiError, ErrorKind};

/// Pages between reader and client.
pub(super) const FRAMES_WAITING_MAX: usize = 4;

/// A page leaves once it holds this many bytes.
pub(super) const PAGE_BYTES: usize = 64 * 1024;

/// What goes through the pipe.
pub(super) enum Piece {
    Page(Bytes),
    Failed(ApiError),
    /// Everything is said; a pipe that ends without it broke.
    End,
}

/// Where a thread writes an answer.
pub(super) struct Pipe {
    sender: mpsc::Sender<Piece>,
    page: Vec<u8>,
}

/// Why a thread may stop writing.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The client has gone.
    Gone,
    /// The store or a limit says no.
    Failed(ApiError),
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Stopped::Failed(error.into())
    }
}

impl From<ApiError> for Stopped {
    fn from(error: ApiError) -> Self {
        Stopped::Failed(error)
    }
}

impl Pipe {
    /// The page under way. Whoever writes to it calls [`turn`](Self::turn) between small pieces.
    pub(super) fn page(&mut self) -> &mut Vec<u8> {
        &mut self.page
    }

    /// Sends the page if it is full.
    ///
    /// # Errors
    /// Where the client has gone.
    pub(super) fn turn(&mut self) -> Result<(), Stopped> {
        if self.page.len() >= PAGE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Stopped> {
        if self.page.is_empty() {
            return Ok(());
        }
        let page = std::mem::replace(&mut self.page, Vec::with_capacity(PAGE_BYTES + PAGE_BYTES / 8));
        self.sender.blocking_send(Piece::Page(page.into())).map_err(|_| Stopped::Gone)
    }
}

/// Runs `work` against a pipe of its own until it ends; for a thread that may block.
pub(super) fn run(sender: mpsc::Sender<Piece>, work: impl FnOnce(&mut Pipe) -> Result<(), Stopped>) {
    let mut pipe = Pipe { sender, page: Vec::new() };
    let done = work(&mut pipe).and_then(|()| pipe.flush());
    let last = match done {
        Ok(()) => Piece::End,
        Err(Stopped::Failed(error)) => Piece::Failed(error),
        Err(Stopped::Gone) => return,
    };
    // Who has gone needs no end.
    let _ = pipe.sender.blocking_send(last);
}

/// The body at the other end of the pipe.
///
/// # Errors
/// What failed before the first page was full.
pub(super) async fn body(mut receiver: mpsc::Receiver<Piece>) -> Result<Body, ApiError> {
    match receiver.recv().await {
        Some(Piece::Page(first)) => match receiver.try_recv() {
            // Short answers leave whole, with their length.
            Ok(Piece::End) => Ok(Body::from(first)),
            Ok(next) => Ok(Body::new(Pages { waiting: vec![next, Piece::Page(first)], receiver, ended: false })),
            Err(_) => Ok(Body::new(Pages { waiting: vec![Piece::Page(first)], receiver, ended: false })),
        },
        Some(Piece::End) => Ok(Body::empty()),
        Some(Piece::Failed(error)) => Err(error),
        None => Err(ApiError::new(ErrorKind::Internal, "internal error: a bug ended this request; the log has more")),
    }
}

struct Pages {
    /// What was received already, last first.
    waiting: Vec<Piece>,
    receiver: mpsc::Receiver<Piece>,
    ended: bool,
}

impl HttpBody for Pages {
    type Data = Bytes;
    type Error = ApiError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ApiError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let piece = match self.waiting.pop() {
            Some(piece) => Some(piece),
            None => match self.receiver.poll_recv(context) {
                Poll::Ready(piece) => piece,
                Poll::Pending => return Poll::Pending,
            },
        };
        match piece {
            Some(Piece::Page(page)) => Poll::Ready(Some(Ok(Frame::data(page)))),
            Some(Piece::End) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Some(Piece::Failed(error)) => {
                self.ended = true;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.ended = true;
                Poll::Ready(Some(Err(ApiError::new(ErrorKind::Internal, "the answer broke off"))))
            }
        }
    }
}
