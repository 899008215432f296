//! The catalogue in RocksDB. The only file that names the crate.
//!
//! One column family and one-byte prefixes: the catalogue is small, read rarely and written in batches. What matters is
//! that a batch is atomic and, when asked, synced; and that looking for a series that is not there costs a bloom filter.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, IteratorMode, LogLevel, Options, ReadOptions,
    WriteBatch, WriteOptions,
};

use crate::store::StoreError;

use super::{Change, Durability, KeyValue, Row};

/// Blocks kept in memory.
const CACHE_BYTES: usize = 8 << 20;
/// Writes kept in memory before they are sorted to a file; the write-ahead log holds about as much.
const WRITE_BUFFER_BYTES: usize = 1 << 20;
/// Write-ahead log kept on disk, over which memory is flushed early.
const WAL_BYTES_MAX: u64 = 2 << 20;
/// Manifest and report file, after which new ones are begun.
const MANIFEST_BYTES_MAX: usize = 1 << 20;
const REPORT_BYTES_MAX: usize = 1 << 20;
const BLOOM_BITS_PER_KEY: f64 = 10.0;
const BACKGROUND_JOBS: i32 = 2;
const OPEN_FILES_MAX: i32 = 256;

/// An open catalogue; the directory is locked while it lives.
pub struct Rocks {
    db: DB,
}

impl Rocks {
    /// Opens the catalogue in `directory`; makes it where there is none.
    ///
    /// # Errors
    /// Where another process holds it, or RocksDB refuses.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
        table.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&table);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_max_background_jobs(BACKGROUND_JOBS);
        options.set_max_open_files(OPEN_FILES_MAX);
        // Rows of series are written again while they fill up; what they replace goes soon.
        options.set_level_zero_file_num_compaction_trigger(2);
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        options.set_max_manifest_file_size(MANIFEST_BYTES_MAX);
        options.set_manifest_preallocation_size(64 << 10);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(REPORT_BYTES_MAX);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options.set_log_level(LogLevel::Warn);
        std::fs::create_dir_all(directory).map_err(StoreError::io(format!("make {}", directory.display())))?;
        let db = DB::open(&options, directory).map_err(|error| match is_locked(&error) {
            true => StoreError::NotReady(format!("{} is in use by another process", directory.display())),
            false => refused(error),
        })?;
        Ok(Rocks { db })
    }
}

impl KeyValue for Rocks {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get(key).map_err(refused)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Row>, StoreError> {
        let mut options = ReadOptions::default();
        if let Some(end) = end_of(prefix) {
            options.set_iterate_upper_bound(end);
        }
        let entries = self.db.iterator_opt(IteratorMode::From(prefix, Direction::Forward), options);
        entries.map(|entry| entry.map(|(key, value)| (key.into_vec(), value.into_vec())).map_err(refused)).collect()
    }

    fn write(&self, changes: &[Change], durability: Durability) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.put(key, value),
                Change::Remove(key) => batch.delete(key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        self.db.write_opt(batch, &options).map_err(refused)
    }
}

/// RocksDB tells its errors apart by their text alone. A full disk stops its writes until it finds, looking every few
/// seconds, that there is room again; nobody has to open it anew.
fn refused(error: rocksdb::Error) -> StoreError {
    match error.to_string().contains("No space left on device") {
        true => StoreError::ReadOnly(format!("catalogue: {error}")),
        false => StoreError::Catalogue(Box::new(error)),
    }
}

fn is_locked(error: &rocksdb::Error) -> bool {
    ["While lock file", "lock hold by current process"].iter().any(|text| error.to_string().contains(text))
}

/// The first key behind all that begin with `prefix`; `None` where there is none.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;

    #[test]
    fn rocks_and_memory_answer_alike_also_after_a_restart() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let memory = Memory::default();
        let put = |key: &[u8], value: &str| Change::Put(key.to_vec(), value.as_bytes().to_vec());
        let batches = [
            vec![put(b"a1", "one"), put(b"a2", "two"), put(b"b", "three"), put(&[0xff, 0xff], "end")],
            vec![Change::Remove(b"a1".to_vec()), put(b"a3", "four"), Change::Remove(b"nothing".to_vec())],
        ];
        for batch in &batches {
            let rocks = Rocks::open(directory.path()).expect("opens again and again");
            rocks.write(batch, Durability::Synced).expect("writable");
            memory.write(batch, Durability::Synced).expect("writable");
        }
        let rocks = Rocks::open(directory.path()).expect("opens");
        for prefix in [&b""[..], b"a", b"a2", b"b", b"c", &[0xff], &[0xff, 0xff]] {
            assert_eq!(rocks.scan(prefix).expect("readable"), memory.scan(prefix).expect("readable"), "{prefix:?}");
            assert_eq!(rocks.get(prefix).expect("readable"), memory.get(prefix).expect("readable"), "{prefix:?}");
        }
        let second = Rocks::open(directory.path()).err().expect("one process at a time");
        assert!(second.to_string().ends_with("is in use by another process"), "{second}");
    }
}
