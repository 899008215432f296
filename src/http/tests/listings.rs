//! Series, labels, values, metadata.

use axum::body::Body;
use axum::http::{Request, header};

use super::world::{World, read};

#[tokio::test]
async fn series_are_listed_once() {
    let world = World::new();
    let up = |job: &str| format!(r#"{{"__name__":"up","job":"{job}"}}"#);
    let (a, b) = (up("a"), up("b"));
    world.check("/api/v1/series?match[]=up", &format!("[{a},{b}]")).await;
    world
        .check(r#"/api/v1/series?match[]=up&match[]={job="a"}"#.replace('"', "%22").as_str(), &format!("[{a},{b}]"))
        .await;
    world.check("/api/v1/series?match[]=nothing", "[]").await;
    world.check("/api/v1/series?match[]=up&start=5&end=1", "[]").await;
    let (_, body) = world.get("/api/v1/series?match[]=up&limit=1").await;
    assert_eq!(body, format!(r#"{{"status":"success","data":[{a}],"warnings":["results truncated due to limit"]}}"#));
    world.check("/api/v1/series?match[]=up&limit=2", &format!("[{a},{b}]")).await;
}

#[tokio::test]
async fn labels_and_values_are_listed() {
    let world = World::new();
    world.check("/api/v1/labels", r#"["__name__","http.status","job"]"#).await;
    world.check("/api/v1/labels?match[]=up", r#"["__name__","job"]"#).await;
    world.check("/api/v1/label/job/values", r#"["a","b"]"#).await;
    world.check("/api/v1/label/job/values?match[]=down", "[]").await;
    world.check("/api/v1/label/U__http_2e_status/values", r#"["200"]"#).await;
    world.check("/api/v1/label/http.status/values", r#"["200"]"#).await;
}

#[tokio::test]
async fn wrong_listings_are_told_in_prometheus_words() {
    let world = World::new();
    let empty = "match[] must contain at least one non-empty matcher";
    world.refuse("/api/v1/series", 400, "bad_data", "no match[] parameter provided").await;
    world
        .refuse("/api/v1/series?match[]=%7B%7D", 400, "bad_data", &format!(r#"invalid parameter "match[]": {empty}"#))
        .await;
    world.refuse("/api/v1/labels?match[]=%7B%7D", 400, "bad_data", empty).await;
    let broken = "1:4: parse error: unexpected end of input inside braces";
    world.refuse("/api/v1/labels?match[]=up%7B", 400, "bad_data", broken).await;
    world
        .refuse("/api/v1/series?match[]=up%7B", 400, "bad_data", &format!(r#"invalid parameter "match[]": {broken}"#))
        .await;
    let text = r#"invalid parameter "end": invalid time value for 'end': cannot parse "x" to a valid timestamp"#;
    world.refuse("/api/v1/labels?end=x", 400, "bad_data", text).await;
    world.refuse("/api/v1/series?match[]=%7Bdamaged=%221%22%7D", 500, "internal", "catalogue: torn page").await;
}

#[tokio::test]
async fn metadata_is_listed_by_metric() {
    let world = World::new();
    let gauge = |help: &str| format!(r#"{{"type":"gauge","help":"{help}","unit":""}}"#);
    let (d, u, v) = (gauge("d"), gauge("u"), gauge("v"));
    world.check("/api/v1/metadata", &format!(r#"{{"down":[{d}],"up":[{u},{v}]}}"#)).await;
    world.check("/api/v1/metadata?limit=1", &format!(r#"{{"down":[{d}]}}"#)).await;
    world.check("/api/v1/metadata?metric=up&limit_per_metric=1", &format!(r#"{{"up":[{u}]}}"#)).await;
    world.check("/api/v1/metadata?metric=none", "{}").await;
    world.refuse("/api/v1/metadata?limit=x", 400, "bad_data", "limit must be a number").await;
}

#[tokio::test]
async fn federation_gives_the_newest_samples() {
    let world = World::new();
    let text = "# TYPE down untyped\ndown{http_status=\"200\"} 1 1795363200000\n\
                # TYPE up untyped\nup{job=\"a\"} 1 1795363200000\nup{job=\"b\"} 1 1795363200000\n";
    assert_eq!(world.get("/federate?match[]=up&match[]=down&match[]=%7Bjob=%22a%22%7D").await, (200, text.to_owned()));
    let accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8";
    let request = Request::get("/federate?match[]=down").header(header::ACCEPT, accept).body(Body::empty()).unwrap();
    let response = world.send(request).await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
    let text = "# TYPE down unknown\ndown{\"http.status\"=\"200\"} 1 1795363200\n# EOF\n";
    assert_eq!(read(response).await, (200, text.to_owned()));
    assert_eq!(world.get("/federate").await, (200, String::new()));
    assert_eq!(world.get("/federate?match[]=%7B%7D").await.0, 400);
}
