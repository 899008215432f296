//! `/status/*`, `/features`, and what concerns scraping: empty here, but of the right form.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::json::Json;
use super::params::rfc3339;
use super::readiness::Phase;
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

/// `/api/v1/targets`
pub(super) async fn targets() -> Response {
    answer(|json| {
        json.raw("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}");
    })
}

/// `/api/v1/scrape_pools`
pub(super) async fn scrape_pools() -> Response {
    answer(|json| {
        json.raw("{\"scrapePools\":[]}");
    })
}

/// `/api/v1/targets/metadata`, `/api/v1/notifications`
pub(super) async fn empty_list() -> Response {
    answer(|json| {
        json.raw("[]");
    })
}
