//! HA groups: which replicas a group has, which lane each one writes to, and who is asked first.
//!
//! A lane number is given out once and never moves; rank is another matter: lanes are asked in the natural order of
//! their replica's name (`prometheus-2` before `prometheus-10`), so that a reader can say which replica leads. A
//! [`Preference`] puts others in front, from a moment on and never for what was before: rows that one order has dropped
//! must not be asked for by another.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as AtomicOrdering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::ha::Turn;
use crate::model::{Lane, Replica, Timestamp};

use super::super::bytes::{Reader, put_bytes, put_i64, put_u64};

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
    /// Changes of the order, by group, oldest first.
    preferences: HashMap<u32, Vec<Preference>, FixedState>,
    /// The orders that new groups begin with, by what their replicas have in common.
    configured: HashMap<String, Vec<String>, FixedState>,
    /// How many lanes of each group the catalogue names.
    catalogued: Vec<usize>,
    /// Grows with each change, so that the log sees when to name groups again.
    version: Arc<AtomicU64>,
}

/// Who is asked first from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Preference {
    /// The first instant, in the samples' time.
    pub(crate) from: Timestamp,
    /// Names of replicas, the first one leads; those that are not named follow by name.
    pub(crate) order: Vec<String>,
    /// Who wanted it: `operator` or `configuration`.
    pub(crate) by: String,
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
            preferences: HashMap::default(),
            configured: HashMap::default(),
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
        if let Some(order) = self.configured.get(&replica.cluster).cloned() {
            let first = Preference { from: Timestamp::MIN, order, by: CONFIGURATION.into() };
            self.preferences.insert(number, vec![first]);
        }
        self.version.fetch_add(1, AtomicOrdering::Release);
        number
    }

    /// The number of the group whose replicas have `cluster` in common.
    pub(crate) fn number_of(&self, cluster: &str) -> Option<u32> {
        self.by_cluster.get(cluster).copied()
    }

    /// Changes of the order in a group, oldest first.
    pub(crate) fn preferences(&self, group: u32) -> &[Preference] {
        self.preferences.get(&group).map_or(&[], Vec::as_slice)
    }

    /// Takes the changes of a group as the catalogue has them.
    pub(crate) fn set_preferences(&mut self, group: u32, preferences: Vec<Preference>) {
        self.preferences.insert(group, preferences);
        self.version.fetch_add(1, AtomicOrdering::Release);
    }

    /// Takes the configured orders: new groups begin with them. Tells for each known group whose order is another one
    /// what it has to change from `now` on.
    pub(crate) fn configure<'c>(
        &mut self,
        orders: impl IntoIterator<Item = (&'c String, &'c Vec<String>)>,
        now: Timestamp,
    ) -> Vec<(u32, Vec<Preference>)> {
        self.configured = orders.into_iter().map(|(cluster, order)| (cluster.clone(), order.clone())).collect();
        let mut changed = Vec::new();
        for (cluster, order) in &self.configured {
            let Some(group) = self.by_cluster.get(cluster).copied() else { continue };
            let mut known = self.preferences.get(&group).cloned().unwrap_or_default();
            let from_file = known.iter().rev().find(|preference| preference.by == CONFIGURATION);
            // What an operator has said since stays until the file says something new.
            if from_file.is_none_or(|preference| preference.order != *order) {
                known.retain(|preference| preference.from < now);
                known.push(Preference { from: now, order: order.clone(), by: CONFIGURATION.into() });
                changed.push((group, known));
            }
        }
        changed
    }

    /// The turns of a group: who leads, and since when.
    pub(crate) fn turns(&self, group: u32) -> Vec<Turn> {
        let Some(replicas) = self.groups.get(group as usize).map(|group| &group.replicas) else { return Vec::new() };
        let mut natural: Vec<usize> = (0..replicas.len()).collect();
        natural.sort_by(|left, right| natural_order(&replicas[*left], &replicas[*right]).then(left.cmp(right)));
        let preferences = self.preferences(group);
        let first = Turn { from: Timestamp::MIN, order: natural.clone() };
        let from_the_beginning = preferences.first().is_some_and(|first| first.from == Timestamp::MIN);
        let mut turns: Vec<Turn> = if from_the_beginning { Vec::new() } else { vec![first] };
        for Preference { from, order, .. } in preferences {
            let named = order.iter().filter_map(|name| replicas.iter().position(|replica| replica == name));
            let mut order: Vec<usize> = named.collect();
            let others = natural.iter().copied().filter(|lane| !order.contains(lane)).collect::<Vec<_>>();
            order.extend(others);
            turns.push(Turn { from: *from, order });
        }
        turns
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
}

/// Who wanted a preference that stands in the configuration.
pub(crate) const CONFIGURATION: &str = "configuration";

/// The preferences of a group as the catalogue keeps them: count, then time, who wanted it, how many names, and names.
pub(crate) fn encode_preferences(preferences: &[Preference]) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, preferences.len() as u64);
    for Preference { from, order, by } in preferences {
        put_i64(&mut out, from.as_millis());
        put_bytes(&mut out, by.as_bytes());
        put_u64(&mut out, order.len() as u64);
        order.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
    }
    out
}

/// The other way round; `None` where the bytes are no preferences.
pub(crate) fn decode_preferences(value: &[u8]) -> Option<Vec<Preference>> {
    let mut reader = Reader::new(value);
    let mut preferences = Vec::new();
    for _ in 0..reader.count()? {
        let from = Timestamp::from_millis(reader.i64()?);
        let by = reader.text()?.to_owned();
        let order = (0..reader.count()?).map(|_| reader.text().map(str::to_owned)).collect::<Option<_>>()?;
        preferences.push(Preference { from, order, by });
    }
    reader.is_empty().then_some(preferences)
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
        // "b", "a", and two strangers, `us/a` and one without a name.
        assert_eq!(groups.turns(group), [Turn { from: Timestamp::MIN, order: vec![3, 1, 0, 2] }]);
        assert_eq!(groups.lane_for(NO_GROUP, None), Lane(0));
    }

    #[test]
    fn preferences_hold_from_their_moment_and_new_groups_begin_as_configured() {
        let (mut groups, noon) = (Groups::default(), Timestamp::from_millis(1_000));
        let configured = |order: &[&str]| {
            let order: Vec<String> = order.iter().map(|name| (*name).to_owned()).collect();
            HashMap::<String, Vec<String>>::from_iter([("eu".to_owned(), order)])
        };
        assert_eq!(groups.configure(&configured(&["b"]), noon), []);
        let group = groups.group_for(Some(&replica("eu", "a")));
        for name in ["a", "b", "c"] {
            groups.lane_for(group, Some(&replica("eu", name)));
        }
        assert_eq!(groups.turns(group), [Turn { from: Timestamp::MIN, order: vec![1, 0, 2] }]);
        assert_eq!(groups.configure(&configured(&["b"]), noon), [], "nothing has changed");
        let changed = groups.configure(&configured(&["c", "a"]), noon);
        assert_eq!(changed[0].1.len(), 2);
        assert_eq!(decode_preferences(&encode_preferences(&changed[0].1)), Some(changed[0].1.clone()));
        groups.set_preferences(group, changed[0].1.clone());
        assert_eq!(groups.turns(group)[1], Turn { from: noon, order: vec![2, 0, 1] });
    }
}
