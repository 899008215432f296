//! Several Weirs that evaluate the same rules: what each of them finds is a lane of one series, here and at the others.
//!
//! ```text
//!   tick at t here  (a)  -> own store, lane a -> queue -> POST /api/v1/write of b, lane a
//!   tick at t there (b)  -> own store, lane b -> queue -> POST /api/v1/write of a, lane b
//! ```
//!
//! Ticks depend on the clock, the file's name and the group's alone, so both lanes have their samples at the same
//! instants, and whichever lane leads, the series has one sample a tick. While one Weir is down the other's lane fills
//! its holes: at once in the store that ran on, and in the other from the queue that waited for it.
//!
//! The lanes belong to an HA group of their own, whatever labels the results have: an evaluator is no replica of the
//! Prometheus pair whose series it reads, and says nothing of how far that has delivered.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::model::{Replica, with_causes};
use crate::store::{Appended, BatchSeries, EVALUATORS, MetricMetadata, SampleSink, SeriesBatch, StoreError};

use super::metrics::{Metrics, PeerMetrics};
use super::notify::client::HttpClient;
use super::notify::config::{Access, Secret};
use super::notify::courier::{Backoff, Courier, Rest, deliver};

/// Most bytes that wait for one peer; beyond, the oldest go.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Most series in one request.
const SERIES_MAX: usize = 10_000;
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The first and the longest pause after a request that was not taken.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// How long a stop may take to deliver what still waits.
const DRAIN: Duration = Duration::from_secs(5);

/// Writes series of a batch down as a remote write request; that language lives in another room, and is handed in.
pub type Encode = fn(&SeriesBatch<'_>, &[BatchSeries<'_>]) -> Vec<u8>;

/// Who else evaluates the same rules.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This Weir's name among them; empty: it is alone.
    pub replica: String,
    /// The URLs of the others.
    pub urls: Vec<String>,
    /// The file with a token that they take; empty: none is needed.
    pub token_file: String,
    /// Writes requests.
    pub encode: Encode,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { replica: String::new(), urls: Vec::new(), token_file: String::new(), encode: |_, _| Vec::new() }
    }
}

impl Settings {
    /// The lane of what is evaluated here.
    pub fn lane(&self) -> Option<Replica> {
        (!self.replica.is_empty()).then(|| Replica { cluster: EVALUATORS.to_owned(), name: self.replica.clone() })
    }
}

/// The tasks that bring results to the peers.
pub(super) struct Peers {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Peers {
    /// Starts a task for each peer, and gives the sink that fills their queues behind `own`.
    ///
    /// # Errors
    /// Where TLS cannot be set up, in words.
    pub(super) fn start(
        settings: &Settings,
        own: Arc<dyn SampleSink>,
        metrics: &Metrics,
        handle: &Handle,
    ) -> Result<(Peers, Arc<dyn SampleSink>), String> {
        let (stop, mut tasks, mut queues) = (CancellationToken::new(), Vec::new(), Vec::new());
        let authorization =
            (!settings.token_file.is_empty()).then(|| ("Bearer".to_owned(), Secret::File(settings.token_file.clone())));
        let access = Access { authorization, ..Access::default() };
        for url in &settings.urls {
            let queue = Arc::new(Queue::new(metrics.peer(url)));
            let courier = Peer {
                url: format!("{}/api/v1/write", url.trim_end_matches('/')),
                client: HttpClient::new(&access, TIMEOUT)?,
                replica: settings.replica.clone(),
                queue: queue.clone(),
                backoff: Backoff::new(PAUSES.0, PAUSES.1),
            };
            tasks.push(handle.spawn(deliver(courier, DRAIN, stop.clone())));
            queues.push(queue);
        }
        let sink = match queues.is_empty() {
            true => own,
            false => Arc::new(Shared { own, queues, encode: settings.encode }),
        };
        Ok((Peers { stop, tasks }, sink))
    }

    /// Delivers what still waits, bounded in time. Not for a thread that drives the runtime.
    pub(super) fn stop(&mut self, handle: &Handle) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            if let Err(failure) = handle.block_on(task) {
                tracing::error!(%failure, "a peer's task ended badly");
            }
        }
    }
}

/// The own store first; what it took goes to the peers as well.
struct Shared {
    own: Arc<dyn SampleSink>,
    queues: Vec<Arc<Queue>>,
    encode: Encode,
}

