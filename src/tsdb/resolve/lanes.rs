//! HA groups: which replicas a group has, which lane each one writes to, and who is asked first.
//!
//! A lane number is given out once and never moves; rank is another matter: lanes are asked in the natural order of
//! their replica's name (`prometheus-2` before `prometheus-10`), so that a reader can say which replica leads.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as AtomicOrdering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::model::{Lane, Replica};

/// The group of series that no HA pair sends.
pub(crate) const NO_GROUP: u32 = 0;
/// Lanes of one group; replicas beyond share the last lane, where rows at one instant settle by value.
const LANES_MAX: usize = 256;

/// All groups by number. Group 0 holds what comes without a replica.
#[derive(Debug)]
pub(crate) struct Groups {
    groups: Vec<Group>,
    /// Groups by what their replicas have in common.
    by_cluster: HashMap<String, u32, FixedState>,
    /// How many lanes of each group the catalogue names.
    catalogued: Vec<usize>,
    /// Grows with each change, so that the log sees when to name groups again.
    version: Arc<AtomicU64>,
}

/// One HA group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// What its replicas have in common.
    pub(crate) cluster: String,
    /// Names of replicas by lane number.
    pub(crate) replicas: Vec<String>,
}

impl Default for Groups {
    fn default() -> Self {
        Groups {
            groups: vec![Group { cluster: String::new(), replicas: vec![String::new()] }],
            by_cluster: HashMap::default(),
            catalogued: Vec::new(),
            version: Arc::default(),
        }
    }
}

impl Groups {
    /// A number that grows with each change; to be read without the lock around all this.
    pub(crate) fn version(&self) -> Arc<AtomicU64> {
        self.version.clone()
    }

    pub(crate) fn all(&self) -> &[Group] {
        &self.groups
    }

    /// Takes a group as log, part or catalogue name it. Lanes known already keep their names.
    pub(crate) fn restore(&mut self, number: u32, cluster: &str, replicas: &[String]) {
        let number = number as usize;
        if self.groups.len() <= number {
            self.groups.resize_with(number + 1, Group::default);
            self.version.fetch_add(1, AtomicOrdering::Release);
        }
        let group = &mut self.groups[number];
        if group.replicas.len() < replicas.len() {
            *group = Group { cluster: cluster.to_owned(), replicas: replicas.to_vec() };
            if number > NO_GROUP as usize {
                self.by_cluster.entry(cluster.to_owned()).or_insert(number as u32);
            }
            self.version.fetch_add(1, AtomicOrdering::Release);
        }
    }

    /// The group that a new series from `replica` belongs to.
    pub(crate) fn group_for(&mut self, replica: Option<&Replica>) -> u32 {
        let Some(replica) = replica else { return NO_GROUP };
        if let Some(known) = self.by_cluster.get(&replica.cluster) {
            return *known;
        }
        let number = self.groups.len() as u32;
        self.groups.push(Group { cluster: replica.cluster.clone(), replicas: Vec::new() });
        self.by_cluster.insert(replica.cluster.clone(), number);
        self.version.fetch_add(1, AtomicOrdering::Release);
        number
    }

    /// The lane that `replica` writes to in a series of `group`; a replica of another group, or none, gets a lane there too.
    pub(crate) fn lane_for(&mut self, group: u32, replica: Option<&Replica>) -> Lane {
        let number = group;
        let group = &mut self.groups[group as usize];
        let stranger;
        let name = match replica {
            None => "",
            Some(replica) if number != NO_GROUP && replica.cluster == group.cluster => &replica.name,
            Some(other) => {
                stranger = other.to_string();
                &stranger
            }
        };
        if let Some(lane) = group.replicas.iter().position(|known| known == name) {
            return Lane(lane as u8);
        }
        if group.replicas.len() == LANES_MAX {
            return Lane((LANES_MAX - 1) as u8);
        }
        group.replicas.push(name.to_owned());
        self.version.fetch_add(1, AtomicOrdering::Release);
        Lane((group.replicas.len() - 1) as u8)
    }

