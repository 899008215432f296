//! How far senders have delivered: what an evaluation waits for, and what says that a replica has fallen behind.

use crate::model::{Replica, Span, Timestamp};

/// Knows how far each replica has delivered.
pub trait Deliveries: Send + Sync {
    /// Every replica of every HA group that was heard since the start, by group and lane.
    fn deliveries(&self) -> Vec<Delivery>;
}

/// How far one replica has delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which replica of which group.
    pub replica: Replica,
    /// The newest sample that it has sent.
    pub newest: Timestamp,
    /// When it sent last, by our clock.
    pub received_at: Timestamp,
    /// How far its newest sample usually moves on from request to request, of late; never over [`CADENCE_MAX`].
    pub cadence: Span,
}

/// The HA group of all who evaluate rules. Its lanes have their rows at equal instants, so a row of any of them is in the
/// series at once: there is no other one for which it should wait.
pub const EVALUATORS: &str = "weir rules";

/// Longer steps are not the rhythm of a sender but an outage that it makes up for.
pub const CADENCE_MAX: Span = Span::MINUTE;
