//! What can go wrong in storage, by what the caller can do about it.

use std::path::PathBuf;

/// Why storage could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Not now: the sender should come back with the same request.
    #[error("overloaded: {0}")]
    Overloaded(String),
    /// Writes are refused until there is room again (disk full, read-only or failing); reads go on.
    #[error("store is read-only: {0}")]
    ReadOnly(String),
    /// The store is shutting down or still recovering.
    #[error("{0}")]
    NotReady(String),
    /// The request asks for more than a limit allows.
    #[error("{0}")]
    TooLarge(String),
    /// The caller's query was cancelled or ran out of time.
    #[error("query was canceled")]
    Canceled,
    /// Data on disk is damaged.
    #[error("{file}: {found} at byte {offset}", file = file.display())]
    Corrupt {
        /// Which file.
        file: PathBuf,
        /// Where in it.
        offset: u64,
        /// What was found there.
        found: String,
    },
    /// The operating system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done, present tense: `read part header`.
        doing: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The catalogue refused.
    #[error("catalogue: {0}")]
    Catalogue(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// For `map_err`: names what was being done. A disk without room is told apart: that passes.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> StoreError {
        use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let doing = doing.into();
        move |source| match source.kind() {
            StorageFull | QuotaExceeded | ReadOnlyFilesystem => StoreError::ReadOnly(format!("{doing}: {source}")),
            _ => StoreError::Io { doing, source },
        }
    }
}
