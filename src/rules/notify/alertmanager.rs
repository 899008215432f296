//! Delivery to one Alertmanager.

use std::sync::Arc;

use reqwest::{Client, Url, header};
use tokio::time::{Duration, timeout};
use tokio_util::sync::CancellationToken;

use crate::model::with_causes;
use crate::rules::metrics::NotifierMetrics;

use super::{Message, NotifierError, Queue, Receipts, Settings, payload};

/// One Alertmanager, and how patiently it is spoken to.
pub(super) struct Alertmanager {
    client: Client,
    alerts: Url,
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
    pub(super) fn new(url: &str, settings: &Settings, metrics: NotifierMetrics) -> Result<Self, NotifierError> {
        let refuse = |source: Box<dyn std::error::Error + Send + Sync>| NotifierError { url: url.to_owned(), source };
        let alerts = Url::parse(&format!("{}/api/v2/alerts", url.trim_end_matches('/')));
        let alerts = alerts.map_err(|source| refuse(source.into()))?;
        if !matches!(alerts.scheme(), "http" | "https") {
            return Err(refuse("neither http nor https".into()));
        }
        // A proxy would be a setting; the environment is not asked.
        let client = Client::builder().timeout(settings.timeout.to_std()).no_proxy().build();
        Ok(Alertmanager {
            client: client.map_err(|source| refuse(source.into()))?,
            alerts,
            batch_max: settings.batch_max.max(1),
            backoff_min: settings.backoff_min.to_std(),
            backoff_max: settings.backoff_max.to_std(),
            drain: settings.drain.to_std(),
            metrics,
        })
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
        match self.post(&batch).await {
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
        let request = self.client.post(self.alerts.clone()).header(header::CONTENT_TYPE, "application/json");
        let response = match request.body(payload(batch)).send().await {
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
