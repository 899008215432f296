//! One file of the log: its header, and how it is read after a crash.

use std::fs;
use std::path::{Path, PathBuf};

use crate::store::StoreError;

use super::super::bytes::Reader;
use super::record;

const MAGIC: [u8; 8] = *b"WEIRLOG\n";
/// The version that this program writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;
/// Magic, version, shard, segment number, checksum, reserve.
pub(crate) const HEADER_BYTES: usize = 32;

/// The file of a segment.
pub(crate) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016x}.log"))
}

/// The segments inside `directory`, by number.
pub(crate) fn list(directory: &Path) -> std::io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| u64::from_str_radix(number, 16).ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The first bytes of a segment.
pub(crate) fn header(number: u64) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    // Bytes 12..16: the shard, 0 as long as the log has one.
    header[16..24].copy_from_slice(&number.to_le_bytes());
    let crc = crc32c::crc32c(&header[..24]);
    header[24..28].copy_from_slice(&crc.to_le_bytes());
    header
}

/// A stretch of a segment that holds no good record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The first bad byte.
    pub(crate) offset: u64,
    /// How many bytes were passed over.
    pub(crate) bytes: u64,
    /// Whether good records follow. If none do, this is where writing was cut short.
    pub(crate) inside: bool,
}

/// Gives every good record's payload of a segment to `each`, in order, and tells what was damaged.
///
/// # Errors
/// Where a newer program wrote the segment. Damage is no error.
pub(crate) fn read<'b>(
    file: &Path,
    bytes: &'b [u8],
    mut each: impl FnMut(u64, &'b [u8]),
) -> Result<Vec<Damage>, StoreError> {
    let mut damages = Vec::new();
    let mut at = HEADER_BYTES.min(bytes.len());
    // Behind this there is nothing but room that was made ahead. A good record may reach into it with zeros of its own.
    let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    match read_header(bytes) {
        Some(version) if version > VERSION => {
            return Err(StoreError::Corrupt {
                file: file.to_path_buf(),
                offset: 8,
                found: format!("log format {version}, and this program reads up to {VERSION}"),
            });
        }
        Some(_) => {}
        None if written > HEADER_BYTES => {
            damages.push(Damage { offset: 0, bytes: HEADER_BYTES as u64, inside: true });
        }
        None => {
            damages.push(Damage { offset: 0, bytes: bytes.len() as u64, inside: false });
            return Ok(damages);
        }
    }
    while at < written {
        if let Some(payload) = record::payload(&bytes[at..]) {
            each(at as u64, payload);
            at += record::FRAME_BYTES + payload.len();
            continue;
        }
        let next = next_record(bytes, at + 1);
        let end = next.unwrap_or(written);
        damages.push(Damage { offset: at as u64, bytes: (end - at) as u64, inside: next.is_some() });
        at = end;
    }
    Ok(damages)
}

/// The version in a good header.
fn read_header(bytes: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(bytes.get(..HEADER_BYTES)?);
    if reader.take(8)? != MAGIC {
        return None;
    }
    let version = reader.u32_fixed()?;
    reader.take(12)?;
    (reader.u32_fixed()? == crc32c::crc32c(&bytes[..24])).then_some(version)
}

fn next_record(bytes: &[u8], from: usize) -> Option<usize> {
    let candidates = bytes[from.min(bytes.len())..].windows(record::MARK.len()).enumerate();
    let mut candidates = candidates.filter(|(_, window)| *window == record::MARK).map(|(place, _)| from + place);
    candidates.find(|place| record::payload(&bytes[*place..]).is_some())
}
