//! Who leads in an HA group, changed while the store runs.
//!
//! A change is durable before it holds, and holds from a moment in the samples' own time on: what was before stays as it
//! was answered. So two stores that are told the same give the same answers.

use crate::model::Timestamp;
use crate::store::StoreError;

use super::catalogue::{Change, Durability, KeyValue, keys};
use super::resolve::lanes::{Preference, encode_preferences};
use super::store::Store;

/// Changes of one group that are kept: older ones than these have no data left in any sane case.
const CHANGES_MAX: usize = 1_000;

/// Why a preference cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum PreferError {
    /// No replica of such a group has sent anything.
    #[error("no group {cluster:?} is known; groups are: {known}")]
    NoGroup {
        /// What was asked for.
        cluster: String,
        /// The groups that are known, in words.
        known: String,
    },
    /// The group has no such replica.
    #[error("group {cluster:?} has no replica {replica:?}; it has {known}")]
    NoReplica {
        /// The group.
        cluster: String,
        /// What was asked for.
        replica: String,
        /// The replicas that are known, in words.
        known: String,
    },
    /// A later change is known already.
    #[error("the preference of group {cluster:?} changes at {last} already; a change before that would undo answers")]
    TooEarly {
        /// The group.
        cluster: String,
        /// The last change.
        last: Timestamp,
    },
    /// Too many changes.
    #[error("the preference of group {0:?} has changed 1000 times; set `ha.order` in the configuration instead")]
    TooMany(String),
    /// The catalogue refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes the preferences of a group, durably.
pub(super) fn save(catalogue: &dyn KeyValue, group: u32, preferences: &[Preference]) -> Result<(), StoreError> {
    let key = keys::numbered(keys::RANKS, u64::from(group));
    catalogue.write(&[Change::Put(key, encode_preferences(preferences))], Durability::Synced)
}

impl Store {
    /// From `from` on, `order` leads in the group `cluster`.
    pub(super) fn prefer(&self, cluster: &str, order: &[String], from: Timestamp) -> Result<Preference, PreferError> {
        // Held to the end: two changes at once must not lose one.
        let _manifest = self.manifest.lock();
        let (group, mut preferences) = {
            let registry = self.resolver.registry.read();
            let groups = &registry.groups;
            let Some(group) = groups.number_of(cluster) else {
                let known = groups.all().iter().skip(1).map(|group| group.cluster.as_str());
                return Err(PreferError::NoGroup { cluster: cluster.into(), known: in_words(known) });
            };
            let replicas = &groups.all()[group as usize].replicas;
            if let Some(replica) = order.iter().find(|name| !replicas.contains(name)) {
                let known = in_words(replicas.iter().map(String::as_str));
                return Err(PreferError::NoReplica { cluster: cluster.into(), replica: replica.clone(), known });
            }
            (group, groups.preferences(group).to_vec())
        };
        if let Some(last) = preferences.last().map(|last| last.from).filter(|last| *last > from) {
            return Err(PreferError::TooEarly { cluster: cluster.into(), last });
        }
        if preferences.len() >= CHANGES_MAX {
            return Err(PreferError::TooMany(cluster.into()));
        }
        let preference = Preference { from, order: order.to_vec(), by: "operator".into() };
        preferences.retain(|known| known.from != from);
        preferences.push(preference.clone());
        save(&*self.catalogue, group, &preferences)?;
        self.resolver.registry.write().groups.set_preferences(group, preferences);
        Ok(preference)
    }
}

fn in_words<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    names.sort();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
