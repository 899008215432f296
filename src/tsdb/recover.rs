//! What a start does: lock, read the manifest, open parts, replay the log.
//!
//! Damage never refuses a start. What cannot be read is reported with file and offset, put aside where it is a part,
//! and passed over where it is a record; a file of a newer program's format, on the other hand, is not damage, and
//! nothing is touched then. A catalogue that was lost is made again from the parts.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;

use crate::model::{Labels, Timestamp};
use crate::store::StoreError;

use super::arrival::Arrivals;
use super::beside::{Exemplars, Metadata};
use super::catalogue::{Change, Durability, KeyValue, keys};
use super::changes::Changes;
use super::damages::Damages;
use super::delivered::Delivered;
use super::files::Disk;
use super::head::Head;
use super::health::Health;
use super::log::Log;
use super::merge::Merging;
use super::metrics::Metrics;
use super::numbers::{PartNumbers, decode_open};
use super::part::{self, Kept, OpenError, Part};
use super::preferences;
use super::replay::replay;
use super::resolve::{Named, Resolver, catalogued, lanes};
use super::settings::Settings;
use super::status::{Progress, Recovered};
use super::store::{Deletion, Manifest, Spilling, Store, View};

/// The version of the store as a whole that this program writes, and the newest it opens.
pub(super) const STORE_VERSION: u64 = 2;

pub(super) fn open(
    settings: Settings,
    catalogue: Box<dyn KeyValue>,
    metrics: Metrics,
    disk: Disk,
    now: Timestamp,
    progress: &Progress,
) -> Result<Store, StoreError> {
    let (log_directory, parts_directory) = (settings.data.join("log"), settings.data.join("parts"));
    for directory in [&log_directory, &parts_directory] {
        fs::create_dir_all(directory).map_err(StoreError::io(format!("make {}", directory.display())))?;
    }
    let lock = lock(&settings.data)?;
    allow_many_files();
    disk.sync_directory(&settings.data).map_err(StoreError::io("sync data directory"))?;
    // The entry that leads to the data may be new as well. Best effort: it may lie in a directory we cannot open.
    drop(settings.data.canonicalize().map(|data| data.parent().map(|above| disk.sync_directory(above))));
    let mut recovered = Recovered::default();
    let resolver = Resolver::new(settings.hash_seed, settings.limits());
    resolver.set_rules(settings.pairs.rules());

    let fresh_catalogue = check_version(&*catalogue)?;
    let kept = Arc::default();
    let parts = open_parts(&parts_directory, &*catalogue, fresh_catalogue, &kept, &mut recovered)?;
    restore_names(&*catalogue, &parts.adopted, &resolver)?;
    let adopts = fresh_catalogue || !parts.adopted.is_empty();
    let mut parts: Vec<Arc<Part>> = parts.adopted.into_iter().chain(parts.named).collect();
    parts.sort_by_key(|part| part.number());
    let log_floor = number_row(&*catalogue, keys::LOG_FLOOR)?.unwrap_or(1);
    let mut deletions = Vec::new();
    for (key, value) in catalogue.scan(keys::DELETIONS)? {
        deletions.extend(keys::number_of(&key).and_then(|number| Deletion::decode(number, &value)));
    }
    let next_deletion = deletions.iter().map(|one| one.number + 1).max().unwrap_or(1);
    // Numbers that a deletion spoke of count as given out: what comes now must not be touched by it.
    let given = parts.iter().map(|part| part.number()).chain(deletions.iter().map(|one| one.last_part));
    let next_part = given.map(|number| number + 1).chain(number_row(&*catalogue, keys::NEXT_PART)?).max().unwrap_or(1);
    let numbers = PartNumbers::from(next_part);

    let head = Head::default();
    parts.iter().for_each(|part| head.saw(part.range().end()));
    let replay = || replay(&log_directory, log_floor, &resolver, &*catalogue, &head, progress, &mut recovered);
    let next_segment = metrics.replays.time(replay)?;
    if adopts {
        write_adopted(&*catalogue, &parts, &resolver, &numbers)?;
    }
    let configured = resolver.registry.write().groups.configure(&settings.pairs.orders, now);
    for (group, preferences) in configured {
        preferences::save(&*catalogue, group, &preferences)?;
        resolver.registry.write().groups.set_preferences(group, preferences);
    }
    let (policy, segment_bytes_max) = (settings.fsync, settings.segment_bytes_max);
    let log = Log::new(log_directory, disk.clone(), next_segment, policy, segment_bytes_max, metrics.log.clone());
    metrics.damages.inc_by(recovered.damages.len() as u64);
    metrics.replayed.inc_by(recovered.samples);
    let head_since = if head.rows() > 0 { now.as_millis() } else { i64::MAX };
    let metadata = Metadata::load(&*catalogue)?;
    let exemplars = Exemplars::load(&*catalogue)?;
    resolver.recall(&exemplars.series().collect(), &*catalogue)?;
    let arrivals = Arrivals::after(head.newest(), settings.ahead_max);
    Ok(Store {
        settings,
        metrics,
        disk,
        catalogue,
        resolver,
        gate: RwLock::new(()),
        log,
        head,
        changes: Changes::default(),
        head_since: AtomicI64::new(head_since),
        arrivals,
        deliveries: Delivered::default(),
        pairs_seen: ArcSwap::default(),
        log_synced_at: AtomicI64::new(now.as_millis()),
        kept,
        view: ArcSwap::from_pointee(View { parts, frozen: None, deletions: Arc::new(deletions) }),
        spilling: Mutex::new(Spilling { frozen_floor: log_floor, log_floor, unnamed: None }),
        merging: Mutex::new(Merging::default()),
        hurried: AtomicUsize::new(0),
        manifest: Mutex::new(Manifest { next_deletion }),
        numbers,
        snapshotting: Mutex::new(()),
        health: Health::default(),
        damages: Damages::default(),
        exemplars: Mutex::new(exemplars),
        metadata: Mutex::new(metadata),
        recovered,
        closed: AtomicBool::new(false),
        _lock: lock,
    })
}

