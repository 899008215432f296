//! Groups of rules on a schedule: evaluate, keep alert state, write back, notify.
//!
//! Rule files are vmalert's and Prometheus'. Rules are pure steps: `step(state, vector, at) -> outcome`; writing the
//! samples back and sending the alerts is done by the caller.
//!
//! ```text
//!   schedule      when is a group due
//!   group::tick   for each rule, in order:
//!     evaluation    query -> step -> journal -> store -> notifiers
//!       alerting      pure: alerts as they were + vector -> alerts as they are + samples
//! ```
//!
//! What this room does not do: it knows no HTTP but Alertmanager's, reads no clock of its own, and is blocking
//! throughout except for timers and `notify`. Invariant: an alert's state is durable before anybody is told of it.
//!
//! Read next: [`alert`] for an alert's life, [`alerting`] for the step, [`group`], then [`running`] for the door.

pub mod status;
pub mod schedule;
pub mod file;
mod expression;
pub mod template;
pub mod alert;
pub mod rule;
pub mod alerting;
pub mod journal;
mod dependency;
mod evaluation;
mod takeover;
mod writing;
pub mod peers;
mod query;
pub mod group;
pub mod metrics;
pub mod notify;
mod watermark;
mod timer;
mod edited;
pub mod running;
pub mod backtest;
pub mod replay;
pub mod unit;

pub use evaluation::{Clock, QueryFn, SendFn, World};
pub use file::Problem;
pub use metrics::Metrics;
pub use query::query_with;
pub use running::{Deps, Rules, RulesError, Settings};
pub use watermark::{Wait, Watermark};

#[cfg(test)]
mod tests;
