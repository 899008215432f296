//! Rows that name series, many at a time.
//!
//! A row holds the series of 4,096 neighbouring ids: each label pair once, and for each series the numbers of its
//! pairs, column by column, since neighbours differ in few labels. Beside it stands a row with a hash of each series'
//! labels, so that one can tell which row may hold a series without reading any. docs/format.md has every byte.

use std::sync::OnceLock;

use hashbrown::HashMap;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::Labels;
use crate::store::StoreError;

use super::super::bytes::{Reader, put_bytes, put_i64, put_u64};

/// Ids of one row.
pub(crate) const ROW_SERIES: u32 = 4096;
/// No row is larger before compression.
const ROW_BYTES_MAX: usize = 1 << 30;
const ZSTD_LEVEL: i32 = 1;

/// A series of a row: id, group, labels.
pub(crate) type Named = (u32, u32, Labels);

/// The hash that leads to a row. Labels are compared there.
pub(crate) fn hash_of(labels: &Labels) -> u32 {
    (xxh3_64(labels.as_packed().as_bytes()) >> 32) as u32
}

/// The hashes of a row's series, as a value.
pub(crate) fn encode_hashes(series: &[Named]) -> Vec<u8> {
    let mut hashes: Vec<u32> = series.iter().map(|(.., labels)| hash_of(labels)).collect();
    hashes.sort_unstable();
    let (mut out, mut last) = (Vec::with_capacity(4 * hashes.len()), 0);
    for hash in hashes {
        put_u64(&mut out, u64::from(hash - last));
        last = hash;
    }
    out
}

/// The hashes in such a value.
pub(crate) fn decode_hashes(value: &[u8]) -> Option<Vec<u32>> {
    let (mut reader, mut hashes, mut last) = (Reader::new(value), Vec::new(), 0_u32);
    while !reader.is_empty() {
        last = last.checked_add(reader.u32()?)?;
        hashes.push(last);
    }
    Some(hashes)
}

/// Numbers the pairs of a row by first use.
#[derive(Default)]
struct PairTable<'a> {
    names: Vec<&'a str>,
    name_numbers: HashMap<&'a str, usize>,
    /// The value that each name had last.
    last_values: Vec<&'a str>,
    numbers: HashMap<(&'a str, &'a str), u32>,
    text: Vec<u8>,
}

impl<'a> PairTable<'a> {
    fn number(&mut self, name: &'a str, value: &'a str) -> u32 {
        if let Some(number) = self.numbers.get(&(name, value)) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert((name, value), number);
        let name = *self.name_numbers.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.last_values.push("");
            self.names.len() - 1
        });
        let shared = shared_bytes(self.last_values[name], value);
        put_u64(&mut self.text, name as u64);
        put_u64(&mut self.text, shared as u64);
        put_bytes(&mut self.text, &value.as_bytes()[shared..]);
        self.last_values[name] = value;
        number
    }
}

fn shared_bytes(left: &str, right: &str) -> usize {
    left.bytes().zip(right.bytes()).take_while(|(left, right)| left == right).count()
}

/// The value of a row: series by id, each below the same multiple of [`ROW_SERIES`].
pub(crate) fn encode(series: &[Named]) -> Result<Vec<u8>, StoreError> {
    let mut table = PairTable::default();
    let mut lists: Vec<Vec<u32>> = Vec::with_capacity(series.len());
    for (place, (.., labels)) in series.iter().enumerate() {
        // Neighbours share most pairs in the same place: those need no look-up.
        let mut before = place.checked_sub(1).map(|place| series[place].2.iter().zip(lists[place].iter()));
        let mut list = Vec::with_capacity(16);
        for (name, value) in labels {
            match before.as_mut().and_then(Iterator::next) {
                Some((pair, number)) if pair == (name, value) => list.push(*number),
                _ => list.push(table.number(name, value)),
            }
        }
        lists.push(list);
    }
    let mut plain = Vec::with_capacity(table.text.len() + 20 * series.len());
    put_u64(&mut plain, table.names.len() as u64);
    table.names.iter().for_each(|name| put_bytes(&mut plain, name.as_bytes()));
    put_u64(&mut plain, table.numbers.len() as u64);
    plain.extend_from_slice(&table.text);
    put_u64(&mut plain, series.len() as u64);
    let mut next = 0;
    for (id, ..) in series {
        let place = id % ROW_SERIES;
        put_u64(&mut plain, u64::from(place - next));
        next = place + 1;
    }
    series.iter().for_each(|(_, group, _)| put_u64(&mut plain, u64::from(*group)));
    lists.iter().for_each(|list| put_u64(&mut plain, list.len() as u64));
    for column in 0..lists.iter().map(Vec::len).max().unwrap_or(0) {
        let mut last = 0;
        for pair in lists.iter().filter_map(|list| list.get(column)) {
            put_i64(&mut plain, i64::from(*pair) - last);
            last = i64::from(*pair);
        }
    }
    let mut out = Vec::new();
    put_u64(&mut out, plain.len() as u64);
    let squeezed = zstd::bulk::compress(&plain, ZSTD_LEVEL).map_err(StoreError::io("compress names"))?;
    out.extend_from_slice(&squeezed);
    Ok(out)
}

