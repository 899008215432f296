//! What is known of HA groups: who sends, who leads, and why a sample is in the series or not.

use crate::model::{Labels, Matcher, Span, TimeRange, Timestamp};

use super::StoreError;

/// Tells of HA groups, and lets an operator choose who leads.
pub trait Pairs: Send + Sync {
    /// The labels by which senders name their replica and their group.
    fn labels(&self) -> PairLabels;

    /// All groups as they stand. Blocks.
    ///
    /// # Errors
    /// Where the index cannot be read.
    fn groups(&self, now: Timestamp) -> Result<Vec<PairGroup>, StoreError>;

    /// What became of each sample of each lane of at most `series_max` series, and whether there are more. Blocks.
    ///
    /// # Errors
    /// As [`groups`](Self::groups).
    fn explain(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        series_max: usize,
    ) -> Result<(Vec<ExplainedSeries>, bool), StoreError>;

    /// From `from` on, in the samples' time, `order` leads in the group `cluster`. Durable when this returns.
    ///
    /// # Errors
    /// Where there is no such group or replica, or the store cannot take writes.
    fn prefer(&self, cluster: &str, order: &[String], from: Timestamp) -> Result<(), PreferError>;
}

/// Why a preference cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum PreferError {
    /// It makes no sense; the text says what would.
    #[error("{0}")]
    Refused(String),
    /// The store cannot take writes.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The labels by which senders name their replica and their group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairLabels {
    /// The label whose value is the replica.
    pub replica: String,
    /// Labels whose value is the group: the first one present counts.
    pub cluster: Vec<String>,
}

/// One HA group.
#[derive(Clone, Debug, Default)]
pub struct PairGroup {
    /// What its replicas have in common; empty where senders only name a replica.
    pub cluster: String,
    /// The label of its series whose value that is; `None` where only requests name the group.
    pub label: Option<String>,
    /// Its series in memory.
    pub series: u64,
    /// Who is asked first now.
    pub order: Vec<String>,
    /// Changes of that, oldest first: from when, in which order, who wanted it.
    pub preferences: Vec<(Timestamp, Vec<String>, String)>,
    /// Who feeds its targets' series now.
    pub leading: Option<String>,
    /// When that changed last within the last hour, from whom, and to whom.
    pub last_switch: Option<(Timestamp, String, String)>,
    /// Samples of its targets' series in the last hour, and how many of them a lower lane filled in.
    pub samples: (u64, u64),
    /// Holes that were filled so.
    pub gaps_filled: u64,
    /// Its replicas by rank.
    pub lanes: Vec<PairLane>,
    /// Targets with a sample in the last minutes.
    pub targets: u64,
    /// Those of them that one replica alone can scrape, with that replica: the first hundred, and how many.
    pub seen_by_one: (Vec<(Labels, String)>, u64),
    /// Replicas whose name two senders seem to use.
    pub twice: Vec<String>,
    /// Whether a sender wrote series with the group's label in the last minutes that name no replica.
    pub nameless: bool,
}

/// One replica of a group.
#[derive(Clone, Debug, Default)]
pub struct PairLane {
    /// Its name.
    pub replica: String,
    /// Its newest sample's time, and when it last sent something; `None`: not since the start.
    pub newest: Option<(Timestamp, Timestamp)>,
    /// How far its clock is ahead of that of the first lane that has one, where samples tell.
    pub clock_ahead: Option<Span>,
    /// Samples of targets' series in the last hour that it feeds.
    pub feeds: u64,
    /// Those of them that fill holes which replicas before it leave.
    pub fills: u64,
    /// Targets that it alone can scrape.
    pub sees_alone: u64,
    /// Samples since the start: received, of them covered by the leader, and met by another value at their time.
    pub received: u64,
    /// See `received`.
    pub covered: u64,
    /// See `received`.
    pub conflicts: u64,
}

/// One series, lane by lane.
#[derive(Clone, Debug)]
pub struct ExplainedSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its group's cluster.
    pub cluster: String,
    /// `prefer`, `any`, `max`, `min` or `keep_replica`.
    pub policy: &'static str,
    /// Whether its values only rise.
    pub counter: bool,
    /// Replicas by rank, with the rows they sent.
    pub lanes: Vec<(String, Vec<ExplainedSample>)>,
}

/// One sample, and what became of it.
#[derive(Clone, Debug)]
pub struct ExplainedSample {
    /// When.
    pub at: Timestamp,
    /// Its value; of a histogram, its count.
    pub value: f64,
    /// Whether it is a histogram.
    pub is_histogram: bool,
    /// Whether it is in the series.
    pub kept: bool,
    /// Why, in a word, and in a sentence.
    pub why: (&'static str, &'static str),
    /// The scrape interval its replica was believed to have.
    pub interval: Span,
}
