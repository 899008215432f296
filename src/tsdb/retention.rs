//! Drops days that are beyond retention, and deletions that touch nothing any more.
//!
//! The brake: age is counted from the newest sample ever seen or the clock, whichever is *earlier*, so that a clock
//! that jumps ahead deletes nothing that is not old by the data's own time.

use std::sync::Arc;

use crate::model::{TimeRange, Timestamp};
use crate::store::StoreError;

use super::bytes::{Reader, put_i64, put_u64};
use super::catalogue::{Change, Durability, keys};
use super::maintain::day_range;
use super::part::Part;
use super::store::{Deletion, Store};

impl Store {
    /// Retires what is due; tells how many parts went.
    pub(super) fn retire(&self, now: Timestamp) -> Result<usize, StoreError> {
        let view = self.view.load_full();
        let Some(newest) = self.newest(&view) else { return Ok(0) };
        let floor = now.min(newest) - self.settings.retention;
        let old: Vec<Arc<Part>> =
            view.parts.iter().filter(|part| day_range(part.meta().day).end() < floor).cloned().collect();
        if !old.is_empty() {
            let gone = old.iter().map(|part| Change::Remove(keys::numbered(keys::PARTS, part.number())));
            self.catalogue.write(&gone.collect::<Vec<_>>(), Durability::Synced)?;
            self.drop_parts(&old)?;
        }
        self.retire_deletions()?;
        Ok(old.len())
    }

    /// Takes parts that the manifest no longer names out of the view and off the disk. Reads under way keep their file.
    pub(super) fn drop_parts(&self, gone: &[Arc<Part>]) -> Result<(), StoreError> {
        self.change_view(|view| view.parts.retain(|part| !gone.iter().any(|gone| gone.number() == part.number())));
        for part in gone {
            self.disk.remove(part.path()).map_err(StoreError::io("remove part"))?;
        }
        Ok(())
    }

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
