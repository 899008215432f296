//! Parts, through the door of the store: `cargo bench --bench part`. Bytes per sample go to standard error.
//!
//! `spill` writes the head to a part, `merge` writes the fourth of four spills and makes one part of them, `seal`
//! rewrites a part with the dense codec; `read` selects and reads, one series and ten thousand neighbours, all rows and
//! the last five minutes.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use weir::model::{Column, Labels, Matcher, Span, TimeRange, Timestamp};
use weir::store::{BatchSample, BatchSeries, Refused, SampleSink, SampleSource, SeriesBatch, SeriesName, SeriesNaming};
use weir::tsdb::catalogue::memory::Memory;
use weir::tsdb::{FsyncPolicy, Metrics, Progress, Settings, Tsdb};

const TARGETS: usize = 50;
const SERIES: usize = 200;
/// Noon of some day.
const START: Timestamp = Timestamp::from_millis(1_700_049_600_000 - 1_700_049_600_000 % 86_400_000 + 43_200_000);
const INTERVAL: Span = Span::from_millis(15_000);

/// Keys are `target:series`.
struct Naming;

impl SeriesNaming for Naming {
    fn seed(&self) -> u64 {
        1
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        let (target, series) =
            std::str::from_utf8(key).ok().and_then(|key| key.split_once(':')).ok_or(Refused::NoMetricName)?;
        let labels = Labels::from_pairs([
            ("__name__", format!("metric_{series}_total")),
            ("instance", format!("10.0.3.{target}:9100")),
            ("job", "node".to_owned()),
            ("cluster", "production".to_owned()),
        ]);
        Ok(SeriesName { labels, replica: None })
    }
}

struct World {
    _directory: tempfile::TempDir,
    store: Tsdb,
    rows: usize,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let fsync = FsyncPolicy::Interval(Span::DAY);
        let settings = Settings { data: directory.path().to_path_buf(), fsync, ..Settings::default() };
        let catalogue = Box::new(Memory::default());
        let store = Tsdb::open(settings, catalogue, Metrics::default(), START, &Progress::default()).expect("opens");
        World { _directory: directory, store, rows: 0 }
    }

    fn now(&self) -> Timestamp {
        START + INTERVAL.times(self.rows as i64)
    }

    /// Six in ten series are constant, three count, one is a gauge.
    fn scrape(mut self, rows: usize) -> World {
        let keys: Vec<Vec<String>> =
            (0..TARGETS).map(|target| (0..SERIES).map(|series| format!("{target}:{series}")).collect()).collect();
        for _ in 0..rows {
            for (target, keys) in keys.iter().enumerate() {
                let noise = (self.rows * 7_919 + target * 104_729) % 1_000;
                let at = self.now() + Span::from_millis(target as i64 * 211 + if noise < 20 { 9 } else { 0 });
                let value = |series: usize| match series % 10 {
                    0..6 => series as f64,
                    6..9 => (self.rows * 1_500 + (self.rows * series + noise) % 97) as f64,
                    _ => ((noise * (series + self.rows)) % 1_000) as f64 / 100.0,
                };
                let sample =
                    |series| BatchSample { at, start: Timestamp::EPOCH, value: value(series), histogram: None };
                let series = keys.iter().enumerate();
                let batch = SeriesBatch {
                    received_at: self.now(),
                    naming: &Naming,
                    series: series.map(|(n, key)| BatchSeries { key: key.as_bytes(), samples: n..n + 1 }).collect(),
                    samples: (0..SERIES).map(sample).collect(),
                    exemplars: Vec::new(),
                };
                self.store.append(&batch).expect("appends");
            }
            self.rows += 1;
        }
        self
    }

    fn maintained(self) -> World {
        self.store.maintain(self.now() + Span::HOUR).expect("maintained");
        self
    }

    fn samples(&self) -> u64 {
        (TARGETS * SERIES * self.rows) as u64
    }

    fn tell(&self, what: &str) {
        let bytes = self.store.status().part_bytes;
        eprintln!("{what}: {:.3} B/sample", bytes as f64 / self.samples() as f64);
    }

    fn read(&self, matchers: &[Matcher], range: TimeRange) -> usize {
        let (mut column, mut rows) = (Column::default(), 0);
        for series in self.store.select(matchers, range).expect("readable").series {
            series.samples.read(&mut column).expect("readable");
            rows += column.len();
        }
        rows
    }
}

fn writes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("part");
    group.sample_size(10);
    let filled = || World::new().scrape(120);
    group.throughput(Throughput::Elements(filled().samples()));
    group.bench_function("spill/120", |bench| bench.iter_batched(filled, World::maintained, BatchSize::PerIteration));
    let spilled = || filled().maintained();
    spilled().tell("spilled, 120 rows");
    let settle = |world: World| {
        world.store.settle().expect("settled");
        world
    };
    settle(spilled()).tell("sealed, 120 rows");
    group.bench_function("seal/120", |bench| bench.iter_batched(spilled, settle, BatchSize::PerIteration));
    let three = || (0..3).fold(World::new(), |world, _| world.scrape(120).maintained()).scrape(120);
    group.throughput(Throughput::Elements(three().samples()));
    group.bench_function("merge/480", |bench| bench.iter_batched(three, World::maintained, BatchSize::PerIteration));
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    let world = World::new().scrape(960).maintained();
    world.store.settle().expect("settled");
    world.tell("sealed, 960 rows");
    let (all, last) =
        (TimeRange::new(START, world.now()), TimeRange::new(world.now() - Span::MINUTE.times(5), world.now()));
    let (all, last) = (all.expect("a range"), last.expect("a range"));
    let one = [Matcher::equal("__name__", "metric_6_total"), Matcher::equal("instance", "10.0.3.7:9100")];
    let every = [Matcher::equal("job", "node")];
    let mut group = criterion.benchmark_group("part/read");
    for (what, matchers, series) in [("one", &one[..], 1), ("neighbours", &every[..], TARGETS * SERIES)] {
        group.throughput(Throughput::Elements(series as u64)).sample_size(10);
        for (span, range) in [("all", all), ("last", last)] {
            group.bench_function(format!("{what}/{span}"), |bench| {
                bench.iter(|| world.read(black_box(matchers), range));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, writes, reads);
criterion_main!(benches);
