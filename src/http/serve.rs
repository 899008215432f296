//! The listener: HTTP/1.1 and HTTP/2 on one port, with bounds on what a connection may cost.
//!
//! A connection that sends nothing, or a request head too slowly, is closed soon; one that waits between requests may
//! wait long, since senders keep connections for their next batch. The count of connections is bounded: past it, new
//! ones wait in the kernel's queue. A client that stops reading its answer is dropped after a while.
//!
//! TLS, where it is switched on, is shaken hands over here too, within the time that a request's head may take.
//!
//! Timers here measure how long a socket waits; what time it is remains the clock's business.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tower::util::MapRequest;

use super::asker::Peer;
use super::metrics::Metrics;
use super::tls::{Tls, TlsAcceptance};

/// Bounds of the listener.
#[derive(Clone, Debug)]
pub struct ListenSettings {
    /// Open connections.
    pub connections_max: usize,
    /// From a request's first byte (or a connection's start) to the end of its head.
    pub head_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Without a byte being taken by a client that is owed some.
    pub stall_timeout: Duration,
    /// Bytes of a request's head.
    pub head_bytes_max: usize,
    /// Requests under way at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// How long requests under way may take to end after a shutdown began.
    pub drain_timeout: Duration,
}

impl Default for ListenSettings {
    fn default() -> Self {
        ListenSettings {
            connections_max: 10_000,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            stall_timeout: Duration::from_secs(60),
            head_bytes_max: 256 * 1024,
            streams_max: 250,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Pause after an accept that failed for want of file descriptors: trying at once would spin.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// Answers connections until `shutdown` ends, then lets requests under way end within the drain timeout.
///
/// # Errors
/// None at present; accepting goes on after every failure that a single connection may cause.
pub async fn listen(
    listener: TcpListener,
    router: Router,
    settings: ListenSettings,
    tls: Tls,
    metrics: Metrics,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(settings.connections_max));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // A place first: past the bound, connections wait in the kernel and not here.
            accepted = async {
                let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
                (place, listener.accept().await)
            } => accepted,
        };
        let (place, (stream, peer)) = match accepted {
            (place, Ok((stream, peer))) => (place, (stream, Peer(peer))),
            (_, Err(error)) => {
                tracing::warn!(%error, "accept connection");
                tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
                continue;
            }
        };
        // Answers are written in pages; waiting to fill a packet would only delay the last one.
        let _ = stream.set_nodelay(true);
        metrics.connections.inc();
        let open = Open(metrics.connections.clone());
        let door = Door { settings: settings.clone(), router: router.clone(), peer, watcher: graceful.watcher() };
        let acceptance = tls.load_full();
        tokio::spawn(async move {
            let _place = (place, open);
            match acceptance {
                None => door.serve(stream).await,
                Some(acceptance) => door.serve_tls(stream, &acceptance).await,
            }
        });
    }
    drop(listener);
    let under_way = graceful.count();
    if tokio::time::timeout(settings.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = under_way, "connections were cut: requests did not end within the drain timeout");
    }
    Ok(())
}

