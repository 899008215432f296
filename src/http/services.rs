//! What stands behind the routes: everything a handler may ask, handed in by whoever wires the program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use prometheus_client::registry::Registry;

use crate::access::Access;
use crate::ingest::relabel::{RelabelConfig, Rewritten};
use crate::ingest::{ImportRequest, Ingest, IngestError, WriteRequest, Written};
use crate::model::{Matcher, Span, StepGrid, Stopwatch, TimeRange, Timestamp};
use crate::promql::register::Register;
use crate::promql::{Answer, EachSeries, Engine, Features, QueryError, QueryOptions};
use crate::rules::status::RuleStatus;
use crate::store::pairs::Pairs;
use crate::store::{Appended, SampleSource, StoreError};

use super::readiness::Readiness;
use super::storage::{Cardinality, CardinalityWish, StorageReport};

/// Everything a handler may ask. Built by `app`.
pub struct Services {
    /// All that is kept. Handlers reach it through `Http::source` only.
    pub source: Arc<dyn SampleSource>,
    /// Who may ask, and what they see.
    pub access: Arc<Access>,
    /// The query engine.
    pub queries: Arc<dyn Queries>,
    /// Which queries run, which ran, and who asked.
    pub register: Arc<Register>,
    /// Which experimental parts of PromQL are on, for what only parses.
    pub features: Features,
    /// Headers of every answer, as web.yml names them.
    pub headers: AnswerHeaders,
    /// Which relabeling a sender's labels meet, for the debugger.
    pub relabeling: Arc<dyn Relabeling>,
    /// Where remote writes go.
    pub writer: Arc<dyn Writer>,
    /// Groups, rules, alerts, Alertmanagers.
    pub rules: Arc<dyn RuleStatus>,
    /// What storage says of itself.
    pub storage: Arc<dyn StorageStatus>,
    /// What is known of HA pairs.
    pub pairs: Arc<dyn Pairs>,
    /// Deleting and snapshots; `None` = the admin API is switched off.
    pub admin: Option<Arc<dyn Admin>>,
    /// Whether the program is up, and how far it is.
    pub readiness: Arc<Readiness>,
    /// All rooms' metrics.
    pub registry: Arc<Registry>,
    /// This room's metrics, registered in `registry`.
    pub metrics: super::metrics::Metrics,
    /// What was built.
    pub build: BuildInfo,
    /// When the program started.
    pub started_at: Timestamp,
    /// Reads the configuration again; the text says what is wrong with it, and the old one stays.
    pub reload: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The configuration that holds, and when it was loaded.
    pub config: Arc<dyn Fn() -> ConfigStatus + Send + Sync>,
    /// Command-line flags with their values.
    pub flags: BTreeMap<String, String>,
    /// What time it is.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Takes time more finely, for traces.
    pub stopwatch: Stopwatch,
}

/// Headers of every answer; a reload may change them.
pub type AnswerHeaders = Arc<ArcSwap<HeaderMap>>;

/// Headers by name.
///
/// # Errors
/// Where a name or value cannot stand in an answer.
pub fn answer_headers(named: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let header = |(name, text): (&String, &String)| {
        let broken = || format!("header {name}: {text:?} cannot stand in an answer");
        let name = HeaderName::try_from(name.as_str()).map_err(|_| broken())?;
        Ok((name, HeaderValue::try_from(text.as_str()).map_err(|_| broken())?))
    };
    named.iter().map(header).collect()
}

/// Bounds of the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a query may run; `timeout=` may only shorten it.
    pub query_timeout: Span,
    /// Queries that run at once.
    pub queries_running_max: usize,
    /// Queries that wait for a place; more are turned away at once.
    pub queries_waiting_max: usize,
    /// Writes that are taken in at once.
    pub writes_running_max: usize,
    /// Writes that wait; more are told to come back.
    pub writes_waiting_max: usize,
    /// Largest body of a write, in bytes. No encoding makes a body larger than what decoding may give.
    pub write_body_bytes_max: usize,
    /// Bytes of all write bodies in memory at once.
    pub write_bytes_in_flight_max: usize,
    /// How long a request body may take to arrive.
    pub body_timeout: Duration,
    /// Points that a range query may ask for, per series. (Prometheus: 11,000.)
    pub points_max: usize,
    /// How far back an instant query looks for a sample.
    pub lookback: Span,
    /// Whether POST /-/reload works. SIGHUP always does.
    pub reload_by_http: bool,
    /// Users and tokens whose name is that of the HA replica they write for.
    pub replica_users: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            query_timeout: Span::from_secs(120),
            queries_running_max: 20,
            queries_waiting_max: 256,
            writes_running_max: 64,
            writes_waiting_max: 1024,
            write_body_bytes_max: 32 * 1024 * 1024,
            write_bytes_in_flight_max: 256 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            points_max: 11_000,
            lookback: Span::from_secs(5 * 60),
            reload_by_http: true,
            replica_users: Vec::new(),
        }
    }
}

