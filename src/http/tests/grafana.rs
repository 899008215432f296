//! Grafana's Prometheus data source: each request that it is known to send, and the fields that it reads of the answer.
//!
//! Its backend asks with POST forms, and with GET where it is set so; it adds headers that name dashboard and panel, and
//! parameters that a user configured.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;

use super::world::{World, read};

/// What a field of an answer has to be.
#[derive(Clone, Copy, Debug)]
enum Is {
    Text,
    Number,
    Truth,
    Array,
    Object,
    Absent,
}

impl Is {
    fn holds(self, found: Option<&Value>) -> bool {
        match (self, found) {
            (Text, Some(found)) => found.is_string(),
            (Number, Some(found)) => found.is_number(),
            (Truth, Some(found)) => found.is_boolean(),
            (Array, Some(found)) => found.is_array(),
            (Object, Some(found)) => found.is_object(),
            (Absent, found) => found.is_none(),
            _ => false,
        }
    }
}

use Is::{Absent, Array, Number, Object, Text, Truth};

/// When Grafana asks, what (a form behind the path is posted), and what it reads, by JSON pointers.
type Case = (&'static str, &'static str, &'static [(&'static str, Is)]);

const SERIES: &[(&str, Is)] = &[("/data/0/__name__", Text), ("/data/0/job", Text)];
const MATRIX: &[(&str, Is)] = &[
    ("/data/resultType", Text),
    ("/data/result/0/metric", Object),
    ("/data/result/0/values/0/0", Number),
    ("/data/result/0/values/0/1", Text),
];
const VECTOR: &[(&str, Is)] =
    &[("/data/resultType", Text), ("/data/result/0/value/0", Number), ("/data/result/0/value/1", Text)];

const CASES: &[Case] = &[
    ("save and test", "/api/v1/query query=1%2B1&time=4", &[("/data/result/1", Text)]),
    (
        "flavour and version",
        "/api/v1/status/buildinfo",
        &[("/data/version", Text), ("/data/revision", Text), ("/data/features", Absent)],
    ),
    ("alerting finds out what we are", "/api/v1/status/flags", &[("/data", Object)]),
    ("alerting, without buildinfo", "/api/v1/query?query=prometheus_build_info", &[("/data/result", Array)]),
    ("rules to expand", "/api/v1/rules", &[("/data/groups", Array)]),
    (
        "the alerting page",
        "/api/v1/rules?file[]=a&file=a&rule_group[]=b&rule_group=b&rule_name[]=c&exclude_alerts=true&group_limit=100",
        &[("/data/groups", Array)],
    ),
    ("alerts", "/api/v1/alerts", &[("/data/alerts", Array)]),
    (
        "exemplars, at the start",
        "/api/v1/query_exemplars?query=test&start=1795359600000&end=1795363200000",
        &[("/data", Array)],
    ),
    (
        "metric names in the editor",
        "/api/v1/label/__name__/values?limit=40000&start=1795359600&end=1795363200",
        &[("/data/0", Text)],
    ),
    ("label names in the editor", "/api/v1/labels limit=40000&start=1795359600&end=1795363200", &[("/data/0", Text)]),
    (
        "label names of a metric",
        "/api/v1/labels limit=40000&start=1795359600&end=1795363200&match[]=up",
        &[("/data/0", Text)],
    ),
    ("the same after a 405", "/api/v1/labels?limit=40000&match[]=up", &[("/data/0", Text)]),
    ("metadata", "/api/v1/metadata?limit=40000", &[("/data/up/0/type", Text), ("/data/up/0/help", Text)]),
    ("label values", "/api/v1/label/job/values?match[]=up&start=1795359600&end=1795363200", &[("/data/0", Text)]),
    ("values of an escaped label", "/api/v1/label/U__http_2e_status/values", &[("/data/0", Text)]),
    (
        "series of a variable",
        "/api/v1/series match[]=up&match[]=none&limit=40000&start=1795359600&end=1795363200",
        SERIES,
    ),
    ("query_result of a variable", "/api/v1/query query=up&time=1795363200", VECTOR),
    ("suggestions", "/api/v1/labels?match[]=up&limit=10 ", &[("/data/0", Text)]),
    ("suggestions of values", "/api/v1/label/job/values?match[]=up&limit=10 ", &[("/data/0", Text)]),
    ("a panel", "/api/v1/query_range query=up&start=1795359600&end=1795363200&step=15", MATRIX),
    (
        "a panel of less than a second",
        "/api/v1/query_range query=up&start=1600000000.123&end=1600000010.623&step=0.5&timeout=30s",
        MATRIX,
    ),
    (
        "a panel by GET, with what the user adds",
        "/api/v1/query_range?query=up&start=1795359600&end=1795363200&step=60&max_source_resolution=5m",
        MATRIX,
    ),
    ("a stat panel", "/api/v1/query query=up&time=1795363199.5&timeout=30s", VECTOR),
    (
        "a panel with statistics",
        "/api/v1/query_range query=up&start=1795359600&end=1795363200&step=60&stats=all",
        &[
            ("/data/stats/samples/totalQueryableSamples", Number),
            ("/data/stats/samples/peakSamples", Number),
            ("/data/stats/timings/evalTotalTime", Number),
        ],
    ),
    (
        "exemplars of a panel",
        "/api/v1/query_exemplars query=up&start=0&end=1795363200",
        &[
            ("/data/0/seriesLabels", Object),
            ("/data/0/exemplars/0/labels", Object),
            ("/data/0/exemplars/0/value", Text),
            ("/data/0/exemplars/0/timestamp", Number),
        ],
    ),
    ("an answer that is cut", "/api/v1/query query=up&time=1795363200&limit=1", &[("/warnings/0", Text)]),
    ("the editor's tree", "/api/v1/parse_query query=up", &[("/data/type", Text)]),
    ("the features there are", "/api/v1/features", &[("/data/api", Object), ("/data/api/admin", Truth)]),
    ("an empty answer", "/api/v1/query query=none&time=1795363200", &[("/data/result", Array)]),
    ("an empty list of series", "/api/v1/series match[]=none", &[("/data", Array)]),
];

