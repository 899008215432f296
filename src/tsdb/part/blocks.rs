//! Blocks: where they are, and the way to their bytes.
//!
//! A block is bytes with a crc32c behind them. Blocks of one kind follow one another, so a table of them is an offset
//! and lengths. Blocks of chunks are read again and again by neighbouring series: some stay in memory, and where one
//! is read that follows one in memory, the next few come with it in one read.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::StoreError;

use super::super::bytes::{Reader, put_u64};
use super::CRC_BYTES;
use super::kept::{Kept, Key};

/// Blocks that are read at once, at most, where series are read in order.
const READ_AHEAD_BLOCKS: usize = 9;
/// Bytes that are read at once where series are read in order.
const READ_AHEAD_BYTES: u64 = 64 << 10;

/// Blocks that follow one another: where each begins, and where the last one ends.
#[derive(Debug, Default)]
pub(super) struct BlockTable {
    edges: Vec<u64>,
}

impl BlockTable {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<BlockTable> {
        let mut edges = vec![reader.u64()?];
        for _ in 0..reader.count()? {
            edges.push(edges[edges.len() - 1].checked_add(reader.u64()?)?);
        }
        Some(BlockTable { edges })
    }

    pub(super) fn len(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    /// Where a block begins.
    pub(super) fn offset(&self, number: usize) -> u64 {
        self.edges.get(number).copied().unwrap_or(0)
    }

    /// Bytes of a block without its checksum, 0 where there is none.
    pub(super) fn content_bytes(&self, number: usize) -> u64 {
        match self.edges.get(number..) {
            Some([start, end, ..]) => (end - start).saturating_sub(CRC_BYTES as u64),
            _ => 0,
        }
    }

    /// Bytes of all blocks.
    pub(super) fn bytes(&self) -> u64 {
        self.edges.last().zip(self.edges.first()).map_or(0, |(end, start)| end - start)
    }
}

/// Lengths of blocks that follow one another, as they are written.
#[derive(Default)]
pub(super) struct BlockLengths {
    first: Option<u64>,
    lengths: Vec<u32>,
}

impl BlockLengths {
    pub(super) fn push(&mut self, offset: u64, bytes: u32) {
        self.first.get_or_insert(offset);
        self.lengths.push(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Appends what [`BlockTable::read`] reads.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.first.unwrap_or(0));
        put_u64(out, self.lengths.len() as u64);
        self.lengths.iter().for_each(|bytes| put_u64(out, u64::from(*bytes)));
    }
}

/// The file of an open part.
pub(super) struct BlockFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    kept: Arc<Kept>,
    /// What `kept` knows this file by.
    number: u64,
}

impl BlockFile {
    pub(super) fn new(path: PathBuf, file: File, bytes: u64, kept: Arc<Kept>) -> Self {
        let number = kept.part();
        BlockFile { path, file, bytes, kept, number }
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What is kept of this file at an offset.
    pub(super) fn key(&self, offset: u64, piece: u32) -> Key {
        Key { part: self.number, offset, piece }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn read_exact(&self, into: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.file.read_exact_at(into, offset).map_err(StoreError::io("read part"))
    }

    pub(super) fn corrupt(&self, offset: u64, found: &str) -> StoreError {
        StoreError::Corrupt { file: self.path.clone(), offset, found: found.into() }
    }

    /// Reads so many bytes at an offset, a block, and checks what is behind it.
    pub(super) fn read(&self, offset: u64, bytes: u64) -> Result<Vec<u8>, StoreError> {
        let length = usize::try_from(bytes).ok().filter(|bytes| (CRC_BYTES..=1 << 32).contains(bytes));
        let length = length.ok_or_else(|| self.corrupt(offset, "a block of impossible length"))?;
        if offset.checked_add(bytes).is_none_or(|block_end| block_end > self.bytes) {
            return Err(self.corrupt(offset, "a block beyond the end of the file"));
        }
        let mut block = vec![0; length];
        self.read_exact(&mut block, offset)?;
        let content = self.checked(&block, offset)?.len();
        block.truncate(content);
        Ok(block)
    }

    /// A block of a table.
    pub(super) fn block(&self, table: &BlockTable, number: usize) -> Result<Vec<u8>, StoreError> {
        match table.edges.get(number..) {
            Some([start, end, ..]) => self.read(*start, end - start),
            _ => Err(self.corrupt(0, "a block beyond its table")),
        }
    }

    /// A block of a table, from memory if it was read a moment ago.
    pub(super) fn kept_block(&self, table: &BlockTable, number: usize) -> Result<Arc<[u8]>, StoreError> {
        let known = |number: usize| self.kept.blocks.get(self.key(table.offset(number), 0));
        if let Some(block) = known(number) {
            return Ok(block);
        }
        let in_order = number > 0 && known(number - 1).is_some();
        let Some(end) = self.read_ahead_end(table, number).filter(|_| in_order) else {
            let block: Arc<[u8]> = self.block(table, number)?.into();
            self.keep(table, number, &block);
            return Ok(block);
        };
        let start = table.edges[number];
        let mut bytes = vec![0; (table.edges[end] - start) as usize];
        self.read_exact(&mut bytes, start)?;
        // Behind the block that is asked for, what is damaged is left for those who ask for it.
        for following in (number + 1..end).rev() {
            let (from, to) = (table.edges[following] - start, table.edges[following + 1] - start);
            if let Ok(content) = self.checked(&bytes[from as usize..to as usize], table.edges[following]) {
                self.keep(table, following, &content.into());
            }
        }
        let block: Arc<[u8]> = self.checked(&bytes[..(table.edges[number + 1] - start) as usize], start)?.into();
        self.keep(table, number, &block);
        Ok(block)
    }

    /// How far to read from a block on, if that is more than the block alone.
    fn read_ahead_end(&self, table: &BlockTable, number: usize) -> Option<usize> {
        let start = *table.edges.get(number)?;
        let limit = start.checked_add(READ_AHEAD_BYTES)?.min(self.bytes);
        let end = number + table.edges[number..].iter().take(READ_AHEAD_BLOCKS).filter(|edge| **edge <= limit).count();
        let end = end.checked_sub(1)?;
        (end > number + 1).then_some(end)
    }

    fn keep(&self, table: &BlockTable, number: usize, block: &Arc<[u8]>) {
        self.kept.blocks.keep(self.key(table.offset(number), 0), block, block.len());
    }

    /// What stands before the checksum at the end of `block`.
    fn checked<'b>(&self, block: &'b [u8], offset: u64) -> Result<&'b [u8], StoreError> {
        match block.split_last_chunk::<CRC_BYTES>() {
            Some((content, crc)) if crc32c::crc32c(content).to_le_bytes() == *crc => Ok(content),
            _ => Err(self.corrupt(offset, "a wrong checksum")),
        }
    }
}
