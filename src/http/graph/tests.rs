//! Pictures through the router, and what is on them.

use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;

use crate::http::tests::world::World;

async fn get(world: &World, uri: &str) -> (u16, String, Vec<u8>) {
    let response = world.send(Request::get(uri).body(Body::empty()).unwrap()).await;
    let kind = response.headers().get(header::CONTENT_TYPE).unwrap().to_str().unwrap().to_owned();
    (response.status().as_u16(), kind, response.into_body().collect().await.unwrap().to_bytes().to_vec())
}

#[tokio::test]
async fn a_query_becomes_an_svg_with_title_axes_and_legend() {
    let uri = "/graph.svg?expr=up&range=1h&title=Is+it+%3Cup%3E%3F&legend_format=job+%7B%7Bjob%7D%7D&unit=bytes";
    let (status, kind, body) = get(&World::new(), uri).await;
    let svg = String::from_utf8(body).unwrap();
    assert_eq!((status, kind.as_str()), (200, "image/svg+xml"));
    for part in ["<title>Is it &lt;up&gt;?</title>", ">job a  1 B<", ">job b  1 B<", ">15:30<", "width=\"800\""] {
        assert!(svg.contains(part), "{part} is not in {svg}");
    }
    assert_eq!(svg.matches("stroke-width=\"1.6\"").count(), 2, "two curves");
}

#[tokio::test]
async fn a_png_has_the_size_that_was_asked_for() {
    let (status, kind, body) =
        get(&World::new(), "/graph.png?query=up&width=400&height=200&theme=dark&stacked=1").await;
    assert_eq!((status, kind.as_str()), (200, "image/png"));
    assert_eq!(&body[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!((&body[16..20], &body[20..24]), (&400u32.to_be_bytes()[..], &200u32.to_be_bytes()[..]));
}

#[tokio::test]
async fn what_cannot_be_drawn_is_said() {
    let world = World::new();
    for (uri, part) in [
        ("/graph.svg?expr=up%28", "parse error"),
        ("/graph.svg?expr=up&width=9", "from 160 to 4000"),
        ("/graph.svg?expr=up&unit=apples", "unknown unit"),
        ("/graph.svg?expr=up&theme=pink", "light or dark"),
        ("/graph.svg?expr=up&step=1ms&range=1d", "more than 11000 points"),
        ("/graph.svg?expr=up&y_min=2&y_max=1", "y_max must be above"),
        ("/graph.svg?expr=up&tz=Nowhere", "no such time zone"),
    ] {
        let (status, _, body) = get(&world, uri).await;
        let text = String::from_utf8(body).unwrap();
        assert!(status == 400 && text.contains(part), "{uri}: {status} {text}");
    }
    let (status, _, body) = get(&world, "/graph.svg?expr=nothing").await;
    assert!(status == 200 && String::from_utf8(body).unwrap().contains(">no data<"));
}

#[tokio::test]
async fn a_token_in_the_url_shows_its_own_part() {
    let world = World::new();
    let wish = "name=panel&rights=graph&matchers=%7Bjob%3D%22a%22%7D";
    let (_, body) = world.post_form("/api/v1/admin/tokens", wish).await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let token = body["data"]["token"].as_str().unwrap();
    let (status, _, svg) = get(&world, &format!("/graph.svg?expr=up&token={token}")).await;
    let svg = String::from_utf8(svg).unwrap();
    assert!(status == 200 && svg.contains("job=&quot;a&quot;") && !svg.contains("job=&quot;b&quot;"), "{svg}");
    assert_eq!(get(&world, "/graph.svg?expr=up&token=weir_0_0").await.0, 401);
    // Elsewhere the URL opens nothing: it ends in logs.
    world.access.set(crate::access::Settings { anonymous: false, ..Default::default() });
    assert_eq!(world.get(&format!("/api/v1/query?query=up&token={token}")).await.0, 401);
}
