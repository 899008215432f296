//! `/status/*`, `/features`, and what concerns scraping: empty here, but of the right form.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::error::{ApiError, ErrorKind};
use super::json::Json;
use super::params::{Params, rfc3339};
use super::readiness::Phase;
use super::senders::SILENT_AFTER;
use super::services::BuildInfo;
use super::{Http, answer};

/// The Prometheus whose API this is. Clients turn abilities on and off by it.
pub const PROMETHEUS_VERSION: &str = "3.14.0";

/// `/api/v1/status/buildinfo`. Without a `features` object: Grafana takes one for Mimir.
pub(super) async fn build_info(State(http): State<Arc<Http>>) -> Response {
    answer(|json| write_build(json, &http.services.build))
}

/// What was built, as both buildinfo and `/version` tell it.
pub(super) fn write_build(json: &mut Json, build: &BuildInfo) {
    let fields = [
        ("version", PROMETHEUS_VERSION),
        ("revision", &build.revision),
        ("branch", &build.branch),
        ("buildUser", &build.build_user),
        ("buildDate", &build.build_date),
        ("goVersion", &build.rustc),
        ("product", "Weir"),
        ("productVersion", &build.version),
    ];
    json.object(fields, |json, value| {
        json.string(value);
    });
}

/// `/api/v1/status/runtimeinfo`. What only Go has is empty.
pub(super) async fn runtime_info(State(http): State<Arc<Http>>) -> Response {
    let config = (http.services.config)();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let damages = http.services.storage.report().damages.len();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    answer(|json| {
        json.raw("{\"startTime\":").string(&rfc3339(http.services.started_at));
        json.raw(",\"CWD\":\"\",\"hostname\":").string(host.trim());
        json.raw(",\"serverTime\":").string(&rfc3339(http.now()));
        json.raw(",\"reloadConfigSuccess\":").raw(if config.last_reload_worked { "true" } else { "false" });
        json.raw(",\"lastConfigTime\":").string(&rfc3339(config.loaded_at));
        json.raw(",\"corruptionCount\":").integer(damages);
        json.raw(",\"goroutineCount\":0,\"GOMAXPROCS\":").integer(threads);
        json.raw(",\"GOMEMLIMIT\":0,\"GOGC\":\"\",\"GODEBUG\":\"\",\"storageRetention\":");
        json.string(&http.services.storage.retention()).raw("}");
    })
}

/// `/api/v1/status/flags`
pub(super) async fn flags(State(http): State<Arc<Http>>) -> Response {
    answer(|json| {
        json.object(&http.services.flags, |json, value| {
            json.string(value);
        });
    })
}

/// `/api/v1/status/config`
pub(super) async fn config(State(http): State<Arc<Http>>) -> Response {
    answer(|json| {
        json.raw("{\"yaml\":").string(&(http.services.config)().yaml).raw("}");
    })
}

/// `/api/v1/status/walreplay`: the one API answer that is given while recovering.
pub(super) async fn replay(State(http): State<Arc<Http>>) -> Response {
    let (done, total) = match http.services.readiness.phase() {
        Phase::Recovering { done, total, .. } => (done, total),
        _ => (0, 0),
    };
    answer(|json| {
        json.raw("{\"min\":0,\"max\":").integer(total).raw(",\"current\":").integer(done).raw("}");
    })
}

/// `/api/v1/features`: what is there, by area.
pub(super) async fn features() -> Response {
    answer(|json| {
        json.raw(concat!(
            r#"{"api":{"admin":true,"exclude_alerts":true,"label_values_match":true,"lifecycle":true,"#,
            r#""query_stats":true,"query_warnings":true,"remote_write_receiver":true,"#,
            r#""rule_group_pagination":true,"time_range_labels":true,"time_range_series":true},"#,
            r#""promql":{"at_modifier":true,"negative_offset":true,"subqueries":true},"#,
            r#""rules":{"keep_firing_for":true},"tsdb":{"exemplars":true,"native_histograms":true}}"#,
        ));
    })
}

