//! `/status/ha`, `/ha/explain`, `/ha/prefer`: who feeds the series, and why; and who shall.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::access::Caller;
use crate::model::sample::is_stale;
use crate::model::{Span, TimeRange, Timestamp};
use crate::store::LaneView;
use crate::store::pairs::{ExplainedSeries, PairGroup, PairLane, PreferError};

use super::error::{ApiError, ErrorKind};
use super::json::Json;
use super::params::Params;
use super::{Http, answer, series};

/// A replica that has sent nothing for so long is silent.
const SILENT: Span = Span::MINUTE;
/// A replica whose newest sample is older than this on arrival is late.
const LATE: Span = Span::MINUTE;
/// Clocks further apart are told of. Senders wait up to 5 s before they send, so less says little.
const CLOCKS_APART: Span = Span::from_secs(10);
/// Without a range, the last minutes are explained.
const EXPLAINED: Span = Span::from_secs(300);
/// Series that one answer explains: by default, and at most.
const SERIES: (usize, usize) = (20, 100);
/// Rows of a lane in one answer.
const ROWS_MAX: usize = 2_000;

/// Which lanes a request wants to see: `dedup=false` all of them, `replica=NAME` that one.
///
/// # Errors
/// Where it wants both, or `dedup` is neither true nor false.
pub(super) fn lane_view(params: &Params) -> Result<LaneView, ApiError> {
    let replica = params.first("replica");
    match (params.first("dedup"), replica) {
        ("" | "true" | "1", "") => Ok(LaneView::Merged),
        ("" | "true" | "1", _) => Ok(LaneView::Replica(replica.to_owned())),
        ("false" | "0", "") => Ok(LaneView::Raw),
        ("false" | "0", _) => Err(ApiError::parameter("replica", "give either replica or dedup=false, not both")),
        _ => Err(ApiError::parameter("dedup", "is true or false")),
    }
}

/// `/api/v1/status/ha`
pub(super) async fn status(State(http): State<Arc<Http>>) -> Result<Response, ApiError> {
    let (pairs, now) = (Arc::clone(&http.services.pairs), http.now());
    let (labels, groups) = http.lookups.run(move || (pairs.labels(), pairs.groups(now))).await?;
    let groups = groups?;
    Ok(answer(|json| {
        json.raw("{\"replicaLabel\":").string(&labels.replica).raw(",\"clusterLabels\":");
        write_names(json, &labels.cluster).raw(",\"groups\":");
        json.array(&groups, |json, group| write_group(json, group, now)).raw("}");
    }))
}

/// `/api/v1/ha/explain`
pub(super) async fn explain(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let sets = series::matcher_sets(&params).map_err(|why| ApiError::parameter("match[]", why))?;
    if sets.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let now = http.now();
    let (start, end) = match params.first("time") {
        "" => {
            let end = params.time_or("end", now)?;
            (params.time_or("start", end - EXPLAINED)?, end)
        }
        _ => {
            let at = params.time("time")?;
            (at - EXPLAINED, at + EXPLAINED)
        }
    };
    let range = TimeRange::new(start, end).ok_or_else(|| ApiError::parameter("end", "end must not be before start"))?;
    let most = params.limit()?.unwrap_or(SERIES.0).min(SERIES.1);
    let (pairs, source) = (Arc::clone(&http.services.pairs), http.source(&caller));
    let work = move || {
        let (mut all, mut truncated) = (Vec::new(), false);
        for set in &sets {
            let (found, more) = pairs.explain(set, range, most)?;
            // What the caller may not see is not explained either.
            let visible = source.series(set, range)?;
            all.extend(found.into_iter().filter(|series| visible.binary_search(&series.labels).is_ok()));
            truncated |= more;
        }
        Ok::<_, crate::store::StoreError>((all, truncated))
    };
    let (mut all, mut truncated) = http.lookups.run(work).await??;
    truncated |= all.len() > most;
    all.truncate(most);
    Ok(answer(|json| {
        json.raw("{\"start\":").time(start).raw(",\"end\":").time(end).raw(",\"series\":");
        json.array(&all, write_series);
        json.raw(",\"truncated\":").raw(if truncated { "true" } else { "false" }).raw("}");
    }))
}

