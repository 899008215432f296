//! Which protocol and compression a sender speaks, read from its headers.
//!
//! A sender that declares a protocol nobody here speaks must hear so: a remote write 2.0 body read as 1.0 is an empty
//! request, and acknowledging it loses data without a trace. Missing headers are read as what the oldest senders
//! mean: remote write 1.0 under snappy.

use super::IngestError;

/// A version of remote write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteVersion {
    /// `prometheus.WriteRequest`
    V1,
    /// `io.prometheus.write.v2.Request`
    V2,
}

impl WriteVersion {
    /// The protocol for people.
    pub fn name(self) -> &'static str {
        match self {
            WriteVersion::V1 => "remote write 1.0",
            WriteVersion::V2 => "remote write 2.0",
        }
    }
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    /// One snappy block (not the framed format).
    Snappy,
    /// One or more zstd frames.
    Zstd,
    /// One or more gzip members: what a few senders offer besides. Remote write 2.0 has snappy alone.
    Gzip,
    /// None.
    Identity,
    /// No header: snappy if it reads as snappy, else none.
    Undeclared,
}

const MEDIA_TYPE: &str = "application/x-protobuf";
const V1_MESSAGE: &str = "prometheus.WriteRequest";
const V2_MESSAGE: &str = "io.prometheus.write.v2.Request";

/// The message that a `Content-Type` announces; without a `proto` parameter it is version 1.
pub(super) fn version(content_type: Option<&str>) -> Result<WriteVersion, IngestError> {
    let text = content_type.unwrap_or_default().trim();
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !media_type.is_empty() && !media_type.eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(unsupported_type(text));
    }
    let message =
        parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
    match message.map(|(_, value)| value.trim().trim_matches('"')) {
        None | Some(V1_MESSAGE) => Ok(WriteVersion::V1),
        Some(V2_MESSAGE) => Ok(WriteVersion::V2),
        Some(_) => Err(unsupported_type(text)),
    }
}

/// What a `Content-Encoding` announces.
pub(super) fn compression(content_encoding: Option<&str>, version: WriteVersion) -> Result<Compression, IngestError> {
    let text = content_encoding.unwrap_or_default().trim();
    match text.to_ascii_lowercase().as_str() {
        "" => Ok(Compression::Undeclared),
        "snappy" => Ok(Compression::Snappy),
        "zstd" => Ok(Compression::Zstd),
        "gzip" if version == WriteVersion::V1 => Ok(Compression::Gzip),
        "identity" => Ok(Compression::Identity),
        _ => Err(IngestError::Unsupported(format!(
            "unsupported content encoding {text:?}; snappy, zstd and identity are spoken here"
        ))),
    }
}

fn unsupported_type(text: &str) -> IngestError {
    IngestError::Unsupported(format!(
        "unsupported content type {text:?}; {MEDIA_TYPE} with proto={V1_MESSAGE} (the default) or proto={V2_MESSAGE} is spoken here"
    ))
}
