//! The index inside a part: for each label name its values, and for each value the ordinals that carry it.
//!
//! Ordinals come in order while a part is written, and neighbours often share a value: a set is gathered as runs, a few
//! bytes each, and written as runs. Values are compared with that of the series before, so most of them are not hashed.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use roaring::RoaringBitmap;

use crate::model::Labels;
use crate::store::StoreError;

use super::super::bytes::{Reader, put_bytes, put_u64};
use super::super::chunk::{put_integers, take_integers};
use super::super::index::Postings;
use super::super::index::answers::Answers;
use super::Part;
use super::blocks::{BlockFile, BlockTable};
use super::labels::{put_shared, take_shared};

/// Values of one block, and bytes after which a block is full.
const BLOCK_VALUES: usize = 128;
const BLOCK_BYTES: usize = 64 << 10;
/// Up to so many ordinals may be written as a list of distances.
const LIST_MAX: u32 = 32;

/// The index of a part being written.
#[derive(Default)]
pub(super) struct PostingsWriter {
    names: Vec<NameWriter>,
    by_name: HashMap<Box<str>, usize, FixedState>,
    /// The names of the series before, in its order.
    recent: Vec<usize>,
    hasher: FixedState,
}

/// The values of one label name.
struct NameWriter {
    name: Box<str>,
    values: Vec<ValueWriter>,
    by_value: HashTable<u32>,
    /// The value met last.
    recent: usize,
}

/// The ordinals of one value, as runs.
struct ValueWriter {
    value: Box<str>,
    /// Of each finished run: distance from the end of the one before, length less one.
    runs: Vec<u8>,
    finished: u32,
    count: u32,
    /// Where the run before the open one ends, and the open run.
    before: u32,
    start: u32,
    end: u32,
}

impl PostingsWriter {
    /// Adds a series; ordinals rise.
    pub(super) fn add(&mut self, ordinal: u32, labels: &Labels) {
        for (place, (name, value)) in labels.iter().enumerate() {
            let known = self.recent.get(place).copied().filter(|known| *self.names[*known].name == *name);
            let number = known.unwrap_or_else(|| self.number_of(name));
            match self.recent.get_mut(place) {
                Some(recent) => *recent = number,
                None => self.recent.push(number),
            }
            self.names[number].add(ordinal, value, &self.hasher);
        }
    }

    fn number_of(&mut self, name: &str) -> usize {
        if let Some(number) = self.by_name.get(name) {
            return *number;
        }
        let (number, name) = (self.names.len(), Box::<str>::from(name));
        self.by_name.insert(name.clone(), number);
        self.names.push(NameWriter { name, values: Vec::new(), by_value: HashTable::new(), recent: 0 });
        number
    }

    /// Appends names, sorted, with tables of blocks and first values; `put` writes the blocks and their table.
    pub(super) fn finish(
        mut self,
        tables: &mut Vec<u8>,
        mut put: impl FnMut(&[Vec<u8>], &mut Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.names.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        put_u64(tables, self.names.len() as u64);
        for mut table in self.names {
            put_bytes(tables, table.name.as_bytes());
            table.values.sort_unstable_by(|left, right| left.value.cmp(&right.value));
            let (mut blocks, mut open, mut firsts) = (Vec::new(), Vec::new(), Vec::new());
            let (mut in_open, mut last): (usize, &str) = (0, "");
            for value in &table.values {
                if in_open == 0 {
                    last = "";
                    firsts.push(&value.value);
                }
                put_shared(&mut open, last.as_bytes(), value.value.as_bytes());
                value.write(&mut open);
                (last, in_open) = (&value.value, in_open + 1);
                if in_open == BLOCK_VALUES || open.len() >= BLOCK_BYTES {
                    blocks.push(std::mem::take(&mut open));
                    in_open = 0;
                }
            }
            if in_open > 0 {
                blocks.push(open);
            }
            put(&blocks, tables)?;
            firsts.into_iter().for_each(|first| put_bytes(tables, first.as_bytes()));
        }
        Ok(())
    }
}

impl NameWriter {
    fn add(&mut self, ordinal: u32, value: &str, hasher: &FixedState) {
        if self.values.get(self.recent).is_none_or(|recent| *recent.value != *value) {
            let hash = hasher.hash_one(value);
            self.recent = match self.by_value.find(hash, |known| *self.values[*known as usize].value == *value) {
                Some(known) => *known as usize,
                None => {
                    let number = self.values.len();
                    self.values.push(ValueWriter {
                        value: value.into(),
                        runs: Vec::new(),
                        finished: 0,
                        count: 0,
                        before: 0,
                        start: ordinal,
                        end: ordinal,
                    });
                    let values = &self.values;
                    let rehash = |known: &u32| hasher.hash_one(&*values[*known as usize].value);
                    self.by_value.insert_unique(hash, number as u32, rehash);
                    number
                }
            };
        }
        self.values[self.recent].add(ordinal);
    }
}

impl ValueWriter {
    fn add(&mut self, ordinal: u32) {
        if ordinal != self.end {
            put_u64(&mut self.runs, u64::from(self.start - self.before));
            put_u64(&mut self.runs, u64::from(self.end - self.start - 1));
            self.finished += 1;
            (self.before, self.start) = (self.end, ordinal);
        }
        self.end = ordinal + 1;
        self.count += 1;
    }

