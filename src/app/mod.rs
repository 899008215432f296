//! Wiring: builds every room, starts them in order, and stops them in the reverse order.
//!
//! ```text
//! start   clock, logging -> port bound, "not ready" -> tsdb recovers -> promql -> ingest -> rules -> ready
//! stop    not ready, http drains -> rules end, alerts are handed over -> tsdb flushes and closes
//! ```
//!
//! Read next: [`run`] is all of it on one screen; `settings` says what the configuration means to each room.

mod metrics;
mod maintenance;
mod query_log;
mod reload;
mod seams;
mod settings;
mod signals;
mod web;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::access::{self, Access, Tokens, system_chance};
use crate::cli::Serve;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::units::Length;
use crate::http::{self, Phase, Readiness};
use crate::ingest::{self, Ingest};
use crate::promql::register::{Register, WriteLine};
use crate::promql::{Answers, Engine, MemoryPool};
use crate::rules::status::RuleStatus as _;
use crate::rules::{self, Rules};
use crate::telemetry;
use crate::tsdb::catalogue::rocks::Rocks;
use crate::tsdb::{self, Tsdb};

use maintenance::Maintenance;
use query_log::QueryLog;
use reload::Reload;
pub(crate) use seams::day_text;
use seams::{AdminSeam, RelabelSeam, StorageSeam};
pub(crate) use settings::rule_defaults;

/// Threads of the runtime: half of them may be waiting for the disk (`http::gate`).
const THREADS_MIN: usize = 4;
/// How long the runtime may take to end what was left running.
const LAST_GRACE: Duration = Duration::from_secs(2);

/// Runs until a signal ends it.
///
/// # Errors
/// What keeps Weir from starting, or from closing its data properly.
pub fn run(config: &Config, flags: &Serve) -> anyhow::Result<()> {
    let clock = Clock::system();
    telemetry::start(config.log.format, &config.log.level, clock.clone())?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(THREADS_MIN))
        .enable_all()
        .build()
        .context("start threads")?;
    let outcome = runtime.block_on(serve(config, flags, &clock));
    runtime.shutdown_timeout(LAST_GRACE);
    outcome
}