/// A request with Grafana's headers.
fn request(asked: &str) -> Request<Body> {
    let (uri, form) = asked.split_once(' ').unwrap_or((asked, ""));
    let is_post = asked.contains(' ');
    let request = Request::builder()
        .method(if is_post { "POST" } else { "GET" })
        .uri(uri)
        .header(header::USER_AGENT, "Grafana/13.2.1")
        .header("x-dashboard-uid", "node")
        .header("x-panel-id", "7")
        .header("x-grafana-org-id", "1")
        .header("x-grafana-cache", "skip");
    match form {
        "" => request.body(Body::empty()),
        form => {
            request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form.to_owned()))
        }
    }
    .expect("a request")
}

#[tokio::test]
async fn every_request_of_grafana_is_answered_with_what_it_reads() {
    let world = World::new();
    for (what, asked, fields) in CASES {
        let response = world.send(request(asked)).await;
        let kind = response.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        let (status, body) = read(response).await;
        assert_eq!((status, kind.as_str()), (200, "application/json"), "{what}: {asked}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(answer["status"], "success", "{what}: {body}");
        for (pointer, is) in *fields {
            assert!(is.holds(answer.pointer(pointer)), "{what}: {pointer} is not {is:?}: {body}");
        }
        if let Some(result) = body.find("\"result\":") {
            let kind = body.find("\"resultType\":").expect("a type");
            assert!(kind < result, "{what}: Grafana holds what stands before the type: {body}");
        }
    }
}

#[tokio::test]
async fn every_search_of_grafana_is_answered_line_by_line() {
    let world = World::new();
    for (what, asked) in [
        (
            "metrics",
            "/api/v1/search/metric_names?search[]=u&match[]=up&limit=100&batch_size=100&sort_by=score&fuzz_threshold=80&fuzz_alg=jarowinkler&case_sensitive=false&include_metadata=true",
        ),
        ("labels", "/api/v1/search/label_names?search[]=j&match[]=up&limit=100&batch_size=100"),
        ("values", "/api/v1/search/label_values?label=job&search[]=a&limit=100&batch_size=100"),
    ] {
        let (status, body) = read(world.send(request(asked)).await).await;
        assert_eq!(status, 200, "{what}: {body}");
        let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let (last, batches) = lines.split_last().expect("a trailer");
        assert!(batches.iter().all(|batch| batch["results"].is_array()), "{what}: {body}");
        assert_eq!((&last["status"], last["has_more"].is_boolean()), (&Value::from("success"), true), "{what}: {body}");
    }
}