/// `/api/v1/ha/prefer`
pub(super) async fn prefer(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let cluster = params.first("cluster").to_owned();
    let named = if params.first("order").is_empty() { params.first("replica") } else { params.first("order") };
    let order: Vec<String> = named.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if order.is_empty() {
        return Err(ApiError::parameter("order", "name the replicas, the preferred one first: order=b,a"));
    }
    let from = params.time_or("from", http.now())?;
    let (pairs, names) = (Arc::clone(&http.services.pairs), (cluster.clone(), order.clone()));
    let changed = http.lookups.run(move || pairs.prefer(&names.0, &names.1, from)).await?;
    changed.map_err(|error| match error {
        PreferError::Refused(why) => ApiError::bad_data(why),
        PreferError::Store(error) => ApiError::new(ErrorKind::Unavailable, error.to_string()),
    })?;
    Ok(answer(|json| {
        json.raw("{\"cluster\":").string(&cluster).raw(",\"from\":").time(from).raw(",\"order\":");
        write_names(json, &order).raw("}");
    }))
}

fn write_names<'j>(json: &'j mut Json, names: &[String]) -> &'j mut Json {
    json.array(names, |json, name| {
        json.string(name);
    })
}

fn write_maybe_time(json: &mut Json, at: Option<Timestamp>) -> &mut Json {
    match at {
        Some(at) => json.time(at),
        None => json.raw("null"),
    }
}

fn write_maybe_span(json: &mut Json, span: Option<Span>) -> &mut Json {
    match span {
        Some(span) => json.number(span.as_seconds()),
        None => json.raw("null"),
    }
}

fn write_maybe_text<'j>(json: &'j mut Json, text: Option<&str>) -> &'j mut Json {
    match text {
        Some(text) => json.string(text),
        None => json.raw("null"),
    }
}

fn write_group(json: &mut Json, group: &PairGroup, now: Timestamp) {
    json.raw("{\"cluster\":").string(&group.cluster).raw(",\"label\":");
    write_maybe_text(json, group.label.as_deref());
    json.raw(",\"series\":").integer(group.series).raw(",\"order\":");
    write_names(json, &group.order).raw(",\"preference\":");
    json.array(&group.preferences, |json, (from, order, by)| {
        // What holds from the beginning of time has no number in JSON.
        json.raw("{\"from\":").time((*from).max(Timestamp::EPOCH)).raw(",\"order\":");
        write_names(json, order).raw(",\"by\":").string(by).raw("}");
    });
    write_maybe_text(json.raw(",\"leading\":"), group.leading.as_deref());
    json.raw(",\"lastSwitch\":");
    match &group.last_switch {
        None => json.raw("null"),
        Some((at, from, to)) => {
            json.raw("{\"at\":").time(*at).raw(",\"from\":").string(from).raw(",\"to\":").string(to);
            json.raw(",\"why\":").string(&switch_reason(group, *at, from, to)).raw("}")
        }
    };
    let (samples, filled) = group.samples;
    json.raw(",\"fillRatio\":").number(if samples == 0 { 0.0 } else { filled as f64 / samples as f64 });
    json.raw(",\"gapsFilled\":").integer(group.gaps_filled).raw(",\"lanes\":");
    let mut rank = 0;
    json.array(&group.lanes, |json, lane| {
        rank += 1;
        write_lane(json, lane, rank, now);
    });
    json.raw(",\"targets\":{\"seen\":").integer(group.targets).raw(",\"oneReplicaOnly\":");
    json.array(&group.seen_by_one.0, |json, (labels, replica)| {
        json.raw("{\"labels\":").labels(labels).raw(",\"replica\":").string(replica).raw("}");
    });
    json.raw(",\"oneReplicaOnlyCount\":").integer(group.seen_by_one.1).raw("},\"warnings\":");
    json.array(warnings(group, now), |json, (kind, replica, text)| {
        write_maybe_text(json.raw("{\"kind\":").string(kind).raw(",\"replica\":"), replica.as_deref());
        json.raw(",\"text\":").string(&text).raw("}");
    });
    json.raw("}");
}

fn switch_reason(group: &PairGroup, at: Timestamp, from: &str, to: &str) -> String {
    let preferred = group.preferences.iter().rfind(|(since, ..)| *since <= at);
    if let Some((since, _, by)) = preferred.filter(|(since, ..)| at - *since < EXPLAINED) {
        let _ = since;
        return format!("preferred by {by}");
    }
    let rank = |name: &str| group.order.iter().position(|replica| replica == name);
    if rank(to) < rank(from) { format!("{to} is back") } else { format!("{from} sent nothing") }
}

fn state(lane: &PairLane, now: Timestamp) -> &'static str {
    match lane.newest {
        None => "never",
        Some((_, arrived)) if now - arrived > SILENT => "silent",
        Some((newest, arrived)) if arrived - newest > LATE => "late",
        Some(_) => "live",
    }
}

