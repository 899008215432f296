//! Other protocols at their paths: which form is read where, what the sender hears, and what goes out again.

use axum::body::Body;
use axum::http::{Request, header};

use crate::ingest::ImportFormat;
use crate::ingest::import::Precision;

use super::world::{World, read};

async fn post(world: &World, uri: &str, kind: &str, body: &str) -> (u16, String) {
    let request = Request::post(uri).header(header::CONTENT_TYPE, kind).body(Body::from(body.to_owned())).unwrap();
    read(world.send(request).await).await
}

#[tokio::test]
async fn each_path_reads_its_form() {
    let world = World::new();
    let influx = |precision, database: &str| ImportFormat::Influx(precision, database.to_owned());
    for (uri, kind, status, form) in [
        ("/api/v1/import", "", 204, ImportFormat::JsonLines),
        ("/vm/api/v1/import/csv?format=1:metric:m", "", 204, ImportFormat::Csv("1:metric:m".parse().unwrap())),
        ("/api/v1/import/prometheus", "text/plain", 204, ImportFormat::Text { open_metrics: false }),
        ("/api/v1/import/prometheus", "application/openmetrics-text", 204, ImportFormat::Text { open_metrics: true }),
        ("/write?db=d&precision=ms", "", 204, influx(Precision::Millis, "d")),
        ("/influx/api/v2/write?bucket=b&org=o", "", 204, influx(Precision::Nanos, "b")),
        ("/api/v1/otlp/v1/metrics", "application/x-protobuf", 200, ImportFormat::Otlp),
        ("/opentelemetry/v1/metrics", "application/json", 200, ImportFormat::OtlpJson),
    ] {
        assert_eq!(post(&world, uri, kind, "fine").await.0, status, "{uri}");
        assert_eq!(world.writer.imported.lock().unwrap().pop().unwrap().format, form, "{uri}");
    }
    let uri = "/api/v1/import/prometheus/metrics/job/batch/instance/a?extra_label=env%3Dprod";
    assert_eq!(post(&world, uri, "", "fine").await.0, 204);
    let extra = world.writer.imported.lock().unwrap().pop().unwrap().extra;
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(extra, [pair("job", "batch"), pair("instance", "a"), pair("env", "prod")]);
}

#[tokio::test]
async fn a_sender_hears_what_became_of_its_body() {
    let world = World::new();
    for (body, status, part) in [
        ("broken", 400, "empty"),
        ("bomb", 413, "larger than 8 bytes"),
        ("disk full", 503, "no space left"),
        ("some old", 400, "3 samples refused"),
    ] {
        let (told, text) = post(&world, "/api/v1/import", "", body).await;
        assert!(told == status && text.contains(part), "{body}: {told} {text}");
    }
    let (status, text) = post(&world, "/api/v1/otlp/v1/metrics", "application/json", "some old").await;
    assert!(status == 200 && text.contains(r#""rejectedDataPoints":"3""#), "{text}");
    assert_eq!(post(&world, "/api/v1/otlp/v1/metrics", "text/html", "x").await.0, 415);
    assert_eq!(post(&world, "/api/v1/import/csv", "", "x").await.0, 400);
    assert_eq!(post(&world, "/api/v1/import?extra_label=x", "", "x").await.0, 400);
    assert_eq!(post(&world, "/write?precision=fortnight", "", "x").await.0, 400);
    assert_eq!(post(&world, "/api/v1/import/prometheus/metrics/job", "", "x").await.0, 400);
}

#[tokio::test]
async fn what_is_exported_can_be_imported_again() {
    let world = World::new();
    let (status, lines) = world.get("/api/v1/export?match[]=up&start=1&end=2&max_rows_per_line=2").await;
    let expected = r#"{"metric":{"__name__":"up","job":"a"},"values":[1,1],"timestamps":[1000,1500]}
{"metric":{"__name__":"up","job":"a"},"values":[1],"timestamps":[2000]}
{"metric":{"__name__":"up","job":"b"},"values":[1,1],"timestamps":[1000,1500]}
{"metric":{"__name__":"up","job":"b"},"values":[1],"timestamps":[2000]}
"#;
    assert_eq!((status, lines.as_str()), (200, expected));
    let (_, text) = world.get("/api/v1/export?match[]=up{job=%22a%22}&start=1&end=1&format=prometheus").await;
    assert_eq!(text, "up{job=\"a\"} 1 1000\n");
    let uri = "/api/v1/export/csv?format=__name__,job,__value__,__timestamp__:rfc3339&match=up&start=1&end=1";
    assert_eq!(world.get(uri).await.1, "up,a,1,1970-01-01T00:00:01Z\nup,b,1,1970-01-01T00:00:01Z\n");
    assert_eq!(world.get("/api/v1/export").await.0, 400);
    assert_eq!(world.get("/api/v1/export/csv?match[]=up").await.0, 400);
    assert_eq!(
        world.get("/api/v1/export?match[]={damaged=%22%22,job=%22a%22}").await.0,
        500,
        "known before the first page"
    );
}
