//! Who writes here, in which protocol, and what of it was not kept: `/api/v1/status/senders`, and the targets of
//! `/api/v1/targets`.
//!
//! A sender is told from others by its address, its `User-Agent`, the path it writes to, and the HA replica that the
//! first series of a request belongs to: the two servers of a pair stay apart behind one address. A request that names
//! no series (metadata, or a body that cannot be read) counts for whoever wrote last from the same place.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderName, header};
use axum::response::Response;

use crate::ingest::refusal_text;
use crate::model::{Replica, Span, Timestamp};
use crate::store::{Appended, SeriesName};

use super::asker::Peer;
use super::error::ApiError;
use super::json::Json;
use super::write::REPLICA;
use super::{Http, answer};

/// Senders that are remembered; of more the quietest is forgotten.
const SENDERS_MAX: usize = 1_000;

/// Series that are named for each reason, the newest request's first ones.
const OFFENDERS_MAX: usize = 3;

/// Longest text of a header, a series or an error that is kept of a sender, in bytes.
const TEXT_BYTES_MAX: usize = 500;

/// A sender that was silent for so long is down. (vmagent and Prometheus send at least every minute: metadata.)
pub(super) const SILENT_AFTER: Span = Span::from_secs(5 * 60);

/// Who a sender is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Sender {
    pub(super) address: Option<IpAddr>,
    pub(super) user_agent: String,
    /// Without a cluster where only the request's head names a replica.
    pub(super) replica: Option<Replica>,
    pub(super) path: String,
}

impl Sender {
    /// Who writes, as far as the head of the request says.
    pub(super) fn of(request: &Request) -> Self {
        let text = |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let name = Some(shortened(text(&REPLICA))).filter(|name| !name.is_empty());
        Sender {
            address: request.extensions().get::<Peer>().map(|peer| peer.0.ip()),
            user_agent: shortened(text(&header::USER_AGENT)),
            replica: name.map(|name| Replica { cluster: String::new(), name }),
            path: request.uri().path().to_owned(),
        }
    }

    /// Whether this may be `other`, seen from a request that names no series.
    fn may_be(&self, other: &Sender) -> bool {
        let name = |sender: &Sender| sender.replica.as_ref().map(|replica| replica.name.clone());
        (self.address, &self.user_agent, &self.path) == (other.address, &other.user_agent, &other.path)
            && (self.replica.is_none() || name(self) == name(other))
    }
}

/// One request, and what became of it.
pub(super) struct Visit<'a> {
    /// When it came.
    pub(super) at: Timestamp,
    /// How long it took.
    pub(super) took: Span,
    /// What it was written in.
    pub(super) protocol: &'static str,
    /// Its first series; `None` where it names none.
    pub(super) first: Option<&'a SeriesName>,
    /// What was kept of it, or why nothing was.
    pub(super) outcome: Result<&'a Appended, &'a ApiError>,
}

/// What is known of a sender since the start.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    first_at: Timestamp,
    pub(super) last_at: Timestamp,
    /// How long the newest request took.
    pub(super) took: Span,
    protocol: &'static str,
    requests: u64,
    samples: u64,
    histograms: u64,
    refused: BTreeMap<&'static str, Refusal>,
    failed: BTreeMap<&'static str, Failure>,
    /// What was wrong with the newest request; empty where nothing was.
    pub(super) last_error: String,
}

/// Samples that were not kept for one reason, while their neighbours were.
#[derive(Clone, Debug, PartialEq)]
struct Refusal {
    samples: u64,
    last_at: Timestamp,
    first: Vec<Offender>,
}

#[derive(Clone, Debug, PartialEq)]
struct Offender {
    series: String,
    at: Option<Timestamp>,
    why: String,
}

/// Requests of which nothing was kept for one reason.
#[derive(Clone, Debug, PartialEq)]
struct Failure {
    requests: u64,
    last_at: Timestamp,
    error: String,
}

impl Seen {
    fn new(visit: &Visit<'_>) -> Self {
        Seen {
            first_at: visit.at,
            last_at: visit.at,
            took: visit.took,
            protocol: visit.protocol,
            requests: 0,
            samples: 0,
            histograms: 0,
            refused: BTreeMap::new(),
            failed: BTreeMap::new(),
            last_error: String::new(),
        }
    }

    fn count(&mut self, visit: &Visit<'_>) {
        (self.last_at, self.took, self.protocol) = (visit.at, visit.took, visit.protocol);
        self.requests += 1;
        self.last_error.clear();
        match visit.outcome {
            Ok(appended) => {
                self.samples += appended.samples;
                self.histograms += appended.histograms;
                self.refuse(visit.at, appended);
            }
            Err(error) => {
                let empty = Failure { requests: 0, last_at: visit.at, error: String::new() };
                let failure = self.failed.entry(error.kind.reason()).or_insert(empty);
                (failure.requests, failure.last_at) = (failure.requests + 1, visit.at);
                failure.error = shortened(&error.message);
                self.last_error.clone_from(&failure.error);
            }
        }
    }

