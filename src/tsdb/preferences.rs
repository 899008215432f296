//! Who leads in an HA group, changed while the store runs.
//!
//! A change is durable before it holds, and holds from a moment in the samples' own time on: what was before stays as it
//! was answered. So two stores that are told the same give the same answers.

use crate::model::Timestamp;
use crate::store::StoreError;
use crate::store::pairs::PreferError;

use super::catalogue::{Change, Durability, KeyValue, keys};
use super::resolve::lanes::{Preference, encode_preferences};
use super::store::Store;

/// Changes of one group that are kept: older ones than these have no data left in any sane case.
const CHANGES_MAX: usize = 1_000;

/// Writes the preferences of a group, durably.
pub(super) fn save(catalogue: &dyn KeyValue, group: u32, preferences: &[Preference]) -> Result<(), StoreError> {
    let key = keys::numbered(keys::RANKS, u64::from(group));
    catalogue.write(&[Change::Put(key, encode_preferences(preferences))], Durability::Synced)
}

impl Store {
    /// From `from` on, `order` leads in the group `cluster`.
    pub(super) fn prefer(&self, cluster: &str, order: &[String], from: Timestamp) -> Result<(), PreferError> {
        // Held to the end: two changes at once must not lose one.
        let _manifest = self.manifest.lock();
        let (group, mut preferences) = {
            let registry = self.resolver.registry.read();
            let groups = &registry.groups;
            let Some(group) = groups.number_of(cluster) else {
                let known = in_words(groups.all().iter().skip(1).map(|group| group.cluster.as_str()));
                return Err(PreferError::Refused(format!("no group {cluster:?} is known; groups are: {known}")));
            };
            let replicas = &groups.all()[group as usize].replicas;
            if let Some(name) = order.iter().find(|name| !replicas.contains(name)) {
                let known = in_words(replicas.iter().map(String::as_str));
                let why = format!("group {cluster:?} has no replica {name:?}; it has: {known}");
                return Err(PreferError::Refused(why));
            }
            (group, groups.preferences(group).to_vec())
        };
        if let Some(last) = preferences.last().filter(|last| last.from > from) {
            let why =
                format!("the preference of group {cluster:?} changes at {} already: give a later time", last.from);
            return Err(PreferError::Refused(why));
        }
        if preferences.len() >= CHANGES_MAX {
            let why = format!("the preference of group {cluster:?} has changed {CHANGES_MAX} times: set ha.order");
            return Err(PreferError::Refused(why));
        }
        preferences.retain(|known| known.from != from);
        preferences.push(Preference { from, order: order.to_vec(), by: "operator".into() });
        save(&*self.catalogue, group, &preferences)?;
        self.resolver.registry.write().groups.set_preferences(group, preferences);
        Ok(())
    }
}

fn in_words<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    names.sort();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
