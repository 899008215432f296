//! Looks at every byte of a part, and says what is in it.
//!
//! A read checks what it reads and no more; this reads all, so that damage is known before somebody needs the rows. One
//! damaged block hides nothing else: the look goes on behind it.

#![allow(dead_code, reason = "`weir store verify` and `dump` call it")]

use std::path::PathBuf;

use crate::model::Column;
use crate::store::StoreError;

use super::{BLOCK_SERIES, Part};

/// Something in a part that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) file: PathBuf,
    /// Where the damaged block begins.
    pub(crate) offset: u64,
    /// What is wrong, and whose it is where that is known.
    pub(crate) what: String,
}

/// The blocks of one kind in a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// As docs/format.md calls it; postings of each label name are a kind.
    pub(crate) name: String,
    pub(crate) blocks: u64,
    /// With their checksums.
    pub(crate) bytes: u64,
}

impl Part {
    /// Reads every block, decodes every chunk, and reports what is damaged. Header, footer and tables were checked when
    /// the part was opened.
    pub(crate) fn verify(&self, report: &mut dyn FnMut(Damage)) {
        let (mut rows, whole) = (0, std::cell::Cell::new(true));
        let mut report = |error: StoreError, whose: &str| {
            whole.set(false);
            report(self.damage(error, whose));
        };
        let blocks = (self.meta().series as usize).div_ceil(BLOCK_SERIES);
        let (mut last_labels, mut column) = (None, Column::default());
        for number in 0..blocks {
            let series_in_block = BLOCK_SERIES.min(self.meta().series as usize - number * BLOCK_SERIES);
            let labels = match self.label_block(number) {
                Ok(labels) => labels,
                Err(error) => {
                    report(error, "");
                    Vec::new()
                }
            };
            for labels in &labels {
                if last_labels.as_ref().is_some_and(|last| last >= labels) {
                    report(self.corrupt(0, "labels out of order"), &labels.to_string());
                }
                last_labels = Some(labels.clone());
            }
            let entries = match self.directory_block(number) {
                Ok(entries) if entries.len() == series_in_block => entries,
                Ok(_) => {
                    report(self.corrupt(0, "a directory of another length"), &format!("block {number}"));
                    continue;
                }
                Err(error) => {
                    report(error, "");
                    continue;
                }
            };
            for (place, (series, chunks)) in entries.iter().enumerate() {
                for chunk in chunks {
                    column.clear();
                    let read = self.read_chunk(chunk, &mut column);
                    let ends = (column.at.first().copied(), column.at.last().copied());
                    let found = match read {
                        Ok(()) if ends == (Some(chunk.first), Some(chunk.last)) => Ok(()),
                        Ok(()) => Err(self.corrupt(chunk.offset(), "a chunk of other times than its directory says")),
                        Err(error) => Err(error),
                    };
                    rows += column.len() as u64;
                    if let Err(error) = found {
                        let named = labels.get(place).map_or_else(|| format!("id {}", series.id), |l| l.to_string());
                        report(error, &named);
                    }
                }
            }
        }
        for error in self.verify_index() {
            report(error, "");
        }
        if whole.get() && rows != self.meta().rows {
            report(self.corrupt(0, "other rows than the tables count"), &format!("{rows} rows"));
        }
    }

    fn damage(&self, error: StoreError, whose: &str) -> Damage {
        let (offset, mut what) = match error {
            StoreError::Corrupt { offset, found, .. } => (offset, found),
            other => (0, other.to_string()),
        };
        if !whose.is_empty() {
            what = format!("{what}: {whose}");
        }
        Damage { file: self.path().to_path_buf(), offset, what }
    }
}
