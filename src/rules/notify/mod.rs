//! Alerts on their way to Alertmanagers and webhooks: one queue and one task each, so that a dead one delays nobody.
//!
//! ```text
//!   group::tick --> Notifiers::enqueue --+--> queue --> task --> POST /api/v2/alerts    (batches, timeout, backoff)
//!                                        +--> queue --> task --> ...
//!   group::tick <------- Receipts <---------------------- what was delivered, and when it had been said
//!
//!   discovery: static, file, http, dns, consul --> relabeling --> who has a queue
//! ```
//!
//! A queue holds one message an alert, the latest: while an Alertmanager is away, news replaces news instead of piling
//! up. Enqueueing never blocks. This is the only part of `rules` that is `async`.
//!
//! Read next: [`config`] for what can be said, [`queue`], [`message`], `alertmanager`, `discovery`.

pub(in crate::rules) mod alertmanager;
pub(in crate::rules) mod client;
pub(in crate::rules) mod courier;
pub mod config;
mod discovery;
mod dns;
mod message;
mod queue;
mod receipts;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use message::{Message, payload};
pub use queue::Queue;
pub use receipts::{AlertKey, Receipts};

use crate::model::Span;
use crate::rules::metrics::{Metrics, NotifierMetrics};
use crate::rules::status::NotifierState;
use alertmanager::Alertmanager;
use client::HttpClient;
use config::{CompileRelabeling, NotifierFile, NotifierSet, Relabel, Source};

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
    /// Others, and how they are found.
    pub file: NotifierFile,
    /// Compiles relabeling.
    pub compile: CompileRelabeling,
    /// Where people reach this server, for webhooks.
    pub external_url: String,
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
            file: NotifierFile::default(),
            compile: |_| Ok(Arc::new(Some)),
            external_url: String::new(),
            queue_max: 10_000,
            batch_max: 256,
            timeout: Span::from_secs(10),
            backoff_min: Span::from_millis(500),
            backoff_max: Span::from_secs(15),
            drain: Span::from_secs(5),
        }
    }
}

/// All notifiers.
pub struct Notifiers {
    settings: Settings,
    metrics: Metrics,
    shared: Arc<Shared>,
    /// The searches, and what ends them.
    searching: Mutex<(CancellationToken, Vec<JoinHandle<()>>)>,
    handle: Handle,
}

/// What searches and groups share.
struct Shared {
    running: RwLock<BTreeMap<String, Running>>,
    receipts: Arc<Receipts>,
    /// What happens to the labels of every alert.
    relabel: RwLock<Relabel>,
}

/// A notifier with its queue.
struct Running {
    kind: &'static str,
    /// Which set and source found it: those of another search are left alone.
    origin: (usize, usize),
    /// The set as it was configured, without its sources.
    set: NotifierSet,
    queue: Arc<Queue>,
    relabel: Relabel,
    metrics: NotifierMetrics,
    last_error: Arc<Mutex<String>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What a search knows.
struct Search {
    set: NotifierSet,
    source: Source,
    origin: (usize, usize),
    /// Speaks to notifiers.
    client: HttpClient,
    /// Speaks to who knows them.
    finder: HttpClient,
    relabel: Relabel,
    alert_relabel: Relabel,
    settings: Settings,
    metrics: Metrics,
    shared: Arc<Shared>,
    handle: Handle,
}

impl Notifiers {
    /// Starts a task for each notifier on `handle`, and looks for more.
    ///
    /// # Errors
    /// Where a URL is none, TLS cannot be set up, or relabeling cannot be compiled.
    pub fn start(settings: &Settings, metrics: &Metrics, handle: &Handle) -> Result<Self, NotifierError> {
        let shared =
            Shared { running: RwLock::default(), receipts: Arc::default(), relabel: RwLock::new(Arc::new(Some)) };
        let notifiers = Notifiers {
            settings: settings.clone(),
            metrics: metrics.clone(),
            shared: Arc::new(shared),
            searching: Mutex::default(),
            handle: handle.clone(),
        };
        notifiers.configure(&settings.urls, &settings.file)?;
        Ok(notifiers)
    }

    /// Goes on with other notifiers; one that stays keeps what waits for it.
    ///
    /// # Errors
    /// As [`start`](Self::start); the old ones go on then.
    pub fn configure(&self, urls: &[String], file: &NotifierFile) -> Result<(), NotifierError> {
        let own = NotifierSet { sources: vec![Source::Urls(urls.to_vec())], ..NotifierSet::default() };
        let relabel = self.compile("alert_relabel_configs", &file.alert_relabeling)?;
        let mut searches = Vec::new();
        // All are checked before one runs.
        for (number, set) in std::iter::once(&own).chain(&file.sets).enumerate() {
            for (place, source) in set.sources.iter().enumerate() {
                searches.push(self.search(set, source, (number, place))?);
            }
        }
        let mut searching = self.searching.lock();
        searching.0.cancel();
        let stop = CancellationToken::new();
        *self.shared.relabel.write() = relabel;
        self.shared.running.write().retain(|_, running| {
            let stays = |search: &Search| search.origin == running.origin && search.set == running.set;
            searches.iter().any(stays) || running.end()
        });
        for search in &searches {
            if let Source::Urls(urls) = &search.source {
                let path = if search.set.is_webhook { "" } else { "/api/v2/alerts" };
                search.settle(urls.iter().map(|url| format!("{}{path}", url.trim_end_matches('/'))).collect())?;
            }
        }
        let tasks = searches
            .into_iter()
            .filter(|search| !matches!(search.source, Source::Urls(_)))
            .map(|search| self.handle.spawn(search.run(stop.clone())))
            .collect();
        *searching = (stop, tasks);
        Ok(())
    }

