//! The configuration file: one YAML file, one struct that mirrors it, unknown keys refused.
//!
//! [`Config::default`] is the embedded configuration and equals `config/weir.yml` (a test holds them together).
//! Reading finds every problem at once, each as `file:line:column: what is wrong`, before a socket opens. Settings are
//! data: `app` builds components from them. Only this room and `rules::file` know YAML.
//!
//! Read next: [`units`] for how sizes and times are written, then the structs below from top to bottom.

pub mod units;
pub mod web;
mod read;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::ingest::OtlpSettings;
use crate::ingest::relabel::RelabelConfig;

pub use read::{Problem, place_of, read, read_text, relabel_rules};
use units::{Bytes, Length};

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on.
    #[serde(deserialize_with = "units::listen_address")]
    pub listen: SocketAddr,
    /// Directory that holds all data.
    pub data: PathBuf,
    /// How long samples are kept.
    pub retention: Length,
    /// What samples may take on disk; beyond it the oldest go. 0: as much as there is.
    pub retention_size: Bytes,
    /// What is logged, and how.
    pub log: Log,
    /// How HA replicas are told apart.
    pub ha: Ha,
    /// What a write request may hold.
    pub write: Write,
    /// What is made of OpenTelemetry's metrics; Prometheus' words.
    pub otlp: OtlpSettings,
    /// How samples are kept.
    pub storage: Storage,
    /// What a query may cost.
    pub query: Query,
    /// Which rules are evaluated, and how.
    pub rules: Rules,
    /// Alertmanagers, by URL; each gets every alert.
    pub notifiers: Vec<String>,
    /// The HTTP server beside the API.
    pub http: Http,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `logfmt` or `json`.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,weir::rules=debug`.
    pub level: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `key=value` pairs, as Prometheus logs.
    #[default]
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// How HA replicas are told apart.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ha {
    /// Labels that name the replica; the first one present is taken off the series.
    pub replica_labels: Vec<String>,
    /// Labels that name the group the replica belongs to; the first one present counts, and stays.
    pub cluster_labels: Vec<String>,
    /// Users and tokens that write for a replica of the same name: for senders whose labels are all equal.
    pub replica_users: Vec<String>,
    /// Replicas of a group, the preferred one first, by the group label's value; groups that are not named go by name.
    pub order: BTreeMap<String, Vec<String>>,
    /// How series are made of their lanes, by selector; the first that matches decides.
    pub policies: Vec<HaPolicy>,
    /// Clean scrapes in a row until a replica that had missed one leads again, at most 10.
    pub clean_run: u8,
}

/// How the series that a selector finds are made of their lanes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaPolicy {
    /// A selector as in PromQL.
    #[serde(rename = "match")]
    pub selector: String,
    /// What is done with their lanes.
    pub policy: HaPolicyName,
}

/// The policies of docs/dedup.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaPolicyName {
    /// The preferred replica, and others where it has holes.
    Prefer,
    /// Values over 0 of any replica first.
    Any,
    /// The largest value that any replica shows.
    Max,
    /// The smallest one.
    Min,
    /// Each replica is a series of its own.
    KeepReplica,
}

/// What a write request may hold.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Write {
    /// Most bytes of a body as sent.
    pub body_max: Bytes,
    /// Most bytes of a body once decompressed.
    pub decoded_max: Bytes,
    /// Most labels of a series.
    pub labels_max: usize,
    /// Most bytes of a label name.
    pub label_name_max: Bytes,
    /// Most bytes of a label value.
    pub label_value_max: Bytes,
    /// How far a sample may lie ahead of this machine's clock.
    pub ahead_max: Length,
    /// Rules that rewrite or drop series at the way in, as in prometheus.yml.
    pub relabel_configs: Vec<RelabelConfig>,
}

/// How samples are kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// `always`: a request is acknowledged when it is on disk. A time (`200ms`): it may be lost for that long
    /// if power fails. `never`: only for tests.
    pub fsync: Fsync,
    /// Most active series; new ones beyond are refused. 0: no limit.
    pub series_max: usize,
    /// Most active series with one metric name; new ones beyond are refused. 0: no limit.
    pub series_per_metric_max: usize,
    /// Most new series in a second, and ten times as many at once after a quiet time; more are refused. 0: no limit.
    pub new_series_per_second_max: usize,
    /// How much of one CPU merges may take.
    pub merge_cpu_share: f64,
    /// Below so much free room on the disk (or a tenth of the disk) writes are refused.
    pub free_min: Bytes,
    /// Room held back for the catalogue (at most a twentieth of the disk).
    pub reserve: Bytes,
}

/// When the log is flushed to disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before each acknowledgement.
    #[default]
    Always,
    /// This often.
    Every(Length),
    /// When the operating system likes.
    Never,
}

impl<'de> Deserialize<'de> for Fsync {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match String::deserialize(from)?.as_str() {
            "always" => Ok(Fsync::Always),
            "never" => Ok(Fsync::Never),
            text => text.parse().map(Fsync::Every).map_err(|error| {
                serde::de::Error::custom(format!("fsync is `always`, `never` or a time such as `200ms`: {error}"))
            }),
        }
    }
}

/// What a query may cost.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// How far an instant selector looks back for a sample.
    pub lookback: Length,
    /// Longest a query may take; `timeout=` asks for less.
    pub timeout: Length,
    /// Most queries at once; more wait in line.
    pub concurrency: usize,
    /// Most samples one query may load.
    pub samples_max: u64,
    /// Most memory one query may hold.
    pub memory_max: Bytes,
    /// Most memory all queries may hold together.
    pub memory_total_max: Bytes,
    /// Most memory for answers of range queries, kept for who asks again; 0: none are kept.
    pub cache_max: Bytes,
    /// Most series one selector may find.
    pub series_max: usize,
    /// File that each query is logged to, a JSON object a line; empty: none.
    pub log: PathBuf,
    /// Prometheus' feature flags: `promql-experimental-functions` and its siblings.
    pub features: Vec<String>,
}

/// Which rules are evaluated, and how.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Rule files; `*` stands for any part of a name.
    pub files: Vec<String>,
    /// How often groups that do not say are evaluated.
    pub interval: Length,
    /// How far behind the clock rules are evaluated, so that the newest samples have arrived.
    pub query_offset: Length,
    /// Labels added to each alert that is sent.
    pub external_labels: BTreeMap<String, String>,
    /// Files with templates that all rules may call.
    pub templates: Vec<String>,
    /// Whether each alert gets the label `alertgroup`, as vmalert does it.
    pub alertgroup_label: bool,
    /// How often rule files are looked at; a change that stays is taken over. 0: only when told to reload.
    pub check_interval: Length,
    /// `data`: an evaluation waits until what it reads has been delivered. A time: it always waits so long. `off`: it
    /// never waits.
    pub wait: Wait,
    /// Longest that an evaluation waits for data.
    pub wait_max: Length,
    /// Most rules that are evaluated at the same time.
    pub concurrency: usize,
    /// A file with further notifiers: vmalert's `-notifier.config`, or Prometheus' `alerting` block. Empty: none.
    pub notifier_config: PathBuf,
    /// Whether rules may be edited by Mimir's ruler API.
    pub api: bool,
    /// This Weir's name among several that evaluate the same rules. Empty: it is alone, or the replica label of
    /// `external_labels` says it.
    pub replica: String,
    /// URLs of the others; they are sent what is evaluated here.
    pub peers: Vec<String>,
    /// A file with a token that they take. Empty: they need none.
    pub peers_token_file: PathBuf,
}

/// What an evaluation waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// The data that it reads.
    #[default]
    Data,
    /// Always so long.
    Fixed(Length),
    /// Nothing.
    Off,
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match String::deserialize(from)?.as_str() {
            "data" => Ok(Wait::Data),
            "off" => Ok(Wait::Off),
            text => text
                .parse()
                .map(Wait::Fixed)
                .map_err(|error| serde::de::Error::custom(format!("wait is `data`, `off` or a time: {error}"))),
        }
    }
}

/// The HTTP server beside the API.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The URL under which people reach Weir; links in alerts begin with it. Empty: made of the listen address.
    pub external_url: String,
    /// Whether `/api/v1/admin/...` answers.
    pub admin: bool,
    /// Prometheus' web.yml: TLS, client certificates, users with passwords; empty: none.
    pub web_config: PathBuf,
    /// Whether requests without credentials are answered. Where web.yml has users, they never are.
    pub anonymous: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from(([0, 0, 0, 0], 8488)),
            data: PathBuf::from("./weir-data"),
            retention: Length::days(90),
            retention_size: Bytes(0),
            log: Log::default(),
            ha: Ha::default(),
            write: Write::default(),
            otlp: OtlpSettings::default(),
            storage: Storage::default(),
            query: Query::default(),
            rules: Rules::default(),
            notifiers: Vec::new(),
            http: Http::default(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Http { external_url: String::new(), admin: false, web_config: PathBuf::new(), anonymous: true }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Logfmt, level: "info".into() }
    }
}

impl Default for Ha {
    fn default() -> Self {
        Ha {
            replica_labels: vec!["__replica__".into(), "prometheus_replica".into()],
            cluster_labels: vec!["cluster".into(), "prometheus".into()],
            replica_users: Vec::new(),
            order: BTreeMap::new(),
            policies: Vec::new(),
            clean_run: 10,
        }
    }
}

impl Default for Write {
    fn default() -> Self {
        Write {
            body_max: Bytes::mib(8),
            decoded_max: Bytes::mib(32),
            labels_max: 64,
            label_name_max: Bytes(1024),
            label_value_max: Bytes(4096),
            ahead_max: Length::minutes(10),
            relabel_configs: Vec::new(),
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Storage {
            fsync: Fsync::Always,
            series_max: 10_000_000,
            series_per_metric_max: 1_000_000,
            new_series_per_second_max: 0,
            merge_cpu_share: 0.5,
            free_min: Bytes::mib(256),
            reserve: Bytes::mib(64),
        }
    }
}

impl Default for Query {
    fn default() -> Self {
        Query {
            lookback: Length::minutes(5),
            timeout: Length::minutes(2),
            concurrency: 20,
            samples_max: 50_000_000,
            memory_max: Bytes::mib(1024),
            memory_total_max: Bytes::mib(4096),
            cache_max: Bytes::mib(32),
            series_max: 2_000_000,
            log: PathBuf::new(),
            features: Vec::new(),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            files: Vec::new(),
            interval: Length::minutes(1),
            query_offset: Length::minutes(0),
            external_labels: BTreeMap::new(),
            templates: Vec::new(),
            alertgroup_label: false,
            check_interval: Length::seconds(30),
            wait: Wait::Data,
            wait_max: Length::seconds(30),
            concurrency: 4,
            notifier_config: PathBuf::new(),
            api: false,
            replica: String::new(),
            peers: Vec::new(),
            peers_token_file: PathBuf::new(),
        }
    }
}

impl Config {
    /// This Weir's name among those that evaluate the same rules; empty where it is alone.
    pub fn rules_replica(&self) -> &str {
        let labelled = self.ha.replica_labels.iter().find_map(|label| self.rules.external_labels.get(label));
        match (self.rules.replica.as_str(), labelled) {
            ("", Some(name)) => name,
            (name, _) => name,
        }
    }

    /// Every relation between values that does not hold: the key to look at, and the reason. Empty where all is well.
    pub fn check(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let mut need = |holds: bool, key: &'static str, why: &str| {
            if !holds {
                wrong.push((key, why.to_owned()));
            }
        };
        need(self.retention >= Length::hours(1), "retention", "retention must be at least 1h: a part covers that much");
        need(
            self.storage.merge_cpu_share > 0.0 && self.storage.merge_cpu_share <= 1.0,
            "storage.merge_cpu_share",
            "storage.merge_cpu_share must be above 0 and at most 1: it is a share of one CPU",
        );
        need(
            self.write.body_max <= self.write.decoded_max,
            "write.decoded_max",
            "write.decoded_max must not be smaller than write.body_max: a body never shrinks when decompressed",
        );
        need(
            self.query.concurrency > 0,
            "query.concurrency",
            "query.concurrency must be at least 1, or no query would ever run",
        );
        need(
            self.query.memory_max <= self.query.memory_total_max,
            "query.memory_total_max",
            "query.memory_total_max must not be smaller than query.memory_max: one query is part of all",
        );
        need(self.query.timeout > Length::minutes(0), "query.timeout", "query.timeout must be more than 0s");
        need(self.rules.concurrency > 0, "rules.concurrency", "rules.concurrency must be at least 1");
        need(self.rules.interval > Length::minutes(0), "rules.interval", "rules.interval must be more than 0s");
        need(
            self.ha.replica_labels.iter().all(|label| !self.ha.cluster_labels.contains(label)),
            "ha.replica_labels",
            "a label cannot name both the replica and the group (ha.replica_labels, ha.cluster_labels)",
        );
        for (index, rule) in self.write.relabel_configs.iter().enumerate() {
            if let Err(error) = rule.compile() {
                need(false, "write.relabel_configs", &format!("rule {}: {error}", index + 1));
            }
        }
        need(self.ha.clean_run <= 10, "ha.clean_run", "ha.clean_run must be at most 10: a read looks so far around");
        need(
            self.rules.peers.is_empty() || !self.rules_replica().is_empty(),
            "rules.replica",
            "rules.peers needs rules.replica: a name that tells this Weir's results from those of its peers",
        );
        for url in &self.rules.peers {
            need(
                url.starts_with("http://") || url.starts_with("https://"),
                "rules.peers",
                &format!("peer {url:?} must begin with http:// or https://"),
            );
        }
        for url in &self.notifiers {
            need(
                url.starts_with("http://") || url.starts_with("https://"),
                "notifiers",
                &format!("notifier {url:?} must begin with http:// or https://"),
            );
        }
        wrong
    }
}

#[cfg(test)]
mod tests;
