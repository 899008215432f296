//! Groups of rules on a schedule: evaluate, keep alert state, write back, notify.
//!
//! Rule files are vmalert's and Prometheus'. Rules are pure steps: `step(state, vector, at) -> outcome`; writing the
//! samples back and sending the alerts is done by the caller.
//!
//! Read next: [`status`] for what the rest of the program sees.

pub mod status;
