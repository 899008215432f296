//! Memory that bodies under way take together, and buffers that outlive a request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Buffers kept for the next request.
const IDLE_BUFFERS_MAX: usize = 8;
/// A larger buffer than this is given back rather than kept, in bytes.
const IDLE_BUFFER_BYTES_MAX: usize = 4 << 20;

/// Bytes that may be taken, given back when [`Taken`] is dropped.
pub(super) struct DecodeBudget {
    bytes_max: usize,
    taken: AtomicUsize,
    idle: Mutex<Vec<Vec<u8>>>,
}

/// A share of the budget, with a buffer to fill.
pub(super) struct Taken<'a> {
    budget: &'a DecodeBudget,
    bytes: usize,
    pub(super) buffer: Vec<u8>,
}

impl DecodeBudget {
    pub(super) fn new(bytes_max: usize) -> Self {
        DecodeBudget { bytes_max, taken: AtomicUsize::new(0), idle: Mutex::default() }
    }

    /// `None` where others hold too much at the moment. One request alone always has room.
    pub(super) fn take(&self, bytes: usize) -> Option<Taken<'_>> {
        let fits = |taken: usize| {
            let sum = taken.checked_add(bytes)?;
            (sum <= self.bytes_max || taken == 0).then_some(sum)
        };
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        let buffer = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Some(Taken { budget: self, bytes, buffer })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        let buffer = std::mem::take(&mut self.buffer);
        let mut idle = self.budget.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_BUFFERS_MAX && buffer.capacity() <= IDLE_BUFFER_BYTES_MAX {
            idle.push(buffer);
        }
    }
}
