//! No text makes the parser or the engine panic, hang or hold more than it may. The seeds are the queries of
//! tests/promql and those of tests/fuzz/queries.txt, where each text goes that once did harm.
//!
//! Each run takes a few thousand mutants; for as long as one likes: `cargo test --release fuzz_ -- --ignored`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::model::mutate::Mutator;
use crate::model::{Histogram, Labels, Span, StepGrid, Timestamp};
use crate::promql::parse::{parse, parse_selector};
use crate::promql::{Engine, Features, MemoryPool, QueryError, QueryOptions, Settings, format, tree};

use super::memory::{MemorySource, MemoryValue};

/// Mutants of every run.
const FEW: u64 = 3_000;
/// Mutants of a long run of the parser: about 15 minutes on one core.
const MANY_PARSED: u64 = 45_000_000;
/// The same for the engine.
const MANY_EVALUATED: u64 = 60_000_000;

/// What queries are made of.
const WORDS: &[&str] = &[
    "sum",
    "by",
    "(",
    ")",
    "{",
    "}",
    "[5m]",
    "[1h:30s]",
    " offset ",
    " @ ",
    "start()",
    "end()",
    "-",
    "+",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    "bool ",
    "on(",
    "ignoring(",
    "group_left(",
    "group_right(",
    "fill(",
    "and ",
    "or ",
    "unless ",
    "atan2 ",
    "=~",
    "!~",
    "\"",
    "'",
    "`",
    "\\x",
    "\\u{",
    "é",
    "1e308",
    "0x",
    "NaN",
    "Inf",
    "-9223372036854775808",
    "1ms",
    "290y",
    "step()",
    "range()",
    "min_of(",
    "max_of(",
    "anchored",
    "smoothed",
    "limit_ratio(",
    "topk(",
    "quantile(",
    "rate(",
    "histogram_quantile(",
    "histogram_fraction(",
    "label_replace(",
    "label_join(",
    "info(",
    "absent_over_time(",
    "count_values(",
    "scalar(",
    "vector(",
    "sort_by_label(",
    "predict_linear(",
    "double_exponential_smoothing(",
    "</",
    ">/",
    "f",
    "c_total",
    "h",
    "b_bucket",
    "__name__",
    "le",
    "job",
    ",",
    "#",
    "\n",
];

fn seeds() -> Vec<Vec<u8>> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    // Where only a part of the sources is built, tests lie elsewhere.
    if let Ok(scripts) = std::fs::read_dir(root.join("tests/promql")) {
        let mut paths: Vec<_> = scripts.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            let script = std::fs::read_to_string(path).expect("a script");
            let queries = script.lines().filter_map(|line| line.strip_prefix("eval instant at ")?.split_once(' '));
            seeds.extend(queries.map(|(_, query)| query.as_bytes().to_vec()));
        }
    }
    seeds.extend(include_str!("../../../tests/fuzz/queries.txt").lines().map(|line| line.as_bytes().to_vec()));
    seeds
}

/// Gives `count` mutants to `target`; the one that makes it panic is told.
fn feed(first: u64, count: u64, target: impl Fn(&str)) {
    let seeds = seeds();
    for number in first..first + count {
        let bytes = Mutator::new(number).mutant(&seeds, WORDS);
        let text = String::from_utf8_lossy(&bytes);
        if catch_unwind(AssertUnwindSafe(|| target(&text))).is_err() {
            panic!("mutant {number} does harm: {text:?}");
        }
    }
}

fn parse_one(text: &str) {
    let _ = parse_selector(text);
    let _ = parse(text, &Features::default());
    let Ok(expr) = parse(text, &Features::all()) else { return };
    let printed = expr.to_string();
    let laid_out = format::pretty(&expr);
    let _ = tree::json(&expr);
    // Prometheus' own printer has two forms that do not read back: infinity gets its sign (`a ^ +Inf ^ b` is another
    // tree), and the second argument of `info(f, {})` is printed as nothing.
    if printed.contains("Inf") || printed.contains("info(") {
        return;
    }
    for text in [&printed, &laid_out] {
        let again = parse(text, &Features::all()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(again.to_string(), printed, "what is printed is read back");
    }
}

/// Counters, gauges, buckets and native histograms, with gaps, resets, stale markers and what is no number.
fn data() -> MemorySource {
    let mut source = MemorySource::default();
    let mut noise = Mutator::new(7);
    let at = |row: i64| Timestamp::from_millis(row * 15_000);
    for (name, job) in [("f", "a"), ("f", "b"), ("c_total", "a"), ("c_total", "b"), ("h", "a"), ("h", "b")] {
        let labels = Labels::from_pairs([("__name__", name), ("job", job)]);
        let mut total = 0.0;
        for row in 0..80 {
            total = if noise.below(20) == 0 { 0.0 } else { total + noise.below(9) as f64 };
            let value = match noise.below(30) {
                0 => continue,
                1 => MemoryValue::Float(f64::from_bits(crate::model::STALE_NAN_BITS)),
                2 => MemoryValue::Float([f64::NAN, f64::INFINITY, -0.0, 1e308][noise.below(4)]),
                _ if name == "h" && noise.below(5) > 0 => MemoryValue::Histogram(std::sync::Arc::new(Histogram {
                    schema: noise.below(4) as i32 - 1,
                    zero_threshold: 0.001,
                    count: total,
                    sum: total * 2.0,
                    zero_count: total,
                    ..Histogram::default()
                })),
                _ => MemoryValue::Float(total),
            };
            source.push_row(&labels, at(row), value, Timestamp::EPOCH);
        }
    }
    for (le, share) in [("0.1", 1.0), ("1", 2.0), ("+Inf", 3.0), ("x", 4.0)] {
        let labels = Labels::from_pairs([("__name__", "b_bucket"), ("le", le), ("job", "a")]);
        (0..80).for_each(|row| source.push(&labels, at(row), share * row as f64));
    }
    source
}

/// Bounds that no mutant can take much time under.
fn engine() -> Engine {
    let settings = Settings {
        samples_max: 200_000,
        bytes_max: 16 << 20,
        steps_max: 5_000,
        features: Features::all(),
        ..Settings::default()
    };
    Engine::new(settings).with_memory(MemoryPool::new(32 << 20))
}

fn evaluate_one(engine: &Engine, source: &MemorySource, text: &str) {
    let end = Timestamp::from_millis(1_200_000);
    let grid = StepGrid::new(end - Span::from_secs(300), end, Span::from_secs(60)).expect("a grid");
    let options = QueryOptions::default();
    for answer in [engine.instant(source, text, end, &options), engine.range(source, text, grid, &options)] {
        match answer {
            Ok(answer) => drop(format!("{:?}", answer.value)),
            Err(QueryError::Parse(_) | QueryError::Execution(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(engine.memory().drawn(), 0, "all memory comes back");
}

#[test]
fn mutants_of_queries_are_parsed_or_refused() {
    feed(0, FEW, parse_one);
}

#[test]
fn mutants_of_queries_are_evaluated_or_refused() {
    let (engine, source) = (engine(), data());
    feed(0, FEW, |text| evaluate_one(&engine, &source, text));
}

#[test]
#[ignore = "takes 15 minutes"]
fn fuzz_parser() {
    feed(1_000_000, MANY_PARSED, parse_one);
}

#[test]
#[ignore = "takes 15 minutes"]
fn fuzz_evaluator() {
    let (engine, source) = (engine(), data());
    feed(1_000_000, MANY_EVALUATED, |text| evaluate_one(&engine, &source, text));
}