    /// Count and form in one number, then distances, or runs.
    fn write(&self, out: &mut Vec<u8>) {
        let count = self.finished as usize + 1;
        let (mut gaps, mut lengths) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut reader = Reader::new(&self.runs);
        while let (Some(gap), Some(length)) = (reader.u64(), reader.u64()) {
            gaps.push(gap as i64);
            lengths.push(length as i64);
        }
        gaps.push(i64::from(self.start - self.before));
        lengths.push(i64::from(self.end - self.start - 1));
        let mut list = Vec::new();
        if self.count <= LIST_MAX {
            let (mut before, mut last) = (0, 0);
            for (gap, length) in gaps.iter().zip(&lengths) {
                for ordinal in before + gap..=before + gap + length {
                    put_u64(&mut list, (ordinal - last) as u64);
                    last = ordinal;
                }
                before += gap + length + 1;
            }
        }
        let mut runs = Vec::new();
        put_u64(&mut runs, count as u64);
        put_u64(&mut runs, gaps[0] as u64);
        put_integers(&gaps[1..], &mut runs);
        put_integers(&lengths, &mut runs);
        let listed = self.count <= LIST_MAX && list.len() <= runs.len() + 1;
        put_u64(out, u64::from(self.count) << 1 | u64::from(!listed));
        if listed {
            out.extend_from_slice(&list);
        } else {
            put_bytes(out, &runs);
        }
    }
}

/// The values of one label in an open part.
pub(super) struct NameTable {
    pub(super) name: Box<str>,
    pub(super) blocks: BlockTable,
    /// The first value of each block.
    firsts: Vec<Box<str>>,
}

/// Gets a value and a way to decode its ordinals; says whether to go on.
pub(crate) type EachValue<'e> = dyn FnMut(&str, &mut dyn FnMut() -> Option<RoaringBitmap>) -> bool + 'e;

impl NameTable {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<NameTable> {
        let name = reader.text()?.into();
        let blocks = BlockTable::read(reader)?;
        let firsts = (0..blocks.len()).map(|_| reader.text().map(Box::from)).collect::<Option<_>>()?;
        Some(NameTable { name, blocks, firsts })
    }

