//! A plan becomes values: operators that stream series by series, with columns over steps.
//!
//! ```text
//! storage -> leaf (select, rollup)  -> functions, operators -> aggregate -> collect
//!            decode a series once      row by row              groups x steps
//! ```
//!
//! Each operator first names its series (the roster), so that labels are worked on once per series, and then gives their
//! rows one after another. A row is a column of floats over the steps of the grid with a bit for each step that has
//! a value; native histograms stand in a side column where there are any. [`build`] is the table of contents.
//!
//! Leaves spread their series over cores and hand the rows on in the order of the roster, so that sums come out the same,
//! bit for bit, whatever the machine. Instant queries and rules run the same code over a grid of one step.
//!
//! Read next: [`row`], [`stream`], [`rollup`], [`aggregate`].

pub(crate) mod row;
pub(crate) mod stream;
pub(crate) mod meter;
pub(crate) mod tracer;
pub(crate) mod leaf;
mod kept;
mod select;
mod rollup;
mod subquery;
mod samples;
mod aggregate;
mod top;
mod count_values;
mod scalar;
mod map;
mod sort;
mod broadcast;
mod matching;
mod set;
mod pairs;
mod buckets;
mod info;
mod absent;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Span, StepGrid};
use crate::promql::annotations::{Annotations, Note};
use crate::promql::ast::Position;
use crate::promql::features::Features;
use crate::promql::interrupt::Interrupt;
use crate::promql::plan::{Fetch, Kind, Node, Plan, SortOrder};
use crate::promql::{QueryError, RangeSeries};
use crate::store::{SampleSource, SelectedSeries, Warnings};

use meter::Meter;
use row::Row;
use stream::Stream;
use tracer::Tracer;

/// What a selected series takes while its query runs: handles to labels and to what reads its samples.
const SERIES_BYTES: u64 = 128;

/// A running query: what its operators share.
pub(crate) struct Query<'q> {
    pub(crate) source: &'q dyn SampleSource,
    pub(crate) features: Features,
    pub(crate) lookback: Span,
    pub(crate) series_max: usize,
    pub(crate) interrupt: Interrupt,
    pub(crate) meter: Arc<Meter>,
    pub(crate) tracer: Option<Tracer>,
    pub(crate) annotations: Mutex<Annotations>,
    /// What storage says of those answers, and goes on saying while samples are read.
    pub(crate) told: Vec<Warnings>,
    /// The answers to the plan's fetches.
    pub(crate) fetched: Vec<Vec<SelectedSeries>>,
}

impl<'q> Query<'q> {
    /// Asks storage for the series of all fetches of a plan.
    ///
    /// # Errors
    /// What storage says; too many series.
    pub(crate) fn fetch(&mut self, plan: &Plan) -> Result<(), QueryError> {
        let sharing = plan.selectors_by_fetch();
        let room = kept::Room::new(Arc::clone(&self.meter));
        for (fetch, selectors) in plan.fetches.iter().zip(sharing) {
            let (series, told) = match &self.tracer {
                Some(tracer) => tracer.fetch(|| self.select(fetch), |(series, _)| series.len())?,
                None => self.select(fetch)?,
            };
            if series.len() > self.series_max {
                let limit = self.series_max;
                return Err(QueryError::Execution(format!(
                    "a selector of the query finds {} series, more than the limit of {limit}",
                    series.len()
                )));
            }
            self.told.push(told);
            self.meter.found_series(series.len());
            self.meter.hold(0, SERIES_BYTES * series.len() as u64)?;
            self.fetched.push(if selectors > 1 { kept::keeping(series, &room) } else { series });
        }
        Ok(())
    }

    /// Takes over what storage has said. To be called once all samples are read.
    pub(crate) fn note_storage(&self) {
        let texts = self.told.iter().flat_map(Warnings::all);
        texts.for_each(|text| self.note(Note::Storage(text), Position::default()));
    }

    fn select(&self, fetch: &Fetch) -> Result<(Vec<SelectedSeries>, Warnings), QueryError> {
        self.interrupt.check()?;
        let Some(range) = fetch.range else { return Ok((Vec::new(), Warnings::default())) };
        let found = match &fetch.labels {
            Some(needed) => self.source.select_projected(&fetch.matchers, range, needed),
            None => self.source.select(&fetch.matchers, range),
        };
        // Storage knows that it was stopped, and not why.
        let found = found.map_err(|error| self.interrupt.check().err().unwrap_or_else(|| error.into()))?;
        Ok((found.series, found.warnings))
    }

