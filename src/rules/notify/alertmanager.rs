//! Delivery to one notifier: an Alertmanager, or whoever takes a webhook's body.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::{Url, header};

use crate::model::with_causes;
use crate::rules::metrics::NotifierMetrics;

use super::client::HttpClient;
use super::courier::{Backoff, Courier, Rest};
use super::message::webhook;
use super::{Message, NotifierError, Queue, Receipts, Settings, payload};

/// One Alertmanager, what waits for it, and how patiently it is spoken to.
pub(in crate::rules) struct Alertmanager {
    client: HttpClient,
    alerts: Url,
    is_webhook: bool,
    external_url: String,
    queue: Arc<Queue>,
    receipts: Arc<Receipts>,
    /// Why the last request failed; empty where it did not.
    last_error: Arc<Mutex<String>>,
    batch_max: usize,
    backoff: Backoff,
    metrics: NotifierMetrics,
}

/// What became of a request.
enum Reply {
    Taken,
    /// It will not be taken however often it is said.
    Refused(String),
    /// Worth another try.
    Failed(String),
}

impl Alertmanager {
    /// `url` is where alerts go, path and all.
    ///
    /// # Errors
    /// Where that is no URL.
    pub(in crate::rules) fn new(
        url: &str,
        is_webhook: bool,
        client: HttpClient,
        settings: &Settings,
        receipts: Arc<Receipts>,
        metrics: NotifierMetrics,
    ) -> Result<Self, NotifierError> {
        let refuse = |source: Box<dyn std::error::Error + Send + Sync>| NotifierError { url: url.to_owned(), source };
        let alerts = Url::parse(url).map_err(|source| refuse(source.into()))?;
        if !matches!(alerts.scheme(), "http" | "https") {
            return Err(refuse("neither http nor https".into()));
        }
        Ok(Alertmanager {
            client,
            alerts,
            is_webhook,
            external_url: settings.external_url.clone(),
            queue: Arc::new(Queue::new(settings.queue_max, metrics.clone())),
            receipts,
            last_error: Arc::default(),
            batch_max: settings.batch_max.max(1),
            backoff: Backoff::new(settings.backoff_min.to_std(), settings.backoff_max.to_std()),
            metrics,
        })
    }

    /// What waits for it.
    pub(in crate::rules) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    /// Why the last request failed, as it changes.
    pub(super) fn last_error(&self) -> Arc<Mutex<String>> {
        self.last_error.clone()
    }

    async fn post(&self, batch: &[Message]) -> Reply {
        let request = match self.client.request(|client| client.post(self.alerts.clone())).await {
            Ok(request) => request.header(header::CONTENT_TYPE, "application/json"),
            Err(why) => return Reply::Failed(why),
        };
        // A batch has those of its first message in common.
        let headers = batch.first().map_or(&[][..], |first| &first.headers);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        let body = if self.is_webhook { webhook(batch, &self.external_url) } else { payload(batch) };
        let response = match request.body(body).send().await {
            Ok(response) => response,
            Err(failure) => return Reply::Failed(with_causes(&failure)),
        };
        let status = response.status();
        if status.is_success() {
            return Reply::Taken;
        }
        let text: String = response.text().await.unwrap_or_default().chars().take(200).collect();
        let why = format!("{status}: {}", text.trim());
        // Bad alerts, or too many bytes of them: they stay so. Any other answer may be another one next time.
        match status.as_u16() {
            400 | 413 | 422 => Reply::Refused(why),
            _ => Reply::Failed(why),
        }
    }
}

impl Courier for Alertmanager {
    async fn turn(&mut self) -> Rest {
        let batch = self.queue.take(self.batch_max);
        if batch.is_empty() {
            return Rest::UntilFilled;
        }
        let (reply, alerts) = (self.post(&batch).await, batch.len());
        match &reply {
            Reply::Taken => self.last_error.lock().clear(),
            Reply::Refused(why) | Reply::Failed(why) => why.clone_into(&mut self.last_error.lock()),
        }
        match reply {
            Reply::Taken => {
                self.metrics.sent.inc_by(alerts as u64);
                // Only now: an alert counts as sent once somebody took it.
                self.receipts.note(batch.into_iter().map(|message| (message.key, message.said_at)));
                self.backoff.reset()
            }
            Reply::Refused(why) => {
                self.metrics.failed.inc_by(alerts as u64);
                tracing::error!(alertmanager = %self.alerts, alerts, %why, "alerts were refused");
                self.backoff.reset()
            }
            Reply::Failed(why) => {
                self.metrics.failed.inc_by(alerts as u64);
                tracing::warn!(alertmanager = %self.alerts, alerts, %why, "alerts could not be delivered; will retry");
                self.queue.put_back(batch);
                self.backoff.grow()
            }
        }
    }

    async fn filled(&self) {
        self.queue.filled().await;
    }

    fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn receiver(&self) -> &str {
        self.alerts.as_str()
    }
}
