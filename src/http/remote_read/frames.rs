//! The streamed answer: frames of a few chunks, one after another.
//!
//! ```text
//!   frame   length (uvarint), CRC-32C of the message (4 bytes, big-endian), ChunkedReadResponse
//! ```

use prost::Message;

use crate::ingest::wire::proto::prometheus as proto;
use crate::model::{Column, Labels, Sample};
use crate::store::SampleSource;

use super::super::stream::{Pipe, Stopped};
use super::{Wanted, chunk};

/// A frame ends once its chunks hold this many bytes; the client's bound is on whole frames (1 MiB by default, 50 MiB
/// for what it accepts), so labels of any length fit beside.
const FRAME_BYTES: usize = 512 * 1024;

/// Writes the answer of every query, in order.
///
/// # Errors
/// Where the client has gone, or the store cannot be read.
pub(super) fn write(source: &dyn SampleSource, wanted: &[Wanted], pipe: &mut Pipe) -> Result<(), Stopped> {
    let mut column = Column::default();
    for (index, query) in wanted.iter().enumerate() {
        let Some(range) = query.range else { continue };
        for series in source.select(&query.matchers, range)?.series {
            series.samples.read(&mut column)?;
            let labels = labels(&series.labels);
            let (mut chunks, mut bytes) = (Vec::new(), 0);
            for chunk in chunks_of(&column) {
                bytes += chunk.data.len();
                chunks.push(chunk);
                if bytes >= FRAME_BYTES {
                    frame(&labels, std::mem::take(&mut chunks), index, pipe)?;
                    bytes = 0;
                }
            }
            if !chunks.is_empty() {
                frame(&labels, chunks, index, pipe)?;
            }
        }
    }
    Ok(())
}

pub(super) fn labels(labels: &Labels) -> Vec<proto::Label> {
    let label = |(name, value): (&str, &str)| proto::Label { name: name.to_owned(), value: value.to_owned() };
    labels.iter().map(label).collect()
}

/// The rows of a column as chunks: floats together, each histogram alone, all in the order of time.
fn chunks_of(column: &Column) -> impl Iterator<Item = proto::Chunk> {
    let mut histograms = column.histograms.iter().peekable();
    let mut row = 0;
    std::iter::from_fn(move || {
        if row == column.len() {
            return None;
        }
        let at = column.at[row];
        if let Some((_, histogram)) = histograms.next_if(|(next, _)| *next == row) {
            row += 1;
            let data = chunk::histogram(at, histogram);
            let millis = at.as_millis();
            let kind = proto::chunk::Encoding::FloatHistogram;
            return Some(proto::Chunk { min_time_ms: millis, max_time_ms: millis, r#type: kind.into(), data });
        }
        let next_histogram = histograms.peek().map_or(column.len(), |(next, _)| *next);
        let end = next_histogram.min(row + chunk::SAMPLES_MAX);
        let sample = |row: usize| Sample { at: column.at[row], value: column.values[row] };
        let samples: Vec<Sample> = (row..end).map(sample).collect();
        row = end;
        Some(proto::Chunk {
            min_time_ms: at.as_millis(),
            max_time_ms: column.at[end - 1].as_millis(),
            r#type: proto::chunk::Encoding::Xor.into(),
            data: chunk::xor(&samples),
        })
    })
}

fn frame(labels: &[proto::Label], chunks: Vec<proto::Chunk>, query: usize, pipe: &mut Pipe) -> Result<(), Stopped> {
    let series = vec![proto::ChunkedSeries { labels: labels.to_vec(), chunks }];
    let message = proto::ChunkedReadResponse { chunked_series: series, query_index: query as i64 };
    let message = message.encode_to_vec();
    let page = pipe.page();
    prost::encode_length_delimiter(message.len(), page).expect("a Vec takes every write");
    page.extend_from_slice(&crc32c::crc32c(&message).to_be_bytes());
    page.extend_from_slice(&message);
    pipe.turn()
}
