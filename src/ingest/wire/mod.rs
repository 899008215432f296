//! Bytes of a request become series with samples, and nothing is believed that was not counted.
//!
//! Remote write 1.0 is the hot path: an own reader of the protobuf wire format borrows each series' label bytes as
//! they stand ([`key`]) and reads samples in place; on 2,000 samples of 13 labels each that costs a tenth of building
//! generated types. Remote write 2.0 resolves its symbols into the same bytes. The generated types of `proto/`
//! ([`proto`]) serve what is rare, the clients among our tests, and as the oracle that the reader is held against.
//!
//! Invariant: memory grows with the bytes received, by a factor that a named limit bounds; a length that a sender
//! claims is held against what is there before anything is allocated for it. What is wrong with the envelope fails
//! the request; what is wrong inside one series is refused with that series.
//!
//! Read next: `v1`, then `key`, then `v2`, `histogram`.

pub(super) mod compression;
pub mod encode;
mod error;
mod exemplar;
pub(super) mod histogram;
pub(super) mod key;
pub(super) mod protobuf;
pub(super) mod request;
mod v1;
mod v2;

pub use encode::RequestBuilder;
pub use error::WireError;
pub(super) use request::Decoded;

use super::Settings;
use super::format::WriteVersion;

/// Reads a decompressed request.
pub(super) fn decode<'a>(version: WriteVersion, body: &'a [u8], settings: &Settings) -> Result<Decoded<'a>, WireError> {
    match version {
        WriteVersion::V1 => v1::decode(body, settings),
        WriteVersion::V2 => v2::decode(body, settings),
    }
}

/// The messages of `proto/`, as generated.
#[allow(missing_docs, clippy::all, reason = "generated")]
pub mod proto {
    /// Remote write 1.0 and remote read.
    pub mod prometheus {
        include!(concat!(env!("OUT_DIR"), "/prometheus.rs"));
    }

    /// Expositions.
    pub mod metrics {
        include!(concat!(env!("OUT_DIR"), "/io.prometheus.client.rs"));
    }

    /// Remote write 2.0.
    pub mod write_v2 {
        include!(concat!(env!("OUT_DIR"), "/io.prometheus.write.v2.rs"));
    }
}
