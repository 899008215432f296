//! zstd frames without their first four bytes (always the same, so not stored), content size or checksum.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::CParameter;

use super::ChunkError;

/// Level for data that is written while it is hot.
pub(super) const HOT_LEVEL: i32 = 1;
/// Level for data that is rewritten once and read for years.
pub(super) const COLD_LEVEL: i32 = 3;

/// What every zstd frame begins with (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

thread_local! {
    // Working memory only: making a context costs more than compressing a chunk with it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends the frame of `data`; `false`, and nothing appended, if zstd could not (no memory).
pub(super) fn compress(data: &[u8], level: i32, out: &mut Vec<u8>) -> bool {
    COMPRESSOR.with_borrow_mut(|slot| {
        let frame = match slot {
            Some(compressor) => compressor.set_compression_level(level).and_then(|()| compressor.compress(data)),
            None => Compressor::new(level).and_then(|mut compressor| {
                compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
                compressor.set_parameter(CParameter::ChecksumFlag(false))?;
                slot.insert(compressor).compress(data)
            }),
        };
        match frame.as_deref().map(|frame| frame.strip_prefix(&MAGIC)) {
            Ok(Some(frame)) => out.extend_from_slice(frame),
            Ok(None) | Err(_) => return false,
        }
        true
    })
}

/// The data of a frame, which must be all of `frame` and hold at most `most` bytes.
pub(super) fn decompress(frame: &[u8], most: usize) -> Result<Vec<u8>, ChunkError> {
    decompress_frame(&[&MAGIC, frame].concat(), most)
}

/// The data of a zstd frame as it stands in a file, which must hold at most `most` bytes.
pub(crate) fn decompress_frame(frame: &[u8], most: usize) -> Result<Vec<u8>, ChunkError> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().map_err(ChunkError::Zstd)?),
        };
        decompressor.decompress(frame, most).map_err(ChunkError::Zstd)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_costs_few_bytes_and_comes_back() {
        let mut frame = Vec::new();
        assert!(compress(&[7; 1000], HOT_LEVEL, &mut frame));
        assert!(frame.len() <= 16, "{} bytes", frame.len());
        assert_eq!(decompress(&frame, 1000).unwrap(), [7; 1000]);
        assert!(decompress(&frame, 999).is_err(), "more than allowed");
        assert!(decompress(&frame[..frame.len() - 1], 1000).is_err(), "cut");
        assert!(decompress(&[], 10).is_err(), "nothing");
    }
}
