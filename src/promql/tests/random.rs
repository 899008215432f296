//! Random queries over random data: the engine and the second opinion must agree.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::model::{Labels, STALE_NAN_BITS, Span, StepGrid, Timestamp};
use crate::promql::engine::{Engine, QueryOptions, Settings};
use crate::promql::{Answer, Features, Point, QueryError, Value, parse};

use super::memory::MemorySource;
use super::slow::{Data, Opinion, Slow, SlowValue};

/// Queries asked in each run of the tests.
const QUERIES: u32 = 300;

/// Queries asked when one has time.
const MANY_QUERIES: u32 = 10_000;

/// Values may differ by this, absolutely or by this share: both sides add up in different orders.
const DIFFERENCE_MAX: f64 = 1e-9;

/// The metric name goes where it is dropped, not at the end.
pub(crate) const FEATURES: Features = Features {
    duration_expressions: true,
    experimental_functions: true,
    extended_range_selectors: false,
    fill_modifiers: false,
    delayed_name_removal: false,
    type_and_unit_labels: false,
    use_start_timestamps: false,
    per_step_stats: false,
};

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(texts).prop_map(str::to_owned)
}

fn matchers() -> impl Strategy<Value = String> + Clone {
    one_of(&["", "", "", r#"{x="1"}"#, r#"{y!="1"}"#, r#"{x=~"1|3",y=~".+"}"#, r#"{y!~"2.*"}"#, r#"{z=""}"#])
}

fn shift() -> impl Strategy<Value = String> + Clone {
    let shifts =
        ["", "", "", "", " offset 1m", " offset -45s", " @ 200", " @ start()", " @ end() offset 30s", " offset 7m"];
    prop::sample::select(shifts.to_vec()).prop_map(str::to_owned)
}

fn duration() -> impl Strategy<Value = String> + Clone {
    one_of(&["1m", "90s", "2m", "5m", "15s", "1m1ms"])
}

fn number() -> impl Strategy<Value = String> + Clone {
    one_of(&["0", "1", "2.5", "-3", "0.5", "7"])
}

fn name() -> impl Strategy<Value = String> + Clone {
    one_of(&["a", "b"])
}

/// A vector whose values are those of samples: comparing them is exact on both sides.
fn exact() -> impl Strategy<Value = String> + Clone {
    let selector = (name(), matchers(), shift()).prop_map(|(name, matchers, shift)| format!("{name}{matchers}{shift}"));
    let selector = selector.boxed();
    let compare = one_of(&["==", "!=", "> bool", "<=", ">", "< bool", "+", "-", "*", "%", "/", "^"]);
    prop_oneof![
        5 => selector.clone(),
        2 => (selector.clone(), compare.clone(), number()).prop_map(|(left, op, right)| format!("({left} {op} {right})")),
        1 => (number(), compare, selector.clone()).prop_map(|(left, op, right)| format!("({left} {op} {right})")),
        1 => (one_of(&["abs", "ceil", "floor", "sgn", "sqrt", "timestamp"]), selector.clone())
            .prop_map(|(function, selector)| format!("{function}({selector})")),
        1 => selector.prop_map(|selector| format!("-{selector}")),
    ]
    .boxed()
}

fn over_samples() -> impl Strategy<Value = String> + Clone {
    let functions = [
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "resets",
        "changes",
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "first_over_time",
        "present_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "deriv",
    ];
    let window = (name(), matchers(), duration(), shift())
        .prop_map(|(name, m, length, shift)| format!("{name}{m}[{length}]{shift}"));
    let window = window.boxed();
    prop_oneof![
        8 => (prop::sample::select(functions.to_vec()), window.clone()).prop_map(|(f, window)| format!("{f}({window})")),
        1 => (number(), window.clone()).prop_map(|(q, window)| format!("quantile_over_time({q}, {window})")),
        1 => window.prop_map(|window| format!("predict_linear({window}, 60)")),
    ]
    .boxed()
}

pub(crate) fn queries() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![3 => exact(), 3 => over_samples()];
    leaf.prop_recursive(3, 12, 2, |inner| {
        let inner = inner.boxed();
        let group = one_of(&["", " by (x)", " by (y, z)", " without (x)", " by ()"]);
        let matching = one_of(&[
            "", "", "ignoring (x)", "on (x, y)", "on (x) group_left ()", "on (y) group_right (x)", "ignoring (y) group_left ()",
        ]);
        let plain_matching = one_of(&["", "ignoring (x)", "on (y)", "on ()"]);
        let aggregations = one_of(&["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
        prop_oneof![
            4 => (aggregations, group.clone(), inner.clone()).prop_map(|(op, group, inner)| format!("{op}{group} ({inner})")),
            1 => (group.clone(), number(), inner.clone())
                .prop_map(|(group, q, inner)| format!("quantile{group} ({q}, {inner})")),
            1 => (one_of(&["topk", "bottomk"]), group, exact()).prop_map(|(op, group, inner)| format!("sum({op}{group} (2, {inner}))")),
            4 => (inner.clone(), one_of(&["+", "-", "*", "/"]), matching, inner.clone())
                .prop_map(|(left, op, matching, right)| format!("({left} {op} {matching} {right})")),
            1 => (exact(), one_of(&["==", ">", "< bool"]), exact()).prop_map(|(left, op, right)| format!("({left} {op} {right})")),
            3 => (inner.clone(), one_of(&["and", "or", "unless"]), plain_matching, inner.clone())
                .prop_map(|(left, op, matching, right)| format!("({left} {op} {matching} {right})")),
            1 => (inner.clone(), one_of(&["+", "*", "/"]), number()).prop_map(|(left, op, right)| format!("({left} {op} {right})")),
            1 => inner.clone().prop_map(|inner| format!("vector(scalar({inner}))")),
            1 => inner.clone().prop_map(|inner| format!("clamp_max({inner}, time() - 120)")),
            3 => (
                one_of(&["sum_over_time", "avg_over_time", "max_over_time", "min_over_time", "count_over_time", "last_over_time"]),
                inner, duration(), one_of(&["", "15s", "40s"]), shift(),
            ).prop_map(|(f, inner, range, step, shift)| format!("{f}(({inner})[{range}:{step}]{shift})")),
        ]
    })
}

/// Scrapes every 15 s, with gaps, jitter, ends, and values that are no numbers.
pub(crate) fn data() -> impl Strategy<Value = Data> {
    let sample = (0..20_u8, -3..6_i8, 0..4_u8);
    let series = (any::<bool>(), prop::collection::vec(sample, 12..40)).prop_map(|(counter, samples)| {
        let mut value = 0.0;
        let mut rows = Vec::new();
        for (step, (kind, number, jitter)) in samples.into_iter().enumerate() {
            let at = Timestamp::from_millis(step as i64 * 15_000 + [0, 0, 1, 700][usize::from(jitter)]);
            value = match (counter, number) {
                (true, ..=-2) => 0.0,
                (true, more) => value + f64::from(more.max(0)),
                (false, number) => f64::from(number) / 2.0,
            };
            match kind {
                0 | 1 => {}
                2 => rows.push((at, f64::from_bits(STALE_NAN_BITS))),
                3 => rows.push((at, if number > 3 { f64::INFINITY } else { f64::NAN })),
                _ => rows.push((at, value)),
            }
        }
        rows
    });
    prop::collection::vec(series, 8).prop_map(|all| {
        let labels = |index: usize| {
            let (name, x, y) = (["a", "b"][index % 2], ["1", "2"][index / 2 % 2], ["1", "2"][index / 4]);
            Labels::from_pairs([("__name__", name), ("x", x), ("y", y)])
        };
        let named = all.into_iter().enumerate().map(|(index, rows)| (labels(index), rows));
        named.filter(|(_, rows)| !rows.is_empty()).collect()
    })
}

/// The values of one step.
type Step = BTreeMap<Labels, f64>;

fn steps_of(answer: &Answer, grid: StepGrid) -> Vec<Step> {
    let place = |at: Timestamp| grid.points().position(|point| point == at).expect("answers lie on the grid");
    let mut steps = vec![Step::new(); grid.len()];
    match &answer.value {
        Value::Scalar(_, value) => drop(steps[0].insert(Labels::empty(), *value)),
        Value::String(..) => {}
        Value::Vector(samples) => {
            for sample in samples {
                let Point::Float(value) = sample.point else { panic!("there are no histograms") };
                steps[0].insert(sample.labels.clone(), value);
            }
        }
        Value::Matrix(series) => {
            for series in series {
                for (at, value) in &series.floats {
                    steps[place(*at)].insert(series.labels.clone(), *value);
                }
            }
        }
    }
    steps
}

fn agree(left: &Step, right: &Step) -> bool {
    let near = |left: f64, right: f64| {
        left == right
            || (left.is_nan() && right.is_nan())
            || (left - right).abs() <= DIFFERENCE_MAX * (1.0 + left.abs().max(right.abs()))
    };
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| left.0 == right.0 && near(*left.1, *right.1))
}

/// What came of asking both.
#[derive(Default)]
struct Compared {
    /// Queries that both answered, or that had to fail and did.
    all: u32,
    /// Those with a value at some step.
    with_values: u32,
    /// Those that had to fail.
    failing: u32,
}

/// An answer that is handed over series by series is the whole one, to the bit; and where that one fails, this one does.
fn check_handed_over(
    engine: &Engine,
    source: &MemorySource,
    query: &str,
    grid: StepGrid,
    whole: &Result<Answer, QueryError>,
) -> Result<(), String> {
    let mut handed = Vec::new();
    let ended = engine.range_each(source, query, grid, &QueryOptions::default(), &mut |series| {
        handed.push(series);
        Ok(())
    });
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
    match (whole, ended) {
        (Ok(whole), Ok(ended)) => {
            let same = text(&whole.value) == text(&Value::Matrix(handed))
                && (&whole.warnings, &whole.infos) == (&ended.warnings, &ended.infos);
            same.then_some(()).ok_or_else(|| "handed over otherwise than as a whole".to_owned())
        }
        (Err(whole), Err(ended)) if whole.to_string() == ended.to_string() => Ok(()),
        (whole, ended) => Err(format!("as a whole {whole:?}, handed over {ended:?}")),
    }
}

/// Asks both.
fn compare(engine: &Engine, data: &Data, query: &str, grid: StepGrid, instant: bool) -> Result<Compared, String> {
    let expr = parse::parse(query, &FEATURES).map_err(|error| error.to_string())?;
    let slow = Slow { data, grid };
    let mut expected = Vec::new();
    let mut fails = false;
    for at in grid.points() {
        match slow.value(&expr, at) {
            Ok(SlowValue::Scalar(value)) => expected.push(Step::from([(Labels::empty(), value)])),
            Ok(SlowValue::Vector(vector)) => expected.push(vector.into_iter().collect()),
            Err(Opinion::NotCovered) => return Ok(Compared::default()),
            Err(Opinion::Fails) => fails = true,
        }
    }
    let mut source = MemorySource::default();
    data.iter().for_each(|(labels, rows)| rows.iter().for_each(|(at, value)| source.push(labels, *at, *value)));
    let options = QueryOptions::default();
    let found = match instant {
        true => engine.instant(&source, query, grid.start(), &options),
        false => engine.range(&source, query, grid, &options),
    };
    if !instant {
        check_handed_over(engine, &source, query, grid, &found)?;
    }
    match found {
        Err(_) if fails => Ok(Compared { all: 1, with_values: 0, failing: 1 }),
        // Like Prometheus, the engine minds equal labels even where they stand at different steps, and evaluates a
        // subquery also between the windows that look at it.
        Err(QueryError::Execution(text)) if !instant && (text.contains("same labelset") || query.contains(':')) => {
            Ok(Compared::default())
        }
        Err(error) => Err(format!("failed: {error}")),
        Ok(answer) if fails => Err(format!("must fail, but gave {:?}", answer.value)),
        Ok(answer) => {
            let found = steps_of(&answer, grid);
            match expected.iter().zip(&found).position(|(expected, found)| !agree(expected, found)) {
                None => {
                    let with_values = u32::from(expected.iter().any(|step| !step.is_empty()));
                    Ok(Compared { all: 1, with_values, failing: 0 })
                }
                Some(step) => {
                    Err(format!("at {}: expected {:?}, got {:?}", grid.at(step), expected[step], found[step]))
                }
            }
        }
    }
}

fn ask(queries_asked: u32, seeded: bool) {
    let config = ProptestConfig { cases: queries_asked, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = match seeded {
        true => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        false => TestRunner::new(config),
    };
    let engine = Engine::new(Settings { features: FEATURES, ..Settings::default() });
    let total = std::cell::RefCell::new(Compared::default());
    let grids = (4..30_i64, 1..9_i64, 0..8_i64, any::<bool>());
    let result = runner.run(&(data(), queries(), grids), |(data, query, (start, step, count, instant))| {
        let start = Timestamp::from_millis(start * 15_000);
        let step = Span::from_millis(step * 10_000);
        let end = start + step.times(if instant { 0 } else { count });
        let grid = StepGrid::new(start, end, step).expect("the end is not before the start");
        match compare(&engine, &data, &query, grid, instant) {
            Ok(compared) => {
                let mut total = total.borrow_mut();
                total.all += compared.all;
                total.with_values += compared.with_values;
                total.failing += compared.failing;
            }
            Err(wrong) => return Err(TestCaseError::fail(format!("{query}\n{wrong}"))),
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let Compared { all, with_values, failing } = total.into_inner();
    eprintln!("{queries_asked} asked, {all} compared, {with_values} with values, {failing} that must fail");
    assert!(all > queries_asked * 8 / 10 && with_values > queries_asked / 2 && failing > queries_asked / 100);
}

#[test]
fn random_queries_agree_with_the_second_opinion() {
    // The same queries each time.
    ask(QUERIES, true);
}

#[test]
#[ignore = "takes a minute; run it after changes to the engine"]
fn many_random_queries_agree_with_the_second_opinion() {
    // Others each time.
    ask(MANY_QUERIES, false);
}
