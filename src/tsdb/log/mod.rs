//! The log: what was acknowledged and is not yet in a part.
//!
//! One stream of numbered segment files. A request becomes one record; requests that arrive together share one write
//! and one fsync (group commit): the first to come leads, writes what has gathered and wakes the others, while the next
//! group gathers. [`Log::append`] returns when its record is as durable as the policy says, and not before; nothing is
//! ever read from the log but at recovery.
//!
//! A segment names each series that the catalogue does not hold before it uses its id, so that segments and catalogue
//! together need no other segment. After a failed write or fsync the file is cut back to its last good record and never
//! written again; the next append opens a new one.
//!
//! Read next: [`record`] for the bytes, [`segment`] for reading after a crash.

pub(crate) mod record;
pub(crate) mod segment;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::store::StoreError;

use super::files::Disk;
use super::metrics::LogMetrics;
use super::resolve::Resolver;
use super::settings::FsyncPolicy;
use record::Run;

/// Zeros that are written ahead of the records: a sync of what lies inside a file costs a third less CPU, and less time,
/// than one that also has to make the file's new length durable.
const ROOM: &[u8] = &[0; 1 << 20];
/// Room is at most this part of a segment.
const ROOM_SHARE: u64 = 64;

/// A set of series ids, a bit each: ids are dense.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdSet {
    words: Vec<u64>,
}

