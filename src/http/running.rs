//! `/status/active_queries` and `/status/top_queries`, in the form of VictoriaMetrics; and the way to stop a query.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::model::Span;
use crate::promql::register::{Asker, QueryId, Top, TopEntry};

use super::error::{ApiError, ErrorKind};
use super::json::Json;
use super::params::Params;
use super::{Http, answer};

/// `/api/v1/status/active_queries`: what runs or waits, oldest first.
pub(super) async fn active(State(http): State<Arc<Http>>) -> Response {
    let now = http.now();
    let queries = http.services.register.active();
    let mut json = Json::default();
    json.raw("{\"status\":\"ok\",\"data\":").array(&queries, |json, query| {
        let (grid, since) = (&query.question.grid, query.started_at.unwrap_or(query.asked_at));
        json.raw("{\"duration\":").string(&format!("{:.3}s", (now - since).as_seconds()));
        json.raw(",\"id\":").string(&id_text(query.id));
        json.raw(",\"state\":").string(if query.started_at.is_some() { "running" } else { "waiting" });
        write_asker(json, &query.question.asker);
        json.raw(",\"query\":").string(&query.question.text);
        json.raw(",\"start\":").integer(grid.start().as_millis()).raw(",\"end\":").integer(grid.end().as_millis());
        json.raw(",\"step\":").integer(grid.step().as_millis()).raw("}");
    });
    json.raw("}");
    super::json_response(json.into_bytes().into())
}

fn id_text(id: QueryId) -> String {
    format!("{:016X}", id.0)
}

fn write_asker(json: &mut Json, asker: &Asker) {
    let mut field = |name: &str, text: &str| {
        json.raw(",\"").raw(name).raw("\":").string(text);
    };
    match asker {
        Asker::Program => field("remote_addr", ""),
        Asker::Rule(rule) => {
            field("remote_addr", "");
            field("rule_file", &rule.file);
            field("rule_group", &rule.group);
            field("rule", &rule.rule);
        }
        Asker::Http(asker) => {
            field("remote_addr", &asker.address.map(|address| address.to_string()).unwrap_or_default());
            for (name, text) in
                [("user_agent", &asker.user_agent), ("dashboard", &asker.dashboard), ("panel", &asker.panel)]
            {
                if let Some(text) = text {
                    field(name, text);
                }
            }
        }
    }
}

/// `/api/v1/status/active_queries/cancel?id=...`: stops one of them. Its asker hears that it was canceled.
pub(super) async fn cancel(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let text = params.first("id");
    let id = u64::from_str_radix(text, 16).map_err(|_| ApiError::parameter("id", "not the id of a query"))?;
    match http.services.register.cancel(QueryId(id)) {
        true => Ok(answer(|json| {
            json.raw("{\"canceled\":").string(&id_text(QueryId(id))).raw("}");
        })),
        false => Err(ApiError::new(ErrorKind::NotFound, format!("no query runs under the id {text}"))),
    }
}

/// Entries in each list, and how far back they look, where nothing is said. (VictoriaMetrics: the same.)
const LISTED: usize = 20;
const LIFETIME: Span = Span::from_secs(600);

/// `/api/v1/status/top_queries`: the most expensive queries that ended within `maxLifetime`, `topN` of each kind.
pub(super) async fn top(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let most = match params.number("topN")? {
        None => LISTED,
        Some(number) => {
            usize::try_from(number).map_err(|_| ApiError::parameter("topN", "topN must be non-negative"))?
        }
    };
    let lifetime = params.span_if_given("maxLifetime")?.unwrap_or(LIFETIME);
    let register = Arc::clone(&http.services.register);
    let now = http.now();
    let Top { queries, by_count, by_average_time, by_total_time, by_memory } =
        http.lookups.run(move || register.top(most, lifetime, now)).await?;
    let mut json = Json::default();
    json.raw("{\"status\":\"ok\",\"topN\":").string(&most.to_string());
    json.raw(",\"maxLifetime\":").string(&lifetime.to_string());
    json.raw(",\"search.queryStats.lastQueriesCount\":").integer(queries);
    json.raw(",\"search.queryStats.minQueryDuration\":\"0s\",\"search.queryStats.minQueryMemoryUsage\":0");
    let mut list = |name: &str, entries: &[TopEntry], cost: fn(&mut Json, &TopEntry)| {
        json.raw(",\"").raw(name).raw("\":").array(entries, |json, entry| {
            json.raw("{\"query\":").string(&entry.text);
            json.raw(",\"timeRangeSeconds\":").integer(entry.length.as_millis() / 1000);
            cost(json, entry);
            json.raw(",\"count\":").integer(entry.count);
            json.raw(",\"lastAsker\":").string(&entry.last_asker).raw("}");
        });
    };
    list("topByCount", &by_count, |_, _| {});
    list("topByAvgDuration", &by_average_time, |json, entry| {
        json.raw(",\"avgDurationSeconds\":").number(entry.average_seconds());
    });
    list("topBySumDuration", &by_total_time, |json, entry| {
        json.raw(",\"sumDurationSeconds\":").number(entry.took.as_seconds());
    });
    list("topByAvgMemoryUsage", &by_memory, |json, entry| {
        json.raw(",\"avgMemoryBytes\":").integer(entry.average_bytes());
    });
    json.raw("}");
    Ok(super::json_response(json.into_bytes().into()))
}
