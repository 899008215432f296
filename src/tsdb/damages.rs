//! Damage that is met while the store runs: remembered, told once, and kept out of the way of everything else.
//!
//! A block that fails its checksum costs its own rows and no others: queries leave it out and say so, merges rewrite
//! what can be read and put the file aside under the name `.damaged`, where somebody may look at it. Nothing damaged is
//! ever removed, and nothing is left out in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::model::{Column, TimeRange};
use crate::store::{StoreError, Warnings};

use super::part::{ChunkRef, Part};
use super::store::Store;

/// Damages that are listed; beyond it they are only counted, by file.
const LISTED_MAX: usize = 1_000;

/// A place in a file that does not hold what was written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where the bad bytes begin.
    pub offset: u64,
    /// What was found there.
    pub found: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {} at byte {}", self.file.display(), self.found, self.offset)
    }
}

/// What is known to be damaged, since the start.
#[derive(Default)]
pub(super) struct Damages {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    listed: BTreeMap<(PathBuf, u64), String>,
    files: BTreeSet<PathBuf>,
}

impl Damages {
    /// By file and place.
    pub(super) fn list(&self) -> Vec<Damage> {
        let known = self.known.lock();
        let damage = |((file, offset), found): (&(PathBuf, u64), &String)| Damage {
            file: file.clone(),
            offset: *offset,
            found: found.clone(),
        };
        known.listed.iter().map(damage).collect()
    }

    /// Whether something in this file is damaged.
    pub(super) fn concern(&self, file: &Path) -> bool {
        self.known.lock().files.contains(file)
    }

    /// Whether that was new.
    fn add(&self, damage: &Damage) -> bool {
        let mut known = self.known.lock();
        let first_of_file = known.files.insert(damage.file.clone());
        if known.listed.len() >= LISTED_MAX {
            return first_of_file;
        }
        known.listed.insert((damage.file.clone(), damage.offset), damage.found.clone()).is_none()
    }
}

impl Store {
    /// Remembers damage, and gives the sentence that an answer without it carries.
    ///
    /// # Errors
    /// Any other error, as it is.
    pub(super) fn quarantine(&self, error: StoreError) -> Result<String, StoreError> {
        let StoreError::Corrupt { file, offset, found } = error else { return Err(error) };
        let damage = Damage { file, offset, found };
        if self.damages.add(&damage) {
            self.metrics.damages.inc();
            tracing::error!(%damage, "damaged data is left out; the rest is served");
        }
        Ok(format!("left out, since it is damaged: {damage}"))
    }

    /// Appends the rows of a chunk that may lie inside `range` to `into`. A damaged one adds nothing but a warning.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(super) fn read_or_skip(
        &self,
        part: &Part,
        chunk: &ChunkRef,
        range: TimeRange,
        into: &mut Column,
        warnings: &Warnings,
    ) -> Result<(), StoreError> {
        let (rows, starts) = (into.len(), into.starts.len());
        let Err(error) = part.read_rows(chunk, range, into) else { return Ok(()) };
        // A chunk may turn out to be bad half-way.
        into.at.truncate(rows);
        into.values.truncate(rows);
        into.histograms.retain(|(row, _)| *row < rows);
        into.starts.truncate(starts);
        warnings.add(self.quarantine(error)?);
        Ok(())
    }
}
