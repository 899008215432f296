//! A second data directory inside the first one, made of hard links: another Weir opens it as it is.
//!
//! Parts never change, so a link is a copy that costs nothing until the original goes. The catalogue is written anew,
//! row by row, through its trait; so this works for every kind of catalogue. The log stays behind: the head is spilled
//! first, or left out.
//!
//! The manifest is held while parts are linked, so that none of them goes meanwhile. Names of series are copied after
//! that: they only ever grow. Appends and reads notice nothing. A directory under its final name is complete.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Timestamp;
use crate::store::StoreError;

use super::catalogue::series::ROW_SERIES;
use super::catalogue::{Change, Durability, KeyValue, keys};
use super::numbers::PartNumbers;
use super::part::Part;
use super::recover::STORE_VERSION;
use super::store::Store;

/// Makes a catalogue in a directory that is not there yet.
pub type MakeCatalogue<'m> = dyn Fn(&Path) -> Result<Box<dyn KeyValue>, StoreError> + 'm;

/// Where snapshots lie inside the data directory.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// Rows of one batch.
const BATCH_ROWS: usize = 10_000;

impl Store {
    /// Links and copies everything into a new directory; tells its name.
    pub(super) fn snapshot(
        &self,
        now: Timestamp,
        skip_head: bool,
        make: &MakeCatalogue<'_>,
    ) -> Result<String, StoreError> {
        // One at a time: what has no final name is then nobody's.
        let _one = self.snapshotting.lock();
        self.takes_writes()?;
        let root = self.settings.data.join(SNAPSHOTS);
        fs::create_dir_all(&root).map_err(StoreError::io("make the directory of snapshots"))?;
        remove_unfinished(&root)?;
        let mut names = (0..).map(|attempt| self.snapshot_name(now, attempt));
        let name = names.find(|name| !root.join(name).exists()).expect("attempts never end");
        let temporary = root.join(format!("{name}.tmp"));
        let made = self.fill(&temporary, skip_head, make).and_then(|()| {
            let rename = self.disk.rename(&temporary, &root.join(&name));
            rename.and_then(|()| self.disk.sync_directory(&root)).map_err(StoreError::io("name the snapshot"))
        });
        if made.is_err() {
            // Best effort: the next snapshot removes what has no final name as well.
            drop(fs::remove_dir_all(&temporary));
            drop(fs::remove_dir_all(root.join(&name)));
        }
        made?;
        self.metrics.snapshots.inc();
        Ok(name)
    }

    /// `20261122T191500Z-` and 16 hex digits that no other snapshot has.
    fn snapshot_name(&self, now: Timestamp, attempt: u64) -> String {
        let time = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap_or_default();
        let tail = [now.as_millis() as u64, attempt, self.settings.hash_seed].map(u64::to_le_bytes).concat();
        format!("{}-{:016x}", time.strftime("%Y%m%dT%H%M%SZ"), xxhash_rust::xxh3::xxh3_64(&tail))
    }

    fn fill(&self, directory: &Path, skip_head: bool, make: &MakeCatalogue<'_>) -> Result<(), StoreError> {
        let parts = directory.join("parts");
        for directory in [&parts, &directory.join("log")] {
            fs::create_dir_all(directory).map_err(StoreError::io("make a snapshot"))?;
        }
        let manifest = self.link_parts(&parts, skip_head)?;
        self.disk.sync_directory(&parts).map_err(StoreError::io("sync snapshot"))?;
        let catalogue = make(&directory.join("catalogue"))?;
        self.copy_rows(&*catalogue)?;
        // Last, and synced: without these the copy is no store.
        catalogue.write(&manifest, Durability::Synced)?;
        self.disk.sync_directory(directory).map_err(StoreError::io("sync snapshot"))
    }

