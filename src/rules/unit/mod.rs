//! Unit tests of rules: promtool's files and vmalert-tool's, run unchanged.
//!
//! ```text
//!   file    rule files, series, and what must come of them
//!   run     feeds the series into a store in memory, ticks the groups, compares
//!   report  verdicts as text with a diff, and as JUnit's XML
//! ```
//! Groups, rules and the engine are the ones that serve; only the store and the clock are made up. As promtool does it,
//! every group is evaluated at every `evaluation_interval`, whatever interval it names, and sees no sample of the future.
//!
//! Read next: [`file`], [`run`].

mod file;
mod report;
mod run;
mod store;

pub use report::{Failure, FileReport, Line, TestReport, junit};
pub use run::{Bounds, Named, Settings, run, run_texts};
pub(in crate::rules) use store::NoJournal;
