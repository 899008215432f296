//! Ids in the order of their series' labels, without the labels.
//!
//! Label pairs are ranked first: by name, then by value. Labels are then sequences of ranks, which are sorted four
//! ranks at a time. All this reads the registry and lets writers in between. For few ids the labels are made after all:
//! a rule that finds ten series must not pay for ranking every pair there is.

use std::collections::VecDeque;

use parking_lot::{RwLock, RwLockReadGuard};

use crate::model::Labels;

use super::registry::Registry;

/// Steps between two moments at which a writer may go ahead.
const STEPS: usize = 4096;
/// Ranks compared at once.
const RANKS: usize = 4;
/// Ranking a pair costs this little of what making the labels of a series does.
const PAIRS_A_SERIES: usize = 8;

/// Sorts ids of series in memory by the labels of their series; none of them may leave meanwhile.
pub(super) fn sort_by_labels(registry: &RwLock<Registry>, ids: &mut [u32]) {
    if ids.len() < 2 {
        return;
    }
    if ids.len().saturating_mul(PAIRS_A_SERIES) < registry.read().index.pairs().len() {
        return sort_few(registry, ids);
    }
    let ranks = rank(registry);
    sort(registry, &ranks, ids, 0);
}

/// Sorts ids by labels that are made for the occasion.
fn sort_few(registry: &RwLock<Registry>, ids: &mut [u32]) {
    let mut labeled: Vec<(Labels, u32)> = Vec::with_capacity(ids.len());
    let mut guard = registry.read();
    for (place, id) in ids.iter().enumerate() {
        let labels = guard.get(*id).map(|series| series.labels).unwrap_or_default();
        labeled.push((labels, *id));
        if (place + 1).is_multiple_of(STEPS) {
            RwLockReadGuard::bump(&mut guard);
        }
    }
    drop(guard);
    labeled.sort_unstable();
    ids.iter_mut().zip(labeled).for_each(|(id, (_, sorted))| *id = sorted);
}

/// The place of each pair in the order of all pairs, from 1 on.
fn rank(registry: &RwLock<Registry>) -> Vec<u32> {
    let mut guard = registry.read();
    let mut ranks = vec![0; guard.index.pairs().end()];
    let mut next = 1;
    let names: Vec<String> = guard.index.pairs().names_sorted().into_iter().map(str::to_owned).collect();
    for name in names {
        // Pairs that come meanwhile belong to series that were not asked for.
        let mut runs: VecDeque<Vec<u32>> = guard.index.pairs().runs(&name).into();
        while runs.len() > 1 {
            let (left, right) = (runs.pop_front().unwrap_or_default(), runs.pop_front().unwrap_or_default());
            runs.push_back(merge(&mut guard, &left, &right));
        }
        for pair in runs.into_iter().flatten() {
            if let Some(rank) = ranks.get_mut(pair as usize) {
                *rank = next;
                next += 1;
            }
        }
    }
    ranks
}

fn merge(guard: &mut RwLockReadGuard<'_, Registry>, mut left: &[u32], mut right: &[u32]) -> Vec<u32> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some(first), Some(second)) = (left.first(), right.first()) {
        if guard.index.pairs().is_before(*second, *first) {
            merged.push(*second);
            right = &right[1..];
        } else {
            merged.push(*first);
            left = &left[1..];
        }
        if merged.len().is_multiple_of(STEPS) {
            RwLockReadGuard::bump(guard);
        }
    }
    merged.extend_from_slice(left);
    merged.extend_from_slice(right);
    merged
}

/// Sorts ids whose labels agree in the first `depth` pairs.
fn sort(registry: &RwLock<Registry>, ranks: &[u32], ids: &mut [u32], depth: usize) {
    let mut keyed: Vec<([u32; RANKS], u32)> = Vec::with_capacity(ids.len());
    {
        let mut guard = registry.read();
        for (place, id) in ids.iter().enumerate() {
            let mut key = [0; RANKS];
            // Where one is the beginning of the other, the shorter first: its key ends in zeros.
            for (rank, pair) in key.iter_mut().zip(guard.pairs(*id).skip(depth)) {
                *rank = ranks.get(pair as usize).copied().unwrap_or(u32::MAX);
            }
            keyed.push((key, *id));
            if (place + 1).is_multiple_of(STEPS) {
                RwLockReadGuard::bump(&mut guard);
            }
        }
    }
    keyed.sort_unstable();
    ids.iter_mut().zip(&keyed).for_each(|(id, (_, sorted))| *id = *sorted);
    let mut start = 0;
    for alike in keyed.chunk_by(|left, right| left.0 == right.0) {
        if alike.len() > 1 && alike[0].0[RANKS - 1] != 0 {
            sort(registry, ranks, &mut ids[start..start + alike.len()], depth + RANKS);
        }
        start += alike.len();
    }
}
