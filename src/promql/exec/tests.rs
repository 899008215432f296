//! Limits, statistics, interruptions and other things that scripts cannot say. What queries mean is told in the scripts.

use std::ops::Range;

use crate::model::{Labels, Span, StepGrid, Timestamp};
use crate::promql::annotations::Annotations;
use crate::promql::ast::Position;
use crate::promql::engine::{Engine, QueryOptions, Settings};
use crate::promql::features::Features;
use crate::promql::functions::range::{self, Notes, Points, RangeFunction, Window};
use crate::promql::interrupt::Interrupt;
use crate::promql::tests::memory::MemorySource;
use crate::promql::value::{Answer, Point, QueryError, Value};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn grid(range: Range<i64>, step: i64) -> StepGrid {
    StepGrid::new(at(range.start), at(range.end), Span::from_secs(step)).expect("a grid of at least one point")
}

/// `series` counters named `requests_total`, a sample each 15 s for an hour, each with a reset somewhere.
fn counters(series: i64) -> MemorySource {
    let mut source = MemorySource::default();
    for index in 0..series {
        let (instance, job) = (format!("i{index:03}"), format!("j{}", index % 7));
        let labels = Labels::from_pairs([("__name__", "requests_total"), ("instance", &instance), ("job", &job)]);
        for sample in 0..240 {
            let value = ((sample * (index + 3)) % (1000 + index)) as f64 / 7.0;
            source.push(&labels, at(sample * 15), value);
        }
    }
    source
}

fn engine(mut settings: Settings) -> Engine {
    settings.features = Features::all();
    Engine::new(settings)
}

