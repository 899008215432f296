//! What stands in for Alertmanager where a test wants to hear every word: it takes alerts and keeps them.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use serde_json::Value;

/// One alert as it was posted.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) labels: Value,
    pub(crate) starts_at: String,
    /// Seconds since the epoch.
    pub(crate) starts: f64,
    pub(crate) ends: f64,
    /// When it was heard.
    pub(crate) heard: f64,
}

impl Told {
    /// Whether it says that the alert has ended. A firing one ends minutes ahead.
    pub(crate) fn is_resolved(&self) -> bool {
        self.ends <= self.heard + 1.0
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or("")
    }
}

/// All that was heard.
#[derive(Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Vec<Told>>>);

impl Receiver {
    /// Listens on this port of loopback.
    pub(crate) async fn start(port: u16) -> Self {
        let receiver = Receiver::default();
        let known = receiver.clone();
        let take = move |body: Bytes| async move { known.take(&body) };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("listen on loopback");
        let router = Router::new().route("/api/v2/alerts", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn take(&self, body: &[u8]) {
        let alerts: Vec<Value> = serde_json::from_slice(body).expect("alerts are JSON");
        let seconds = |value: &Value| {
            let at: jiff::Timestamp = value.as_str().expect("a time").parse().expect("RFC 3339");
            at.as_millisecond() as f64 / 1000.0
        };
        let heard = now();
        self.0.lock().expect("nobody panics here").extend(alerts.into_iter().map(|alert| Told {
            starts_at: alert["startsAt"].as_str().unwrap_or("").to_owned(),
            starts: seconds(&alert["startsAt"]),
            ends: seconds(&alert["endsAt"]),
            labels: alert["labels"].clone(),
            heard,
        }));
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.0.lock().expect("nobody panics here").clone()
    }
}

/// The time, in seconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "real programs live in real time")]
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64()
}
