//! The way out of a part: tables at open, everything else block by block when asked for.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use crate::model::{Column, Labels, TimeRange, Timestamp};
use crate::store::StoreError;

use super::super::bytes::Reader;
use super::super::chunk;
use super::super::index::answers::Answers;
use super::super::resolve::lanes::Group;
use super::super::rows;
use super::blocks::{BlockFile, BlockTable};
use super::columns::Columns;
use super::directory::{self, DirectoryBlock};
use super::kept::Kept;
use super::labels::{LabelsBlock, PartLabels};
use super::postings::NameTable;
use super::{
    BLOCK_SERIES, ChunkRef, END_MAGIC, FOOTER_BYTES, HEADER_BYTES, Level, MAGIC, Meta, Place, SeriesChunks, Times,
    VERSION,
};

/// Rows of a piece of decoded values that is kept: those of most pieces of a sealed chunk.
const PIECE_ROWS: usize = 720;
/// Chunks of fewer bytes are constants and the like, decoded faster than found.
const WORTH_KEEPING_BYTES: usize = 32;

/// An open part.
pub(crate) struct Part {
    pub(super) file: BlockFile,
    pub(super) version: u32,
    meta: Meta,
    groups: Vec<Group>,
    pub(super) chunks: BlockTable,
    pub(super) times: BlockTable,
    /// The heads of columns: one block.
    pub(super) heads: BlockTable,
    pub(super) directory: BlockTable,
    pub(super) labels: PartLabels,
    /// Ids in order with their ordinals; format 1 only.
    pub(super) ids: BlockTable,
    pub(super) names: Vec<NameTable>,
    /// Read when the first chunk is looked for.
    columns: OnceLock<Columns>,
    /// Series id to ordinal, read when a series is looked for by id.
    by_id: OnceLock<Vec<(u32, u32)>>,
    /// What matchers found here.
    pub(super) answers: Answers,
}

/// A series inside a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartSeries {
    pub(crate) id: u32,
    pub(crate) group: u32,
    pub(crate) ordinal: u32,
}

/// Why a part cannot be opened, by what to do about it.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// A newer program wrote it: do not touch it.
    Newer(StoreError),
    /// Its bytes are not what was written.
    Damaged(StoreError),
    /// It is not there.
    Missing,
    /// The system refused.
    Io(StoreError),
}

/// What the tables of a part say.
struct Tables {
    meta: Meta,
    groups: Vec<Group>,
    chunks: BlockTable,
    times: BlockTable,
    heads: BlockTable,
    directory: BlockTable,
    labels: BlockTable,
    ids: BlockTable,
    names: Vec<NameTable>,
}

impl Tables {
    fn read(tables: &[u8], version: u32) -> Option<Tables> {
        let mut reader = Reader::new(tables);
        let (number, day) = (reader.u64()?, reader.i64()?);
        let level = match reader.u64()? {
            0 => Level::Spilled,
            1 => Level::Merged,
            _ => Level::Sealed,
        };
        let (rows, series) = (reader.u64()?, reader.u32()?);
        let (first, last) = (Timestamp::from_millis(reader.i64()?), Timestamp::from_millis(reader.i64()?));
        TimeRange::new(first, last)?;
        let replaces = (0..reader.count()?).map(|_| reader.u64()).collect::<Option<_>>()?;
        let mut groups = Vec::new();
        for _ in 0..reader.count()? {
            let cluster = reader.text()?.to_owned();
            let replicas = (0..reader.count()?).map(|_| reader.text().map(str::to_owned)).collect::<Option<_>>()?;
            groups.push(Group { cluster, replicas });
        }
        let mut newer = || if version > 1 { BlockTable::read(&mut reader) } else { Some(BlockTable::default()) };
        let (chunks, times, heads) = (newer()?, newer()?, newer()?);
        let (directory, labels) = (BlockTable::read(&mut reader)?, BlockTable::read(&mut reader)?);
        let ids = if version > 1 { BlockTable::default() } else { BlockTable::read(&mut reader)? };
        let names = (0..reader.count()?).map(|_| NameTable::read(&mut reader)).collect::<Option<_>>()?;
        let blocks = (series as usize).div_ceil(BLOCK_SERIES);
        let singles = if version > 1 { heads.len() } else { ids.len() };
        let whole = directory.len() == blocks && labels.len() == blocks && singles == 1 && reader.is_empty();
        let meta = Meta { number, day, level, replaces, rows, series, first, last };
        whole.then_some(Tables { meta, groups, chunks, times, heads, directory, labels, ids, names })
    }
}

