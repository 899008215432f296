//! Finds out which series and lane a key means.
//!
//! A known key is found by its fingerprint ([`alias`]); only an unknown one is parsed, by the batch's naming, and then
//! found by its labels ([`registry`]) or made, if there is room for it ([`limits`]). Two HA replicas are two aliases of
//! one series: the lane is found in the same step and costs nothing ([`lanes`]). A series that was silent for long is
//! found in the catalogue ([`catalogued`]).
//!
//! Not here: whether a sample is kept. A series may be made and then stay without samples.
//!
//! Invariants: one id stands for one set of labels for ever. Labels decide; hashes only lead. No lock that an append
//! waits for is held for longer than a few hundred series take. Locks are taken in this order: elsewhere, registry, the
//! others.
//!
//! Read next: [`alias`], which says what a collision would take; then [`registry`].

pub(crate) mod alias;
pub(crate) mod catalogued;
pub(crate) mod elsewhere;
pub(crate) mod lanes;
pub(crate) mod limits;
pub(crate) mod order;
pub(crate) mod orders;
pub(crate) mod registry;
pub(crate) mod roster;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::ha::MergeRules;
use crate::model::{Fingerprint, Labels, Lane, Timestamp};
use crate::store::EVALUATORS;
use crate::store::{BatchSeries, Refused, SeriesName, SeriesNaming, StoreError};

use super::catalogue::{KeyValue, series};
use super::index::places::Hashing;
use alias::{Aliases, Target, Walk};
use catalogued::Rows;
use elsewhere::{Elsewhere, row_of};
use limits::{Admission, Limits, Rejected};
use orders::Orders;
use registry::Registry;

/// Unknown series that are looked for, and made, under one lock.
const RESOLVED_AT_ONCE: usize = 256;
/// Series looked through between two moments at which a writer may go ahead.
pub(crate) const LOOKED_AT_ONCE: usize = 4096;

/// Everything that is known of names.
pub(crate) struct Resolver {
    aliases: RwLock<Aliases>,
    pub(crate) registry: RwLock<Registry>,
    /// Held while a series is looked for in the catalogue and taken into memory.
    elsewhere: RwLock<Elsewhere>,
    rows: Mutex<Rows>,
    admission: Mutex<Admission>,
    rejected: Mutex<Rejected>,
    groups_version: Arc<AtomicU64>,
    orders: ArcSwap<Orders>,
}

/// A series as log or part name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) id: u32,
    pub(crate) group: u32,
    /// Its packed labels.
    pub(crate) packed: &'a str,
}

impl Resolver {
    pub(crate) fn new(hash_seed: u64, limits: Limits) -> Self {
        Self::with(Hashing::new(hash_seed), hash_seed, limits)
    }

    fn with(hashing: Hashing, hash_seed: u64, limits: Limits) -> Self {
        let registry = Registry::new(hashing);
        Resolver {
            aliases: RwLock::new(Aliases::new(hash_seed)),
            groups_version: registry.groups.version(),
            registry: RwLock::new(registry),
            elsewhere: RwLock::default(),
            rows: Mutex::default(),
            admission: Mutex::new(Admission::new(limits)),
            rejected: Mutex::default(),
            orders: ArcSwap::default(),
        }
    }

    /// Which state of the HA groups the registry has. Whoever holds a lane sees a version that knows it.
    pub(crate) fn groups_version(&self) -> u64 {
        self.groups_version.load(Ordering::Acquire)
    }

    /// Who leads in which HA group; at least as new as what was known before the call.
    pub(crate) fn orders(&self) -> Arc<Orders> {
        let known = self.orders.load_full();
        if known.version == self.groups_version() && !known.groups.is_empty() {
            return known;
        }
        let registry = self.registry.read();
        let version = self.groups_version();
        let groups = (0..registry.groups.all().len() as u32).map(|group| registry.groups.turns(group)).collect();
        let evaluators = registry.groups.number_of(EVALUATORS);
        let orders = Arc::new(Orders { version, rules: known.rules, groups, evaluators });
        self.orders.store(Arc::clone(&orders));
        orders
    }

