//! The way into a part: series by series in the order of labels, then the tables, then the name.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::model::{Column, Labels, Lane, Timestamp};
use crate::store::StoreError;

use super::super::bytes::{put_bytes, put_i64, put_u64};
use super::super::files::Disk;
use super::super::index::Index;
use super::super::resolve::lanes::Group;
use super::super::rows::{self, Effort};
use super::{BLOCK_SERIES, ChunkRef, END_MAGIC, HEADER_BYTES, Level, MAGIC, Meta, VERSION, path, temporary_path};

/// Bytes gathered before they go to the disk.
const BUFFER_BYTES: usize = 1 << 20;
/// Values of one block of postings, and bytes after which a block is full.
const BLOCK_VALUES: usize = 128;
const BLOCK_POSTINGS_BYTES: usize = 64 << 10;
/// Below this many ordinals a posting list is a list of distances, above a roaring bitmap.
const LIST_MAX: u64 = 32;
const LABELS_ZSTD_LEVEL: i32 = 3;

/// A part being written, under a temporary name.
pub(crate) struct PartWriter<'d> {
    disk: &'d Disk,
    directory: PathBuf,
    file: File,
    buffer: Vec<u8>,
    offset: u64,
    meta: Meta,
    index: Index,
    ids: Vec<(u32, u32)>,
    directory_blocks: Blocks,
    label_blocks: Blocks,
    last_id: i64,
    last_time: i64,
    next_chunk: u64,
    last_labels: String,
}

/// Blocks that follow one another, gathered in memory.
#[derive(Default)]
struct Blocks {
    done: Vec<Vec<u8>>,
    open: Vec<u8>,
}

impl<'d> PartWriter<'d> {
    /// Begins a part in `directory`; an older attempt at the same number is overwritten.
    pub(crate) fn create(
        disk: &'d Disk,
        directory: &Path,
        number: u64,
        day: i64,
        level: Level,
        replaces: Vec<u64>,
    ) -> Result<Self, StoreError> {
        let temporary = temporary_path(directory, number);
        let file = disk.create(&temporary).map_err(StoreError::io("create part"))?;
        let (first, last) = (Timestamp::MAX, Timestamp::MIN);
        let mut buffer = MAGIC.to_vec();
        buffer.extend_from_slice(&VERSION.to_le_bytes());
        buffer.resize(HEADER_BYTES, 0);
        Ok(PartWriter {
            disk,
            directory: directory.to_path_buf(),
            file,
            buffer,
            offset: HEADER_BYTES as u64,
            meta: Meta { number, day, level, replaces, rows: 0, series: 0, first, last },
            index: Index::default(),
            ids: Vec::new(),
            directory_blocks: Blocks::default(),
            label_blocks: Blocks::default(),
            last_id: 0,
            last_time: 0,
            next_chunk: 0,
            last_labels: String::new(),
        })
    }

    /// Adds a series with the tidy rows of its lanes, cut into chunks of at most `chunk_rows`. Labels rise from call to
    /// call. A series without rows is left out.
    pub(crate) fn add(
        &mut self,
        id: u32,
        group: u32,
        labels: &Labels,
        lanes: &[(Lane, Column)],
        chunk_rows: usize,
    ) -> Result<(), StoreError> {
        let effort = if self.meta.level == Level::Sealed { Effort::Cold } else { Effort::Hot };
        let mut chunks = Vec::new();
        for (lane, column) in lanes {
            for rows in rows::blocks(column, chunk_rows) {
                let rows = rows::slice(column, rows);
                let mut block = Vec::with_capacity(256);
                rows::encode(&rows, effort, &mut block);
                let (offset, bytes) = self.put_block(&block)?;
                let (first, last) = (rows.at[0], rows.at[rows.len() - 1]);
                self.meta.first = self.meta.first.min(first);
                self.meta.last = self.meta.last.max(last);
                self.meta.rows += rows.len() as u64;
                chunks.push(ChunkRef { lane: *lane, first, last, rows: rows.len() as u32, offset, bytes });
            }
        }
        if chunks.is_empty() {
            return Ok(());
        }
        let ordinal = self.meta.series;
        self.meta.series += 1;
        self.index.insert(ordinal, labels);
        self.ids.push((id, ordinal));
        self.put_directory(id, group, &chunks);
        self.put_labels(labels);
        if (self.meta.series as usize).is_multiple_of(BLOCK_SERIES) {
            self.end_blocks()?;
        }
        Ok(())
    }

