//! The door: text or a parsed expression in, a value with annotations and statistics out.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Span, StepGrid, Stopwatch, Timestamp};
use crate::store::{SampleSource, Wanted};

use super::annotations::Annotations;
use super::answers::{Answers, Question};
use super::ast::{Expr, ExprKind, ValueType};
use super::exec::meter::{Bounds, Meter};
use super::exec::row::{Cell, Row};
use super::exec::stream::Entry;
use super::exec::tracer::Tracer;
use super::exec::{self, Outcome, Query, Started};
use super::features::Features;
use super::interrupt::Interrupt;
use super::memory::MemoryPool;
use super::parse;
use super::plan::{self, Plan, Times};
use super::value::{Answer, Point, QueryError, RangeSeries, Stats, Value, VectorSample};

/// Higher trees are evaluated on a stack of their own: planning and running walk them recursively.
const HEIGHT_IN_PLACE: usize = 48;
/// That stack; [`parse::HEIGHT_MAX`] bounds what it must hold. Memory that is not reached is not used.
const DEEP_STACK_BYTES: usize = 64 << 20;

/// What an engine may do, and how queries are read that do not say so themselves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How far an instant selector looks back for a sample.
    pub lookback: Span,
    /// The resolution of subqueries that name none: the default evaluation interval.
    pub subquery_step: Span,
    /// How many samples a query may hold in memory at once.
    pub samples_max: u64,
    /// How many bytes a query may hold in memory at once.
    pub bytes_max: u64,
    /// How many points a query or one of its subqueries may be evaluated at.
    pub steps_max: usize,
    /// How many series one selector may find.
    pub series_max: usize,
    /// Which experimental parts are on.
    pub features: Features,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lookback: Span::from_secs(5 * 60),
            subquery_step: Span::MINUTE,
            samples_max: 50_000_000,
            bytes_max: u64::MAX,
            steps_max: 10_000_000,
            series_max: usize::MAX,
            features: Features::default(),
        }
    }
}

/// What may differ from query to query.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// Instead of the engine's lookback.
    pub lookback: Option<Span>,
    /// Tells the query to stop.
    pub interrupt: Interrupt,
    /// Whether samples are also counted for each step.
    pub per_step_stats: bool,
    /// Takes the time of each part of the query, for a trace; `None` = no trace.
    pub stopwatch: Option<Stopwatch>,
    /// Whether all of the answer is worked out now, also where an earlier one is known to hold.
    pub anew: bool,
}

/// Takes the series of a range query's answer, in the order of their labels.
pub type EachSeries<'e> = dyn FnMut(RangeSeries) -> Result<(), QueryError> + Send + 'e;

/// What shall become of a query's value.
enum Want<'a, 'e> {
    Instant,
    Range,
    Each(&'a mut EachSeries<'e>),
}

/// Evaluates PromQL over any source of samples. Holds nothing but settings, the account of memory and answers that still
/// hold, so it may be shared and used at once.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    settings: Settings,
    memory: Arc<MemoryPool>,
    answers: Arc<Answers>,
}

impl Engine {
    /// An engine with these settings, whose queries together may hold what memory there is.
    pub fn new(settings: Settings) -> Engine {
        Engine { settings, ..Engine::default() }
    }

    /// The same engine, whose queries together hold no more than `memory` has.
    pub fn with_memory(self, memory: MemoryPool) -> Engine {
        Engine { memory: Arc::new(memory), ..self }
    }

    /// The same engine, which keeps answers of range queries there.
    pub fn with_answers(self, answers: Answers) -> Engine {
        Engine { answers: Arc::new(answers), ..self }
    }

    /// The answers that are kept.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// What all queries hold together.
    pub fn memory(&self) -> &MemoryPool {
        &self.memory
    }

    /// How this engine is set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The value of a query at one time.
    ///
    /// # Errors
    /// [`QueryError::Parse`] where the text is no query; else what [`evaluate`](Self::evaluate) says.
    pub fn instant(
        &self,
        source: &dyn SampleSource,
        text: &str,
        at: Timestamp,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        let expr = self.parse(text)?;
        self.evaluate(source, &expr, text, StepGrid::instant(at), true, options)
    }

    /// The values of a query at the points of a grid, as a matrix sorted by labels.
    ///
    /// # Errors
    /// [`QueryError::Parse`] where the text is no query, or one that has no value at a point (a string, a range);
    /// else what [`evaluate`](Self::evaluate) says.
    pub fn range(
        &self,
        source: &dyn SampleSource,
        text: &str,
        grid: StepGrid,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        let expr = self.parse(text)?;
        self.evaluate(source, &expr, text, grid, false, options)
    }

