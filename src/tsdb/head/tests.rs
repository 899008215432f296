//! The head against a plain list of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::rows;
use super::*;
use crate::model::{Column, Histogram, STALE_NAN_BITS, TimeRange};
use crate::store::BatchSample;
use crate::tsdb::log::record::Run;
use crate::tsdb::resolve::orders::Orders;

/// One request: the time of its rows, and who has which value.
#[derive(Clone, Debug)]
struct Scrape {
    at: i64,
    rows: Vec<(u32, u8, BatchSample)>,
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => Just(1.0),
        4 => (0..1_000_i64).prop_map(|whole| whole as f64),
        2 => (0..1_000_i64).prop_map(|whole| whole as f64 / 100.0),
        1 => prop::sample::select(vec![f64::from_bits(STALE_NAN_BITS), f64::NAN, -0.0, f64::INFINITY, 1e300]),
    ]
}

/// Two targets on a grid of their own, whose series now and then miss a scrape, come late or twice, or bring something else
/// than a float.
fn scrapes() -> impl Strategy<Value = Vec<Scrape>> {
    let row = (0..8_u32, 0..2_u8, value(), 0..40_u8, -60..60_i64);
    let scrape = (0..200_i64, prop::collection::vec(row, 1..12));
    prop::collection::vec(scrape, 1..60).prop_map(|scrapes| {
        let scrapes = scrapes.into_iter().enumerate().map(|(step, (jitter, rows))| {
            let at = step as i64 * 1_000 + if jitter < 190 { 0 } else { jitter };
            let rows = rows.into_iter().map(|(id, lane, value, kind, away)| {
                // The second target is half an interval later.
                let own = at + if id >= 4 { 500 } else { 0 };
                let at = if kind == 0 { own + away * 500 } else { own };
                let histogram = (kind == 1).then(|| Arc::new(Histogram { count: value, ..Histogram::default() }));
                let start = if kind == 2 { Timestamp::from_millis(7) } else { Timestamp::EPOCH };
                let value = if histogram.is_some() { 0.0 } else { value };
                (id, lane, BatchSample { at: Timestamp::from_millis(at), start, value, histogram })
            });
            Scrape { at, rows: rows.collect() }
        });
        scrapes.collect()
    })
}

fn rows_of(column: &Column) -> Vec<String> {
    rows::each(column)
        .map(|row| format!("{:?} {:?} {:x} {:?}", row.at, row.start, row.value.to_bits(), row.histogram))
        .collect()
}

fn check(head: &Head, model: &BTreeMap<(u32, u8), Column>, range: TimeRange) {
    for id in 0..8 {
        let mut lanes = Lanes::new();
        head.read(id, range, &mut lanes);
        for lane in 0..2 {
            let mut expected = model.get(&(id, lane)).cloned().unwrap_or_default();
            rows::tidy(&mut expected);
            rows::clip(&mut expected, range);
            let read = lane_of(&mut lanes, Lane(lane));
            rows::tidy(read);
            rows::clip(read, range);
            assert_eq!(rows_of(read), rows_of(&expected), "series {id} lane {lane} in {range:?}");
        }
        let expected = (0..2)
            .filter_map(|lane| model.get(&(id, lane)))
            .any(|column| column.at.iter().any(|at| range.contains(*at)));
        assert_eq!(head.has_rows_in(id, range), expected, "series {id} in {range:?}");
        assert!(head.overlaps(id, range) || !expected, "series {id} in {range:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_head_gives_back_what_it_got(scrapes in scrapes(), from in 0..60_000_i64, length in 0..30_000_i64) {
        let head = Head::default();
        let mut model: BTreeMap<(u32, u8), Column> = BTreeMap::new();
        for scrape in &scrapes {
            let runs: Vec<Run<'_>> = scrape
                .rows
                .iter()
                .map(|(id, lane, row)| Run { id: *id, lane: Lane(*lane), samples: std::slice::from_ref(row) })
                .collect();
            head.insert(&runs, &Orders::default());
            for (id, lane, row) in &scrape.rows {
                rows::push(model.entry((*id, *lane)).or_default(), row);
            }
        }
        let at = Timestamp::from_millis;
        check(&head, &model, TimeRange::ALL);
        check(&head, &model, TimeRange::new(at(from), at(from + length)).expect("rises"));
        check(&head, &model, TimeRange::new(at(scrapes[0].at), at(scrapes[0].at)).expect("one instant"));
    }
}

/// What one more scrape of a target costs the head once its series are known, in bytes a row.
fn bytes_a_row(value: impl Fn(u32, i64) -> f64) -> f64 {
    let (head, series, scrapes) = (Head::default(), PAGE_SLOTS, 240);
    let mut before = 0;
    for scrape in 0..=scrapes {
        let rows: Vec<BatchSample> = (0..series)
            .map(|id| BatchSample {
                at: Timestamp::from_millis(scrape * 15_000),
                start: Timestamp::EPOCH,
                value: value(id, scrape),
                histogram: None,
            })
            .collect();
        let runs = rows.iter().enumerate();
        let runs = runs.map(|(id, row)| Run { id: id as u32, lane: Lane(0), samples: std::slice::from_ref(row) });
        head.insert(&runs.collect::<Vec<_>>(), &Orders::default());
        if scrape == 0 {
            before = head.bytes();
        }
    }
    (head.bytes() - before) as f64 / (f64::from(series) * scrapes as f64)
}

#[test]
fn rows_of_neighbours_cost_little_memory() {
    let check = |bytes: f64, max: f64| assert!(bytes <= max, "{bytes} bytes a row");
    check(bytes_a_row(|_, _| 1.0), 0.05);
    check(bytes_a_row(|id, scrape| f64::from(id) + (scrape * 15) as f64), 2.0);
    check(bytes_a_row(|id, scrape| (scrape * (i64::from(id) % 7)) as f64 / 100.0), 2.0);
}
