//! The bytes that name a series: the `labels` fields of a remote write 1.0 series, as they stand on the wire.
//!
//! Nothing is parsed while a request is decoded; the store compares these bytes with those it knows, and only unknown
//! ones are read here. What other protocols send becomes the same bytes where it is unknown, so that all of them are one road
//! from there on.

use super::WireError;
use super::protobuf::{Field, Fields, push_varint};

/// Tag of `TimeSeries.labels` of version 1: field 1, length-delimited.
pub(super) const LABEL_TAG: u8 = 0x0a;

/// Longest text that names an offender, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 200;

/// Name and value of each label behind `key`, in the sender's order; not yet known to be text.
pub(in crate::ingest) fn labels(key: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), WireError>> {
    let mut fields = Fields::of(key, "labels");
    std::iter::from_fn(move || match fields.next() {
        Ok(None) => None,
        Ok(Some((1, Field::Bytes(label)))) => Some(read_label(label)),
        Ok(Some((number, _))) => Some(Err(fields.mistyped(number))),
        Err(error) => Some(Err(error)),
    })
}

/// Name and value of one `Label` message.
pub(super) fn read_label(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut fields = Fields::of(message, "label");
    let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => name = bytes,
            (2, Field::Bytes(bytes)) => value = bytes,
            (1 | 2, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    Ok((name, value))
}

/// Appends one label to a key.
pub(in crate::ingest) fn push_label(key: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let text_field_bytes = |text: &[u8]| 1 + varint_bytes(text.len()) + text.len();
    key.push(LABEL_TAG);
    push_varint(key, (text_field_bytes(name) + text_field_bytes(value)) as u64);
    for (tag, text) in [(0x0a, name), (0x12, value)] {
        key.push(tag);
        push_varint(key, text.len() as u64);
        key.extend_from_slice(text);
    }
}

fn varint_bytes(value: usize) -> usize {
    (usize::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// The series behind `key` as a report names it: as far as it can be read, and not without end.
pub(in crate::ingest) fn describe(key: &[u8]) -> String {
    let mut text = String::from("{");
    for (name, value) in labels(key).map_while(Result::ok) {
        if text.len() > DESCRIPTION_BYTES_MAX {
            text.push_str(", ...");
            break;
        }
        let separator = if text.len() > 1 { ", " } else { "" };
        text.push_str(&format!("{separator}{}={:?}", shortened(name), shortened(value)));
    }
    text.push('}');
    text
}

fn shortened(bytes: &[u8]) -> String {
    match bytes.get(..DESCRIPTION_BYTES_MAX / 2) {
        Some(beginning) if bytes.len() > beginning.len() => format!("{}...", String::from_utf8_lossy(beginning)),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