    /// As [`range`](Self::range), but each series goes to `each` as soon as nothing can come before it, and is not held any
    /// longer: an answer of any size takes the memory of a batch. The value of what is returned is empty. After an error
    /// of `each` or of the evaluation no more series come.
    ///
    /// Steps of an earlier answer that still hold are taken over ([`answers`](super::answers)); the statistics are those of
    /// the others.
    ///
    /// # Errors
    /// As [`range`](Self::range), and what `each` says.
    pub fn range_each(
        &self,
        source: &dyn SampleSource,
        text: &str,
        grid: StepGrid,
        options: &QueryOptions,
        each: &mut EachSeries<'_>,
    ) -> Result<Answer, QueryError> {
        let expr = self.parse(text)?;
        let mut work_out = |source: &dyn SampleSource, grid: StepGrid, each: &mut EachSeries<'_>| {
            self.evaluate_anywhere(source, &expr, text, grid, Want::Each(each), options)
        };
        let wants_all = options.anew || options.per_step_stats || options.stopwatch.is_some() || self.answers.is_off();
        match (!wants_all).then(|| Question::new(&expr, text, grid, self.lookback(options), source)).flatten() {
            Some(question) => self.answers.answer(question, source, grid, &mut work_out, each),
            None => work_out(source, grid, each),
        }
    }

    fn lookback(&self, options: &QueryOptions) -> Span {
        options.lookback.filter(|lookback| *lookback > Span::ZERO).unwrap_or(self.settings.lookback)
    }

    fn parse(&self, text: &str) -> Result<Expr, QueryError> {
        parse::parse(text, &self.settings.features).map_err(|error| QueryError::Parse(error.to_string()))
    }

    /// The value of a parsed query; `text` is what it was parsed from, for positions in annotations. An `instant` query
    /// takes the first point of `grid` alone.
    ///
    /// # Errors
    /// What cannot be evaluated, what storage says, a limit that is passed, an interruption.
    pub fn evaluate(
        &self,
        source: &dyn SampleSource,
        expr: &Expr,
        text: &str,
        grid: StepGrid,
        instant: bool,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        let want = if instant { Want::Instant } else { Want::Range };
        self.evaluate_anywhere(source, expr, text, grid, want, options)
    }

    fn evaluate_anywhere(
        &self,
        source: &dyn SampleSource,
        expr: &Expr,
        text: &str,
        grid: StepGrid,
        want: Want<'_, '_>,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        if height(expr) <= HEIGHT_IN_PLACE {
            return self.evaluate_here(source, expr, text, grid, want, options);
        }
        let evaluate = || self.evaluate_here(source, expr, text, grid, want, options);
        std::thread::scope(|scope| {
            let name = "promql-deep".to_owned();
            let deep =
                std::thread::Builder::new().name(name).stack_size(DEEP_STACK_BYTES).spawn_scoped(scope, evaluate);
            match deep.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(answer)) => answer,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                Err(error) => Err(QueryError::Execution(format!("start a thread for a deep query: {error}"))),
            }
        })
    }

    fn evaluate_here(
        &self,
        source: &dyn SampleSource,
        expr: &Expr,
        text: &str,
        grid: StepGrid,
        want: Want<'_, '_>,
        options: &QueryOptions,
    ) -> Result<Answer, QueryError> {
        let settings = &self.settings;
        let instant = matches!(want, Want::Instant);
        let kind = expr.value_type();
        if !instant && matches!(kind, ValueType::String | ValueType::Matrix) {
            let kind = if kind == ValueType::String { "string" } else { "range vector" };
            return Err(QueryError::Parse(format!(
                "invalid expression type {kind:?} for range query, must be Scalar or instant Vector"
            )));
        }
        let grid = if instant { StepGrid::instant(grid.start()) } else { grid };
        let lookback = self.lookback(options);
        let (subquery_step, steps_max) = (settings.subquery_step, settings.steps_max);
        let times = Times { grid, instant, lookback, subquery_step, steps_max };
        let plan = plan::lower(expr, times)?;
        let interrupt = options.interrupt.clone();
        let watched = source.while_wanted(&Wanted::as_long_as(move || interrupt.check().is_ok()));
        let source = watched.as_deref().unwrap_or(source);
        let mut query = Query {
            source,
            features: settings.features,
            lookback,
            series_max: settings.series_max,
            interrupt: options.interrupt.clone(),
            meter: Arc::new(Meter::new(self.bounds(), grid.len())),
            tracer: options.stopwatch.clone().map(Tracer::new),
            annotations: Mutex::new(Annotations::default()),
            told: Vec::new(),
            fetched: Vec::new(),
        };
        query.fetch(&plan)?;
        let value = match want {
            Want::Instant => at_instant(exec::run(&query, &plan, grid)?, grid.start()),
            Want::Range => over_range(exec::run(&query, &plan, grid)?, grid),
            Want::Each(each) => {
                hand_over(&query, &plan, grid, each)?;
                Value::Matrix(Vec::new())
            }
        };
        query.note_storage();
        let trace = query.tracer.as_ref().map(|tracer| Box::new(tracer.tree(&plan, text)));
        let annotations = std::mem::take(&mut query.annotations).into_inner().unwrap_or_else(PoisonError::into_inner);
        let (warnings, infos) = annotations.render(text);
        let stats = stats(&query.meter, grid, options.per_step_stats);
        Ok(Answer { value, warnings, infos, stats, trace })
    }

    fn bounds(&self) -> Bounds {
        let Settings { samples_max, bytes_max, .. } = self.settings;
        Bounds { samples_max, bytes_max, pool: Arc::clone(&self.memory) }
    }
}