    /// Links every part that counts; gives the rows that make the copies count.
    fn link_parts(&self, directory: &Path, skip_head: bool) -> Result<Vec<Change>, StoreError> {
        // Held until the links are there: what was spilled is among them.
        let mut spilling = self.spilling.lock();
        if !skip_head {
            self.spill_all(&mut spilling)?;
        }
        let _manifest = self.manifest.lock();
        let view = self.view.load_full();
        let link = |part: &Arc<Part>| {
            let name = part.path().file_name().expect("a part is a file");
            self.disk.link(part.path(), &directory.join(name)).map_err(StoreError::io("link part"))
        };
        view.parts.iter().try_for_each(link)?;
        let mut rows = vec![
            Change::Put(keys::FORMAT.to_vec(), keys::encode_number(STORE_VERSION)),
            Change::Put(keys::LOG_FLOOR.to_vec(), keys::encode_number(1)),
        ];
        rows.extend(PartNumbers::from(self.numbers.next()).rows(&[]));
        rows.extend(view.parts.iter().map(|part| Change::Put(keys::numbered(keys::PARTS, part.number()), Vec::new())));
        rows.extend(
            view.deletions.iter().map(|one| Change::Put(keys::numbered(keys::DELETIONS, one.number), one.encode())),
        );
        Ok(rows)
    }

    /// Copies all rows but those of the manifest.
    fn copy_rows(&self, into: &dyn KeyValue) -> Result<(), StoreError> {
        let manifest = [keys::FORMAT, keys::LOG_FLOOR, keys::NEXT_PART, keys::OPEN_PARTS, keys::PARTS, keys::DELETIONS];
        let ids = self.resolver.registry.read().next_id();
        for kind in (0..=u8::MAX).filter(|kind| !manifest.contains(&&[*kind][..])) {
            for prefix in prefixes(kind, ids) {
                let rows = self.catalogue.scan(&prefix)?;
                for batch in rows.chunks(BATCH_ROWS) {
                    let batch: Vec<Change> =
                        batch.iter().map(|(key, value)| Change::Put(key.clone(), value.clone())).collect();
                    into.write(&batch, Durability::Buffered)?;
                }
            }
        }
        Ok(())
    }
}

/// Prefixes that together cover a kind of row, so that no scan holds all of a large kind in memory.
fn prefixes(kind: u8, ids: u32) -> Vec<Vec<u8>> {
    match &[kind][..] {
        keys::SERIES_ROWS | keys::SERIES_HASHES => {
            // The last byte of the row's number is left open.
            let scans = u64::from(ids / ROW_SERIES) >> u8::BITS;
            let prefix = |scan: u64| keys::numbered(&[kind], scan << u8::BITS)[..8].to_vec();
            (0..=scans).map(prefix).collect()
        }
        _ => vec![vec![kind]],
    }
}

/// The finished snapshots inside a data directory, by name.
///
/// # Errors
/// Where the directory cannot be read; that there is none is no error.
pub fn list(data: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(data.join(SNAPSHOTS)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(StoreError::io("list snapshots"))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(StoreError::io("list snapshots"))?.file_name();
        names.extend(name.into_string().ok().filter(|name| !name.ends_with(".tmp")));
    }
    names.sort();
    Ok(names)
}

/// Removes a snapshot. The store that it was taken of is not touched, and may be running.
///
/// # Errors
/// Where there is no snapshot of that name, or it cannot be removed.
pub fn remove(data: &Path, name: &str) -> Result<(), StoreError> {
    // A name, not a path: nothing outside is ever removed.
    if !list(data)?.iter().any(|known| known == name) {
        return Err(StoreError::NotReady(format!("there is no snapshot {name:?} in {}", data.display())));
    }
    fs::remove_dir_all(data.join(SNAPSHOTS).join(name)).map_err(StoreError::io(format!("remove snapshot {name}")))
}

fn remove_unfinished(root: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(root).map_err(StoreError::io("list snapshots"))?;
    let paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "tmp")) {
        fs::remove_dir_all(path).map_err(StoreError::io("remove an unfinished snapshot"))?;
    }
    Ok(())
}
