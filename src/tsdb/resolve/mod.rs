//! Finds out which series and lane a key means.
//!
//! A known key is found by its fingerprint ([`alias`]); only an unknown one is parsed, by the batch's naming, and then
//! found by its labels ([`registry`]) or made. Two HA replicas are two aliases of one series: the lane is found in the
//! same step and costs nothing ([`lanes`]).
//!
//! Not here: whether a sample is kept. A series may be made and then stay without samples.
//!
//! Invariant: one id stands for one set of labels for ever. Labels decide; hashes only lead.
//!
//! Read next: [`alias`], which says what a collision would take.

pub(crate) mod alias;
pub(crate) mod lanes;
pub(crate) mod registry;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::model::Labels;
use crate::store::{BatchSeries, Refused, SeriesNaming, StoreError};

use super::catalogue::KeyValue;
use alias::{Aliases, Target, Walk};
use registry::Registry;

/// Everything that is known of names.
pub(crate) struct Resolver {
    aliases: RwLock<Aliases>,
    pub(crate) registry: RwLock<Registry>,
    groups_version: Arc<AtomicU64>,
    series_max: usize,
}

impl Resolver {
    pub(crate) fn new(hash_seed: u64, series_max: usize) -> Self {
        let registry = Registry::default();
        Resolver {
            aliases: RwLock::new(Aliases::new(hash_seed)),
            groups_version: registry.groups.version(),
            registry: RwLock::new(registry),
            series_max,
        }
    }

    /// Which state of the HA groups the registry has. Whoever holds a lane sees a version that knows it.
    pub(crate) fn groups_version(&self) -> u64 {
        self.groups_version.load(Ordering::Acquire)
    }

    /// Who is behind each series of a batch, in the batch's order.
    pub(crate) fn resolve(
        &self,
        series: &[BatchSeries<'_>],
        naming: &dyn SeriesNaming,
        catalogue: &dyn KeyValue,
    ) -> Result<Vec<Result<Target, Refused>>, StoreError> {
        let seed = naming.seed();
        let mut found = Vec::with_capacity(series.len());
        let mut unknown = Vec::new();
        {
            let aliases = self.aliases.read();
            let mut walk = Walk::new();
            for one in series {
                let fingerprint = aliases.fingerprint(one.key, seed);
                let target = aliases.find(&mut walk, fingerprint, one.key.len());
                if target.is_none() {
                    unknown.push((found.len(), fingerprint));
                }
                found.push(target.ok_or(Refused::NoMetricName));
            }
        }
        for (place, fingerprint) in unknown {
            let key = series[place].key;
            found[place] = match naming.name(key) {
                Err(refused) => Err(refused),
                Ok(name) => {
                    let mut registry = self.registry.write();
                    registry.find_or_make(&name.labels, name.replica.as_ref(), catalogue, self.series_max)?
                }
            };
            if let Ok(target) = found[place] {
                self.aliases.write().learn(fingerprint, key.len(), target);
            }
        }
        Ok(found)
    }

    /// Drops idle series from memory, and the aliases that lead to them. No append may be under way.
    pub(crate) fn forget(&self, keep: impl Fn(u32) -> bool) -> usize {
        let mut registry = self.registry.write();
        let forgotten = registry.forget(keep);
        if !forgotten.is_empty() {
            self.aliases.write().forget(&forgotten);
        }
        forgotten.len()
    }

    /// Labels and group of a series in memory.
    pub(crate) fn labels(&self, id: u32) -> Option<(u32, Labels)> {
        self.registry.read().get(id).map(|series| (series.group, series.labels.clone()))
    }

    /// How many keys are known.
    pub(crate) fn alias_count(&self) -> usize {
        self.aliases.read().len()
    }
}
