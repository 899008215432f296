//! Blocks of labels: 128 series each, by what they share with the series before, under zstd.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::Labels;
use crate::store::StoreError;

use super::super::bytes::{Reader, put_bytes, put_u64};
use super::BLOCK_SERIES;
use super::blocks::{BlockFile, BlockTable};

const ZSTD_LEVEL: i32 = 3;
/// No block is larger before compression, in bytes.
const BLOCK_BYTES_MAX: usize = 64 << 20;

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
    /// The block read last: ordinals come in order.
    recent: Mutex<Option<(usize, Arc<Vec<Labels>>)>>,
}

impl PartLabels {
    pub(super) fn new(table: BlockTable) -> Self {
        PartLabels { table, recent: Mutex::new(None) }
    }

    pub(super) fn table(&self) -> &BlockTable {
        &self.table
    }

    /// The labels of a series by its ordinal.
    pub(super) fn of(&self, file: &BlockFile, ordinal: u32) -> Result<Labels, StoreError> {
        let (number, place) = (ordinal as usize / BLOCK_SERIES, ordinal as usize % BLOCK_SERIES);
        let mut recent = self.recent.lock();
        let block = match recent.as_ref().filter(|(known, _)| *known == number) {
            Some((_, block)) => block,
            None => &recent.insert((number, Arc::new(self.block(file, number)?))).1,
        };
        block.get(place).cloned().ok_or_else(|| file.corrupt(self.table.offset(number), "a series without labels"))
    }

    pub(super) fn block(&self, file: &BlockFile, number: usize) -> Result<Vec<Labels>, StoreError> {
        let block = file.block(&self.table, number)?;
        let broken = || file.corrupt(self.table.offset(number), "broken labels");
        let mut reader = Reader::new(&block);
        let plain_bytes = reader.usize().filter(|bytes| *bytes <= BLOCK_BYTES_MAX).ok_or_else(broken)?;
        let squeezed = reader.take(reader.remaining()).ok_or_else(broken)?;
        let plain = zstd::bulk::decompress(squeezed, plain_bytes).map_err(|_| broken())?;
        let (mut reader, mut packed, mut labels) = (Reader::new(&plain), Vec::new(), Vec::new());
        while !reader.is_empty() {
            take_shared(&mut reader, &mut packed).ok_or_else(broken)?;
            let text = std::str::from_utf8(&packed).map_err(|_| broken())?;
            labels.push(Labels::from_packed(text).ok_or_else(broken)?);
        }
        Ok(labels)
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
