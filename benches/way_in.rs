//! The way in, CPU time per sample: `cargo bench --bench way_in`.
//!
//! A scrape of 2,000 series as a Prometheus sends it: decoded; taken into the head; logged as well; read back from the log
//! at a start. What a disk adds is not measured here: nothing is synced.

use std::cell::Cell;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use weir::ingest::{self, Ingest, WriteRequest};
use weir::model::{Labels, Span, Timestamp};
use weir::store::{
    Appended, BatchSample, BatchSeries, MetricMetadata, Refused, SampleSink, SeriesBatch, SeriesName, SeriesNaming,
    StoreError,
};
use weir::tsdb::catalogue::memory::Memory;
use weir::tsdb::{FsyncPolicy, Metrics, Progress, Settings, Tsdb};

const SERIES: usize = 2_000;

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_field(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    put_varint(out, body.len() as u64);
    out.extend_from_slice(body);
}

fn labels(series: usize) -> [(&'static str, String); 8] {
    [
        ("__name__", format!("node_something_seconds_total_{}", series / 50)),
        ("cluster", "eu-central-1-production".to_owned()),
        ("device", format!("nvme{}n1", series % 50)),
        ("env", "production".to_owned()),
        ("instance", "node-exporter-0017.example.net:9100".to_owned()),
        ("job", "node-exporter".to_owned()),
        ("rack", "r17".to_owned()),
        ("region", "eu-central-1".to_owned()),
    ]
}

/// The `labels` fields of one series.
fn key(series: usize) -> Vec<u8> {
    let mut key = Vec::new();
    for (name, value) in labels(series) {
        let mut label = Vec::new();
        put_field(&mut label, 0x0a, name.as_bytes());
        put_field(&mut label, 0x12, value.as_bytes());
        put_field(&mut key, 0x0a, &label);
    }
    key
}

/// Two of three series never change.
fn value(series: usize, scrape: i64) -> f64 {
    if series.is_multiple_of(3) { (series as i64 * 1_000 + scrape * 17) as f64 } else { series as f64 }
}

fn body(scrape: i64) -> Vec<u8> {
    let mut request = Vec::new();
    for series in 0..SERIES {
        let mut sample = vec![0x09];
        sample.extend_from_slice(&value(series, scrape).to_le_bytes());
        sample.push(0x10);
        put_varint(&mut sample, (scrape * 15_000) as u64);
        let mut message = key(series);
        put_field(&mut message, 0x12, &sample);
        put_field(&mut request, 0x0a, &message);
    }
    snap::raw::Encoder::new().compress_vec(&request).expect("in memory")
}

/// The same scrape as remote write 2.0, with metadata on each series.
fn body_v2(scrape: i64) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut reference = |text: String| {
        let known = symbols.iter().position(|known| *known == text);
        known.unwrap_or_else(|| {
            symbols.push(text);
            symbols.len() - 1
        }) as u64
    };
    let mut messages = Vec::new();
    for series in 0..SERIES {
        let (mut references, mut sample, mut metadata) = (Vec::new(), vec![0x09], vec![0x08, 1, 0x18]);
        for (name, value) in labels(series) {
            put_varint(&mut references, reference(name.to_owned()));
            put_varint(&mut references, reference(value));
        }
        put_varint(&mut metadata, reference(format!("Something of node {}.", series / 50)));
        sample.extend_from_slice(&value(series, scrape).to_le_bytes());
        sample.push(0x10);
        put_varint(&mut sample, (scrape * 15_000) as u64);
        let mut message = Vec::new();
        put_field(&mut message, 0x0a, &references);
        put_field(&mut message, 0x12, &sample);
        put_field(&mut message, 0x2a, &metadata);
        messages.push(message);
    }
    let mut request = Vec::new();
    symbols.iter().for_each(|symbol| put_field(&mut request, 0x22, symbol.as_bytes()));
    messages.iter().for_each(|message| put_field(&mut request, 0x2a, message));
    snap::raw::Encoder::new().compress_vec(&request).expect("in memory")
}

