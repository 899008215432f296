//! The whole store with its real catalogue.

use crate::model::{Column, TimeRange};
use crate::store::{BatchSeries, SampleSink, SampleSource, SeriesBatch};

use super::super::catalogue::rocks::Rocks;
use super::super::{Metrics, Progress, Settings, Tsdb, rows};
use super::world::{PlainNaming, after_noon};

#[test]
fn a_store_on_rocksdb_keeps_what_it_acknowledged() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let settings = Settings { data: directory.path().to_path_buf(), ..Settings::default() };
    for round in 0..4_i64 {
        let catalogue = Box::new(Rocks::open(&settings.data.join("catalogue")).expect("opens"));
        let now = after_noon(round * 3_600);
        let store = Tsdb::open(settings.clone(), catalogue, Metrics::default(), now, &Progress::default());
        let store = store.expect("opens");
        let keys: Vec<String> = (0..1_000).map(|series| format!("a|__name__=m,i={series}")).collect();
        let sample = rows::float(crate::model::Sample { at: now, value: round as f64 });
        let appended = store.append(&SeriesBatch {
            received_at: now,
            naming: &PlainNaming,
            series: keys.iter().map(|key| BatchSeries { key: key.as_bytes(), samples: 0..1 }).collect(),
            samples: vec![sample],
            exemplars: Vec::new(),
        });
        assert_eq!(appended.expect("there is room").samples, 1_000);
        if round % 2 == 1 {
            let later = now + settings.spill_age;
            assert_eq!(store.maintain(later).expect("maintains").spilled, 1);
        }
        let found = store.select(&[], TimeRange::ALL).expect("readable").series;
        assert_eq!(found.len(), 1_000);
        let mut column = Column::default();
        for series in found {
            series.samples.read(&mut column).expect("readable");
            assert_eq!(column.len() as i64, round + 1, "{} in round {round}", series.labels);
        }
        store.close().expect("closes");
        store.close().expect("twice is once");
    }
}
