//! Brings the rows of the log back into the head.
//!
//! Segments are read one after another. Threads share the work on a segment by the pages of the head: each of them reads
//! all records, which is cheap, and inserts the rows of its own pages, which is not. So every series gets its rows in the
//! order in which they came, and no thread waits for another one.
//!
//! Rows do not ask for the names of their series: the names that a segment brings are taken in at the same time, and
//! series that nothing names are found out when everything is read.

use std::fs::{self, OpenOptions};
use std::path::Path;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use roaring::RoaringBitmap;

use crate::model::Lane;
use crate::store::{BatchSample, StoreError};

use super::catalogue::KeyValue;
use super::head::Head;
use super::log::record::{self, Name, Run};
use super::log::{IdSet, segment};
use super::resolve::orders::Orders;
use super::resolve::{Named, Resolver};
use super::status::{Progress, Recovered};

/// Threads that insert rows; more would mostly read the same records again.
const THREADS_MAX: usize = 8;

/// A record, and where it stands in its segment.
type Payload<'b> = (u64, &'b [u8]);

/// Replays the segments from `floor` on and removes older ones; tells the first number for new ones.
pub(super) fn replay(
    directory: &Path,
    floor: u64,
    resolver: &Resolver,
    catalogue: &dyn KeyValue,
    head: &Head,
    progress: &Progress,
    recovered: &mut Recovered,
) -> Result<u64, StoreError> {
    let numbers = segment::list(directory).map_err(StoreError::io("list log"))?;
    let next = numbers.last().map_or(floor, |last| (last + 1).max(floor));
    let (old, live): (Vec<u64>, Vec<u64>) = numbers.into_iter().partition(|number| *number < floor);
    for number in old {
        let path = segment::path(directory, number);
        fs::remove_file(&path).map_err(StoreError::io(format!("remove {}", path.display())))?;
    }
    for number in &live {
        let size = segment::path(directory, *number).metadata().map_err(StoreError::io("look at log"))?.len();
        progress.expect(size);
    }
    let threads = rayon::current_num_threads().clamp(1, THREADS_MAX) as u32;
    let mut shares: Vec<Share> = (0..threads).map(|number| Share::new(number, threads)).collect();
    for number in live {
        let path = segment::path(directory, number);
        let bytes = fs::read(&path).map_err(StoreError::io(format!("read {}", path.display())))?;
        let mut payloads: Vec<Payload<'_>> = Vec::new();
        for damage in segment::read(&path, &bytes, |offset, payload| payloads.push((offset, payload)))? {
            if damage.inside {
                let (offset, bytes) = (damage.offset, damage.bytes);
                recovered.damages.push(format!("{}: {bytes} damaged bytes at byte {offset}", path.display()));
                continue;
            }
            recovered.torn_bytes += damage.bytes;
            cut(&path, damage.offset)?;
        }
        let (named, advanced) = rayon::join(
            || take_names(&payloads, resolver, catalogue),
            || -> Vec<Share> { shares.into_par_iter().map(|share| share.advance(&payloads, head)).collect() },
        );
        shares = advanced;
        let unreadable = shares.iter_mut().flat_map(|share| share.unreadable.drain(..));
        for offset in named?.into_iter().chain(unreadable) {
            recovered.damages.push(format!("{}: a record of unknown kind at byte {offset}", path.display()));
        }
        recovered.segments += 1;
        recovered.log_bytes += bytes.len() as u64;
        progress.did(bytes.len() as u64);
    }
    settle_names(&shares, resolver, catalogue, head, recovered)?;
    Ok(next)
}

/// Takes the torn end off, so that the next start does not meet it again.
fn cut(path: &Path, length: u64) -> Result<(), StoreError> {
    let file = OpenOptions::new().write(true).open(path).map_err(StoreError::io("open torn log"))?;
    file.set_len(length).and_then(|()| file.sync_all()).map_err(StoreError::io("cut torn log"))
}