/// The query engine as the API sees it: text in, value out. The real one is [`Engine`].
pub trait Queries: Send + Sync {
    /// Evaluates `text` at one instant. Blocks.
    ///
    /// # Errors
    /// Where the text is no query, or it cannot be evaluated.
    fn instant(
        &self,
        source: &dyn SampleSource,
        text: &str,
        at: Timestamp,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError>;

    /// Evaluates `text` at each point of `grid`. Blocks.
    ///
    /// # Errors
    /// As [`instant`](Self::instant).
    fn range(
        &self,
        source: &dyn SampleSource,
        text: &str,
        grid: StepGrid,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError>;

    /// As [`range`](Self::range), with the series going to `each` one by one, in the order of their labels, and not into
    /// the answer.
    ///
    /// # Errors
    /// As [`range`](Self::range), and what `each` says.
    fn range_each(
        &self,
        source: &dyn SampleSource,
        text: &str,
        grid: StepGrid,
        options: &QueryOptions,
        each: &mut EachSeries<'_>,
    ) -> Result<Answer, QueryError>;
}

impl Queries for Engine {
    fn instant(
        &self,
        source: &dyn SampleSource,
        text: &str,
        at: Timestamp,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        Engine::instant(self, source, text, at, options)
    }

    fn range(
        &self,
        source: &dyn SampleSource,
        text: &str,
        grid: StepGrid,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        Engine::range(self, source, text, grid, options)
    }

    fn range_each(
        &self,
        source: &dyn SampleSource,
        text: &str,
        grid: StepGrid,
        options: &QueryOptions,
        each: &mut EachSeries<'_>,
    ) -> Result<Answer, QueryError> {
        Engine::range_each(self, source, text, grid, options, each)
    }
}

/// Takes what senders write: the real one is [`Ingest`].
pub trait Writer: Send + Sync {
    /// Decodes one body and stores what can be stored. Blocks until that is durable.
    ///
    /// # Errors
    /// Only where nothing of the body counts as written.
    fn write(&self, request: &WriteRequest<'_>) -> Result<Written, IngestError>;

    /// The same for a body in another form than remote write's.
    ///
    /// # Errors
    /// Where the body cannot be read at all, or the store cannot take it.
    fn import(&self, request: &ImportRequest<'_>) -> Result<Appended, IngestError>;
}

impl Writer for Ingest {
    fn write(&self, request: &WriteRequest<'_>) -> Result<Written, IngestError> {
        Ingest::write(self, request)
    }

    fn import(&self, request: &ImportRequest<'_>) -> Result<Appended, IngestError> {
        Ingest::import(self, request)
    }
}

/// What happens to a sender's labels before they name a series.
pub trait Relabeling: Send + Sync {
    /// The rules that hold, or those in `yaml`, a list as in prometheus.yml.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    fn rules(&self, yaml: Option<&str>) -> Result<Vec<RelabelConfig>, String>;

    /// What `labels` become, rule by rule.
    ///
    /// # Errors
    /// Where a rule cannot be used.
    fn rewrite(&self, rules: &[RelabelConfig], labels: &[(String, String)]) -> Result<Rewritten, String>;
}

/// What storage says of itself, for `/api/v1/status/tsdb` and `/api/v1/status/storage`.
pub trait StorageStatus: Send + Sync {
    /// Counts series. Blocks.
    ///
    /// # Errors
    /// Where the index cannot be read.
    fn cardinality(&self, wish: &CardinalityWish) -> Result<Cardinality, StoreError>;

    /// What lies on disk, and how well it is.
    fn report(&self) -> StorageReport;

    /// How long samples are kept, as text: `90d`.
    fn retention(&self) -> String;
}

/// What changes or copies what is stored.
pub trait Admin: Send + Sync {
    /// Makes samples invisible. Blocks.
    ///
    /// # Errors
    /// Where the store cannot take writes.
    fn delete_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError>;

    /// Removes what was deleted from disk. Blocks.
    ///
    /// # Errors
    /// Where the store cannot take writes.
    fn clean_tombstones(&self) -> Result<(), StoreError>;

    /// Copies all data into a new folder under the data folder and says its name. Blocks.
    ///
    /// # Errors
    /// Where files cannot be written.
    fn snapshot(&self, skip_head: bool) -> Result<String, StoreError>;
}

/// The configuration as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigStatus {
    /// Its text, without secrets.
    pub yaml: String,
    /// When it was loaded.
    pub loaded_at: Timestamp,
    /// Whether the last attempt to load one worked.
    pub last_reload_worked: bool,
}

/// What was built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// Weir's own version.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The branch.
    pub branch: String,
    /// Who or what built it.
    pub build_user: String,
    /// When, as text.
    pub build_date: String,
    /// The compiler's version.
    pub rustc: String,
}