    pub(crate) fn note(&self, note: Note, position: Position) {
        self.annotations.lock().unwrap_or_else(PoisonError::into_inner).add(note, position);
    }

    pub(crate) fn note_all(&self, annotations: Annotations) {
        if annotations.is_empty() {
            return;
        }
        self.annotations.lock().unwrap_or_else(PoisonError::into_inner).merge(annotations);
    }

    pub(crate) fn delayed(&self) -> bool {
        self.features.delayed_name_removal
    }
}

/// Where in time an operator runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) grid: StepGrid,
    /// Whether samples that are looked at count. Inside subqueries they do not: those of the subquery's result do.
    pub(crate) counted: bool,
}

impl Scope {
    pub(crate) fn steps(self) -> usize {
        self.grid.len()
    }

    /// The first step alone.
    fn first_step(self) -> Scope {
        Scope { grid: StepGrid::instant(self.grid.start()), counted: self.counted }
    }
}

/// The series of a vector.
pub(crate) fn build<'q>(query: &'q Query<'q>, node: &'q Node, scope: Scope) -> Result<Stream<'q>, QueryError> {
    query.interrupt.check()?;
    match &query.tracer {
        Some(tracer) => tracer.follow(node, &query.meter, || operator(query, node, scope)),
        None => operator(query, node, scope),
    }
}

fn operator<'q>(query: &'q Query<'q>, node: &'q Node, scope: Scope) -> Result<Stream<'q>, QueryError> {
    let vector = |node: &'q Node| build(query, node, scope);
    let numbers = |node: &'q Node| scalar::scalar(query, node, scope);
    match &node.kind {
        Kind::Number(_)
        | Kind::Text(_)
        | Kind::Time
        | Kind::ScalarOf(_)
        | Kind::ScalarBinary { .. }
        | Kind::ScalarNegate(_)
        | Kind::ScalarExtreme { .. } => scalar::as_vector(query, node, scope),
        Kind::Invariant(inner) => map::repeat(build(query, inner, scope.first_step())?, scope),
        Kind::Select(select) => select::select(query, select, scope),
        Kind::VectorOf(inner) => scalar::as_vector(query, inner, scope),
        Kind::Negate(of) => map::negate(query, vector(of)?),
        Kind::Math { function, of } => map::math(query, vector(of)?, *function),
        Kind::Round { of, to_nearest } => {
            let to_nearest = to_nearest.as_deref().map(numbers).transpose()?;
            map::round(query, vector(of)?, to_nearest)
        }
        Kind::Clamp { of, min, max } => {
            let of = vector(of)?;
            let min = min.as_deref().map(numbers).transpose()?;
            let max = max.as_deref().map(numbers).transpose()?;
            map::clamp(query, of, min, max)
        }
        Kind::Date { part, of: Some(of) } => {
            let part = *part;
            map::floats(query, vector(of)?, move |value| part.of(value))
        }
        Kind::Date { part, of: None } => scalar::dates(*part, scope),
        Kind::StepTime(of) => map::step_time(query, vector(of)?, scope),
        Kind::Absent { of, labels } => absent::absent(vector(of)?, labels, scope),
        Kind::AbsentOverTime { of, labels } => absent::absent_over_time(query, of, labels, scope),
        Kind::Sort { of, order } => match order {
            SortOrder::ByValue { descending } => sort::by_value(query, node, vector(of)?, *descending, scope),
            SortOrder::ByLabels { names, descending } => {
                sort::by_labels(query, node, vector(of)?, names, *descending, scope)
            }
        },
        Kind::LabelReplace { of, replace } => vector(of)?.relabel(|entry| replace.apply(entry)),
        Kind::LabelJoin { of, join } => vector(of)?.relabel(|entry| join.apply(entry)),
        Kind::Info { of, info } => info::info(query, vector(of)?, info, scope),
        Kind::HistogramNumber { number, of } => map::histogram_number(query, vector(of)?, *number),
        Kind::HistogramQuantile { quantile, of } => {
            let quantiles = vec![numbers(quantile)?];
            buckets::quantiles(
                query,
                vector(of)?,
                &buckets::Asked::one(quantile.position, of.position, quantiles),
                scope,
            )
        }
        Kind::HistogramQuantiles { of, label, quantiles } => {
            let input = vector(of)?;
            let columns = quantiles.iter().map(numbers).collect::<Result<_, _>>()?;
            buckets::quantiles(query, input, &buckets::Asked::many(of.position, quantiles, label, columns), scope)
        }
        Kind::HistogramFraction { lower, upper, of } => {
            let (lower_values, upper_values) = (numbers(lower)?, numbers(upper)?);
            buckets::fraction(query, of, vector(of)?, &lower_values, &upper_values)
        }
        Kind::Rollup(rollup) => rollup::rollup(query, rollup, scope),
        Kind::Aggregate(aggregate) => aggregate::aggregate(query, node, aggregate, scope),
        Kind::Broadcast { op, vector: of, scalar, scalar_left, return_bool } => {
            // Left before right, so that annotations come in the order of the text.
            let (of, scalar) = match scalar_left {
                true => {
                    let scalar = numbers(scalar)?;
                    (vector(of)?, scalar)
                }
                false => (vector(of)?, numbers(scalar)?),
            };
            broadcast::broadcast(query, node.position, of, scalar, *op, *scalar_left, *return_bool)
        }
        Kind::Match { op, left, right, return_bool, matching } => {
            let (left, right) = (vector(left)?, vector(right)?);
            match op.is_set() {
                true => set::set(query, left, right, *op, matching, scope),
                false => matching::matched(query, node.position, left, right, *op, *return_bool, matching, scope),
            }
        }
        Kind::Samples(_) => {
            Err(QueryError::Execution("a range vector can only be the argument of a function".to_owned()))
        }
    }
}

