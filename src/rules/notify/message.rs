//! What is said of an alert, and how Alertmanager's API v2 wants to hear it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::model::{Labels, Timestamp};

use super::AlertKey;

/// What is said of one alert. (API v2: `postableAlert`.)
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Whose news it is.
    pub key: Arc<AlertKey>,
    /// The tick that says it.
    pub said_at: Timestamp,
    /// The alert's labels, external ones filled in.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// Since when it fires.
    pub starts_at: Timestamp,
    /// When it ended, or until when it may be taken as firing if nothing more is heard.
    pub ends_at: Timestamp,
    /// Where its expression can be looked at.
    pub generator_url: String,
    /// What the request that says it must say beside the usual.
    pub headers: Arc<[(String, String)]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    annotations: BTreeMap<&'a str, &'a str>,
    ends_at: String,
    starts_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
}

/// The body of `POST /api/v2/alerts`.
pub fn payload(messages: &[Message]) -> Vec<u8> {
    let posted: Vec<Posted<'_>> = messages.iter().map(posted).collect();
    serde_json::to_vec(&posted).expect("strings always make JSON")
}

/// What a webhook hears. (Alertmanager's webhook receiver, version 4, without grouping.)
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Webhook<'a> {
    version: &'a str,
    status: &'a str,
    receiver: &'a str,
    truncated_alerts: usize,
    group_labels: BTreeMap<&'a str, &'a str>,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<WebhookAlert<'a>>,
}

#[derive(Serialize)]
struct WebhookAlert<'a> {
    status: &'a str,
    fingerprint: String,
    #[serde(flatten)]
    posted: Posted<'a>,
}

/// The body of a webhook.
pub(super) fn webhook(messages: &[Message], external_url: &str) -> Vec<u8> {
    let ended = |message: &Message| message.ends_at <= message.said_at;
    let common = |of: fn(&Message) -> &Labels| {
        let Some(first) = messages.first() else { return BTreeMap::new() };
        let shared = |(name, value): &(&str, &str)| messages.iter().all(|other| of(other).get(name) == Some(*value));
        of(first).iter().filter(shared).collect()
    };
    let all_ended = messages.iter().all(ended);
    let body = Webhook {
        version: "4",
        status: if all_ended { "resolved" } else { "firing" },
        receiver: "weir",
        truncated_alerts: 0,
        group_labels: BTreeMap::new(),
        common_labels: common(|message| &message.labels),
        common_annotations: common(|message| &message.annotations),
        external_url,
        alerts: messages
            .iter()
            .map(|message| WebhookAlert {
                status: if ended(message) { "resolved" } else { "firing" },
                fingerprint: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(message.labels.as_packed().as_bytes())),
                posted: posted(message),
            })
            .collect(),
    };
    serde_json::to_vec(&body).expect("strings always make JSON")
}

fn posted(message: &Message) -> Posted<'_> {
    Posted {
        annotations: message.annotations.iter().collect(),
        ends_at: rfc3339(message.ends_at),
        starts_at: rfc3339(message.starts_at),
        generator_url: &message.generator_url,
        labels: message.labels.iter().collect(),
    }
}

/// `2026-01-02T15:04:05.678Z`; the ends of time where a calendar cannot say it.
fn rfc3339(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(if at < Timestamp::EPOCH {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    });
    format!("{at:.3}")
}
