//! A Weir in one process: what senders write goes through HTTP to the store, and answers come back by PromQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tower::ServiceExt;

use crate::access::{self, Access, Tokens, system_chance};
use crate::app::seams::{RelabelSeam, StorageSeam};
use crate::clock::{Clock, ManualClock};
use crate::config::units::Length;
use crate::http::{self, Phase, Readiness};
use crate::ingest::{self, Ingest};
use crate::model::{STALE_NAN_BITS, Timestamp};
use crate::promql::register::Register;
use crate::promql::{Engine, Features};
use crate::rules::status::{GroupStatus, RuleStatus};
use crate::tsdb::catalogue::memory::Memory;
use crate::tsdb::{self, PairMetrics, Tsdb};

/// Noon of some day, in seconds.
pub(super) const NOON: i64 = 1_700_049_600 - 1_700_049_600 % 86_400 + 43_200;

/// A Weir, and the time.
pub(super) struct World {
    router: Router,
    /// `None` between two lives.
    tsdb: Option<Arc<Tsdb>>,
    now: Timestamp,
    hand: ManualClock,
    catalogue: Memory,
    clock: Clock,
    directory: tempfile::TempDir,
    clean_run: u8,
}

/// One sample as a sender has it: series (without the replica), seconds after noon, value.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) replica: &'static str,
    pub(super) series: String,
    pub(super) at: f64,
    pub(super) value: What,
}

/// A float, the end of a series, or a native histogram by its count.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Float(f64),
    Stale,
    Histogram(u64),
}

impl World {
    pub(super) fn new() -> Self {
        World::with_clean_run(crate::ha::CLEAN_RUN)
    }

