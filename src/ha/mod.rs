//! HA dedup: makes one gap-free series out of the lanes of an HA group, the same whatever arrives when.
//!
//! Each replica's samples are a lane, lanes have a fixed rank, and the top lane is taken verbatim. Where it has a
//! hole (neighbours over 1.5 scrape intervals apart) the next lane fills it, half an interval away from what is there;
//! after a hole the top lane must show a clean run before it is preferred again. No values are changed, no times moved,
//! nobody is elected, and no clock is asked: the result is a function of the lanes alone.
//!
//! ```text
//! top lane    a . . a . . a . . . . . . . . a . . a        [select]  tiers, coverage, spacing
//! lower lane  . b . . b . . b . . b . . b . . b . .        [stale]   rule M: the last replica ends a series
//! series      a . . a . . a . . . b . . b . . b . .        [counter] rule C: no filler fakes a reset
//! ```
//!
//! Pure functions over columns: no storage, no HTTP, no wall clock. Invariant: dropping what the top lane covers
//! (`cover`), at the door (`admit`) or later, before or after anything else arrives, changes no merged series.
//! docs/dedup.md tells the whole story.
//!
//! Read next: [`merge()`], then `select`, `cover`, `interval`, `admit`, `turns`.

mod rules;
mod interval;
mod lane;
mod cover;
mod select;
mod stale;
mod counter;
mod merge;
mod turns;
mod horizon;
mod admit;
#[cfg(test)]
pub(crate) mod tests;

pub use admit::TopGate;
pub use counter::CLOCKS_APART_MAX;
pub use horizon::{Horizon, horizon};
pub use merge::{Explained, explain, merge};
pub use rules::{CLEAN_RUN, MergeRules, Policy, PolicyRule};
pub use select::Verdict;
pub use turns::{ExplainedRow, Turn, covers_between, drop_covered, explain_in_turns, knows_itself, merge_in_turns};

/// How much time a reader adds on both sides of what it wants, so that the rows in between come out as from the whole
/// lanes; beside [`CONTEXT_ROWS`].
pub const CONTEXT_SPAN: crate::model::Span = crate::model::Span::from_millis(2 * 60_000);

/// How many rows of each lane a reader adds on both sides beyond [`CONTEXT_SPAN`]: the marks of a row depend on as
/// many rows before it.
pub const CONTEXT_ROWS: usize = interval::DISTANCES + CLEAN_RUN as usize + 2;