/// A row that was read.
#[derive(Debug)]
pub(crate) struct SeriesRow {
    series: Vec<RowSeries>,
    /// The pairs of all series, one series behind the other.
    lists: Vec<u32>,
    /// The name of each pair, and where its value ends.
    pairs: Vec<(u32, u32)>,
    names: Vec<Box<str>>,
    /// The values of all pairs, one behind the other.
    values: String,
    by_hash: OnceLock<Vec<(u32, u32)>>,
}

#[derive(Debug)]
struct RowSeries {
    id: u32,
    group: u32,
    /// Where its list ends.
    end: u32,
}

impl SeriesRow {
    /// Reads the row with this number; `None` where the bytes make no sense.
    pub(crate) fn decode(number: u32, value: &[u8]) -> Option<SeriesRow> {
        let mut reader = Reader::new(value);
        let length = reader.usize().filter(|length| *length <= ROW_BYTES_MAX)?;
        let plain = zstd::bulk::decompress(reader.take(reader.remaining())?, length).ok()?;
        let mut reader = Reader::new(&plain);
        let names: Vec<Box<str>> = (0..reader.count()?).map(|_| reader.text().map(Box::from)).collect::<Option<_>>()?;
        let (mut pairs, mut values): (Vec<(u32, u32)>, Vec<u8>) = (Vec::new(), Vec::new());
        let mut last_values = vec![0..0; names.len()];
        for _ in 0..reader.count()? {
            let name = reader.usize().filter(|name| *name < names.len())?;
            let last: std::ops::Range<usize> = last_values[name].clone();
            let shared = reader.usize().filter(|shared| *shared <= last.len())?;
            let start = values.len();
            values.extend_from_within(last.start..last.start + shared);
            values.extend_from_slice(reader.bytes()?);
            last_values[name] = start..values.len();
            pairs.push((name as u32, u32::try_from(values.len()).ok()?));
        }
        let values = String::from_utf8(values).ok()?;
        if !pairs.iter().all(|(_, end)| values.is_char_boundary(*end as usize)) {
            return None;
        }
        let count = reader.count().filter(|count| *count <= ROW_SERIES as usize)?;
        let (mut series, mut next) = (Vec::with_capacity(count), 0_u32);
        for _ in 0..count {
            let place = next.checked_add(reader.u32()?).filter(|place| *place < ROW_SERIES)?;
            series.push(RowSeries { id: number.checked_mul(ROW_SERIES)? + place, group: 0, end: 0 });
            next = place + 1;
        }
        for one in &mut series {
            one.group = reader.u32()?;
        }
        let (mut end, mut longest) = (0_u32, 0);
        let mut starts = Vec::with_capacity(count);
        for one in &mut series {
            let length = reader.count()?;
            starts.push(end as usize);
            end = end.checked_add(u32::try_from(length).ok()?)?;
            one.end = end;
            longest = longest.max(length);
        }
        // Each number of a list takes a byte: a damaged length allocates nothing big.
        if end as usize > reader.remaining() {
            return None;
        }
        let mut lists = vec![0; end as usize];
        for column in 0..longest {
            let mut last = 0_i64;
            for (one, start) in series.iter().zip(&starts) {
                if start + column < one.end as usize {
                    last = last.checked_add(reader.i64()?)?;
                    lists[start + column] = u32::try_from(last).ok().filter(|pair| (*pair as usize) < pairs.len())?;
                }
            }
        }
        reader.is_empty().then_some(())?;
        Some(SeriesRow { series, lists, pairs, names, values, by_hash: OnceLock::new() })
    }

    /// Ids and groups of its series, by id; with each the numbers of its pairs in this row.
    pub(crate) fn series(&self) -> impl Iterator<Item = (u32, u32, &[u32])> {
        let mut start = 0;
        self.series.iter().map(move |one| {
            let list = &self.lists[start..one.end as usize];
            start = one.end as usize;
            (one.id, one.group, list)
        })
    }