impl SampleSink for Shared {
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        let appended = self.own.append(batch)?;
        for series in batch.series.chunks(SERIES_MAX) {
            let body = Bytes::from((self.encode)(batch, series));
            self.queues.iter().for_each(|queue| queue.push(body.clone()));
        }
        Ok(appended)
    }

    fn append_metadata(&self, metadata: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        self.own.append_metadata(metadata)
    }
}

/// The requests that wait for one peer, oldest first.
struct Queue {
    waiting: Mutex<(VecDeque<Bytes>, usize)>,
    filled: Notify,
    metrics: PeerMetrics,
}

impl Queue {
    fn new(metrics: PeerMetrics) -> Self {
        Queue { waiting: Mutex::default(), filled: Notify::new(), metrics }
    }

    fn push(&self, body: Bytes) {
        let mut waiting = self.waiting.lock();
        waiting.1 += body.len();
        waiting.0.push_back(body);
        while waiting.1 > WAITING_BYTES_MAX
            && let Some(oldest) = waiting.0.pop_front()
        {
            waiting.1 -= oldest.len();
            self.metrics.dropped.inc();
        }
        self.metrics.waiting_bytes.set(waiting.1 as i64);
        drop(waiting);
        self.filled.notify_one();
    }

    /// The oldest; it stays until it is known to have arrived, or not to be wanted.
    fn first(&self) -> Option<Bytes> {
        self.waiting.lock().0.front().cloned()
    }

    /// Takes `body` out, unless it was dropped meanwhile.
    fn remove(&self, body: &Bytes) {
        let mut waiting = self.waiting.lock();
        if waiting.0.front().is_some_and(|first| first.as_ptr() == body.as_ptr()) {
            waiting.1 -= body.len();
            waiting.0.pop_front();
        }
        self.metrics.waiting_bytes.set(waiting.1 as i64);
    }
}

/// Brings results to one peer.
struct Peer {
    url: String,
    client: HttpClient,
    replica: String,
    queue: Arc<Queue>,
    backoff: Backoff,
}

impl Peer {
    /// # Errors
    /// Why it was not taken, and whether it never will be.
    async fn post(&self, body: Bytes) -> Result<(), (String, bool)> {
        let request = self.client.request(|client| client.post(&self.url)).await.map_err(|why| (why, false))?;
        let request = request
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0")
            .header("X-Weir-Replica", &self.replica)
            .header("X-Weir-Cluster", EVALUATORS);
        let response = request.body(body).send().await.map_err(|failure| (with_causes(&failure), false))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text: String = response.text().await.unwrap_or_default().chars().take(200).collect();
        // Bad samples stay bad; whatever else there is may pass.
        Err((format!("{status}: {}", text.trim()), matches!(status.as_u16(), 400 | 413 | 415 | 422)))
    }
}

impl Courier for Peer {
    async fn turn(&mut self) -> Rest {
        let Some(body) = self.queue.first() else { return Rest::UntilFilled };
        match self.post(body.clone()).await {
            Ok(()) => {
                self.queue.metrics.sent.inc();
                self.queue.remove(&body);
                self.backoff.reset()
            }
            Err((why, for_good)) => {
                self.queue.metrics.failed.inc();
                tracing::warn!(peer = self.url, %why, retry = !for_good, "results of rules could not be sent");
                if for_good {
                    self.queue.remove(&body);
                    return self.backoff.reset();
                }
                self.backoff.grow()
            }
        }
    }

    async fn filled(&self) {
        self.queue.filled.notified().await;
    }

    fn waiting(&self) -> usize {
        self.queue.waiting.lock().0.len()
    }

    fn receiver(&self) -> &str {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_keeps_the_newest_requests_that_have_room() {
        let queue = Queue::new(PeerMetrics::default());
        let body = |byte: u8| Bytes::from(vec![byte; WAITING_BYTES_MAX / 4]);
        (0..4).for_each(|byte| queue.push(body(byte)));
        let first = queue.first().unwrap();
        queue.push(body(4));
        assert_eq!((queue.metrics.dropped.get(), queue.first().unwrap()[0]), (1, 1));
        // It was dropped while it was on its way: the next one stays.
        queue.remove(&first);
        assert_eq!(queue.first().unwrap()[0], 1);
        queue.remove(&queue.first().unwrap());
        assert_eq!(
            (queue.first().unwrap()[0], queue.metrics.waiting_bytes.get()),
            (2, (WAITING_BYTES_MAX / 4 * 3) as i64)
        );
    }
}
