//! No query makes the engine panic, hang or hold more than it may, and all memory comes back.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
// The store in memory speaks of these as its own crate's.
use weir::{model, promql, store};

use model::{Histogram, Labels, STALE_NAN_BITS, Span, StepGrid, Timestamp};
use promql::{Engine, Features, MemoryPool, QueryError, QueryOptions, Settings};

#[path = "../src/promql/tests/memory.rs"]
mod memory;

use memory::{MemorySource, MemoryValue};

/// Floats and histograms in one series, counters that fall, gaps, stale markers, what is no number, classic buckets.
static DATA: LazyLock<MemorySource> = LazyLock::new(|| {
    let mut source = MemorySource::default();
    let at = |row: i64| Timestamp::from_millis(row * 15_000);
    for (name, job) in [("f", "a"), ("f", "b"), ("c_total", "a"), ("c_total", "b"), ("h", "a"), ("h", "b")] {
        let labels = Labels::from_pairs([("__name__", name), ("job", job)]);
        for row in (0..80).filter(|row| row % 17 != 0) {
            let total = (row % 23) as f64;
            let value = match row % 19 {
                1 => MemoryValue::Float(f64::from_bits(STALE_NAN_BITS)),
                2 => MemoryValue::Float([f64::NAN, f64::INFINITY, -0.0, 1e308][row as usize % 4]),
                rest if name == "h" && rest > 5 => MemoryValue::Histogram(Arc::new(Histogram {
                    schema: (row % 4) as i32 - 1,
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
});

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let settings = Settings {
        samples_max: 200_000,
        bytes_max: 16 << 20,
        steps_max: 5_000,
        features: Features::all(),
        ..Settings::default()
    };
    Engine::new(settings).with_memory(MemoryPool::new(32 << 20))
});

fuzz_target!(|text: &str| {
    let end = Timestamp::from_millis(1_200_000);
    let grid = StepGrid::new(end - Span::from_secs(300), end, Span::from_secs(60)).expect("a grid");
    let options = QueryOptions::default();
    for answer in [ENGINE.instant(&*DATA, text, end, &options), ENGINE.range(&*DATA, text, grid, &options)] {
        match answer {
            Ok(answer) => drop(format!("{:?}", answer.value)),
            Err(QueryError::Parse(_) | QueryError::Execution(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(ENGINE.memory().drawn(), 0, "all memory comes back");
});
