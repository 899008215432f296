//! Bodies decompressed into memory whose size is known beforehand.

use std::borrow::Cow;
use std::io::Read;

use super::super::IngestError;
use super::super::format::{Compression, WriteVersion};
use super::{WireError, snappy};

/// The most that a snappy block can grow: its densest element makes 64 bytes of 3.
const SNAPPY_RATIO_MAX: usize = 22;

/// The largest zstd window that is taken memory for, as a power of two: 8 MiB, what the format asks of every reader.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A body, and how it was really compressed.
pub(in crate::ingest) struct Body<'a> {
    bytes: &'a [u8],
    compression: Compression,
    decoded_bytes: usize,
}

impl<'a> Body<'a> {
    /// Reads what the body says of its own size, and refuses what cannot be or is too much.
    pub(in crate::ingest) fn inspect(
        bytes: &'a [u8],
        declared: Compression,
        version: WriteVersion,
        decoded_bytes_max: usize,
    ) -> Result<Self, WireError> {
        if bytes.is_empty() {
            return Err(WireError::Empty);
        }
        let compression = match declared {
            Compression::Undeclared if looks_plain(bytes, version) && !is_snappy(bytes) => Compression::Identity,
            Compression::Undeclared => Compression::Snappy,
            declared => declared,
        };
        let decoded_bytes = match compression {
            Compression::Snappy => snap::raw::decompress_len(bytes)?,
            // The size that gzip tells stands at its end, and counts to 4 GiB only.
            Compression::Gzip => decoded_bytes_max,
            // Where a frame does not tell its size, the most that it may have.
            Compression::Zstd => match zstd::zstd_safe::get_frame_content_size(bytes) {
                Ok(Some(size)) => usize::try_from(size).unwrap_or(usize::MAX),
                _ => decoded_bytes_max,
            },
            Compression::Identity | Compression::Undeclared => bytes.len(),
        };
        if decoded_bytes > decoded_bytes_max {
            return Err(WireError::DecodedTooLarge { limit: decoded_bytes_max });
        }
        if compression == Compression::Snappy && decoded_bytes > bytes.len().saturating_mul(SNAPPY_RATIO_MAX) {
            return Err(WireError::SnappyLie { compressed: bytes.len(), claimed: decoded_bytes });
        }
        Ok(Body { bytes, compression, decoded_bytes })
    }

    /// The memory that decompressing will take at most, in bytes.
    pub(in crate::ingest) fn memory_bytes(&self) -> usize {
        match self.compression {
            Compression::Snappy => snappy::buffer_bytes(self.bytes.len(), self.decoded_bytes),
            _ => self.decoded_bytes,
        }
    }

    /// The decompressed body; `buffer` is memory to use, its content does not matter.
    pub(in crate::ingest) fn decompress<'b>(
        &self,
        buffer: &'b mut Vec<u8>,
        decoded_bytes_max: usize,
    ) -> Result<&'b [u8], WireError>
    where
        'a: 'b,
    {
        match self.compression {
            Compression::Snappy => {
                if let Some(length) = snappy::decompress(self.bytes, buffer) {
                    return Ok(&buffer[..length]);
                }
                // The library knows what is wrong with it.
                let length = snap::raw::Decoder::new().decompress(self.bytes, buffer)?;
                Ok(&buffer[..length])
            }
            Compression::Zstd => {
                buffer.clear();
                let mut decoder = zstd::stream::read::Decoder::with_buffer(self.bytes).map_err(WireError::Zstd)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(WireError::Zstd)?;
                let limit = u64::try_from(decoded_bytes_max).unwrap_or(u64::MAX - 1);
                decoder.take(limit + 1).read_to_end(buffer).map_err(WireError::Zstd)?;
                match buffer.len() > decoded_bytes_max {
                    true => Err(WireError::DecodedTooLarge { limit: decoded_bytes_max }),
                    false => Ok(buffer),
                }
            }
            Compression::Gzip => {
                read_bounded(
                    flate2::read::MultiGzDecoder::new(self.bytes),
                    buffer,
                    decoded_bytes_max,
                    WireError::Gzip,
                )?;
                Ok(buffer)
            }
            Compression::Identity | Compression::Undeclared => Ok(self.bytes),
        }
    }
}

/// Reads all that comes out, up to the limit.
fn read_bounded(
    from: impl Read,
    into: &mut Vec<u8>,
    bytes_max: usize,
    error: impl Fn(std::io::Error) -> WireError,
) -> Result<(), WireError> {
    into.clear();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX - 1);
    from.take(limit + 1).read_to_end(into).map_err(error)?;
    match into.len() > bytes_max {
        true => Err(WireError::DecodedTooLarge { limit: bytes_max }),
        false => Ok(()),
    }
}

/// A body of whatever encoding the other protocols come in.
///
/// # Errors
/// Where the encoding is unknown, the body is not of it, or is larger than the limit once decompressed.
pub(in crate::ingest) fn decompress<'a>(
    bytes: &'a [u8],
    encoding: Option<&str>,
    bytes_max: usize,
) -> Result<Cow<'a, [u8]>, IngestError> {
    let mut buffer = Vec::new();
    match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(Cow::Borrowed(bytes)),
        "gzip" | "x-gzip" => {
            read_bounded(flate2::read::MultiGzDecoder::new(bytes), &mut buffer, bytes_max, WireError::Gzip)?;
        }
        "deflate" => read_bounded(flate2::read::ZlibDecoder::new(bytes), &mut buffer, bytes_max, WireError::Gzip)?,
        "zstd" => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(WireError::Zstd)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(WireError::Zstd)?;
            read_bounded(decoder, &mut buffer, bytes_max, WireError::Zstd)?;
        }
        "snappy" => {
            let length = snap::raw::decompress_len(bytes).map_err(WireError::Snappy)?;
            if length > bytes_max || length > bytes.len().saturating_mul(SNAPPY_RATIO_MAX) {
                return Err(WireError::DecodedTooLarge { limit: bytes_max }.into());
            }
            buffer = snap::raw::Decoder::new().decompress_vec(bytes).map_err(WireError::Snappy)?;
        }
        other => {
            return Err(IngestError::Unsupported(format!(
                "unsupported content encoding {other:?}; gzip, deflate, zstd, snappy and identity are spoken here"
            )));
        }
    }
    Ok(Cow::Owned(buffer))
}

/// Whether the first byte is the tag that such a message begins with.
fn looks_plain(bytes: &[u8], version: WriteVersion) -> bool {
    let tags = match version {
        WriteVersion::V1 => [0x0a, 0x1a],
        WriteVersion::V2 => [0x22, 0x2a],
    };
    tags.contains(&bytes[0])
}

/// Whether all of it reads as a snappy block. Only asked of small change: bodies without a header that begin like a
/// plain message, which as snappy would be at most 42 bytes long.
fn is_snappy(bytes: &[u8]) -> bool {
    let plausible = snap::raw::decompress_len(bytes).is_ok_and(|length| length < 64);
    plausible && snap::raw::Decoder::new().decompress_vec(bytes).is_ok()
}
