//! The files with chunks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::BlockError;
use super::bytes::{Bytes, checksum};

/// What a file of chunks begins with: a magic number, a version, and padding.
const MAGIC: u32 = 0x85BD_40DD;
const VERSION: u8 = 1;
/// What is read at once: most chunks are smaller.
const READ_BYTES: usize = 4096;
/// Prometheus cuts chunks at a thousandth of this, or at 120 samples.
const CHUNK_BYTES_MAX: usize = 16 << 20;

/// The files with chunks of a block, by number.
#[derive(Debug)]
pub(super) struct Segments(Vec<(PathBuf, File)>);

/// Where a chunk stands.
pub(super) struct Place<'s> {
    file: &'s Path,
    offset: u64,
}

impl Place<'_> {
    pub(super) fn damage(&self, found: impl Into<String>) -> BlockError {
        BlockError::damage(self.file, self.offset, found)
    }
}

impl Segments {
    pub(super) fn open(directory: &Path) -> Result<Segments, BlockError> {
        let mut files = Vec::new();
        for number in 1_u32.. {
            let path = directory.join(format!("{number:06}"));
            match File::open(&path) {
                Ok(file) => {
                    check_head(&path, &file)?;
                    files.push((path, file));
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
                Err(error) => return Err(BlockError::io(&path, error)),
            }
        }
        Ok(Segments(files))
    }

    /// Reads the chunk that a reference of the index names into `buffer`, and tells its encoding.
    pub(super) fn read(&self, reference: u64, buffer: &mut Vec<u8>) -> Result<(u8, Place<'_>), BlockError> {
        let (number, offset) = ((reference >> 32) as usize, reference & 0xffff_ffff);
        let Some((path, file)) = self.0.get(number) else {
            let first = self.0.first().map_or(Path::new("chunks"), |(path, _)| path);
            return Err(BlockError::damage(
                first,
                offset,
                format!("a chunk in file {}, which is not there", number + 1),
            ));
        };
        let place = Place { file: path, offset };
        buffer.resize(READ_BYTES, 0);
        let had = read_some(file, buffer, offset).map_err(|error| BlockError::io(path, error))?;
        let mut head = Bytes(&buffer[..had]);
        let broken = || place.damage("no chunk begins here");
        let length = head.uvarint().and_then(|length| usize::try_from(length).ok()).ok_or_else(broken)?;
        let begins = had - head.0.len();
        if length > CHUNK_BYTES_MAX {
            return Err(place.damage(format!("a chunk of {length} bytes")));
        }
        // Encoding, data, checksum.
        let wanted = begins + 1 + length + 4;
        if wanted > had {
            buffer.resize(wanted, 0);
            let rest = read_some(file, &mut buffer[had..], offset + had as u64);
            if had + rest.map_err(|error| BlockError::io(path, error))? < wanted {
                return Err(place.damage("the file ends inside a chunk"));
            }
        }
        let (content, sum) = buffer[begins..wanted].split_at(1 + length);
        if checksum(content).to_be_bytes() != sum {
            return Err(place.damage("a chunk with a wrong checksum"));
        }
        let encoding = content[0];
        buffer.truncate(wanted - 4);
        buffer.drain(..=begins);
        Ok((encoding, place))
    }
}

fn check_head(path: &Path, file: &File) -> Result<(), BlockError> {
    let mut head = [0; 8];
    let had = read_some(file, &mut head, 0).map_err(|error| BlockError::io(path, error))?;
    let mut bytes = Bytes(&head[..had]);
    match (bytes.u32(), bytes.u8()) {
        (Some(MAGIC), Some(VERSION)) => Ok(()),
        (Some(MAGIC), Some(version)) => Err(BlockError::Newer { file: path.to_owned(), version: version.into() }),
        _ => Err(BlockError::damage(path, 0, "no file of chunks")),
    }
}

/// Reads as many bytes as there are, up to the buffer's length.
fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut had = 0;
    while had < buffer.len() {
        match file.read_at(&mut buffer[had..], offset + had as u64) {
            Ok(0) => break,
            Ok(more) => had += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(had)
}
