//! Looks at every byte of a part, and says what is in it.
//!
//! A read checks what it reads and no more; this reads all, so that damage is known before somebody needs the rows. One
//! damaged block hides nothing else: the look goes on behind it.

use std::collections::BTreeMap;

use crate::model::{Column, Labels};
use crate::store::StoreError;

use super::super::damages::Damage;
use super::blocks::BlockTable;
use super::{BLOCK_SERIES, ChunkRef, HEADER_BYTES, Part};

/// The blocks of one kind in a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// As docs/format.md calls it; postings of each label name are a kind.
    pub(crate) name: String,
    /// With their checksums.
    pub(crate) bytes: u64,
}

/// The series that a damage costs, by where it is and what it is.
#[derive(Default)]
struct Losses {
    /// The first of them, and how many more.
    series: BTreeMap<(u64, String), (String, u64)>,
}

impl Losses {
    fn add(&mut self, error: StoreError, name: impl FnOnce() -> String) {
        let place = match error {
            StoreError::Corrupt { offset, found, .. } => (offset, found),
            other => (0, other.to_string()),
        };
        self.series.entry(place).and_modify(|(_, more)| *more += 1).or_insert_with(|| (name(), 0));
    }
}

impl Part {
    /// Reads every block, decodes every chunk, and reports what is damaged, each block once, with the series that it
    /// costs. Tells how many rows are good. Header, footer and tables were checked when the part was opened.
    pub(crate) fn verify(&self, report: &mut dyn FnMut(Damage)) -> u64 {
        let (mut losses, mut rows) = (Losses::default(), 0);
        let mut last_labels: Option<Labels> = None;
        for number in 0..(self.meta().series as usize).div_ceil(BLOCK_SERIES) {
            let name = || format!("series {} and on", number * BLOCK_SERIES);
            let labels = self.labels.all_of(&self.file, number).unwrap_or_else(|error| {
                losses.add(error, name);
                Vec::new()
            });
            for labels in &labels {
                if last_labels.as_ref().is_some_and(|last| last >= labels) {
                    let offset = self.labels.table().offset(number);
                    losses.add(self.file.corrupt(offset, "labels out of order"), || labels.to_string());
                }
                last_labels = Some(labels.clone());
            }
            let block = match self.directory_block(number) {
                Ok(block) => block,
                Err(error) => {
                    losses.add(error, name);
                    continue;
                }
            };
            for (place, (series, chunks)) in block.iter().enumerate() {
                for chunk in chunks {
                    match self.verify_chunk(chunk) {
                        Ok(()) => rows += u64::from(chunk.rows),
                        Err(error) => losses.add(error, || match labels.get(place) {
                            Some(labels) => labels.to_string(),
                            None => format!("series id {}", series.id),
                        }),
                    }
                }
            }
        }
        self.verify_index(&mut losses);
        if losses.series.is_empty() && rows != self.meta().rows {
            let found = format!("{rows} rows where the tables count {}", self.meta().rows);
            losses.add(self.file.corrupt(0, &found), || "the whole part".into());
        }
        for ((offset, found), (first, more)) in losses.series {
            let others = if more == 0 { String::new() } else { format!(" and {more} more") };
            let found = format!("{found}, which costs {first}{others},");
            report(Damage { file: self.path().to_path_buf(), offset, found });
        }
        rows
    }

    fn verify_chunk(&self, chunk: &ChunkRef) -> Result<(), StoreError> {
        let mut column = Column::default();
        self.read_chunk(chunk, &mut column)?;
        let as_told = column.len() == chunk.rows as usize
            && column.values.len() == column.len()
            && column.at.first() == Some(&chunk.first)
            && column.at.last() == Some(&chunk.last);
        let otherwise = || self.file.corrupt(self.offset_of(chunk), "a chunk of other rows than the directory says");
        if as_told { Ok(()) } else { Err(otherwise()) }
    }

    fn verify_index(&self, losses: &mut Losses) {
        if let Err(error) = self.read_ids()
            && self.version == 1
        {
            losses.add(error, || "ids".into());
        }
        for table in &self.names {
            let mut beyond = false;
            let walked = table.walk(&self.file, self.version, "", &mut |_, ordinals| {
                beyond |= ordinals().and_then(|ordinals| ordinals.max()).is_some_and(|max| max >= self.meta().series);
                true
            });
            let found = match walked {
                Ok(()) if beyond => {
                    Err(self.file.corrupt(table.blocks.offset(0), "postings of more series than there are"))
                }
                walked => walked,
            };
            if let Err(error) = found {
                losses.add(error, || format!("postings of {}", table.name));
            }
        }
    }

    /// What the part consists of, in the order of the file; header, tables and footer are what is missing.
    pub(crate) fn describe(&self) -> Vec<Kind> {
        let kind = |name: &str, table: &BlockTable| Kind { name: name.to_owned(), bytes: table.bytes() };
        let mut kinds = match self.version {
            1 => {
                let bytes = self.directory.offset(0).saturating_sub(HEADER_BYTES as u64);
                vec![Kind { name: "chunks".into(), bytes }]
            }
            _ => vec![kind("chunks", &self.chunks), kind("times", &self.times), kind("columns", &self.heads)],
        };
        kinds.extend([kind("directory", &self.directory), kind("labels", self.labels.table())]);
        if self.version == 1 {
            kinds.push(kind("ids", &self.ids));
        }
        kinds.extend(self.names.iter().map(|table| kind(&format!("postings of {}", table.name), &table.blocks)));
        kinds
    }
}
