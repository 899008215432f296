//! Whole blocks: every bit back, nothing panics, sizes as promised.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::divided::{DIVIDED_ROWS_MIN, SEGMENT_ROWS};
use super::*;
use crate::model::histogram::BucketSpan;
use crate::model::{Histogram, ResetHint, STALE_NAN_BITS, Timestamp};

#[track_caller]
fn check_values(values: &[f64]) -> (usize, usize) {
    let sizes = [encode_values, encode_values_cold].map(|encode: fn(&[f64], &mut Vec<u8>)| {
        let mut block = vec![0xee];
        encode(values, &mut block);
        let mut back = vec![7.0];
        decode_values(&block[1..], values.len(), &mut back).unwrap();
        assert_eq!(back.len(), values.len() + 1, "appends");
        for (row, (value, back)) in values.iter().zip(&back[1..]).enumerate() {
            assert_eq!(value.to_bits(), back.to_bits(), "row {row} of {}, {value:e}", values.len());
        }
        let mut rest = Vec::new();
        for cut in 1..block.len().min(40) {
            let _ = decode_values(&block[1..cut], values.len(), &mut rest);
        }
        block.len() - 1
    });
    // What it takes to read a long block from its middle: a header for each piece.
    let headers = if values.len() < DIVIDED_ROWS_MIN { 0 } else { 24 * values.len().div_ceil(SEGMENT_ROWS) };
    assert!(sizes[1] <= sizes[0] + headers, "cold is never larger: {sizes:?} of {} rows", values.len());
    (sizes[0], sizes[1])
}

const STALE: f64 = f64::from_bits(STALE_NAN_BITS);

fn specials() -> impl Strategy<Value = f64> + Clone {
    prop_oneof![
        Just(STALE),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0),
        Just(f64::MIN_POSITIVE / 8.0),
        Just(f64::MAX),
        Just(9_007_199_254_740_994.0),
        Just(-9.223_372_036_854_776e18),
        Just(9.223_372_036_854_776e18),
        Just(1.844_674_407_370_955_2e19),
        Just(1_152_921_504_606_846_976.0),
        any::<u64>().prop_map(f64::from_bits),
        any::<i64>().prop_map(|integer| integer as f64),
    ]
}

/// Few rows, one block, a few blocks and a rest, or enough for pieces.
fn rows() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 1..40_usize, 3 => 100..140_usize, 3 => 250..520_usize, 1 => 1_070..2_300_usize]
}

fn column<T: std::fmt::Debug>(value: impl Strategy<Value = T> + Clone) -> impl Strategy<Value = Vec<T>> {
    rows().prop_flat_map(move |rows| vec(value.clone(), rows))
}

/// A series as a monitored thing might make it, as the function that gives row after row.
fn shapes() -> impl Strategy<Value = Vec<f64>> {
    let plain = prop_oneof![
        // Counters with resets, of any granularity.
        (rows(), any::<u64>(), 0..50_u64, 1..5000_u64).prop_flat_map(|(rows, first, reset, unit)| {
            vec(0..1000_u64, rows).prop_map(move |steps| {
                let mut total = first >> 12;
                let add = |(row, step): (usize, u64)| {
                    total = if row as u64 % 97 == reset { 0 } else { total + step * unit };
                    total as f64
                };
                steps.into_iter().enumerate().map(add).collect()
            })
        }),
        // Gauges with decimals.
        (rows(), 0..12_i32, 1..1_000_000_i64).prop_flat_map(|(rows, places, range)| {
            vec(-range..range, rows).prop_map(move |v| v.into_iter().map(|x| x as f64 / 10_f64.powi(places)).collect())
        }),
        // Straight lines and constants.
        (rows(), any::<i32>(), -5..5_i64).prop_map(|(rows, first, slope)| {
            (0..rows as i64).map(|row| (i64::from(first) + row * slope) as f64).collect()
        }),
        // Floats with all their digits, and any bits at all.
        column(-1e3..1e3_f64),
        column(any::<u64>().prop_map(f64::from_bits)),
        column(any::<i64>().prop_map(|x| x as f64)),
        column(specials()),
    ];
    (plain, vec((any::<prop::sample::Index>(), specials()), 0..6)).prop_map(|(mut values, odd)| {
        for (row, value) in odd {
            let row = row.index(values.len());
            values[row] = value;
        }
        values
    })
}