    fn put_directory(&mut self, id: u32, group: u32, chunks: &[ChunkRef]) {
        let out = &mut self.directory_blocks.open;
        put_i64(out, i64::from(id) - self.last_id);
        self.last_id = i64::from(id);
        put_u64(out, u64::from(group));
        put_u64(out, chunks.len() as u64);
        for chunk in chunks {
            out.push(chunk.lane.0);
            put_i64(out, chunk.first.as_millis().wrapping_sub(self.last_time));
            put_u64(out, chunk.last.as_millis().wrapping_sub(chunk.first.as_millis()) as u64);
            put_u64(out, u64::from(chunk.rows));
            put_u64(out, chunk.offset - self.next_chunk);
            put_u64(out, u64::from(chunk.bytes));
            self.last_time = chunk.last.as_millis();
            self.next_chunk = chunk.offset + u64::from(chunk.bytes);
        }
    }

    fn put_labels(&mut self, labels: &Labels) {
        let packed = labels.as_packed();
        put_shared(&mut self.label_blocks.open, self.last_labels.as_bytes(), packed.as_bytes());
        packed.clone_into(&mut self.last_labels);
    }

    /// Every block of directory and labels can be read alone.
    fn end_blocks(&mut self) -> Result<(), StoreError> {
        self.directory_blocks.end();
        let plain = std::mem::take(&mut self.label_blocks.open);
        let mut block = Vec::new();
        put_u64(&mut block, plain.len() as u64);
        let squeezed = zstd::bulk::compress(&plain, LABELS_ZSTD_LEVEL).map_err(StoreError::io("compress labels"))?;
        block.extend_from_slice(&squeezed);
        self.label_blocks.done.push(block);
        (self.last_id, self.last_time, self.next_chunk) = (0, 0, 0);
        self.last_labels.clear();
        Ok(())
    }

