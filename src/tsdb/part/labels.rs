//! Blocks of labels: 128 series each, by what they share with the series before, under zstd.

use std::sync::{Arc, OnceLock};

use crate::model::Labels;
use crate::store::StoreError;

use super::super::bytes::{Reader, put_bytes, put_u64};
use super::super::chunk::decompress_frame;
use super::BLOCK_SERIES;
use super::blocks::{BlockFile, BlockTable};

const ZSTD_LEVEL: i32 = 3;
/// No block is larger before compression, in bytes.
const BLOCK_BYTES_MAX: usize = 64 << 20;
/// Beside their text, labels take so many bytes: counts, and what the allocator rounds up to.
const MADE_BYTES: usize = 32;

/// The labels of a part being written.
pub(super) struct LabelsWriter {
    compressor: zstd::bulk::Compressor<'static>,
    blocks: Vec<Vec<u8>>,
    open: Vec<u8>,
    in_open: usize,
    last: String,
}

impl LabelsWriter {
    pub(super) fn new() -> Result<Self, StoreError> {
        let compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(StoreError::io("compress labels"))?;
        Ok(LabelsWriter { compressor, blocks: Vec::new(), open: Vec::new(), in_open: 0, last: String::new() })
    }

    pub(super) fn add(&mut self, labels: &Labels) -> Result<(), StoreError> {
        let packed = labels.as_packed();
        put_shared(&mut self.open, self.last.as_bytes(), packed.as_bytes());
        packed.clone_into(&mut self.last);
        self.in_open += 1;
        if self.in_open == BLOCK_SERIES { self.end() } else { Ok(()) }
    }

    /// All blocks.
    pub(super) fn finish(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        if self.in_open > 0 {
            self.end()?;
        }
        Ok(std::mem::take(&mut self.blocks))
    }

    fn end(&mut self) -> Result<(), StoreError> {
        let mut block = Vec::new();
        put_u64(&mut block, self.open.len() as u64);
        let squeezed = self.compressor.compress(&self.open).map_err(StoreError::io("compress labels"))?;
        block.extend_from_slice(&squeezed);
        self.blocks.push(block);
        self.open.clear();
        self.last.clear();
        self.in_open = 0;
        Ok(())
    }
}

/// The labels of an open part.
pub(super) struct PartLabels {
    table: BlockTable,
}

/// A block of packed labels, one behind the other. Most look-ups want few of them, so labels are made when asked for,
/// and stay: whoever asks again shares them.
pub(super) struct LabelsBlock {
    texts: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
    made: Vec<OnceLock<Labels>>,
}

impl LabelsBlock {
    /// Labels by their place in the block; `None` where there are none, or broken ones.
    fn get(&self, place: usize) -> Option<Labels> {
        if let Some(labels) = self.made.get(place)?.get() {
            return Some(labels.clone());
        }
        let from = if place == 0 { 0 } else { *self.ends.get(place - 1)? };
        let packed = self.texts.get(from as usize..*self.ends.get(place)? as usize)?;
        let labels = Labels::from_packed(std::str::from_utf8(packed).ok()?)?;
        Some(self.made[place].get_or_init(|| labels).clone())
    }

    /// Bytes that it takes once all labels are made.
    fn bytes(&self) -> usize {
        2 * self.texts.len() + self.made.len() * (size_of::<u32>() + size_of::<OnceLock<Labels>>() + MADE_BYTES)
    }

    fn read(plain: &[u8]) -> Option<LabelsBlock> {
        let mut block = LabelsBlock { texts: Vec::with_capacity(plain.len() * 4), ends: Vec::new(), made: Vec::new() };
        let (mut reader, mut last) = (Reader::new(plain), 0..0);
        while !reader.is_empty() {
            let shared = reader.usize().filter(|shared| *shared <= last.len())?;
            let start = block.texts.len();
            block.texts.extend_from_within(last.start..last.start + shared);
            block.texts.extend_from_slice(reader.bytes()?);
            last = start..block.texts.len();
            block.ends.push(u32::try_from(last.end).ok()?);
        }
        block.texts.shrink_to_fit();
        block.made.resize_with(block.ends.len(), OnceLock::new);
        Some(block)
    }
}

impl PartLabels {
    pub(super) fn new(table: BlockTable) -> Self {
        PartLabels { table }
    }

    pub(super) fn table(&self) -> &BlockTable {
        &self.table
    }

    /// The labels of a series by its ordinal.
    pub(super) fn of(&self, file: &BlockFile, ordinal: u32) -> Result<Labels, StoreError> {
        let (number, place) = (ordinal as usize / BLOCK_SERIES, ordinal as usize % BLOCK_SERIES);
        self.at(file, &*self.kept_block(file, number)?, number, place)
    }

    /// A block, from memory if it was read a moment ago.
    pub(super) fn kept_block(&self, file: &BlockFile, number: usize) -> Result<Arc<LabelsBlock>, StoreError> {
        let make = || {
            let block = self.block(file, number)?;
            let bytes = block.bytes();
            Ok((Arc::new(block), bytes))
        };
        file.kept().labels.get_or_make(file.key(self.table.offset(number), 0), make)
    }

    /// The labels at a place in a block that was read.
    pub(super) fn at(
        &self,
        file: &BlockFile,
        block: &LabelsBlock,
        number: usize,
        place: usize,
    ) -> Result<Labels, StoreError> {
        block.get(place).ok_or_else(|| file.corrupt(self.table.offset(number), "a series without labels"))
    }

    /// All labels of a block.
    pub(super) fn all_of(&self, file: &BlockFile, number: usize) -> Result<Vec<Labels>, StoreError> {
        let block = self.block(file, number)?;
        let labels = (0..block.ends.len()).map(|place| block.get(place)).collect::<Option<_>>();
        labels.ok_or_else(|| file.corrupt(self.table.offset(number), "broken labels"))
    }

    fn block(&self, file: &BlockFile, number: usize) -> Result<LabelsBlock, StoreError> {
        let block = file.block(&self.table, number)?;
        let broken = || file.corrupt(self.table.offset(number), "broken labels");
        let mut reader = Reader::new(&block);
        let plain_bytes = reader.usize().filter(|bytes| *bytes <= BLOCK_BYTES_MAX).ok_or_else(broken)?;
        let squeezed = reader.take(reader.remaining()).ok_or_else(broken)?;
        let plain = decompress_frame(squeezed, plain_bytes).map_err(|_| broken())?;
        LabelsBlock::read(&plain).ok_or_else(broken)
    }
}

/// A text by what it shares with the one before it.
pub(super) fn put_shared(out: &mut Vec<u8>, last: &[u8], text: &[u8]) {
    let shared = last.iter().zip(text).take_while(|(left, right)| left == right).count();
    put_u64(out, shared as u64);
    put_bytes(out, &text[shared..]);
}

/// Replaces `text` by the next one, which shares its beginning.
pub(super) fn take_shared(reader: &mut Reader<'_>, text: &mut Vec<u8>) -> Option<()> {
    let shared = reader.usize().filter(|shared| *shared <= text.len())?;
    text.truncate(shared);
    text.extend_from_slice(reader.bytes()?);
    Some(())
}
