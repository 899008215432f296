//! Lists of series ids, one for each label pair: most are short, few are long, and ids mostly come in their order.
//!
//! ```text
//! one id        in the head of the list itself
//! some ids      gaps between them as varints, in a slot that grows with them
//! many ids      a roaring bitmap
//! ```

use roaring::RoaringBitmap;

use super::super::bytes::{put_u64, take_u64};
use super::segments::Segments;
use super::slabs::Slabs;

/// Gaps longer than this become a bitmap.
const GAPS_BYTES_MAX: usize = 512;
/// The length that says: a bitmap.
const BITMAP: u16 = u16::MAX;
/// A bitmap is packed again each time it has doubled, and first at this many ids.
const PACKED_IDS: u64 = 1024;

/// Lists by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists {
    heads: Segments<Head>,
    gaps: Slabs,
    bitmaps: Vec<Bitmap>,
    free_bitmaps: Vec<u32>,
}

/// The head of one list.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    /// The largest id.
    last: u32,
    /// The slot of the gaps, or the place of the bitmap.
    place: u32,
    /// Bytes of the gaps; [`BITMAP`] for a bitmap.
    bytes: u16,
    /// How many ids, where they are no bitmap.
    ids: u16,
}

#[derive(Clone, Debug, Default)]
struct Bitmap {
    ids: RoaringBitmap,
    count: u64,
    pack_at: u64,
}

/// The room for gaps of this length: grows by half, so that a growing list moves seldom.
fn room(bytes: usize) -> usize {
    let power = bytes.max(8).next_power_of_two();
    if bytes <= power / 4 * 3 { power / 4 * 3 } else { power }
}

/// A number as [`put_u64`] writes it, and how many bytes that takes.
fn varint(mut number: u32) -> ([u8; 5], usize) {
    let (mut bytes, mut length) = ([0; 5], 0);
    while number >= 0x80 {
        bytes[length] = number as u8 | 0x80;
        (number, length) = (number >> 7, length + 1);
    }
    bytes[length] = number as u8;
    (bytes, length + 1)
}

impl Lists {
    fn head(&self, list: u32) -> Head {
        self.heads.get(list).copied().unwrap_or_default()
    }

    /// How many ids a list has.
    pub(crate) fn count(&self, list: u32) -> u64 {
        match self.head(list) {
            Head { bytes: BITMAP, place, .. } => self.bitmaps[place as usize].count,
            head => u64::from(head.ids),
        }
    }

    /// Adds an id that is not there.
    pub(crate) fn insert(&mut self, list: u32, id: u32) {
        while self.heads.len() <= list as usize {
            self.heads.push(Head::default());
        }
        let head = self.heads[list];
        if head.bytes == BITMAP {
            return self.bitmaps[head.place as usize].insert(id);
        }
        match head.ids {
            0 => self.heads[list] = Head { last: id, place: 0, bytes: 0, ids: 1 },
            1 => self.rewrite(list, &[head.last.min(id), head.last.max(id)]),
            _ if id > head.last => self.append(list, id),
            _ => {
                let mut ids = self.short(head);
                let place = ids.partition_point(|known| *known < id);
                ids.insert(place, id);
                self.rewrite(list, &ids);
            }
        }
    }

    fn append(&mut self, list: u32, id: u32) {
        let head = self.heads[list];
        let (gap, gap_bytes) = varint(id - head.last);
        let (before, after) = (head.bytes as usize, head.bytes as usize + gap_bytes);
        if after > GAPS_BYTES_MAX {
            let mut ids = self.short(head);
            ids.push(id);
            return self.rewrite(list, &ids);
        }
        let mut place = head.place;
        if room(before) != room(after) {
            let kept = self.gaps.get(head.place, room(before))[..before].to_vec();
            self.gaps.free(head.place, room(before));
            place = self.gaps.take(room(after));
            self.gaps.get_mut(place, room(after))[..before].copy_from_slice(&kept);
        }
        self.gaps.get_mut(place, room(after))[before..after].copy_from_slice(&gap[..gap_bytes]);
        self.heads[list] = Head { last: id, place, bytes: after as u16, ids: head.ids + 1 };
    }

    /// Takes an id out.
    pub(crate) fn remove(&mut self, list: u32, id: u32) {
        let head = self.head(list);
        if head.bytes == BITMAP {
            let bitmap = &mut self.bitmaps[head.place as usize];
            bitmap.count -= u64::from(bitmap.ids.remove(id));
            // Far below what made it one: back to gaps, so that many shrunken lists cost little.
            if bitmap.count < GAPS_BYTES_MAX as u64 / 8 {
                let ids: Vec<u32> = bitmap.ids.iter().collect();
                self.rewrite(list, &ids);
            }
            return;
        }
        let mut ids = self.short(head);
        if let Ok(place) = ids.binary_search(&id) {
            ids.remove(place);
            self.rewrite(list, &ids);
        }
    }

    /// The ids of a list that is no bitmap.
    fn short(&self, head: Head) -> Vec<u32> {
        let mut ids = Vec::with_capacity(head.ids as usize + 1);
        self.push_short(head, &mut ids);
        ids
    }

