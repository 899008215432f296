//! What an open store is made of.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use crate::model::TimeRange;
use crate::store::pairs::PairGroup;

use super::arrival::Arrivals;
use super::beside::{Exemplars, Metadata};
use super::catalogue::KeyValue;
use super::changes::Changes;
use super::damages::Damages;
use super::delivered::Delivered;
use super::files::Disk;
use super::head::{Frozen, Head};
use super::health::Health;
use super::log::Log;
use super::merge::Merging;
use super::metrics::Metrics;
use super::numbers::PartNumbers;
use super::part::{Kept, Part};
use super::resolve::Resolver;
use super::settings::Settings;
use super::status::Recovered;

/// Everything behind the door, shared by the handles and by the reads under way.
pub(super) struct Store {
    pub(super) settings: Settings,
    pub(super) metrics: Metrics,
    pub(super) disk: Disk,
    pub(super) catalogue: Box<dyn KeyValue>,
    pub(super) resolver: Resolver,
    /// Appends hold it shared from resolving to inserting; a freeze holds it alone.
    pub(super) gate: RwLock<()>,
    pub(super) log: Log,
    pub(super) head: Head,
    /// From when on rows have come or gone, since when.
    pub(super) changes: Changes,
    /// When the oldest arrival in the head came, in milliseconds; the far future where the head is empty.
    pub(super) head_since: AtomicI64,
    pub(super) arrivals: Arrivals,
    pub(super) deliveries: Delivered,
    /// The HA groups as they were last looked at.
    pub(super) pairs_seen: ArcSwap<Vec<PairGroup>>,
    /// When the log was last synced, in milliseconds, where the policy is an interval.
    pub(super) log_synced_at: AtomicI64,
    /// What was read of parts a moment ago.
    pub(super) kept: Arc<Kept>,
    /// What is readable besides the head.
    pub(super) view: ArcSwap<View>,
    /// Held by a spill, and by whoever needs the head to be in parts; never by a merge, which takes minutes.
    pub(super) spilling: Mutex<Spilling>,
    /// Held by a merge.
    pub(super) merging: Mutex<Merging>,
    /// Who waits for the merge under way: it does not rest meanwhile.
    pub(super) hurried: AtomicUsize,
    /// Held while the manifest changes, and with it which parts the view shows: for a batch of the catalogue, no longer.
    /// Taken last, after `spilling` or `merging`.
    pub(super) manifest: Mutex<Manifest>,
    pub(super) numbers: PartNumbers,
    /// Held while a snapshot is taken. Taken first.
    pub(super) snapshotting: Mutex<()>,
    pub(super) health: Health,
    pub(super) damages: Damages,
    pub(super) exemplars: Mutex<Exemplars>,
    pub(super) metadata: Mutex<Metadata>,
    pub(super) recovered: Recovered,
    pub(super) closed: AtomicBool,
    /// Locked for as long as the store is open.
    pub(super) _lock: File,
}

/// What is readable besides the head: replaced as a whole, so that a row that moves is in the old place or the new one.
#[derive(Clone, Default)]
pub(super) struct View {
    /// The parts of the manifest, by number.
    pub(super) parts: Vec<Arc<Part>>,
    /// A head on its way to a part.
    pub(super) frozen: Option<Arc<Frozen>>,
    /// Deletions that some part may still hold rows of.
    pub(super) deletions: Arc<Vec<Deletion>>,
}

/// Rows that were deleted and are not gone from every part.
#[derive(Clone, Debug)]
pub(super) struct Deletion {
    pub(super) number: u64,
    /// Later parts are not touched: what is in them came after the deletion, or was filtered by a merge.
    pub(super) last_part: u64,
    pub(super) ids: RoaringBitmap,
    pub(super) range: TimeRange,
}

impl Deletion {
    /// Whether rows of `id` in part `number` are concerned.
    pub(super) fn touches(&self, number: u64, id: u32) -> bool {
        number <= self.last_part && self.ids.contains(id)
    }
}

/// What one spill leaves to the next.
pub(super) struct Spilling {
    /// The log segment that recovery would start at once the frozen head is in parts.
    pub(super) frozen_floor: u64,
    /// The lowest segment that may still be on disk.
    pub(super) log_floor: u64,
    /// Parts of the frozen head that the manifest may or may not name, since the write that names them failed.
    pub(super) unnamed: Option<Vec<Part>>,
}

/// What the holder of the manifest knows beside the view.
pub(super) struct Manifest {
    pub(super) next_deletion: u64,
}

impl Store {
    /// Replaces the view. `change` may run more than once, where two threads do this at the same moment.
    pub(super) fn change_view(&self, change: impl Fn(&mut View)) {
        self.view.rcu(|view| {
            let mut view = View::clone(view);
            change(&mut view);
            view.parts.sort_by_key(|part| part.number());
            view
        });
    }
}
