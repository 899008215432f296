//! A store that no process has open: what it holds, what is damaged in it, and how a lost catalogue comes back.
//!
//! Nothing here changes a part or the log. The directory is locked meanwhile, so no process can open it half-way.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::store::StoreError;

use super::catalogue::{Change, Durability, KeyValue, keys};
use super::damages::Damage;
use super::log::{record, segment};
use super::part::{self, OpenError, Part};
use super::recover;
use super::snapshot::SNAPSHOTS;
use super::status::Sum;

/// A locked data directory.
#[derive(Debug)]
pub struct Stopped {
    data: PathBuf,
    _lock: File,
}

/// What a store holds.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Series with samples in parts.
    pub series: u64,
    /// All parts together.
    pub parts: Sum,
    /// By level: from the head, merged, sealed.
    pub levels: [Sum; 3],
    /// By UTC day, counted from 1970-01-01.
    pub days: BTreeMap<i64, Sum>,
    /// Bytes of parts by what they hold: chunks, times, directory, labels, postings of each label name.
    pub kinds: BTreeMap<String, u64>,
    /// Bytes on disk by what lies there: `log`, `parts`, `catalogue`, `snapshots`, `other`.
    pub disk: BTreeMap<&'static str, u64>,
    /// Parts that cannot be opened.
    pub damages: Vec<Damage>,
}

/// What a look at every byte found, beside damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Parts looked at.
    pub parts: u64,
    /// Rows in them.
    pub rows: u64,
    /// Segments of the log.
    pub segments: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes where writing was cut short; nothing in them was acknowledged.
    pub torn_bytes: u64,
    /// Rows of the catalogue.
    pub catalogue_rows: u64,
    /// Files that were put aside as damaged before.
    pub set_aside: u64,
}

impl Stopped {
    /// Takes hold of a data directory.
    ///
    /// # Errors
    /// Where there is none, or a process has it open.
    pub fn lock(data: &Path) -> Result<Self, StoreError> {
        if !data.join("parts").is_dir() {
            return Err(StoreError::NotReady(format!("{} holds no store", data.display())));
        }
        Ok(Stopped { data: data.to_path_buf(), _lock: recover::lock(data)? })
    }

    /// What is there. Reads tables and directories of parts, and no sample.
    ///
    /// # Errors
    /// Where the system refuses, or a newer program wrote a part.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        let mut ids = RoaringBitmap::new();
        for path in self.files("parts", "part")? {
            let part = match open(&path)? {
                Ok(part) => part,
                Err(damage) => {
                    stats.damages.push(damage);
                    continue;
                }
            };
            stats.parts.add(&part);
            stats.levels[part.meta().level as usize].add(&part);
            stats.days.entry(part.meta().day).or_default().add(&part);
            for kind in part.describe() {
                *stats.kinds.entry(kind.name).or_default() += kind.bytes;
            }
            match part.find(&(0..part.meta().series).collect()) {
                Ok(found) => ids.extend(found.into_iter().map(|(series, _)| series.id)),
                Err(error) => stats.damages.push(damage_of(error)?),
            }
        }
        stats.series = ids.len();
        stats.disk = ["log", "parts", "catalogue", SNAPSHOTS].map(|name| (name, size(&self.data.join(name)))).into();
        let known: u64 = stats.disk.values().sum();
        stats.disk.insert("other", size(&self.data).saturating_sub(known));
        Ok(stats)
    }

    /// Reads every block of every part, and every record of the log. Damage goes to `report`.
    ///
    /// # Errors
    /// Where the system refuses, or a newer program wrote something.
    pub fn verify(&self, report: &mut dyn FnMut(Damage)) -> Result<Verified, StoreError> {
        let mut verified = Verified { set_aside: self.files("parts", "damaged")?.len() as u64, ..Verified::default() };
        for path in self.files("parts", "part")? {
            verified.parts += 1;
            match open(&path)? {
                Ok(part) => verified.rows += part.verify(report),
                Err(damage) => report(damage),
            }
        }
        for path in self.files("log", "log")? {
            verified.segments += 1;
            verify_segment(&path, &mut verified, report)?;
        }
        Ok(verified)
    }

    /// Reads every row of the catalogue, and holds the manifest against the files.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn verify_catalogue(
        &self,
        catalogue: &dyn KeyValue,
        verified: &mut Verified,
        report: &mut dyn FnMut(Damage),
    ) -> Result<(), StoreError> {
        let mut bad = |key: &[u8], found: String| {
            let file = self.data.join("catalogue");
            report(Damage { file, offset: 0, found: format!("{found} under the key {}", key.escape_ascii()) });
        };
        for kind in 0..=u8::MAX {
            let rows = match catalogue.scan(&[kind]) {
                Ok(rows) => rows,
                Err(error) => {
                    bad(&[kind], error.to_string());
                    continue;
                }
            };
            verified.catalogue_rows += rows.len() as u64;
            for (key, value) in rows {
                let number = keys::number_of(&key);
                let path = number.map(|number| part::path(&self.data.join("parts"), number));
                let missing = kind == keys::PARTS[0] && !path.is_some_and(|path| path.exists());
                if missing {
                    bad(&key, "a part that is not there".into());
                } else if kind == keys::SERIES[0] && keys::decode_series(&value).is_none() {
                    bad(&key, "no series".into());
                }
            }
        }
        Ok(())
    }

    /// Files of a folder with this extension, by name.
    fn files(&self, folder: &str, extension: &str) -> Result<Vec<PathBuf>, StoreError> {
        let entries = fs::read_dir(self.data.join(folder)).map_err(StoreError::io(format!("list {folder}")))?;
        let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let mut paths = paths.map_err(StoreError::io(format!("list {folder}")))?;
        paths.retain(|path| path.extension().is_some_and(|own| own == extension));
        paths.sort();
        Ok(paths)
    }
}

