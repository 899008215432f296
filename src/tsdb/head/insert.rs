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
            // Neighbours share a page: one lock for all of them.
            let (shard, number, _) = place(first.id);
            let same = rest.iter().take_while(|run| run.id / PAGE_SLOTS == first.id / PAGE_SLOTS).count();
            let mut shard = self.shards[shard].write();
            let page = shard.page(number, &mut bytes);
            for run in &rest[..same] {
                let stream = page.streams[place(run.id).2].lane(run.lane, &mut bytes);
                for row in run.samples {
                    let inserted = stream.insert(row, &mut page.columns);
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
    fn page(&mut self, number: usize, bytes: &mut isize) -> &mut Page {
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, || None);
        }
        self.pages[number].get_or_insert_with(|| {
            *bytes += size_of::<[Stream; PAGE_SLOTS as usize]>() as isize;
            Box::new(Page::new())
        })
    }
}

impl Stream {
    /// The stream of one lane of this series, of which this is the first; made where it is new.
    fn lane(&mut self, lane: crate::model::Lane, bytes: &mut isize) -> &mut Stream {
        if self.is_empty() {
            self.lane = lane;
        }
        let mut stream = self;
        while stream.lane != lane {
            stream = stream.next.get_or_insert_with(|| {
                *bytes += size_of::<Stream>() as isize;
                Box::new(Stream::new(lane))
            });
        }
        stream
    }
}
