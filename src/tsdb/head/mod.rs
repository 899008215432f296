//! The head: samples that are in the log and not yet in a part.
//!
//! Ids are given out in arrival order, so a scrape's series lie side by side: 1,024 neighbours share a page, and pages
//! are dealt to [`SHARDS`] locks. A slot holds the lanes of one series, usually one ([`stream`]).
//!
//! The head does not know labels, and nothing here is durable: the log is. It is emptied in one step by
//! [`Head::freeze`], which hands out all rows as a [`Frozen`] head that can still be read while it is written to a part.
//!
//! Invariant: a row is here only after the log has it.
//!
//! Read next: [`insert`], then [`read`].

mod stream;
mod insert;
mod read;

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::model::Timestamp;

use stream::Stream;

pub(crate) use read::{Lanes, lane_of};

/// Locks over the head.
const SHARDS: usize = 16;
/// Series of one page.
const PAGE_SLOTS: usize = 1024;

/// Rows not yet frozen.
pub(crate) struct Head {
    shards: [RwLock<Shard>; SHARDS],
    bytes: AtomicUsize,
    rows: AtomicUsize,
    /// The newest time ever inserted, in milliseconds.
    newest: AtomicI64,
}

/// The pages of one lock.
#[derive(Debug, Default)]
struct Shard {
    pages: Vec<Option<Box<Page>>>,
}

/// 1,024 neighbours.
#[derive(Debug)]
struct Page {
    slots: Vec<Slot>,
}

/// The lanes of one series.
type Slot = Vec<Stream>;

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
        }
    }
}

/// Shard, page inside it, slot inside that.
fn place(id: u32) -> (usize, usize, usize) {
    let (page, slot) = (id as usize / PAGE_SLOTS, id as usize % PAGE_SLOTS);
    (page % SHARDS, page / SHARDS, slot)
}

/// The other way round.
fn id_at(shard: usize, page: usize, slot: usize) -> u32 {
    ((page * SHARDS + shard) * PAGE_SLOTS + slot) as u32
}

impl Shard {
    fn slot(&self, page: usize, slot: usize) -> Option<&Slot> {
        self.pages.get(page)?.as_ref().map(|page| &page.slots[slot])
    }
}

impl Head {
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
        let frozen = shards.iter_mut().map(|shard| std::mem::take(&mut **shard)).collect();
        let rows = self.rows.swap(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        publish(Frozen { shards: frozen, rows });
    }
}
