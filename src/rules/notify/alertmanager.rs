//! Delivery to one notifier: an Alertmanager, or whoever takes a webhook's body.

use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::{Url, header};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use crate::model::with_causes;
use crate::rules::metrics::NotifierMetrics;

use super::client::HttpClient;
use super::message::webhook;
use super::{Message, NotifierError, Queue, Receipts, Settings, payload};

/// One Alertmanager, and how patiently it is spoken to.
pub(super) struct Alertmanager {
    client: HttpClient,
    alerts: Url,
    is_webhook: bool,
    external_url: String,
    /// Why the last request failed; empty where it did not.
    last_error: Arc<Mutex<String>>,
    batch_max: usize,
    backoff_min: Duration,
    backoff_max: Duration,
    drain: Duration,
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
    pub(super) fn new(
        url: &str,
        is_webhook: bool,
        client: HttpClient,
        settings: &Settings,
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
            last_error: Arc::default(),
            batch_max: settings.batch_max.max(1),
            backoff_min: settings.backoff_min.to_std(),
            backoff_max: settings.backoff_max.to_std(),
            drain: settings.drain.to_std(),
            metrics,
        })
    }

    /// Why the last request failed, as it changes.
    pub(super) fn last_error(&self) -> Arc<Mutex<String>> {
        self.last_error.clone()
    }

    /// Delivers until told to stop, then what is left, for as long as `drain` allows.
    pub(super) async fn deliver(self, queue: Arc<Queue>, receipts: Arc<Receipts>, stop: CancellationToken) {
        let mut backoff = self.backoff_min;
        while !stop.is_cancelled() {
            if queue.is_empty() {
                tokio::select! {
                    () = queue.filled() => {}
                    () = stop.cancelled() => {}
                }
                continue;
            }
            let delivered = tokio::select! {
                delivered = self.deliver_batch(&queue, &receipts) => delivered,
                // A stop does not wait for a silent Alertmanager longer than for a full queue.
                () = async { stop.cancelled().await; tokio::time::sleep(self.drain).await } => return,
            };
            match delivered {
                true => backoff = self.backoff_min,
                false => {
                    tokio::select! {
                        () = tokio::time::sleep(backoff) => {}
                        () = stop.cancelled() => {}
                    }
                    backoff = (backoff * 2).min(self.backoff_max);
                }
            }
        }
        let drained = timeout(self.drain, async {
            while !queue.is_empty() {
                if !self.deliver_batch(&queue, &receipts).await {
                    tokio::time::sleep(self.backoff_min).await;
                }
            }
        });
        if drained.await.is_err() {
            let left = queue.len();
            tracing::error!(alertmanager = %self.alerts, left, "stop with alerts undelivered; they are sent after the start");
        }
    }

    /// One request; `false` where it is worth waiting before the next.
    async fn deliver_batch(&self, queue: &Queue, receipts: &Receipts) -> bool {
        let batch = queue.take(self.batch_max);
        let reply = self.post(&batch).await;
        match &reply {
            Reply::Taken => self.last_error.lock().clear(),
            Reply::Refused(why) | Reply::Failed(why) => why.clone_into(&mut self.last_error.lock()),
        }
        match reply {
            Reply::Taken => {
                self.metrics.sent.inc_by(batch.len() as u64);
                // Only now: an alert counts as sent once somebody took it.
                receipts.note(batch.into_iter().map(|message| (message.key, message.said_at)));
                true
            }
            Reply::Refused(why) => {
                let alerts = batch.len();
                self.metrics.failed.inc_by(alerts as u64);
                tracing::error!(alertmanager = %self.alerts, alerts, %why, "alerts were refused");
                true
            }
            Reply::Failed(why) => {
                let alerts = batch.len();
                self.metrics.failed.inc_by(alerts as u64);
                tracing::warn!(alertmanager = %self.alerts, alerts, %why, "alerts could not be delivered; will retry");
                queue.put_back(batch);
                false
            }
        }
    }

    async fn post(&self, batch: &[Message]) -> Reply {
        let request = match self.client.request(|client| client.post(self.alerts.clone())).await {
            Ok(request) => request.header(header::CONTENT_TYPE, "application/json"),
            Err(why) => return Reply::Failed(why),
        };
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
