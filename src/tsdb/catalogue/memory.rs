//! The catalogue as a map, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::store::StoreError;

use super::{Change, Durability, KeyValue, Row};

/// A map that its clones share, so that a store opened again finds what the one before it wrote.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    entries: Arc<RwLock<BTreeMap<Vec<u8>, Vec<u8>>>>,
    failing: Arc<AtomicBool>,
    failing_late: Arc<AtomicBool>,
}

impl Memory {
    /// From now on writes fail, or succeed again.
    pub fn fail_writes(&self, fail: bool) {
        self.failing.store(fail, Ordering::SeqCst);
    }

    /// From now on synced writes fail after they have reached the disk, as after a failed fsync. Or they
    /// succeed again.
    pub fn fail_writes_but_keep_them(&self, fail: bool) {
        self.failing_late.store(fail, Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Memory {
    /// A copy of all entries.
    pub(crate) fn entries(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.entries.read().clone()
    }

    /// A catalogue with these entries.
    pub(crate) fn of(entries: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        Memory { entries: Arc::new(RwLock::new(entries)), ..Memory::default() }
    }
}

impl KeyValue for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.entries.read().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
        let entries = self.entries.read();
        let from_prefix = entries.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(from_prefix.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&self, changes: &[Change], durability: Durability) -> Result<(), StoreError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(StoreError::Catalogue("injected failure".into()));
        }
        let mut entries = self.entries.write();
        for change in changes {
            match change {
                Change::Put(key, value) => drop(entries.insert(key.clone(), value.clone())),
                Change::Remove(key) => drop(entries.remove(key)),
            }
        }
        if durability == Durability::Synced && self.failing_late.load(Ordering::SeqCst) {
            return Err(StoreError::Catalogue("injected failure of a sync".into()));
        }
        Ok(())
    }
}
