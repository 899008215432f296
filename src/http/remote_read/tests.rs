//! Remote read through the router: both forms of the answer say the same, and nothing breaks it.

use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use prost::Message;

use crate::http::tests::world::World;
use crate::ingest::wire::proto::prometheus as proto;

fn query(types: &[i32]) -> Vec<u8> {
    let matcher = proto::LabelMatcher { r#type: 0, name: "__name__".into(), value: "up".into() };
    let query = proto::Query {
        start_timestamp_ms: 1_000,
        end_timestamp_ms: 101_000,
        matchers: vec![matcher],
        ..proto::Query::default()
    };
    let request = proto::ReadRequest { queries: vec![query], accepted_response_types: types.to_vec() };
    snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).unwrap()
}

async fn read(world: &World, body: Vec<u8>) -> (u16, String, Vec<u8>) {
    let response = world.send(Request::post("/api/v1/read").body(Body::from(body)).unwrap()).await;
    let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn samples_come_whole_under_snappy() {
    let (status, kind, body) = read(&World::new(), query(&[])).await;
    assert_eq!((status, kind.as_str()), (200, "application/x-protobuf"));
    let answer =
        proto::ReadResponse::decode(snap::raw::Decoder::new().decompress_vec(&body).unwrap().as_slice()).unwrap();
    let series = &answer.results[0].timeseries;
    let jobs: Vec<_> = series.iter().map(|one| one.labels[1].value.as_str()).collect();
    assert_eq!((jobs, series[0].samples.len()), (vec!["a", "b"], 201));
    assert_eq!(series[0].samples[200], proto::Sample { value: 1.0, timestamp: 101_000 });
}

#[tokio::test]
async fn chunks_come_in_frames_with_checksums() {
    let (status, kind, body) = read(&World::new(), query(&[1, 0])).await;
    assert_eq!((status, kind.as_str()), (200, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"));
    let (mut rest, mut frames) = (body.as_slice(), Vec::new());
    while !rest.is_empty() {
        let length = prost::decode_length_delimiter(&mut rest).unwrap();
        let (checksum, message) = (&rest[..4], &rest[4..4 + length]);
        assert_eq!(checksum, crc32c::crc32c(message).to_be_bytes());
        frames.push(proto::ChunkedReadResponse::decode(message).unwrap());
        rest = &rest[4 + length..];
    }
    assert_eq!(frames.len(), 2, "a frame a series");
    let chunks = &frames[1].chunked_series[0].chunks;
    let spans: Vec<_> = chunks.iter().map(|chunk| (chunk.min_time_ms, chunk.max_time_ms, chunk.r#type)).collect();
    assert_eq!(spans, [(1_000, 60_500, 1), (61_000, 101_000, 1)]);
    assert_eq!(chunks[0].data[..2], [0, 120], "samples of the first chunk");
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    let world = World::new();
    for (body, part) in [
        (b"no snappy".to_vec(), "remote read request"),
        (snap::raw::Encoder::new().compress_vec(b"\xff\xff").unwrap(), "remote read request"),
        (query(&[7]), "none of the accepted response types"),
    ] {
        let (status, _, text) = read(&world, body).await;
        let text = String::from_utf8(text).unwrap();
        assert!(status == 400 && text.contains(part), "{status} {text}");
    }
    let mut seed = 7u64;
    for _ in 0..2_000 {
        let mut body = query(&[1, 0]);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = (seed >> 33) as usize % body.len();
        body[at] ^= (seed >> 20) as u8 | 1;
        let (status, _, _) = read(&world, body).await;
        assert!(status < 500, "{status}");
    }
}
