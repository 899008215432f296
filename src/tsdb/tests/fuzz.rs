//! No bytes make the reader of log records panic, or give more than they hold.
//!
//! Each run takes a few thousand mutants; many more: `cargo test --release fuzz_ -- --ignored`.

use crate::model::mutate::Mutator;
use crate::model::{Lane, Timestamp};
use crate::store::BatchSample;
use crate::tsdb::log::record::{self, Run};

/// Payloads of all kinds of records.
fn records() -> Vec<Vec<u8>> {
    let at = |millis| Timestamp::from_millis(millis);
    let sample = |millis, value, start| BatchSample { at: at(millis), start: at(start), value, histogram: None };
    let samples = [sample(1_000, 1.0, 0), sample(2_000, -0.5, 500), sample(2_000, f64::NAN, 0)];
    let mut all = Vec::new();
    let mut put = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        all.push(record::payload(&out).expect("a good record").to_vec());
    };
    put(&|out| record::put_series(out, 7, 1, "job\0a\0"));
    put(&|out| record::put_group(out, 1, "dc1", &["a".to_owned(), "b".to_owned()]));
    put(&|out| {
        let run = |id, lane, samples| Run { id, lane: Lane(lane), samples };
        record::put_samples(out, &[run(1, 0, &samples[..1]), run(2, 0, &samples[..1]), run(9, 1, &samples)]);
    });
    all
}

fn feed(first: u64, count: u64) {
    let records = records();
    for number in first..first + count {
        let payload = Mutator::new(number).mutant(&records, &[]);
        let mut rows = 0;
        // `None` says that it makes no sense: all that can come of it.
        let _ = record::read_samples(&payload, |_, _, samples| rows += samples.len());
        let _ = record::read_name(&payload);
        assert!(rows <= payload.len(), "mutant {number}: {rows} rows out of {} bytes", payload.len());
    }
}

#[test]
fn mutants_of_records_are_read_or_refused() {
    feed(0, 3_000);
}

#[test]
#[ignore = "takes minutes"]
fn fuzz_log_records() {
    feed(1_000_000, 20_000_000);
}
