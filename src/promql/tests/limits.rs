//! What a query may hold, alone and together with others.

use crate::model::{Labels, Span, StepGrid, Timestamp};
use crate::promql::{Answer, Engine, MemoryPool, QueryError, QueryOptions, Settings};

use super::memory::MemorySource;

/// So many series with a sample a minute over an hour.
fn source(series: usize) -> MemorySource {
    let mut source = MemorySource::default();
    for number in 0..series {
        let labels = Labels::from_pairs([("__name__", "x".to_owned()), ("n", number.to_string())]);
        for minute in 0..=60 {
            source.push(&labels, Timestamp::from_millis(minute * 60_000), number as f64);
        }
    }
    source
}

fn ask(engine: &Engine, source: &MemorySource, text: &str) -> Result<Answer, QueryError> {
    let grid = StepGrid::new(Timestamp::EPOCH, Timestamp::EPOCH + Span::HOUR, Span::MINUTE).expect("a grid");
    engine.range(source, text, grid, &QueryOptions::default())
}

#[test]
fn a_query_is_refused_that_needs_more_memory_than_one_may() {
    let source = source(200);
    let engine = |bytes_max| Engine::new(Settings { bytes_max, ..Settings::default() });
    // 200 series with 61 points of 8 bytes.
    let error = ask(&engine(100_000), &source, "x").expect_err("too large");
    let text = "the query needs more memory than the limit of 100000 bytes for one query";
    assert_eq!(error.to_string(), text);
    assert!(matches!(error, QueryError::Execution(_)));
    let answer = ask(&engine(1_000_000), &source, "x").expect("small enough");
    assert!((100_000..1_000_000).contains(&answer.stats.peak_bytes), "{}", answer.stats.peak_bytes);
}

#[test]
fn queries_share_the_memory_of_their_engine_and_give_it_back() {
    let source = source(200);
    let engine = Engine::new(Settings::default()).with_memory(MemoryPool::new(1 << 20));
    for _ in 0..5 {
        ask(&engine, &source, "sum(x)").expect("one at a time has room");
        assert_eq!(engine.memory().drawn(), 0);
    }
    // Somebody else holds all of it.
    assert!(engine.memory().draw(1 << 20));
    let error = ask(&engine, &source, "sum(x)").expect_err("no room");
    let text = "overloaded: all queries together would need more memory than their limit of 1048576 bytes";
    assert_eq!(error.to_string(), text);
    engine.memory().give_back(1 << 20);
    ask(&engine, &source, "sum(x)").expect("there is room again");
}

#[test]
fn the_memory_of_a_sum_grows_with_its_groups_and_not_with_its_series() {
    let peak = |series| ask(&Engine::default(), &source(series), "sum(x)").expect("a sum").stats.peak_bytes;
    let (few, many) = (peak(8), peak(8 * 64));
    // What grows is what each series needs by itself (a handle, not its points), and the batch that is under way.
    let per_series = (many - few) / (8 * 63);
    assert!(per_series < 61 * 16, "{per_series} bytes a series");
}

#[test]
fn a_selector_finds_only_so_many_series() {
    let engine = Engine::new(Settings { series_max: 10, ..Settings::default() });
    let error = ask(&engine, &source(11), "sum(x)").expect_err("too many");
    assert_eq!(error.to_string(), "a selector of the query finds 11 series, more than the limit of 10");
    ask(&engine, &source(10), "sum(x)").expect("few enough");
}
