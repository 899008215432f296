//! What a name costs: keys that are known, keys that are new, selectors, and a start that finds all names again.
//!
//! The log is off and every request brings one sample a series, so that names are most of what is measured.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

use weir::model::{Labels, Matcher, Span, TimeRange, Timestamp};
use weir::store::{BatchSample, BatchSeries, Refused, SampleSink, SampleSource, SeriesBatch, SeriesName, SeriesNaming};
use weir::tsdb::catalogue::memory::Memory;
use weir::tsdb::{FsyncPolicy, Metrics, Progress, Settings, Tsdb};

/// Series of one request.
const REQUEST_SERIES: usize = 2_000;
/// Series of one target.
const TARGET_SERIES: usize = 1_000;

/// Keys are packed labels.
struct Packed;

impl SeriesNaming for Packed {
    fn seed(&self) -> u64 {
        1
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        let labels = std::str::from_utf8(key).ok().and_then(Labels::from_packed);
        Ok(SeriesName { labels: labels.ok_or(Refused::NoMetricName)?, replica: None })
    }
}

fn key(number: usize) -> Vec<u8> {
    let (target, metric) = (number / TARGET_SERIES, number % TARGET_SERIES);
    let labels = Labels::from_pairs([
        ("__name__", format!("node_metric_{}_total", metric / 4)),
        ("mode", format!("mode-{}", metric % 4)),
        ("instance", format!("10.12.{}.{}:9100", target / 250, target % 250)),
        ("job", "node-exporter".into()),
        ("cluster", format!("prod-{}", target % 4)),
        ("pod", format!("app-{:08x}", target * 2_654_435_761 % 4_294_967_291)),
        ("number", number.to_string()),
    ]);
    labels.as_packed().as_bytes().to_vec()
}

/// A store in a directory of its own.
struct World {
    directory: tempfile::TempDir,
    catalogue: Memory,
    store: Option<Tsdb>,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let now = Timestamp::from_millis(1_700_000_000_000);
        let mut world = World { directory, catalogue: Memory::default(), store: None, now };
        world.open();
        world
    }

    fn open(&mut self) {
        self.store = None;
        let settings = Settings {
            data: self.directory.path().to_path_buf(),
            fsync: FsyncPolicy::Unlogged,
            series_per_metric_max: 0,
            ..Settings::default()
        };
        let catalogue = Box::new(self.catalogue.clone());
        let store = Tsdb::open(settings, catalogue, Metrics::default(), self.now, &Progress::default());
        self.store = Some(store.expect("opens"));
    }

    fn store(&self) -> &Tsdb {
        self.store.as_ref().expect("open")
    }

    fn append(&self, keys: &[Vec<u8>]) {
        for keys in keys.chunks(REQUEST_SERIES) {
            let sample = BatchSample { at: self.now, start: Timestamp::EPOCH, value: 1.0, histogram: None };
            let appended = self.store().append(&SeriesBatch {
                received_at: self.now,
                naming: &Packed,
                series: keys.iter().map(|key| BatchSeries { key, samples: 0..1 }).collect(),
                samples: vec![sample],
                exemplars: Vec::new(),
            });
            assert_eq!(appended.expect("there is room").samples as usize, keys.len());
        }
    }
}

fn keys(criterion: &mut Criterion) {
    let in_order: Vec<Vec<u8>> = (0..20_000).map(key).collect();
    let mut mixed = in_order.clone();
    mixed.sort_by_key(|key| {
        key.iter().fold(7_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
    });
    let world = World::new();
    world.append(&in_order);
    let mut group = criterion.benchmark_group("20,000 keys");
    group.sample_size(10);
    group.bench_function("known, in their order", |bencher| bencher.iter(|| world.append(&in_order)));
    let mut turn = 0_usize;
    group.bench_function("known, in another order each time", |bencher| {
        bencher.iter(|| {
            turn += 1;
            mixed.rotate_left(7_919 * turn % 20_000);
            mixed.swap(0, turn % 20_000);
            world.append(&mixed);
        });
    });
    group.bench_function("new", |bencher| {
        bencher.iter_batched(World::new, |world| world.append(&in_order), BatchSize::PerIteration);
    });
    group.finish();
}

fn selectors(criterion: &mut Criterion) {
    let mut world = World::new();
    let all: Vec<Vec<u8>> = (0..100_000).map(key).collect();
    world.append(&all);
    // Nothing lies here: what is found is thrown away again, and the index is what is measured.
    let empty = TimeRange::at(world.now - Span::DAY);
    let regex = |pattern| Matcher::regex("number", pattern).expect("valid");
    let mut group = criterion.benchmark_group("a selector over 100,000 values");
    group.sample_size(10);
    let selectors = [
        ("equality", vec![Matcher::equal("number", "77777")]),
        ("regex with a prefix", vec![regex("7777.*")]),
        ("regex of a list", vec![regex("1|22|333|4444|55555")]),
        ("regex", vec![regex(".*7777")]),
        (
            "negation",
            vec![Matcher::equal("job", "node-exporter"), Matcher::not_regex("number", ".*[0-8]").expect("valid")],
        ),
        (
            "metric and target",
            vec![Matcher::equal("__name__", "node_metric_7_total"), Matcher::equal("cluster", "prod-1")],
        ),
    ];
    for (name, matchers) in &selectors {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| world.store().series(matchers, empty).expect("readable"));
        });
    }
    group.finish();

    world.now = world.now + Span::MINUTE.times(40);
    world.store().maintain(world.now).expect("spills");
    // The head is empty now, and one part has them all; its time is near enough that its index is asked.
    let near = TimeRange::at(world.now - Span::MINUTE.times(39));
    let mut group = criterion.benchmark_group("a selector asked again in a part of 100,000 values");
    group.sample_size(10);
    for (name, matchers) in &selectors {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| world.store().series(matchers, near).expect("readable"));
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("100,000 names after a start");
    group.sample_size(10);
    group.bench_function("found again", |bencher| {
        bencher.iter(|| {
            world.open();
            world.append(&all);
        });
    });
    group.finish();
}

criterion_group!(benches, keys, selectors);
criterion_main!(benches);
