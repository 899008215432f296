//! Sends as Prometheus does: every connection one request after another, the same again until it is answered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use prost::Message;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use weir::ingest::wire::proto::prometheus::{
    BucketSpan, Histogram, Label, Sample, TimeSeries, WriteRequest, histogram,
};

use super::plan::{BUCKETS, Plan};
use super::record::{Request, Writer};
use super::{Drive, now_ms};

/// First and longest pause before a request is sent again. (Prometheus: `min_backoff`, `max_backoff`; the longest is
/// shorter here, so that a short test sees the store come back.)
const BACKOFF: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(500));

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) acked: u64,
    pub(crate) unknown: u64,
    pub(crate) refused: u64,
    pub(crate) retries: u64,
    pub(crate) samples_acked: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { requests, acked, unknown, refused, retries, samples_acked } = self;
        write!(out, "requests={requests} acked={acked} unknown={unknown} refused={refused} retries={retries}")?;
        write!(out, " samples_acked={samples_acked}")
    }
}

/// What all connections share.
struct Shared {
    plan: Plan,
    ledger: Writer,
    http: reqwest::Client,
    url: String,
    next_id: AtomicU64,
    requests_max: u64,
    batch: u32,
    outages: u64,
    pause: Duration,
    stop_at: Instant,
}

/// Sends until time or requests are used up.
pub(crate) async fn run(plan: Plan, options: &Drive) -> anyhow::Result<Tally> {
    let (senders, series) = (plan.senders(), plan.series);
    let share = series.div_ceil(options.connections.max(1)).max(1);
    let shared = Arc::new(Shared {
        ledger: Writer::create(&options.ledger, &plan)?,
        plan,
        http: reqwest::Client::builder().timeout(Duration::from_secs_f64(options.timeout)).build()?,
        url: format!("{}/api/v1/write", options.url.trim_end_matches('/')),
        next_id: AtomicU64::new(0),
        requests_max: options.requests.unwrap_or(u64::MAX),
        batch: options.batch.max(1),
        outages: options.outages,
        pause: Duration::from_millis(options.pause_ms),
        stop_at: Instant::now() + Duration::from_secs_f64(options.seconds),
    });
    let mut connections = JoinSet::new();
    for sender in 0..senders {
        for first in (0..series).step_by(share as usize) {
            let end = (first + share).min(series);
            connections.spawn(connection(shared.clone(), sender, first, end));
        }
    }
    let mut sum = Tally::default();
    while let Some(tally) = connections.join_next().await {
        let tally = tally.context("a connection panicked")??;
        sum.requests += tally.requests;
        sum.acked += tally.acked;
        sum.unknown += tally.unknown;
        sum.refused += tally.refused;
        sum.retries += tally.retries;
        sum.samples_acked += tally.samples_acked;
    }
    Ok(sum)
}

/// Sends the scrapes of some series in order.
async fn connection(shared: Arc<Shared>, sender: u32, first: u32, end: u32) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    for tick in 0.. {
        if shared.plan.is_down(sender, tick, shared.outages) {
            continue;
        }
        let due_ms = shared.plan.at_ms(sender, first, tick) - now_ms();
        if let Ok(ahead @ 1..) = u64::try_from(due_ms) {
            let _ = timeout_at(shared.stop_at, sleep(Duration::from_millis(ahead))).await;
        }
        for first in (first..end).step_by(shared.batch as usize) {
            let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
            if shared.is_over() || id >= shared.requests_max {
                return Ok(tally);
            }
            let request = Request { sender, first, count: shared.batch.min(end - first), tick };
            shared.deliver(id, request, &mut tally).await?;
            if !shared.pause.is_zero() {
                sleep(shared.pause).await;
            }
        }
    }
    Ok(tally)
}

impl Shared {
    fn is_over(&self) -> bool {
        Instant::now() >= self.stop_at
    }

    /// Sends one request until it is answered, or time is up.
    async fn deliver(&self, id: u64, request: Request, tally: &mut Tally) -> anyhow::Result<()> {
        let body = body(&self.plan, request)?;
        self.ledger.sent(id, request)?;
        tally.requests += 1;
        let mut backoff = BACKOFF.0;
        loop {
            match self.attempt(&body).await {
                Ok(()) => {
                    self.ledger.acked(id)?;
                    tally.acked += 1;
                    tally.samples_acked += u64::from(request.count);
                    return Ok(());
                }
                Err(Failure::Refused(why)) => {
                    self.ledger.refused(id, &why)?;
                    tally.refused += 1;
                    return Ok(());
                }
                Err(Failure::Unknown(why)) => {
                    self.ledger.unknown(id, &why)?;
                    if self.is_over() {
                        tally.unknown += 1;
                        return Ok(());
                    }
                    tally.retries += 1;
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF.1);
                }
            }
        }
    }

    async fn attempt(&self, body: &[u8]) -> Result<(), Failure> {
        let post = self.http.post(&self.url).body(body.to_vec());
        let post = post
            .header("Content-Type", "application/x-protobuf")
            .header("Content-Encoding", "snappy")
            .header("X-Prometheus-Remote-Write-Version", "0.1.0");
        let answer = post.send().await.map_err(|error| Failure::Unknown(error.to_string()))?;
        let status = answer.status();
        match status.is_success() {
            true => Ok(()),
            false => {
                let why = format!("{} {}", status.as_u16(), answer.text().await.unwrap_or_default());
                let again = status.is_server_error() || status.as_u16() == 429;
                Err(if again { Failure::Unknown(why) } else { Failure::Refused(why) })
            }
        }
    }
}

enum Failure {
    /// The store says no, and would say it again.
    Refused(String),
    /// It may have been taken or not; the same must be sent again.
    Unknown(String),
}

fn body(plan: &Plan, request: Request) -> anyhow::Result<Vec<u8>> {
    let Request { sender, first, count, tick } = request;
    let one = |series| {
        let timestamp = plan.at_ms(sender, series, tick);
        let value = plan.value(sender, series, timestamp);
        let labels = plan.labels_sent(sender, series).into_iter().map(|(name, value)| Label { name, value });
        let mut series = TimeSeries { labels: labels.collect(), ..TimeSeries::default() };
        match plan.histograms {
            true => series.histograms.push(histogram(value, timestamp)),
            false => series.samples.push(Sample { value, timestamp }),
        }
        series
    };
    let message = WriteRequest { timeseries: (first..first + count).map(one).collect(), metadata: Vec::new() };
    snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).context("compress request")
}

/// A histogram with this sum.
fn histogram(sum: f64, timestamp: i64) -> Histogram {
    Histogram {
        count: Some(histogram::Count::CountInt(BUCKETS.iter().sum::<i64>().unsigned_abs())),
        sum,
        zero_threshold: 1e-9,
        zero_count: Some(histogram::ZeroCount::ZeroCountInt(0)),
        positive_spans: vec![BucketSpan { offset: 0, length: BUCKETS.len() as u32 }],
        // Each bucket's count, less that of the one before it.
        positive_deltas: vec![BUCKETS[0], BUCKETS[1] - BUCKETS[0]],
        timestamp,
        ..Histogram::default()
    }
}