async fn serve(config: &Config, flags: &Serve, clock: &Clock) -> anyhow::Result<()> {
    let features = settings::features(config)?;
    let started_at = clock.now();
    let readiness = Arc::new(Readiness::default());
    let mut registry = Registry::default();
    let http_metrics = http::Metrics::register(&mut registry);
    let ingest_metrics = ingest::Metrics::default();
    ingest_metrics.register(&mut registry);
    let tsdb_metrics = tsdb::Metrics::timed_by(&Clock::stopwatch());
    tsdb_metrics.register(&mut registry);
    let rules_metrics = rules::Metrics::register(&mut registry);
    let app_metrics = metrics::Metrics::register(&mut registry);

    // The port opens before recovery, so that health checks see how far it is.
    let listener = TcpListener::bind(config.listen).await.with_context(|| format!("listen on {}", config.listen))?;
    tracing::info!(address = %config.listen, version = env!("CARGO_PKG_VERSION"), "weir listens");
    let chance = system_chance();
    let mut pepper = [0; 32];
    chance(&mut pepper);
    let web = web::read(config, pepper).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    // Connections are under TLS from the first on; who may ask is settled once there is somebody to ask.
    let tls = http::Tls::new(web.acceptance().into());
    let stop = CancellationToken::new();
    let whole = Arc::new(OnceLock::new());
    let listening = tokio::spawn(http::listen(
        listener,
        http::until_ready(Arc::clone(&readiness), Arc::clone(&whole)),
        http::ListenSettings::default(),
        Arc::clone(&tls),
        http_metrics.clone(),
        stop.clone().cancelled_owned(),
    ));
    let signals = signals::Signals::listen()?;

    let opened = open_store(config, flags, clock, &readiness, tsdb_metrics);
    let tsdb = tokio::select! {
        opened = opened => opened?,
        () = signals.ended() => return Ok(()),
    };
    let maintenance = Maintenance::start(&tsdb, clock, settings::sync_log_every(config));
    registry.register_collector(Box::new(tsdb::PairMetrics::new(Tsdb::clone(&tsdb), clock.to_fn())));

    let memory = MemoryPool::new(config.query.memory_total_max.0 as u64);
    let answers = Answers::new(config.query.cache_max.0);
    let engine = Arc::new(Engine::new(settings::engine(config, features)).with_memory(memory).with_answers(answers));
    registry.register_collector(Box::new(metrics::AnswerMetrics(Arc::clone(&engine))));
    let query_log = match config.query.log.as_os_str().is_empty() {
        true => None,
        false => Some(Arc::new(QueryLog::open(&config.query.log)?)),
    };
    let register = Arc::new(Register::new(query_log.clone().map(|log| {
        let write_line: WriteLine = Box::new(move |line| log.write_line(line));
        write_line
    })));
    let ingest = Arc::new(Ingest::new(settings::ingest(config)?, Arc::clone(&tsdb) as _, ingest_metrics));
    let tokens = Tokens::open(Arc::clone(&tsdb) as _, chance).context("read tokens")?;
    let access = Arc::new(Access::new(tokens, access::Settings::default()));
    let headers = http::AnswerHeaders::default();
    let doors = web::Web::new(Arc::clone(&access), tls, Arc::clone(&headers), pepper);
    doors.take_over(web);
    let rules = start_rules(config, features, &engine, &tsdb, &register, clock, rules_metrics)?;
    let reload = Arc::new(Reload::new(config, flags, Arc::clone(&rules), query_log, doors, app_metrics, clock.clone()));

    let services = http::Services {
        source: Arc::clone(&tsdb) as _,
        access,
        headers,
        queries: engine,
        register,
        features,
        relabeling: Arc::new(RelabelSeam {
            ingest: Arc::clone(&ingest),
            configured: config.write.relabel_configs.clone(),
        }),
        writer: ingest,
        rules: Arc::clone(&rules) as _,
        storage: Arc::new(StorageSeam { tsdb: Arc::clone(&tsdb), retention: config.retention }),
        pairs: Arc::clone(&tsdb) as _,
        admin: config.http.admin.then(|| Arc::new(AdminSeam { tsdb: Arc::clone(&tsdb), clock: clock.clone() }) as _),
        readiness: Arc::clone(&readiness),
        registry: Arc::new(registry),
        metrics: http_metrics,
        build: build_info(),
        started_at,
        reload: reload.hook(),
        config: reload.status_hook(),
        flags: flag_values(config),
        clock: clock.to_fn(),
        stopwatch: Clock::stopwatch(),
    };
    if whole.set(http::router(services, settings::http(config))).is_err() {
        unreachable!("the whole router is set once");
    }
    readiness.enter(Phase::Ready);
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(
        data = %config.data.display(),
        retention = %config.retention,
        groups = rules.groups().len(),
        notifiers = config.notifiers.len(),
        "weir is ready"
    );

    signals.serve(&reload).await;

    readiness.enter(Phase::Stopping);
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    tracing::info!("weir stops");
    stop.cancel();
    let listened = listening.await;
    // Whatever became of the listener, the rooms behind it end properly.
    tokio::task::spawn_blocking(move || {
        rules.stop();
        maintenance.stop();
        tsdb.close().context("close the store")
    })
    .await
    .context("end the rooms")??;
    listened.context("end the listener")?.context("listen")?;
    tracing::info!("weir has stopped");
    Ok(())
}

/// Opens the store on a thread of its own, and shows how far recovery is.
async fn open_store(
    config: &Config,
    flags: &Serve,
    clock: &Clock,
    readiness: &Readiness,
    metrics: tsdb::Metrics,
) -> anyhow::Result<Arc<Tsdb>> {
    let progress = Arc::new(tsdb::Progress::default());
    let settings = settings::tsdb(config, process_seed(clock), flags.unsafe_without_log);
    let (reported, now) = (Arc::clone(&progress), clock.now());
    let mut opening = tokio::task::spawn_blocking(move || {
        let catalogue = Rocks::open(&settings.data.join("catalogue"))?;
        Tsdb::open(settings, Box::new(catalogue), metrics, now, &reported)
    });
    loop {
        tokio::select! {
            opened = &mut opening => {
                let doing = || format!("open the data directory {}", config.data.display());
                let tsdb = opened.context("recover")?.with_context(doing)?;
                tell_recovery(&tsdb.status());
                return Ok(Arc::new(tsdb));
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                let (done, total) = (progress.done_bytes(), progress.total_bytes());
                readiness.enter(Phase::Recovering { done, total, what: "replaying the log, bytes".into() });
            }
        }
    }
}

