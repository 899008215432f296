//! Real pairs, each with another fault: what becomes of one series while a replica is killed, paused, cut off from its
//! target, behind with its queue, or wrong about the time.
//!
//! All pairs run side by side. One small server plays the targets, whose counter grows by a hundred a second, and stands
//! between the replicas and Weir, where it refuses and shifts what it is told to. (A clock is shifted on the way, since a
//! program in Go asks the kernel for the time and no library that could be replaced.) docs/dedup.md has the figures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use prost::Message;
use tokio::time::Instant;
use weir::ingest::wire::proto::prometheus::WriteRequest;

use crate::world::{Api, Program, Stack, free_port, pause, tools};

/// Seconds between two scrapes.
const INTERVAL: f64 = 5.0;
/// How much later than planned a real Prometheus on a busy machine may scrape, seconds.
const JITTER: f64 = 0.25;
/// What the counter grows by in a second.
const RATE: f64 = 100.0;
/// Healthy, then the fault, then until the replica has shown a clean run again.
const STRETCHES: [Duration; 3] = [Duration::from_secs(100), Duration::from_secs(40), Duration::from_secs(80)];

/// What happens to replica a.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Killed,
    Paused,
    Cut,
    Lagging,
}

/// Pairs by name: the fault, and how far the clock of a is ahead, seconds.
const PAIRS: [(&str, Fault, f64); 6] = [
    ("killed", Fault::Killed, 0.0),
    ("paused", Fault::Paused, 0.0),
    ("cut off from the target", Fault::Cut, 0.0),
    ("queue behind", Fault::Lagging, 0.0),
    ("killed, clock 1 s ahead", Fault::Killed, 1.0),
    ("killed, clock 20 s ahead", Fault::Killed, 20.0),
];

/// What stands between the replicas, their targets and Weir.
struct Between {
    started: Instant,
    weir: String,
    http: reqwest::Client,
    /// Whether the faults that are made here are there now.
    faulty: AtomicBool,
}

