//! What the keys of the catalogue mean. docs/format.md holds the same table with every byte.
//!
//! The first byte is the kind of row; numbers inside keys are big-endian, so that the order of keys is the order of
//! numbers. A first byte once used is never used for anything else, also when its kind of row is gone.

use xxhash_rust::xxh3::xxh3_128;

use crate::model::Labels;

use super::super::bytes::{Reader, put_bytes, put_u64};

/// The store's own format version: the first row ever written. Value: one varint.
pub(crate) const FORMAT: &[u8] = b"F";
/// The lowest log segment that recovery reads. Value: one varint.
pub(crate) const LOG_FLOOR: &[u8] = b"W";
/// The number of the next part; parts are never renumbered. Value: one varint.
pub(crate) const NEXT_PART: &[u8] = b"N";
/// The numbers below that one which were given out, and neither named nor given up. Value: varints.
pub(crate) const OPEN_PARTS: &[u8] = b"o";
/// `P` + part number: a part of the manifest. Value: empty, the part describes itself.
pub(crate) const PARTS: &[u8] = b"P";
/// `g` + group number: an HA group. Value: its name, then the names of its replicas in the order of lanes.
pub(crate) const GROUPS: &[u8] = b"g";
/// `r` + group number: who leads in an HA group from when on. Value: see [`lanes`](super::super::resolve::lanes).
pub(crate) const RANKS: &[u8] = b"r";
/// `S` + id / 4,096: the series with these ids. See [`series`](super::series).
pub(crate) const SERIES_ROWS: &[u8] = b"S";
/// `h` + id / 4,096: hashes of their labels.
pub(crate) const SERIES_HASHES: &[u8] = b"h";
/// `s` + series id: a series, in format 1. Value: group number, packed labels.
pub(crate) const SERIES: &[u8] = b"s";
/// `l` + xxh3-128 of the packed labels: finds series by their labels, in format 1.
pub(crate) const BY_LABELS: &[u8] = b"l";
/// The id that the next new series gets. Value: one varint.
pub(crate) const NEXT_SERIES: &[u8] = b"n";
/// `t` + number: a deletion. Value: the last part it touches, start, end, series ids as a roaring bitmap.
pub(crate) const DELETIONS: &[u8] = b"t";
/// `j` + key: an entry of the journal, which belongs to other rooms.
pub(crate) const JOURNAL: &[u8] = b"j";
/// `x` + number: exemplars in the order of arrival. Value: count, then series id, time, value and packed labels of each.
pub(crate) const EXEMPLARS: &[u8] = b"x";
/// `m` + metric name: what senders say of a metric. Value: count, then kind, help and unit of each.
pub(crate) const METADATA: &[u8] = b"m";

/// A kind of row with a number behind it.
pub(crate) fn numbered(prefix: &[u8], number: u64) -> Vec<u8> {
    [prefix, &number.to_be_bytes()].concat()
}

/// The number behind a one-byte prefix.
pub(crate) fn number_of(key: &[u8]) -> Option<u64> {
    key.get(1..9)?.try_into().ok().map(u64::from_be_bytes)
}

/// The row that led from labels to series in format 1.
pub(crate) fn by_labels(labels: &Labels) -> Vec<u8> {
    [BY_LABELS, &xxh3_128(labels.as_packed().as_bytes()).to_be_bytes()].concat()
}

/// Group and labels of a series row in format 1.
pub(crate) fn decode_series(value: &[u8]) -> Option<(u32, Labels)> {
    let mut reader = Reader::new(value);
    let group = reader.u32()?;
    let packed = std::str::from_utf8(reader.take(reader.remaining())?).ok()?;
    Some((group, Labels::from_packed(packed)?))
}

/// A row whose value is one number.
pub(crate) fn encode_number(number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, number);
    out
}

/// The number of such a row.
pub(crate) fn decode_number(value: &[u8]) -> Option<u64> {
    Reader::new(value).u64()
}

/// Texts, each with its length in front.
pub(crate) fn encode_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut out = Vec::new();
    texts.into_iter().for_each(|text| put_bytes(&mut out, text.as_bytes()));
    out
}

/// The texts of such a value.
pub(crate) fn decode_texts(value: &[u8]) -> Option<Vec<String>> {
    let (mut reader, mut texts) = (Reader::new(value), Vec::new());
    while !reader.is_empty() {
        texts.push(reader.text()?.to_owned());
    }
    Some(texts)
}
