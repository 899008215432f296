//! Chunk codecs, CPU time per sample: `cargo bench --bench chunk`. Sizes go to standard error once per set.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weir::model::Timestamp;
use weir::tsdb::chunk::{decode_times, decode_values, encode_times, encode_values, encode_values_cold};

/// The same noise on every machine.
fn noise() -> impl FnMut(u64) -> u64 {
    let mut state = 1_u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn sets(rows: usize) -> Vec<(&'static str, Vec<f64>)> {
    let mut random = noise();
    let mut total = 1_u64 << 31;
    let counter = |random: &mut dyn FnMut(u64) -> u64, total: &mut u64| {
        *total += 1400 + random(200);
        *total as f64
    };
    let mut walk = 5000_i64;
    vec![
        ("constant", vec![1.0; rows]),
        ("counter", (0..rows).map(|_| counter(&mut random, &mut total)).collect()),
        (
            "gauge",
            (0..rows)
                .map(|_| {
                    walk += random(41) as i64 - 20;
                    walk as f64
                })
                .collect(),
        ),
        ("decimal", (0..rows).map(|_| random(10_000) as f64 / 100.0).collect()),
        ("pages", (0..rows).map(|_| (random(5000) * 4096) as f64).collect()),
        ("float", (0..rows).map(|_| (random(1 << 30) as f64 + 1.0).ln()).collect()),
    ]
}

fn values(criterion: &mut Criterion) {
    for rows in [16, 120, 480, 2048] {
        let mut group = criterion.benchmark_group(format!("values/{rows}"));
        group.throughput(Throughput::Elements(rows as u64));
        for (name, values) in sets(rows) {
            let (mut block, mut cold, mut back) = (Vec::new(), Vec::new(), Vec::new());
            encode_values(&values, &mut block);
            encode_values_cold(&values, &mut cold);
            let per_sample = |bytes: &[u8]| bytes.len() as f64 / rows as f64;
            eprintln!("{name}/{rows}: {:.3} B/sample, cold {:.3}", per_sample(&block), per_sample(&cold));
            group.bench_function(BenchmarkId::new("decode", name), |bench| {
                bench.iter(|| {
                    back.clear();
                    decode_values(black_box(&block), rows, &mut back).expect("a whole block");
                });
            });
            group.bench_function(BenchmarkId::new("encode", name), |bench| {
                let mut out = Vec::with_capacity(16 * rows);
                bench.iter(|| {
                    out.clear();
                    encode_values(black_box(&values), &mut out);
                });
            });
        }
        group.finish();
    }
}

fn cold(criterion: &mut Criterion) {
    let rows = 5760;
    let mut group = criterion.benchmark_group(format!("cold/{rows}"));
    group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
    for (name, values) in sets(rows) {
        group.bench_function(BenchmarkId::new("encode", name), |bench| {
            let mut out = Vec::with_capacity(16 * rows);
            bench.iter(|| {
                out.clear();
                encode_values_cold(black_box(&values), &mut out);
            });
        });
    }
    group.finish();
}

fn times(criterion: &mut Criterion) {
    let rows = 480;
    let mut random = noise();
    let mut group = criterion.benchmark_group(format!("times/{rows}"));
    group.throughput(Throughput::Elements(rows as u64));
    for (name, jitter) in [("regular", 1), ("jitter", 9)] {
        let at = |row: i64, late: u64| Timestamp::from_millis(1_700_000_000_000 + row * 15_000 + late as i64);
        let times: Vec<_> = (0..rows as i64).map(|row| at(row, random(jitter))).collect();
        let (mut block, mut back) = (Vec::new(), Vec::new());
        encode_times(&times, &mut block);
        eprintln!("times {name}: {:.3} B/sample", block.len() as f64 / rows as f64);
        group.bench_function(BenchmarkId::new("decode", name), |bench| {
            bench.iter(|| {
                back.clear();
                decode_times(black_box(&block), rows, &mut back).expect("a whole block");
            });
        });
        group.bench_function(BenchmarkId::new("encode", name), |bench| {
            let mut out = Vec::new();
            bench.iter(|| {
                out.clear();
                encode_times(black_box(&times), &mut out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, values, cold, times);
criterion_main!(benches);
