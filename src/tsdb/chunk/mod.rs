//! Chunk codecs: a few hundred values, times or histograms of one series to bytes and back.
//!
//! Pure functions over slices: no I/O, no checksum (the block around has one), no idea of series or lanes. A block is
//! self-contained but for the number of its rows and its length, which whoever stores it knows:
//!
//! ```text
//! ┌────────┬───────────────────────────────────────────────┐
//! │ format │ body, as the format says                      │   0x80|mode<<4|k  decimals: integer / 10^k
//! │ 1 byte │ e.g. first · gcd · center · blocks of 128     │   0x08|mode       raw bits, packed
//! └────────┴───────────────────────────────────────────────┘   0x01 .. 0x05    exceptions, zstd, pco, pieces
//!           block of 128 = width byte · packed bits [· positions · high bits of outliers]
//! ```
//!
//! Invariants: every bit comes back (NaN payloads, stale markers, -0.0, integers over 2^53, times at the ends of
//! time); decoders return an error, never panic, on any bytes, and allocate no more than [`MAX_ROWS`] rows or
//! [`MAX_HISTOGRAM_CELLS`] allow, whatever a count claims; a format byte once given out keeps its meaning.
//!
//! Encoders append to `out` and need no scratch from the caller; up to 128 rows the integer forms allocate nothing.
//!
//! Read next: `values` (the formats), then `divided`, `integers`, `pack`, `decimal`; `times` and `histograms` build
//! on the same two layers.

mod error;
mod fields;
mod pack;
mod zstd_frame;
mod integers;
mod decimal;
mod divided;
mod values;
mod times;
mod histograms;
#[cfg(test)]
mod tests;

pub use error::ChunkError;
pub use histograms::{decode_histograms, encode_histograms, histogram_cells};
pub(crate) use integers::{put_integers, take_integers};
pub use times::{decode_times, encode_times};
pub use values::{decode_some_values, decode_values, encode_values, encode_values_cold};
pub(crate) use zstd_frame::decompress_frame;

/// Most rows of one block: a day at ten samples a second, and 8 MiB of floats.
pub const MAX_ROWS: usize = 1 << 20;

/// Most numbers in one block of histograms (see [`histogram_cells`]): 128 MiB when decoded.
pub const MAX_HISTOGRAM_CELLS: usize = 1 << 24;

/// Refuses to decode more rows than a block may hold.
fn check_rows(count: usize) -> Result<(), ChunkError> {
    if count > MAX_ROWS { Err(ChunkError::Rows(count)) } else { Ok(()) }
}

/// Decodes one whole block to the end of `out`; on an error `out` is as it was.
fn decode_whole<T>(
    mut block: &[u8],
    out: &mut Vec<T>,
    decode: impl FnOnce(&mut &[u8], &mut Vec<T>) -> Result<(), ChunkError>,
) -> Result<(), ChunkError> {
    let start = out.len();
    let decoded = decode(&mut block, out).and_then(|()| check_end(block));
    if decoded.is_err() {
        out.truncate(start);
    }
    decoded
}

/// Refuses what follows the last field of a block.
fn check_end(rest: &[u8]) -> Result<(), ChunkError> {
    if rest.is_empty() { Ok(()) } else { Err(ChunkError::Trailing(rest.len())) }
}
