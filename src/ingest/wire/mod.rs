//! Bytes of a request become series with samples, and nothing is believed that was not counted.
//!
//! Remote write 1.0 is the hot path: an own reader of the protobuf wire format borrows each series' label bytes as
//! they stand ([`key`]) and reads samples in place; on 2,000 samples of 13 labels each that costs a tenth of building
//! generated types. Remote write 2.0 names series by digests of its symbols ([`symbols`]). The generated types of `proto/`
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
pub(super) mod exemplar;
pub(super) mod histogram;
pub(super) mod key;
pub(super) mod protobuf;
pub(super) mod request;
mod snappy;
pub(super) mod symbols;
mod v1;
mod v2;

pub use encode::RequestBuilder;
pub use error::WireError;
pub(super) use request::Decoded;

use super::Settings;
use super::digests::Digests;
use super::format::WriteVersion;
use super::told::Told;

/// Reads a decompressed request.
pub(super) fn decode<'a>(
    version: WriteVersion,
    body: &'a [u8],
    settings: &Settings,
    digests: &Digests,
    told: &Told,
) -> Result<Decoded<'a>, WireError> {
    match version {
        WriteVersion::V1 => v1::decode(body, settings),
        WriteVersion::V2 => v2::decode(body, settings, digests, told),
    }
}

/// A message of `proto/` in bytes.
pub fn encoded(message: &impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// The same with its length in front.
pub fn delimited(message: &impl prost::Message) -> Vec<u8> {
    message.encode_length_delimited_to_vec()
}

/// Takes a message with its length off the front of `bytes`.
#[cfg(test)]
pub(crate) fn next_delimited<M: prost::Message + Default>(bytes: &mut &[u8]) -> M {
    M::decode_length_delimited(bytes).expect("a whole message")
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