#[tokio::test]
#[ignore = "four minutes, twelve Prometheus servers: cargo test --release --test stack -- --ignored faults"]
async fn no_fault_of_a_replica_leaves_a_gap_or_fakes_a_reset() {
    let Some(tools) = tools() else { return };
    let stack = Stack::new(tools.clone(), "5s");
    let _weir = stack.start_weir(&[]).await;
    let port = free_port();
    let between = Arc::new(Between {
        started: Instant::now(),
        weir: stack.api().url,
        http: reqwest::Client::new(),
        faulty: AtomicBool::new(false),
    });
    let router = Router::new()
        .route("/{pair}/{replica}/metrics", get(scraped))
        .route("/{pair}/{replica}/write", post(written))
        .layer(DefaultBodyLimit::max(32 << 20))
        .with_state(between.clone());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    tokio::spawn(async move { axum::serve(listener, router).await });

    let start = |pair: usize, replica: &str| {
        let folder = stack.folder.path();
        let config = folder.join(format!("{pair}-{replica}.yml"));
        std::fs::write(&config, configuration(pair, replica, port)).expect("write a configuration");
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--web.listen-address=127.0.0.1:{}", free_port()),
            "--enable-feature=agent".into(),
            format!("--storage.agent.path={}", folder.join(format!("{pair}-{replica}")).display()),
        ];
        Program::start(&tools.join("prometheus"), &arguments, &folder.join(format!("{pair}-{replica}.log")))
    };
    let mut leaders: BTreeMap<usize, Program> = (0..PAIRS.len()).map(|pair| (pair, start(pair, "a"))).collect();
    let _others: Vec<Program> = (0..PAIRS.len()).map(|pair| start(pair, "b")).collect();
    pause(STRETCHES[0]).await;

    between.faulty.store(true, Ordering::SeqCst);
    for (pair, (_, fault, _)) in PAIRS.iter().enumerate() {
        match fault {
            Fault::Killed => drop(leaders.remove(&pair)),
            Fault::Paused => leaders[&pair].stop_for_now(),
            Fault::Cut | Fault::Lagging => {}
        }
    }
    pause(STRETCHES[1]).await;
    between.faulty.store(false, Ordering::SeqCst);
    for (pair, (_, fault, _)) in PAIRS.iter().enumerate() {
        match fault {
            Fault::Killed => drop(leaders.insert(pair, start(pair, "a"))),
            Fault::Paused => leaders[&pair].go_on(),
            Fault::Cut | Fault::Lagging => {}
        }
    }
    pause(STRETCHES[2]).await;

    let mut wrong = Vec::new();
    for (pair, (name, _, ahead)) in PAIRS.iter().enumerate() {
        let seen = look_at(&stack.api(), pair, *ahead).await;
        eprintln!("{name}: {seen:?}");
        wrong.extend(seen.wrong(*ahead).map(|what| format!("{name}: {what}: {seen:?}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a pair's series looked like.
#[derive(Debug)]
struct Seen {
    samples: usize,
    /// Samples for each that one replica alone would have sent.
    density: f64,
    /// Between two samples of a gauge, seconds.
    gap_min: f64,
    /// Between two samples of a gauge, seconds.
    gap_max: f64,
    /// Between two samples of a counter, seconds: fillers that other clocks make look like a reset are left out.
    counter_gap_max: f64,
    resets: usize,
    /// Of `rate` over four intervals: mean and largest deviation from the truth, as shares of it.
    rate_error: (f64, f64),
    down: usize,
}

impl Seen {
    /// What does not hold.
    fn wrong(&self, ahead: f64) -> impl Iterator<Item = &'static str> {
        // Two switches in a window, each up to half an interval off; and clocks apart, whose jump rate() divides by the
        // time that samples span, which a window of four intervals is at least two and a half of (docs/dedup.md).
        let window = 4.0 * INTERVAL;
        let error_max = 2.0 * 0.5 * INTERVAL / window + ahead / (window - 1.5 * INTERVAL);
        let checks = [
            (self.samples < 30, "too few samples to tell"),
            (self.gap_max > 1.5 * INTERVAL + JITTER, "a gap"),
            (self.counter_gap_max > 1.5 * INTERVAL + JITTER + ahead, "a gap of the counter"),
            ((self.density - 1.0).abs() > 0.1, "more or fewer samples than one replica sends"),
            (self.gap_min < 0.5 * INTERVAL - JITTER, "samples that bunch up"),
            (self.resets > 0, "a fake reset"),
            (self.rate_error.1 > error_max, "a rate that is out of bounds"),
            (self.down > 0, "up is not 1 all the time"),
        ];
        checks.into_iter().filter_map(|(is_wrong, what)| is_wrong.then_some(what))
    }
}

async fn look_at(api: &Api, pair: usize, ahead: f64) -> Seen {
    let now = value(&api.query("vector(time())", None).await[0]["value"]);
    let end = now - 10.0 + ahead;
    let length = (STRETCHES.iter().sum::<Duration>().as_secs_f64() - 30.0).floor();
    let points = points_of(api, &format!("pair_counter_total{{cluster=\"{pair}\"}}[{length}s]"), end).await;
    let level = points_of(api, &format!("pair_level{{cluster=\"{pair}\"}}[{length}s]"), end).await;
    let gaps = |points: &[(f64, f64)]| points.windows(2).map(|two| two[1].0 - two[0].0).collect::<Vec<f64>>();
    let longest = |gaps: Vec<f64>| gaps.into_iter().fold(0.0, f64::max);
    let parameters = [
        ("query", format!("rate(pair_counter_total{{cluster=\"{pair}\"}}[{}s])", 4.0 * INTERVAL)),
        ("start", format!("{:.3}", end - length + 5.0 * INTERVAL)),
        ("end", format!("{end:.3}")),
        ("step", "1".to_owned()),
    ];
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let rates = api.data("/api/v1/query_range", &parameters).await;
    let errors: Vec<f64> = rates["result"][0]["values"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|point| (value(point) / RATE - 1.0).abs())
        .collect();
    let steps = length - 6.0 * INTERVAL - ahead;
    assert!(errors.len() as f64 > steps, "a rate at every step: {} of {steps}", errors.len());
    let down = api.query(&format!("count_over_time((up{{cluster=\"{pair}\"}} == 0)[{length}s:1s])"), Some(end)).await;
    let (first, last) = (level[0].0, level[level.len() - 1].0);
    Seen {
        samples: level.len(),
        density: (level.len() - 1) as f64 * INTERVAL / (last - first),
        gap_min: gaps(&level).into_iter().fold(f64::INFINITY, f64::min),
        gap_max: longest(gaps(&level)),
        counter_gap_max: longest(gaps(&points)),
        resets: points.windows(2).filter(|two| two[1].1 < two[0].1).count(),
        rate_error: (errors.iter().sum::<f64>() / errors.len() as f64, errors.iter().copied().fold(0.0, f64::max)),
        down: down.len(),
    }
}

/// Times and values of the one series that a range selector finds.
async fn points_of(api: &Api, selector: &str, end: f64) -> Vec<(f64, f64)> {
    let raw = api.query(selector, Some(end)).await;
    assert_eq!(raw.len(), 1, "one series for a pair: {raw:?}");
    let points = raw[0]["values"].as_array().into_iter().flatten();
    points.map(|point| (point[0].as_f64().expect("a time"), value(point))).collect()
}

fn value(point: &serde_json::Value) -> f64 {
    point[1].as_str().and_then(|text| text.parse().ok()).expect("a value is a string")
}

/// The target of one replica.
async fn scraped(
    State(between): State<Arc<Between>>,
    Path((pair, replica)): Path<(usize, String)>,
) -> Result<String, StatusCode> {
    let (_, fault, _) = PAIRS[pair];
    if fault == Fault::Cut && replica == "a" && between.faulty.load(Ordering::SeqCst) {
        return Err(StatusCode::BAD_GATEWAY);
    }
    let count = RATE * between.started.elapsed().as_secs_f64();
    Ok(format!(
        "# TYPE pair_counter_total counter\npair_counter_total {count}\n# TYPE pair_level gauge\npair_level {count}\n"
    ))
}

/// The way of one replica to Weir.
async fn written(
    State(between): State<Arc<Between>>,
    Path((pair, replica)): Path<(usize, String)>,
    body: Bytes,
) -> StatusCode {
    let (_, fault, ahead) = PAIRS[pair];
    let is_leader = replica == "a";
    if fault == Fault::Lagging && is_leader && between.faulty.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let body = if is_leader { shifted(&body, ahead) } else { body.to_vec() };
    let post = between
        .http
        .post(format!("{}/api/v1/write", between.weir))
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .body(body);
    match post.send().await {
        Ok(answer) => answer.status(),
        Err(_) => StatusCode::BAD_GATEWAY,
    }
}

/// A request whose sender's clock is `ahead` seconds ahead.
fn shifted(body: &[u8], ahead: f64) -> Vec<u8> {
    let plain = snap::raw::Decoder::new().decompress_vec(body).expect("Prometheus sends snappy");
    let mut request = WriteRequest::decode(&*plain).expect("Prometheus sends a write request");
    let millis = (ahead * 1000.0) as i64;
    for series in &mut request.timeseries {
        series.samples.iter_mut().for_each(|sample| sample.timestamp += millis);
    }
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("a request fits")
}

fn configuration(pair: usize, replica: &str, port: u16) -> String {
    format!(
        "global:
  scrape_interval: {INTERVAL}s
  external_labels: {{cluster: \"{pair}\", __replica__: {replica}}}
remote_write:
  - url: http://127.0.0.1:{port}/{pair}/{replica}/write
    queue_config: {{batch_send_deadline: 1s, max_backoff: 1s}}
scrape_configs:
  - job_name: target
    metrics_path: /{pair}/{replica}/metrics
    static_configs: [{{targets: [\"127.0.0.1:{port}\"]}}]
"
    )
}
