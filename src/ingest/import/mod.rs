//! Other forms of samples: Prometheus' text and OpenMetrics, VictoriaMetrics' JSON lines and CSV, Influx' line protocol.
//!
//! All of them are lines, so what is wrong with one costs that one: it is counted and named by its number, and its
//! neighbours are kept. A reader hands series to the [`Collector`], which passes them to the store in batches of
//! bounded size; from there on they are what remote write's are, relabeling and HA included.
//!
//! Read next: [`Collector`], then `text`.

mod collector;
mod csv;
mod influx;
mod json_lines;
mod text;
#[cfg(test)]
mod tests;

pub(super) use collector::{BatchNaming, Collector};
pub use csv::{CsvFormat, CsvFormatError};
pub use influx::Precision;

use crate::model::Timestamp;
use crate::store::{Appended, Refused};

use super::naming::Naming;
use super::wire::compression;
use super::{Ingest, IngestError, otlp};

/// What a body is written in.
#[derive(Clone, Debug, PartialEq)]
pub enum ImportFormat {
    /// Prometheus' text format 0.0.4, or OpenMetrics, whose times are in seconds.
    Text {
        /// Whether it is OpenMetrics.
        open_metrics: bool,
    },
    /// A JSON object a line: `metric`, `values`, `timestamps` in milliseconds.
    JsonLines,
    /// Comma-separated columns.
    Csv(CsvFormat),
    /// Influx' line protocol: what its times count in, and which database it was sent to, if any.
    Influx(Precision, String),
    /// OpenTelemetry's metrics, in protobuf.
    Otlp,
    /// The same in JSON.
    OtlpJson,
}

impl ImportFormat {
    /// The format for people.
    pub fn name(&self) -> &'static str {
        match self {
            ImportFormat::Text { open_metrics: false } => "Prometheus text",
            ImportFormat::Text { open_metrics: true } => "OpenMetrics text",
            ImportFormat::JsonLines => "JSON lines",
            ImportFormat::Csv(_) => "CSV",
            ImportFormat::Influx(..) => "Influx lines",
            ImportFormat::Otlp => "OTLP",
            ImportFormat::OtlpJson => "OTLP in JSON",
        }
    }
}

/// A body in one of these forms, whatever carried it.
#[derive(Clone, Copy, Debug)]
pub struct ImportRequest<'a> {
    /// The body as it came over the wire.
    pub body: &'a [u8],
    /// The header `Content-Encoding`; absent means none.
    pub content_encoding: Option<&'a str>,
    /// What it is written in.
    pub format: &'a ImportFormat,
    /// Labels that the request adds to every series, in place of its own of that name.
    pub extra: &'a [(String, String)],
    /// The replica, where the request names it.
    pub replica: Option<&'a str>,
    /// Put on every series after relabeling: what the sender's token demands.
    pub labels: &'a [(String, String)],
    /// When the request arrived, by our clock; also the time of samples that bring none.
    pub received_at: Timestamp,
}

/// Reads a body, and gives what it holds to the store.
pub(super) fn read(ingest: &Ingest, request: &ImportRequest<'_>, naming: Naming<'_>) -> Result<Appended, IngestError> {
    let limit = ingest.settings.decoded_bytes_max;
    let memory = ingest.budget.take(limit.min(request.body.len().saturating_mul(8))).ok_or_else(|| {
        crate::store::StoreError::Overloaded(format!(
            "more than {} bytes of requests under way",
            ingest.settings.decoding_bytes_max
        ))
    })?;
    let body = compression::decompress(request.body, request.content_encoding, limit)?;
    ingest.metrics.decoded_bytes.inc_by(body.len() as u64);
    let (extra, received_at) = (request.extra, request.received_at);
    let appended = match request.format {
        ImportFormat::Otlp => otlp::read(&body, ingest, naming, extra, received_at),
        ImportFormat::OtlpJson => otlp::read(&otlp::json::to_protobuf(&body)?, ingest, naming, extra, received_at),
        format => {
            let mut collector = Collector::new(ingest, naming, extra, received_at);
            lines(&body, format, received_at, &mut collector)?;
            collector.end()
        }
    };
    drop(memory);
    appended
}

fn lines(body: &[u8], format: &ImportFormat, now: Timestamp, collector: &mut Collector<'_>) -> Result<(), IngestError> {
    let mut text = text::Reader::new(matches!(format, ImportFormat::Text { open_metrics: true }));
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(line) = std::str::from_utf8(line) else {
            collector.refuse(index, &Refused::InvalidUtf8);
            continue;
        };
        if line.trim().is_empty() {
            continue;
        }
        let outcome = match format {
            ImportFormat::Text { .. } => text.line(line, now, collector),
            ImportFormat::JsonLines => json_lines::line(line, collector),
            ImportFormat::Csv(format) => csv::line(line, format, now, collector),
            ImportFormat::Influx(precision, database) => influx::line(line, *precision, database, now, collector),
            ImportFormat::Otlp | ImportFormat::OtlpJson => return Ok(()),
        };
        match outcome {
            Ok(()) => {}
            Err(Broken::Line(why)) => collector.refuse(index, &Refused::Malformed(why)),
            Err(Broken::Request(error)) => return Err(error),
        }
    }
    collector.end_of_text(text);
    Ok(())
}

/// What can go wrong with a line.
pub(super) enum Broken {
    /// It cannot be read; the others can.
    Line(String),
    /// Nothing more can be taken.
    Request(IngestError),
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Broken::Line(why)
    }
}

impl From<&str> for Broken {
    fn from(why: &str) -> Self {
        Broken::Line(why.to_owned())
    }
}

impl From<IngestError> for Broken {
    fn from(error: IngestError) -> Self {
        Broken::Request(error)
    }
}