/// Takes everything and keeps nothing.
struct Nowhere;

impl SampleSink for Nowhere {
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        black_box(&batch.samples);
        Ok(Appended { samples: batch.samples.len() as u64, ..Appended::default() })
    }

    fn append_metadata(&self, _: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        Ok(())
    }
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("way_in");
    group.throughput(Throughput::Elements(SERIES as u64));
    let ingest = Ingest::new(ingest::Settings::default(), std::sync::Arc::new(Nowhere), ingest::Metrics::default());
    let two = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    for (what, body, content_type) in [("decode", body(100_000), None), ("decode 2.0", body_v2(100_000), Some(two))] {
        group.bench_function(what, |bench| {
            bench.iter(|| {
                let written = ingest.write(&WriteRequest {
                    body: black_box(&body),
                    content_type,
                    content_encoding: None,
                    replica: None,
                    cluster: None,
                    labels: &[],
                    received_at: Timestamp::from_millis(1_500_000_000),
                });
                assert_eq!(written.expect("a good request").appended.samples, SERIES as u64);
            });
        });
    }
    group.finish();
}

/// Reads the keys of [`key`], slowly: known ones are not read.
struct Naming;

impl SeriesNaming for Naming {
    fn seed(&self) -> u64 {
        1
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        let labels = Labels::from_pairs([("__name__", String::from_utf8_lossy(key).into_owned())]);
        Ok(SeriesName { labels, replica: None })
    }
}

fn open(directory: &std::path::Path, fsync: FsyncPolicy) -> Tsdb {
    let settings = Settings {
        data: directory.to_path_buf(),
        fsync,
        head_bytes_budget: usize::MAX / 4,
        retention: Span::DAY.times(30_000),
        ..Settings::default()
    };
    let (catalogue, metrics) = (Memory::default(), Metrics::default());
    Tsdb::open(settings, Box::new(catalogue), metrics, Timestamp::EPOCH, &Progress::default()).expect("opens")
}

fn append_scrape(tsdb: &Tsdb, keys: &[Vec<u8>], scrape: i64) {
    let at = Timestamp::from_millis(scrape * 15_000);
    let sample =
        |series: usize| BatchSample { at, start: Timestamp::EPOCH, value: value(series, scrape), histogram: None };
    let batch = SeriesBatch {
        received_at: at,
        naming: &Naming,
        series: keys.iter().enumerate().map(|(place, key)| BatchSeries { key, samples: place..place + 1 }).collect(),
        samples: (0..keys.len()).map(sample).collect(),
        exemplars: Vec::new(),
    };
    assert_eq!(tsdb.append(&batch).expect("there is room").samples, keys.len() as u64);
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("way_in");
    group.throughput(Throughput::Elements(SERIES as u64));
    let keys: Vec<Vec<u8>> = (0..SERIES).map(key).collect();
    for (name, fsync) in [("append/head", FsyncPolicy::Unlogged), ("append/head and log", FsyncPolicy::Never)] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (tsdb, scrape) = (open(directory.path(), fsync), Cell::new(0));
        group.bench_function(name, |bench| {
            bench.iter(|| {
                scrape.set(scrape.get() + 1);
                append_scrape(&tsdb, &keys, scrape.get());
            });
        });
    }
    group.finish();
}

fn replay(criterion: &mut Criterion) {
    let (keys, scrapes): (Vec<Vec<u8>>, i64) = ((0..SERIES).map(key).collect(), 500);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let tsdb = open(directory.path(), FsyncPolicy::Never);
    (1..=scrapes).for_each(|scrape| append_scrape(&tsdb, &keys, scrape));
    drop(tsdb);
    let mut group = criterion.benchmark_group("way_in");
    group.sample_size(10).throughput(Throughput::Elements(SERIES as u64 * scrapes as u64));
    group.bench_function("replay", |bench| {
        bench.iter_batched(|| (), |()| open(directory.path(), FsyncPolicy::Never), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, decode, append, replay);
criterion_main!(benches);
