//! What was deleted and still stands in the chunks.

use std::collections::HashMap;
use std::path::Path;

use crate::model::{TimeRange, Timestamp};

use super::BlockError;
use super::bytes::{Bytes, checksum};

const MAGIC: u32 = 0x0130_BA30;
const VERSION: u8 = 1;

/// Stretches of time that were deleted, by the series' place in the index.
#[derive(Debug, Default)]
pub(super) struct Tombstones(HashMap<u64, Vec<TimeRange>>);

impl Tombstones {
    /// No file is no tombstone.
    pub(super) fn open(file: &Path) -> Result<Tombstones, BlockError> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Tombstones::default()),
            Err(error) => return Err(BlockError::io(file, error)),
        };
        let wrong = |what: &str| BlockError::damage(file, 0, what);
        let mut head = Bytes(&bytes);
        match (head.u32(), head.u8()) {
            (Some(MAGIC), Some(VERSION)) => {}
            (Some(MAGIC), Some(version)) => {
                return Err(BlockError::Newer { file: file.to_owned(), version: version.into() });
            }
            _ => return Err(wrong("no tombstones")),
        }
        let (content, sum) = head.0.split_last_chunk::<4>().ok_or_else(|| wrong("tombstones that end too early"))?;
        if checksum(content).to_be_bytes() != *sum {
            return Err(wrong("tombstones with a wrong checksum"));
        }
        let (mut rest, mut all) = (Bytes(content), Tombstones::default());
        while !rest.0.is_empty() {
            all.add(&mut rest).ok_or_else(|| wrong("a tombstone that makes no sense"))?;
        }
        Ok(all)
    }

    fn add(&mut self, rest: &mut Bytes<'_>) -> Option<()> {
        let (series, min, max) = (rest.uvarint()?, rest.varint()?, rest.varint()?);
        let range = TimeRange::new(Timestamp::from_millis(min), Timestamp::from_millis(max))?;
        self.0.entry(series).or_default().push(range);
        Some(())
    }

    /// What was deleted of a series.
    pub(super) fn of(&self, series: u64) -> &[TimeRange] {
        self.0.get(&series).map_or(&[], Vec::as_slice)
    }
}
