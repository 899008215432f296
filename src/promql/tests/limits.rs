//! What a query may hold, alone and together with others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Column, Labels, Matcher, Span, StepGrid, TimeRange, Timestamp};
use crate::promql::{Answer, Engine, MemoryPool, QueryError, QueryOptions, Settings};
use crate::store::{ExemplarSeries, MetricMetadata, ReadSamples, SampleSource, SeriesSet, StoreError};

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

/// Counts how often a series is read.
struct Counting(MemorySource, Arc<AtomicUsize>);

struct CountedRead(Arc<dyn ReadSamples>, Arc<AtomicUsize>);

impl ReadSamples for CountedRead {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(into)
    }
}

impl SampleSource for Counting {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let mut found = self.0.select(matchers, range)?;
        for one in &mut found.series {
            one.samples = Arc::new(CountedRead(Arc::clone(&one.samples), Arc::clone(&self.1)));
        }
        Ok(found)
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        self.0.series(matchers, range)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        self.0.label_names(matchers, range)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        self.0.label_values(name, matchers, range)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        self.0.metadata(metric)
    }

    fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        self.0.exemplars(selectors, range)
    }
}

#[test]
fn a_selector_that_stands_twice_is_read_once() {
    let reads = Arc::new(AtomicUsize::new(0));
    let source = Counting(source(5), Arc::clone(&reads));
    let count = |text: &str| {
        let at = Timestamp::EPOCH + Span::HOUR;
        let answer = Engine::default().instant(&source, text, at, &QueryOptions::default()).expect(text);
        (answer.value, reads.swap(0, Ordering::Relaxed))
    };
    let (_, once) = count("x > 1");
    assert_eq!(once, 5);
    let (plain, twice) = count("x + x{n=~\".*\"}");
    assert_eq!(twice, 10, "two selectors");
    let (shared, once) = count("x + x");
    assert_eq!((shared, once), (plain, 5));
}