    /// Whether the row has a series with this id.
    pub(crate) fn contains(&self, id: u32) -> bool {
        self.series.binary_search_by_key(&id, |one| one.id).is_ok()
    }

    /// How many pairs the row has.
    pub(crate) fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// A pair of the row.
    pub(crate) fn pair(&self, number: u32) -> (&str, &str) {
        let (name, end) = self.pairs[number as usize];
        let start = number.checked_sub(1).map_or(0, |before| self.pairs[before as usize].1);
        (&self.names[name as usize], &self.values[start as usize..end as usize])
    }

    fn labels(&self, list: &[u32]) -> Labels {
        Labels::from_sorted(list.iter().map(|pair| self.pair(*pair)))
    }

    /// All series with their labels.
    pub(crate) fn named(&self) -> Vec<Named> {
        self.series().map(|(id, group, list)| (id, group, self.labels(list))).collect()
    }

    /// Id and group of the series with these labels. The hash narrows the search down; labels decide.
    pub(crate) fn find(&self, hash: u32, labels: &Labels) -> Option<(u32, u32)> {
        let by_hash = self.by_hash.get_or_init(|| {
            let hashes =
                self.series().enumerate().map(|(place, (.., list))| (hash_of(&self.labels(list)), place as u32));
            let mut hashes: Vec<(u32, u32)> = hashes.collect();
            hashes.sort_unstable();
            hashes
        });
        let first = by_hash.partition_point(|(known, _)| *known < hash);
        by_hash[first..].iter().take_while(|(known, _)| *known == hash).find_map(|(_, place)| {
            let place = *place as usize;
            let start = place.checked_sub(1).map_or(0, |before| self.series[before].end) as usize;
            let one = &self.series[place];
            let same = self.labels(&self.lists[start..one.end as usize]) == *labels;
            same.then_some((one.id, one.group))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn labels() -> impl Strategy<Value = Labels> {
        proptest::collection::btree_map("[a-c]{1,2}", "\\PC{1,3}|long-[0-9]{1,90}", 0..6).prop_map(Labels::from_pairs)
    }

    proptest! {
        #[test]
        fn a_row_comes_back_and_finds_each_of_its_series(
            number in 0_u32..(u32::MAX / ROW_SERIES),
            series in proptest::collection::btree_map(0..ROW_SERIES, (0_u32..3, labels()), 0..60),
        ) {
            let mut distinct = BTreeMap::new();
            for (place, (group, labels)) in series {
                distinct.entry(labels).or_insert((number * ROW_SERIES + place, group));
            }
            let mut series: Vec<Named> = distinct.into_iter().map(|(labels, (id, group))| (id, group, labels)).collect();
            series.sort_unstable_by_key(|(id, ..)| *id);
            let row = SeriesRow::decode(number, &encode(&series).expect("encodes")).expect("its own bytes");
            prop_assert_eq!(&row.named(), &series);
            let mut hashes = decode_hashes(&encode_hashes(&series)).expect("its own bytes");
            for (id, group, labels) in &series {
                prop_assert!(row.contains(*id));
                prop_assert_eq!(row.find(hash_of(labels), labels), Some((*id, *group)));
                let place = hashes.iter().position(|hash| *hash == hash_of(labels)).expect("a hash for each series");
                hashes.swap_remove(place);
            }
            prop_assert!(hashes.is_empty());
        }

        #[test]
        fn bytes_that_make_no_sense_are_no_row(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut value = Vec::new();
            put_u64(&mut value, bytes.len() as u64);
            value.extend(zstd::bulk::compress(&bytes, 1).expect("compresses"));
            // Whatever it says, it says it without a panic.
            drop(SeriesRow::decode(3, &value));
            drop(SeriesRow::decode(3, &bytes));
            drop(decode_hashes(&bytes));
        }
    }

    #[test]
    fn labels_decide_where_hashes_are_equal() {
        let series: Vec<Named> =
            (0..20).map(|id| (id, 0, Labels::from_pairs([("__name__", format!("m{id}"))]))).collect();
        let row = SeriesRow::decode(0, &encode(&series).expect("encodes")).expect("its own bytes");
        row.by_hash.set((0..20).map(|place| (7, place)).collect()).expect("not read yet");
        for (id, _, labels) in &series {
            assert_eq!(row.find(7, labels), Some((*id, 0)));
        }
        assert_eq!(row.find(7, &Labels::from_pairs([("__name__", "other")])), None);
    }
}
