//! Who may ask what: tokens from making to revoking, rights by route, and what a scope lets through.

use axum::body::Body;
use axum::http::{Method, Request, Response, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::{Settings as AccessSettings, Users};
use crate::http::Settings;

use super::world::{Wish, World, read};

/// Makes a token by the API and gives its id and text.
async fn token(world: &World, wish: &str) -> (String, String) {
    let request = Request::post("/api/v1/admin/tokens").header(header::CONTENT_TYPE, "application/json");
    let (status, body) = read(world.send(request.body(Body::from(wish.to_owned())).unwrap()).await).await;
    assert_eq!(status, 200, "{body}");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let text = |name: &str| body["data"][name].as_str().unwrap().to_owned();
    (text("id"), text("token"))
}

async fn send_as(world: &World, method: Method, uri: &str, authorization: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(uri).header(header::AUTHORIZATION, authorization);
    world.send(request.body(Body::empty()).unwrap()).await
}

async fn ask_as(world: &World, uri: &str, token: &str) -> (u16, String) {
    read(send_as(world, Method::GET, uri, &format!("Bearer {token}")).await).await
}

fn require_credentials(world: &World) {
    world.access.set(AccessSettings { anonymous: false, ..AccessSettings::default() });
}

const JOB_A: &str = r#"{"name":"a","matchers":"{job=\"a\"}"}"#;

#[tokio::test]
async fn a_scope_holds_on_every_route_that_shows_samples() {
    let world = World::new();
    let (_, a) = token(&world, JOB_A).await;
    for (uri, own, foreign) in [
        ("/api/v1/query?query=up", r#""job":"a""#, r#""job":"b""#),
        ("/api/v1/query?query=count(up)", r#""1""#, r#""2""#),
        ("/api/v1/query?query={job=\"b\"}+or+up", r#""job":"a""#, r#""job":"b""#),
        ("/api/v1/query_range?query=up&start=1&end=2&step=1", r#""job":"a""#, r#""job":"b""#),
        ("/api/v1/series?match[]=up&match[]={job=\"b\"}", r#""job":"a""#, r#""job":"b""#),
        ("/api/v1/labels", "job", "http.status"),
        ("/api/v1/label/job/values", r#"["a"]"#, "b"),
        ("/api/v1/label/__name__/values", r#"["up"]"#, "down"),
        ("/api/v1/metadata", r#""up""#, r#""down""#),
        ("/api/v1/query_exemplars?query=up&start=0&end=9", r#""job":"a""#, r#""job":"b""#),
        ("/federate?match[]=up", r#"job="a""#, r#"job="b""#),
    ] {
        let uri = uri.replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
        let (status, body) = ask_as(&world, &uri, &a).await;
        let data = body.strip_prefix(r#"{"status":"success","data":"#).unwrap_or(&body).to_owned();
        assert!(status == 200 && data.contains(own) && !data.contains(foreign), "{uri}: {status} {data}");
    }
    for uri in ["/api/v1/status/tsdb", "/api/v1/status/config", "/metrics", "/api/v1/status/active_queries"] {
        assert_eq!(ask_as(&world, uri, &a).await.0, 403, "{uri} cannot be cut to a scope");
    }
    assert_eq!(read(send_as(&world, Method::POST, "/api/v1/write", &format!("Bearer {a}")).await).await.0, 403);
}

#[tokio::test]
async fn a_token_lives_until_it_is_revoked() {
    let world = World::new();
    let (id, a) = token(&world, JOB_A).await;
    let (_, listed) = world.get("/api/v1/admin/tokens").await;
    assert!(listed.contains(&id) && !listed.contains(a.rsplit('_').next().unwrap()), "{listed}");
    assert_eq!(ask_as(&world, "/api/v1/query?query=up", &a).await.0, 200);
    assert_eq!(ask_as(&world, "/api/v1/admin/tokens", &a).await.0, 403);
    assert_eq!(world.ask(Method::DELETE, &format!("/api/v1/admin/tokens/{id}")).await.0, 204);
    assert_eq!(world.ask(Method::POST, &format!("/api/v1/admin/tokens/{id}/revoke")).await.0, 404);
    let response = send_as(&world, Method::GET, "/api/v1/query?query=up", &format!("Bearer {a}")).await;
    assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"weir\"");
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn without_credentials_only_the_probes_answer_where_they_are_needed() {
    let world = World::new();
    let (_, a) = token(&world, r#"{"name":"ops","rights":["read","status","admin"]}"#).await;
    require_credentials(&world);
    for uri in ["/api/v1/query?query=up", "/metrics", "/federate?match[]=up", "/api/v1/admin/tokens", "/version"] {
        assert_eq!(world.get(uri).await.0, 401, "{uri}");
        assert_eq!(ask_as(&world, uri, &a).await.0, 200, "{uri}");
    }
    assert_eq!(world.ask(Method::POST, "/api/v1/write").await.0, 401);
    for uri in ["/-/healthy", "/-/ready", "/ui/", "/prometheus/-/ready"] {
        assert_eq!(world.get(uri).await.0, 200, "{uri}");
    }
    let nobody = r#"{"kind":"anonymous","name":"","rights":[],"matchers":"","expiresAt":null,"login":["token"]}"#;
    world.check("/api/v1/whoami", nobody).await;
    let (_, me) = ask_as(&world, "/prometheus/api/v1/whoami", &a).await;
    assert!(me.contains(r#""kind":"token","name":"ops","rights":["read","status","admin"]"#), "{me}");
}

#[tokio::test]
async fn users_come_with_passwords_and_browsers_are_asked_for_one() {
    let world = World::new();
    let users = Users::new(BTreeMap::from([("alice".to_owned(), bcrypt::hash("right", 4).unwrap())]), [1; 32]);
    world.access.set(AccessSettings { users: Arc::new(users), anonymous: true });
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("alice:{password}")));
    for _ in 0..2 {
        assert_eq!(send_as(&world, Method::GET, "/api/v1/status/config", &basic("right")).await.status(), 200);
        assert_eq!(send_as(&world, Method::GET, "/api/v1/status/config", &basic("wrong")).await.status(), 401);
    }
    let page = world.send(Request::get("/ui/").body(Body::empty()).unwrap()).await;
    assert_eq!(page.status(), 401);
    let asked: Vec<_> = page.headers().get_all(header::WWW_AUTHENTICATE).iter().collect();
    assert_eq!(asked, ["Basic realm=\"weir\", charset=\"UTF-8\"", "Bearer realm=\"weir\""]);
    assert_eq!(send_as(&world, Method::GET, "/ui/", &basic("right")).await.status(), 200);
}

#[tokio::test]
async fn a_write_token_names_what_its_sender_cannot_override() {
    let world = World::new();
    let (_, writer) = token(&world, r#"{"name":"w","rights":["write"],"labels":{"customer":"42"}}"#).await;
    assert_eq!(send_as(&world, Method::POST, "/api/v1/write", &format!("Bearer {writer}")).await.status(), 204);
    let taken = world.writer.taken.lock().unwrap().pop().unwrap();
    assert_eq!(taken.labels, [("customer".to_owned(), "42".to_owned())]);
    assert_eq!(ask_as(&world, "/api/v1/query?query=up", &writer).await.0, 403);
}

#[tokio::test]
async fn a_token_has_its_paths_and_its_pace() {
    let world = World::new();
    let wish = r#"{"name":"p","paths":["/api/v1/query","/api/v1/label/*"],"requestsPerSecond":1,"burst":3}"#;
    let (_, p) = token(&world, wish).await;
    assert_eq!(ask_as(&world, "/api/v1/query?query=up", &p).await.0, 200);
    assert_eq!(ask_as(&world, "/vm/api/v1/label/job/values", &p).await.0, 200);
    assert_eq!(ask_as(&world, "/api/v1/labels", &p).await.0, 403);
    let response = send_as(&world, Method::GET, "/api/v1/query?query=up", &format!("Bearer {p}")).await;
    assert_eq!((response.status().as_u16(), response.headers()[header::RETRY_AFTER].to_str().unwrap()), (429, "2"));
}

#[tokio::test]
async fn a_wish_that_cannot_be_granted_is_answered_with_the_reason() {
    let world = World::new();
    for (form, why) in [
        ("", "a token needs a name"),
        ("name=x&rights=all", "unknown right"),
        ("name=x&matchers=%7Bjob", "invalid parameter \\\"matchers\\\""),
        ("name=x&maxAge=long", "invalid parameter \\\"maxAge\\\""),
        ("name=x&labels=job", "not name=value"),
        ("name=x&rights=admin&matchers=%7Bjob%3D%22a%22%7D", "not admin"),
    ] {
        let (status, body) = world.post_form("/api/v1/admin/tokens", form).await;
        assert!(status == 400 && body.contains(why), "{form}: {status} {body}");
    }
    let (status, body) = world.post_form("/api/v1/admin/tokens", "name=x&ttl=30d&rights=read&rights=write").await;
    assert!(status == 200 && body.contains(r#""rights":["read","write"],"matchers":"""#), "{body}");
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_web_yml() {
    let world = World::new();
    let named = BTreeMap::from([("X-Frame-Options".to_owned(), "deny".to_owned())]);
    world.headers.store(Arc::new(crate::http::answer_headers(&named).unwrap()));
    for uri in ["/-/healthy", "/api/v1/query?query=up", "/nowhere"] {
        let response = world.send(Request::get(uri).body(Body::empty()).unwrap()).await;
        assert_eq!(response.headers()["x-frame-options"], "deny", "{uri}");
    }
    let broken = BTreeMap::from([("X-Frame-Options".to_owned(), "a\nb".to_owned())]);
    assert!(crate::http::answer_headers(&broken).is_err_and(|why| why.contains("X-Frame-Options")));
}

#[tokio::test]
async fn who_writes_may_name_the_replica() {
    let settings = Settings { replica_users: vec!["prom-a".into(), "prom-b".into()], ..Settings::default() };
    let world = World::wished(Wish { settings, ..Wish::default() });
    let (_, b) = token(&world, r#"{"name":"prom-b","rights":["write"]}"#).await;
    let users = ["prom-a", "grafana"].map(|name| (name.to_owned(), bcrypt::hash("right", 4).unwrap()));
    let users = Arc::new(Users::new(BTreeMap::from(users), [1; 32]));
    world.access.set(AccessSettings { users, ..AccessSettings::default() });
    let basic = |name: &str| format!("Basic {}", STANDARD.encode(format!("{name}:right")));
    for (uri, authorization, replica) in [
        ("/api/v1/write", basic("prom-a"), "prom-a"),
        ("/api/v1/write", format!("Bearer {b}"), "prom-b"),
        ("/api/v1/write?replica=other", basic("prom-a"), "other"),
        // Who is not listed is no replica.
        ("/api/v1/write", basic("grafana"), ""),
    ] {
        assert_eq!(send_as(&world, Method::POST, uri, &authorization).await.status(), 204, "{uri} {replica}");
        assert_eq!(world.writer.taken.lock().unwrap().last().unwrap().replica, replica);
    }
}