/// Each part holds a file open, and retention may keep a part for each of many days: takes all the files that the
/// system would give. Where it gives few, opening a part fails later with a clear error.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Keeps other processes out for as long as the file is open.
pub(super) fn lock(data: &Path) -> Result<File, StoreError> {
    let path = data.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(StoreError::io(format!("open {}", path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::NotReady(format!("{} is in use by another process", data.display())))
        }
        Err(TryLockError::Error(error)) => Err(StoreError::io(format!("lock {}", path.display()))(error)),
    }
}

/// Whether the catalogue is empty.
fn check_version(catalogue: &dyn KeyValue) -> Result<bool, StoreError> {
    match number_row(catalogue, keys::FORMAT)? {
        None => Ok(true),
        Some(version) if version <= STORE_VERSION => Ok(false),
        Some(version) => Err(StoreError::Catalogue(
            format!("the store has format {version}, and this program opens up to {STORE_VERSION}").into(),
        )),
    }
}

fn number_row(catalogue: &dyn KeyValue, key: &[u8]) -> Result<Option<u64>, StoreError> {
    Ok(catalogue.get(key)?.as_deref().and_then(keys::decode_number))
}

/// The parts that a start found.
#[derive(Default)]
struct Parts {
    /// Those that the manifest names.
    named: Vec<Arc<Part>>,
    /// Those that it does not name and that count nevertheless.
    adopted: Vec<Arc<Part>>,
}

/// Opens the manifest's parts, adopts what the catalogue has forgotten, and removes other files.
///
/// The batch that names a part also raises the number of the next one, and says which lower numbers are open. A complete
/// part under such a number is thus one whose naming was cut short (then its rows are still in the log or in the parts
/// it replaces, and twice is once), or one that was named by a catalogue which has lost its newest writes (then nothing
/// else has its rows). Both are kept.
fn open_parts(
    directory: &Path,
    catalogue: &dyn KeyValue,
    fresh_catalogue: bool,
    kept: &Arc<Kept>,
    recovered: &mut Recovered,
) -> Result<Parts, StoreError> {
    let listing = fs::read_dir(directory).map_err(StoreError::io("list parts"))?;
    let files: Vec<_> = listing
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(StoreError::io("list parts"))?;
    let next_part = number_row(catalogue, keys::NEXT_PART)?.unwrap_or(0);
    let open = catalogue.get(keys::OPEN_PARTS)?.as_deref().map(decode_open).unwrap_or_default();
    let on_disk: BTreeSet<u64> = files.iter().filter_map(|path| part::number_of(path)).collect();
    let named: BTreeSet<u64> =
        catalogue.scan(keys::PARTS)?.iter().filter_map(|(key, _)| keys::number_of(key)).collect();
    let is_strange = |number: &u64| (*number >= next_part || open.contains(number)) && !named.contains(number);
    let strange: BTreeSet<u64> = on_disk.iter().copied().filter(is_strange).collect();
    let mut parts = Parts::default();
    for number in named.union(&strange) {
        let path = part::path(directory, *number);
        let is_named = named.contains(number);
        let forget = || match is_named {
            true => catalogue.write(&[Change::Remove(keys::numbered(keys::PARTS, *number))], Durability::Synced),
            false => Ok(()),
        };
        match Part::open(&path, kept) {
            Ok(part) if is_named => parts.named.push(Arc::new(part)),
            Ok(part) => parts.adopted.push(Arc::new(part)),
            Err(OpenError::Newer(error) | OpenError::Io(error)) => return Err(error),
            Err(OpenError::Damaged(error)) => {
                recovered.damages.push(error.to_string());
                put_aside(&path)?;
                forget()?;
            }
            Err(OpenError::Missing) => {
                recovered.damages.push(format!("{}: the manifest names it and it is not there", path.display()));
                forget()?;
            }
        }
    }
    if fresh_catalogue {
        let replaced: BTreeSet<u64> =
            parts.adopted.iter().flat_map(|part| part.meta().replaces.iter().copied()).collect();
        parts.adopted.retain(|part| !replaced.contains(&part.number()));
    } else {
        // A merge beside everything it was made of adds nothing.
        let superfluous = |part: &Part| {
            let replaces = &part.meta().replaces;
            !replaces.is_empty() && replaces.iter().all(|number| named.contains(number) && on_disk.contains(number))
        };
        parts.adopted.retain(|part| !superfluous(part));
    }
    recovered.adopted_parts = parts.adopted.len() as u64;
    let kept: BTreeSet<_> = parts.named.iter().chain(&parts.adopted).map(|part| part.path().to_path_buf()).collect();
    for path in files.iter().filter(|path| !kept.contains(*path) && path.exists()) {
        if path.extension().is_some_and(|extension| extension == "part" || extension == "tmp") {
            fs::remove_file(path).map_err(StoreError::io(format!("remove {}", path.display())))?;
            recovered.removed_parts += 1;
        }
    }
    Ok(parts)
}

