//! When a rule would have fired: the step of alerting rules, taken over the past.
//!
//! Nothing is kept, written or told. The expression is asked over stretches of the grid, so that a month of minutes does
//! not have to fit into memory at once.

use std::collections::BTreeMap;

use crate::model::{Labels, METRIC_NAME, Span, StepGrid, Timestamp};
use crate::promql::{Answer, Point, QueryError, Value, VectorSample};

use super::alert::{Alerts, Stage};
use super::alerting::{Alerting, Surroundings};
use super::rule::{Moment, RuleError};
use super::status::Input;
use super::template::{Query, TemplateSample};

/// Most evaluations of one back-test.
pub const EVALUATIONS_MAX: usize = 200_000;
/// Points that the expression is asked for at once.
const STRETCH: usize = 1_000;
/// Most episodes that are told.
const EPISODES_MAX: usize = 10_000;

/// What is tested.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The expression.
    pub expr: String,
    /// `for`
    pub hold: Span,
    /// `keep_firing_for`
    pub keep_firing: Span,
    /// The ticks.
    pub grid: StepGrid,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backtest {
    /// Each alert with its episodes, in order.
    pub alerts: BTreeMap<Labels, Vec<Episode>>,
    /// Whether there were more episodes than are told.
    pub truncated: bool,
}

/// One time that an alert was active.
#[derive(Clone, Debug, PartialEq)]
pub struct Episode {
    /// Since when the expression held.
    pub active_at: Timestamp,
    /// When it began to fire; `None` where it was only pending.
    pub fired_at: Option<Timestamp>,
    /// When it ended; `None` where it had not at the end.
    pub ended_at: Option<Timestamp>,
    /// The value farthest from 0 while the expression held.
    pub peak: f64,
}

impl Episode {
    /// How long it fired, up to `end` where it did not end before.
    pub fn firing(&self, end: Timestamp) -> Span {
        self.fired_at.map_or(Span::ZERO, |fired| self.ended_at.unwrap_or(end) - fired)
    }
}

impl Backtest {
    /// How many times an alert fired.
    pub fn fired(&self) -> usize {
        self.alerts.values().flatten().filter(|episode| episode.fired_at.is_some()).count()
    }

    /// For how long, summed over alerts.
    pub fn firing(&self, end: Timestamp) -> Span {
        self.alerts.values().flatten().fold(Span::ZERO, |sum, episode| sum + episode.firing(end))
    }

    /// How many alerts were active at the end.
    pub fn active_at_end(&self) -> usize {
        self.alerts.values().filter(|episodes| episodes.last().is_some_and(|last| last.ended_at.is_none())).count()
    }

    fn note(&mut self, alerts: &Alerts, at: Timestamp, known: &mut usize) {
        for (labels, alert) in alerts {
            let episodes = self.alerts.entry(labels.clone()).or_default();
            let open = episodes.last_mut().filter(|last| last.ended_at.is_none());
            match (alert.is_active(), open) {
                (true, Some(open)) => {
                    if let (Stage::Firing { since, .. }, None) = (alert.stage, open.fired_at) {
                        open.fired_at = Some(since);
                    }
                    if alert.value.abs() > open.peak.abs() {
                        open.peak = alert.value;
                    }
                }
                (true, None) if *known == EPISODES_MAX => self.truncated = true,
                (true, None) => {
                    *known += 1;
                    let fired_at = match alert.stage {
                        Stage::Firing { since, .. } => Some(since),
                        _ => None,
                    };
                    let (active_at, peak) = (alert.active_at, alert.value);
                    episodes.push(Episode { active_at, fired_at, ended_at: None, peak });
                }
                (false, Some(open)) => open.ended_at = Some(at),
                (false, None) => {}
            }
        }
        // A pending alert that held no more is gone without a word.
        for (labels, episodes) in &mut self.alerts {
            if !alerts.contains_key(labels)
                && let Some(open) = episodes.last_mut().filter(|last| last.ended_at.is_none())
            {
                open.ended_at = Some(at);
            }
        }
    }
}

/// Templates ask nothing here: labels and annotations of the rule are left out.
struct Nobody;

impl Query for Nobody {
    fn query(&self, _: &str) -> Result<Vec<TemplateSample>, String> {
        Ok(Vec::new())
    }
}

/// Why a back-test has no result.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The expression cannot be evaluated.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Its results cannot be alerts.
    #[error(transparent)]
    Step(#[from] RuleError),
}

