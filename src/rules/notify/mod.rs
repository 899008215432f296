//! Alerts on their way to Alertmanagers: one queue and one task each, so that a dead one delays nobody.
//!
//! ```text
//!   group::tick --> Notifiers::enqueue --+--> queue --> task --> POST /api/v2/alerts    (batches, timeout, backoff)
//!                                        +--> queue --> task --> ...
//!   group::tick <------- Receipts <---------------------- what was delivered, and when it had been said
//! ```
//!
//! A queue holds one message an alert, the latest: while an Alertmanager is away, news replaces news instead of piling
//! up. Enqueueing never blocks. This is the only part of `rules` that is `async`.
//!
//! Read next: [`queue`], then [`message`], then [`alertmanager`].

mod alertmanager;
mod message;
mod queue;
mod receipts;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use message::{Message, payload};
pub use queue::Queue;
pub use receipts::{AlertKey, Receipts};

use crate::model::Span;
use crate::rules::metrics::Metrics;
use crate::rules::status::NotifierState;
use alertmanager::Alertmanager;

/// Why notifiers cannot start.
#[derive(Debug, thiserror::Error)]
#[error("notifier {url}: {source}")]
pub struct NotifierError {
    url: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// How notifiers are reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Base URLs of the Alertmanagers; each gets every alert.
    pub urls: Vec<String>,
    /// Most messages that wait for one Alertmanager; beyond, the oldest is dropped.
    pub queue_max: usize,
    /// Most messages in one request.
    pub batch_max: usize,
    /// How long one request may take.
    pub timeout: Span,
    /// How long to wait after a failed request; doubles up to `backoff_max`.
    pub backoff_min: Span,
    /// The longest wait between two requests.
    pub backoff_max: Span,
    /// How long a stop may take to deliver what still waits.
    pub drain: Span,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            urls: Vec::new(),
            queue_max: 10_000,
            batch_max: 256,
            timeout: Span::from_secs(10),
            backoff_min: Span::from_millis(500),
            backoff_max: Span::from_secs(15),
            drain: Span::from_secs(5),
        }
    }
}

/// All Alertmanagers.
pub struct Notifiers {
    urls: Vec<String>,
    queues: Vec<Arc<Queue>>,
    receipts: Arc<Receipts>,
    stop: CancellationToken,
    tasks: parking_lot::Mutex<Vec<JoinHandle<()>>>,
    handle: Handle,
}

impl Notifiers {
    /// Starts a task for each Alertmanager on `handle`.
    ///
    /// # Errors
    /// Where a URL is none, or TLS cannot be set up.
    pub fn start(settings: &Settings, metrics: &Metrics, handle: &Handle) -> Result<Self, NotifierError> {
        let (receipts, stop) = (Arc::new(Receipts::default()), CancellationToken::new());
        let mut started = Vec::new();
        // All are checked before one runs.
        for url in &settings.urls {
            let metrics = metrics.notifier(url);
            let queue = Arc::new(Queue::new(settings.queue_max, metrics.clone()));
            started.push((Alertmanager::new(url, settings, metrics)?, queue));
        }
        let queues = started.iter().map(|(_, queue)| queue.clone()).collect();
        let tasks = started
            .into_iter()
            .map(|(alertmanager, queue)| handle.spawn(alertmanager.deliver(queue, receipts.clone(), stop.clone())));
        Ok(Notifiers {
            urls: settings.urls.clone(),
            queues,
            tasks: parking_lot::Mutex::new(tasks.collect()),
            receipts,
            stop,
            handle: handle.clone(),
        })
    }

    /// The base URLs that are sent to.
    pub fn urls(&self) -> Vec<String> {
        self.urls.clone()
    }

    /// How each of them does.
    pub fn states(&self) -> Vec<NotifierState> {
        Vec::new()
    }

    /// What was delivered since it was last asked.
    pub fn receipts(&self) -> &Arc<Receipts> {
        &self.receipts
    }

    /// Hands messages to every Alertmanager's queue. Never blocks.
    pub fn enqueue(&self, messages: &[Message]) {
        for queue in &self.queues {
            queue.push(messages);
        }
    }

    /// Delivers what still waits, bounded in time, and ends the tasks. Must not be called on a thread that drives
    /// the runtime.
    pub fn stop(&self) {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            if let Err(failure) = self.handle.block_on(task) {
                tracing::error!(%failure, "a notifier's task ended badly");
            }
        }
    }
}
