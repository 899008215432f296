//! The few things done to files, and a seam where tests make them fail.
//!
//! What is assumed of the disk: once `fsync` of a file (and of the directory that names it) has returned, its bytes
//! survive a power cut; before that, any part of them may be there or not; a rename happens wholly or not at all. A
//! failed `fsync` says nothing about what is on disk, so the file is never trusted again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The disk, as the writers of log and parts see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// `None`: the system's word counts.
    faults: Option<Arc<dyn Faults>>,
}

/// What tests put between the store and its disk.
pub(crate) trait Faults: std::fmt::Debug + Send + Sync {
    /// Lets an operation happen, or fails it.
    fn before(&self, operation: &Operation<'_>) -> io::Result<()>;

    /// It has happened.
    fn after(&self, _operation: &Operation<'_>) {}

    /// What the disk pretends to have; `None`: the truth.
    fn space(&self) -> Option<io::Result<Space>> {
        None
    }
}

/// What is done to the disk.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "only what tests put there looks at it"))]
pub(crate) enum Operation<'a> {
    Create(&'a Path),
    Write,
    /// Over so many bytes from an offset on, whether they are there or not.
    WriteAt(&'a File, u64, usize),
    Sync(&'a File),
    Rename(&'a Path, &'a Path),
    Link(&'a Path),
    Remove(&'a Path),
    SyncDirectory(&'a Path),
}

/// Room on the disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// What this process may still take.
    pub(crate) free: u64,
    pub(crate) total: u64,
}

impl Disk {
    #[cfg(test)]
    pub(crate) fn with(faults: Arc<dyn Faults>) -> Self {
        Disk { faults: Some(faults) }
    }

    fn step<T>(&self, operation: Operation<'_>, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(faults) = &self.faults else { return act() };
        faults.before(&operation)?;
        let done = act()?;
        faults.after(&operation);
        Ok(done)
    }

    /// A new file; one of that name must not be there.
    pub(crate) fn create_new(&self, path: &Path) -> io::Result<File> {
        self.step(Operation::Create(path), || OpenOptions::new().write(true).create_new(true).open(path))
    }

    /// A new file in place of one that may be there.
    pub(crate) fn create(&self, path: &Path) -> io::Result<File> {
        self.step(Operation::Create(path), || OpenOptions::new().write(true).create(true).truncate(true).open(path))
    }

    /// A new file of that size that takes its room at once, where the file system can do that.
    pub(crate) fn allocate(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let file = self.create(path)?;
        Ok(fallocate(&file, FallocateFlags::empty(), 0, bytes)?)
    }

    pub(crate) fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let Some(faults) = &self.faults else { return file.write_all(bytes) };
        if let Err(injected) = faults.before(&Operation::Write) {
            // A torn write: half of the bytes arrive.
            file.write_all(&bytes[..bytes.len() / 2])?;
            return Err(injected);
        }
        file.write_all(bytes)?;
        faults.after(&Operation::Write);
        Ok(())
    }

    /// Writes from `offset` on, over what may be there.
    pub(crate) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(faults) = &self.faults else { return file.write_all_at(bytes, offset) };
        let operation = Operation::WriteAt(file, offset, bytes.len());
        if let Err(injected) = faults.before(&operation) {
            // Torn, as above.
            file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return Err(injected);
        }
        file.write_all_at(bytes, offset)?;
        faults.after(&operation);
        Ok(())
    }

    pub(crate) fn sync(&self, file: &File) -> io::Result<()> {
        self.step(Operation::Sync(file), || file.sync_data())
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Operation::Rename(from, to), || fs::rename(from, to))
    }

    /// A second name for a file.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Operation::Link(to), || fs::hard_link(from, to))
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(Operation::Remove(path), || match fs::remove_file(path) {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        })
    }

    /// Makes creations, renames and removals inside `directory` durable.
    pub(crate) fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.step(Operation::SyncDirectory(directory), || File::open(directory)?.sync_all())
    }

    /// How much room there is where `path` lies.
    pub(crate) fn space(&self, path: &Path) -> io::Result<Space> {
        if let Some(pretended) = self.faults.as_ref().and_then(|faults| faults.space()) {
            return pretended;
        }
        let found = statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Space { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
    }
}
