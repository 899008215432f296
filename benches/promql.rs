//! Query kernels, CPU time per sample or per query: `cargo bench --bench promql`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use weir::model::{Column, Labels, Matcher, Span, StepGrid, TimeRange, Timestamp};
use weir::promql::parse::parse;
use weir::promql::{Engine, Features, QueryOptions};
use weir::store::{
    ExemplarSeries, MetricMetadata, ReadSamples, SampleSource, SelectedSeries, SeriesSet, StoreError, Warnings,
};

/// Samples of each series: a day at 15 s.
const ROWS: i64 = 5760;
const SERIES: usize = 400;

/// Series in memory, so that only the engine is measured.
struct Shelf(Vec<(Labels, Arc<Column>)>);

struct Rows(Arc<Column>, TimeRange);

impl ReadSamples for Rows {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        let Rows(column, range) = self;
        let from = column.at.partition_point(|at| *at < range.start());
        let to = column.at.partition_point(|at| *at <= range.end());
        into.clear();
        into.at.extend_from_slice(&column.at[from..to]);
        into.values.extend_from_slice(&column.values[from..to]);
        Ok(())
    }
}

impl SampleSource for Shelf {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let found = self.0.iter().filter(|(labels, _)| Matcher::all_match(matchers, labels));
        let selected = found.map(|(labels, column)| SelectedSeries {
            labels: labels.clone(),
            samples: Arc::new(Rows(Arc::clone(column), range)),
        });
        Ok(SeriesSet { series: selected.collect(), warnings: Warnings::default() })
    }

    fn series(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<Labels>, StoreError> {
        Ok(Vec::new())
    }

    fn label_names(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn metadata(&self, _: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        Ok(Vec::new())
    }

    fn exemplars(&self, _: &[Vec<Matcher>], _: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        Ok(Vec::new())
    }
}

/// Counters that rise at different speeds, in buckets of ten.
fn shelf() -> Shelf {
    let mut series: Vec<_> = (0..SERIES)
        .map(|number| {
            let le = if number % 10 == 9 { "+Inf".to_owned() } else { format!("{}", number % 10) };
            let instance = format!("host-{:03}", number / 10);
            let labels = Labels::from_pairs([
                ("__name__", "http_request_duration_seconds_bucket".to_owned()),
                ("instance", instance),
                ("le", le),
            ]);
            let column = Column {
                at: (0..ROWS).map(|row| Timestamp::from_millis(row * 15_000)).collect(),
                values: (0..ROWS).map(|row| (row * (number as i64 % 10 + 1)) as f64).collect(),
                ..Column::default()
            };
            (labels, Arc::new(column))
        })
        .collect();
    series.sort_by(|left, right| left.0.cmp(&right.0));
    Shelf(series)
}

fn engine(criterion: &mut Criterion) {
    let (shelf, engine, options) = (shelf(), Engine::default(), QueryOptions::default());
    let end = Timestamp::from_millis(ROWS * 15_000);
    let grid = StepGrid::new(end - Span::from_secs(20 * 3600), end, Span::from_secs(300)).expect("a grid");
    let mut group = criterion.benchmark_group("20h at 5m");
    group.throughput(Throughput::Elements(SERIES as u64 * 4800));
    group.sample_size(20);
    for (name, text) in [
        ("rate", "rate(http_request_duration_seconds_bucket[5m])"),
        ("sum by of rate", "sum by (instance) (rate(http_request_duration_seconds_bucket[5m]))"),
        ("histogram_quantile", "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"),
        ("newest", "http_request_duration_seconds_bucket"),
        ("max_over_time", "max_over_time(http_request_duration_seconds_bucket[1h])"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| engine.range(&shelf, black_box(text), grid, &options).expect("a query"));
        });
    }
    group.finish();
}

fn parser(criterion: &mut Criterion) {
    let text = "sum by (job, instance) (rate(http_requests_total{code=~\"5..\", job!=\"x\"}[5m] offset 1h)) \
                / on (job) group_left () sum by (job) (rate(http_requests_total[5m])) > 0.5";
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("ratio of rates", |bencher| {
        bencher.iter(|| parse(black_box(text), &Features::default()).expect("a query"));
    });
    group.finish();
}

criterion_group!(benches, engine, parser);
criterion_main!(benches);