/// Takes the steps of the past; `ask` evaluates the expression over a grid.
///
/// # Errors
/// What keeps the rule from being evaluated.
pub fn backtest(
    question: &Question,
    mut ask: impl FnMut(&str, StepGrid) -> Result<Answer, QueryError>,
) -> Result<Backtest, BacktestError> {
    let alerting = Alerting {
        name: "",
        expr: &question.expr,
        hold: question.hold,
        keep_firing: question.keep_firing,
        limit: 0,
        labels: &[],
        annotations: &[],
    };
    let (external_labels, input) = (Labels::empty(), Input::default());
    let around = Surroundings {
        external_labels: &external_labels,
        external_url: "",
        query: &Nobody,
        input: &input,
        group_id: "",
        interval: question.grid.step(),
    };
    let (mut alerts, mut report, mut known) = (Alerts::new(), Backtest::default(), 0);
    let grid = question.grid;
    for first in (0..grid.len()).step_by(STRETCH) {
        let last = (first + STRETCH).min(grid.len()) - 1;
        let stretch = StepGrid::new(grid.at(first), grid.at(last), grid.step()).expect("a part of a grid is one");
        let mut columns = vectors(ask(&question.expr, stretch)?, stretch);
        for at in stretch.points() {
            let vector = columns.remove(&at).unwrap_or_default();
            alerts = alerting.step(&alerts, &vector, Moment { at, data_at: at }, around)?.alerts;
            report.note(&alerts, at, &mut known);
            // Nobody waits to hear of them.
            alerts.retain(|_, alert| alert.is_active());
        }
    }
    report.alerts.retain(|_, episodes| !episodes.is_empty());
    Ok(report)
}

/// A matrix by time.
fn vectors(answer: Answer, grid: StepGrid) -> BTreeMap<Timestamp, Vec<VectorSample>> {
    let mut columns: BTreeMap<Timestamp, Vec<VectorSample>> = BTreeMap::new();
    let mut add = |labels: &Labels, at: Timestamp, value: f64| {
        let sample = VectorSample { labels: labels.clone(), at, point: Point::Float(value) };
        columns.entry(at).or_default().push(sample);
    };
    match answer.value {
        Value::Matrix(all) => {
            for series in all {
                let labels = series.labels.without(|name| name == METRIC_NAME);
                series.floats.iter().for_each(|(at, value)| add(&labels, *at, *value));
                // Prometheus: the value of a histogram is 0 for alerts.
                series.histograms.iter().for_each(|(at, _)| add(&labels, *at, 0.0));
            }
        }
        Value::Vector(all) => all.iter().for_each(|sample| {
            if let Point::Float(value) = sample.point {
                add(&sample.labels, sample.at, value);
            }
        }),
        Value::Scalar(_, value) => grid.points().for_each(|at| add(&Labels::empty(), at, value)),
        Value::String(..) => {}
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::RangeSeries;

    fn minute(at: i64) -> Timestamp {
        Timestamp::EPOCH + Span::from_secs(60 * at)
    }

    #[test]
    fn episodes_are_those_of_the_rule() {
        let grid = StepGrid::new(minute(0), minute(2999), Span::MINUTE).unwrap();
        let question = Question { expr: "x".to_owned(), hold: Span::from_secs(120), keep_firing: Span::ZERO, grid };
        let holds = [5..10_i64, 20..21, 990..1010, 2998..3000];
        let mut asked = 0;
        let report = backtest(&question, |_, grid| {
            asked += 1;
            let points = grid.points().map(|at| (at, ((at - Timestamp::EPOCH).as_millis() / 60_000)));
            let floats = points.filter(|(_, at)| holds.iter().any(|held| held.contains(at)));
            let floats = floats.map(|(at, minute)| (at, if minute == 7 { -9.0 } else { 1.0 })).collect();
            let series = RangeSeries {
                labels: Labels::from_pairs([("__name__", "x"), ("a", "b")]),
                floats,
                ..RangeSeries::default()
            };
            Ok(Answer { value: Value::Matrix(vec![series]), ..Answer::default() })
        });
        let report = report.unwrap();
        let episode = |active: i64, fired: Option<i64>, ended: Option<i64>, peak: f64| Episode {
            active_at: minute(active),
            fired_at: fired.map(minute),
            ended_at: ended.map(minute),
            peak,
        };
        let found: Vec<_> = report.alerts.values().flatten().cloned().collect();
        let wanted = [
            episode(5, Some(7), Some(10), -9.0),
            episode(20, None, Some(21), 1.0),
            episode(990, Some(992), Some(1010), 1.0),
            episode(2998, None, None, 1.0),
        ];
        assert_eq!((asked, found), (3, wanted.to_vec()));
        assert_eq!(
            (report.fired(), report.firing(minute(2999)), report.active_at_end()),
            (2, Span::from_secs(60 * 21), 1)
        );
    }
}
