//! The index of a block: symbols, and series with their chunks. Versions 1 and 2.
//!
//! It is held whole, and its postings are not looked at: whoever takes a block over wants all of it. A series stands at a
//! multiple of 16 bytes with its length in front and a checksum behind, so that one that is damaged can be stepped over.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::model::{LabelsBuilder, TimeRange};

use super::bytes::{Bytes, checksum};
use super::{BlockError, Entry};

const MAGIC: u32 = 0xBAAA_D700;
/// The table of contents at the end: six offsets and a checksum.
const CONTENTS_BYTES: usize = 6 * 8 + 4;
/// Series stand at multiples of this.
const SERIES_ALIGN: usize = 16;

#[derive(Debug)]
pub(super) struct Index {
    file: PathBuf,
    bytes: Vec<u8>,
    symbols: Symbols,
    series: Range<usize>,
}

/// Texts by what the series call them.
#[derive(Debug)]
enum Symbols {
    /// Version 1: by where they stand in the file.
    ByOffset(HashMap<u64, Range<usize>>),
    /// Version 2: by their number.
    ByNumber(Vec<Range<usize>>),
}

/// A chunk of a series.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkMeta {
    min: i64,
    max: i64,
    /// Which file, and where in it.
    pub(super) reference: u64,
}

impl ChunkMeta {
    pub(super) fn overlaps(&self, range: TimeRange) -> bool {
        self.min <= range.end().as_millis() && range.start().as_millis() <= self.max
    }
}

impl Index {
    pub(super) fn open(file: &Path) -> Result<Index, BlockError> {
        let bytes = std::fs::read(file).map_err(|error| BlockError::io(file, error))?;
        let wrong = |offset: usize, what: &str| BlockError::damage(file, offset as u64, what);
        let mut head = Bytes(&bytes);
        let version = match (head.u32(), head.u8()) {
            (Some(MAGIC), Some(version @ 1..=2)) => version,
            (Some(MAGIC), Some(version)) => {
                return Err(BlockError::Newer { file: file.to_owned(), version: version.into() });
            }
            _ => return Err(wrong(0, "no index")),
        };
        let at = bytes.len().checked_sub(CONTENTS_BYTES).ok_or_else(|| wrong(0, "an index without contents"))?;
        let mut contents = Bytes(&bytes[at..]);
        if checksum(&bytes[at..at + 48]).to_be_bytes() != bytes[at + 48..] {
            return Err(wrong(at, "a table of contents with a wrong checksum"));
        }
        let mut offset = || contents.u64().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(usize::MAX);
        let [symbols, series, others @ ..]: [usize; 6] = std::array::from_fn(|_| offset());
        // Series go on up to whatever follows.
        let end = others.into_iter().filter(|other| *other > series).min().unwrap_or(at).min(at);
        if symbols >= at || series > end {
            return Err(wrong(at, "a table of contents that points outside the file"));
        }
        let symbols = read_symbols(&bytes[..at], symbols, version).ok_or_else(|| wrong(symbols, "damaged symbols"))?;
        Ok(Index { file: file.to_owned(), symbols, series: series..end, bytes })
    }

    /// Every series; a damaged one as what is wrong with it.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Entry, BlockError>> + '_ {
        let mut at = self.series.start;
        std::iter::from_fn(move || {
            at = at.next_multiple_of(SERIES_ALIGN);
            let mut rest = Bytes(self.bytes.get(at..self.series.end).filter(|rest| !rest.is_empty())?);
            let (began, whole) = (at, rest.0.len());
            let damage = |what: &str| BlockError::damage(&self.file, began as u64, what);
            let content = rest.uvarint().and_then(|length| rest.take(usize::try_from(length).ok()?));
            let (Some(content), Some(sum)) = (content, rest.u32()) else {
                // Where the next one begins, nobody knows.
                at = self.series.end;
                return Some(Err(damage("a series that is longer than what follows")));
            };
            at += whole - rest.0.len();
            if checksum(content) != sum {
                return Some(Err(damage("a series with a wrong checksum")));
            }
            let reference = match self.symbols {
                Symbols::ByOffset(_) => began,
                Symbols::ByNumber(_) => began / SERIES_ALIGN,
            };
            Some(self.entry(content, reference as u64).ok_or_else(|| damage("a series that makes no sense")))
        })
    }

    fn entry(&self, content: &[u8], reference: u64) -> Option<Entry> {
        let mut bytes = Bytes(content);
        let mut labels = LabelsBuilder::default();
        for _ in 0..bytes.uvarint()? {
            let (name, value) = (self.symbol(bytes.uvarint()?)?, self.symbol(bytes.uvarint()?)?);
            labels.push(name, value);
        }
        let mut chunks: Vec<ChunkMeta> = Vec::new();
        for number in 0..bytes.uvarint()? {
            let chunk = match chunks.last() {
                None if number == 0 => {
                    let min = bytes.varint()?;
                    let max = min.checked_add(i64::try_from(bytes.uvarint()?).ok()?)?;
                    ChunkMeta { min, max, reference: bytes.uvarint()? }
                }
                last => {
                    let last = last?;
                    let min = last.max.checked_add(i64::try_from(bytes.uvarint()?).ok()?)?;
                    let max = min.checked_add(i64::try_from(bytes.uvarint()?).ok()?)?;
                    ChunkMeta { min, max, reference: last.reference.checked_add_signed(bytes.varint()?)? }
                }
            };
            chunks.push(chunk);
        }
        Some(Entry { labels: labels.build().ok()?, reference, chunks })
    }

    fn symbol(&self, reference: u64) -> Option<&str> {
        let place = match &self.symbols {
            Symbols::ByOffset(places) => places.get(&reference)?,
            Symbols::ByNumber(places) => places.get(usize::try_from(reference).ok()?)?,
        };
        std::str::from_utf8(&self.bytes[place.clone()]).ok()
    }
}

/// Length, count, then each text with its length in front, then a checksum.
fn read_symbols(bytes: &[u8], at: usize, version: u8) -> Option<Symbols> {
    let mut table = Bytes(bytes.get(at..)?);
    let length = table.u32()? as usize;
    let content = table.take(length)?;
    if checksum(content) != table.u32()? {
        return None;
    }
    let mut rest = Bytes(content);
    let count = rest.u32()? as usize;
    let mut places = Vec::with_capacity(count.min(content.len()));
    let mut by_offset = HashMap::new();
    for _ in 0..count {
        let offset = at + 4 + content.len() - rest.0.len();
        let length = usize::try_from(rest.uvarint()?).ok()?;
        let begins = at + 4 + content.len() - rest.0.len();
        rest.take(length)?;
        match version {
            1 => drop(by_offset.insert(offset as u64, begins..begins + length)),
            _ => places.push(begins..begins + length),
        }
    }
    Some(if version == 1 { Symbols::ByOffset(by_offset) } else { Symbols::ByNumber(places) })
}
