//! Drops what is beyond retention: by age, and by what all parts may take on disk. Deletes, and drops deletions that
//! touch nothing any more.
//!
//! The brake: age is counted from the newest sample ever seen or the clock, whichever is *earlier*, so that a clock
//! that jumps ahead deletes nothing that is not old by the data's own time.
//!
//! A merge may be reading a part that goes. It keeps the file open, finds at its end that the part is gone, and gives
//! up (`merge`): what retention dropped never comes back.

use std::sync::Arc;

use crate::model::{Matcher, TimeRange, Timestamp};
use crate::store::StoreError;

use super::bytes::{Reader, put_i64, put_u64};
use super::catalogue::{Change, Durability, keys};
use super::index::evaluate;
use super::maintain::day_range;
use super::part::Part;
use super::store::{Deletion, Store, View};

impl Store {
    /// Retires what is due; tells how many parts went.
    pub(super) fn retire(&self, now: Timestamp) -> Result<usize, StoreError> {
        let _manifest = self.manifest.lock();
        let view = self.view.load_full();
        let Some(newest) = self.newest(&view) else { return Ok(0) };
        let floor = now.min(newest) - self.settings.retention;
        let (old, kept): (Vec<_>, Vec<_>) =
            view.parts.iter().cloned().partition(|part| day_range(part.meta().day).end() < floor);
        let large = self.beyond_size(kept);
        let gone: Vec<Arc<Part>> = old.iter().chain(&large).cloned().collect();
        if !gone.is_empty() {
            let rows = gone.iter().map(|part| Change::Remove(keys::numbered(keys::PARTS, part.number())));
            self.catalogue.write(&rows.collect::<Vec<_>>(), Durability::Synced)?;
            self.metrics.retired.inc_by(old.len() as u64);
            self.metrics.retired_by_size.inc_by(large.len() as u64);
            self.drop_parts(&gone)?;
        }
        self.retire_deletions()?;
        Ok(gone.len())
    }

    /// The oldest parts, as many as have to go before parts and log take no more than they may. The newest part stays
    /// however large it is: a limit that no part fits under would keep nothing.
    fn beyond_size(&self, mut parts: Vec<Arc<Part>>) -> Vec<Arc<Part>> {
        let limit = self.settings.retention_bytes;
        if limit == 0 {
            return Vec::new();
        }
        let mut taken = self.log_size().1 + parts.iter().map(|part| part.bytes()).sum::<u64>();
        // By day, so that what waits in small parts to be merged outlives all that is older.
        parts.sort_by_key(|part| (part.meta().day, part.meta().last, part.number()));
        parts.pop();
        let mut go = |part: &Arc<Part>| {
            let goes = taken > limit;
            taken -= if goes { part.bytes() } else { 0 };
            goes
        };
        parts.into_iter().take_while(|part| go(part)).collect()
    }

    /// Takes parts that the manifest no longer names out of the view and off the disk. Reads under way keep their file.
    fn drop_parts(&self, gone: &[Arc<Part>]) -> Result<(), StoreError> {
        self.change_view(|view| view.take_out(gone));
        gone.iter().for_each(|part| self.changes.note(part.range().start()));
        for part in gone {
            self.disk.remove(part.path()).map_err(StoreError::io("remove part"))?;
        }
        Ok(())
    }

    /// Deletes by spilling the head and remembering which rows of which parts are meant: later rows are not.
    pub(super) fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError> {
        let mut spilling = self.spilling.lock();
        self.spill_all(&mut spilling)?;
        let mut manifest = self.manifest.lock();
        let view = self.view.load_full();
        let mut ids = roaring::RoaringBitmap::new();
        for part in view.parts.iter().filter(|part| part.range().overlaps(range)) {
            let found = part.find(&evaluate(&**part, matchers)?)?;
            ids.extend(found.into_iter().map(|(series, _)| series.id));
        }
        if ids.is_empty() {
            return Ok(());
        }
        // A merge under way took its number before this, and reads parts of this view: what it writes is touched as well.
        let last_part = self.numbers.next().saturating_sub(1);
        let deletion = Deletion { number: manifest.next_deletion, last_part, ids, range };
        let row = Change::Put(keys::numbered(keys::DELETIONS, deletion.number), deletion.encode());
        self.catalogue.write(&[row], Durability::Synced)?;
        manifest.next_deletion += 1;
        self.change_view(|view| Arc::make_mut(&mut view.deletions).push(deletion.clone()));
        self.changes.note(range.start());
        Ok(())
    }

    /// The caller holds the manifest.
    fn retire_deletions(&self) -> Result<(), StoreError> {
        let view = self.view.load_full();
        let live = |one: &Deletion| {
            view.parts.iter().any(|part| part.number() <= one.last_part && part.range().overlaps(one.range))
        };
        let done: Vec<u64> = view.deletions.iter().filter(|one| !live(one)).map(|one| one.number).collect();
        if done.is_empty() {
            return Ok(());
        }
        let changes: Vec<Change> =
            done.iter().map(|number| Change::Remove(keys::numbered(keys::DELETIONS, *number))).collect();
        self.catalogue.write(&changes, Durability::Synced)?;
        self.change_view(|view| Arc::make_mut(&mut view.deletions).retain(|one| !done.contains(&one.number)));
        Ok(())
    }
}

impl View {
    pub(super) fn take_out(&mut self, gone: &[Arc<Part>]) {
        self.parts.retain(|part| !gone.iter().any(|gone| gone.number() == part.number()));
    }
}

impl Deletion {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u64(&mut out, self.last_part);
        put_i64(&mut out, self.range.start().as_millis());
        put_i64(&mut out, self.range.end().as_millis());
        self.ids.serialize_into(&mut out).expect("a Vec takes every write");
        out
    }

    pub(super) fn decode(number: u64, value: &[u8]) -> Option<Deletion> {
        let mut reader = Reader::new(value);
        let last_part = reader.u64()?;
        let (start, end) = (Timestamp::from_millis(reader.i64()?), Timestamp::from_millis(reader.i64()?));
        let ids = roaring::RoaringBitmap::deserialize_from(reader.take(reader.remaining())?).ok()?;
        Some(Deletion { number, last_part, ids, range: TimeRange::new(start, end)? })
    }
}