impl IdSet {
    /// The ids inside, rising.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let words = self.words.iter().enumerate();
        words.flat_map(|(place, word)| {
            let bits = (0..u64::BITS).filter(move |bit| word >> bit & 1 == 1);
            bits.map(move |bit| place as u32 * u64::BITS + bit)
        })
    }

    fn contains(&self, id: u32) -> bool {
        self.words.get(id as usize / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    pub(crate) fn insert(&mut self, id: u32) {
        let word = id as usize / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (id % 64);
    }
}

/// The log of a store.
pub(crate) struct Log {
    state: Mutex<State>,
    writer: Mutex<Writer>,
    policy: FsyncPolicy,
    segment_bytes_max: u64,
    metrics: LogMetrics,
}

/// What gathers while the group before it is being written.
struct State {
    /// The segment that gathered records belong to.
    segment: u64,
    segment_bytes: u64,
    gathered: Vec<u8>,
    group: Arc<Group>,
    leading: bool,
    closed: bool,
    /// Series that a reader of this segment and the catalogue can name.
    named: IdSet,
    /// How many lanes of each HA group it names.
    lanes_named: Vec<usize>,
    /// Series whose group was looked at, so that this segment names all its lanes, since the groups last changed.
    checked: IdSet,
    groups_version: u64,
}

/// Requests that are written together, and what became of them.
#[derive(Default)]
struct Group {
    outcome: Mutex<Option<Result<(), String>>>,
    /// Told when the outcome is there, and one of them when the group has nobody who leads: nobody wakes in vain.
    changed: Condvar,
}

impl Group {
    fn lands(&self, outcome: Result<(), String>) {
        *self.outcome.lock() = Some(outcome);
        self.changed.notify_all();
    }
}

impl Log {
    /// Writes go to segments from `first` on; none of them may exist.
    pub(crate) fn new(
        directory: PathBuf,
        disk: Disk,
        first: u64,
        policy: FsyncPolicy,
        segment_bytes_max: u64,
        metrics: LogMetrics,
    ) -> Self {
        Log {
            state: Mutex::new(State {
                segment: first,
                segment_bytes: 0,
                gathered: Vec::new(),
                group: Arc::default(),
                leading: false,
                closed: false,
                named: IdSet::default(),
                lanes_named: Vec::new(),
                checked: IdSet::default(),
                groups_version: 0,
            }),
            writer: Mutex::new(Writer {
                directory,
                disk,
                room: &ROOM[..ROOM.len().min((segment_bytes_max / ROOM_SHARE) as usize)],
                current: None,
                dirty: false,
                doubtful: false,
            }),
            policy,
            segment_bytes_max,
            metrics,
        }
    }

    /// Logs the runs of one request. When this returns, they are there after a crash.
    pub(crate) fn append(&self, runs: &[Run<'_>], names: &Resolver) -> Result<(), StoreError> {
        let mut samples = Vec::with_capacity(runs.len() * 6 + 64);
        record::put_samples(&mut samples, runs);
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::NotReady("the store is closing".into()));
        }
        // Names come before their first use and in the same order as the records that use them; that is why they are
        // looked for under the lock that orders records.
        state.name(runs, names);
        state.gathered.extend_from_slice(&samples);
        self.metrics.requests.inc();
        let group = state.group.clone();
        loop {
            if let Some(outcome) = group.outcome.lock().clone() {
                return outcome.map_err(StoreError::ReadOnly);
            }
            if state.leading {
                group.changed.wait(&mut state);
            } else {
                self.lead(&mut state);
            }
        }
    }

    /// Writes what has gathered, for everyone whose record is in it.
    fn lead(&self, state: &mut MutexGuard<'_, State>) {
        let gathered = std::mem::take(&mut state.gathered);
        let group = std::mem::take(&mut state.group);
        let segment = state.segment;
        state.segment_bytes += gathered.len() as u64;
        if state.segment_bytes >= self.segment_bytes_max {
            state.next_segment();
        }
        state.leading = true;
        let write = || self.writer.lock().write(segment, &gathered, self.policy);
        let written = MutexGuard::unlocked(state, || self.metrics.writes.time(write));
        state.leading = false;
        let outcome = written.map_err(|error| format!("log: {error}"));
        self.metrics.bytes.inc_by(gathered.len() as u64);
        if outcome.is_err() {
            self.metrics.errors.inc();
            // What gathered meanwhile may lean on names that were lost with the write: its senders try again.
            state.gathered.clear();
            std::mem::take(&mut state.group).lands(outcome.clone());
            state.next_segment();
        }
        group.lands(outcome);
        state.group.changed.notify_one();
    }

    /// Starts a new segment and tells its number: everything logged before lies in lower ones. The caller makes sure
    /// that no append is under way.
    pub(crate) fn cut(&self) -> u64 {
        let mut state = self.state.lock();
        debug_assert!(state.gathered.is_empty() && !state.leading, "no append is under way");
        state.next_segment();
        // The caller has the rows, and writes them to parts.
        self.writer.lock().doubtful = false;
        state.segment
    }

    /// Whether a failed fsync leaves in doubt that what was acknowledged before it is on disk. Memory still has it; a
    /// spill makes it durable another way.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.writer.lock().doubtful
    }

    /// Makes durable what the policy left in the system's hands.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        writer.sync().map_err(|error| StoreError::ReadOnly(format!("log: {error}")))
    }

    /// Refuses everything from now on.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
    }
}

impl State {
    fn next_segment(&mut self) {
        self.segment += 1;
        self.segment_bytes = 0;
        self.named = IdSet::default();
        self.lanes_named = Vec::new();
        self.checked = IdSet::default();
    }

