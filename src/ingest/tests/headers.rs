//! Content types, encodings, and answers for bodies that cannot be read at all.

use prost::Message;

use super::*;

#[track_caller]
fn outcome(written: &Result<Written, IngestError>) -> &'static str {
    match written {
        Ok(Written { version: WriteVersion::V1, .. }) => "v1",
        Ok(Written { version: WriteVersion::V2, .. }) => "v2",
        Err(IngestError::Malformed(_)) => "malformed",
        Err(IngestError::TooLarge(_)) => "too large",
        Err(IngestError::Unsupported(_)) => "unsupported",
        Err(IngestError::Store(_)) => "store",
    }
}

#[test]
fn content_types_choose_the_version_or_are_refused() {
    let body = snappy(&[]);
    let check = |content_type: Option<&str>, expected| {
        let door = Door::new();
        let written = door.ingest.write(&WriteRequest { content_type, ..request(&body) });
        assert_eq!(outcome(&written), expected, "{content_type:?}");
    };
    check(None, "v1");
    check(Some(""), "v1");
    check(Some("application/x-protobuf"), "v1");
    check(Some("Application/X-Protobuf; charset=utf-8"), "v1");
    check(Some("application/x-protobuf;proto=prometheus.WriteRequest"), "v1");
    check(Some(V2), "v2");
    check(Some("application/x-protobuf; proto=\"io.prometheus.write.v2.Request\""), "v2");
    check(Some("application/x-protobuf;proto=io.prometheus.write.v3.Request"), "unsupported");
    check(Some("application/x-protobuf;proto="), "unsupported");
    check(Some("application/json"), "unsupported");
    check(Some("text/plain"), "unsupported");
}

#[test]
fn encodings_decompress_or_are_refused() {
    let plain = v1(vec![series(&[("__name__", "up")], &[(1, 1.0)])]).encode_to_vec();
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    let check = |encoding: Option<&str>, body: &[u8], expected: &str| {
        let door = Door::new();
        let written = door.ingest.write(&WriteRequest { content_encoding: encoding, ..request(body) });
        assert_eq!(outcome(&written), expected, "{encoding:?}");
        let kept = door.kept().series;
        assert_eq!(kept.len(), usize::from(expected == "v1"), "{encoding:?}");
    };
    check(Some("snappy"), &snappy(&plain), "v1");
    check(Some("Snappy"), &snappy(&plain), "v1");
    check(Some("zstd"), &zstd, "v1");
    check(Some("identity"), &plain, "v1");
    check(None, &snappy(&plain), "v1");
    check(None, &plain, "v1");
    check(Some("snappy"), &plain, "malformed");
    check(Some("zstd"), &snappy(&plain), "malformed");
    check(Some("zstd"), &zstd[..zstd.len() - 1], "malformed");
    check(Some("identity"), &zstd, "malformed");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &plain).unwrap();
    let gzip = gzip.finish().unwrap();
    check(Some("gzip"), &gzip, "v1");
    check(Some("gzip"), &gzip[..gzip.len() - 9], "malformed");
    check(Some("gzip"), &plain, "malformed");
    // Remote write 2.0 is snappy's alone.
    let two = WriteRequest { content_type: Some(V2), content_encoding: Some("gzip"), ..request(&gzip) };
    assert_eq!(outcome(&Door::new().ingest.write(&two)), "unsupported");
    check(Some("deflate"), &plain, "unsupported");
    check(Some("snappy, identity"), &plain, "unsupported");
    for encoding in [None, Some("snappy"), Some("zstd"), Some("identity")] {
        check(encoding, &[], "malformed");
    }
}

#[test]
fn a_body_of_the_other_version_is_never_an_empty_request() {
    let one = v1(vec![series(&[("__name__", "up")], &[(1, 1.0)])]);
    let two = v2::message(&[("__name__", "up")], &[(1, 1.0)]);
    assert_eq!(outcome(&Door::new().send_v1(&two)), "malformed");
    assert_eq!(outcome(&Door::new().send_v2(&one)), "malformed");
    let metadata = p1::WriteRequest { metadata: vec![p1::MetricMetadata::default()], ..Default::default() };
    assert_eq!(outcome(&Door::new().send_v2(&metadata)), "malformed");
    let symbols = p2::Request { symbols: vec![String::new()], timeseries: Vec::new() };
    assert_eq!(outcome(&Door::new().send_v1(&symbols)), "malformed");
}

#[test]
fn sizes_are_limited_before_memory_is_taken() {
    let door = Door::with(Settings { body_bytes_max: 100, decoded_bytes_max: 1000, ..Settings::default() });
    let write = |encoding, body: &[u8]| {
        outcome(&door.ingest.write(&WriteRequest { content_encoding: Some(encoding), ..request(body) }))
    };
    assert_eq!(write("identity", &[0; 101]), "too large");
    assert_eq!(write("snappy", &snappy(&[0; 1001])), "malformed");
    assert_eq!(write("zstd", &zstd::encode_all(&[0; 1001][..], 1).unwrap()), "malformed");
    // The same without a size in its frame header, so that only counting finds out.
    let mut streamed = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    streamed.include_contentsize(false).unwrap();
    std::io::copy(&mut &[0; 1001][..], &mut streamed).unwrap();
    assert_eq!(write("zstd", &streamed.finish().unwrap()), "malformed");
}

#[test]
fn a_snappy_header_that_lies_is_not_believed() {
    let check = |header: &[u8], why: &str| {
        let error = Door::new().ingest.write(&request(header)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    check(&[0xff, 0xff, 0xff, 0xff, 0x0f], "decompresses to more than");
    check(&[0xff, 0xff, 0xff, 0xff, 0x7f], "snappy");
    check(&[0x80, 0x80, 0x80, 0x08, 0x00], "cannot decompress to 16777216");
    let dense = snappy(&[7; 1 << 20]);
    assert!((1 << 20) / dense.len() > 20, "the densest block comes close to the bound, and is not refused");
    assert!(!Door::new().ingest.write(&request(&dense)).unwrap_err().to_string().contains("cannot decompress"));
}

#[test]
fn an_overloaded_store_is_the_senders_to_retry() {
    let door = Door::failing("log is full");
    let written = door.send_v1(&v1(vec![series(&[("__name__", "up")], &[(1, 1.0)])]));
    assert_eq!(written.unwrap_err().to_string(), "overloaded: log is full");
}
