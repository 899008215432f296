//! What the program may ask of storage: append, select, labels, status. Traits and plain data only.
//!
//! The contract keeps engine and storage apart: `promql` and `rules` are tested against a `Vec`, and `tsdb` knows
//! neither lookback nor offset nor step. Time ranges include both ends. An acknowledged append is durable, and
//! visible to every read that starts after it.
//!
//! Read next: [`batch`] for the way in, [`source`] for the way out.

pub mod batch;
pub mod source;
pub mod footing;
pub mod pairs;
pub mod journal;
pub mod delivery;
mod error;

pub use batch::{
    Appended, BatchSample, BatchSeries, Offender, Refusals, Refused, SampleSink, SeriesBatch, SeriesName, SeriesNaming,
};
pub use delivery::{CADENCE_MAX, Deliveries, Delivery, EVALUATORS};
pub use error::StoreError;
pub use footing::{Footing, Waiting};
pub use journal::{Journal, JournalChange, JournalEntry};
pub use source::{
    DeleteSeries, Exemplar, ExemplarSeries, LaneView, MetricMetadata, ReadSamples, SampleSource, SelectedSeries,
    SeriesSet, Wanted, Warnings,
};
