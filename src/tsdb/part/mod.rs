//! Parts: immutable files of samples, each of one UTC day.
//!
//! ```text
//! header | chunks ... | times | columns | directory | labels | postings | tables | footer
//! ```
//!
//! A part needs nothing beside itself: it holds its own labels, its own index and its own HA groups, so that a lost
//! catalogue can be made again from parts. Series stand in the order of their labels (metric name first), so that a
//! selector reads neighbouring chunks, and are numbered by it: an *ordinal* is a place inside one part.
//!
//! Chunks hold values; their times are *columns* that all series of a target share ([`columns`]). Chunks of neighbours
//! are gathered into *blocks* with a crc32c behind them, as everything else is, found by offset and length from a table
//! that is itself a block. A reader checks each block it reads and never trusts more. Only the tables and the heads of
//! columns stay in memory while a part is open; beside them, what was read a moment ago ([`kept`]).
//!
//! Not here: which rows belong into a part, and when (`maintain`, `merge`).
//!
//! Invariant: a file under its final name is complete and never changes; it counts once the manifest names it.
//!
//! Read next: [`write`](self::write), then [`read`] and [`directory`]; docs/format.md has every byte.

mod blocks;
mod kept;
mod columns;
mod directory;
mod labels;
mod postings;
mod write;
mod read;
mod verify;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::model::{Lane, TimeRange, Timestamp};

pub(crate) use columns::SharedTimes;
pub(crate) use kept::Kept;
pub(crate) use read::{OpenError, Part, PartSeries};
#[allow(unused_imports, reason = "`weir store verify` and `dump` print them")]
pub(crate) use verify::Kind;
pub(crate) use write::PartWriter;

const MAGIC: [u8; 8] = *b"WEIRPART";
const END_MAGIC: [u8; 8] = *b"WEIRPEND";
/// The version that this program writes, and the newest it reads.
const VERSION: u32 = 3;
/// Magic, version, reserve.
const HEADER_BYTES: usize = 16;
/// Offset and length of the tables, version, checksum, magic.
const FOOTER_BYTES: usize = 32;
/// A checksum behind each block.
const CRC_BYTES: usize = 4;
/// Series of one block of the directory, and of one block of labels.
const BLOCK_SERIES: usize = 128;
/// Bytes of a block of chunks after which it ends: one read for a few hundred constants, or a handful of busy series.
const CHUNK_BLOCK_BYTES: usize = 8 << 10;

/// Where a part stands on its way: each row is rewritten once a level at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Straight from the head.
    Spilled = 0,
    /// A few spills of a day that is still growing.
    Merged = 1,
    /// A whole day.
    Sealed = 2,
}

/// What a part says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) number: u64,
    /// The UTC day that all its rows fall on, counted from 1970-01-01.
    pub(crate) day: i64,
    pub(crate) level: Level,
    /// The parts whose rows it holds; they are gone, or should be.
    pub(crate) replaces: Vec<u64>,
    pub(crate) rows: u64,
    pub(crate) series: u32,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

/// Where a chunk is, and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    pub(crate) lane: Lane,
    /// What the encoded rows hold besides values.
    flags: u8,
    pub(crate) rows: u32,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    /// Of the encoded rows; where they stand alone, with the checksum.
    bytes: u32,
    place: Place,
    times: Times,
}

/// Where the bytes of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Among others in a block of chunks, so many bytes behind its beginning.
    InBlock { block: u32, from: u32 },
    /// A block of its own (format 1).
    Alone { offset: u64 },
}

/// Where the times of a chunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    /// With its values.
    Own,
    /// In a column, from a row on.
    Shared { column: u32, row: u32 },
}

impl ChunkRef {
    pub(crate) fn range(&self) -> TimeRange {
        TimeRange::new(self.first, self.last).expect("rows rise in time")
    }

    pub(crate) fn has_histograms(&self) -> bool {
        self.flags & super::rows::WITH_HISTOGRAMS != 0
    }

    /// The column, row and count that its times are, if they are shared: chunks of one part that agree in all three
    /// have the same times.
    pub(crate) fn shared_times(&self) -> Option<(u32, u32, u32)> {
        match self.times {
            Times::Shared { column, row } => Some((column, row, self.rows)),
            Times::Own => None,
        }
    }
}

/// Series with their chunks.
pub(crate) type SeriesChunks = Vec<(PartSeries, Vec<ChunkRef>)>;

/// The file of a part.
pub(crate) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016x}.part"))
}

/// The file of a part that is being written.
pub(crate) fn temporary_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016x}.tmp"))
}

/// Which part a file name stands for.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".part")?;
    u64::from_str_radix(name, 16).ok()
}
