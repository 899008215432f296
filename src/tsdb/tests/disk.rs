//! Disks that fail as tests want them to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use super::super::files::{Disk, Faults, Operation, Space};

/// A disk that does a number of things more, and then fails all of them, as if the machine had stopped there or had no
/// room.
#[derive(Debug)]
pub(super) struct Failing {
    left: AtomicI64,
    error: io::ErrorKind,
    space: Mutex<Option<Space>>,
}

impl Failing {
    /// Everything works until something else is said.
    pub(super) fn never() -> Arc<Self> {
        Failing::with(io::ErrorKind::Other)
    }

    /// Fails with this error, once it fails.
    pub(super) fn with(error: io::ErrorKind) -> Arc<Self> {
        Arc::new(Failing { left: AtomicI64::new(i64::MAX), error, space: Mutex::new(None) })
    }

    pub(super) fn disk(self: &Arc<Self>) -> Disk {
        Disk::with(self.clone())
    }

    /// So many more operations succeed.
    pub(super) fn allow(&self, operations: i64) {
        self.left.store(operations, Ordering::SeqCst);
    }

    /// Pretends to have so many bytes free of a thousand million.
    pub(super) fn pretend_free(&self, free: u64) {
        *self.space.lock() = Some(Space { free, total: 1_000_000_000 });
    }
}

impl Faults for Failing {
    fn before(&self, _operation: &Operation<'_>) -> io::Result<()> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            ..=0 => Err(io::Error::new(self.error, "injected failure")),
            _ => Ok(()),
        }
    }

    fn space(&self) -> Option<io::Result<Space>> {
        self.space.lock().map(Ok)
    }
}