    /// Names the series that this segment has not named yet, and the groups of all, with the lanes they have by now.
    fn name(&mut self, runs: &[Run<'_>], names: &Resolver) {
        let version = names.groups_version();
        if self.groups_version != version {
            (self.groups_version, self.checked) = (version, IdSet::default());
        }
        if runs.iter().all(|run| self.checked.contains(run.id)) {
            // The usual case takes no lock that a query or a new series may hold.
            return;
        }
        let registry = names.registry.read();
        for run in runs {
            if self.checked.contains(run.id) {
                continue;
            }
            self.checked.insert(run.id);
            let number = registry.group(run.id).expect("a series with rows under way stays in memory");
            let group = &registry.groups.all()[number as usize];
            if self.lanes_named.len() <= number as usize {
                self.lanes_named.resize(number as usize + 1, 0);
            }
            let lanes_named = &mut self.lanes_named[number as usize];
            if *lanes_named < group.replicas.len() {
                *lanes_named = group.replicas.len();
                record::put_group(&mut self.gathered, number, &group.cluster, &group.replicas);
            }
            if !self.named.contains(run.id) {
                self.named.insert(run.id);
                if registry.is_fresh(run.id) {
                    let series = registry.get(run.id).expect("a fresh series stays in memory");
                    record::put_series(&mut self.gathered, run.id, number, series.labels.as_packed());
                }
            }
        }
    }
}

/// The file behind the log.
struct Writer {
    directory: PathBuf,
    disk: Disk,
    /// What is written ahead.
    room: &'static [u8],
    current: Option<Open>,
    /// Whether something was written that no fsync has covered.
    dirty: bool,
    /// Whether an fsync failed over something that was acknowledged.
    doubtful: bool,
}

struct Open {
    segment: u64,
    file: File,
    /// Up to here the file is good.
    good_bytes: u64,
    /// Up to here it has zeros behind that.
    made_bytes: u64,
}

impl Writer {
    fn write(&mut self, segment: u64, bytes: &[u8], policy: FsyncPolicy) -> std::io::Result<()> {
        let result = self.try_write(segment, bytes, policy);
        if result.is_err()
            && let Some(open) = self.current.take()
        {
            // Best effort: recovery cuts a torn tail all the same. Nothing is written to this file again.
            if open.good_bytes > segment::HEADER_BYTES as u64 {
                drop(open.file.set_len(open.good_bytes));
                // Where the policy is an interval, earlier records are still owed their fsync.
                self.doubtful |= self.dirty && self.disk.sync(&open.file).is_err();
                self.dirty = false;
            } else {
                // Nothing acknowledged is in it; a disk that stays full must not fill up with empty segments.
                drop(self.disk.remove(&segment::path(&self.directory, open.segment)));
            }
        }
        result
    }

    fn try_write(&mut self, segment: u64, bytes: &[u8], policy: FsyncPolicy) -> std::io::Result<()> {
        let fresh = self.current.as_ref().is_none_or(|open| open.segment != segment);
        if fresh {
            self.sync()?;
            if let Some(full) = self.current.take() {
                // Best effort: room that nobody needs any more.
                drop(full.file.set_len(full.good_bytes));
            }
            let file = self.disk.create_new(&segment::path(&self.directory, segment))?;
            let open = self.current.insert(Open { segment, file, good_bytes: 0, made_bytes: 0 });
            self.disk.write_at(&open.file, &segment::header(segment), 0)?;
            open.good_bytes = segment::HEADER_BYTES as u64;
        }
        let open = self.current.as_mut().expect("opened above");
        self.disk.write_at(&open.file, bytes, open.good_bytes)?;
        match policy {
            FsyncPolicy::Always => {
                let end = open.good_bytes + bytes.len() as u64;
                // Best effort: without room the file grows with each write.
                if end > open.made_bytes && self.disk.write_at(&open.file, self.room, end).is_ok() {
                    open.made_bytes = end + self.room.len() as u64;
                }
                self.disk.sync(&open.file)?;
                if fresh {
                    self.disk.sync_directory(&self.directory)?;
                }
            }
            FsyncPolicy::Interval(_) => self.dirty = true,
            FsyncPolicy::Never | FsyncPolicy::Unlogged => {}
        }
        open.good_bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> std::io::Result<()> {
        if let Some(open) = self.current.as_ref().filter(|_| self.dirty) {
            if let Err(error) = self.disk.sync(&open.file).and_then(|()| self.disk.sync_directory(&self.directory)) {
                // Trying the same file again would succeed and prove nothing.
                (self.current, self.dirty, self.doubtful) = (None, false, true);
                return Err(error);
            }
            self.dirty = false;
        }
        Ok(())
    }
}