/// Opens the data directory of a Weir that is stopped, to ask it. Nothing old is dropped, and nothing is written:
/// whoever calls this asks and forgets.
///
/// # Errors
/// Where the directory cannot be opened: a Weir runs on it, or it is damaged.
pub fn open_stopped(data: &Path, clock: &Clock) -> anyhow::Result<Arc<Tsdb>> {
    let config = Config { data: data.to_owned(), retention: Length::days(100 * 365), ..Config::default() };
    let settings = settings::tsdb(&config, process_seed(clock), false);
    let catalogue = Rocks::open(&settings.data.join("catalogue"))?;
    let (metrics, progress) = (tsdb::Metrics::default(), tsdb::Progress::default());
    Ok(Arc::new(Tsdb::open(settings, Box::new(catalogue), metrics, clock.now(), &progress)?))
}

/// Opens the data directory of a Weir that is stopped, to write to it; looks after the store meanwhile, and closes it.
///
/// # Errors
/// Where the directory cannot be opened or closed, and what `work` says.
pub fn with_stopped<T>(
    data: &Path,
    clock: &Clock,
    work: impl FnOnce(&Arc<Tsdb>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let tsdb = open_stopped(data, clock).with_context(|| format!("open {}", data.display()))?;
    let maintenance = Maintenance::start(&tsdb, clock, None);
    let done = work(&tsdb);
    maintenance.stop();
    tsdb.close().context("close the store")?;
    done
}

/// What recovery found; damage by file and place, since somebody must look.
fn tell_recovery(status: &tsdb::Status) {
    let tsdb::Recovered { log_bytes, samples, torn_bytes, damages, nameless_samples, adopted_parts, .. } =
        &status.recovered;
    for damage in damages {
        tracing::error!(damage, "the data directory is damaged; the rest is served");
    }
    if *nameless_samples > 0 {
        tracing::error!(samples = nameless_samples, "samples whose series nothing names any more are left out");
    }
    let (parts, part_bytes) = (status.parts, status.part_bytes);
    tracing::info!(parts, part_bytes, adopted_parts, log_bytes, samples, torn_bytes, "the store is recovered");
}

fn start_rules(
    config: &Config,
    features: crate::promql::Features,
    engine: &Arc<Engine>,
    tsdb: &Arc<Tsdb>,
    register: &Arc<Register>,
    clock: &Clock,
    metrics: rules::Metrics,
) -> anyhow::Result<Arc<Rules>> {
    let handle = tokio::runtime::Handle::current();
    let deps = rules::Deps {
        query: rules::query_with(
            Arc::clone(engine),
            Arc::clone(tsdb) as _,
            config.query.timeout.0,
            Arc::clone(register),
            clock.to_fn(),
            &handle,
        ),
        sink: Arc::clone(tsdb) as _,
        journal: Arc::clone(tsdb) as _,
        clock: clock.to_fn(),
        metrics,
        watermark: Some(rules::Watermark {
            deliveries: Arc::clone(tsdb) as _,
            source: Arc::clone(tsdb) as _,
            cluster_labels: config.ha.cluster_labels.clone().into(),
        }),
    };
    let settings = settings::rules(config, features);
    let rules = Rules::start(settings, deps, &handle).context("start rules")?;
    if !config.rules.files.is_empty() && rules.groups().is_empty() {
        tracing::warn!(patterns = config.rules.files.join(" "), "no rule file is found: nothing is evaluated");
    }
    Ok(rules)
}

/// A number nobody can foresee, for hashes over what senders choose.
fn process_seed(clock: &Clock) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_i64(clock.now().as_millis());
    hasher.finish()
}

fn build_info() -> http::BuildInfo {
    http::BuildInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        revision: option_env!("WEIR_REVISION").unwrap_or("unknown").into(),
        ..http::BuildInfo::default()
    }
}

/// The settings that people look for in `/api/v1/status/flags`.
fn flag_values(config: &Config) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("listen".to_owned(), config.listen.to_string()),
        ("data".to_owned(), config.data.display().to_string()),
        ("retention".to_owned(), config.retention.to_string()),
        ("retention-size".to_owned(), config.retention_size.0.to_string()),
        ("query.lookback-delta".to_owned(), config.query.lookback.to_string()),
        ("query.timeout".to_owned(), config.query.timeout.to_string()),
        ("query.max-samples".to_owned(), config.query.samples_max.to_string()),
        ("query.max-concurrency".to_owned(), config.query.concurrency.to_string()),
        ("promql.enable".to_owned(), config.query.features.join(",")),
    ])
}
