//! Remote write's answers.

use axum::body::Body;
use axum::http::{Request, Response, header};

use crate::http::Settings;

use super::world::{NOW, Taken, Wish, World, read};

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

async fn send(world: &World, kind: &str, body: &str) -> Response<Body> {
    let request = Request::post("/api/v1/write?replica=a")
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_ENCODING, "snappy")
        .body(Body::from(body.to_owned()))
        .unwrap();
    world.send(request).await
}

#[tokio::test]
async fn what_is_written_is_answered_with_204() {
    let world = World::new();
    let response = send(&world, V1, "fine").await;
    assert!(!response.headers().contains_key("x-prometheus-remote-write-samples-written"), "1.0 has no counts");
    assert_eq!(read(response).await, (204, String::new()));

    let response = send(&world, V2, "fine").await;
    let counts = ["samples", "histograms", "exemplars"].map(|what| {
        response.headers()[format!("x-prometheus-remote-write-{what}-written")].to_str().unwrap().to_owned()
    });
    assert_eq!((response.status().as_u16(), counts), (204, ["5", "1", "2"].map(str::to_owned)));

    let taken = world.writer.taken.lock().unwrap()[0].clone();
    let expected = Taken {
        body: b"fine".to_vec(),
        encoding: "snappy".into(),
        replica: "a".into(),
        labels: vec![],
        received_at: NOW,
    };
    assert_eq!(taken, expected);
    assert_eq!(read(send(&world, V1, "relabeled").await).await.0, 204, "dropped on purpose is no fault");
}

#[tokio::test]
async fn what_is_refused_is_named_and_counted() {
    let world = World::new();
    let response = send(&world, V2, "some old").await;
    assert_eq!(response.headers()["x-prometheus-remote-write-samples-written"], "5", "the rest is kept");
    let text = "3 samples refused (too_old 2, no_metric_name 1), all others are kept: \
                up{job=\"a\"} at 1.500: older than retention; {}: no metric name\n";
    assert_eq!(read(response).await, (400, text.to_owned()));
}

#[tokio::test]
async fn whole_bodies_are_refused_by_what_the_sender_can_do() {
    let world = World::new();
    for (body, status, text) in [
        ("broken", 400, "request body is empty\n"),
        ("bomb", 413, "request body is larger than 8 bytes\n"),
        ("png", 415, "content type image/png\n"),
        ("disk full", 503, "store is read-only: no space left\n"),
    ] {
        let response = send(&world, V2, body).await;
        assert_eq!(response.headers().contains_key(header::RETRY_AFTER), status == 503, "{body}");
        assert_eq!(response.headers()["x-prometheus-remote-write-samples-written"], "0", "{body}");
        assert_eq!(read(response).await, (status, text.to_owned()));
    }
}

#[tokio::test]
async fn a_large_body_is_refused_before_it_is_read() {
    let settings = Settings { write_body_bytes_max: 8, write_bytes_in_flight_max: 4096, ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    assert_eq!(read(send(&world, V1, "12345678").await).await.0, 204);
    assert_eq!(
        read(send(&world, V1, "123456789").await).await,
        (413, "request body is larger than the limit of 8 bytes\n".to_owned())
    );
    // Without a declared length it is refused while it is read.
    let chunks = in_chunks(["12345", "6789"]);
    let request = Request::post("/api/v1/push").body(chunks).unwrap();
    assert_eq!(read(world.send(request).await).await.0, 413);
}

fn in_chunks(chunks: [&'static str; 2]) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    for chunk in chunks {
        sender.send(chunk).unwrap();
    }
    Body::new(Chunks(receiver))
}

struct Chunks(tokio::sync::mpsc::UnboundedReceiver<&'static str>);

impl hyper::body::Body for Chunks {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(hyper::body::Frame::data(chunk.into()))))
    }
}

#[tokio::test]
async fn writes_over_the_memory_budget_are_told_to_come_back() {
    let settings = Settings { write_bytes_in_flight_max: 1024, ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    let response = send(&world, V1, &"x".repeat(2000)).await;
    assert_eq!(response.headers()[header::RETRY_AFTER], "5");
    assert_eq!(read(response).await, (503, "too many bytes of writes are in memory already\n".to_owned()));
}
