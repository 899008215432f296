//! The memory that all queries of an engine hold together.

use std::sync::atomic::{AtomicU64, Ordering};

/// A bound in bytes that queries draw from while they run. Cut generously: queries draw in units, not byte by byte.
#[derive(Debug)]
pub struct MemoryPool {
    bytes_max: u64,
    drawn: AtomicU64,
}

impl MemoryPool {
    /// A pool of so many bytes.
    pub fn new(bytes_max: u64) -> Self {
        MemoryPool { bytes_max, drawn: AtomicU64::new(0) }
    }

    /// The size of the pool, in bytes.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// What queries have drawn now, in bytes.
    pub fn drawn(&self) -> u64 {
        self.drawn.load(Ordering::Relaxed)
    }

    /// Takes bytes out; `false`, and nothing is taken, where there are not as many.
    pub(super) fn draw(&self, bytes: u64) -> bool {
        let fits = |drawn: u64| drawn.checked_add(bytes).filter(|sum| *sum <= self.bytes_max);
        self.drawn.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    pub(super) fn give_back(&self, bytes: u64) {
        self.drawn.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Default for MemoryPool {
    /// Without a bound.
    fn default() -> Self {
        MemoryPool::new(u64::MAX)
    }
}
