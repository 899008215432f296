//! Two replicas, one series.

use std::sync::Arc;

use crate::model::{Histogram, TimeRange, Timestamp};
use crate::store::{BatchSample, LaneView, SampleSource};

use super::world::{World, after_noon, read};

#[test]
fn a_pair_is_one_series_whose_leader_is_kept_and_whose_gaps_are_filled() {
    let mut world = World::new();
    for round in 0..40 {
        if !(8..12).contains(&round) {
            world.push(&[("a|__name__=up", after_noon(round * 15), 1.0)]).expect("there is room");
        }
        world.push(&[("b|__name__=up", after_noon(round * 15 + 5), 2.0)]).expect("there is room");
    }
    for _ in 0..3 {
        let found = world.read(&[], TimeRange::ALL);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["up"]);
        let column = &found["up"];
        // The leader is verbatim up to its hole and again once ten clean scrapes have shown that it is back: until
        // round 22 its twin goes on.
        assert_eq!(column.values.iter().filter(|value| **value == 1.0).count(), 8 + 18, "the leader");
        assert_eq!(column.values.iter().filter(|value| **value == 2.0).count(), 14, "its twin in the hole and after");
        let seen = |view| read(&*world.store().with_lanes(&view).expect("offered"), &[], TimeRange::ALL);
        let raw = seen(LaneView::Raw);
        assert_eq!(raw.keys().collect::<Vec<_>>(), [r#"up{__replica__="a"}"#, r#"up{__replica__="b"}"#]);
        assert_eq!(seen(LaneView::Replica("b".into()))["up"].len(), 40);
        let narrow = TimeRange::new(after_noon(100), after_noon(200)).expect("in order");
        let expected: Vec<Timestamp> = column.at.iter().copied().filter(|at| narrow.contains(*at)).collect();
        assert_eq!(world.read(&[], narrow)["up"].at, expected, "a narrow window shows what a wide one shows");
        world.spill().expect("spills");
        world.crash();
    }
}

#[test]
fn histograms_and_start_timestamps_come_back_from_everywhere() {
    let mut world = World::new();
    let histogram = |count: f64| {
        Arc::new(Histogram {
            schema: 3,
            count,
            sum: 2.5 * count,
            positive_spans: vec![crate::model::histogram::BucketSpan { offset: -1, length: 2 }],
            positive_buckets: vec![count - 1.0, 1.0],
            integer: true,
            ..Histogram::default()
        })
    };
    for round in 0..40_i64 {
        let row = BatchSample {
            at: after_noon(round * 15),
            start: if round % 4 == 0 { Timestamp::EPOCH } else { after_noon(-60) },
            value: round as f64,
            histogram: (round % 3 == 0).then(|| histogram(round as f64 + 2.0)),
        };
        let appended = world.push_rows(&[("|__name__=h", row)]).expect("there is room");
        assert_eq!(appended.samples + appended.histograms, 1);
    }
    for _ in 0..3 {
        let column = &world.read(&[], TimeRange::ALL)["h"];
        assert_eq!(column.len(), 40);
        assert_eq!(column.histograms.len(), 14);
        for (row, found) in &column.histograms {
            assert_eq!(**found, *histogram(*row as f64 + 2.0));
        }
        for (row, start) in column.starts.iter().enumerate() {
            assert_eq!(*start, if row % 4 == 0 { Timestamp::EPOCH } else { after_noon(-60) });
        }
        world.crash();
        world.spill().expect("spills");
    }
}
