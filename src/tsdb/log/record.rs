//! What a record of the log says, and its bytes.
//!
//! Every record stands alone: times and values of one record refer to nothing outside it, so a damaged record costs
//! exactly its own samples. (Values could be smaller by xor with the series' value in the record before; whole numbers
//! as varints keep most of that gain, and the next record stays readable when one is lost.) Only names come from
//! elsewhere: a segment names each series that the catalogue does not hold, in a record before its first use.
//!
//! ```text
//! ┌──────┬────────┬────────┬─────────────────────────────┐
//! │ mark │ length │ crc32c │ payload: kind · body        │   crc over length and payload
//! │  4   │   4    │   4    │ `length` bytes              │
//! └──────┴────────┴────────┴─────────────────────────────┘
//! ```

use std::sync::Arc;

use crate::model::{Histogram, Lane, Timestamp};
use crate::store::BatchSample;

use super::super::bytes::{Reader, put_bytes, put_i64, put_u64, unzigzag, zigzag};
use super::super::chunk;

/// Begins each record, so that the next good one is found behind a bad one.
pub(crate) const MARK: [u8; 4] = [0xe7, b'W', b'R', 0x1c];
/// Mark, length, checksum.
pub(crate) const FRAME_BYTES: usize = 12;
/// A longer record is no record. Requests are bounded far below.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 30;

const KIND_SERIES: u8 = 1;
const KIND_SAMPLES: u8 = 2;
const KIND_GROUP: u8 = 3;

/// Samples of one series in one lane, in the sender's order.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) id: u32,
    pub(crate) lane: Lane,
    pub(crate) samples: &'a [BatchSample],
}

/// A name that replay meets.
#[derive(Debug, PartialEq)]
pub(crate) enum Name<'a> {
    Series { id: u32, group: u32, packed: &'a str },
    Group { number: u32, cluster: &'a str, replicas: Vec<&'a str> },
}

/// Appends a record; `body` writes its payload.
fn put_record(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&MARK);
    out.extend_from_slice(&[0; 8]);
    body(out);
    let payload = start + FRAME_BYTES;
    let length = u32::try_from(out.len() - payload).expect("requests are bounded far below 4 GiB");
    out[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&length.to_le_bytes()), &out[payload..]);
    out[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
}

/// The payload of the record at the start of `bytes`, if a good one is there.
pub(crate) fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    if reader.take(4)? != MARK {
        return None;
    }
    let length = reader.u32_fixed()?;
    let crc = reader.u32_fixed()?;
    let payload = reader.take(length as usize).filter(|payload| payload.len() <= PAYLOAD_BYTES_MAX)?;
    (crc32c::crc32c_append(crc32c::crc32c(&length.to_le_bytes()), payload) == crc).then_some(payload)
}

/// Appends the record that names a series.
pub(crate) fn put_series(out: &mut Vec<u8>, id: u32, group: u32, packed: &str) {
    put_record(out, |out| {
        out.push(KIND_SERIES);
        put_u64(out, u64::from(id));
        put_u64(out, u64::from(group));
        put_bytes(out, packed.as_bytes());
    });
}

/// Appends the record that names the lanes of a group.
pub(crate) fn put_group(out: &mut Vec<u8>, number: u32, cluster: &str, replicas: &[String]) {
    put_record(out, |out| {
        out.push(KIND_GROUP);
        put_u64(out, u64::from(number));
        put_bytes(out, cluster.as_bytes());
        put_u64(out, replicas.len() as u64);
        replicas.iter().for_each(|replica| put_bytes(out, replica.as_bytes()));
    });
}

