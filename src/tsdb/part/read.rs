//! The way out of a part: tables at open, everything else block by block when asked for.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::model::{Column, Labels, Lane, TimeRange, Timestamp};
use crate::store::StoreError;

use super::super::bytes::Reader;
use super::super::index::Postings;
use super::super::resolve::lanes::Group;
use super::super::rows;
use super::verify::Kind;
use super::{
    BLOCK_SERIES, CRC_BYTES, ChunkRef, END_MAGIC, FOOTER_BYTES, HEADER_BYTES, LABEL_BLOCK_BYTES_MAX, Level, MAGIC,
    Meta, SeriesChunks, VERSION,
};

/// An open part.
pub(crate) struct Part {
    path: PathBuf,
    file: File,
    bytes: u64,
    meta: Meta,
    groups: Vec<Group>,
    directory: BlockTable,
    labels: BlockTable,
    ids: BlockTable,
    names: Vec<NameTable>,
    /// Series id to ordinal, read when a series is looked for by id.
    by_id: OnceLock<Vec<(u32, u32)>>,
    /// The block of labels read last: ordinals come in order.
    recent_labels: Mutex<Option<(usize, Arc<Vec<Labels>>)>>,
}

/// Blocks that follow one another: where each begins, and where the last one ends.
#[derive(Debug, Default)]
struct BlockTable {
    edges: Vec<u64>,
}

/// The values of one label.
struct NameTable {
    name: Box<str>,
    blocks: BlockTable,
    /// The first value of each block.
    firsts: Vec<Box<str>>,
}

/// A series inside a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartSeries {
    pub(crate) id: u32,
    pub(crate) group: u32,
    pub(crate) ordinal: u32,
}

/// Gets a value and a way to decode its ordinals; says whether to go on.
type EachValue<'e> = dyn FnMut(&str, &mut dyn FnMut() -> Option<RoaringBitmap>) -> bool + 'e;

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

impl BlockTable {
    fn read(reader: &mut Reader<'_>) -> Option<BlockTable> {
        let mut edges = vec![reader.u64()?];
        for _ in 0..reader.count()? {
            edges.push(edges[edges.len() - 1].checked_add(reader.u64()?)?);
        }
        Some(BlockTable { edges })
    }

    fn len(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }
}

