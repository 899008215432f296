//! What is passed on to others, read by them.

use super::*;
use crate::ingest::wire::encode;
use crate::model::STALE_NAN_BITS;
use crate::model::histogram::BucketSpan;
use crate::store::{BatchSeries, Refused, SeriesNaming};

/// Keys are places in a list of series.
struct Named<'a>(&'a [(SeriesName, Vec<BatchSample>)]);
impl SeriesNaming for Named<'_> {
    fn seed(&self) -> u64 {
        0
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        Ok(self.0[usize::from(key[0])].0.clone())
    }
}

#[test]
fn what_is_passed_on_is_what_was_there() {
    let histogram = Histogram {
        schema: 1,
        count: 3.0,
        sum: 4.5,
        positive_spans: vec![BucketSpan { offset: 2, length: 2 }],
        positive_buckets: vec![1.0, 2.0],
        ..Histogram::default()
    };
    let first = Door::with(Settings::default());
    let sent = p1::TimeSeries {
        histograms: vec![encode::histogram(7, &histogram)],
        ..series(&[("__name__", "y"), ("job", "a")], &[(1, 1.0), (2, f64::from_bits(STALE_NAN_BITS))])
    };
    first.send_v1(&v1(vec![sent.clone(), sent])).unwrap();
    let kept = first.kept();
    // As rules pass it on: from a batch, some of its series.
    let keys: Vec<Vec<u8>> = (0..2_u8).map(|key| vec![key]).collect();
    let rows: Vec<BatchSample> = kept.series.iter().flat_map(|(_, rows)| rows.clone()).collect();
    let batch = SeriesBatch {
        received_at: Timestamp::EPOCH,
        naming: &Named(&kept.series),
        series: keys.iter().zip([0..3, 3..6]).map(|(key, samples)| BatchSeries { key, samples }).collect(),
        samples: rows,
        exemplars: Vec::new(),
    };
    let second = Door::with(Settings::default());
    second.ingest.write(&request(&encode::write_request(&batch, &batch.series[1..]))).unwrap();
    let passed = second.kept().series;
    let shown = |series: &(SeriesName, Vec<BatchSample>)| {
        let bits = |row: &BatchSample| (row.at, row.value.to_bits(), row.histogram.clone());
        (series.0.clone(), series.1.iter().map(bits).collect::<Vec<_>>())
    };
    assert_eq!(passed.iter().map(shown).collect::<Vec<_>>(), [shown(&kept.series[1])]);
}