    fn push_short(&self, head: Head, ids: &mut Vec<u32>) {
        if head.ids == 1 {
            return ids.push(head.last);
        }
        let (mut gaps, mut id) = (&[][..], 0_u32);
        if head.ids > 1 {
            gaps = &self.gaps.get(head.place, room(head.bytes as usize))[..head.bytes as usize];
        }
        while let Some(gap) = take_u64(&mut gaps) {
            id += gap as u32;
            ids.push(id);
        }
    }

    /// Replaces a list.
    fn rewrite(&mut self, list: u32, ids: &[u32]) {
        let head = self.heads[list];
        match head {
            Head { bytes: BITMAP, place, .. } => {
                self.bitmaps[place as usize] = Bitmap::default();
                self.free_bitmaps.push(place);
            }
            Head { ids: 0 | 1, .. } => {}
            _ => self.gaps.free(head.place, room(head.bytes as usize)),
        }
        let Some(last) = ids.last().copied().filter(|_| ids.len() > 1) else {
            let (last, count) = (ids.first().copied().unwrap_or_default(), ids.len() as u16);
            self.heads[list] = Head { last, place: 0, bytes: 0, ids: count };
            return;
        };
        let (mut gaps, mut before) = (Vec::new(), 0);
        for id in ids {
            put_u64(&mut gaps, u64::from(id - before));
            before = *id;
        }
        if gaps.len() > GAPS_BYTES_MAX {
            let mut bitmap =
                Bitmap { ids: ids.iter().copied().collect(), count: ids.len() as u64, pack_at: PACKED_IDS };
            bitmap.ids.optimize();
            let place = match self.free_bitmaps.pop() {
                Some(place) => {
                    self.bitmaps[place as usize] = bitmap;
                    place
                }
                None => {
                    self.bitmaps.push(bitmap);
                    (self.bitmaps.len() - 1) as u32
                }
            };
            self.heads[list] = Head { last, place, bytes: BITMAP, ids: 0 };
            return;
        }
        let place = self.gaps.take(room(gaps.len()));
        self.gaps.get_mut(place, room(gaps.len()))[..gaps.len()].copy_from_slice(&gaps);
        self.heads[list] = Head { last, place, bytes: gaps.len() as u16, ids: ids.len() as u16 };
    }

    /// The ids of a list.
    pub(crate) fn get(&self, list: u32) -> RoaringBitmap {
        match self.head(list) {
            Head { bytes: BITMAP, place, .. } => self.bitmaps[place as usize].ids.clone(),
            head => self.short(head).into_iter().collect(),
        }
    }

    /// The ids of all these lists.
    pub(crate) fn union(&self, lists: &[u32]) -> RoaringBitmap {
        let (mut short, mut long) = (Vec::new(), Vec::new());
        for list in lists {
            match self.head(*list) {
                Head { bytes: BITMAP, place, .. } => long.push(&self.bitmaps[place as usize].ids),
                head => self.push_short(head, &mut short),
            }
        }
        short.sort_unstable();
        let short: RoaringBitmap = short.into_iter().collect();
        match long.is_empty() {
            true => short,
            false => roaring::MultiOps::union(long.into_iter().chain([&short])),
        }
    }

    /// Those of `ids` that are in a list.
    pub(crate) fn narrow(&self, ids: RoaringBitmap, list: u32) -> RoaringBitmap {
        match self.head(list) {
            Head { bytes: BITMAP, place, .. } => ids & &self.bitmaps[place as usize].ids,
            head => self.short(head).into_iter().filter(|id| ids.contains(*id)).collect(),
        }
    }

    /// Memory taken, in bytes, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        let bitmaps = self.bitmaps.iter().map(|bitmap| bitmap.ids.serialized_size() + 64).sum::<usize>();
        self.heads.len() * size_of::<Head>() + self.gaps.heap_bytes() + bitmaps
    }
}

impl Bitmap {
    fn insert(&mut self, id: u32) {
        // Nearly always the largest, which needs no search.
        self.count += u64::from(self.ids.try_push(id).is_ok() || self.ids.insert(id));
        if self.count >= self.pack_at {
            self.ids.optimize();
            self.pack_at = 2 * self.count;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    proptest::proptest! {
        #[test]
        fn a_list_holds_what_went_in_and_not_out(
            steps in proptest::collection::vec((0_u32..3, 0_u32..4_000, 0_u8..8), 1..3_000)
        ) {
            let (mut lists, mut sets) = (Lists::default(), vec![BTreeSet::new(); 3]);
            for (list, id, what) in steps {
                // Mostly rising ids, some far apart, some taken out.
                let set = &mut sets[list as usize];
                let id = if what < 5 { set.last().map_or(id, |last| last + 1 + id % 90) } else { id };
                if what == 7 {
                    lists.remove(list, id);
                    set.remove(&id);
                } else if set.insert(id) {
                    lists.insert(list, id);
                }
            }
            let half: RoaringBitmap = (0..4_000).step_by(2).collect();
            for (list, set) in sets.iter().enumerate() {
                proptest::prop_assert!(lists.get(list as u32).into_iter().eq(set.iter().copied()));
                proptest::prop_assert_eq!(lists.count(list as u32), set.len() as u64);
                let narrowed = set.iter().copied().filter(|id| half.contains(*id)).collect::<RoaringBitmap>();
                proptest::prop_assert_eq!(lists.narrow(half.clone(), list as u32), narrowed);
            }
            let all: RoaringBitmap = sets.iter().flatten().copied().collect();
            proptest::prop_assert_eq!(lists.union(&[0, 1, 2]), all);
        }
    }
}
