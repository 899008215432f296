//! A runner for the scripts that Prometheus tests PromQL with: `clear`, `load`, `eval`, and what the answer must be.
//!
//! ```text
//! load 1m
//!   up{job="node"} 0+1x10 _ stale
//! eval instant at 5m sum(up)
//!   expect no_warn
//!   {} 5
//! ```
//! Each instant evaluation is run once more as the middle step of a range query, as Prometheus does it. The format is
//! described in Prometheus' `promql/promqltest/README.md`.
//!
//! Read next: [`read`] for the language, [`check`] for what counts as equal, [`run`], and [`files`] for which scripts.

mod check;
mod files;
mod nhcb;
mod read;
mod run;
