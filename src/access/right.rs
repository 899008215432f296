//! What a caller may do, by kind of route.

use std::fmt;
use std::str::FromStr;

/// A kind of route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Queries, listings, exports, rules and alerts: everything that shows samples.
    Read,
    /// `/graph.svg` and `/graph.png` alone.
    Graph,
    /// Everything that takes samples in.
    Write,
    /// What Weir says of itself: configuration, storage, senders, running queries, its own metrics.
    Status,
    /// Deleting, snapshots, tokens, reloads.
    Admin,
}

impl Right {
    /// All of them, in the order they are told.
    pub const ALL: [Right; 5] = [Right::Read, Right::Graph, Right::Write, Right::Status, Right::Admin];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Graph => "graph",
            Right::Write => "write",
            Right::Status => "status",
            Right::Admin => "admin",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Right {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Right::ALL.into_iter().find(|right| right.as_str() == text);
        known.ok_or_else(|| format!("unknown right {text:?}; read, graph, write, status and admin are known"))
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// None.
    pub const NONE: Rights = Rights(0);
    /// All.
    pub const ALL: Rights = Rights(0b1_1111);

    /// Whether `right` is among them. Who may read may see pictures of it.
    pub fn allow(self, right: Right) -> bool {
        let has = |right: Right| self.0 & (1 << right as u8) != 0;
        has(right) || (right == Right::Graph && has(Right::Read))
    }

    /// Those that were given by name.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.0 & (1 << *right as u8) != 0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Rights(rights.into_iter().fold(0, |set, right| set | 1 << right as u8))
    }
}