    /// What is the same for all series that the door may drop rows of.
    pub(crate) fn set_rules(&self, rules: MergeRules) {
        self.orders.store(Arc::new(Orders { rules, ..Orders::default() }));
    }

    /// Who is behind each series of a batch that arrived at `now`, in the batch's order.
    pub(crate) fn resolve(
        &self,
        series: &[BatchSeries<'_>],
        naming: &dyn SeriesNaming,
        now: Timestamp,
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
        if !unknown.is_empty() {
            let mut rejected = self.rejected.lock();
            unknown.retain(|(place, fingerprint)| match rejected.find(*fingerprint, now) {
                Some(why) => {
                    found[*place] = Err(why);
                    false
                }
                None => true,
            });
        }
        for unknown in unknown.chunks(RESOLVED_AT_ONCE) {
            let named: Vec<_> = unknown.iter().map(|(place, _)| naming.name(series[*place].key)).collect();
            let targets = self.resolve_named(&named, now, catalogue)?;
            self.remember(series, unknown, &named, &targets, now);
            unknown.iter().zip(targets).for_each(|((place, _), target)| found[*place] = target);
        }
        Ok(found)
    }

    /// Finds or makes the series with these names.
    fn resolve_named(
        &self,
        named: &[Result<SeriesName, Refused>],
        now: Timestamp,
        catalogue: &dyn KeyValue,
    ) -> Result<Vec<Result<Target, Refused>>, StoreError> {
        let elsewhere = self.elsewhere.read();
        let mut known = vec![None; named.len()];
        if !elsewhere.is_empty() {
            for (known, name) in known.iter_mut().zip(named) {
                if let Ok(name) = name {
                    *known = self.find_catalogued(&elsewhere, &name.labels, catalogue)?;
                }
            }
        }
        let mut registry = self.registry.write();
        let admission = &mut *self.admission.lock();
        admission.advance(now);
        let find = |(name, known): (&Result<SeriesName, Refused>, Option<(u32, u32)>)| match name {
            Ok(name) => registry.find_or_make(&name.labels, name.replica.as_ref(), known, admission),
            Err(refused) => Err(refused.clone()),
        };
        Ok(named.iter().zip(known).map(find).collect())
    }

    /// Keys that were resolved are known from now on; keys that were refused are refused unseen for a while.
    fn remember(
        &self,
        series: &[BatchSeries<'_>],
        keys: &[(usize, Fingerprint)],
        named: &[Result<SeriesName, Refused>],
        targets: &[Result<Target, Refused>],
        now: Timestamp,
    ) {
        let mut aliases = self.aliases.write();
        for ((place, fingerprint), target) in keys.iter().zip(targets) {
            if let Ok(target) = target {
                aliases.learn(*fingerprint, series[*place].key.len(), *target);
            }
        }
        drop(aliases);
        if targets.iter().any(Result::is_err) {
            let mut rejected = self.rejected.lock();
            for (((_, fingerprint), name), target) in keys.iter().zip(named).zip(targets) {
                if let Err(why) = target {
                    let metric = name.as_ref().ok().and_then(|name| name.labels.metric_name());
                    rejected.add(*fingerprint, why, metric, now);
                }
            }
        }
    }

    /// Takes names as log or parts hold them, from any number of threads, best some thousand at once. Ids that are known
    /// are passed over; so are names that cannot be read: tells how many.
    pub(crate) fn restore(&self, names: &[Named<'_>]) -> usize {
        let unknown: Vec<&Named<'_>> = {
            let registry = self.registry.read();
            names.iter().filter(|name| !registry.contains(name.id)).collect()
        };
        let readable: Vec<_> = unknown.iter().map(|name| (name, Labels::from_packed(name.packed))).collect();
        for slice in readable.chunks(RESOLVED_AT_ONCE) {
            let mut registry = self.registry.write();
            for (name, labels) in slice {
                labels.iter().for_each(|labels| registry.restore(name.id, name.group, labels));
            }
        }
        readable.iter().filter(|(_, labels)| labels.is_none()).count()
    }

    /// Takes the lanes of a group as log, part or catalogue name them.
    pub(crate) fn restore_group(&self, number: u32, cluster: &str, replicas: &[String]) {
        self.registry.write().groups.restore(number, cluster, replicas);
    }

    /// A lane with rows is never given to another replica, even if the record that names its own one is damaged.
    pub(crate) fn keep_lanes(&self, lanes: &mut dyn Iterator<Item = (u32, Lane)>) {
        let unknown: Vec<(u32, Lane)> = {
            let registry = self.registry.read();
            let groups = lanes.filter_map(|(id, lane)| Some((registry.group(id)?, lane)));
            groups.filter(|(group, lane)| !registry.groups.has_lane(*group, *lane)).collect()
        };
        if !unknown.is_empty() {
            let mut registry = self.registry.write();
            unknown.into_iter().for_each(|(group, lane)| registry.groups.reserve(group, lane));
        }
    }

    /// The series in memory that `keep` does not want and the catalogue knows.
    pub(crate) fn idle(&self, keep: impl Fn(u32) -> bool) -> Vec<u32> {
        let (mut idle, mut next) = (Vec::new(), Some(0));
        let mut registry = self.registry.read();
        while let Some(first) = next {
            let (ids, further) = registry.ids_from(first, LOOKED_AT_ONCE);
            idle.extend(ids.into_iter().filter(|id| !registry.is_fresh(*id) && !keep(*id)));
            next = further;
            RwLockReadGuard::bump(&mut registry);
        }
        idle
    }

    /// Drops those of these series from memory that `keep` does not want; tells how many. No append may be under way:
    /// so best some thousand at once. [`forgotten`](Self::forgotten) follows.
    pub(crate) fn forget(&self, ids: &[u32], keep: impl Fn(u32) -> bool) -> usize {
        let mut elsewhere = self.elsewhere.write();
        let forgotten = self.registry.write().forget(ids, keep);
        forgotten.iter().for_each(|gone| elsewhere.add(series::hash_of(&gone.labels), row_of(gone.id)));
        self.aliases.write().forget(&forgotten.iter().map(|gone| gone.id).collect());
        forgotten.len()
    }

    /// Gives back what forgotten series left behind: aliases, and label pairs. Appends may be under way.
    pub(crate) fn forgotten(&self) {
        self.registry.write().tidy();
        let gone = self.aliases.read().gone();
        let mut next = Some(0).filter(|_| !gone.is_empty());
        while let Some(first) = next {
            next = self.aliases.write().sweep(first, &gone);
        }
        self.aliases.write().swept(&gone);
    }

    /// Sorts ids of series in memory by labels; none of them may leave meanwhile.
    pub(crate) fn sort_by_labels(&self, ids: &mut [u32]) {
        order::sort_by_labels(&self.registry, ids);
    }

    /// Labels and group of a series in memory.
    pub(crate) fn labels(&self, id: u32) -> Option<(u32, Labels)> {
        self.registry.read().get(id).map(|series| (series.group, series.labels))
    }

    /// How many series are in memory.
    pub(crate) fn series_count(&self) -> usize {
        self.registry.read().len()
    }

    /// How many keys are known.
    pub(crate) fn alias_count(&self) -> usize {
        self.aliases.read().len()
    }

    /// The metrics whose series were refused by a limit most often, with how often, most first.
    pub(crate) fn offenders(&self) -> Vec<(String, u64)> {
        self.rejected.lock().offenders()
    }

    /// Memory that names take, in bytes, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        // One lock after the other.
        let elsewhere = self.elsewhere.read().heap_bytes();
        let registry = self.registry.read().heap_bytes();
        let aliases = self.aliases.read().heap_bytes();
        elsewhere + registry + aliases
    }
}
