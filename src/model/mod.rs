//! The words everyone speaks: time, sample, labels, matcher, series, lane.
//!
//! This room depends on nothing. It does no I/O and knows no protobuf, JSON or YAML; it only makes
//! mix-ups impossible: subtracting two [`Timestamp`]s gives a [`Span`], a [`TimeRange`] includes both of
//! its ends while a [`Window`] leaves its start out, a [`Fingerprint`] is a hint and never an identity.
//!
//! Read next: [`time`], then [`labels`], then [`sample`].

pub mod time;
pub mod labels;
pub mod sample;
pub mod histogram;
pub mod pattern;
pub mod matcher;
pub mod series;
pub mod number;
pub mod stopwatch;
pub mod causes;
#[cfg(test)]
pub(crate) mod mutate;

pub use causes::with_causes;
pub use histogram::{Histogram, ResetHint};
pub use labels::{LabelError, Labels, LabelsBuilder, METRIC_NAME};
pub use matcher::{Matcher, MatcherTest};
pub use pattern::{Pattern, PatternError};
pub use sample::{Column, STALE_NAN_BITS, Sample};
pub use series::{Fingerprint, Lane, Replica, SeriesId};
pub use stopwatch::Stopwatch;
pub use time::{Span, StepGrid, TimeRange, Timestamp, Window};
