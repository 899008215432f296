//! What can be wrong with a request as a whole, by what its sender can do about it.

use crate::store::StoreError;

use super::wire::WireError;

/// Why nothing of a request was taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The body cannot be read: sending it again cannot help.
    #[error("{0}")]
    Malformed(#[from] WireError),
    /// The body is larger than this many bytes.
    #[error("request body is larger than {0} bytes")]
    TooLarge(usize),
    /// A content type or encoding that nobody here speaks; the text names what is spoken.
    #[error("{0}")]
    Unsupported(String),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