/// What a plan's root gives.
pub(crate) enum Outcome {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<(stream::Entry, Row)>),
    Matrix(Vec<RangeSeries>),
}

/// A plan on its way to an [`Outcome`].
pub(crate) enum Started<'q> {
    /// Series that are still to be worked out, and will not change any more once they come.
    Stream(Stream<'q>),
    /// Series that may yet lose their names and be merged.
    Named(Stream<'q>),
    Ended(Outcome),
}

impl Started<'_> {
    /// Works out what is left.
    ///
    /// # Errors
    /// As [`run`].
    pub(crate) fn finish(self, query: &Query<'_>) -> Result<Outcome, QueryError> {
        match self {
            Started::Ended(outcome) => Ok(outcome),
            Started::Stream(stream) => Ok(Outcome::Vector(stream.collect(query)?)),
            Started::Named(stream) => {
                let mut table = stream.collect(query)?;
                for (entry, _) in &mut table {
                    if entry.name_dropped {
                        entry.labels = stream::without_metadata(&entry.labels);
                    }
                }
                Ok(Outcome::Vector(stream::merge_same(table)?))
            }
        }
    }
}

/// Runs a plan whose fetches are answered.
///
/// # Errors
/// What cannot be evaluated, what storage says, a limit, an interruption.
pub(crate) fn run(query: &Query<'_>, plan: &Plan, grid: StepGrid) -> Result<Outcome, QueryError> {
    start(query, plan, grid)?.finish(query)
}

/// Begins to run a plan whose fetches are answered.
///
/// # Errors
/// As [`run`].
pub(crate) fn start<'q>(query: &'q Query<'q>, plan: &'q Plan, grid: StepGrid) -> Result<Started<'q>, QueryError> {
    use crate::promql::ast::ValueType;
    let scope = Scope { grid, counted: true };
    Ok(match (plan.value_type, &plan.root.kind) {
        (ValueType::String, Kind::Text(text)) => Started::Ended(Outcome::Text(text.clone())),
        (ValueType::Scalar, _) => Started::Ended(Outcome::Scalar(scalar::scalar(query, &plan.root, scope)?)),
        (_, Kind::Samples(range)) => Started::Ended(Outcome::Matrix(samples::samples(query, range, scope)?)),
        _ => {
            let stream = build(query, &plan.root, scope)?;
            if query.delayed() { Started::Named(stream) } else { Started::Stream(stream) }
        }
    })
}
