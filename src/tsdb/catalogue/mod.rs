//! The small transactional state: which parts exist, where the log begins, who the series are.
//!
//! Everything goes through [`KeyValue`], three functions over ordered byte strings. RocksDB stands behind it in
//! production ([`rocks`], the only file that names the crate), a map in tests ([`memory`]). What the keys mean is
//! written down once, in [`keys`]. No sample is ever kept here; losing the catalogue loses no sample, since parts and
//! log name their own series.
//!
//! Invariant: a batch happens wholly or not at all, and one written with [`Durability::Synced`] survives a power cut
//! once `write` has returned. The manifest lives by it: a part counts from the batch that names it, and not before.
//!
//! Read next: [`keys`], then `series`, the rows that name series.

pub mod keys;
pub mod memory;
pub mod rocks;
pub(crate) mod series;

use crate::store::StoreError;

/// A key with its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Ordered keys with values.
pub trait KeyValue: Send + Sync {
    /// The value under `key`.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// All entries whose key begins with `prefix`, in the order of keys.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    fn scan(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError>;

    /// Applies all changes, or none.
    ///
    /// # Errors
    /// Where the catalogue cannot be written. The caller must not count on what a restart will find then: all of the
    /// changes or none (a sync may fail after the bytes have reached the disk).
    fn write(&self, changes: &[Change], durability: Durability) -> Result<(), StoreError>;
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a value.
    Put(Vec<u8>, Vec<u8>),
    /// Takes a key away; one that is not there is no error.
    Remove(Vec<u8>),
}

/// When a batch is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Before `write` returns.
    Synced,
    /// Soon: what would be lost can be made again.
    Buffered,
}
