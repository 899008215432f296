//! A small durable place for state that is not samples: alert states, tokens, schedules.

use super::StoreError;

/// A key with its value.
pub type JournalEntry = (Vec<u8>, Vec<u8>);

/// A key with the value it is to have, or `None` where it is to go.
pub type JournalChange = (Vec<u8>, Option<Vec<u8>>);

/// Keys with values, durable once a call returns. Keys are short and prefixed by the room that owns them
/// (`rules/…`); values are small. Writes of one call happen together or not at all.
pub trait Journal: Send + Sync {
    /// Writes and removes keys in one step.
    ///
    /// # Errors
    /// Where the store cannot take writes.
    fn write(&self, changes: &[JournalChange]) -> Result<(), StoreError>;

    /// All entries whose key begins with `prefix`, by key.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    fn scan(&self, prefix: &[u8]) -> Result<Vec<JournalEntry>, StoreError>;
}