    /// The groups with lanes that the catalogue does not name, each with how many lanes it has now.
    pub(crate) fn uncatalogued(&self) -> Vec<(u32, usize)> {
        let lanes = self.groups.iter().map(|group| group.replicas.len()).enumerate();
        let unnamed = lanes.filter(|(number, lanes)| self.catalogued.get(*number).copied().unwrap_or(0) < *lanes);
        unnamed.map(|(number, lanes)| (number as u32, lanes)).collect()
    }

    /// The catalogue names so many lanes of each of these groups now.
    pub(crate) fn catalogued(&mut self, named: &[(u32, usize)]) {
        for (number, lanes) in named {
            let number = *number as usize;
            if self.catalogued.len() <= number {
                self.catalogued.resize(number + 1, 0);
            }
            self.catalogued[number] = self.catalogued[number].max(*lanes);
        }
    }

    /// Whether the replica behind a lane is known.
    pub(crate) fn has_lane(&self, group: u32, lane: Lane) -> bool {
        self.groups.get(group as usize).is_some_and(|group| group.replicas.len() > usize::from(lane.0))
    }

    /// Keeps lanes up to `lane` from being given out: they have rows, and the record that names their replicas is damaged.
    pub(crate) fn reserve(&mut self, group: u32, lane: Lane) {
        let Some(group) = self.groups.get_mut(group as usize) else { return };
        for number in group.replicas.len()..=usize::from(lane.0) {
            group.replicas.push(format!("unknown-{number}"));
            self.version.fetch_add(1, AtomicOrdering::Release);
        }
    }

    /// The name of the replica behind a lane; empty where there is none.
    pub(crate) fn replica(&self, group: u32, lane: Lane) -> &str {
        let group = self.groups.get(group as usize);
        group.and_then(|group| group.replicas.get(usize::from(lane.0))).map_or("", String::as_str)
    }

    /// Which of two lanes is asked first.
    pub(crate) fn rank(&self, group: u32, left: Lane, right: Lane) -> Ordering {
        natural_order(self.replica(group, left), self.replica(group, right)).then(left.cmp(&right))
    }
}

/// Text order, but runs of digits compare as numbers.
fn natural_order(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    loop {
        let (Some(a), Some(b)) = (left.first(), right.first()) else { return left.len().cmp(&right.len()) };
        if a.is_ascii_digit() && b.is_ascii_digit() {
            let (number_a, rest_a) = leading_number(left);
            let (number_b, rest_b) = leading_number(right);
            match number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b)) {
                Ordering::Equal => (left, right) = (rest_a, rest_b),
                decided => return decided,
            }
        } else if a == b {
            (left, right) = (&left[1..], &right[1..]);
        } else {
            return a.cmp(b);
        }
    }
}

/// The digits in front, without leading zeros, and the rest.
fn leading_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let first = text[..end].iter().position(|digit| *digit != b'0').unwrap_or(end);
    (&text[first..end], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(cluster: &str, name: &str) -> Replica {
        Replica { cluster: cluster.into(), name: name.into() }
    }

    #[test]
    fn replicas_rank_by_the_natural_order_of_their_names() {
        #[track_caller]
        fn check(left: &str, right: &str, expected: Ordering) {
            assert_eq!(natural_order(left, right), expected);
            assert_eq!(natural_order(right, left), expected.reverse());
        }
        check("a", "b", Ordering::Less);
        check("prometheus-2", "prometheus-10", Ordering::Less);
        check("p-02", "p-2", Ordering::Equal);
        check("p", "p-0", Ordering::Less);
        check("", "a", Ordering::Less);
    }

    #[test]
    fn a_lane_keeps_its_number_and_strangers_get_their_own() {
        let mut groups = Groups::default();
        let group = groups.group_for(Some(&replica("eu", "b")));
        assert_eq!(groups.lane_for(group, Some(&replica("eu", "b"))), Lane(0));
        assert_eq!(groups.lane_for(group, Some(&replica("eu", "a"))), Lane(1));
        assert_eq!(groups.lane_for(group, Some(&replica("us", "a"))), Lane(2));
        assert_eq!(groups.lane_for(group, None), Lane(3));
        assert_eq!(groups.lane_for(group, Some(&replica("eu", "b"))), Lane(0));
        assert_eq!(groups.rank(group, Lane(1), Lane(0)), Ordering::Less, "a leads b");
        assert_eq!(groups.lane_for(NO_GROUP, None), Lane(0));
    }
}