fn time_columns() -> impl Strategy<Value = Vec<i64>> {
    let deltas = prop_oneof![
        vec(Just(15_000_i64), 0..300),
        vec(prop_oneof![9 => 14_996..15_005_i64, 1 => 1..400_000_i64], 0..300),
        vec(1..20_i64, 0..300),
        vec(1..i64::MAX, 0..5),
    ];
    let firsts = prop_oneof![Just(i64::MIN), Just(0), 1_600_000_000_000..1_900_000_000_000_i64, any::<i64>()];
    (firsts, deltas).prop_map(|(first, deltas)| {
        let mut times = vec![first];
        for delta in deltas {
            match times[times.len() - 1].checked_add(delta) {
                Some(time) => times.push(time),
                None => break,
            }
        }
        times
    })
}

fn histogram_columns() -> impl Strategy<Value = Vec<Arc<Histogram>>> {
    let spans = || vec((any::<i32>(), 0..u32::MAX).prop_map(|(offset, length)| BucketSpan { offset, length }), 0..3);
    let hints =
        prop_oneof![Just(ResetHint::Unknown), Just(ResetHint::Yes), Just(ResetHint::No), Just(ResetHint::Gauge)];
    let layouts = (-53..9_i32, spans(), spans(), vec(specials(), 0..3), any::<bool>(), 0..6_usize, 0..3_usize);
    let run = (layouts, 1..30_usize).prop_flat_map(move |(layout, rows)| {
        let (schema, positive_spans, negative_spans, custom_values, integer, positive, negative) = layout;
        let shape = Histogram {
            schema,
            positive_spans,
            negative_spans,
            custom_values,
            integer,
            zero_threshold: 1e-128,
            ..Histogram::default()
        };
        let number = || prop_oneof![8 => (0..5000_u32).prop_map(f64::from), 1 => specials()];
        let row = (number(), number(), number(), vec(number(), positive), vec(number(), negative), hints.clone());
        vec(row, rows).prop_map(move |rows| {
            let histogram = |(count, zero_count, sum, positive_buckets, negative_buckets, reset_hint)| {
                Arc::new(Histogram {
                    count,
                    zero_count,
                    sum,
                    positive_buckets,
                    negative_buckets,
                    reset_hint,
                    ..shape.clone()
                })
            };
            rows.into_iter().map(histogram).collect::<Vec<_>>()
        })
    });
    vec(run, 0..4).prop_map(|runs| runs.concat())
}

#[track_caller]
fn check_times(millis: &[i64]) -> usize {
    let times: Vec<Timestamp> = millis.iter().map(|millis| Timestamp::from_millis(*millis)).collect();
    let (mut block, mut back) = (Vec::new(), Vec::new());
    encode_times(&times, &mut block);
    decode_times(&block, times.len(), &mut back).unwrap();
    assert_eq!(back, times);
    block.len()
}

#[track_caller]
fn check_histograms(histograms: &[Arc<Histogram>]) -> usize {
    let (mut block, mut back) = (Vec::new(), Vec::new());
    encode_histograms(histograms, &mut block);
    decode_histograms(&block, histograms.len(), &mut back).unwrap();
    assert!(back == histograms, "every bit comes back");
    block.len()
}

/// All decoders, on bytes that nobody wrote: an error or rows, but no panic.
fn decode_anything(bytes: &[u8], count: usize) {
    let mut values = Vec::new();
    match decode_values(bytes, count, &mut values) {
        Ok(()) => assert_eq!(values.len(), count),
        Err(_) => assert!(values.is_empty()),
    }
    let (mut some, half) = (Vec::new(), count / 2..count);
    match decode_some_values(bytes, count, half.clone(), &mut some) {
        Ok(()) => assert_eq!(some.len(), half.len()),
        Err(_) => assert!(some.is_empty()),
    }
    let _ = take_integers(&mut &*bytes, count, &mut Vec::new());
    let mut times = Vec::new();
    match decode_times(bytes, count, &mut times) {
        Ok(()) => assert!(times.len() == count && times.is_sorted_by(|a, b| a < b)),
        Err(_) => assert!(times.is_empty()),
    }
    let mut histograms = Vec::new();
    match decode_histograms(bytes, count, &mut histograms) {
        Ok(()) => assert_eq!(histograms.len(), count),
        Err(_) => assert!(histograms.is_empty()),
    }
}