/// Appends one record with all samples of a request.
///
/// A run of one sample in lane and at the time of the run before it, without a start timestamp, is *plain* and costs
/// its id's distance and its value. That is nearly all of a scrape.
pub(crate) fn put_samples(out: &mut Vec<u8>, runs: &[Run<'_>]) {
    put_record(out, |out| {
        out.push(KIND_SAMPLES);
        put_u64(out, runs.len() as u64);
        let (mut next_id, mut lane, mut at) = (0_i64, Lane(0), Timestamp::EPOCH);
        for run in runs {
            let distance = zigzag(i64::from(run.id) - next_id);
            next_id = i64::from(run.id) + 1;
            if let [only] = run.samples
                && only.at == at
                && only.start == Timestamp::EPOCH
                && run.lane == lane
            {
                put_u64(out, distance << 1 | 1);
                put_value(out, only);
                continue;
            }
            let starts = run.samples.iter().any(|sample| sample.start != Timestamp::EPOCH);
            put_u64(out, distance << 1);
            lane = run.lane;
            out.push(lane.0);
            put_u64(out, (run.samples.len() as u64) << 1 | u64::from(starts));
            for sample in run.samples {
                put_i64(out, sample.at.as_millis().wrapping_sub(at.as_millis()));
                at = sample.at;
                if starts {
                    put_i64(out, at.as_millis().wrapping_sub(sample.start.as_millis()));
                }
                put_value(out, sample);
            }
        }
    });
}

const VALUE_WHOLE: u64 = 0;
const VALUE_BITS: u64 = 1;
const VALUE_HISTOGRAM: u64 = 3;
/// Floats are exact whole numbers up to here.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

#[inline]
fn put_value(out: &mut Vec<u8>, sample: &BatchSample) {
    if let Some(histogram) = &sample.histogram {
        put_u64(out, VALUE_HISTOGRAM);
        let mut block = Vec::new();
        chunk::encode_histograms(std::slice::from_ref(histogram), &mut block);
        return put_bytes(out, &block);
    }
    let whole = sample.value as i64;
    if sample.value.abs() <= WHOLE_MAX && (whole as f64).to_bits() == sample.value.to_bits() {
        put_u64(out, zigzag(whole) << 2 | VALUE_WHOLE);
    } else {
        put_u64(out, VALUE_BITS);
        out.extend_from_slice(&sample.value.to_bits().to_le_bytes());
    }
}

fn read_value(reader: &mut Reader<'_>) -> Option<(f64, Option<Arc<Histogram>>)> {
    let head = reader.u64()?;
    match head & 3 {
        VALUE_WHOLE => Some((unzigzag(head >> 2) as f64, None)),
        VALUE_BITS => Some((f64::from_bits(reader.u64_fixed()?), None)),
        VALUE_HISTOGRAM => {
            let mut histograms = Vec::new();
            chunk::decode_histograms(reader.bytes()?, 1, &mut histograms).ok()?;
            Some((0.0, Some(histograms.pop()?)))
        }
        _ => None,
    }
}

/// Whether a payload holds samples; all others are names.
pub(crate) fn has_samples(payload: &[u8]) -> bool {
    payload.first() == Some(&KIND_SAMPLES)
}

/// Reads a name. `None` where the payload makes no sense, which after a good checksum only a newer writer can cause.
pub(crate) fn read_name(payload: &[u8]) -> Option<Name<'_>> {
    let mut reader = Reader::new(payload);
    let name = match reader.u8()? {
        KIND_SERIES => Name::Series { id: reader.u32()?, group: reader.u32()?, packed: reader.text()? },
        KIND_GROUP => {
            let (number, cluster) = (reader.u32()?, reader.text()?);
            let replicas = (0..reader.count()?).map(|_| reader.text()).collect::<Option<_>>()?;
            Name::Group { number, cluster, replicas }
        }
        _ => return None,
    };
    reader.is_empty().then_some(name)
}

/// Reads samples; `each` gets them run by run. `None` as [`read_name`]; runs in front of what makes no sense count.
pub(crate) fn read_samples(payload: &[u8], mut each: impl FnMut(u32, Lane, &[BatchSample])) -> Option<()> {
    let mut reader = Reader::new(payload.strip_prefix(&[KIND_SAMPLES])?);
    let mut samples: Vec<BatchSample> = Vec::new();
    let (mut next_id, mut lane, mut at) = (0_i64, Lane(0), Timestamp::EPOCH);
    for _ in 0..reader.count()? {
        let head = reader.u64()?;
        let id = u32::try_from(next_id + unzigzag(head >> 1)).ok()?;
        next_id = i64::from(id) + 1;
        samples.clear();
        if head & 1 == 1 {
            let (value, histogram) = read_value(&mut reader)?;
            samples.push(BatchSample { at, start: Timestamp::EPOCH, value, histogram });
        } else {
            lane = Lane(reader.u8()?);
            let head = reader.u64()?;
            for _ in 0..head >> 1 {
                at = Timestamp::from_millis(at.as_millis().wrapping_add(reader.i64()?));
                let start = match head & 1 {
                    1 => Timestamp::from_millis(at.as_millis().wrapping_sub(reader.i64()?)),
                    _ => Timestamp::EPOCH,
                };
                let (value, histogram) = read_value(&mut reader)?;
                samples.push(BatchSample { at, start, value, histogram });
            }
        }
        each(id, lane, &samples);
    }
    reader.is_empty().then_some(())
}

/// The bytes of a histogram or a float in the log, roughly: for budgets.
pub(crate) fn row_bytes(sample: &BatchSample) -> usize {
    match &sample.histogram {
        None => 16,
        Some(histogram) => {
            let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
            let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len();
            160 + 8 * (spans + buckets + histogram.custom_values.len())
        }
    }
}
