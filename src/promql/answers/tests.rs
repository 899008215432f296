use std::cell::RefCell;
use std::sync::Mutex;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::model::{Labels, Matcher, TimeRange};
use crate::promql::annotations::is_of_names;
use crate::promql::answers::stepwise::is_stepwise;
use crate::promql::engine::{Engine, QueryOptions, Settings};
use crate::promql::parse::parse;
use crate::promql::tests::memory::MemorySource;
use crate::promql::tests::random::{FEATURES, data, queries};
use crate::promql::value::Value;
use crate::store::{ExemplarSeries, MetricMetadata, SeriesSet, StoreError};

/// A store that grows, and knows from when on.
#[derive(Clone, Default)]
struct Growing(Arc<Mutex<(MemorySource, Vec<Timestamp>)>>);

impl Growing {
    fn push(&self, rows: &[(Labels, Timestamp, f64)]) {
        let (memory, changes) = &mut *self.0.lock().unwrap();
        rows.iter().for_each(|(labels, at, value)| memory.push(labels, *at, *value));
        changes.extend(rows.iter().map(|(_, at, _)| *at).min());
    }
}

impl SampleSource for Growing {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        self.0.lock().unwrap().0.select(matchers, range)
    }

    fn series(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<Labels>, StoreError> {
        unreachable!("queries select")
    }

    fn label_names(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, StoreError> {
        unreachable!("queries select")
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, StoreError> {
        unreachable!("queries select")
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        unreachable!("queries select")
    }

    fn exemplars(&self, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        unreachable!("queries select")
    }

    fn footing(&self) -> Option<Footing> {
        Some(Footing::new(1, [self.0.lock().unwrap().1.len() as u64, 0]))
    }

    fn resting_on(&self, _: &Footing) -> Option<Arc<dyn SampleSource>> {
        Some(Arc::new(self.clone()))
    }

    fn holds_before(&self, footing: &Footing) -> Timestamp {
        let changes = &self.0.lock().unwrap().1;
        let earliest = changes[footing.state()[0] as usize..].iter().min().copied();
        footing.holds_before(earliest.unwrap_or(Timestamp::MAX), |_| false)
    }
}

/// What an answer says: all but notes that may stay a little longer with earlier steps.
fn ask(engine: &Engine, source: &Growing, query: &str, grid: StepGrid) -> String {
    let mut series = Vec::new();
    let answer = engine.range_each(source, query, grid, &QueryOptions::default(), &mut |one| {
        series.push(one);
        Ok(())
    });
    match answer {
        Ok(mut answer) => {
            answer.infos.retain(|info| !is_of_names(info));
            format!("{:?}", (Value::Matrix(series), answer.warnings, answer.infos))
        }
        Err(error) => error.to_string(),
    }
}

fn grid(start: i64, step: i64, points: i64) -> StepGrid {
    let at = |secs: i64| Timestamp::from_millis(secs * 1000);
    StepGrid::new(at(start), at(start + step * (points - 1)), Span::from_secs(step)).unwrap()
}

fn keeping() -> Engine {
    Engine::new(Settings { features: FEATURES, ..Settings::default() }).with_answers(Answers::new(1 << 20))
}

#[test]
fn an_answer_is_what_it_would_be_without_earlier_ones() {
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let reused = RefCell::new((0, 0));
    // Rows that come between two questions, how late the latest is at most, and how far the dashboard moves on.
    let rounds = prop::collection::vec((0..12_usize, 0..6_u8, 0..3_i64), 12);
    let queries = queries().prop_filter("steps stand alone", |query| is_stepwise(&parse(query, &FEATURES).unwrap()));
    runner
        .run(&(data(), queries, rounds, 10..40_i64, 4..20_i64), |(data, query, rounds, step, points)| {
            let mut rows: Vec<(Labels, Timestamp, f64)> = data
                .iter()
                .flat_map(|(labels, rows)| rows.iter().map(|(at, value)| (labels.clone(), *at, *value)))
                .collect();
            rows.sort_by_key(|(_, at, _)| *at);
            let source = Growing::default();
            source.push(&rows.drain(..rows.len() / 3).collect::<Vec<_>>());
            let (keeping, plain) = (keeping(), Engine::new(Settings { features: FEATURES, ..Settings::default() }));
            let mut start = 0;
            for (count, late, on) in rounds {
                let mut come: Vec<_> = rows.drain(..count.min(rows.len())).collect();
                if late == 0 && !rows.is_empty() {
                    // One is kept back: it comes with the last of all.
                    rows.extend(come.pop());
                }
                source.push(&come);
                start += on * step;
                let grid = grid(start, step, points);
                prop_assert_eq!(ask(&keeping, &source, &query, grid), ask(&plain, &source, &query, grid), "{}", query);
            }
            let reuse = keeping.answers().reuse();
            let mut total = reused.borrow_mut();
            *total = (total.0 + reuse.reused, total.1 + reuse.worked_out);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let (reused, worked_out) = reused.into_inner();
    assert!(reused * 8 > worked_out, "{reused} steps were taken over, {worked_out} were worked out");
}

/// A counter that is scraped every 15 s from 0 s on.
fn counter(rows: i64) -> Vec<(Labels, Timestamp, f64)> {
    let labels = Labels::from_pairs([("__name__", "a"), ("x", "1")]);
    (0..rows).map(|row| (labels.clone(), Timestamp::from_millis(row * 15_000), row as f64)).collect()
}

#[test]
fn what_is_asked_twice_is_kept_and_only_new_steps_are_worked_out() {
    let (engine, source) = (keeping(), Growing::default());
    source.push(&counter(400));
    let steps = |start: i64| {
        let before = engine.answers().reuse();
        ask(&engine, &source, "rate(a[5m])", grid(start, 60, 60));
        let after = engine.answers().reuse();
        (after.reused - before.reused, after.worked_out - before.worked_out)
    };
    assert_eq!(steps(0), (0, 60), "asked for the first time");
    assert_eq!(steps(60), (0, 60), "and again: now it is kept");
    assert_eq!(steps(60), (60, 0));
    assert_eq!(steps(240), (57, 3));
    assert_eq!(steps(270), (0, 60), "points lie elsewhere");
    assert_eq!(steps(120), (0, 60), "what lies before is not kept");
    // A late sample at 1500 s: the steps 120, 180, ... 1440 stay.
    source.push(&[(Labels::from_pairs([("__name__", "b")]), Timestamp::from_millis(1_500_000), 1.0)]);
    assert_eq!(steps(120), (0, 60), "less than half holds");
    assert_eq!(steps(120), (60, 0));
    source.push(&[(Labels::from_pairs([("__name__", "b")]), Timestamp::from_millis(3_000_000), 1.0)]);
    assert_eq!(steps(120), (48, 12));
}

#[test]
fn memory_is_bounded_and_the_answer_used_longest_ago_goes() {
    let source = Growing::default();
    source.push(&counter(400));
    let one = {
        let engine = keeping();
        (0..2).for_each(|_| drop(ask(&engine, &source, "a + 0", grid(0, 60, 60))));
        engine.answers().reuse().bytes as usize
    };
    let room = 9 * one;
    let engine = Engine::new(Settings::default()).with_answers(Answers::new(room));
    for round in 0..2 {
        for query in 0..20 {
            ask(&engine, &source, &format!("a + {}", query % 10), grid(0, 60, 60));
            assert!(engine.answers().reuse().bytes as usize <= room, "round {round}");
        }
    }
    let reused = |query: &str| {
        let before = engine.answers().reuse().reused;
        ask(&engine, &source, query, grid(0, 60, 60));
        engine.answers().reuse().reused - before
    };
    assert_eq!(reused("a + 9"), 60);
    // Larger than an eighth of all: never kept.
    let engine = Engine::new(Settings::default()).with_answers(Answers::new(7 * one));
    (0..3).for_each(|_| drop(ask(&engine, &source, "a + 0", grid(0, 60, 60))));
    assert_eq!(engine.answers().reuse(), Reuse { reused: 0, worked_out: 180, bytes: 0 });
}

#[test]
fn the_note_on_a_metrics_name_stays_with_the_steps_taken_over() {
    let (engine, source) = (keeping(), Growing::default());
    source.push(&counter(400));
    for round in 0..4 {
        let options = QueryOptions::default();
        let answer =
            engine.range_each(&source, "rate(a[5m])", grid(60 * round, 60, 60), &options, &mut |_| Ok(())).unwrap();
        assert_eq!(answer.infos.len(), 1, "{:?}", answer.infos);
    }
    assert_eq!(engine.answers().reuse().reused, 2 * 59);
}
