//! Labels and HA group of each series in memory, by id.

use super::super::bytes::take_u64;
use super::super::index::slabs::Slabs;

/// Series of one page: ids are dense, but of old ones few may be left.
const PAGE_SERIES: usize = 64;
const ABSENT: u32 = u32::MAX;

/// The series in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roster {
    pages: Vec<Option<Box<Page>>>,
    /// The numbers of each series' label pairs, as varints, in the order of label names.
    pairs: Slabs,
    len: usize,
}

#[derive(Clone, Debug)]
struct Page {
    entries: [Entry; PAGE_SERIES],
    present: u32,
}

/// Where the pairs of a series stand, and its group: 12 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: u32,
    /// [`ABSENT`] where there is no series.
    bytes: u32,
    group: u32,
}

impl Roster {
    fn entry(&self, id: u32) -> Option<Entry> {
        let page = self.pages.get(id as usize / PAGE_SERIES)?.as_ref()?;
        Some(page.entries[id as usize % PAGE_SERIES]).filter(|entry| entry.bytes != ABSENT)
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        self.entry(id).is_some()
    }

    pub(crate) fn group(&self, id: u32) -> Option<u32> {
        self.entry(id).map(|entry| entry.group)
    }

    /// The pairs of a series, encoded: equal for equal labels, and only for them.
    pub(crate) fn encoded(&self, id: u32) -> Option<&[u8]> {
        let entry = self.entry(id)?;
        Some(self.pairs.get(entry.slot, entry.bytes as usize))
    }

    /// The pairs of a series, in the order of label names.
    pub(crate) fn pairs(&self, id: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        decode(self.encoded(id).unwrap_or_default())
    }

    /// Adds a series that is not there.
    pub(crate) fn insert(&mut self, id: u32, group: u32, encoded: &[u8]) {
        let page = id as usize / PAGE_SERIES;
        if self.pages.len() <= page {
            self.pages.resize_with(page + 1, || None);
        }
        let absent = Entry { slot: 0, bytes: ABSENT, group: 0 };
        let page =
            self.pages[page].get_or_insert_with(|| Box::new(Page { entries: [absent; PAGE_SERIES], present: 0 }));
        let slot = self.pairs.put(encoded);
        page.entries[id as usize % PAGE_SERIES] = Entry { slot, bytes: encoded.len() as u32, group };
        page.present += 1;
        self.len += 1;
    }

    /// Takes a series out.
    pub(crate) fn remove(&mut self, id: u32) {
        let Some(entry) = self.entry(id) else { return };
        self.pairs.free(entry.slot, entry.bytes as usize);
        let place = &mut self.pages[id as usize / PAGE_SERIES];
        let page = place.as_mut().expect("the entry was in it");
        page.entries[id as usize % PAGE_SERIES].bytes = ABSENT;
        page.present -= 1;
        if page.present == 0 {
            *place = None;
        }
        self.len -= 1;
    }

    /// The series from `first` on, page by page, until about `limit` were seen; and where to go on.
    pub(crate) fn from(&self, first: u32, limit: usize) -> (Vec<u32>, Option<u32>) {
        let mut found = Vec::new();
        for page in first as usize / PAGE_SERIES..self.pages.len() {
            if found.len() >= limit {
                return (found, Some((page * PAGE_SERIES) as u32));
            }
            if let Some(entries) = &self.pages[page] {
                let present = entries.entries.iter().enumerate().filter(|(_, entry)| entry.bytes != ABSENT);
                found.extend(present.map(|(place, _)| (page * PAGE_SERIES + place) as u32).filter(|id| *id >= first));
            }
        }
        (found, None)
    }

    /// Memory taken, in bytes, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().count();
        pages * size_of::<Page>() + self.pages.capacity() * 8 + self.pairs.heap_bytes()
    }
}

/// The numbers of pairs in their encoded form.
pub(crate) fn decode(mut encoded: &[u8]) -> impl Iterator<Item = u32> + Clone + '_ {
    std::iter::from_fn(move || take_u64(&mut encoded).map(|pair| pair as u32))
}