fn mutate(block: &mut Vec<u8>, damage: &[(prop::sample::Index, u8)]) {
    for (at, byte) in damage {
        if !block.is_empty() {
            let at = at.index(block.len());
            match byte {
                0 => block.truncate(at),
                1 => block.insert(at, 0xff),
                byte => block[at] ^= byte,
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back_bit_for_bit(values in shapes()) {
        check_values(&values);
    }

    #[test]
    fn some_rows_are_those_of_all(values in shapes(), ends in any::<[prop::sample::Index; 2]>()) {
        let ends = ends.map(|end| end.index(values.len() + 1));
        let wanted = ends[0].min(ends[1])..ends[0].max(ends[1]);
        for encode in [encode_values, encode_values_cold] {
            let (mut block, mut some) = (Vec::new(), vec![7.0]);
            encode(&values, &mut block);
            decode_some_values(&block, values.len(), wanted.clone(), &mut some).unwrap();
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&some[1..]), bits(&values[wanted.clone()]));
        }
        let mut none = Vec::new();
        prop_assert!(decode_some_values(&[0x80, 0], values.len(), 0..values.len() + 1, &mut none).is_err());
    }

    #[test]
    fn a_column_of_integers_says_where_it_ends(
        columns in vec(prop_oneof![vec(any::<i64>(), 0..300), vec(-3..70_i64, 0..300), vec(Just(5_i64), 0..200)], 0..4),
    ) {
        let mut bytes = Vec::new();
        columns.iter().for_each(|column| put_integers(column, &mut bytes));
        let mut rest = bytes.as_slice();
        for column in &columns {
            let mut back = Vec::new();
            take_integers(&mut rest, column.len(), &mut back).unwrap();
            prop_assert_eq!(&back, column);
        }
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn times_come_back(millis in time_columns()) {
        check_times(&millis);
    }

    #[test]
    fn histograms_come_back_bit_for_bit(histograms in histogram_columns()) {
        check_histograms(&histograms);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..200), count in 0..600_usize, format in 0..6_u8) {
        decode_anything(&bytes, count);
        // Formats of some depth are rare among random bytes.
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = format;
            decode_anything(&bytes, count);
        }
    }

    #[test]
    fn no_damage_makes_a_decoder_panic(
        values in shapes(),
        millis in time_columns(),
        histograms in histogram_columns(),
        cold in any::<bool>(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        more in 0..3_usize,
    ) {
        let mut block = Vec::new();
        if cold { encode_values_cold(&values, &mut block) } else { encode_values(&values, &mut block) }
        mutate(&mut block, &damage);
        decode_anything(&block, values.len() + more);
        let times: Vec<_> = millis.iter().map(|millis| Timestamp::from_millis(*millis)).collect();
        block.clear();
        encode_times(&times, &mut block);
        mutate(&mut block, &damage);
        decode_anything(&block, times.len() + more);
        block.clear();
        encode_histograms(&histograms, &mut block);
        mutate(&mut block, &damage);
        decode_anything(&block, histograms.len() + more);
    }
}

#[test]
fn a_long_column_of_integers_is_written_in_pieces() {
    let column: Vec<i64> = (0..200_000).map(|row| row * row % 1_000).collect();
    let (mut bytes, mut back) = (Vec::new(), Vec::new());
    put_integers(&column, &mut bytes);
    take_integers(&mut bytes.as_slice(), column.len(), &mut back).unwrap();
    assert_eq!(back, column);
}

/// Noise without a dependency: the same on every machine.
fn noise(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

#[test]
fn sizes_are_what_they_were_designed_to_be() {
    #[track_caller]
    fn check(what: &str, values: &[f64], most: usize) {
        let (hot, _) = check_values(values);
        assert!(hot <= most, "{what}: {hot} bytes, at most {most}");
    }
    check("no row", &[], 1);
    check("a constant 0", &[0.0; 480], 2);
    check("a constant 1", &vec![1.0; MAX_ROWS], 2);
    check("a constant decimal", &[0.25; 480], 2);
    check("nothing but stale markers", &[STALE; 480], 11);
    let line: Vec<f64> = (0..480).map(|row| f64::from(row * 15)).collect();
    check("a straight line", &line, 3);
    let mut random = noise(1);
    let mut total = 1_000_000;
    let counter: Vec<f64> = (0..480)
        .map(|_| {
            total += 1500 + random(32);
            total as f64
        })
        .collect();
    // 479 differences of five or six bits, a header of ten bytes.
    check("a steady counter", &counter, 10 + 479 * 6 / 8 + 5);
    let pages: Vec<f64> = (0..480).map(|_| (random(64) * 4096 + (1 << 30)) as f64).collect();
    check("a gauge in pages: six bits a row", &pages, 480 * 6 / 8 + 14);
    let mut with_stale = counter;
    let without = check_values(&with_stale).0;
    with_stale[240] = STALE;
    check("a stale marker costs itself alone", &with_stale, without + 30);
    let mut rare = vec![0.0; 480];
    let mut events = 0.0;
    for (row, value) in rare.iter_mut().enumerate() {
        events += f64::from(u8::from(row % 60 == 7));
        *value = events;
    }
    check("a counter of rare events", &rare, 32);
    let up: Vec<f64> = (0..480).map(|row| f64::from(u8::from(row != 100))).collect();
    check("up, once down", &up, 16);
}

#[test]
fn a_long_cold_block_is_read_from_its_middle() {
    #[track_caller]
    fn check(what: &str, format: u8, value: impl FnMut(u64) -> f64) {
        let values: Vec<f64> = (0..5_760).map(value).collect();
        let (mut block, mut some) = (Vec::new(), Vec::new());
        encode_values_cold(&values, &mut block);
        assert_eq!(block[0], format, "{what}");
        // What stands before the wanted piece is not even looked at.
        let rows = 5_600..5_620;
        let middle = block.len() / 2;
        block[middle] ^= 0x55;
        decode_some_values(&block, values.len(), rows.clone(), &mut some).unwrap();
        assert_eq!(some, values[rows], "{what}");
    }
    let mut random = noise(1);
    check("a gauge of ten bits", 0x04, |_| random(1_024) as f64);
    let mut random = noise(2);
    check("floats with all their digits", 0x05, |_| (1.0 + random(1 << 30) as f64).sqrt());
}

#[test]
fn a_regular_scrape_costs_a_few_bytes() {
    #[track_caller]
    fn check(what: &str, millis: &[i64], most: usize) {
        let bytes = check_times(millis);
        assert!(bytes <= most, "{what}: {bytes} bytes, at most {most}");
    }
    let start = 1_700_000_000_123;
    let regular: Vec<i64> = (0..480).map(|row| start + row * 15_000).collect();
    check("all regular", &regular, 10);
    let missed: Vec<i64> = regular.iter().copied().filter(|time| (time / 15_000) % 100 != 3).collect();
    check("five scrapes missed", &missed, 30);
    let mut random = noise(2);
    let jitter: Vec<i64> = regular.iter().map(|time| time + random(9) as i64).collect();
    check("nine milliseconds of jitter", &jitter, 20 + 480 * 4 / 8 + 4);
    let aligned: Vec<i64> =
        regular.iter().map(|time| time + if random(20) == 0 { 1 + random(3) as i64 } else { 0 }).collect();
    check("one in twenty late", &aligned, 20 + 480 * 2 / 8);
    check("both ends of time", &[i64::MIN, 0, i64::MAX], 40);
}

#[test]
fn a_histogram_layout_is_stored_once() {
    let histogram = |row: u32| {
        Arc::new(Histogram {
            schema: 3,
            zero_threshold: 1e-128,
            count: f64::from(row * 20),
            sum: f64::from(row) * 2.5,
            positive_spans: vec![BucketSpan { offset: -4, length: 20 }],
            positive_buckets: (0..20).map(|bucket| f64::from(row * (bucket % 3))).collect(),
            reset_hint: if row == 0 { ResetHint::Unknown } else { ResetHint::No },
            integer: true,
            ..Histogram::default()
        })
    };
    let steady: Vec<_> = (0..120).map(histogram).collect();
    // 23 columns that are straight lines, of four or five bytes; the layout takes 17.
    let bytes = check_histograms(&steady);
    assert!(bytes <= 22 + 23 * 5, "{bytes} bytes");
    let mut stale = steady;
    stale.push(Arc::new(Histogram { sum: STALE, ..Histogram::default() }));
    check_histograms(&stale);
}

#[test]
fn a_count_that_lies_is_an_error_before_memory_is_taken() {
    let mut block = Vec::new();
    encode_values(&[1.0; 100], &mut block);
    let mut out = Vec::new();
    assert!(matches!(decode_values(&block, MAX_ROWS + 1, &mut out), Err(ChunkError::Rows(_))));
    assert!(decode_values(&block, 0, &mut out).is_err());
    assert_eq!(out.capacity(), 0);
    // A layout of many buckets and rows in a few bytes.
    let constant = [2, 0x80, 0];
    let mut block = vec![1, 0x80, 0x80, 0x80, 0x02, 0x80, 0x80, 0x40, 0, 0];
    block.extend([0; 8]);
    block.extend([0, 0, 0, 0x80, 0x20, 0]);
    (0..4099).for_each(|_| block.extend(constant));
    let mut out = Vec::new();
    assert!(matches!(decode_histograms(&block, MAX_ROWS, &mut out), Err(ChunkError::Rows(_))));
}
