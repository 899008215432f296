//! Why a body cannot be read.

/// What is wrong with a body as a whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// Nothing was sent.
    #[error("request body is empty")]
    Empty,
    /// Snappy cannot read it.
    #[error("snappy: {0}")]
    Snappy(#[from] snap::Error),
    /// The header of a snappy block claims more than its bytes can hold.
    #[error("snappy: {compressed} bytes cannot decompress to {claimed}")]
    SnappyLie {
        /// Bytes that were sent.
        compressed: usize,
        /// Bytes that the header claims.
        claimed: usize,
    },
    /// Zstd cannot read it.
    #[error("zstd: {0}")]
    Zstd(#[source] std::io::Error),
    /// Gzip or deflate cannot read it.
    #[error("gzip: {0}")]
    Gzip(#[source] std::io::Error),
    /// No JSON, or not of the form that is expected.
    #[error("json: {0}")]
    Json(String),
    /// Larger than the limit once decompressed.
    #[error("request body decompresses to more than {limit} bytes")]
    DecodedTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes of a message end inside a field, or a number has more than 64 bits.
    #[error("protobuf: {0} is cut short")]
    Truncated(&'static str),
    /// A field number or wire type that proto3 does not have.
    #[error("protobuf: {0} has a field that is no field")]
    BadTag(&'static str),
    /// A known field with a wire type that is not its own.
    #[error("protobuf: field {field} of {message} has another type than expected")]
    Mistyped {
        /// Which message.
        message: &'static str,
        /// Which field of it.
        field: u32,
    },
    /// The body is of the other protocol version.
    #[error("body is not remote write {expected}: is the content type right?")]
    OtherVersion {
        /// What the content type announced.
        expected: &'static str,
    },
    /// More of something than one request may hold.
    #[error("more than {limit} {what} in one request")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The replica that the request names cannot be one.
    #[error("replica name is longer than {limit} bytes")]
    ReplicaTooLong {
        /// The limit in bytes.
        limit: usize,
    },
}