/// Reads labels of series that are mostly neighbours.
pub(crate) struct LabelsInOrder<'p> {
    part: &'p Part,
    /// The block read last.
    block: Option<(usize, Arc<LabelsBlock>)>,
}

impl LabelsInOrder<'_> {
    /// The labels of a series.
    pub(crate) fn of(&mut self, series: &PartSeries) -> Result<Labels, StoreError> {
        let (number, place) = (series.ordinal as usize / BLOCK_SERIES, series.ordinal as usize % BLOCK_SERIES);
        let Part { labels, file, .. } = self.part;
        let block = match &self.block {
            Some((known, block)) if *known == number => block,
            _ => &self.block.insert((number, labels.kept_block(file, number)?)).1,
        };
        labels.at(file, block, number, place)
    }
}

impl Part {
    /// Opens a part and checks header, footer and tables; other blocks are checked when they are read, and stay in `kept`
    /// for a while.
    pub(crate) fn open(path: &Path, kept: &Arc<Kept>) -> Result<Part, OpenError> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => OpenError::Missing,
            _ => OpenError::Io(StoreError::io("open part")(error)),
        })?;
        let bytes = file.metadata().map_err(StoreError::io("look at part")).map_err(OpenError::Io)?.len();
        let file = BlockFile::new(path.to_path_buf(), file, bytes, kept.clone());
        let damaged = |offset: u64, found: &str| OpenError::Damaged(file.corrupt(offset, found));
        if bytes < (HEADER_BYTES + FOOTER_BYTES) as u64 {
            return Err(damaged(bytes, "a file too short for a part"));
        }
        let (mut header, mut footer) = ([0; HEADER_BYTES], [0; FOOTER_BYTES]);
        file.read_exact(&mut header, 0).map_err(OpenError::Io)?;
        let footer_at = bytes - FOOTER_BYTES as u64;
        file.read_exact(&mut footer, footer_at).map_err(OpenError::Io)?;
        let version = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
        if header[..8] != MAGIC {
            return Err(damaged(0, "no part header"));
        }
        if footer[24..] != END_MAGIC || crc32c::crc32c(&footer[..20]).to_le_bytes() != footer[20..24] {
            return Err(damaged(footer_at, "no part footer"));
        }
        let mut reader = Reader::new(&footer);
        let (offset, length) = (reader.u64_fixed().unwrap_or(0), reader.u64_fixed().unwrap_or(0));
        let sealed_version = reader.u32_fixed().unwrap_or(0);
        if sealed_version > VERSION {
            let found = format!("part format {sealed_version}, and this program reads up to {VERSION}");
            return Err(OpenError::Newer(file.corrupt(8, &found)));
        }
        if version != sealed_version || version == 0 {
            return Err(damaged(8, "header and footer of different versions"));
        }
        let tables = file.read(offset, length).map_err(|error| match error {
            StoreError::Corrupt { .. } => OpenError::Damaged(error),
            other => OpenError::Io(other),
        })?;
        let contradiction = || damaged(offset, "tables that contradict themselves");
        let tables = Tables::read(&tables, version).ok_or_else(contradiction)?;
        Ok(Part {
            version,
            meta: tables.meta,
            groups: tables.groups,
            chunks: tables.chunks,
            times: tables.times,
            heads: tables.heads,
            directory: tables.directory,
            labels: PartLabels::new(tables.labels),
            ids: tables.ids,
            names: tables.names,
            columns: OnceLock::new(),
            by_id: OnceLock::new(),
            answers: Answers::default(),
            file,
        })
    }

    pub(crate) fn number(&self) -> u64 {
        self.meta.number
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Size on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// The HA groups as they were when the part was written.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The times that its rows lie between.
    pub(crate) fn range(&self) -> TimeRange {
        TimeRange::new(self.meta.first, self.meta.last).expect("checked at open")
    }

    /// Hands over the series at `ordinals`, in order, with their chunks.
    pub(crate) fn find_each(
        &self,
        ordinals: &RoaringBitmap,
        mut each: impl FnMut(PartSeries, &[ChunkRef]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut block: Option<(usize, Arc<DirectoryBlock>)> = None;
        for ordinal in ordinals {
            let (number, place) = (ordinal as usize / BLOCK_SERIES, ordinal as usize % BLOCK_SERIES);
            if block.as_ref().is_none_or(|(known, _)| *known != number) {
                block = Some((number, self.recent_directory_block(number)?));
            }
            let found = block.as_ref().and_then(|(_, block)| block.get(place));
            let beyond = || self.file.corrupt(self.directory.offset(number), "an ordinal beyond its series");
            let (series, chunks) = found.ok_or_else(beyond)?;
            each(series, chunks)?;
        }
        Ok(())
    }

    /// How many of the series at `ordinals` are looked at until one has a row inside `range`; `None` where none has.
    pub(crate) fn first_with_rows_in(
        &self,
        ordinals: &RoaringBitmap,
        range: TimeRange,
    ) -> Result<Option<usize>, StoreError> {
        for (before, ordinal) in ordinals.iter().enumerate() {
            let (number, place) = (ordinal as usize / BLOCK_SERIES, ordinal as usize % BLOCK_SERIES);
            let block = self.recent_directory_block(number)?;
            for chunk in block.get(place).map_or(&[][..], |(_, chunks)| chunks) {
                if chunk.range().overlaps(range) && self.has_rows_in(chunk, range)? {
                    return Ok(Some(before + 1));
                }
            }
        }
        Ok(None)
    }

    /// The ordinals of all series with a row inside `range`.
    pub(crate) fn with_rows_in(&self, range: TimeRange) -> Result<RoaringBitmap, StoreError> {
        let (mut all, mut found) = (RoaringBitmap::new(), RoaringBitmap::new());
        all.insert_range(0..self.meta.series);
        // Series of one target share their times, and one answer.
        let mut known: HashMap<(u32, u32, u32), bool, FixedState> = HashMap::default();
        self.find_each(&all, |series, chunks| {
            for chunk in chunks.iter().filter(|chunk| chunk.range().overlaps(range)) {
                let times = chunk.shared_times();
                let has_rows = match times.and_then(|times| known.get(&times)) {
                    Some(has_rows) => *has_rows,
                    None => self.has_rows_in(chunk, range)?,
                };
                times.map(|times| known.insert(times, has_rows));
                if has_rows {
                    found.insert(series.ordinal);
                    break;
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The series at `ordinals`, in order, with their chunks.
    pub(crate) fn find(&self, ordinals: &RoaringBitmap) -> Result<SeriesChunks, StoreError> {
        let mut found = Vec::with_capacity(ordinals.len() as usize);
        self.find_each(ordinals, |series, chunks| {
            found.push((series, chunks.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    /// The chunks of a series; none where the part does not have it.
    pub(crate) fn find_by_id(&self, id: u32) -> Result<Vec<ChunkRef>, StoreError> {
        let by_id = match self.by_id.get() {
            Some(by_id) => by_id,
            None => {
                let read = self.read_ids()?;
                self.by_id.get_or_init(|| read)
            }
        };
        let Ok(place) = by_id.binary_search_by_key(&id, |(id, _)| *id) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        self.find_each(&RoaringBitmap::from_iter([by_id[place].1]), |_, chunks| {
            found.extend_from_slice(chunks);
            Ok(())
        })?;
        Ok(found)
    }

    /// The labels of series one after the other: neighbours stand together.
    pub(crate) fn labels_in_order(&self) -> LabelsInOrder<'_> {
        LabelsInOrder { part: self, block: None }
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, series: &PartSeries) -> Result<Labels, StoreError> {
        self.labels.of(&self.file, series.ordinal)
    }

    /// Appends all rows of a chunk to `into`.
    pub(crate) fn read_chunk(&self, chunk: &ChunkRef, into: &mut Column) -> Result<(), StoreError> {
        self.read_rows(chunk, TimeRange::ALL, into)
    }

    /// Appends the rows of a chunk that lie inside `range` to `into`; where the chunk does not make it cheap to tell
    /// them apart, others too. Series are best read in order: neighbours come with one read, and share their times.
    pub(crate) fn read_rows(&self, chunk: &ChunkRef, range: TimeRange, into: &mut Column) -> Result<(), StoreError> {
        let Place::InBlock { block, from } = chunk.place else { return self.read_format_1(chunk, into) };
        let broken = |error: &str| self.file.corrupt(self.offset_of(chunk), error);
        let rows = chunk.rows as usize;
        let mut wanted = 0..rows;
        if let Times::Shared { column, row } = chunk.times {
            let Some(own) = range.intersect(chunk.range()) else { return Ok(()) };
            let stretch = self.columns()?.times(&self.file, &self.times, column, own)?;
            // Rows of the chunk as rows of the stretch, which may begin behind them or end before.
            let row = row as usize;
            let from = row.max(stretch.row) - stretch.row;
            let to = (row + rows).min(stretch.row + stretch.times.len()).saturating_sub(stretch.row).max(from);
            let times = &stretch.times[from..to];
            let first = times.partition_point(|at| *at < own.start());
            let last = times.partition_point(|at| *at <= own.end());
            into.at.extend_from_slice(&times[first..last]);
            let start = stretch.row + from - row;
            wanted = start + first..start + last;
            if chunk.flags == 0 && chunk.bytes as usize >= WORTH_KEEPING_BYTES {
                return self.kept_floats(chunk, wanted, &mut into.values);
            }
        }
        let bytes = self.file.kept_block(&self.chunks, block as usize)?;
        let mut body = bytes.get(from as usize..from as usize + chunk.bytes as usize);
        if let Times::Own = chunk.times {
            let mut reader = Reader::new(body.unwrap_or_default());
            let times = reader.bytes().ok_or_else(|| broken("a chunk without times"))?;
            chunk::decode_times(times, rows, &mut into.at).map_err(|error| broken(&error.to_string()))?;
            body = reader.take(reader.remaining());
        }
        let body = body.ok_or_else(|| broken("a chunk beyond its block"))?;
        rows::decode_body(body, chunk.flags, rows, wanted, into).map_err(|error| broken(&error.to_string()))
    }

    /// Appends the floats in `wanted` of a chunk that has nothing but floats: piece by piece, from memory where a piece
    /// was wanted more than once lately. On an error `into` is of no use.
    fn kept_floats(&self, chunk: &ChunkRef, wanted: Range<usize>, into: &mut Vec<f64>) -> Result<(), StoreError> {
        let Place::InBlock { block, from } = chunk.place else { unreachable!("format 1 shares no times") };
        let (values, rows) = (&self.file.kept().values, chunk.rows as usize);
        let offset = self.offset_of(chunk) + u64::from(from);
        let mut bytes = None;
        let mut decode = |rows_wanted: Range<usize>, into: &mut Vec<f64>| {
            let broken = |error: &str| self.file.corrupt(self.offset_of(chunk), error);
            let bytes = match &bytes {
                Some(bytes) => bytes,
                None => bytes.insert(self.file.kept_block(&self.chunks, block as usize)?),
            };
            let body = bytes.get(from as usize..from as usize + chunk.bytes as usize);
            let body = body.ok_or_else(|| broken("a chunk beyond its block"))?;
            chunk::decode_some_values(body, rows, rows_wanted, into).map_err(|error| broken(&error.to_string()))
        };
        // Pieces that are not kept are decoded together.
        let mut waiting = wanted.start..wanted.start;
        while waiting.end < wanted.end {
            let piece = waiting.end / PIECE_ROWS;
            let own = piece * PIECE_ROWS..rows.min((piece + 1) * PIECE_ROWS);
            let some = waiting.end..wanted.end.min(own.end);
            let key = self.file.key(offset, piece as u32);
            let decoded = match values.get_or_wish(key) {
                Ok(kept) => kept,
                Err(false) => {
                    waiting.end = some.end;
                    continue;
                }
                Err(true) => {
                    let mut decoded = Vec::with_capacity(own.len());
                    decode(own.clone(), &mut decoded)?;
                    let decoded: Arc<[f64]> = decoded.into();
                    values.keep(key, &decoded, size_of_val(&*decoded));
                    decoded
                }
            };
            if !waiting.is_empty() {
                decode(waiting, into)?;
            }
            into.extend_from_slice(&decoded[some.start - own.start..some.end - own.start]);
            waiting = some.end..some.end;
        }
        if waiting.is_empty() { Ok(()) } else { decode(waiting, into) }
    }

    /// Whether a chunk has a row inside `range`. Where times are shared, no chunk is read for that.
    pub(crate) fn has_rows_in(&self, chunk: &ChunkRef, range: TimeRange) -> Result<bool, StoreError> {
        if range.contains(chunk.first) || range.contains(chunk.last) {
            return Ok(true);
        }
        let Some(own) = range.intersect(chunk.range()) else { return Ok(false) };
        let Times::Shared { column, .. } = chunk.times else {
            let mut rows = Column::default();
            self.read_rows(chunk, range, &mut rows)?;
            return Ok(rows.at.iter().any(|at| range.contains(*at)));
        };
        // Between the chunk's first row and its last one, all rows of the column are the chunk's.
        let stretch = self.columns()?.times(&self.file, &self.times, column, own)?;
        let first = stretch.times.partition_point(|at| *at < own.start());
        Ok(stretch.times.get(first).is_some_and(|at| *at <= own.end()))
    }

    fn read_format_1(&self, chunk: &ChunkRef, into: &mut Column) -> Result<(), StoreError> {
        let offset = self.offset_of(chunk);
        let block = self.file.read(offset, u64::from(chunk.bytes))?;
        rows::decode(&block, into).map_err(|error| self.file.corrupt(offset, &error.to_string()))
    }

    /// Appends the rows of a chunk, all but their times.
    pub(crate) fn read_values(&self, chunk: &ChunkRef, into: &mut Column) -> Result<(), StoreError> {
        let broken = |error: &str| self.file.corrupt(self.offset_of(chunk), error);
        self.with_body(chunk, |body, flags| {
            let rows = chunk.rows as usize;
            rows::decode_body(body, flags, rows, 0..rows, into).map_err(|error| broken(&error.to_string()))
        })?
    }

    /// Hands over the encoded rows of a chunk with shared times, and what they hold besides values.
    pub(crate) fn with_body<T>(&self, chunk: &ChunkRef, use_it: impl FnOnce(&[u8], u8) -> T) -> Result<T, StoreError> {
        let broken = || self.file.corrupt(self.offset_of(chunk), "a chunk beyond its block");
        let (Place::InBlock { block, from }, Times::Shared { .. }) = (chunk.place, chunk.times) else {
            return Err(broken());
        };
        let bytes = self.file.kept_block(&self.chunks, block as usize)?;
        let body = bytes.get(from as usize..from as usize + chunk.bytes as usize).ok_or_else(broken)?;
        Ok(use_it(body, chunk.flags))
    }

    /// Where the block with a chunk begins.
    pub(super) fn offset_of(&self, chunk: &ChunkRef) -> u64 {
        match chunk.place {
            Place::InBlock { block, .. } => self.chunks.offset(block as usize),
            Place::Alone { offset } => offset,
        }
    }

    pub(super) fn columns(&self) -> Result<&Columns, StoreError> {
        if let Some(columns) = self.columns.get() {
            return Ok(columns);
        }
        let block = self.file.block(&self.heads, 0)?;
        let columns = Columns::read(&block, &self.times);
        let columns = columns.ok_or_else(|| self.file.corrupt(self.heads.offset(0), "broken heads of columns"))?;
        Ok(self.columns.get_or_init(|| columns))
    }

    fn recent_directory_block(&self, number: usize) -> Result<Arc<DirectoryBlock>, StoreError> {
        let make = || {
            let block = self.directory_block(number)?;
            let bytes = block.bytes();
            Ok((Arc::new(block), bytes))
        };
        self.file.kept().directory.get_or_make(self.file.key(self.directory.offset(number), 0), make)
    }

    pub(super) fn directory_block(&self, number: usize) -> Result<DirectoryBlock, StoreError> {
        let block = self.file.block(&self.directory, number)?;
        let first = number * BLOCK_SERIES;
        let count = BLOCK_SERIES.min(self.meta.series as usize - first);
        let found = match self.version {
            1 => directory::read_format_1(&block, first as u32),
            _ => directory::read(&block, first as u32, count, self.columns()?, &self.chunks),
        };
        let found = found.filter(|found| found.len() == count);
        found.ok_or_else(|| self.file.corrupt(self.directory.offset(number), "a broken directory"))
    }

    /// Every id with its ordinal, by id. Format 1 has them as a block; later the directory is as good, and is read but
    /// once: ids are looked for only where rows have moved under a read.
    pub(super) fn read_ids(&self) -> Result<Vec<(u32, u32)>, StoreError> {
        let mut ids = Vec::with_capacity(self.meta.series as usize);
        if self.version > 1 {
            for number in 0..self.directory.len() {
                ids.extend(self.directory_block(number)?.iter().map(|(series, _)| (series.id, series.ordinal)));
            }
            ids.sort_unstable();
            return Ok(ids);
        }
        let block = self.file.block(&self.ids, 0)?;
        let (mut reader, mut last) = (Reader::new(&block), 0_u32);
        while !reader.is_empty() {
            let pair = (|| {
                last = last.checked_add(reader.u32()?)?;
                Some((last, reader.u32()?))
            })();
            ids.push(pair.ok_or_else(|| self.file.corrupt(self.ids.offset(0), "broken ids"))?);
        }
        Ok(ids)
    }
}
