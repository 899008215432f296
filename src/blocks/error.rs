//! What can be wrong with a block.

use std::path::{Path, PathBuf};

/// Why something cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The system refuses.
    #[error("{}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What it says.
        #[source]
        source: std::io::Error,
    },
    /// Bytes that mean nothing.
    #[error("{} at byte {offset}: {found}", file.display())]
    Damage {
        /// Which file.
        file: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong there.
        found: String,
    },
    /// A format that this program does not know.
    #[error("{} has format {version}, which this program does not read", file.display())]
    Newer {
        /// Which file.
        file: PathBuf,
        /// Its version.
        version: u64,
    },
}

impl BlockError {
    pub(super) fn io(file: &Path, source: std::io::Error) -> Self {
        BlockError::Io { file: file.to_owned(), source }
    }

    pub(super) fn damage(file: &Path, offset: u64, found: impl Into<String>) -> Self {
        BlockError::Damage { file: file.to_owned(), offset, found: found.into() }
    }
}