/// Counts a connection as open until it is dropped.
struct Open(prometheus_client::metrics::gauge::Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One connection on its way in.
struct Door {
    settings: ListenSettings,
    router: Router,
    peer: Peer,
    watcher: Watcher,
}

impl Door {
    /// Shakes hands within the time that a request's head may take, and serves what comes.
    async fn serve_tls(self, stream: TcpStream, acceptance: &TlsAcceptance) {
        let shaking = TlsAcceptor::from(Arc::clone(&acceptance.config)).accept(stream);
        match tokio::time::timeout(self.settings.head_timeout, shaking).await {
            Ok(Ok(stream)) => {
                let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
                match acceptance.lets_in(certificate) {
                    true => self.serve(stream).await,
                    false => tracing::debug!(peer = %self.peer.0, "client certificate has none of the names allowed"),
                }
            }
            Ok(Err(error)) => tracing::debug!(peer = %self.peer.0, %error, "TLS handshake"),
            Err(_) => tracing::debug!(peer = %self.peer.0, "TLS handshake took too long"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Door { settings, router, peer, watcher } = self;
        let pace = Arc::new(Pace::new(&settings));
        let greeting = Some(Box::pin(tokio::time::sleep(settings.head_timeout)));
        let io = TokioIo::new(Paced { stream, pace: Arc::clone(&pace), received: 0, greeting, stalled: None });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(HeadTimer(pace))
            // The timer decides; this only switches it on.
            .header_read_timeout(settings.head_timeout)
            .max_buf_size(settings.head_bytes_max.max(8192));
        builder
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(settings.head_timeout)
            .max_concurrent_streams(settings.streams_max)
            .max_header_list_size(u32::try_from(settings.head_bytes_max).unwrap_or(u32::MAX));
        let from_peer = move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer);
            request
        };
        let service = TowerToHyperService::new(MapRequest::new(router, from_peer));
        let connection = builder.serve_connection(io, service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(error, "connection ended");
        }
    }
}

/// After this many bytes it is clear whether a client speaks HTTP/2.
const HTTP2_PREFACE_BYTES: usize = 24;

/// How a connection stands: what tells an idle one from a slow one.
struct Pace {
    /// Since when a request is being received, from its first byte; `None` between requests.
    receiving_since: Mutex<Option<Instant>>,
    head_timeout: Duration,
    idle_timeout: Duration,
    stall_timeout: Duration,
}

impl Pace {
    fn new(settings: &ListenSettings) -> Self {
        Pace {
            // A new connection owes its first request at once.
            receiving_since: Mutex::new(Some(Instant::now())),
            head_timeout: settings.head_timeout,
            idle_timeout: settings.idle_timeout,
            stall_timeout: settings.stall_timeout,
        }
    }

    fn received(&self) {
        self.receiving_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    fn answered(&self) {
        *self.receiving_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn head_deadline(&self, waiting_since: Instant) -> Instant {
        let receiving_since = *self.receiving_since.lock().unwrap_or_else(PoisonError::into_inner);
        match receiving_since {
            Some(first_byte) => first_byte.max(waiting_since) + self.head_timeout,
            None => waiting_since + self.idle_timeout,
        }
    }
}

/// hyper's timer for request heads. hyper starts it when it begins to wait for a request, and would close connections
/// that are merely idle; this one moves the deadline according to [`Pace`].
struct HeadTimer(Arc<Pace>);

impl hyper::rt::Timer for HeadTimer {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let waiting_since = Instant::now();
        let deadline = self.0.head_deadline(waiting_since);
        Box::pin(HeadSleep {
            pace: Arc::clone(&self.0),
            waiting_since,
            sleep: Box::pin(tokio::time::sleep_until(deadline)),
        })
    }

    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep(Duration::ZERO)
    }
}

struct HeadSleep {
    pace: Arc<Pace>,
    waiting_since: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl hyper::rt::Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.pace.head_deadline(self.waiting_since);
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(context)
    }
}

/// A stream that notes its pace, and fails when its reader stalls.
struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    /// Bytes so far.
    received: usize,
    /// Runs until it is clear which HTTP is spoken, which hyper finds out without a timer of its own.
    greeting: Option<Pin<Box<Sleep>>>,
    /// Runs while bytes wait to be taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    /// Passes on the outcome of a write; a write that waits too long fails.
    fn written<T>(&mut self, outcome: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            self.greeting = None;
            self.pace.answered();
            return outcome;
        }
        let timeout = self.pace.stall_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(context, into);
        let read = into.filled().len() - before;
        if read > 0 {
            self.pace.received();
            self.received += read;
        }
        if self.received >= HTTP2_PREFACE_BYTES {
            self.greeting = None;
        }
        match (&outcome, self.greeting.as_mut()) {
            (Poll::Pending, Some(greeting)) => greeting
                .as_mut()
                .poll(context)
                .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "no request came"))),
            _ => outcome,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(outcome, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
