//! Reads TSDB blocks as Prometheus writes them: the history of a server, to be taken over.
//!
//! ```text
//! 01HQ.../meta.json     which stretch of time
//!         index         symbols, and each series with its labels and where its chunks stand
//!         chunks/000001 samples: XOR floats, integer and float histograms
//!         tombstones    what was deleted and is not gone yet
//! ```
//!
//! Formats: prometheus/tsdb/docs/format/. Every byte is held against its checksum and its bounds before it is believed:
//! a damaged chunk or series is told and costs itself, never its neighbours and never a panic. Nothing is written here,
//! and nothing is known of stores: a block is a list of series ([`Block::entries`]), each read on its own
//! ([`Block::read`]).
//!
//! Read next: [`Block`], then `index`, `chunk`.

mod bits;
mod bytes;
mod chunk;
mod error;
mod index;
mod segment;
mod tombstones;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::model::{Column, Labels, TimeRange, Timestamp};

use index::{ChunkMeta, Index};
use segment::Segments;
use tombstones::Tombstones;

pub use error::BlockError;

/// An open block.
#[derive(Debug)]
pub struct Block {
    /// Its name: a ULID.
    pub name: String,
    /// From its first sample to its last.
    pub range: TimeRange,
    /// Samples, as its meta.json counts them.
    pub samples: u64,
    index: Index,
    segments: Segments,
    tombstones: Tombstones,
}

/// A series of a block.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its labels.
    pub labels: Labels,
    /// Its place in the index, which tombstones name.
    reference: u64,
    chunks: Vec<ChunkMeta>,
}

impl Block {
    /// Opens the block in a directory.
    ///
    /// # Errors
    /// Where the directory holds no block, a newer format, or an index that cannot be read at all.
    pub fn open(directory: &Path) -> Result<Block, BlockError> {
        let meta = directory.join("meta.json");
        let text = std::fs::read(&meta).map_err(|error| BlockError::io(&meta, error))?;
        let wrong = |what: &str| BlockError::damage(&meta, 0, what);
        let json: Value = serde_json::from_slice(&text).map_err(|_| wrong("not the JSON of a block"))?;
        let version = json["version"].as_u64().unwrap_or(0);
        if version != 1 {
            return Err(BlockError::Newer { file: meta, version });
        }
        let time = |field: &str| json[field].as_i64().map(Timestamp::from_millis);
        let (min, max) = time("minTime").zip(time("maxTime")).ok_or_else(|| wrong("without minTime and maxTime"))?;
        // Prometheus' end is the first instant that is not in the block.
        let last = Timestamp::from_millis(max.as_millis().saturating_sub(1));
        let range = TimeRange::new(min, last.max(min)).ok_or_else(|| wrong("it ends before it begins"))?;
        Ok(Block {
            name: directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            range,
            samples: json["stats"]["numSamples"].as_u64().unwrap_or(0),
            index: Index::open(&directory.join("index"))?,
            segments: Segments::open(&directory.join("chunks"))?,
            tombstones: Tombstones::open(&directory.join("tombstones"))?,
        })
    }

    /// Every series, in the order of the index. A damaged one is told in its place.
    pub fn entries(&self) -> impl Iterator<Item = Result<Entry, BlockError>> + '_ {
        self.index.entries()
    }

    /// Reads the samples of a series inside `range`, without what was deleted. Of a chunk that is damaged, what stands
    /// before the damage is kept, and the damage told to `report`.
    pub fn read(&self, entry: &Entry, range: TimeRange, into: &mut Column, report: &mut dyn FnMut(BlockError)) {
        into.clear();
        let mut buffer = Vec::new();
        let deleted = self.tombstones.of(entry.reference);
        for meta in entry.chunks.iter().filter(|chunk| chunk.overlaps(range)) {
            let mut rows = Column::default();
            let read = self.segments.read(meta.reference, &mut buffer).and_then(|(encoding, place)| {
                chunk::decode(encoding, &buffer, &mut rows).map_err(|what| place.damage(what))
            });
            if let Err(error) = read {
                report(error);
            }
            let is_wanted = |at: Timestamp| range.contains(at) && !deleted.iter().any(|gone| gone.contains(at));
            append(into, &rows, is_wanted);
        }
    }
}

/// Adds rows that are wanted and lie behind what is there: chunks of a block do not overlap.
fn append(into: &mut Column, rows: &Column, is_wanted: impl Fn(Timestamp) -> bool) {
    let mut histograms = rows.histograms.iter().peekable();
    for (row, at) in rows.at.iter().enumerate() {
        let histogram = histograms.next_if(|(place, _)| *place == row);
        if !is_wanted(*at) || into.at.last().is_some_and(|last| last >= at) {
            continue;
        }
        match histogram {
            Some((_, histogram)) => into.push_histogram(*at, histogram.clone()),
            None => into.push(crate::model::Sample { at: *at, value: rows.values[row] }),
        }
    }
}

/// The blocks in a directory, by time: the directory itself, where it is one, else those below it (a server's data
/// directory, a snapshot). What is half written or half deleted is left out.
///
/// # Errors
/// Where the directory cannot be read.
pub fn find(directory: &Path) -> Result<Vec<PathBuf>, BlockError> {
    if directory.join("meta.json").is_file() {
        return Ok(vec![directory.to_owned()]);
    }
    let io = |error| BlockError::io(directory, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.contains(".tmp-") && path.join("meta.json").is_file() && path.join("index").is_file() {
            found.push(path);
        }
    }
    // ULIDs rise with the time at which blocks were written.
    found.sort();
    Ok(found)
}
