//! `/query`, `/query_range`, `/query_exemplars`, `/format_query`, `/parse_query`.
//!
//! Parameters are looked at in Prometheus' order, so that a request that is wrong twice is told of the same mistake.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use crate::access::Caller;
use crate::model::{Matcher, Span, StepGrid, TimeRange, Timestamp};
use crate::promql::parse::parse;
use crate::promql::register::Question;
use crate::promql::{Answer, EachSeries, Expr, ExprKind, Interrupt, QueryError, QueryOptions, Value, format, tree};

use super::asker::AskedBy;
use super::error::ApiError;
use super::gate::Place;
use super::ha;
use super::json::answer::{AnswerPieces, Frame, QueryStats};
use super::json::matrix::MatrixWriter;
use super::json::pages::Sheets;
use super::json::{Json, pages};
use super::outlet::Outlet;
use super::params::Params;
use super::{Http, answer};

/// The warning that stands beside a result that was cut.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// `/api/v1/query`
pub(super) async fn instant(
    State(http): State<Arc<Http>>,
    AskedBy(asker): AskedBy,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let now = http.now();
    let at = params.time_or("time", now)?;
    let asked = Asked::read(&http, &params)?;
    let question = Question {
        text: params.first("query").into(),
        grid: StepGrid::instant(at),
        asker,
        lanes: ha::lane_view(&params)?,
    };
    let source = http.source_of(&caller, &params)?;
    let (answer, stats, place) = asked
        .run(&http, question, move |http, text, options| {
            http.services.queries.instant(source.as_ref(), text, at, options)
        })
        .await?;
    let fetched = Some(stats.counts.series_fetched);
    Ok(asked.respond(cut(answer, limit), stats, fetched, place))
}

/// `/api/v1/query_range`
pub(super) async fn range(
    State(http): State<Arc<Http>>,
    AskedBy(asker): AskedBy,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let limit = params.limit()?;
    let start = params.time("start")?;
    let end = params.time("end")?;
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = params.span("step")?;
    let grid = StepGrid::new(start, end, step).ok_or_else(|| {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        ApiError::parameter("step", why)
    })?;
    if grid.len().saturating_sub(1) > http.settings.points_max {
        return Err(ApiError::bad_data(format!(
            "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
            with_thousands(http.settings.points_max)
        )));
    }
    let asked = Asked::read(&http, &params)?;
    let question = Question { text: params.first("query").into(), grid, asker, lanes: ha::lane_view(&params)? };
    let source = http.source_of(&caller, &params)?;
    let body = asked
        .answer(&http, question, limit, move |http, text, options, each| {
            http.services.queries.range_each(source.as_ref(), text, grid, options, each)
        })
        .await?;
    Ok(super::json_response(body))
}

/// What both kinds of query may be asked with.
#[derive(Clone)]
pub(super) struct Asked {
    timeout: Span,
    lookback: Option<Span>,
    wants_stats: bool,
    per_step: bool,
    trace: bool,
    anew: bool,
}

impl Asked {
    pub(super) fn read(http: &Http, params: &Params) -> Result<Self, ApiError> {
        let timeout = timeout(http, params)?;
        let lookback = match params.first("lookback_delta") {
            "" => None,
            text => Some(
                super::params::parse_span(text)
                    .map_err(|why| ApiError::bad_data(format!("error parsing lookback delta duration: {why}")))?,
            ),
        };
        let stats = params.first("stats");
        Ok(Asked {
            timeout,
            lookback: lookback.filter(|lookback| *lookback > Span::ZERO),
            wants_stats: !stats.is_empty(),
            per_step: stats == "all",
            // Statistics are those of the whole query.
            anew: !stats.is_empty() || matches!(params.first("nocache"), "1" | "true"),
            trace: ["trace", "explain"].iter().any(|name| matches!(params.first(name), "1" | "true")),
        })
    }

