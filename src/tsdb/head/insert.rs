//! The way into the head.

use std::sync::atomic::Ordering;

use super::super::log::record::Run;
use super::stream::Stream;
use super::{Head, PAGE_SLOTS, Page, Shard, place};

impl Head {
    /// Takes the rows of runs that the log has; tells how many met another value at their time.
    pub(crate) fn insert(&self, runs: &[Run<'_>]) -> u64 {
        let (mut conflicts, mut rows, mut bytes) = (0, 0, 0_isize);
        let mut newest = i64::MIN;
        let mut rest = runs;
        while let Some(first) = rest.first() {
            // Neighbours share a shard: one lock for all of them.
            let shard_number = place(first.id).0;
            let same = rest.iter().take_while(|run| place(run.id).0 == shard_number).count();
            let mut shard = self.shards[shard_number].write();
            for run in &rest[..same] {
                let stream = shard.stream(run, &mut bytes);
                for row in run.samples {
                    let inserted = stream.insert(row);
                    bytes += inserted.bytes;
                    conflicts += u64::from(inserted.conflict);
                    newest = newest.max(row.at.as_millis());
                }
                rows += run.samples.len();
            }
            rest = &rest[same..];
        }
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.newest.fetch_max(newest, Ordering::Relaxed);
        // Two's complement: adding a negative number wraps to subtracting.
        self.bytes.fetch_add(bytes as usize, Ordering::Relaxed);
        conflicts
    }
}

impl Shard {
    fn stream(&mut self, run: &Run<'_>, bytes: &mut isize) -> &mut Stream {
        let (_, page, slot) = place(run.id);
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| {
            *bytes += (PAGE_SLOTS * size_of::<super::Slot>()) as isize;
            Box::new(Page { slots: std::iter::repeat_with(Vec::new).take(PAGE_SLOTS).collect() })
        });
        let slot = &mut page.slots[slot];
        let known = slot.iter().position(|stream| stream.lane == run.lane);
        let index = known.unwrap_or_else(|| {
            *bytes += size_of::<Stream>() as isize;
            slot.reserve_exact(1);
            slot.push(Stream::new(run.lane));
            slot.len() - 1
        });
        &mut slot[index]
    }
}
