//! `/rules/backtest`: when a rule would have fired.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::access::Caller;
use crate::model::{Span, StepGrid};
use crate::promql::register::Question as Asked;
use crate::promql::{Interrupt, QueryOptions};
use crate::rules::backtest::{Backtest, BacktestError, EVALUATIONS_MAX, Episode, Question, backtest};

use super::asker::AskedBy;
use super::error::{ApiError, ErrorKind};
use super::json::Json;
use super::params::Params;
use super::query::timeout;
use super::rules::{find_group, find_rule};
use super::{Http, answer};

/// `/api/v1/rules/backtest`
pub(super) async fn run(
    State(http): State<Arc<Http>>,
    caller: Caller,
    AskedBy(asker): AskedBy,
    params: Params,
) -> Result<Response, ApiError> {
    let question = read(&http, &caller, &params)?;
    let source = http.source(&caller);
    let interrupt = Interrupt::default();
    let options = QueryOptions { interrupt: interrupt.clone(), ..QueryOptions::default() };
    let asked = Asked {
        text: question.expr.as_str().into(),
        grid: question.grid,
        asker,
        lanes: crate::store::LaneView::Merged,
    };
    let mut running = http.services.register.enter(asked, &interrupt, http.now());
    let (worker, tested) = (Arc::clone(&http), question.clone());
    let work = move || {
        running.starts(worker.now());
        let queries = &worker.services.queries;
        let report = backtest(&tested, |text, grid| queries.range(source.as_ref(), text, grid, &options));
        Ok(report)
    };
    let (report, _place) = http.queries.run_query(timeout(&http, &params)?, &interrupt, "query", work).await?;
    let report = report.map_err(|error| match error {
        BacktestError::Query(error) => ApiError::query("expr", error),
        BacktestError::Step(error) => ApiError::new(ErrorKind::Execution, error.to_string()),
    })?;
    Ok(answer(|json| write(json, &question, &report)))
}

fn read(http: &Http, caller: &Caller, params: &Params) -> Result<Question, ApiError> {
    let now = http.now();
    let mut question = Question {
        expr: params.first("expr").to_owned(),
        hold: params.span_if_given("for")?.unwrap_or(Span::ZERO),
        keep_firing: params.span_if_given("keep_firing_for")?.unwrap_or(Span::ZERO),
        grid: StepGrid::instant(now),
    };
    let mut interval = params.span_if_given("interval")?.filter(|interval| *interval > Span::ZERO);
    if !params.first("rule_id").is_empty() {
        let group = find_group(http, caller, params)?;
        let rule = find_rule(&group, params)?;
        question.expr.clone_from(&rule.query);
        if let Some(alerting) = &rule.alerting {
            (question.hold, question.keep_firing) = (alerting.hold, alerting.keep_firing);
        }
        interval = interval.or(Some(group.interval));
    }
    if question.expr.is_empty() {
        return Err(ApiError::parameter("expr", "an expression or a rule_id is needed"));
    }
    let (start, end) = (params.time_or("start", now - Span::DAY)?, params.time_or("end", now)?);
    let grid = StepGrid::new(start, end, interval.unwrap_or(Span::MINUTE));
    question.grid = grid.ok_or_else(|| ApiError::parameter("end", "end timestamp must not be before start time"))?;
    if question.grid.len() > EVALUATIONS_MAX {
        let why = format!("that would be {} evaluations, and the limit is {EVALUATIONS_MAX}", question.grid.len());
        return Err(ApiError::parameter("interval", why));
    }
    Ok(question)
}

fn write(json: &mut Json, question: &Question, report: &Backtest) {
    let (grid, end) = (question.grid, question.grid.end());
    json.raw("{\"start\":").time(grid.start()).raw(",\"end\":").time(end);
    json.raw(",\"interval\":").number(grid.step().as_seconds()).raw(",\"evaluations\":").integer(grid.len());
    json.raw(",\"fired\":").integer(report.fired());
    json.raw(",\"firingSeconds\":").number(report.firing(end).as_seconds());
    json.raw(",\"activeAtEnd\":").integer(report.active_at_end());
    json.raw(",\"truncated\":").raw(if report.truncated { "true" } else { "false" });
    json.raw(",\"alerts\":").array(&report.alerts, |json, (labels, episodes)| {
        let shown = labels.without(|name| name == "alertname");
        json.raw("{\"labels\":").labels(&shown).raw(",\"episodes\":");
        json.array(episodes, |json, episode| write_episode(json, episode, end)).raw("}");
    });
    json.raw("}");
}

fn write_episode(json: &mut Json, episode: &Episode, end: crate::model::Timestamp) {
    json.raw("{\"activeAt\":").time(episode.active_at);
    for (name, at) in [("firedAt", episode.fired_at), ("endedAt", episode.ended_at)] {
        json.raw(",").string(name).raw(":");
        match at {
            Some(at) => json.time(at),
            None => json.raw("null"),
        };
    }
    json.raw(",\"firing\":").number(episode.firing(end).as_seconds());
    json.raw(",\"peak\":").value(episode.peak).raw("}");
}
