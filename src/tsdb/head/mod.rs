//! The head: samples that are in the log and not yet in a part.
//!
//! Ids are given out in arrival order, so a scrape's series lie side by side: 512 neighbours share a page with the times
//! of their rows ([`columns`]), and pages are dealt to [`SHARDS`] locks. Each lane of a series is a [`stream`]; most series
//! have one.
//!
//! A series that two replicas send has a gate ([`gates`]), where rows end that the preferred replica covers.
//!
//! The head does not know labels, and nothing here is durable: the log is. It is emptied in one step by
//! [`Head::freeze`], which hands out all rows as a [`Frozen`] head that can still be read while it is written to a part.
//!
//! Invariant: a row is here only after the log has it.
//!
//! Read next: [`insert`], then [`gates`], then [`read`].

mod columns;
mod gates;
mod run;
mod stream;
mod rest;
mod insert;
mod read;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::model::{Lane, TimeRange, Timestamp};

use columns::Columns;
use gates::Gates;
use stream::Stream;

pub(crate) use read::{Lanes, lane_of};

/// Locks over the head.
const SHARDS: usize = 16;
/// Series of one page.
const PAGE_SLOTS: u32 = 512;

/// Rows not yet frozen.
pub(crate) struct Head {
    shards: [RwLock<Shard>; SHARDS],
    bytes: AtomicUsize,
    rows: AtomicUsize,
    /// The newest time ever inserted, in milliseconds.
    newest: AtomicI64,
    /// Memory of gates, in bytes; 0 while no series has a second lane.
    gate_bytes: AtomicUsize,
}

/// The pages of one lock.
#[derive(Debug, Default)]
struct Shard {
    pages: Vec<Option<Box<Page>>>,
    /// None in a frozen head.
    gates: Gates,
}

/// Neighbours, and the times of their rows.
#[derive(Debug)]
struct Page {
    columns: Columns,
    /// The first lane of each series; one without rows where the series has none.
    streams: Box<[Stream]>,
}

impl Page {
    fn new() -> Self {
        let nobody = || Stream::new(Lane(0));
        Page {
            columns: Columns::default(),
            streams: std::iter::repeat_with(nobody).take(PAGE_SLOTS as usize).collect(),
        }
    }
}

/// A head that takes no more rows: to be read, and written to parts.
pub(crate) struct Frozen {
    shards: Vec<Shard>,
    rows: usize,
}

impl Default for Head {
    fn default() -> Self {
        Head {
            shards: std::array::from_fn(|_| RwLock::default()),
            bytes: AtomicUsize::new(0),
            rows: AtomicUsize::new(0),
            newest: AtomicI64::new(i64::MIN),
            gate_bytes: AtomicUsize::new(0),
        }
    }
}

/// Shard, page inside it, slot inside that.
fn place(id: u32) -> (usize, usize, usize) {
    let (page, slot) = ((id / PAGE_SLOTS) as usize, (id % PAGE_SLOTS) as usize);
    (page % SHARDS, page / SHARDS, slot)
}

/// The other way round.
fn id_at(shard: usize, page: usize, slot: usize) -> u32 {
    (page * SHARDS + shard) as u32 * PAGE_SLOTS + slot as u32
}

impl Head {
    /// The number of the page that a series has its rows in.
    pub(crate) fn page_of(id: u32) -> u32 {
        id / PAGE_SLOTS
    }

    /// Takes the rows of one series away; tells how many there were.
    pub(crate) fn remove(&self, id: u32) -> u64 {
        let mut lanes = Lanes::new();
        self.read(id, TimeRange::ALL, &mut lanes);
        let (shard, page, slot) = place(id);
        let mut shard = self.shards[shard].write();
        if let Some(page) = shard.pages.get_mut(page).and_then(Option::as_mut) {
            page.streams[slot] = Stream::new(Lane(0));
        }
        if let Some(gates) = shard.gates.page_mut(page) {
            gates[slot] = gates::Gate::OPEN;
        }
        lanes.iter().map(|(_, column)| column.len() as u64).sum()
    }

    /// Memory that rows take, in bytes, by estimate.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rows inserted since the last freeze, repeated ones included.
    pub(crate) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Raises [`newest`](Self::newest) to what parts hold.
    pub(crate) fn saw(&self, newest: Timestamp) {
        self.newest.fetch_max(newest.as_millis(), Ordering::Relaxed);
    }

    /// The newest time ever inserted, before a restart too.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        let newest = self.newest.load(Ordering::Relaxed);
        (newest != i64::MIN).then(|| Timestamp::from_millis(newest))
    }

    /// Takes all rows out. `publish` gets them before any reader can see the head empty, so that a reader who asks the
    /// head first and the published view second misses nothing.
    pub(crate) fn freeze(&self, publish: impl FnOnce(Frozen)) {
        let mut shards: Vec<_> = self.shards.iter().map(|shard| shard.write()).collect();
        let idle_since = self.newest().map_or(Timestamp::MIN, |newest| newest - gates::IDLE);
        for shard in &mut shards {
            let freed = shard.release(idle_since);
            self.gate_bytes.fetch_sub(freed, Ordering::Relaxed);
        }
        let taken = shards.iter_mut().map(|shard| std::mem::take(&mut shard.pages));
        let frozen = taken.map(|pages| Shard { pages, gates: Gates::default() }).collect();
        let rows = self.rows.swap(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        publish(Frozen { shards: frozen, rows });
    }
}