impl Part {
    /// Opens a part and checks header, footer and tables; other blocks are checked when they are read.
    pub(crate) fn open(path: &Path) -> Result<Part, OpenError> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => OpenError::Missing,
            _ => OpenError::Io(StoreError::io("open part")(error)),
        })?;
        let bytes = file.metadata().map_err(StoreError::io("look at part")).map_err(OpenError::Io)?.len();
        let damaged = |offset: u64, found: &str| {
            OpenError::Damaged(StoreError::Corrupt { file: path.to_path_buf(), offset, found: found.into() })
        };
        if bytes < (HEADER_BYTES + FOOTER_BYTES) as u64 {
            return Err(damaged(bytes, "a file too short for a part"));
        }
        let (mut header, mut footer) = ([0; HEADER_BYTES], [0; FOOTER_BYTES]);
        let io = |error| OpenError::Io(StoreError::io("read part tables")(error));
        file.read_exact_at(&mut header, 0).map_err(io)?;
        let footer_at = bytes - FOOTER_BYTES as u64;
        file.read_exact_at(&mut footer, footer_at).map_err(io)?;
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
            return Err(OpenError::Newer(StoreError::Corrupt {
                file: path.to_path_buf(),
                offset: 8,
                found: format!("part format {sealed_version}, and this program reads up to {VERSION}"),
            }));
        }
        if version != sealed_version {
            return Err(damaged(8, "header and footer of different versions"));
        }
        let tables = read_block(&file, path, bytes, offset, length).map_err(|error| match error {
            StoreError::Corrupt { .. } => OpenError::Damaged(error),
            other => OpenError::Io(other),
        })?;
        let mut part = Part {
            path: path.to_path_buf(),
            file,
            bytes,
            meta: Meta {
                number: 0,
                day: 0,
                level: Level::Spilled,
                replaces: Vec::new(),
                rows: 0,
                series: 0,
                first: Timestamp::EPOCH,
                last: Timestamp::EPOCH,
            },
            groups: Vec::new(),
            directory: BlockTable::default(),
            labels: BlockTable::default(),
            ids: BlockTable::default(),
            names: Vec::new(),
            by_id: OnceLock::new(),
            recent_labels: Mutex::new(None),
        };
        part.read_tables(&tables).ok_or_else(|| damaged(offset, "tables that contradict themselves"))?;
        Ok(part)
    }

    fn read_tables(&mut self, tables: &[u8]) -> Option<()> {
        let mut reader = Reader::new(tables);
        self.meta.number = reader.u64()?;
        self.meta.day = reader.i64()?;
        self.meta.level = match reader.u64()? {
            0 => Level::Spilled,
            1 => Level::Merged,
            _ => Level::Sealed,
        };
        self.meta.rows = reader.u64()?;
        self.meta.series = reader.u32()?;
        self.meta.first = Timestamp::from_millis(reader.i64()?);
        self.meta.last = Timestamp::from_millis(reader.i64()?);
        TimeRange::new(self.meta.first, self.meta.last)?;
        self.meta.replaces = (0..reader.count()?).map(|_| reader.u64()).collect::<Option<_>>()?;
        for _ in 0..reader.count()? {
            let cluster = reader.text()?.to_owned();
            let replicas = (0..reader.count()?).map(|_| reader.text().map(str::to_owned)).collect::<Option<_>>()?;
            self.groups.push(Group { cluster, replicas });
        }
        self.directory = BlockTable::read(&mut reader)?;
        self.labels = BlockTable::read(&mut reader)?;
        self.ids = BlockTable::read(&mut reader)?;
        for _ in 0..reader.count()? {
            let name = reader.text()?.into();
            let blocks = BlockTable::read(&mut reader)?;
            let firsts = (0..blocks.len()).map(|_| reader.text().map(Box::from)).collect::<Option<_>>()?;
            self.names.push(NameTable { name, blocks, firsts });
        }
        let blocks = (self.meta.series as usize).div_ceil(BLOCK_SERIES);
        let whole = self.directory.len() == blocks && self.labels.len() == blocks && self.ids.len() == 1;
        (whole && reader.is_empty()).then_some(())
    }

    pub(crate) fn number(&self) -> u64 {
        self.meta.number
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Size on disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The HA groups as they were when the part was written.
    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The times that its rows lie between.
    pub(crate) fn range(&self) -> TimeRange {
        TimeRange::new(self.meta.first, self.meta.last).expect("checked at open")
    }

    /// The series at `ordinals`, in order, with their chunks.
    pub(crate) fn find(&self, ordinals: &RoaringBitmap) -> Result<SeriesChunks, StoreError> {
        let mut found = Vec::with_capacity(ordinals.len() as usize);
        let mut block: Option<(usize, SeriesChunks)> = None;
        for ordinal in ordinals {
            let (number, place) = (ordinal as usize / BLOCK_SERIES, ordinal as usize % BLOCK_SERIES);
            if block.as_ref().is_none_or(|(known, _)| *known != number) {
                block = Some((number, self.directory_block(number)?));
            }
            let entries = &mut block.as_mut().expect("read above").1;
            let entry = entries.get_mut(place).ok_or_else(|| self.corrupt(0, "an ordinal beyond its series"))?;
            found.push((entry.0, std::mem::take(&mut entry.1)));
        }
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
        let found = self.find(&RoaringBitmap::from_iter([by_id[place].1]))?;
        Ok(found.into_iter().flat_map(|(_, chunks)| chunks).collect())
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, series: &PartSeries) -> Result<Labels, StoreError> {
        let (number, place) = (series.ordinal as usize / BLOCK_SERIES, series.ordinal as usize % BLOCK_SERIES);
        let mut recent = self.recent_labels.lock();
        let block = match recent.as_ref().filter(|(known, _)| *known == number) {
            Some((_, block)) => block.clone(),
            None => {
                let block = Arc::new(self.label_block(number)?);
                *recent = Some((number, block.clone()));
                block
            }
        };
        block.get(place).cloned().ok_or_else(|| self.corrupt(0, "a series without labels"))
    }

    /// Appends the rows of a chunk to `into`.
    pub(crate) fn read_chunk(&self, chunk: &ChunkRef, into: &mut Column) -> Result<(), StoreError> {
        let block = read_block(&self.file, &self.path, self.bytes, chunk.offset, u64::from(chunk.bytes))?;
        rows::decode(&block, into).map_err(|error| self.corrupt(chunk.offset, &error.to_string()))
    }

    /// What the part consists of, in the order of the file.
    pub(crate) fn describe(&self) -> Vec<Kind> {
        let kind = |name: &str, table: &BlockTable| Kind {
            name: name.to_owned(),
            blocks: table.len() as u64,
            bytes: table.edges.last().zip(table.edges.first()).map_or(0, |(end, start)| end - start),
        };
        let chunks = self.directory.edges[0] - HEADER_BYTES as u64;
        let mut kinds = vec![
            Kind { name: "chunks".into(), blocks: 0, bytes: chunks },
            kind("directory", &self.directory),
            kind("labels", &self.labels),
            kind("ids", &self.ids),
        ];
        kinds.extend(self.names.iter().map(|table| kind(&format!("postings of {}", table.name), &table.blocks)));
        kinds
    }

    /// What is damaged in ids and postings.
    pub(super) fn verify_index(&self) -> Vec<StoreError> {
        let mut found = Vec::new();
        found.extend(self.read_ids().err());
        for table in &self.names {
            let mut beyond = false;
            let walked = self.walk_values(&table.name, "", &mut |_, ordinals| {
                beyond |= ordinals().and_then(|ordinals| ordinals.max()).is_some_and(|max| max >= self.meta.series);
                true
            });
            found.extend(walked.err());
            if beyond {
                found.push(self.corrupt(table.blocks.edges[0], "postings of more series than there are"));
            }
        }
        found
    }

    pub(super) fn corrupt(&self, offset: u64, found: &str) -> StoreError {
        StoreError::Corrupt { file: self.path.clone(), offset, found: found.into() }
    }

    fn block(&self, table: &BlockTable, number: usize) -> Result<Vec<u8>, StoreError> {
        match table.edges.get(number..number + 2) {
            Some(edges) => read_block(&self.file, &self.path, self.bytes, edges[0], edges[1] - edges[0]),
            None => Err(self.corrupt(0, "a block beyond its table")),
        }
    }

    pub(super) fn directory_block(&self, number: usize) -> Result<SeriesChunks, StoreError> {
        let block = self.block(&self.directory, number)?;
        let first = (number * BLOCK_SERIES) as u32;
        read_directory(&block, first).ok_or_else(|| self.corrupt(self.directory.edges[number], "a broken directory"))
    }

    pub(super) fn label_block(&self, number: usize) -> Result<Vec<Labels>, StoreError> {
        let block = self.block(&self.labels, number)?;
        let broken = || self.corrupt(self.labels.edges[number], "broken labels");
        let mut reader = Reader::new(&block);
        let plain_bytes = reader.usize().filter(|bytes| *bytes <= LABEL_BLOCK_BYTES_MAX).ok_or_else(broken)?;
        let squeezed = reader.take(reader.remaining()).ok_or_else(broken)?;
        let plain = zstd::bulk::decompress(squeezed, plain_bytes).map_err(|_| broken())?;
        let (mut reader, mut packed, mut labels) = (Reader::new(&plain), Vec::new(), Vec::new());
        while !reader.is_empty() {
            read_shared(&mut reader, &mut packed).ok_or_else(broken)?;
            let text = std::str::from_utf8(&packed).map_err(|_| broken())?;
            labels.push(Labels::from_packed(text).ok_or_else(broken)?);
        }
        Ok(labels)
    }

    fn read_ids(&self) -> Result<Vec<(u32, u32)>, StoreError> {
        let block = self.block(&self.ids, 0)?;
        let (mut reader, mut ids, mut last) = (Reader::new(&block), Vec::new(), 0_u32);
        while !reader.is_empty() {
            let pair = (|| {
                last = last.checked_add(reader.u32()?)?;
                Some((last, reader.u32()?))
            })();
            ids.push(pair.ok_or_else(|| self.corrupt(self.ids.edges[0], "broken ids"))?);
        }
        Ok(ids)
    }

    /// Goes through the values of one label, from the block where `from` would stand; `each` says whether to go on.
    fn walk_values(&self, name: &str, from: &str, each: &mut EachValue<'_>) -> Result<(), StoreError> {
        let Ok(place) = self.names.binary_search_by(|table| (*table.name).cmp(name)) else { return Ok(()) };
        let table = &self.names[place];
        let first = table.firsts.partition_point(|first| **first <= *from).saturating_sub(1);
        for number in first..table.blocks.len() {
            let block = self.block(&table.blocks, number)?;
            let broken = || self.corrupt(table.blocks.edges[number], "broken postings");
            let (mut reader, mut value) = (Reader::new(&block), Vec::new());
            while !reader.is_empty() {
                read_shared(&mut reader, &mut value).ok_or_else(broken)?;
                let value = std::str::from_utf8(&value).map_err(|_| broken())?;
                let list = ordinals_bytes(&mut reader).ok_or_else(broken)?;
                let mut bad = false;
                let go_on = each(value, &mut || {
                    let ordinals = read_ordinals(list.clone());
                    bad = ordinals.is_none();
                    ordinals
                });
                if bad {
                    return Err(broken());
                }
                if !go_on {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl Postings for Part {
    fn all(&self) -> Result<RoaringBitmap, StoreError> {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.meta.series);
        Ok(all)
    }

    fn with_value(&self, name: &str, value: &str) -> Result<RoaringBitmap, StoreError> {
        let mut found = RoaringBitmap::new();
        self.walk_values(name, value, &mut |known, ordinals| {
            if known == value
                && let Some(ordinals) = ordinals()
            {
                found = ordinals;
            }
            known < value
        })?;
        Ok(found)
    }

    fn with_values(&self, name: &str, passes: &dyn Fn(&str) -> bool) -> Result<RoaringBitmap, StoreError> {
        let mut found = RoaringBitmap::new();
        self.walk_values(name, "", &mut |value, ordinals| {
            if passes(value)
                && let Some(ordinals) = ordinals()
            {
                found |= ordinals;
            }
            true
        })?;
        Ok(found)
    }
}

/// Reads a block of a file that is `end` bytes long, and checks what is behind it.
fn read_block(file: &File, path: &Path, end: u64, offset: u64, bytes: u64) -> Result<Vec<u8>, StoreError> {
    let corrupt = |found: &str| StoreError::Corrupt { file: path.to_path_buf(), offset, found: found.into() };
    let length = usize::try_from(bytes).ok().filter(|bytes| (CRC_BYTES..=1 << 32).contains(bytes));
    let length = length.ok_or_else(|| corrupt("a block of impossible length"))?;
    if offset.checked_add(bytes).is_none_or(|block_end| block_end > end) {
        return Err(corrupt("a block beyond the end of the file"));
    }
    let mut block = vec![0; length];
    file.read_exact_at(&mut block, offset).map_err(StoreError::io("read part"))?;
    let crc = block.split_off(length - CRC_BYTES);
    if crc32c::crc32c(&block).to_le_bytes() == *crc { Ok(block) } else { Err(corrupt("a wrong checksum")) }
}

fn read_directory(block: &[u8], first_ordinal: u32) -> Option<SeriesChunks> {
    let (mut reader, mut entries) = (Reader::new(block), Vec::with_capacity(BLOCK_SERIES));
    let (mut id, mut time, mut next_chunk) = (0_i64, 0_i64, 0_u64);
    while !reader.is_empty() {
        id = id.checked_add(reader.i64()?)?;
        let ordinal = first_ordinal + entries.len() as u32;
        let series = PartSeries { id: u32::try_from(id).ok()?, group: reader.u32()?, ordinal };
        let mut chunks = Vec::new();
        for _ in 0..reader.count()? {
            let lane = Lane(reader.u8()?);
            let first = time.wrapping_add(reader.i64()?);
            let last = first.wrapping_add(reader.u64()? as i64);
            let rows = reader.u32()?;
            let offset = next_chunk.checked_add(reader.u64()?)?;
            let bytes = reader.u32()?;
            (time, next_chunk) = (last, offset.checked_add(u64::from(bytes))?);
            let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
            TimeRange::new(first, last)?;
            chunks.push(ChunkRef { lane, first, last, rows, offset, bytes });
        }
        entries.push((series, chunks));
    }
    Some(entries)
}

/// Replaces `text` by the next one, which shares its beginning.
fn read_shared(reader: &mut Reader<'_>, text: &mut Vec<u8>) -> Option<()> {
    let shared = reader.usize().filter(|shared| *shared <= text.len())?;
    text.truncate(shared);
    text.extend_from_slice(reader.bytes()?);
    Some(())
}

/// A set of ordinals, not yet decoded.
#[derive(Clone)]
struct OrdinalsBytes<'a> {
    count: u64,
    bitmap: Option<&'a [u8]>,
    list: Reader<'a>,
}

fn ordinals_bytes<'a>(reader: &mut Reader<'a>) -> Option<OrdinalsBytes<'a>> {
    let head = reader.u64()?;
    let (count, list) = (head >> 1, reader.clone());
    if head & 1 == 1 {
        return Some(OrdinalsBytes { count, bitmap: Some(reader.bytes()?), list });
    }
    for _ in 0..count {
        reader.u64()?;
    }
    Some(OrdinalsBytes { count, bitmap: None, list })
}

fn read_ordinals(bytes: OrdinalsBytes<'_>) -> Option<RoaringBitmap> {
    if let Some(bitmap) = bytes.bitmap {
        return RoaringBitmap::deserialize_from(bitmap).ok().filter(|bitmap| bitmap.len() == bytes.count);
    }
    let (mut reader, mut ordinals, mut last) = (bytes.list, RoaringBitmap::new(), 0_u32);
    for _ in 0..bytes.count {
        last = last.checked_add(reader.u32()?)?;
        ordinals.insert(last);
    }
    Some(ordinals)
}