/// Copies to a new catalogue what only the old one knows: deletions, the journal, metadata. All else is made again from
/// parts and log when the store is opened. Tells how many rows came over, and which kinds could not be read.
///
/// # Errors
/// Where the new catalogue cannot be written.
pub fn carry_over(old: &dyn KeyValue, new: &dyn KeyValue) -> Result<(u64, Vec<String>), StoreError> {
    let (mut copied, mut lost) = (0, Vec::new());
    for (kind, name) in [(keys::DELETIONS, "deletions"), (keys::JOURNAL, "journal"), (keys::METADATA, "metadata")] {
        match old.scan(kind) {
            Ok(rows) => {
                copied += rows.len() as u64;
                let changes: Vec<Change> = rows.into_iter().map(|(key, value)| Change::Put(key, value)).collect();
                new.write(&changes, Durability::Synced)?;
            }
            Err(error) => lost.push(format!("{name}: {error}")),
        }
    }
    Ok((copied, lost))
}

/// A part, or what is wrong with it as a whole.
fn open(path: &Path) -> Result<Result<Part, Damage>, StoreError> {
    match Part::open(path, &Arc::default()) {
        Ok(part) => Ok(Ok(part)),
        Err(OpenError::Damaged(error)) => Ok(Err(damage_of(error)?)),
        Err(OpenError::Newer(error) | OpenError::Io(error)) => Err(error),
        Err(OpenError::Missing) => {
            Ok(Err(Damage { file: path.to_path_buf(), offset: 0, found: "no file any more".into() }))
        }
    }
}

fn damage_of(error: StoreError) -> Result<Damage, StoreError> {
    match error {
        StoreError::Corrupt { file, offset, found } => Ok(Damage { file, offset, found }),
        other => Err(other),
    }
}

fn verify_segment(path: &Path, verified: &mut Verified, report: &mut dyn FnMut(Damage)) -> Result<(), StoreError> {
    let bytes = fs::read(path).map_err(StoreError::io(format!("read {}", path.display())))?;
    let mut unknown = Vec::new();
    let damages = segment::read(path, &bytes, |offset, payload| {
        verified.records += 1;
        let readable = match record::has_samples(payload) {
            true => record::read_samples(payload, |_, _, _| {}).is_some(),
            false => record::read_name(payload).is_some(),
        };
        if !readable {
            unknown.push(offset);
        }
    })?;
    let damage = |offset, found| Damage { file: path.to_path_buf(), offset, found };
    for found in damages {
        match found.inside {
            true => report(damage(found.offset, format!("{} bytes that are no record", found.bytes))),
            false => verified.torn_bytes += found.bytes,
        }
    }
    unknown.into_iter().for_each(|offset| report(damage(offset, "a record of unknown kind".into())));
    Ok(())
}

/// Bytes of all files below a path.
fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(of).sum()
}