/// How many expressions lie inside each other at most.
fn height(expr: &Expr) -> usize {
    let below = match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Selector(_) => 0,
        ExprKind::Range { selector: inner, .. } | ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => {
            height(inner)
        }
        ExprKind::Subquery(subquery) => height(&subquery.expr),
        ExprKind::Binary(binary) => height(&binary.left).max(height(&binary.right)),
        ExprKind::Aggregate(aggregate) => height(&aggregate.expr).max(aggregate.parameter.as_ref().map_or(0, height)),
        ExprKind::Call(call) => call.arguments.iter().map(height).max().unwrap_or(0),
    };
    below + 1
}

fn stats(meter: &Meter, grid: StepGrid, per_step: bool) -> Stats {
    let (mut stats, looked_at) = meter.stats();
    if per_step {
        stats.per_step = grid.points().zip(looked_at).collect();
    }
    stats
}

fn at_instant(outcome: Outcome, at: Timestamp) -> Value {
    match outcome {
        Outcome::Scalar(values) => Value::Scalar(at, values[0]),
        Outcome::Text(text) => Value::String(at, text),
        Outcome::Vector(table) => Value::Vector(
            table
                .into_iter()
                .filter_map(|(entry, row)| {
                    let point = match row.cell(0)? {
                        Cell::Float(value) => Point::Float(value),
                        Cell::Histogram(histogram) => Point::Histogram(histogram),
                    };
                    Some(VectorSample { labels: entry.labels, at, point })
                })
                .collect(),
        ),
        Outcome::Matrix(series) => Value::Matrix(sorted(series)),
    }
}

fn over_range(outcome: Outcome, grid: StepGrid) -> Value {
    Value::Matrix(sorted(match outcome {
        Outcome::Scalar(values) => {
            vec![RangeSeries { floats: grid.points().zip(values).collect(), ..RangeSeries::default() }]
        }
        Outcome::Text(_) => Vec::new(),
        Outcome::Vector(table) => table.into_iter().map(|(entry, row)| range_series(entry, &row, grid)).collect(),
        Outcome::Matrix(series) => series,
    }))
}

/// The series of a range query, one by one: while they are worked out, where they come in the order of labels by
/// themselves; else all of them first.
fn hand_over(query: &Query<'_>, plan: &Plan, grid: StepGrid, each: &mut EachSeries<'_>) -> Result<(), QueryError> {
    match exec::start(query, plan, grid)? {
        Started::Stream(mut stream) if stream.is_sorted() => {
            let roster = std::mem::take(&mut stream.roster);
            stream.run(&mut |id, row| each(range_series(roster[id].clone(), &row, grid)))
        }
        started => {
            let Value::Matrix(series) = over_range(started.finish(query)?, grid) else { return Ok(()) };
            series.into_iter().try_for_each(each)
        }
    }
}

fn range_series(entry: Entry, row: &Row, grid: StepGrid) -> RangeSeries {
    let mut series = RangeSeries { labels: entry.labels, ..RangeSeries::default() };
    if row.is_full() {
        series.floats = grid.points().zip(row.values().iter().copied()).collect();
        return series;
    }
    if !row.may_have_histograms() {
        series.floats = row.present().iter().map(|step| (grid.at(step), row.values()[step])).collect();
        return series;
    }
    for (step, cell) in row.cells() {
        match cell {
            Cell::Float(value) => series.floats.push((grid.at(step), value)),
            Cell::Histogram(histogram) => series.histograms.push((grid.at(step), histogram)),
        }
    }
    series
}

fn sorted(mut series: Vec<RangeSeries>) -> Vec<RangeSeries> {
    series.sort_by(|left, right| left.labels.cmp(&right.labels));
    series
}
