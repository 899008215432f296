//! Remote write 1.0, with the exemplars, histograms and metadata that senders add to it.
//!
//! The labels of a series are not read here: they stand in front of its samples, and the store knows most of them by
//! their bytes.

use crate::model::Timestamp;
use crate::store::{BatchSample, Exemplar};

use super::super::Settings;
use super::key::{LABEL_TAG, read_label};
use super::protobuf::{Field, Fields, varint, whole_varint};
use super::request::{Key, metadata};
use super::{Decoded, WireError, exemplar, key};

/// Bytes of a usual series with its sample: what room is made for. Neither limit nor promise.
const SERIES_BYTES: usize = 256;

const SAMPLE_TAG: u8 = 0x12;
const VALUE_TAG: u8 = 0x09;
const TIME_TAG: u8 = 0x10;

pub(super) fn decode<'a>(body: &'a [u8], settings: &Settings) -> Result<Decoded<'a>, WireError> {
    let mut decoded = Decoded::with_room_for(body.len() / SERIES_BYTES);
    let mut fields = Fields::of(body, "write request");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(message)) => read_series(message, &mut decoded, settings)?,
            (3, Field::Bytes(message)) => read_metadata(message, &mut decoded, settings)?,
            (1 | 3, _) => return Err(fields.mistyped(number)),
            // Symbols and series of version 2: read as version 1, they would be an empty request.
            (4 | 5, _) => return Err(WireError::OtherVersion { expected: "1.0" }),
            _ => {}
        }
    }
    Ok(decoded)
}

fn read_series<'a>(message: &'a [u8], decoded: &mut Decoded<'a>, settings: &Settings) -> Result<(), WireError> {
    let (labels, rest) = split_labels(message)?;
    if let Some(sample) = only_sample(rest) {
        decoded.push_sample(sample, settings)?;
        return decoded.push_series(Key::Sent(labels), decoded.samples.len() - 1, settings);
    }
    let mut series = Key::Sent(labels);
    let (first, exemplars) = (decoded.samples.len(), decoded.exemplars.len());
    let mut fields = Fields::of(rest, "series");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (2, Field::Bytes(message)) => decoded.push_sample(read_sample(message)?, settings)?,
            (1, Field::Bytes(label)) => series = with_late_label(&series, label, decoded, settings)?,
            (3, Field::Bytes(message)) => decoded.push_exemplar(read_exemplar(message)?, settings)?,
            (4, Field::Bytes(message)) => {
                let describe = |decoded: &Decoded<'_>| key::describe(decoded.key(&series));
                decoded.push_histogram(message, Timestamp::EPOCH, describe, settings)?;
            }
            (1..=4, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    match decoded.samples.len() == first && decoded.exemplars.len() == exemplars {
        true => Ok(()),
        false => decoded.push_series(series, first, settings),
    }
}

/// The labels that stand in front of everything else, and the rest. All known senders write them so.
#[inline]
fn split_labels(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let mut end = 0;
    // Labels of under 128 bytes have a length of one byte; this hops over them.
    while let Some([LABEL_TAG, length @ 0..0x80]) = message.get(end..end + 2) {
        end += 2 + usize::from(*length);
    }
    let mut rest = message.get(end..).ok_or(WireError::Truncated("series"))?;
    while let Some((&LABEL_TAG, mut behind)) = rest.split_first() {
        let length = varint(&mut behind).and_then(|length| usize::try_from(length).ok());
        rest = length.and_then(|length| behind.get(length..)).ok_or(WireError::Truncated("series"))?;
    }
    Ok(message.split_at(message.len() - rest.len()))
}

/// The sample behind the labels, where it stands alone and as senders write it: value, unless that is 0, and time.
/// Nearly every series of a scrape; `None` says nothing but that the long way has to be taken.
#[inline]
fn only_sample(rest: &[u8]) -> Option<BatchSample> {
    let [SAMPLE_TAG, length @ 0..0x80, sample @ ..] = rest else { return None };
    if sample.len() != usize::from(*length) {
        return None;
    }
    let (value, time) = match sample {
        [VALUE_TAG, behind @ ..] => {
            let (bits, time) = behind.split_first_chunk()?;
            (f64::from_le_bytes(*bits), time)
        }
        time => (0.0, time),
    };
    let [TIME_TAG, millis @ ..] = time else { return None };
    let at = Timestamp::from_millis(whole_varint(millis)? as i64);
    Some(BatchSample { at, start: Timestamp::EPOCH, value, histogram: None })
}

/// The key of a series with labels in more than one place: all of them, brought together.
fn with_late_label<'a>(
    series: &Key<'_>,
    label: &[u8],
    decoded: &mut Decoded<'a>,
    settings: &Settings,
) -> Result<Key<'a>, WireError> {
    let (name, value) = read_label(label)?;
    let mut bytes = decoded.key(series).to_vec();
    key::push_label(&mut bytes, name, value);
    let built = decoded.build_key(
        settings,
        |key| {
            key.extend_from_slice(&bytes);
            Ok(())
        },
        0,
    )?;
    Ok(built.expect("copying bytes refuses nothing"))
}

#[inline]
fn read_sample(message: &[u8]) -> Result<BatchSample, WireError> {
    let mut fields = Fields::of(message, "sample");
    let (mut value, mut at) = (0.0, 0);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Field::Varint(millis)) => at = millis as i64,
            (1 | 2, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    Ok(BatchSample { at: Timestamp::from_millis(at), start: Timestamp::EPOCH, value, histogram: None })
}

fn read_exemplar(message: &[u8]) -> Result<Option<Exemplar>, WireError> {
    if message.len() > exemplar::MESSAGE_BYTES_MAX {
        return Ok(None);
    }
    let mut fields = Fields::of(message, "exemplar");
    let (mut labels, mut value, mut at) = (Vec::new(), 0.0, 0);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(label)) => labels.push(read_label(label)?),
            (2, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (3, Field::Varint(millis)) => at = millis as i64,
            (1..=3, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    Ok(exemplar::build(&labels, value, Timestamp::from_millis(at)))
}

fn read_metadata(message: &[u8], decoded: &mut Decoded<'_>, settings: &Settings) -> Result<(), WireError> {
    let mut fields = Fields::of(message, "metadata");
    let (mut kind, mut metric, mut help, mut unit): (u64, &[u8], &[u8], &[u8]) = (0, &[], &[], &[]);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Varint(number)) => kind = number,
            (2, Field::Bytes(text)) => metric = text,
            (4, Field::Bytes(text)) => help = text,
            (5, Field::Bytes(text)) => unit = text,
            (1 | 2 | 4 | 5, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    match std::str::from_utf8(metric) {
        Ok(metric) if !metric.is_empty() && metric.len() <= settings.label_value_bytes_max => {
            decoded.push_metadata(metric.to_owned(), metadata(kind, help, unit), settings)
        }
        _ => Ok(()),
    }
}