    fn search(&self, set: &NotifierSet, source: &Source, origin: (usize, usize)) -> Result<Search, NotifierError> {
        let timeout = set.timeout.unwrap_or(self.settings.timeout).to_std();
        let client = HttpClient::new(&set.access, timeout).map_err(|why| refused(source.kind(), why))?;
        let finder = HttpClient::new(&source.access(), timeout).map_err(|why| refused(source.kind(), why))?;
        Ok(Search {
            set: NotifierSet { sources: Vec::new(), ..set.clone() },
            source: source.clone(),
            origin,
            client,
            finder,
            relabel: self.compile("relabel_configs", &set.relabeling)?,
            alert_relabel: self.compile("alert_relabel_configs", &set.alert_relabeling)?,
            settings: self.settings.clone(),
            metrics: self.metrics.clone(),
            shared: self.shared.clone(),
            handle: self.handle.clone(),
        })
    }

    fn compile(&self, what: &str, specs: &[config::RelabelSpec]) -> Result<Relabel, NotifierError> {
        match specs.is_empty() {
            true => Ok(Arc::new(Some)),
            false => (self.settings.compile)(specs).map_err(|why| refused(what, why)),
        }
    }

    /// Where the Alertmanagers take alerts.
    pub fn urls(&self) -> Vec<String> {
        let running = self.shared.running.read();
        running.iter().filter(|(_, running)| !running.set.is_webhook).map(|(url, _)| url.clone()).collect()
    }

    /// How each of them does.
    pub fn states(&self) -> Vec<NotifierState> {
        let state = |(url, running): (&String, &Running)| NotifierState {
            kind: running.kind.to_owned(),
            url: url.clone(),
            last_error: running.last_error.lock().clone(),
            waiting: running.queue.len() as u64,
            sent: running.metrics.sent.get(),
            failed: running.metrics.failed.get(),
            dropped: running.metrics.dropped.get(),
        };
        self.shared.running.read().iter().map(state).collect()
    }

    /// What was delivered since it was last asked.
    pub fn receipts(&self) -> &Arc<Receipts> {
        &self.shared.receipts
    }

    /// Hands messages to every notifier's queue. Never blocks.
    pub fn enqueue(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let relabeled = |relabel: &Relabel, messages: &[Message]| -> Vec<Message> {
            let rewrite =
                |message: &Message| Some(Message { labels: relabel(message.labels.clone())?, ..message.clone() });
            messages.iter().filter_map(rewrite).collect()
        };
        let messages = relabeled(&self.shared.relabel.read(), messages);
        for running in self.shared.running.read().values() {
            running.queue.push(&relabeled(&running.relabel, &messages));
        }
    }

    /// Delivers what still waits, bounded in time, and ends the tasks. Must not be called on a thread that drives
    /// the runtime.
    pub fn stop(&self) {
        let (stop, searches) = std::mem::take(&mut *self.searching.lock());
        stop.cancel();
        let running = std::mem::take(&mut *self.shared.running.write());
        running.values().for_each(|running| running.stop.cancel());
        for task in searches.into_iter().chain(running.into_values().map(|running| running.task)) {
            if let Err(failure) = self.handle.block_on(task) {
                tracing::error!(%failure, "a notifier's task ended badly");
            }
        }
    }
}

fn refused(what: &str, why: String) -> NotifierError {
    NotifierError { url: what.to_owned(), source: why.into() }
}

impl Running {
    /// Lets its task deliver what waits and end; `false`, for `retain`.
    fn end(&self) -> bool {
        self.stop.cancel();
        false
    }
}

impl Search {
    /// Looks for notifiers from time to time.
    async fn run(self, stop: CancellationToken) {
        loop {
            let found = tokio::select! {
                found = discovery::find(&self.set, &self.source, &self.relabel, &self.finder) => found,
                () = stop.cancelled() => return,
            };
            // A search that was ended meanwhile adds nothing.
            if stop.is_cancelled() {
                return;
            }
            let settled = found.and_then(|urls| self.settle(urls).map_err(|refusal| refusal.to_string()));
            if let Err(why) = settled {
                tracing::warn!(kind = self.source.kind(), %why, "notifiers cannot be found; those known stay");
            }
            let Some(every) = self.source.every() else { return };
            tokio::select! {
                () = tokio::time::sleep(every.to_std()) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Starts those that are new, and ends those that are gone.
    fn settle(&self, urls: Vec<String>) -> Result<(), NotifierError> {
        let mut running = self.shared.running.write();
        running.retain(|url, running| running.origin != self.origin || urls.contains(url) || running.end());
        let mut fresh = Vec::new();
        for url in urls.into_iter().filter(|url| !running.contains_key(url)) {
            let metrics = self.metrics.notifier(&url);
            let client = self.client.clone();
            let (receipts, is_webhook) = (self.shared.receipts.clone(), self.set.is_webhook);
            let notifier = Alertmanager::new(&url, is_webhook, client, &self.settings, receipts, metrics.clone())?;
            fresh.push((url, notifier, metrics));
        }
        for (url, notifier, metrics) in fresh {
            let (queue, stop, last_error) = (notifier.queue(), CancellationToken::new(), notifier.last_error());
            let task = self.handle.spawn(courier::deliver(notifier, self.settings.drain.to_std(), stop.clone()));
            let kind = if self.set.is_webhook { "webhook" } else { self.source.kind() };
            let (origin, set, relabel) = (self.origin, self.set.clone(), self.alert_relabel.clone());
            running.insert(url, Running { kind, origin, set, queue, relabel, metrics, last_error, stop, task });
        }
        Ok(())
    }
}
