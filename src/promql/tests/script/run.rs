//! Commands against the engine.

use crate::model::sample::STALE_NAN_BITS;
use crate::model::{Span, StepGrid, Timestamp};
use crate::promql::engine::{Engine, QueryOptions};
use crate::promql::series_text::SeriesValue;
use crate::promql::tests::memory::{MemorySource, MemoryValue};
use crate::promql::{Answer, QueryError};

use super::check::{Wrong, check_annotations, check_failure, check_middle, check_value};
use super::read::{Command, Eval, LoadedSeries, When, read};

/// What came of one `eval`.
pub(super) struct Outcome {
    pub(super) id: String,
    pub(super) tags: Vec<String>,
    pub(super) expr: String,
    pub(super) result: Result<(), Wrong>,
}

/// What is held against the script.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Checks {
    All,
    /// All but warnings, infos, and the texts of failures.
    Values,
}

/// Runs a script with a fresh store at each `clear`.
pub(super) fn run(engine: &Engine, name: &str, text: &str, checks: Checks) -> Vec<Outcome> {
    let commands = read(name, text).unwrap_or_else(|error| panic!("{error}"));
    let mut source = MemorySource::default();
    let mut outcomes = Vec::new();
    for command in commands {
        match command {
            Command::Clear => source = MemorySource::default(),
            Command::Load(series) => series.iter().for_each(|series| load(&mut source, series)),
            Command::Eval(eval) => {
                let result = evaluate(engine, &source, &eval, checks);
                let Eval { id, tags, expr, .. } = *eval;
                outcomes.push(Outcome { id, tags, expr, result });
            }
        }
    }
    outcomes
}

fn load(source: &mut MemorySource, series: &LoadedSeries) {
    for row in &series.rows {
        let value = match &row.value {
            SeriesValue::Float(value) => MemoryValue::Float(*value),
            SeriesValue::Stale => MemoryValue::Float(f64::from_bits(STALE_NAN_BITS)),
            SeriesValue::Histogram(histogram, _) => MemoryValue::Histogram(histogram.clone()),
            SeriesValue::Omitted => continue,
        };
        source.push_row(&series.labels, row.at, value, row.start);
    }
}

fn evaluate(engine: &Engine, source: &MemorySource, eval: &Eval, checks: Checks) -> Result<(), Wrong> {
    let options = QueryOptions::default();
    let found = match eval.when {
        Some(When::Instant(at)) => engine.instant(source, &eval.expr, at, &options),
        Some(When::Range(grid)) => engine.range(source, &eval.expr, grid, &options),
        None => return Err("no time is given".to_owned()),
    };
    judge(eval, found, checks)?;
    match eval.when {
        Some(When::Instant(at)) if can_be_ranged(eval) => {
            let found = engine.range(source, &eval.expr, around(at), &options);
            let answer = found.map_err(|error| format!("as range: {error}"))?;
            check_middle(eval, at, &answer).map_err(|wrong| format!("as range: {wrong}"))
        }
        _ => Ok(()),
    }
}

fn judge(eval: &Eval, found: Result<Answer, QueryError>, checks: Checks) -> Result<(), Wrong> {
    match found {
        Err(error) if eval.fail.is_empty() => Err(format!("failed: {error}")),
        Err(_) if checks == Checks::Values => Ok(()),
        Err(error) => check_failure(eval, &error.to_string()),
        Ok(answer) if !eval.fail.is_empty() => Err(format!("expected a failure, got {:?}", answer.value)),
        Ok(answer) => {
            check_value(eval, &answer)?;
            if checks == Checks::All { check_annotations(eval, &answer) } else { Ok(()) }
        }
    }
}

/// Whether the query gives the same in the middle of a range.
fn can_be_ranged(eval: &Eval) -> bool {
    // These look at the range itself.
    let looks_at_range = ["start()", "end()", "range()", "step()"].iter().any(|call| eval.expr.contains(call));
    eval.fail.is_empty() && eval.string.is_none() && eval.range_vector.is_none() && !eval.ordered && !looks_at_range
}

fn around(at: Timestamp) -> StepGrid {
    StepGrid::new(at - Span::MINUTE, at + Span::MINUTE, Span::MINUTE).expect("two minutes hold three steps")
}