    pub(super) async fn run(
        &self,
        http: &Arc<Http>,
        question: Question,
        evaluate: impl FnOnce(&Http, &str, &QueryOptions) -> Result<Answer, QueryError> + Send + 'static,
    ) -> Result<(Answer, QueryStats, Place), ApiError> {
        let interrupt = Interrupt::default();
        let options = self.options(http, &interrupt);
        let asked_at = http.now();
        let text = Arc::clone(&question.text);
        let mut running = http.services.register.enter(question, &interrupt, asked_at);
        let work = {
            let http = Arc::clone(http);
            move || {
                let began_at = http.now();
                running.starts(began_at);
                let answer = evaluate(&http, &text, &options);
                let ended_at = http.now();
                running.ended(ended_at, &answer);
                Ok((answer?, began_at, ended_at))
            }
        };
        let (ended, place) = http.queries.run_query(self.timeout, &interrupt, "query", work).await?;
        let (answer, began_at, ended_at) = ended;
        let stats = self.stats(&answer, [asked_at, began_at, ended_at]);
        Ok((answer, stats, place))
    }

    /// Runs a range query whose answer, cut to `limit` series, is written while it is worked out.
    async fn answer(
        &self,
        http: &Arc<Http>,
        question: Question,
        limit: Option<usize>,
        evaluate: impl FnOnce(&Http, &str, &QueryOptions, &mut EachSeries<'_>) -> Result<Answer, QueryError>
        + Send
        + 'static,
    ) -> Result<Body, ApiError> {
        let interrupt = Interrupt::default();
        let options = self.options(http, &interrupt);
        let asked_at = http.now();
        let text = Arc::clone(&question.text);
        let mut running = http.services.register.enter(question, &interrupt, asked_at);
        let (asked, work_http) = (self.clone(), Arc::clone(http));
        let work = move |outlet: &mut Outlet| {
            let http = work_http;
            let began_at = http.now();
            running.starts(began_at);
            let mut writer = MatrixWriter::default();
            let mut left_out = false;
            let mut each = |series| {
                if limit.is_some_and(|limit| writer.written() >= limit) {
                    left_out = true;
                    return Ok(());
                }
                writer.series(outlet, series)
            };
            let mut answer = evaluate(&http, &text, &options, &mut each);
            if let (Ok(answer), true) = (&mut answer, left_out) {
                answer.warnings.push(TRUNCATED.to_owned());
            }
            let ended_at = http.now();
            running.ended(ended_at, &answer);
            let answer = answer?;
            let stats = asked.wants_stats.then(|| asked.stats(&answer, [asked_at, began_at, ended_at]));
            writer.end(outlet.page(), &answer, &Frame { stats, series_fetched: None });
            Ok(())
        };
        http.queries.answer_query(self.timeout, &interrupt, "query", work).await
    }

    fn options(&self, http: &Http, interrupt: &Interrupt) -> QueryOptions {
        QueryOptions {
            lookback: self.lookback,
            interrupt: interrupt.clone(),
            per_step_stats: self.per_step,
            stopwatch: self.trace.then(|| http.services.stopwatch.clone()),
            anew: self.anew,
        }
    }

    /// What a query took that was asked, began and ended at these times.
    fn stats(&self, answer: &Answer, [asked_at, began_at, ended_at]: [Timestamp; 3]) -> QueryStats {
        QueryStats {
            counts: answer.stats.clone(),
            per_step: self.per_step,
            queued_seconds: (began_at - asked_at).as_seconds(),
            running_seconds: (ended_at - began_at).as_seconds(),
        }
    }

    fn respond(&self, answer: Answer, stats: QueryStats, series_fetched: Option<u64>, place: Place) -> Response {
        let frame = Frame { stats: self.wants_stats.then_some(stats), series_fetched };
        super::json_response(pages::body(Held { pieces: AnswerPieces::new(answer, &frame), _place: place }))
    }
}

/// How long a request may take: as long as it wants, up to the bound that is set.
///
/// # Errors
/// Where `timeout` is no duration.
pub(super) fn timeout(http: &Http, params: &Params) -> Result<Span, ApiError> {
    let longest = http.settings.query_timeout;
    // prometheus-adapter may compute a negative timeout: it means no more than "none given".
    let wanted = match params.first("timeout").strip_prefix('-') {
        Some(_) => None,
        None => params.span_if_given("timeout")?.filter(|timeout| *timeout > Span::ZERO),
    };
    Ok(wanted.map_or(longest, |wanted| wanted.min(longest)))
}

/// An answer that keeps its query's place until it is written.
struct Held {
    pieces: AnswerPieces,
    _place: Place,
}

impl pages::Pieces for Held {
    fn write_next(&mut self, into: &mut Json) -> bool {
        self.pieces.write_next(into)
    }
}

/// Cuts an answer to `limit` series, and says so.
fn cut(mut answer: Answer, limit: Option<usize>) -> Answer {
    let Some(limit) = limit else { return answer };
    let was_longer = match &mut answer.value {
        Value::Vector(samples) => {
            let longer = samples.len() > limit;
            samples.truncate(limit);
            longer
        }
        Value::Matrix(series) => {
            let longer = series.len() > limit;
            series.truncate(limit);
            longer
        }
        Value::Scalar(..) | Value::String(..) => false,
    };
    if was_longer {
        answer.warnings.push(TRUNCATED.to_owned());
    }
    answer
}

/// `11000` as `11,000`: how the error names the bound.
fn with_thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `/api/v1/query_exemplars`
pub(super) async fn exemplars(
    State(http): State<Arc<Http>>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let start = params.time_or("start", Timestamp::MIN)?;
    let end = params.time_or("end", Timestamp::MAX)?;
    let range = TimeRange::new(start, end)
        .ok_or_else(|| ApiError::bad_data("end timestamp must not be before start timestamp"))?;
    let expr =
        parse(params.first("query"), &http.services.features).map_err(|error| ApiError::bad_data(error.to_string()))?;
    let mut selectors = Vec::new();
    collect_selectors(&expr, &mut selectors);
    let found = match selectors.is_empty() {
        true => Vec::new(),
        false => {
            let source = http.source(&caller);
            http.lookups.run(move || source.exemplars(&selectors, range)).await??
        }
    };
    let pieces = pages::ListAnswer::new(
        found,
        |json, series| {
            json.raw("{\"seriesLabels\":").labels(&series.labels).raw(",\"exemplars\":");
            json.array(&series.exemplars, |json, exemplar| {
                json.raw("{\"labels\":").labels(&exemplar.labels).raw(",\"value\":").value(exemplar.value);
                json.raw(",\"timestamp\":").time(exemplar.at).raw("}");
            });
            json.raw("}");
        },
        vec![],
    );
    Ok(super::json_response(pages::body(pieces)))
}

/// The matchers of every selector in `expr`.
fn collect_selectors(expr: &Expr, into: &mut Vec<Vec<Matcher>>) {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Selector(selector) => into.push(selector.matchers.clone()),
        ExprKind::Range { selector, .. } => collect_selectors(selector, into),
        ExprKind::Subquery(subquery) => collect_selectors(&subquery.expr, into),
        ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => collect_selectors(expr, into),
        ExprKind::Binary(binary) => {
            collect_selectors(&binary.left, into);
            collect_selectors(&binary.right, into);
        }
        ExprKind::Aggregate(aggregate) => {
            collect_selectors(&aggregate.expr, into);
            if let Some(parameter) = &aggregate.parameter {
                collect_selectors(parameter, into);
            }
        }
        ExprKind::Call(call) => call.arguments.iter().for_each(|argument| collect_selectors(argument, into)),
    }
}

/// `/api/v1/format_query`
pub(super) async fn layout(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let expr =
        parse(params.first("query"), &http.services.features).map_err(|error| ApiError::parameter("query", error))?;
    Ok(answer(|json| {
        json.string(&format::pretty(&expr));
    }))
}

/// `/api/v1/parse_query`
pub(super) async fn syntax_tree(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let expr =
        parse(params.first("query"), &http.services.features).map_err(|error| ApiError::parameter("query", error))?;
    Ok(answer(|json| {
        json.raw(&tree::json(&expr).to_string());
    }))
}