/// A damaged part is not deleted: somebody may still want to look at it.
fn put_aside(path: &Path) -> Result<(), StoreError> {
    fs::rename(path, path.with_extension("damaged")).map_err(StoreError::io(format!("put {} aside", path.display())))
}

/// HA groups and the next series id; series of the catalogue come back when they are needed, those of adopted parts now,
/// since the catalogue may not know them.
fn restore_names(catalogue: &dyn KeyValue, adopted: &[Arc<Part>], resolver: &Resolver) -> Result<(), StoreError> {
    for (key, value) in catalogue.scan(keys::GROUPS)? {
        if let (Some(number), Some(names)) = (keys::number_of(&key), keys::decode_texts(&value))
            && let Some((cluster, replicas)) = names.split_first()
        {
            let groups = &mut resolver.registry.write().groups;
            groups.restore(number as u32, cluster, replicas);
            groups.catalogued(&[(number as u32, replicas.len())]);
        }
    }
    for (key, value) in catalogue.scan(keys::RANKS)? {
        if let (Some(number), Some(preferences)) = (keys::number_of(&key), lanes::decode_preferences(&value)) {
            resolver.registry.write().groups.set_preferences(number as u32, preferences);
        }
    }
    if let Some(next) = number_row(catalogue, keys::NEXT_SERIES)? {
        resolver.registry.write().raise_next_id(u32::try_from(next).unwrap_or(u32::MAX));
        convert_names(next, catalogue)?;
        resolver.look_elsewhere(catalogue)?;
    }
    for part in adopted {
        for (number, group) in part.groups().iter().enumerate() {
            resolver.restore_group(number as u32, &group.cluster, &group.replicas);
        }
        let series = series_of(part)?;
        let names =
            series.iter().map(|(id, group, labels)| Named { id: *id, group: *group, packed: labels.as_packed() });
        resolver.restore(&names.collect::<Vec<_>>());
    }
    Ok(())
}

/// Brings the names of a store of format 1 into the rows of this one. The version goes first: an older program must not
/// open what is half converted.
fn convert_names(next_id: u64, catalogue: &dyn KeyValue) -> Result<(), StoreError> {
    if number_row(catalogue, keys::FORMAT)?.is_some_and(|version| version < STORE_VERSION) {
        let version = Change::Put(keys::FORMAT.to_vec(), keys::encode_number(STORE_VERSION));
        catalogue.write(&[version], Durability::Synced)?;
    }
    catalogued::convert(next_id, catalogue)
}

fn series_of(part: &Part) -> Result<Vec<(u32, u32, Labels)>, StoreError> {
    let mut all = RoaringBitmap::new();
    all.insert_range(0..part.meta().series);
    part.find(&all)?.into_iter().map(|(series, _)| Ok((series.id, series.group, part.labels(&series)?))).collect()
}

/// Makes the catalogue whole again after it was new, or had forgotten parts: series and groups first, then in one batch
/// what makes it count. Were the names left to the next spill, a crash before it would leave parts whose series nobody
/// knows, and lanes whose numbers are given out anew.
fn write_adopted(
    catalogue: &dyn KeyValue,
    parts: &[Arc<Part>],
    resolver: &Resolver,
    numbers: &PartNumbers,
) -> Result<(), StoreError> {
    // The log goes on naming these series until the next spill, which does no harm.
    let (_, mut changes) = resolver.catalogue_names(catalogue)?;
    changes.push(Change::Put(keys::FORMAT.to_vec(), keys::encode_number(STORE_VERSION)));
    changes.extend(numbers.rows(&[]));
    changes.extend(parts.iter().map(|part| Change::Put(keys::numbered(keys::PARTS, part.number()), Vec::new())));
    catalogue.write(&changes, Durability::Synced)
}
