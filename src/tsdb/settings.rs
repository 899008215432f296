//! What the user may choose about storage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ha::{self, MergeRules, PolicyRule};
use crate::model::{Labels, Span};

use super::resolve::limits::Limits;

/// When an append counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// After an fsync that covers it: survives a power cut.
    #[default]
    Always,
    /// After the write; an fsync follows within this time. Survives the death of the process, and of the machine but
    /// for that last stretch. The fsync happens in [`Tsdb::maintain`](super::Tsdb::maintain).
    Interval(Span),
    /// After the write; an fsync is never asked for. A negative control for tests that cut the power.
    Never,
    /// At once: nothing is logged, and whatever is not in a part dies with the process. A negative control for tests that
    /// kill it.
    Unlogged,
}

/// Settings of a store. Data only: `Tsdb::open` builds what works with it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory that holds everything; made where it is not there.
    pub data: PathBuf,
    /// How long samples are kept, counted from the request's arrival.
    pub retention: Span,
    /// What parts and log may take on disk, in bytes: beyond it the oldest parts go. 0: as much as there is.
    pub retention_bytes: u64,
    /// How much of one CPU merges may take, above 0 and at most 1.
    pub merge_cpu_share: f64,
    /// Below this many free bytes on the disk (or a tenth of it) appends are refused. 0: it is filled to the last.
    pub free_bytes_min: u64,
    /// Room that is held back for the catalogue, in bytes (or a twentieth of the disk). 0: none.
    pub reserve_bytes: u64,
    /// When an append counts as durable.
    pub fsync: FsyncPolicy,
    /// How far ahead of the request's arrival a sample may lie.
    pub ahead_max: Span,
    /// Series in memory: those with recent samples. More are refused; 0: no limit.
    pub series_max: usize,
    /// Series in memory with one metric name. More are refused; 0: no limit.
    pub series_per_metric_max: usize,
    /// New series in a second, ten times as many at once after a quiet time. More are refused; 0: no limit.
    pub new_series_per_second_max: usize,
    /// Memory that samples in the head may take, in bytes, by estimate. The head is spilled early when it is passed,
    /// and appends are refused for a while at twice as much.
    pub head_bytes_budget: usize,
    /// How old the oldest arrival in the head may get before the head is spilled to a part.
    pub spill_age: Span,
    /// Size at which a new log segment is started, in bytes.
    pub segment_bytes_max: u64,
    /// The label that tells lanes apart where a read asks for all of them.
    pub replica_label: String,
    /// Labels that name an HA group: a sender whose series have one of them and name no replica is told of.
    pub cluster_labels: Vec<String>,
    /// How pairs become one series.
    pub pairs: Pairs,
    /// Seed of the hash over label bytes; to be drawn at random for each process, so that nobody can prepare
    /// collisions.
    pub hash_seed: u64,
}

/// How the lanes of HA groups become one series.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Policies by selector; the first that matches decides.
    pub policies: Vec<PolicyRule>,
    /// Who leads, by what the replicas of a group have in common; other groups go by name.
    pub orders: BTreeMap<String, Vec<String>>,
    /// Clean scrapes in a row until a replica that had missed one leads again, at most [`ha::CLEAN_RUN`].
    pub clean_run: u8,
    /// What is taken as the scrape interval of a series with fewer than two samples.
    pub interval: Option<Span>,
}

impl Default for Pairs {
    fn default() -> Self {
        Pairs { policies: Vec::new(), orders: BTreeMap::new(), clean_run: ha::CLEAN_RUN, interval: None }
    }
}

impl Pairs {
    /// The rules of one series.
    pub(super) fn rules_of(&self, labels: &Labels) -> MergeRules {
        let MergeRules { policy, counter, .. } = MergeRules::configured(&self.policies, labels);
        MergeRules { policy, counter, ..self.rules() }
    }

    /// What is the same for all series.
    pub(super) fn rules(&self) -> MergeRules {
        let clean_run = self.clean_run.min(ha::CLEAN_RUN);
        MergeRules { clean_run, interval: self.interval, ..MergeRules::default() }
    }
}

impl Settings {
    pub(super) fn limits(&self) -> Limits {
        Limits {
            series: self.series_max,
            per_metric: self.series_per_metric_max,
            new_per_second: self.new_series_per_second_max,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            data: PathBuf::from("./weir-data"),
            retention: Span::DAY.times(90),
            retention_bytes: 0,
            merge_cpu_share: 0.5,
            free_bytes_min: 0,
            reserve_bytes: 0,
            fsync: FsyncPolicy::Always,
            ahead_max: crate::store::source::AHEAD_MAX,
            series_max: 10_000_000,
            series_per_metric_max: 1_000_000,
            new_series_per_second_max: 0,
            head_bytes_budget: 1 << 30,
            spill_age: Span::MINUTE.times(30),
            segment_bytes_max: 64 << 20,
            replica_label: "__replica__".into(),
            cluster_labels: vec!["cluster".into(), "prometheus".into()],
            pairs: Pairs::default(),
            hash_seed: 0x5745_4952_5345_4544,
        }
    }
}
