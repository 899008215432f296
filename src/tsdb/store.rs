//! What an open store is made of.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use crate::model::TimeRange;

use super::beside::{Exemplars, Metadata};
use super::catalogue::KeyValue;
use super::files::Disk;
use super::head::{Frozen, Head};
use super::log::Log;
use super::merge::UnnamedMerge;
use super::metrics::Metrics;
use super::part::Part;
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
    /// When the oldest arrival in the head came, in milliseconds; the far future where the head is empty.
    pub(super) head_since: AtomicI64,
    /// When the log was last synced, in milliseconds, where the policy is an interval.
    pub(super) log_synced_at: AtomicI64,
    /// What is readable besides the head.
    pub(super) view: ArcSwap<View>,
    /// Held by whoever changes the view: one spill, merge or deletion at a time.
    pub(super) work: Mutex<Work>,
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

/// What maintenance remembers from round to round.
#[derive(Default)]
pub(super) struct Work {
    pub(super) next_part: u64,
    pub(super) next_deletion: u64,
    /// The log segment that recovery would start at once the frozen head is in parts.
    pub(super) frozen_floor: u64,
    /// The lowest segment that may still be on disk.
    pub(super) log_floor: u64,
    /// Parts of the frozen head that the manifest may or may not name, since the write that names them failed.
    pub(super) unnamed_spill: Option<Vec<Part>>,
    /// The same for a merge.
    pub(super) unnamed_merge: Option<UnnamedMerge>,
    /// Days that cannot be merged since a part of theirs is damaged; what can be read of them is served as it is.
    pub(super) broken_days: BTreeSet<i64>,
    /// Rounds to let pass before the next merge, after one failed.
    pub(super) rounds_without_merge: u32,
}
