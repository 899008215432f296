//! What a block is made of, taken off its front: `bytes`, with a reason where they make no sense.

use super::ChunkError;
use crate::tsdb::bytes::{VARINT_BYTES_MAX, take_u64, unzigzag};

/// Takes one varint off the front.
pub(super) fn read(bytes: &mut &[u8]) -> Result<u64, ChunkError> {
    match take_u64(bytes) {
        Some(value) => Ok(value),
        None if bytes.len() < VARINT_BYTES_MAX => Err(ChunkError::Truncated),
        None => Err(ChunkError::Malformed("varint over 64 bits")),
    }
}

/// Takes one zigzag varint off the front.
pub(super) fn read_signed(bytes: &mut &[u8]) -> Result<i64, ChunkError> {
    read(bytes).map(unzigzag)
}

/// Takes a varint that counts something of which there can be at most `most`.
pub(super) fn read_count(bytes: &mut &[u8], most: usize) -> Result<usize, ChunkError> {
    let count = read(bytes)?;
    usize::try_from(count).ok().filter(|count| *count <= most).ok_or(ChunkError::Malformed("a count over its bound"))
}

/// Takes `length` bytes off the front.
pub(super) fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], ChunkError> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(ChunkError::Truncated)?;
    *bytes = rest;
    Ok(taken)
}

/// Takes one byte off the front.
pub(super) fn take_byte(bytes: &mut &[u8]) -> Result<u8, ChunkError> {
    take(bytes, 1).map(|byte| byte[0])
}
