//! Whether the store takes writes, and how it comes to take them again.
//!
//! It turns read-only *before* the disk is full: below a floor of free bytes appends are refused, while queries,
//! retention and spills (which turn log into smaller parts) go on. It is opened again with some room to spare above the
//! floor, so that it does not flap. Beside the floor a *reserve* file holds room back; it is removed when even half of
//! the floor is used up, so that the catalogue can still be written.
//!
//! A disk that fails otherwise (an I/O error, a read-only file system) fails each append by itself; here that is only
//! remembered, told once, and forgotten with the first write that works again.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::store::StoreError;

use super::files::Space;
use super::store::Store;

/// The floor, and the reserve, are never more than this part of the whole disk: small disks are of use too.
const FLOOR_SHARE: u64 = 10;
const RESERVE_SHARE: u64 = 20;
/// Writes are taken again when there is a quarter more free than the floor.
const MARGIN_SHARE: u64 = 4;

/// Rows after which the disk is looked at, though the round of maintenance is not over: a few MiB of log.
const LOOK_EVERY_ROWS: usize = 1 << 18;

/// The state of the disk, as far as it concerns writes.
#[derive(Default)]
pub(super) struct Health {
    /// Whether `trouble` holds something: appends look at nothing else.
    ill: AtomicBool,
    trouble: Mutex<Option<Trouble>>,
    /// As the last look found it; 0 before.
    pub(super) free_bytes: AtomicU64,
    /// Rows logged since then.
    unseen_rows: AtomicUsize,
    /// Held while somebody looks.
    looking: Mutex<()>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    /// Too little room is left. Appends are refused.
    Full(String),
    /// The disk refused a write. Appends are tried.
    Failing(String),
}

impl Trouble {
    fn why(&self) -> &str {
        match self {
            Trouble::Full(why) | Trouble::Failing(why) => why,
        }
    }
}

impl Health {
    /// Why writes are refused, or fail; `None` where they should work.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().as_ref().map(|trouble| trouble.why().to_owned())
    }

    /// Whether there is too little room for anything but what makes room.
    pub(super) fn is_full(&self) -> bool {
        self.ill.load(Ordering::Relaxed) && matches!(*self.trouble.lock(), Some(Trouble::Full(_)))
    }

    fn enter(&self, trouble: Trouble) {
        let mut known = self.trouble.lock();
        match (&*known, &trouble) {
            // Too little room is the stronger reason.
            (Some(Trouble::Full(_)), Trouble::Failing(_)) => return,
            // Told once for each time it begins.
            (Some(Trouble::Full(_)), Trouble::Full(_)) | (Some(Trouble::Failing(_)), Trouble::Failing(_)) => {}
            _ => tracing::error!(why = trouble.why(), "the store takes no writes; queries are answered"),
        }
        *known = Some(trouble);
        self.ill.store(true, Ordering::Relaxed);
    }

    fn leave(&self) {
        if self.trouble.lock().take().is_some() {
            tracing::info!("the store takes writes again");
        }
        self.ill.store(false, Ordering::Relaxed);
    }
}

impl Store {
    /// Appends ask this first.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] where there is too little room.
    pub(super) fn takes_writes(&self) -> Result<(), StoreError> {
        if !self.health.ill.load(Ordering::Relaxed) {
            return Ok(());
        }
        match &*self.health.trouble.lock() {
            Some(Trouble::Full(why)) => Err(StoreError::ReadOnly(why.clone())),
            Some(Trouble::Failing(_)) | None => Ok(()),
        }
    }

    /// Takes note of how a write went.
    pub(super) fn wrote<T>(&self, outcome: &Result<T, StoreError>) {
        match outcome {
            Err(error @ (StoreError::ReadOnly(_) | StoreError::Io { .. })) => {
                self.health.enter(Trouble::Failing(error.to_string()));
            }
            Ok(_) if self.health.ill.load(Ordering::Relaxed) && !self.health.is_full() => self.health.leave(),
            _ => {}
        }
    }

    /// Looks at the disk when much was logged since the last look: a fast sender fills a small disk within a round.
    pub(super) fn logged(&self, rows: usize) {
        if self.health.unseen_rows.fetch_add(rows, Ordering::Relaxed) + rows >= LOOK_EVERY_ROWS {
            self.look_at_disk();
        }
    }

    /// Looks how much room there is, and decides. To be called every round of maintenance.
    pub(super) fn look_at_disk(&self) {
        let Some(_looking) = self.health.looking.try_lock() else { return };
        self.health.unseen_rows.store(0, Ordering::Relaxed);
        // Where the system does not say, nothing is known and nothing changes.
        let Ok(space) = self.disk.space(&self.settings.data) else { return };
        self.health.free_bytes.store(space.free, Ordering::Relaxed);
        let floor = self.settings.free_bytes_min.min(space.total / FLOOR_SHARE);
        let reserve = self.settings.reserve_bytes.min(space.total / RESERVE_SHARE);
        // A reserve that was given up must fit in again.
        let missing = if self.holds_reserve() { 0 } else { reserve };
        let enough = floor + floor / MARGIN_SHARE + missing;
        let needed = if self.health.is_full() { enough } else { floor };
        if space.free < needed {
            let free = space.free;
            let why = format!("{free} bytes are free on the disk, and {needed} must be: make room, or keep less");
            self.health.enter(Trouble::Full(why));
        } else if self.health.is_full() {
            self.health.leave();
        }
        if space.free < floor / 2 {
            self.give_reserve_up();
        } else if space.free >= enough {
            self.make_reserve(reserve, space);
        }
        // At once, and not with the other gauges: somebody may be paged by it.
        self.metrics.read_only.set(u64::from(self.health.trouble().is_some()));
        self.metrics.free_bytes.set(space.free);
    }

    fn reserve_path(&self) -> PathBuf {
        self.settings.data.join("reserve")
    }

    fn holds_reserve(&self) -> bool {
        self.reserve_path().exists()
    }

    /// Best effort: without a reserve there is still the floor.
    fn make_reserve(&self, bytes: u64, space: Space) {
        if bytes > 0
            && space.free > bytes
            && !self.holds_reserve()
            && self.disk.allocate(&self.reserve_path(), bytes).is_err()
        {
            self.give_reserve_up();
        }
    }

    fn give_reserve_up(&self) {
        // Not through the seam: it must work where writes are made to fail.
        drop(std::fs::remove_file(self.reserve_path()));
    }
}
