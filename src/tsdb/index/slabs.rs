//! Millions of short byte strings without an allocation each.
//!
//! Slots of one size lie side by side in chunks; a slot that is given back is the next one handed out. The caller keeps
//! the length, from which the size of the slot follows. Growing adds a chunk and moves nothing.

/// Bytes of one chunk, where a slot is not larger.
const CHUNK_BYTES: usize = 16 << 10;
const NO_SLOT: u32 = u32::MAX;

/// Byte strings by slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slabs {
    classes: Vec<Class>,
}

/// All slots of one size.
#[derive(Clone, Debug)]
struct Class {
    slot_bytes: usize,
    chunks: Vec<Box<[u8]>>,
    /// Slots handed out so far, given back or not.
    used: u32,
    /// The slot given back last; it holds the number of the one before it.
    free: u32,
}

/// Sizes rise by 4 bytes up to 64, then in four steps to each doubling.
fn class_of(bytes: usize) -> usize {
    if bytes <= 64 {
        return bytes.max(1).div_ceil(4) - 1;
    }
    let doubling = (bytes - 1).ilog2() as usize - 6;
    16 + 4 * doubling + ((bytes - 1) >> (doubling + 4)) - 4
}

fn slot_bytes(class: usize) -> usize {
    if class < 16 {
        return 4 * (class + 1);
    }
    let (doubling, step) = ((class - 16) / 4, (class - 16) % 4);
    (step + 5) << (doubling + 4)
}

impl Class {
    fn per_chunk(&self) -> usize {
        (CHUNK_BYTES / self.slot_bytes).max(1)
    }

    fn slot(&self, slot: u32) -> &[u8] {
        let (chunk, place) = (slot as usize / self.per_chunk(), slot as usize % self.per_chunk());
        &self.chunks[chunk][place * self.slot_bytes..][..self.slot_bytes]
    }

    fn slot_mut(&mut self, slot: u32) -> &mut [u8] {
        let (chunk, place) = (slot as usize / self.per_chunk(), slot as usize % self.per_chunk());
        &mut self.chunks[chunk][place * self.slot_bytes..][..self.slot_bytes]
    }

    fn take(&mut self) -> u32 {
        if self.free != NO_SLOT {
            let slot = self.free;
            self.free = u32::from_le_bytes(self.slot(slot)[..4].try_into().expect("a slot has four bytes"));
            return slot;
        }
        let slot = self.used;
        if slot as usize == self.chunks.len() * self.per_chunk() {
            self.chunks.push(vec![0; self.per_chunk() * self.slot_bytes].into());
        }
        self.used += 1;
        slot
    }
}

impl Slabs {
    /// The room that a string of this length takes.
    #[cfg(test)]
    fn room(bytes: usize) -> usize {
        slot_bytes(class_of(bytes))
    }

    /// Takes a slot for `bytes` bytes; what stands in it is left over from its last use.
    pub(crate) fn take(&mut self, bytes: usize) -> u32 {
        let class = class_of(bytes);
        while self.classes.len() <= class {
            let slot_bytes = slot_bytes(self.classes.len());
            self.classes.push(Class { slot_bytes, chunks: Vec::new(), used: 0, free: NO_SLOT });
        }
        self.classes[class].take()
    }

    /// Keeps a copy; tells its slot.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u32 {
        let slot = self.take(bytes.len());
        self.get_mut(slot, bytes.len()).copy_from_slice(bytes);
        slot
    }

    /// The string of this length in a slot.
    pub(crate) fn get(&self, slot: u32, bytes: usize) -> &[u8] {
        &self.classes[class_of(bytes)].slot(slot)[..bytes]
    }

    pub(crate) fn get_mut(&mut self, slot: u32, bytes: usize) -> &mut [u8] {
        &mut self.classes[class_of(bytes)].slot_mut(slot)[..bytes]
    }

    /// Gives a slot back.
    pub(crate) fn free(&mut self, slot: u32, bytes: usize) {
        let class = &mut self.classes[class_of(bytes)];
        let before = class.free.to_le_bytes();
        class.slot_mut(slot)[..4].copy_from_slice(&before);
        class.free = slot;
    }

    /// Memory taken, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.classes.iter().map(|class| class.chunks.len() * class.per_chunk() * class.slot_bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_fits_its_slot_with_a_quarter_to_spare_at_most() {
        for bytes in (0..3_000).chain([1 << 16, (1 << 16) + 1, 1 << 20, (1 << 24) - 1]) {
            let room = Slabs::room(bytes);
            assert!(room >= bytes.max(4) && room <= (bytes + 4) * 5 / 4, "{bytes} in {room}");
            assert_eq!(class_of(room), class_of(bytes), "{bytes}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_string_stays_until_it_is_given_back(
            steps in proptest::collection::vec((proptest::prelude::any::<u8>(), 0_usize..300, 0_usize..8), 1..200)
        ) {
            let (mut slabs, mut kept) = (Slabs::default(), Vec::<(u32, Vec<u8>)>::new());
            for (byte, length, give_back) in steps {
                if give_back == 0 && !kept.is_empty() {
                    let (slot, bytes) = kept.swap_remove(length % kept.len());
                    slabs.free(slot, bytes.len());
                } else {
                    let bytes = vec![byte; length];
                    kept.push((slabs.put(&bytes), bytes));
                }
                for (slot, bytes) in &kept {
                    proptest::prop_assert_eq!(slabs.get(*slot, bytes.len()), &bytes[..]);
                }
            }
        }
    }
}