    /// Goes through the values, from the block where `from` would stand.
    pub(super) fn walk(
        &self,
        file: &BlockFile,
        version: u32,
        from: &str,
        each: &mut EachValue<'_>,
    ) -> Result<(), StoreError> {
        let first = self.firsts.partition_point(|first| **first <= *from).saturating_sub(1);
        for number in first..self.blocks.len() {
            let block = file.kept_block(&self.blocks, number)?;
            let broken = || file.corrupt(self.blocks.offset(number), "broken postings");
            let (mut reader, mut value) = (Reader::new(&block), Vec::new());
            while !reader.is_empty() {
                take_shared(&mut reader, &mut value).ok_or_else(broken)?;
                let value = std::str::from_utf8(&value).map_err(|_| broken())?;
                let list = OrdinalsBytes::take(&mut reader).ok_or_else(broken)?;
                let mut bad = false;
                let go_on = each(value, &mut || {
                    let ordinals = list.clone().decode(version);
                    bad = ordinals.is_none();
                    ordinals
                });
                if bad {
                    return Err(broken());
                }
                if !go_on {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// A set of ordinals, not yet decoded.
#[derive(Clone)]
struct OrdinalsBytes<'a> {
    count: u64,
    /// Runs, or in format 1 a roaring bitmap; otherwise there is a list.
    packed: Option<&'a [u8]>,
    list: Reader<'a>,
}

impl<'a> OrdinalsBytes<'a> {
    fn take(reader: &mut Reader<'a>) -> Option<OrdinalsBytes<'a>> {
        let head = reader.u64()?;
        let (count, list) = (head >> 1, reader.clone());
        if head & 1 == 1 {
            return Some(OrdinalsBytes { count, packed: Some(reader.bytes()?), list });
        }
        for _ in 0..count {
            reader.u64()?;
        }
        Some(OrdinalsBytes { count, packed: None, list })
    }

    fn decode(self, version: u32) -> Option<RoaringBitmap> {
        match self.packed {
            Some(bitmap) if version == 1 => {
                RoaringBitmap::deserialize_from(bitmap).ok().filter(|bitmap| bitmap.len() == self.count)
            }
            Some(runs) => decode_runs(runs).filter(|ordinals| ordinals.len() == self.count),
            None => {
                let (mut reader, mut ordinals, mut last) = (self.list, RoaringBitmap::new(), 0_u32);
                for _ in 0..self.count {
                    last = last.checked_add(reader.u32()?)?;
                    ordinals.insert(last);
                }
                Some(ordinals)
            }
        }
    }
}

fn decode_runs(bytes: &[u8]) -> Option<RoaringBitmap> {
    let mut reader = Reader::new(bytes);
    let runs = reader.usize().filter(|runs| *runs > 0)?;
    let mut end = reader.u32()?;
    let mut rest = reader.take(reader.remaining())?;
    let (mut gaps, mut lengths) = (vec![0], Vec::new());
    take_integers(&mut rest, runs - 1, &mut gaps).ok()?;
    take_integers(&mut rest, runs, &mut lengths).ok()?;
    let mut ordinals = RoaringBitmap::new();
    for (gap, length) in gaps.into_iter().zip(lengths) {
        let start = end.checked_add(u32::try_from(gap).ok()?)?;
        end = start.checked_add(u32::try_from(length).ok()?)?.checked_add(1)?;
        match length {
            0 => ordinals.try_push(start).ok()?,
            _ => drop(ordinals.insert_range(start..end)),
        }
    }
    rest.is_empty().then_some(ordinals)
}

impl Part {
    /// Goes through the values of one label, from the block where `from` would stand; `each` says whether to go on.
    pub(crate) fn walk_values(&self, name: &str, from: &str, each: &mut EachValue<'_>) -> Result<(), StoreError> {
        match self.names.binary_search_by(|table| (*table.name).cmp(name)) {
            Ok(place) => self.names[place].walk(&self.file, self.version, from, each),
            Err(_) => Ok(()),
        }
    }
}

impl Part {
    /// The names of the labels that its series carry, sorted.
    pub(crate) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|table| &*table.name)
    }

    /// How many values a label may have, as far as the tables tell.
    pub(crate) fn values_at_most(&self, name: &str) -> u64 {
        let place = self.names.binary_search_by(|table| (*table.name).cmp(name));
        place.map_or(0, |place| (self.names[place].blocks.len() * BLOCK_VALUES) as u64)
    }
}

impl Postings for Part {
    fn all(&self) -> Result<RoaringBitmap, StoreError> {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.meta().series);
        Ok(all)
    }

    fn with_value(&self, name: &str, value: &str) -> Result<RoaringBitmap, StoreError> {
        let mut found = RoaringBitmap::new();
        self.walk_values(name, value, &mut |known, ordinals| {
            if known == value
                && let Some(ordinals) = ordinals()
            {
                found = ordinals;
            }
            known < value
        })?;
        Ok(found)
    }

    fn with_values(
        &self,
        name: &str,
        prefix: &str,
        passes: &dyn Fn(&str) -> bool,
    ) -> Result<RoaringBitmap, StoreError> {
        let mut found = RoaringBitmap::new();
        self.walk_values(name, prefix, &mut |value, ordinals| {
            if passes(value)
                && let Some(ordinals) = ordinals()
            {
                found |= ordinals;
            }
            value < prefix || value.starts_with(prefix)
        })?;
        Ok(found)
    }

    fn answers(&self) -> Option<&Answers> {
        Some(&self.answers)
    }
}