    pub(super) fn with_clean_run(clean_run: u8) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let now = Timestamp::from_millis(NOON * 1000);
        let (clock, hand) = Clock::manual(now);
        let catalogue = Memory::default();
        let (tsdb, router) = open(&directory, &catalogue, &clock, clean_run).expect("a new store opens");
        World { router, tsdb: Some(tsdb), now, hand, catalogue, clock, directory, clean_run }
    }

    /// As after `kill -9`.
    pub(super) async fn crash(&mut self) {
        (self.router, self.tsdb) = (Router::new(), None);
        // The directory is locked until the last reader of an answer has let go.
        for _ in 0..100_000 {
            if let Some((tsdb, router)) = open(&self.directory, &self.catalogue, &self.clock, self.clean_run) {
                (self.tsdb, self.router) = (Some(tsdb), router);
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("somebody holds the old store");
    }

    fn store(&self) -> &Tsdb {
        self.tsdb.as_ref().expect("open")
    }

    /// Seconds after noon; time does not go back.
    pub(super) fn at(&mut self, seconds: f64) {
        let then = Timestamp::from_millis(NOON * 1000 + (seconds * 1000.0).round() as i64);
        if then > self.now {
            self.hand.pass(then - self.now);
            self.now = then;
        }
    }

    /// Everything in its final place on disk.
    pub(super) fn settle(&self) {
        self.store().settle().expect("settles");
    }

    /// Looks at the pairs, as a thread does every minute.
    pub(super) fn look_at_pairs(&self) {
        use crate::store::pairs::Pairs;
        self.store().groups(self.now).expect("readable");
    }

    /// A remote write request; its status.
    pub(super) async fn write(&self, samples: &[Sent]) -> u16 {
        let body = snap::raw::Encoder::new().compress_vec(&encode(samples)).expect("snappy");
        let request = Request::post("/api/v1/write")
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .body(Body::from(body))
            .expect("a request");
        self.send(request).await.0
    }

    pub(super) async fn send(&self, request: Request<Body>) -> (u16, String) {
        let response = self.router.clone().oneshot(request).await.expect("a router cannot fail");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    /// The text of an answer with status 200.
    pub(super) async fn get(&self, path: &str, params: &[(&str, &str)]) -> String {
        let query = serde_urlencoded(params);
        let request = Request::get(format!("{path}?{query}")).body(Body::empty()).expect("a request");
        let (status, body) = self.send(request).await;
        assert_eq!(status, 200, "{path} {params:?}: {body}");
        body
    }

    /// The data of an answer.
    pub(super) async fn data(&self, path: &str, params: &[(&str, &str)]) -> Value {
        let body: Value = serde_json::from_str(&self.get(path, params).await).expect("JSON");
        body["data"].clone()
    }

    /// The only series of a query over `from..=to`, seconds after noon: seconds after noon with values.
    pub(super) async fn range(&self, query: &str, from: i64, to: i64, step: i64) -> Vec<(f64, f64)> {
        let time = |seconds: i64| (NOON + seconds).to_string();
        let params = [("query", query), ("start", &time(from)), ("end", &time(to)), ("step", &step.to_string())];
        only(&self.data("/api/v1/query_range", &params).await)
    }

    /// Every sample that the only series of a selector has up to `to`, in the order of time.
    pub(super) async fn samples(&self, selector: &str, to: i64) -> Vec<(f64, f64)> {
        let (query, time) = (format!("{selector}[1d]"), (NOON + to).to_string());
        only(&self.data("/api/v1/query", &[("query", &query), ("time", &time)]).await)
    }

    /// The value of a query at one time.
    pub(super) async fn value(&self, query: &str, at: f64) -> Option<f64> {
        let time = format!("{:.3}", NOON as f64 + at);
        let data = self.data("/api/v1/query", &[("query", query), ("time", &time)]).await;
        let found = data["result"].as_array().expect("a vector");
        assert!(found.len() <= 1, "{query} is one series: {data}");
        found.first().map(|one| number(&one["value"][1]))
    }
}

fn serde_urlencoded(params: &[(&str, &str)]) -> String {
    let url = reqwest::Url::parse_with_params("http://x/", params).expect("parameters");
    url.query().unwrap_or("").to_owned()
}

fn number(text: &Value) -> f64 {
    text.as_str().expect("values are strings").parse().expect("a number")
}

/// The points of the one series there is; of a histogram its count.
fn only(data: &Value) -> Vec<(f64, f64)> {
    let found = data["result"].as_array().expect("a matrix");
    assert!(found.len() <= 1, "one series: {data}");
    let Some(one) = found.first() else { return Vec::new() };
    let at = |point: &Value| point[0].as_f64().expect("a time") - NOON as f64;
    let floats = one["values"].as_array().into_iter().flatten();
    let histograms = one["histograms"].as_array().into_iter().flatten();
    let mut points: Vec<(f64, f64)> = floats.map(|point| (at(point), number(&point[1]))).collect();
    points.extend(histograms.map(|point| (at(point), number(&point[1]["count"]))));
    points.sort_by(|left, right| left.0.total_cmp(&right.0));
    points
}

/// `None` while somebody else has the directory.
fn open(
    directory: &tempfile::TempDir,
    catalogue: &Memory,
    clock: &Clock,
    clean_run: u8,
) -> Option<(Arc<Tsdb>, Router)> {
    let settings = tsdb::Settings {
        data: directory.path().to_owned(),
        segment_bytes_max: 1 << 20,
        fsync: tsdb::FsyncPolicy::Never,
        pairs: tsdb::settings::Pairs { clean_run, ..tsdb::settings::Pairs::default() },
        ..tsdb::Settings::default()
    };
    let (metrics, progress) = (tsdb::Metrics::default(), tsdb::Progress::default());
    let tsdb = Tsdb::open(settings, Box::new(catalogue.clone()), metrics, clock.now(), &progress);
    let tsdb = Arc::new(tsdb.ok()?);
    let mut registry = Registry::default();
    let metrics = http::Metrics::register(&mut registry);
    registry.register_collector(Box::new(PairMetrics::new(Tsdb::clone(&tsdb), clock.to_fn())));
    let readiness = Arc::new(Readiness::default());
    readiness.enter(Phase::Ready);
    let ingest = Arc::new(Ingest::new(ingest::Settings::default(), Arc::clone(&tsdb) as _, ingest::Metrics::default()));
    let tokens = Tokens::open(Arc::clone(&tsdb) as _, system_chance()).expect("no tokens yet");
    let services = http::Services {
        source: Arc::clone(&tsdb) as _,
        access: Arc::new(Access::new(tokens, access::Settings::default())),
        headers: http::AnswerHeaders::default(),
        queries: Arc::new(Engine::default()),
        register: Arc::<Register>::default(),
        features: Features::default(),
        relabeling: Arc::new(RelabelSeam { ingest: Arc::clone(&ingest), configured: Vec::new() }),
        writer: ingest,
        rules: Arc::new(NoRules),
        storage: Arc::new(StorageSeam { tsdb: Arc::clone(&tsdb), retention: Length::days(90) }),
        pairs: Arc::clone(&tsdb) as _,
        admin: None,
        readiness,
        registry: Arc::new(registry),
        metrics,
        build: http::BuildInfo::default(),
        started_at: clock.now(),
        reload: Arc::new(|| Ok(())),
        config: Arc::new(http::ConfigStatus::default),
        flags: BTreeMap::new(),
        clock: clock.to_fn(),
        stopwatch: Clock::stopwatch(),
    };
    Some((tsdb, http::router(services, http::Settings::default())))
}

struct NoRules;

impl RuleStatus for NoRules {
    fn groups(&self) -> Vec<GroupStatus> {
        Vec::new()
    }

    fn notifiers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A `prometheus.WriteRequest`, one series a sample.
fn encode(samples: &[Sent]) -> Vec<u8> {
    let mut request = Vec::new();
    for sent in samples {
        let mut series = Vec::new();
        let (name, inside) = sent.series.split_once('{').unwrap_or((&sent.series, ""));
        let inside = inside.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
        let mut labels = vec![("__name__", name), ("__replica__", sent.replica), ("cluster", "eu")];
        labels.extend(inside.map(|(name, value)| (name, value.trim_matches('"'))));
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort_unstable();
        for (name, value) in labels {
            let mut label = Vec::new();
            bytes(&mut label, 1, name.as_bytes());
            bytes(&mut label, 2, value.as_bytes());
            bytes(&mut series, 1, &label);
        }
        let at = NOON * 1000 + (sent.at * 1000.0).round() as i64;
        let value = match sent.value {
            What::Float(value) => value,
            What::Stale => f64::from_bits(STALE_NAN_BITS),
            What::Histogram(count) => {
                bytes(&mut series, 4, &histogram(count, at));
                bytes(&mut request, 1, &series);
                continue;
            }
        };
        let mut sample = Vec::new();
        double(&mut sample, 1, value);
        field(&mut sample, 2, at as u64);
        bytes(&mut series, 2, &sample);
        bytes(&mut request, 1, &series);
    }
    request
}

/// Two buckets, and "no reset" as its hint.
fn histogram(count: u64, at: i64) -> Vec<u8> {
    let (mut out, mut span, mut deltas) = (Vec::new(), Vec::new(), Vec::new());
    field(&mut span, 2, 2);
    let (first, second) = (count as i64 - count as i64 / 4, count as i64 / 4);
    varint(&mut deltas, zigzag(first));
    varint(&mut deltas, zigzag(second - first));
    field(&mut out, 1, count);
    double(&mut out, 3, count as f64 * 1.5);
    field(&mut out, 4, zigzag(3));
    bytes(&mut out, 11, &span);
    bytes(&mut out, 12, &deltas);
    field(&mut out, 14, 2);
    field(&mut out, 15, at as u64);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn field(out: &mut Vec<u8>, number: u64, value: u64) {
    varint(out, number << 3);
    varint(out, value);
}

fn double(out: &mut Vec<u8>, number: u64, value: f64) {
    varint(out, number << 3 | 1);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, number: u64, value: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, value.len() as u64);
    out.extend(value);
}
