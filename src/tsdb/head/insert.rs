//! The way into the head.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use crate::model::Lane;

use super::super::log::record::Run;
use super::super::resolve::orders::Orders;
use super::columns::Columns;
use super::gates::{self, Gate, Passed};
use super::stream::Stream;
use super::{Head, PAGE_SLOTS, Page, Shard, place};

/// What an insert met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inserted {
    /// Rows that met another value at their time in their lane.
    pub(crate) conflicts: u64,
    /// Rows that ended in a gate, those of earlier inserts included.
    pub(crate) covered: u64,
    /// Rows of lower lanes that are in front of a whole leader's newest row.
    pub(crate) ahead: u64,
    /// Series with several lanes and no gate.
    pub(crate) ungated: Vec<u32>,
}

impl Head {
    /// The runs without rows that end at a gate; tells how many those are.
    pub(crate) fn uncovered<'r, 'b>(&self, runs: &'r [Run<'b>], orders: &Orders) -> (Cow<'r, [Run<'b>]>, u64) {
        if self.gate_bytes.load(Ordering::Relaxed) == 0 {
            return (Cow::Borrowed(runs), 0);
        }
        // Most requests are the leader's, which are left as they are, or another's and covered as a whole.
        let mut left = Cow::Borrowed(runs);
        let (mut seen, mut covered) = (0, 0);
        for same in runs.chunk_by(|one, next| one.id / PAGE_SLOTS == next.id / PAGE_SLOTS) {
            let (shard, number, _) = place(same[0].id);
            let shard = self.shards[shard].read();
            let gates = shard.gates.page(number);
            for (run, seen) in same.iter().zip(seen..) {
                let gate = gates.map(|gates| &gates[place(run.id).2]);
                let rows = gate.map_or(0, |gate| gates::covered_rows(run, gate, orders));
                if rows > 0 && covered == 0 {
                    left = Cow::Owned(runs[..seen].to_vec());
                }
                covered += rows as u64;
                let Cow::Owned(left) = &mut left else { continue };
                match gate {
                    Some(_) if rows == run.samples.len() => {}
                    Some(gate) if rows > 0 => gates::uncovered(run, gate, orders, left),
                    _ => left.push(run.clone()),
                }
            }
            seen += same.len();
        }
        (left, covered)
    }

    /// Takes the rows of runs that the log has.
    pub(crate) fn insert(&self, runs: &[Run<'_>], orders: &Orders) -> Inserted {
        let (mut inserted, mut rows, mut bytes) = (Inserted::default(), 0, 0_isize);
        let mut newest = i64::MIN;
        let mut rest = runs;
        while let Some(first) = rest.first() {
            // Neighbours share a page: one lock for all of them.
            let (shard, number, _) = place(first.id);
            let same = rest.iter().take_while(|run| run.id / PAGE_SLOTS == first.id / PAGE_SLOTS).count();
            let mut shard = self.shards[shard].write();
            let (page, mut gates) = shard.page(number, &mut bytes);
            for run in &rest[..same] {
                let slot = place(run.id).2;
                rows += run.samples.len();
                newest = run.samples.iter().fold(newest, |newest, row| newest.max(row.at.as_millis()));
                if let Some(gate) = gates.as_mut().map(|gates| &mut gates[slot]).filter(|gate| !gate.is_open()) {
                    bytes += page.insert_gated(slot, gate, run, orders, &mut inserted);
                    continue;
                }
                let first = &mut page.streams[slot];
                let stream = first.lane(run.lane, &mut bytes);
                for row in run.samples {
                    let taken = stream.insert(row, &mut page.columns);
                    bytes += taken.bytes;
                    inserted.conflicts += u64::from(taken.conflict);
                }
                if page.streams[slot].next.is_some() {
                    inserted.ungated.push(run.id);
                }
            }
            rest = &rest[same..];
        }
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.newest.fetch_max(newest, Ordering::Relaxed);
        // Two's complement: adding a negative number wraps to subtracting.
        self.bytes.fetch_add(bytes as usize, Ordering::Relaxed);
        inserted
    }

    /// Gives a series a gate: behind the leader of `group`, or one that keeps all rows.
    pub(crate) fn follow(&self, id: u32, group: Option<u32>) {
        let (shard, number, slot) = place(id);
        let mut shard = self.shards[shard].write();
        let (gates, bytes) = shard.gates.make_page(number);
        gates[slot].follow(group);
        self.gate_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Shard {
    fn page(&mut self, number: usize, bytes: &mut isize) -> (&mut Page, Option<&mut [Gate]>) {
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, || None);
        }
        let page = self.pages[number].get_or_insert_with(|| {
            *bytes += size_of::<[Stream; PAGE_SLOTS as usize]>() as isize;
            Box::new(Page::new())
        });
        (page, self.gates.page_mut(number))
    }

    /// Brings rows that wait at gates into their streams, and gives idle gates up; tells the bytes of those.
    pub(super) fn release(&mut self, idle_since: crate::model::Timestamp) -> usize {
        let mut waiting = Vec::new();
        let freed = self.gates.settle(idle_since, |number, slot, lane, row| waiting.push((number, slot, lane, row)));
        let mut bytes = 0;
        for (number, slot, lane, row) in waiting {
            let (page, _) = self.page(number, &mut bytes);
            page.streams[slot].lane(lane, &mut bytes).insert(&row, &mut page.columns);
        }
        freed
    }
}

impl Page {
    /// Takes the rows of a series that has a gate; tells the bytes that took.
    fn insert_gated(
        &mut self,
        slot: usize,
        gate: &mut Gate,
        run: &Run<'_>,
        orders: &Orders,
        inserted: &mut Inserted,
    ) -> isize {
        let mut bytes = 0;
        let Page { columns, streams } = self;
        let mut put = |lane: Lane, row: &_, columns: &mut Columns, inserted: &mut Inserted| {
            let taken = streams[slot].lane(lane, &mut bytes).insert(row, columns);
            inserted.conflicts += u64::from(taken.conflict);
            bytes += taken.bytes;
        };
        for row in run.samples {
            match gate.pass(run.lane, row, orders, &orders.rules) {
                Passed::In => put(run.lane, row, columns, inserted),
                Passed::Covered => inserted.covered += 1,
                Passed::Waits(before) => {
                    inserted.ahead += 1;
                    if let Some((lane, before)) = before {
                        put(lane, &before, columns, inserted);
                    }
                }
                Passed::Releases(lane, before) => {
                    put(lane, &before, columns, inserted);
                    put(run.lane, row, columns, inserted);
                }
                Passed::Covers => {
                    inserted.covered += 1;
                    put(run.lane, row, columns, inserted);
                }
            }
        }
        bytes
    }
}

impl Stream {
    /// The stream of one lane of this series, of which this is the first; made where it is new.
    fn lane(&mut self, lane: Lane, bytes: &mut isize) -> &mut Stream {
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