    fn refuse(&mut self, at: Timestamp, appended: &Appended) {
        let refusals = &appended.refusals;
        for (reason, samples) in &refusals.counts {
            let empty = Refusal { samples: 0, last_at: at, first: Vec::new() };
            let refusal = self.refused.entry(reason).or_insert(empty);
            (refusal.samples, refusal.last_at) = (refusal.samples + samples, at);
            let offenders = refusals.first.iter().filter(|offender| offender.why.reason() == *reason);
            let named: Vec<Offender> = offenders
                .take(OFFENDERS_MAX)
                .map(|offender| Offender {
                    series: shortened(&offender.series),
                    at: offender.at,
                    why: shortened(&offender.why.to_string()),
                })
                .collect();
            if !named.is_empty() {
                refusal.first = named;
            }
        }
        if refusals.has_faults() {
            self.last_error = refusal_text(refusals);
        }
    }
}

/// All senders since the start.
#[derive(Debug, Default)]
pub(super) struct Senders(Mutex<HashMap<Sender, Seen>>);

impl Senders {
    pub(super) fn saw(&self, mut sender: Sender, visit: &Visit<'_>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match visit.first {
            Some(series) => sender.replica.clone_from(&series.replica),
            None => {
                let alike = known.iter().filter(|(other, _)| sender.may_be(other));
                if let Some((other, _)) = alike.max_by_key(|(_, seen)| seen.last_at) {
                    sender = other.clone();
                }
            }
        }
        if known.len() >= SENDERS_MAX && !known.contains_key(&sender) {
            let quietest = known.iter().min_by_key(|(_, seen)| seen.last_at).map(|(sender, _)| sender.clone());
            quietest.map(|quietest| known.remove(&quietest));
        }
        known.entry(sender).or_insert_with(|| Seen::new(visit)).count(visit);
    }

    /// All of them, sorted.
    pub(super) fn all(&self) -> Vec<(Sender, Seen)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = known.iter().map(|(sender, seen)| (sender.clone(), seen.clone())).collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        all
    }
}

fn shortened(text: &str) -> String {
    match text.len() > TEXT_BYTES_MAX {
        true => format!("{}...", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]),
        false => text.to_owned(),
    }
}

/// `/api/v1/status/senders`: Weir's own. Times are seconds; counts are since the start.
pub(super) async fn status(State(http): State<Arc<Http>>) -> Response {
    let now = http.now();
    answer(|json| {
        json.raw("{\"senders\":");
        json.array(http.senders.all(), |json, (sender, seen)| write(json, &sender, &seen, now)).raw("}");
    })
}

fn write(json: &mut Json, sender: &Sender, seen: &Seen, now: Timestamp) {
    let address = sender.address.map(|address| address.to_string()).unwrap_or_default();
    let (cluster, name) = match &sender.replica {
        Some(replica) => (replica.cluster.as_str(), replica.name.as_str()),
        None => ("", ""),
    };
    let silent = now - seen.last_at > SILENT_AFTER;
    json.raw("{\"address\":").string(&address).raw(",\"userAgent\":").string(&sender.user_agent);
    json.raw(",\"path\":").string(&sender.path).raw(",\"protocol\":").string(seen.protocol);
    json.raw(",\"cluster\":").string(cluster).raw(",\"replica\":").string(name);
    json.raw(",\"firstAt\":").time(seen.first_at).raw(",\"lastAt\":").time(seen.last_at);
    json.raw(",\"silent\":").raw(if silent { "true" } else { "false" });
    json.raw(",\"took\":").number(seen.took.as_seconds()).raw(",\"requests\":").integer(seen.requests);
    json.raw(",\"samples\":").integer(seen.samples).raw(",\"histograms\":").integer(seen.histograms);
    json.raw(",\"refused\":").array(&seen.refused, |json, (reason, refusal)| {
        json.raw("{\"reason\":").string(reason).raw(",\"samples\":").integer(refusal.samples);
        json.raw(",\"lastAt\":").time(refusal.last_at).raw(",\"first\":");
        json.array(&refusal.first, |json, offender| {
            json.raw("{\"series\":").string(&offender.series).raw(",\"at\":");
            match offender.at {
                Some(at) => json.time(at),
                None => json.raw("null"),
            };
            json.raw(",\"why\":").string(&offender.why).raw("}");
        });
        json.raw("}");
    });
    json.raw(",\"failed\":").array(&seen.failed, |json, (reason, failure)| {
        json.raw("{\"reason\":").string(reason).raw(",\"requests\":").integer(failure.requests);
        json.raw(",\"lastAt\":").time(failure.last_at).raw(",\"error\":").string(&failure.error).raw("}");
    });
    json.raw(",\"lastError\":").string(&seen.last_error).raw("}");
}
