//! Why a block of a chunk cannot be read.

/// What is wrong with the bytes of a block. Nothing but damage or a newer writer makes one of these.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The block ends before its last field.
    #[error("block ends early")]
    Truncated,
    /// The first byte names no format of this version.
    #[error("unknown block format {0:#04x}")]
    Format(u8),
    /// Bytes follow the last field.
    #[error("{0} bytes after the end of the block")]
    Trailing(usize),
    /// More rows than a block may hold, or more than its bytes can stand for.
    #[error("a block of {0} rows is not possible")]
    Rows(usize),
    /// A field holds what no writer writes.
    #[error("malformed block: {0}")]
    Malformed(&'static str),
    /// The zstd frame inside is broken.
    #[error("decompress zstd frame")]
    Zstd(#[source] std::io::Error),
    /// The pco page inside is broken.
    #[error("decompress pco page")]
    Pco(#[source] pco::errors::PcoError),
}