fn ask(source: &MemorySource, text: &str, grid: StepGrid) -> Answer {
    let engine = engine(Settings::default());
    engine.range(source, text, grid, &QueryOptions::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_range_query_is_an_instant_query_at_each_step() {
    let source = counters(40);
    let engine = engine(Settings::default());
    let grid = grid(600..3600, 97);
    for text in [
        "sum by (job) (rate(requests_total[5m]))",
        "topk(3, requests_total)",
        "max_over_time(requests_total[4m]) - min_over_time(requests_total[4m])",
        "requests_total > bool on (instance) requests_total offset 1m",
        "sum(requests_total) by (job) / on (job) group_right count(requests_total) by (job)",
        "avg_over_time(rate(requests_total[1m])[10m:1m])",
        "quantile(0.9, requests_total @ 1800) + time()",
        "requests_total{job=\"j1\"} or requests_total{job=~\"j[12]\"} unless requests_total < 20",
        "resets(requests_total[20m]) + changes(requests_total[20m]) + count_over_time(requests_total[77s])",
    ] {
        let Value::Matrix(matrix) = ask(&source, text, grid).value else { panic!("{text}: not a matrix") };
        for step in grid.points() {
            let answer = engine.instant(&source, text, step, &QueryOptions::default()).expect(text);
            let Value::Vector(mut vector) = answer.value else { panic!("{text}: not a vector") };
            vector.sort_by(|left, right| left.labels.cmp(&right.labels));
            let instant = vector.iter().map(|sample| match sample.point {
                Point::Float(value) => (&sample.labels, value.to_bits()),
                Point::Histogram(_) => panic!("{text}: there are no histograms"),
            });
            let range = matrix.iter().filter_map(|series| {
                let found = series.floats.iter().find(|(at, _)| *at == step);
                found.map(|(_, value)| (&series.labels, value.to_bits()))
            });
            assert!(instant.eq(range), "{text} at {step}");
        }
    }
}

#[test]
fn the_same_query_gives_the_same_bits() {
    let source = counters(300);
    let text = "sum(rate(requests_total[3m]) * 1.1) + avg(requests_total)";
    let once = ask(&source, text, grid(900..3000, 60));
    for _ in 0..3 {
        assert_eq!(ask(&source, text, grid(900..3000, 60)), once);
    }
}

#[test]
fn what_a_query_may_hold_is_bounded() {
    let source = counters(20);
    let ask = |settings: Settings, text: &str| {
        let answer = engine(settings).range(&source, text, grid(900..1800, 60), &QueryOptions::default());
        answer.map_err(|error| error.to_string())
    };
    let too_many = "query processing would load too many samples into memory in query execution";
    let few_samples = || Settings { samples_max: 200, ..Settings::default() };
    assert_eq!(ask(few_samples(), "requests_total").expect_err("20 series x 16 steps"), too_many);
    assert_eq!(ask(few_samples(), "topk(1, requests_total)").expect_err("20 series x 16 steps"), too_many);
    assert!(ask(few_samples(), "requests_total{instance=\"i000\"}").is_ok());
    assert_eq!(ask(Settings::default(), "sum_over_time(vector(1)[1y:1s])").expect_err("31 million steps"), too_many);
    let few_series = Settings { series_max: 19, ..Settings::default() };
    let error = ask(few_series, "count(requests_total)").expect_err("20 series");
    assert_eq!(error, "a selector of the query finds 20 series, more than the limit of 19");
}

#[test]
fn a_query_stops_when_told_to() {
    let source = counters(2);
    let ask = |interrupt: Interrupt| {
        let options = QueryOptions { interrupt, ..QueryOptions::default() };
        engine(Settings::default()).instant(&source, "sum(requests_total)", at(900), &options)
    };
    let (late, left) = (Interrupt::default(), Interrupt::default());
    late.time_out();
    left.cancel();
    assert!(matches!(ask(late), Err(QueryError::Timeout(_))));
    assert!(matches!(ask(left), Err(QueryError::Canceled(_))));
    assert!(ask(Interrupt::default()).is_ok());
}

#[test]
fn samples_are_counted_as_prometheus_counts_them() {
    let source = counters(2);
    #[track_caller]
    fn check(source: &MemorySource, text: &str, total: u64, per_step: &[u64]) {
        let options = QueryOptions { per_step_stats: true, ..QueryOptions::default() };
        let answer = engine(Settings::default()).range(source, text, grid(900..1020, 60), &options).expect(text);
        let counted: Vec<u64> = answer.stats.per_step.iter().map(|(_, samples)| *samples).collect();
        assert_eq!((answer.stats.total_queryable_samples, counted.as_slice()), (total, per_step), "{text}");
    }
    check(&source, "requests_total", 6, &[2, 2, 2]);
    check(&source, "sum(rate(requests_total[1m]))", 24, &[8, 8, 8]);
    check(&source, "requests_total @ 900", 6, &[2, 2, 2]);
    check(&source, "time()", 0, &[0, 0, 0]);
    // Of a subquery, the samples it gives count, not those it looks at.
    check(&source, "max_over_time(rate(requests_total[1m])[2m:1m])", 12, &[4, 4, 4]);
}

#[test]
fn a_range_query_needs_a_value_at_each_point() {
    let source = counters(1);
    #[track_caller]
    fn check(source: &MemorySource, text: &str, expected: &str) {
        let engine = engine(Settings::default());
        let error = engine.range(source, text, grid(0..60, 60), &QueryOptions::default()).expect_err(text);
        assert!(matches!(error, QueryError::Parse(_)));
        assert_eq!(error.to_string(), expected);
    }
    let refusal =
        |kind: &str| format!("invalid expression type {kind:?} for range query, must be Scalar or instant Vector");
    check(&source, "\"text\"", &refusal("string"));
    check(&source, "requests_total[5m]", &refusal("range vector"));
}

#[test]
fn a_tree_may_be_as_high_as_the_parser_lets_it() {
    let source = counters(1);
    let text = vec!["requests_total"; 990].join(" + ");
    let Value::Matrix(matrix) = ask(&source, &text, grid(15..15, 15)).value else { panic!("not a matrix") };
    assert_eq!(matrix.len(), 1);
}

#[test]
fn annotations_point_at_lines_and_columns() {
    let source = counters(1);
    let answer = ask(&source, "1 +\n  quantile(2, requests_total)", grid(900..960, 60));
    assert_eq!(answer.warnings, ["PromQL warning: quantile value should be between 0 and 1, got 2 (2:12)"]);
}

proptest::proptest! {
    /// The fast ways over floats give what the plain functions give, window by window.
    #[test]
    fn fast_ways_lead_to_the_same_place(
        gaps in proptest::collection::vec(1_i64..40, 1..60),
        values in proptest::collection::vec(proptest::sample::select(vec![0.0, 1.0, 1.5, 3.0, -2.0, f64::NAN, f64::INFINITY]), 60),
        length in 1_i64..200,
        step in 1_i64..90,
    ) {
        let mut source = MemorySource::default();
        let labels = Labels::from_pairs([("__name__", "x_total")]);
        let times: Vec<Timestamp> = gaps.iter().scan(0, |now, gap| { *now += gap; Some(at(*now)) }).collect();
        times.iter().zip(&values).for_each(|(at, value)| source.push(&labels, *at, *value));
        let grid = grid(0..400, step);
        for (name, function) in [
            ("rate", RangeFunction::Rate),
            ("increase", RangeFunction::Increase),
            ("resets", RangeFunction::Resets),
            ("changes", RangeFunction::Changes),
            ("min_over_time", RangeFunction::Min),
            ("max_over_time", RangeFunction::Max),
            ("count_over_time", RangeFunction::Count),
            ("last_over_time", RangeFunction::Last),
        ] {
            let Value::Matrix(found) = ask(&source, &format!("{name}(x_total[{length}s])"), grid).value else {
                panic!("{name} gives no matrix");
            };
            let found: Vec<(Timestamp, u64)> =
                found.iter().flat_map(|series| &series.floats).map(|(at, value)| (*at, value.to_bits())).collect();
            let expected: Vec<(Timestamp, u64)> = grid
                .points()
                .filter_map(|step| plain(function, &times, &values, step, Span::from_secs(length)).map(|bits| (step, bits)))
                .collect();
            proptest::prop_assert_eq!(found, expected, "{}", name);
        }
    }
}

/// The plain function for one window.
fn plain(function: RangeFunction, times: &[Timestamp], values: &[f64], end: Timestamp, length: Span) -> Option<u64> {
    let open_start = end - length;
    let inside = times.partition_point(|at| *at <= open_start)..times.partition_point(|at| *at <= end);
    if inside.is_empty() {
        return None;
    }
    let window = Window {
        floats: Points { times: &times[inside.clone()], values: &values[inside], starts: &[] },
        histograms: Points { times: &[], values: &[], starts: &[] },
        open_start,
        end,
        step: end,
        length,
        extension: None,
        parameters: [0.0; 2],
    };
    let mut notes = Notes { metric: "", position: Position::default(), annotations: &mut Annotations::default() };
    match range::evaluate(function, &window, &mut Vec::new(), &mut notes)? {
        super::row::Cell::Float(value) => Some(value.to_bits()),
        super::row::Cell::Histogram(_) => None,
    }
}