fn write_lane(json: &mut Json, lane: &PairLane, rank: usize, now: Timestamp) {
    json.raw("{\"replica\":").string(&lane.replica).raw(",\"rank\":").integer(rank);
    json.raw(",\"state\":").string(state(lane, now));
    write_maybe_time(json.raw(",\"newestSample\":"), lane.newest.map(|(newest, _)| newest));
    write_maybe_time(json.raw(",\"lastArrival\":"), lane.newest.map(|(_, arrived)| arrived));
    write_maybe_span(json.raw(",\"lag\":"), lane.newest.map(|(newest, arrived)| arrived - newest));
    write_maybe_span(json.raw(",\"clockSkew\":"), lane.clock_ahead);
    json.raw(",\"received\":").integer(lane.received).raw(",\"covered\":").integer(lane.covered);
    json.raw(",\"kept\":").integer(lane.received.saturating_sub(lane.covered));
    json.raw(",\"conflicts\":").integer(lane.conflicts).raw("}");
}

fn warnings(group: &PairGroup, now: Timestamp) -> Vec<(&'static str, Option<String>, String)> {
    let mut found = Vec::new();
    for lane in &group.lanes {
        let name = &lane.replica;
        match state(lane, now) {
            "silent" => found.push(("silent", Some(name.clone()), format!("replica {name:?} sends nothing"))),
            "late" => found.push(("lag", Some(name.clone()), format!("replica {name:?} sends old samples"))),
            _ => {}
        }
    }
    let first = group.lanes.iter().find(|lane| lane.clock_ahead == Some(Span::ZERO));
    for (lane, ahead) in group.lanes.iter().filter_map(|lane| Some((lane, lane.clock_ahead?))) {
        let way = if ahead > Span::ZERO { "ahead of" } else { "behind" };
        if let Some(first) = first.filter(|_| ahead.max(-ahead) >= CLOCKS_APART) {
            let (name, first, apart) = (&lane.replica, &first.replica, ahead.max(-ahead).as_seconds());
            let text =
                format!("the clock of replica {name:?} is {apart:.0} s {way} that of {first:?}: keep both in time");
            found.push(("clock_skew", Some(name.clone()), text));
        }
    }
    for name in &group.twice {
        let text = format!("two senders seem to use replica {name:?}: give each its own value of the replica label");
        found.push(("same_replica_twice", Some(name.clone()), text));
    }
    if group.nameless {
        let text = "a sender of this group's series names no replica: set the replica label in its external_labels";
        found.push(("no_replica_label", None, text.to_owned()));
    }
    if group.seen_by_one.1 > 0 {
        let text = format!("{} of {} targets are scraped by one replica alone", group.seen_by_one.1, group.targets);
        found.push(("one_replica_only", None, text));
    }
    found
}

fn write_series(json: &mut Json, series: &ExplainedSeries) {
    json.raw("{\"labels\":").labels(&series.labels).raw(",\"cluster\":").string(&series.cluster);
    json.raw(",\"policy\":").string(series.policy).raw(",\"counter\":");
    json.raw(if series.counter { "true" } else { "false" }).raw(",\"lanes\":");
    let mut rank = 0;
    json.array(&series.lanes, |json, (replica, rows)| {
        rank += 1;
        json.raw("{\"replica\":").string(replica).raw(",\"rank\":").integer(rank).raw(",\"rows\":");
        json.array(rows.iter().take(ROWS_MAX), |json, row| {
            let kind = match (row.is_histogram, is_stale(row.value)) {
                (true, _) => "histogram",
                (_, true) => "stale",
                _ => "float",
            };
            json.raw("{\"at\":").time(row.at).raw(",\"value\":").value(row.value).raw(",\"kind\":").string(kind);
            json.raw(",\"kept\":").raw(if row.kept { "true" } else { "false" });
            json.raw(",\"verdict\":").string(row.why.0).raw(",\"interval\":").number(row.interval.as_seconds());
            json.raw(",\"why\":").string(row.why.1).raw("}");
        });
        json.raw("}");
    });
    let mut kept: Vec<(Timestamp, &str)> = Vec::new();
    for (replica, rows) in &series.lanes {
        kept.extend(rows.iter().filter(|row| row.kept).map(|row| (row.at, replica.as_str())));
    }
    kept.sort_unstable();
    json.raw(",\"fedBy\":");
    json.array(kept.chunk_by(|one, next| one.1 == next.1), |json, stretch| {
        json.raw("{\"from\":").time(stretch[0].0).raw(",\"to\":").time(stretch[stretch.len() - 1].0);
        json.raw(",\"replica\":").string(stretch[0].1).raw(",\"rows\":").integer(stretch.len()).raw("}");
    });
    json.raw("}");
}
