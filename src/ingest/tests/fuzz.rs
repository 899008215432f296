//! No body makes the decoders panic, whatever was done to it on its way.
//!
//! Each run takes a few thousand mutants; many more: `cargo test --release fuzz_ -- --ignored`.

use crate::model::mutate::Mutator;

use super::*;

fn seeds() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let labels: [&[(&str, &str)]; 3] = [
        &[("__name__", "up"), ("job", "a")],
        &[("__name__", "x"), ("__replica__", "r"), ("cluster", "c")],
        &[("a", "")],
    ];
    let one = labels.map(|labels| series(labels, &[(1_000, 1.0), (2_000, f64::NAN), (i64::MAX, -0.0)]));
    let first = vec![v1(one.to_vec()).encode_to_vec(), v1(vec![]).encode_to_vec()];
    let symbols = ["", "__name__", "up", "job", "a", "help", "unit"].map(str::to_owned).to_vec();
    let timeseries = p2::TimeSeries {
        labels_refs: vec![1, 2, 3, 4],
        samples: vec![p2::Sample { value: 1.5, timestamp: 1_000, start_timestamp: 500 }],
        ..p2::TimeSeries::default()
    };
    let second = vec![p2::Request { symbols, timeseries: vec![timeseries.clone(), timeseries] }.encode_to_vec()];
    (first, second)
}

fn feed(first: u64, count: u64) {
    let (one, two) = seeds();
    let door = Door::new();
    for number in first..first + count {
        let mut mutator = Mutator::new(number);
        let (seeds, kind) = if number % 2 == 0 { (&one, None) } else { (&two, Some(V2)) };
        let body = snappy(&mutator.mutant(seeds, &[]));
        // A mutant of the packed bytes, too: lengths that lie to the decompressor.
        let body = if number % 5 == 0 { mutator.mutant(&[body], &[]) } else { body };
        let asked = WriteRequest { content_type: kind, ..request(&body) };
        // What is wrong is told; nothing else can come of it.
        let _ = door.ingest.write(&asked);
        drop(door.kept());
    }
}

#[test]
fn mutants_of_bodies_are_written_or_refused() {
    feed(0, 3_000);
}

#[test]
#[ignore = "takes minutes"]
fn fuzz_remote_write() {
    feed(1_000_000, 5_000_000);
}
