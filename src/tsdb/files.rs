//! The few things done to files, and a seam where tests make them fail.
//!
//! What is assumed of the disk: once `fsync` of a file (and of the directory that names it) has returned, its bytes
//! survive a power cut; before that, any part of them may be there or not; a rename happens wholly or not at all. A
//! failed `fsync` says nothing about what is on disk, so the file is never trusted again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// The disk, as the writers of log and parts see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// How many more operations succeed; `None`: all. Only tests set it.
    left: Option<Arc<AtomicI64>>,
}

impl Disk {
    /// A disk whose operations all fail after the first `operations`, as if the machine had stopped there.
    #[cfg(test)]
    pub(crate) fn failing_after(operations: i64) -> Self {
        Disk { left: Some(Arc::new(AtomicI64::new(operations))) }
    }

    /// Gives a failing disk that many more operations.
    #[cfg(test)]
    pub(crate) fn allow(&self, operations: i64) {
        if let Some(left) = &self.left {
            left.store(operations, Ordering::SeqCst);
        }
    }

    fn step(&self) -> io::Result<()> {
        match &self.left {
            Some(left) if left.fetch_sub(1, Ordering::SeqCst) <= 0 => Err(io::Error::other("injected failure")),
            _ => Ok(()),
        }
    }

    /// A new file; one of that name must not be there.
    pub(crate) fn create_new(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    /// A new file in place of one that may be there.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.step()?;
        OpenOptions::new().write(true).create(true).truncate(true).open(path)
    }

    pub(crate) fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if let Err(injected) = self.step() {
            // A torn write: half of the bytes arrive.
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(injected);
        }
        file.write_all(bytes)
    }

    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        self.step()?;
        file.sync_data()
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        fs::rename(from, to)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        match fs::remove_file(path) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Makes creations, renames and removals inside `directory` durable.
    pub(crate) fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.step()?;
        File::open(directory)?.sync_all()
    }
}
