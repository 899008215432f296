//! Which row of the catalogue may hold a series that is not in memory.
//!
//! Six bytes a series: 32 bits of a hash of its labels, and the number of the row. The hash only leads to rows; labels
//! are compared there. What is in memory may stand here as well, which does no harm.

use super::super::catalogue::series::ROW_SERIES;

/// The first 16 bits of a hash say the bucket.
const BUCKETS: usize = 1 << 16;

/// Rows by hash of labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Elsewhere {
    /// None at all until the first series.
    buckets: Vec<Vec<Entry>>,
    len: usize,
}

/// The other 16 bits of the hash, and the number of the row in two halves.
type Entry = [u16; 3];

fn split(hash: u32, row: u32) -> (usize, Entry) {
    ((hash >> 16) as usize, [hash as u16, (row >> 16) as u16, row as u16])
}

impl Elsewhere {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a series of a row; twice is once.
    pub(crate) fn add(&mut self, hash: u32, row: u32) {
        if self.buckets.is_empty() {
            self.buckets = vec![Vec::new(); BUCKETS];
        }
        let (bucket, entry) = split(hash, row);
        if !self.buckets[bucket].contains(&entry) {
            self.buckets[bucket].push(entry);
            self.len += 1;
        }
    }

    /// Takes a series of a row out.
    pub(crate) fn remove(&mut self, hash: u32, row: u32) {
        let (bucket, entry) = split(hash, row);
        let Some(bucket) = self.buckets.get_mut(bucket) else { return };
        if let Some(place) = bucket.iter().position(|known| *known == entry) {
            bucket.swap_remove(place);
            self.len -= 1;
        }
    }

    /// The rows that may hold a series with this hash.
    pub(crate) fn rows(&self, hash: u32) -> impl Iterator<Item = u32> + '_ {
        let (bucket, [low, ..]) = split(hash, 0);
        let bucket = self.buckets.get(bucket).map_or(&[][..], Vec::as_slice);
        bucket.iter().filter(move |entry| entry[0] == low).map(|entry| u32::from(entry[1]) << 16 | u32::from(entry[2]))
    }

    /// Memory taken, in bytes, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.buckets.iter().map(|bucket| size_of::<Vec<Entry>>() + 6 * bucket.capacity()).sum()
    }
}

/// The row of a series.
pub(crate) fn row_of(id: u32) -> u32 {
    id / ROW_SERIES
}