/// `/api/v1/targets`: nothing is scraped here; the targets shown are the senders.
pub(super) async fn targets(State(http): State<Arc<Http>>, params: Params) -> Response {
    let now = http.now();
    let wants = |state: &str| matches!(params.first("state"), "" | "any") || params.first("state") == state;
    let senders = if wants("active") { http.senders.all() } else { Vec::new() };
    answer(|json| {
        json.raw("{\"activeTargets\":").array(senders, |json, (sender, seen)| {
            let address = sender.address.map(|address| address.to_string()).unwrap_or_default();
            let silent = now - seen.last_at > SILENT_AFTER;
            let health = if silent || !seen.last_error.is_empty() { "down" } else { "up" };
            let error = if silent { "nothing came for more than 5 minutes" } else { &seen.last_error };
            let replica = sender.replica.as_ref();
            let labels = [
                ("instance", address.as_str()),
                ("job", sender.user_agent.as_str()),
                ("cluster", replica.map_or("", |replica| replica.cluster.as_str())),
                ("replica", replica.map_or("", |replica| replica.name.as_str())),
            ];
            let labels: Vec<_> = labels.into_iter().filter(|(_, value)| !value.is_empty()).collect();
            json.raw("{\"discoveredLabels\":{},\"labels\":").object(labels, |json, value| {
                json.string(value);
            });
            json.raw(",\"scrapePool\":\"senders\",\"scrapeUrl\":").string(&sender.path);
            json.raw(",\"globalUrl\":").string(&sender.path).raw(",\"lastError\":").string(error);
            json.raw(",\"lastScrape\":").string(&rfc3339(seen.last_at));
            json.raw(",\"lastScrapeDuration\":").number(seen.took.as_seconds()).raw(",\"health\":").string(health);
            json.raw(",\"scrapeInterval\":\"\",\"scrapeTimeout\":\"\"}");
        });
        json.raw(",\"droppedTargets\":[],\"droppedTargetCounts\":{}}");
    })
}

/// `/api/v1/targets/relabel_steps`, `/api/v1/scrape_pools/config`: there is no scrape pool.
pub(super) async fn no_scrape_pool(params: Params) -> ApiError {
    match params.first("scrapePool") {
        "" => ApiError::bad_data("no scrapePool parameter provided"),
        name => ApiError::new(ErrorKind::NotFound, format!("scrape pool {name:?} not found: nothing is scraped here")),
    }
}

/// `/api/v1/status/tsdb/blocks`: days of samples, in the form of Prometheus' blocks.
pub(super) async fn blocks(State(http): State<Arc<Http>>) -> Response {
    const DAY_MILLIS: i64 = 86_400_000;
    let report = http.services.storage.report();
    answer(|json| {
        json.raw("{\"blocks\":").array(&report.days, |json, (day, parts)| {
            let start = format!("{day}T00:00:00Z").parse::<jiff::Timestamp>().map_or(0, |at| at.as_millisecond());
            json.raw("{\"ulid\":").string(day).raw(",\"minTime\":").integer(start);
            json.raw(",\"maxTime\":").integer(start + DAY_MILLIS);
            json.raw(",\"stats\":{\"numSamples\":").integer(parts.samples);
            json.raw(",\"numBytes\":").integer(parts.bytes).raw(",\"numParts\":").integer(parts.parts);
            json.raw("},\"compaction\":{\"level\":1,\"sources\":[]},\"version\":1}");
        });
        json.raw("}");
    })
}

/// The description of this API, kept by hand; a test holds it against the routes.
pub(super) const OPENAPI: &str = include_str!("openapi.yaml");

/// `/api/v1/openapi.yaml`
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml; charset=utf-8")], OPENAPI).into_response()
}

/// `/api/v1/scrape_pools`: the one that senders stand in, once there is a sender.
pub(super) async fn scrape_pools(State(http): State<Arc<Http>>) -> Response {
    let pools: &[&str] = if http.senders.all().is_empty() { &[] } else { &["senders"] };
    answer(|json| {
        json.raw("{\"scrapePools\":").array(pools, |json, pool| {
            json.string(pool);
        });
        json.raw("}");
    })
}

/// `/api/v1/targets/metadata`
pub(super) async fn empty_list() -> Response {
    answer(|json| {
        json.raw("[]");
    })
}
