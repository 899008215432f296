//! Spoils bytes in the ways in which they get spoilt, the same way each time: what fuzz targets are fed with.

/// A source of mutants.
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    /// The same seed gives the same mutants.
    pub(crate) fn new(seed: u64) -> Self {
        Mutator { state: seed }
    }

    /// A number below `bound`, or 0. (SplitMix64.)
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound.max(1) as u64) as usize
    }

    /// One of the seeds, spoilt in one to four places; `words` are put in now and then.
    pub(crate) fn mutant(&mut self, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.spoil(&mut bytes, seeds, words);
        }
        bytes
    }

    fn spoil(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
        let at = self.below(bytes.len() + 1);
        let span = at..(at + 1 + self.below(16)).min(bytes.len()).max(at);
        match self.below(8) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = [0, 1, 0x7f, 0x80, 0xff, b'0', b'(', b' '][self.below(8)];
                }
            }
            2 => drop(bytes.drain(span)),
            3 => {
                let copy = bytes[span].to_vec();
                bytes.splice(at..at, copy);
            }
            4 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                let part = other[from..(from + self.below(64)).min(other.len())].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let from = self.below(bytes.len() + 1);
                bytes.truncate(from.max(1));
            }
            _ if words.is_empty() => {
                let number = (self.below(usize::MAX) as u64 >> self.below(64)).to_le_bytes();
                for (place, byte) in bytes.iter_mut().skip(at).zip(number) {
                    *place = byte;
                }
            }
            _ => {
                let word = words[self.below(words.len())];
                bytes.splice(span, word.bytes());
            }
        }
    }
}
