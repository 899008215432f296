//! Who leads in which HA group, and since when: a copy of what the groups say, to be read without their lock.

use crate::ha::{MergeRules, Turn};
use crate::model::{Lane, Span, Timestamp};

/// Shorter than any distance of evaluations: whatever lies between two rows of a lane is another lane's to fill, also
/// while the lane's own interval is unknown.
const SHORTEST: Span = Span::from_millis(100);

/// The turns of all groups by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    /// The state of the groups that this is a copy of.
    pub(crate) version: u64,
    /// What is the same for all series that the door may drop rows of.
    pub(crate) rules: MergeRules,
    /// The turns of each group, the first from the beginning of time; lanes by number.
    pub(crate) groups: Vec<Vec<Turn>>,
    /// The group of those who evaluate rules, if there is one.
    pub(crate) evaluators: Option<u32>,
}

impl Orders {
    /// The turns of a group; empty for one that has no lane.
    pub(crate) fn turns(&self, group: u32) -> &[Turn] {
        self.groups.get(group as usize).map_or(&[], Vec::as_slice)
    }

    /// The rules of a series in a group: rows of evaluators stand at equal instants, and wait for no other lane.
    pub(crate) fn rules_in(&self, group: u32, rules: MergeRules) -> MergeRules {
        match self.evaluators == Some(group) {
            true => MergeRules { settled: true, interval: Some(SHORTEST), ..rules },
            false => rules,
        }
    }

    /// Which turn an instant belongs to, counted modulo 256, and the lane that leads then.
    #[inline]
    pub(crate) fn leader(&self, group: u32, at: Timestamp) -> Option<(u8, Lane)> {
        let turns = self.turns(group);
        let number = match turns {
            [_] => 0,
            _ => turns.iter().rposition(|turn| turn.from <= at)?,
        };
        let lane = turns[number].order.first()?;
        Some((number as u8, Lane(*lane as u8)))
    }
}