/// Takes in the groups and series that a segment names; tells where records stand that nobody can read.
///
/// Most of the series have come to the catalogue since, from where many come at once: only the others are taken from here.
fn take_names(payloads: &[Payload<'_>], resolver: &Resolver, catalogue: &dyn KeyValue) -> Result<Vec<u64>, StoreError> {
    let mut unreadable = Vec::new();
    let mut series = Vec::new();
    for (offset, payload) in payloads.iter().filter(|(_, payload)| !record::has_samples(payload)) {
        match record::read_name(payload) {
            Some(Name::Group { number, cluster, replicas }) => {
                let replicas: Vec<String> = replicas.into_iter().map(str::to_owned).collect();
                resolver.restore_group(number, cluster, &replicas);
            }
            Some(Name::Series { id, group, packed }) => series.push(Named { id, group, packed }),
            None => unreadable.push(*offset),
        }
    }
    let unknown = resolver.recall(&series.iter().map(|series| series.id).collect(), catalogue)?;
    series.retain(|series| unknown.contains(series.id));
    // What cannot be read as labels names nothing: its samples are counted as nameless.
    resolver.restore(&series);
    Ok(unreadable)
}

/// One thread's part of the work, kept from segment to segment.
struct Share {
    number: u32,
    of: u32,
    /// The series that have rows, by lane.
    lanes: Vec<IdSet>,
    samples: u64,
    /// Where records stand in the segment read last that nobody can read; the first thread tells.
    unreadable: Vec<u64>,
    rows: Vec<BatchSample>,
    /// Whose rows they are, and how many.
    runs: Vec<(u32, Lane, usize)>,
}

impl Share {
    fn new(number: u32, of: u32) -> Self {
        Share { number, of, lanes: Vec::new(), samples: 0, unreadable: Vec::new(), rows: Vec::new(), runs: Vec::new() }
    }

    /// Inserts the rows of this thread's pages.
    fn advance(mut self, payloads: &[Payload<'_>], head: &Head) -> Self {
        for (offset, payload) in payloads.iter().filter(|(_, payload)| record::has_samples(payload)) {
            let read = record::read_samples(payload, |id, lane, samples| {
                if Head::page_of(id) % self.of == self.number {
                    self.rows.extend_from_slice(samples);
                    self.runs.push((id, lane, samples.len()));
                }
            });
            if read.is_none() && self.number == 0 {
                self.unreadable.push(*offset);
            }
            self.insert(head);
        }
        self
    }

    fn insert(&mut self, head: &Head) {
        let mut rest = &self.rows[..];
        let mut runs = Vec::with_capacity(self.runs.len());
        for (id, lane, count) in &self.runs {
            let (samples, behind) = rest.split_at(*count);
            rest = behind;
            runs.push(Run { id: *id, lane: *lane, samples });
            let lane = usize::from(lane.0);
            if self.lanes.len() <= lane {
                self.lanes.resize_with(lane + 1, IdSet::default);
            }
            self.lanes[lane].insert(*id);
        }
        // No gate yet: what once ended at one is here again, and leaves with the next merge.
        head.insert(&runs, &Orders::default());
        self.samples += self.rows.len() as u64;
        self.rows.clear();
        self.runs.clear();
    }
}

/// Finds a name for every series with rows; rows of those that have none leave the head again.
fn settle_names(
    shares: &[Share],
    resolver: &Resolver,
    catalogue: &dyn KeyValue,
    head: &Head,
    recovered: &mut Recovered,
) -> Result<(), StoreError> {
    let lanes = || {
        let numbered = shares.iter().flat_map(|share| share.lanes.iter().enumerate());
        numbered.flat_map(|(lane, ids)| ids.iter().map(move |id| (id, Lane(lane as u8))))
    };
    recovered.samples += shares.iter().map(|share| share.samples).sum::<u64>();
    let used: RoaringBitmap = lanes().map(|(id, _)| id).collect();
    let nameless = resolver.recall(&used, catalogue)?;
    for id in &nameless {
        let rows = head.remove(id);
        recovered.nameless_samples += rows;
        recovered.samples -= rows.min(recovered.samples);
    }
    resolver.keep_lanes(&mut lanes().filter(|(id, _)| !nameless.contains(*id)));
    Ok(())
}
