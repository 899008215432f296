//! The way into a part: series by series in the order of labels, then the tables, then the name.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::model::{Column, Labels, Lane, Timestamp};
use crate::store::StoreError;

use super::super::bytes::{put_bytes, put_i64, put_u64};
use super::super::chunk;
use super::super::files::Disk;
use super::super::resolve::lanes::Group;
use super::super::rows::{self, Effort};
use super::blocks::BlockLengths;
use super::columns::{ColumnsWriter, SharedTimes};
use super::directory::DirectoryWriter;
use super::labels::LabelsWriter;
use super::postings::PostingsWriter;
use super::{
    CHUNK_BLOCK_BYTES, CRC_BYTES, ChunkRef, END_MAGIC, HEADER_BYTES, Level, MAGIC, Meta, Part, Place, Times, VERSION,
    path, temporary_path,
};

/// Bytes gathered before they go to the disk.
const BUFFER_BYTES: usize = 1 << 20;

/// A part being written, under a temporary name.
///
/// In memory until the end: for each series a few bytes of directory, labels and postings, all of them encoded; each
/// value of each label once; and the encoded columns, whose bytes are bounded.
pub(crate) struct PartWriter<'d> {
    disk: &'d Disk,
    directory: PathBuf,
    file: File,
    buffer: Vec<u8>,
    offset: u64,
    meta: Meta,
    effort: Effort,
    columns: ColumnsWriter,
    entries: DirectoryWriter,
    labels: LabelsWriter,
    postings: PostingsWriter,
    blocks: BlockLengths,
    /// The open block of chunks.
    block: Vec<u8>,
    /// The chunks of the series that is being added.
    chunks: Vec<ChunkRef>,
    scratch: Vec<u8>,
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
        let mut buffer = Vec::with_capacity(BUFFER_BYTES + 2 * CHUNK_BLOCK_BYTES);
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&VERSION.to_le_bytes());
        buffer.resize(HEADER_BYTES, 0);
        Ok(PartWriter {
            disk,
            directory: directory.to_path_buf(),
            file,
            buffer,
            offset: HEADER_BYTES as u64,
            meta: Meta { number, day, level, replaces, rows: 0, series: 0, first, last },
            effort: if level == Level::Sealed { Effort::Cold } else { Effort::Hot },
            columns: ColumnsWriter::default(),
            entries: DirectoryWriter::default(),
            labels: LabelsWriter::new()?,
            postings: PostingsWriter::default(),
            blocks: BlockLengths::default(),
            block: Vec::with_capacity(2 * CHUNK_BLOCK_BYTES),
            chunks: Vec::new(),
            scratch: Vec::new(),
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
        for (lane, column) in lanes {
            self.put_lane(id, *lane, column, chunk_rows)?;
        }
        self.end_series(id, group, labels)
    }

    /// Writes tidy rows of the series that [`end_series`](Self::end_series) will name, cut into chunks.
    pub(crate) fn put_lane(
        &mut self,
        id: u32,
        lane: Lane,
        column: &Column,
        chunk_rows: usize,
    ) -> Result<(), StoreError> {
        for rows in rows::blocks(column, chunk_rows) {
            let times = &column.at[rows.clone()];
            match self.columns.place(id, times) {
                Some(times) => self.put_values(lane, column, rows, &times)?,
                None => {
                    let from = self.block.len();
                    self.scratch.clear();
                    chunk::encode_times(times, &mut self.scratch);
                    put_bytes(&mut self.block, &self.scratch);
                    let ends = (times[0], times[times.len() - 1]);
                    self.put_body(lane, column, rows, ends, Times::Own, from)?;
                }
            }
        }
        Ok(())
    }

    /// Where times stand in this part, written for series `id` if they are new; `None` if they have to stay with their
    /// chunk.
    pub(crate) fn share_times(&mut self, id: u32, times: &[Timestamp]) -> Option<SharedTimes> {
        self.columns.place(id, times)
    }

    /// Writes rows as one chunk whose times are known; `column` need not hold any.
    pub(crate) fn put_values(
        &mut self,
        lane: Lane,
        column: &Column,
        rows: Range<usize>,
        times: &SharedTimes,
    ) -> Result<(), StoreError> {
        debug_assert_eq!(rows.len(), times.rows as usize, "a row for each time");
        let shared = Times::Shared { column: times.column, row: times.row };
        let from = self.block.len();
        self.put_body(lane, column, rows, (times.first, times.last), shared, from)
    }

    fn put_body(
        &mut self,
        lane: Lane,
        column: &Column,
        rows: Range<usize>,
        ends: (Timestamp, Timestamp),
        times: Times,
        from: usize,
    ) -> Result<(), StoreError> {
        let count = rows.len() as u32;
        let flags = rows::encode_body(column, rows, self.effort, &mut self.scratch, &mut self.block);
        self.end_chunk(lane, flags, count, ends, times, from)
    }

    /// Writes a chunk of another part as it is, but for where its times stand.
    pub(crate) fn copy_chunk(&mut self, part: &Part, chunk: &ChunkRef, times: &SharedTimes) -> Result<(), StoreError> {
        let from = self.block.len();
        let flags = part.with_body(chunk, |body, flags| {
            self.block.extend_from_slice(body);
            flags
        })?;
        let shared = Times::Shared { column: times.column, row: times.row };
        self.end_chunk(chunk.lane, flags, chunk.rows, (chunk.first, chunk.last), shared, from)
    }

    fn end_chunk(
        &mut self,
        lane: Lane,
        flags: u8,
        rows: u32,
        (first, last): (Timestamp, Timestamp),
        times: Times,
        from: usize,
    ) -> Result<(), StoreError> {
        let too_large = |_| StoreError::TooLarge("a block of a part is over 4 GiB".into());
        let bytes = u32::try_from(self.block.len() - from).map_err(too_large)?;
        let place = Place::InBlock { block: self.blocks.len() as u32, from: u32::try_from(from).map_err(too_large)? };
        self.meta.first = self.meta.first.min(first);
        self.meta.last = self.meta.last.max(last);
        self.meta.rows += u64::from(rows);
        self.chunks.push(ChunkRef { lane, flags, rows, first, last, bytes, place, times });
        if self.block.len() >= CHUNK_BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), StoreError> {
        let mut block = std::mem::take(&mut self.block);
        let (offset, bytes) = self.put_block(&block)?;
        self.blocks.push(offset, bytes);
        block.clear();
        self.block = block;
        Ok(())
    }

    /// Names the series whose chunks were put since the one before; without chunks it is left out.
    pub(crate) fn end_series(&mut self, id: u32, group: u32, labels: &Labels) -> Result<(), StoreError> {
        if self.chunks.is_empty() {
            return Ok(());
        }
        self.entries.add(id, group, &self.chunks, |column| self.columns.head(column));
        self.chunks.clear();
        self.postings.add(self.meta.series, labels);
        self.meta.series += 1;
        self.labels.add(labels)
    }

    /// Writes the tables, makes the file durable and gives it its name. `None`, and no file, where no series was added.
    pub(crate) fn finish(mut self, groups: &[Group]) -> Result<Option<PathBuf>, StoreError> {
        let temporary = temporary_path(&self.directory, self.meta.number);
        if self.meta.series == 0 {
            self.disk.remove(&temporary).map_err(StoreError::io("remove empty part"))?;
            return Ok(None);
        }
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let mut tables = Vec::new();
        self.put_meta(&mut tables, groups);
        self.blocks.write(&mut tables);
        let columns = std::mem::take(&mut self.columns);
        self.put_blocks(&columns.blocks(), &mut tables)?;
        self.put_blocks(&[columns.heads_block()], &mut tables)?;
        let (entries, labels) = (self.entries.finish(), self.labels.finish()?);
        self.put_blocks(&entries, &mut tables)?;
        self.put_blocks(&labels, &mut tables)?;
        let postings = std::mem::take(&mut self.postings);
        postings.finish(&mut tables, |blocks, tables| self.put_blocks(blocks, tables))?;
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

    /// Writes blocks that follow one another, and their table.
    fn put_blocks(&mut self, blocks: &[impl AsRef<[u8]>], tables: &mut Vec<u8>) -> Result<(), StoreError> {
        let mut lengths = BlockLengths::default();
        for block in blocks {
            let (offset, bytes) = self.put_block(block.as_ref())?;
            lengths.push(offset, bytes);
        }
        lengths.write(tables);
        Ok(())
    }

    /// Writes a block and its checksum; tells where it begins and how long it is.
    fn put_block(&mut self, block: &[u8]) -> Result<(u64, u32), StoreError> {
        let offset = self.offset;
        self.buffer.extend_from_slice(block);
        self.buffer.extend_from_slice(&crc32c::crc32c(block).to_le_bytes());
        let bytes = u32::try_from(block.len() + CRC_BYTES)
            .map_err(|_| StoreError::TooLarge("a block of a part is over 4 GiB".into()))?;
        self.offset += u64::from(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok((offset, bytes))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.disk.write(&mut self.file, &self.buffer).map_err(StoreError::io("write part"))?;
        self.buffer.clear();
        Ok(())
    }
}
