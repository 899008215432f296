//! Who a series is inside the store, and where an entry came from.

use std::fmt;

/// Identity of a series inside one store: never reused, allocated in arrival order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub u64);

/// Which HA replica of its group an entry came from. Lane 0 is also that of series outside any group.
///
/// A lane number is a place, not a preference: which lane is asked first is the group's rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u8);

/// Hash of a series' label bytes: a hint where to look, never an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u128);

/// An HA sender: one of the Prometheus servers that scrape the same targets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// The HA group's name: what the replicas have in common. Empty where senders name no group.
    pub cluster: String,
    /// The replica's own name inside its group.
    pub name: String,
}

impl fmt::Display for Replica {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.cluster, self.name)
    }
}