    /// Writes the tables, makes the file durable and gives it its name. `None`, and no file, where no series was added.
    pub(crate) fn finish(mut self, groups: &[Group]) -> Result<Option<PathBuf>, StoreError> {
        let temporary = temporary_path(&self.directory, self.meta.number);
        if self.meta.series == 0 {
            self.disk.remove(&temporary).map_err(StoreError::io("remove empty part"))?;
            return Ok(None);
        }
        if !(self.meta.series as usize).is_multiple_of(BLOCK_SERIES) {
            self.end_blocks()?;
        }
        let mut tables = Vec::new();
        self.put_meta(&mut tables, groups);
        let directory_blocks = std::mem::take(&mut self.directory_blocks.done);
        let label_blocks = std::mem::take(&mut self.label_blocks.done);
        self.put_blocks(&directory_blocks, &mut tables)?;
        self.put_blocks(&label_blocks, &mut tables)?;
        self.put_ids(&mut tables)?;
        self.put_postings(&mut tables)?;
        let (offset, bytes) = self.put_block(&tables)?;
        let mut footer = offset.to_le_bytes().to_vec();
        footer.extend_from_slice(&u64::from(bytes).to_le_bytes());
        footer.extend_from_slice(&VERSION.to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
        footer.extend_from_slice(&END_MAGIC);
        self.buffer.extend_from_slice(&footer);
        self.flush()?;
        self.disk.sync(&self.file).map_err(StoreError::io("sync part"))?;
        let path = path(&self.directory, self.meta.number);
        self.disk.rename(&temporary, &path).map_err(StoreError::io("name part"))?;
        self.disk.sync_directory(&self.directory).map_err(StoreError::io("sync directory of parts"))?;
        Ok(Some(path))
    }

    fn put_meta(&self, tables: &mut Vec<u8>, groups: &[Group]) {
        let meta = &self.meta;
        put_u64(tables, meta.number);
        put_i64(tables, meta.day);
        put_u64(tables, meta.level as u64);
        put_u64(tables, meta.rows);
        put_u64(tables, u64::from(meta.series));
        put_i64(tables, meta.first.as_millis());
        put_i64(tables, meta.last.as_millis());
        put_u64(tables, meta.replaces.len() as u64);
        meta.replaces.iter().for_each(|number| put_u64(tables, *number));
        put_u64(tables, groups.len() as u64);
        for group in groups {
            put_bytes(tables, group.cluster.as_bytes());
            put_u64(tables, group.replicas.len() as u64);
            group.replicas.iter().for_each(|replica| put_bytes(tables, replica.as_bytes()));
        }
    }

    /// Writes blocks that follow one another; the table gets where they begin, how many they are and how long each is.
    fn put_blocks(&mut self, blocks: &[Vec<u8>], tables: &mut Vec<u8>) -> Result<(), StoreError> {
        put_u64(tables, self.offset);
        put_u64(tables, blocks.len() as u64);
        for block in blocks {
            let (_, bytes) = self.put_block(block)?;
            put_u64(tables, u64::from(bytes));
        }
        Ok(())
    }

    fn put_ids(&mut self, tables: &mut Vec<u8>) -> Result<(), StoreError> {
        self.ids.sort_unstable();
        let (mut block, mut last) = (Vec::with_capacity(self.ids.len() * 4), 0);
        for (id, ordinal) in std::mem::take(&mut self.ids) {
            put_u64(&mut block, u64::from(id - last));
            put_u64(&mut block, u64::from(ordinal));
            last = id;
        }
        self.put_blocks(&[block], tables)
    }

    fn put_postings(&mut self, tables: &mut Vec<u8>) -> Result<(), StoreError> {
        let index = std::mem::take(&mut self.index);
        let mut names: Vec<_> = index.names().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        put_u64(tables, names.len() as u64);
        for (name, values) in names {
            put_bytes(tables, name.as_bytes());
            let (mut blocks, mut firsts) = (Blocks::default(), Vec::new());
            let (mut in_block, mut last) = (0, "");
            for (value, ordinals) in values {
                if in_block == 0 {
                    last = "";
                    firsts.push(value);
                }
                put_shared(&mut blocks.open, last.as_bytes(), value.as_bytes());
                put_ordinals(&mut blocks.open, ordinals)?;
                (last, in_block) = (value, in_block + 1);
                if in_block == BLOCK_VALUES || blocks.open.len() >= BLOCK_POSTINGS_BYTES {
                    blocks.end();
                    in_block = 0;
                }
            }
            if in_block > 0 {
                blocks.end();
            }
            self.put_blocks(&blocks.done, tables)?;
            firsts.into_iter().for_each(|first| put_bytes(tables, first.as_bytes()));
        }
        Ok(())
    }

    /// Writes a block and its checksum; tells where it begins and how long it is.
    fn put_block(&mut self, block: &[u8]) -> Result<(u64, u32), StoreError> {
        let offset = self.offset;
        self.buffer.extend_from_slice(block);
        self.buffer.extend_from_slice(&crc32c::crc32c(block).to_le_bytes());
        let bytes = u32::try_from(block.len() + super::CRC_BYTES)
            .map_err(|_| StoreError::TooLarge("a block of a part is over 4 GiB".into()))?;
        self.offset += u64::from(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok((offset, bytes))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let buffer = std::mem::take(&mut self.buffer);
        self.disk.write(&mut self.file, &buffer).map_err(StoreError::io("write part"))
    }
}

impl Blocks {
    fn end(&mut self) {
        self.done.push(std::mem::take(&mut self.open));
    }
}

/// A text by what it shares with the one before it.
fn put_shared(out: &mut Vec<u8>, last: &[u8], text: &[u8]) {
    let shared = last.iter().zip(text).take_while(|(left, right)| left == right).count();
    put_u64(out, shared as u64);
    put_bytes(out, &text[shared..]);
}

/// A set of ordinals: count and form in one number, then distances or a roaring bitmap in its portable form.
fn put_ordinals(out: &mut Vec<u8>, ordinals: &roaring::RoaringBitmap) -> Result<(), StoreError> {
    let listed = ordinals.len() <= LIST_MAX;
    put_u64(out, ordinals.len() << 1 | u64::from(!listed));
    if listed {
        let mut last = 0;
        for ordinal in ordinals {
            put_u64(out, u64::from(ordinal - last));
            last = ordinal;
        }
        return Ok(());
    }
    let mut ordinals = ordinals.clone();
    ordinals.optimize();
    put_u64(out, ordinals.serialized_size() as u64);
    ordinals.serialize_into(out).map_err(StoreError::io("encode postings"))
}
