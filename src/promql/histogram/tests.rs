//! The algebra through its door, in the notation of test scripts.

use proptest::prelude::*;

use super::*;
use std::sync::Arc;

use crate::model::histogram::BucketSpan;
use crate::model::{Column, ResetHint, Sample, Timestamp};

#[track_caller]
fn read(text: &str) -> Histogram {
    notation::parse(text).expect(text).0
}

#[track_caller]
fn near(found: f64, expected: f64) {
    let equal = found == expected || (found.is_nan() && expected.is_nan());
    assert!(equal || (found - expected).abs() <= expected.abs() * 1e-9, "found {found}, expected {expected}");
}

#[test]
fn sums_take_the_coarser_resolution_and_the_wider_zero_bucket() {
    #[track_caller]
    fn check(left: &str, right: &str, expected: &str) {
        let mut sum = read(left);
        let merge = add(&mut sum, &read(right)).expect("compatible");
        let mut compensated = CompensatedSum::new(&read(left));
        compensated.add(&read(right)).expect("compatible");
        compact(&mut sum);
        let mut expected = read(expected);
        compact(&mut expected);
        assert!(equal(&sum, &expected), "{} is not {}", notation::print(&sum), notation::print(&expected));
        assert_eq!(merge.bounds_reconciled, compensated.bounds_reconciled);
        let compensated = compensated.finish();
        assert!(equal(&compensated, &expected), "{}", notation::print(&compensated));
    }
    check("count:1 sum:2 buckets:[1]", "count:2 sum:1 offset:2 buckets:[2]", "count:3 sum:3 buckets:[1 0 2]");
    check(
        "schema:-1 count:1 sum:4 offset:1 buckets:[1]",
        "count:4 sum:4 offset:1 buckets:[2 2]",
        "schema:-1 count:5 sum:8 offset:1 buckets:[5]",
    );
    check(
        "count:4 sum:4 offset:1 buckets:[2 2]",
        "schema:-1 count:1 sum:4 offset:1 buckets:[1]",
        "schema:-1 count:5 sum:8 offset:1 buckets:[5]",
    );
    check(
        "count:3 z_bucket:3 z_bucket_w:0.3",
        "count:7 buckets:[4] offset:-1 n_buckets:[3] n_offset:-1",
        "count:10 z_bucket:10 z_bucket_w:0.5",
    );
    check(
        "count:7 buckets:[4 2] offset:-1 n_buckets:[1]",
        "count:3 z_bucket:3 z_bucket_w:0.5",
        "count:10 z_bucket:7 z_bucket_w:0.5 buckets:[2] n_buckets:[1]",
    );
    check(
        "schema:-53 count:6 custom_values:[1 2 4] buckets:[1 1 2 2]",
        "schema:-53 count:3 custom_values:[2 3 4] buckets:[1 1 0 1]",
        "schema:-53 count:9 custom_values:[2 4] buckets:[3 3 3]",
    );
    check(
        "schema:-53 count:1 custom_values:[1] buckets:[1]",
        "schema:-53 count:2 custom_values:[2] buckets:[1 1]",
        "schema:-53 count:3 buckets:[3]",
    );
}

#[test]
fn custom_and_exponential_bounds_do_not_meet() {
    let (mut left, right) = (read("count:1 buckets:[1]"), read("schema:-53 count:1 custom_values:[1] buckets:[1]"));
    let before = left.clone();
    assert_eq!(sub(&mut left, &right), Err(HistogramError::MixedSchemas));
    assert_eq!(left, before);
    assert_eq!(CompensatedMean::new(&right).add(&before), Err(HistogramError::MixedSchemas));
}

#[test]
fn hints_of_a_sum_claim_only_what_both_sides_claim() {
    use ResetHint::{Gauge, No, Unknown, Yes};
    #[track_caller]
    fn check(left: ResetHint, right: ResetHint, expected: ResetHint, collision: bool) {
        for (left, right) in [(left, right), (right, left)] {
            let mut sum = Histogram { reset_hint: left, ..Histogram::default() };
            let merge = add(&mut sum, &Histogram { reset_hint: right, ..Histogram::default() }).expect("compatible");
            assert_eq!((sum.reset_hint, merge.reset_collision), (expected, collision));
        }
    }
    check(No, No, No, false);
    check(Yes, Yes, Yes, false);
    check(Unknown, No, Unknown, false);
    check(Gauge, No, Gauge, false);
    check(Gauge, Unknown, Gauge, false);
    check(Yes, No, Unknown, true);
}

#[test]
fn scaling_keeps_the_layout() {
    let mut histogram = read("count:30 sum:33 z_bucket:3 z_bucket_w:0.001 buckets:[3 0 3] n_buckets:[6]");
    mul(&mut histogram, -1.0);
    assert_eq!(
        (histogram.reset_hint, histogram.positive_buckets.as_slice()),
        (ResetHint::Gauge, &[-3.0, -0.0, -3.0][..])
    );
    div(&mut histogram, 0.0);
    assert_eq!(notation::print(&histogram), "schema:0 count:-inf sum:-inf z_bucket:-inf z_bucket_w:1e-3");
}

#[test]
fn quantiles_interpolate_as_prometheus_does() {
    #[track_caller]
    fn check(q: f64, histogram: &str, expected: f64) {
        near(quantile(q, &read(histogram)).0, expected);
    }
    const POSITIVE: &str = "count:12 sum:100 z_bucket:2 z_bucket_w:0.001 buckets:[2 3 0 1 4]";
    const NEGATIVE: &str = "count:12 sum:100 z_bucket:2 z_bucket_w:0.001 n_buckets:[2 3 0 1 4]";
    check(0.0, POSITIVE, 0.0);
    check(0.5, POSITIVE, 2_f64.powf(2.0 / 3.0));
    check(1.0, POSITIVE, 16.0);
    check(0.5, NEGATIVE, -(2_f64.powf(2.0 / 3.0)));
    check(0.99, NEGATIVE, -0.00006);
    check(-0.1, NEGATIVE, f64::NEG_INFINITY);
    check(1.1, NEGATIVE, f64::INFINITY);
    check(0.5, "count:0", f64::NAN);
    check(f64::NAN, POSITIVE, f64::NAN);
    const CUSTOM: &str = "schema:-53 count:10 custom_values:[1 2] buckets:[4 4 2]";
    check(0.2, CUSTOM, 0.5);
    check(0.5, CUSTOM, 1.25);
    check(0.9, CUSTOM, 2.0);
    check(0.2, "schema:-53 count:10 custom_values:[-1 2] buckets:[4 6]", -1.0);
}

#[test]
fn observations_that_are_no_numbers_are_noted() {
    let histogram = read("count:15 sum:NaN buckets:[12]");
    assert_eq!(quantile(0.4, &histogram), (0.5_f64.sqrt(), Some(NanNote::SkewedHigher)));
    assert_eq!(quantile(0.9, &histogram).1, Some(NanNote::ResultIsNan));
    assert_eq!(fraction(f64::NEG_INFINITY, f64::INFINITY, &histogram), (0.8, true));
    assert_eq!(fraction(f64::NEG_INFINITY, 1.0, &read("count:3 sum:NaN")), (0.0, true));
}

#[test]
fn classic_buckets_are_repaired_before_they_are_read() {
    use classic::{ClassicBucket, Forced};
    #[track_caller]
    fn check(q: f64, counts: &[(f64, f64)], expected: f64, forced: Option<Forced>) {
        let mut buckets = counts.iter().map(|(upper, count)| ClassicBucket { upper: *upper, count: *count }).collect();
        let (found, repaired) = classic::quantile(q, &mut buckets);
        near(found, expected);
        assert_eq!(repaired, forced);
    }
    let inf = f64::INFINITY;
    check(0.25, &[(inf, 12.0), (0.1, 5.0), (0.2, 7.0), (1.0, 11.0)], 0.06, None);
    check(
        0.01,
        &[(0.1, 20.0), (1.0, 10.0), (10.0, 50.0), (100.0, 40.0), (1000.0, 90.0), (inf, 80.0)],
        0.0045,
        Some(Forced { first: 1.0, last: inf, largest: 10.0 }),
    );
    check(0.5, &[(1.0, 1.0)], f64::NAN, None);
    check(0.5, &[(inf, 1.0)], f64::NAN, None);
    check(0.5, &[(-1.0, 5.0), (inf, 6.0)], -1.0, None);
    check(0.99, &[(1.0, 1.0), (2.0, 2.0), (inf, 4.0)], 2.0, None);
    let mut buckets = vec![ClassicBucket { upper: 1.0, count: 1.0 }, ClassicBucket { upper: inf, count: 4.0 }];
    near(classic::fraction(0.0, 0.5, &mut buckets), 0.125);
    near(classic::fraction(0.5, inf, &mut buckets), 0.875);
}

#[test]
fn trimming_estimates_what_is_left() {
    #[track_caller]
    fn check(trim: fn(&mut Histogram, f64), histogram: &str, limit: f64, count: f64, sum: f64) {
        let mut histogram = read(histogram);
        trim(&mut histogram, limit);
        near(histogram.count, count);
        near(histogram.sum, sum);
    }
    const MIXED: &str = "count:34 sum:123.75 z_bucket:1 z_bucket_w:0.001 buckets:[2 4 8 16] n_buckets:[1 2]";
    check(trim_upper, MIXED, f64::INFINITY, 34.0, 123.75);
    check(trim_upper, MIXED, f64::NEG_INFINITY, 0.0, 0.0);
    check(trim_lower, MIXED, 2.0, 24.0, 8.0 * 8_f64.sqrt() + 16.0 * 32_f64.sqrt());
    const ZERO: &str = "count:5 z_bucket:5 z_bucket_w:0.1";
    check(trim_upper, ZERO, 0.05, 3.75, -0.09375);
    check(trim_lower, ZERO, -0.1, 5.0, 0.0);
    const CUSTOM: &str = "schema:-53 count:101 sum:33 custom_values:[5] buckets:[1 100]";
    check(trim_upper, CUSTOM, 10.0, 1.0, 2.5);
    check(trim_lower, CUSTOM, 2.0, 100.6, 502.1);
    check(trim_lower, CUSTOM, -10.0, 100.0, 500.0);
    check(trim_upper, MIXED, f64::NAN, f64::NAN, f64::NAN);
}

#[test]
fn histograms_print_as_in_prometheus() {
    let histogram = read("count:20 sum:1e7 z_bucket:2 z_bucket_w:0.001 buckets:[1 2] n_buckets:[1 2]");
    let shown = "{count:20, sum:1e+07, [-2,-1):2, [-1,-0.5):1, [-0.001,0.001]:2, (0.5,1]:1, (1,2]:2}";
    assert_eq!(Shown(&histogram).to_string(), shown);
    let custom = read("schema:-53 count:3 custom_values:[0.5 2] buckets:[1 0 2]");
    assert_eq!(Shown(&custom).to_string(), "{count:3, sum:0, [-Inf,0.5]:1, (2,+Inf]:2}");
}

#[test]
fn resets_are_seen_in_each_part() {
    #[track_caller]
    fn check(previous: &str, current: &str, expected: bool) {
        assert_eq!(is_reset(&read(current), &read(previous)), expected);
    }
    check("count:4 buckets:[1 2 1]", "count:5 buckets:[1 1 3]", true);
    check("count:4 buckets:[1 2 1]", "count:5 buckets:[1 2 2]", false);
    check("count:4 buckets:[1 2 1]", "count:3 buckets:[1 2 1]", true);
    check("count:4 buckets:[1 2 1]", "schema:1 count:9 buckets:[1 2 1 3 3]", true);
    check("schema:1 count:4 offset:1 buckets:[2 2]", "count:4 offset:1 buckets:[4]", false);
    check("schema:1 count:4 offset:1 buckets:[2 2]", "count:9 offset:1 buckets:[3]", true);
    check("count:4 buckets:[4]", "count:4 z_bucket:4 z_bucket_w:1", false);
    check("count:4 buckets:[4]", "count:4 z_bucket:4 z_bucket_w:0.7", true);
    check("count:4 z_bucket:4 z_bucket_w:1", "count:9 z_bucket:9 z_bucket_w:0.5", true);
    check(
        "schema:-53 count:2 custom_values:[5] buckets:[2]",
        "schema:-53 count:2 custom_values:[5 10] buckets:[2]",
        false,
    );
    check(
        "schema:-53 count:2 custom_values:[5] buckets:[2]",
        "schema:-53 count:2 custom_values:[5 10] buckets:[1 1]",
        true,
    );
    check("count:1 buckets:[1]", "count:0 counter_reset_hint:not_reset", false);
}

#[test]
fn hints_are_settled_as_a_store_would_give_them() {
    use ResetHint::{Gauge, No, Unknown, Yes};
    let rows = [
        ("count:1 buckets:[1]", Unknown),
        ("count:1 buckets:[1]", No),
        ("count:0", Yes),
        ("", Unknown),
        ("count:1 buckets:[1]", Unknown),
        ("count:1 buckets:[1] counter_reset_hint:reset", Yes),
        ("count:1 counter_reset_hint:gauge", Gauge),
        ("count:1", Unknown),
        ("count:2 buckets:[2] counter_reset_hint:not_reset", No),
        ("count:3 buckets:[1 2]", Yes),
        ("schema:1 count:9 buckets:[1]", Unknown),
    ];
    let mut column = Column::default();
    for (step, (text, _)) in rows.iter().enumerate() {
        let at = Timestamp::from_millis(step as i64);
        match *text {
            "" => column.push(Sample::stale(at)),
            text => column.push_histogram(at, Arc::new(read(text))),
        }
    }
    settle_hints(&mut column);
    for (row, histogram) in &column.histograms {
        assert_eq!((row, histogram.reset_hint), (row, rows[*row].1));
    }
}

#[test]
fn means_survive_an_overflow() {
    let mut mean = CompensatedMean::new(&read("count:1.5e308 sum:3"));
    mean.add(&read("count:1.5e308 sum:5")).expect("compatible");
    mean.add(&read("count:0 sum:1")).expect("compatible");
    let mean = mean.finish();
    near(mean.count, 1e308);
    near(mean.sum, 3.0);
}

prop_compose! {
    fn histograms_like(schema: i32, width: f64)(
        zero_count in 0..4_u8,
        offset in -6..6_i32, positive in prop::collection::vec(0..3_u8, 0..12),
        negative_offset in -6..6_i32, negative in prop::collection::vec(0..3_u8, 0..12),
    ) -> Histogram {
        let side = |offset, counts: &[u8]| {
            let spans = match counts.len() {
                0 => Vec::new(),
                length => vec![BucketSpan { offset, length: length as u32 }],
            };
            (spans, counts.iter().map(|count| f64::from(*count)).collect::<Vec<_>>())
        };
        let (positive_spans, positive_buckets) = side(offset, &positive);
        let (negative_spans, negative_buckets) = side(negative_offset, &negative);
        let mut histogram = Histogram {
            schema, zero_threshold: width, zero_count: f64::from(zero_count), positive_spans, positive_buckets,
            negative_spans, negative_buckets, ..Histogram::default()
        };
        // Real zero buckets cut no populated bucket.
        if width > 0.0 {
            let mut wide = Histogram { schema, zero_threshold: width, ..Histogram::default() };
            histogram.zero_threshold = 0.0;
            add(&mut wide, &histogram).expect("both are exponential");
            histogram = wide;
        }
        compact(&mut histogram);
        histogram.count = ascending(&histogram).map(|bucket| bucket.count).sum();
        histogram
    }
}

fn histograms() -> impl Strategy<Value = Histogram> {
    let widths = prop::sample::select(vec![0.0, 0.001, 0.3, 1.0]);
    (-4..=4_i32, widths).prop_flat_map(|(schema, width)| histograms_like(schema, width))
}

/// Anything that fits into the type, well formed or not.
fn anything() -> impl Strategy<Value = Histogram> {
    let number = || prop::sample::select(vec![0.0, -1.0, 1e-3, 1.0, 5.0, 1e308, f64::NAN, f64::INFINITY]);
    let side = || {
        let span = (-5..5_i32, prop::sample::select(vec![0, 1, 2, 3_u32]));
        let huge = (prop::sample::select(vec![i32::MIN, i32::MAX]), 1..3_u32);
        let spans = prop::collection::vec(prop_oneof![9 => span, 1 => huge], 0..4);
        (spans, prop::collection::vec(number(), 0..8), any::<bool>()).prop_map(|(spans, mut counts, fitting)| {
            let spans: Vec<_> = spans.into_iter().map(|(offset, length)| BucketSpan { offset, length }).collect();
            if fitting {
                counts.resize(spans.iter().map(|span| span.length as usize).sum(), 1.0);
            }
            (spans, counts)
        })
    };
    let schema = prop::sample::select(vec![-60, -53, -4, -1, 0, 1, 8, 60]);
    let custom_values = prop::collection::vec(number(), 0..4);
    ((schema, number(), number(), number(), number()), side(), side(), custom_values).prop_map(
        |((schema, zero_threshold, zero_count, count, sum), positive, negative, custom_values)| Histogram {
            schema,
            zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans: positive.0,
            positive_buckets: positive.1,
            negative_spans: negative.0,
            negative_buckets: negative.1,
            custom_values,
            ..Histogram::default()
        },
    )
}

proptest! {
    #[test]
    fn nothing_is_lost_or_counted_twice(left in histograms(), right in histograms()) {
        let mut sum = left.clone();
        add(&mut sum, &right).expect("both are exponential");
        let in_buckets: f64 = ascending(&sum).map(|bucket| bucket.count).sum();
        // Prometheus counts a bucket twice where a coarser resolution joins it with one outside the zero bucket.
        if left.schema == right.schema {
            prop_assert_eq!(in_buckets, left.count + right.count);
        }
        prop_assert_eq!(sum.count, left.count + right.count);
        let mut back = sum.clone();
        sub(&mut back, &right).expect("both are exponential");
        prop_assert_eq!(back.count, left.count);
    }

    #[test]
    fn a_sum_does_not_reset_its_parts(left in histograms_like(1, 0.001), right in histograms_like(1, 0.001)) {
        prop_assume!(left.zero_threshold == right.zero_threshold);
        let mut sum = left.clone();
        add(&mut sum, &right).expect("both are exponential");
        prop_assert!(!is_reset(&sum, &left));
        prop_assert_eq!(is_reset(&left, &sum), right.count > 0.0);
    }

    #[test]
    fn quantile_and_fraction_undo_each_other(histogram in histograms(), q in 0.0..1.0_f64) {
        prop_assume!(histogram.count > 0.0);
        let (value, _) = quantile(q, &histogram);
        let (share, _) = fraction(f64::NEG_INFINITY, value, &histogram);
        // Where no observation lies between, several shares have one value.
        let (again, _) = quantile(share.clamp(0.0, 1.0), &histogram);
        prop_assert!((share - q).abs() < 1e-9 || again <= value + value.abs() * 1e-9, "{q} {value} {share} {again}");
    }

    #[test]
    fn what_is_trimmed_on_both_sides_is_everything(histogram in histograms(), limit in -8.0..8.0_f64) {
        let (mut below, mut above) = (histogram.clone(), histogram.clone());
        trim_upper(&mut below, limit);
        trim_lower(&mut above, limit);
        prop_assert!((below.count + above.count - histogram.count).abs() < 1e-9);
    }

    #[test]
    fn buckets_are_walked_alike_in_both_directions(histogram in histograms()) {
        let forwards = ascending(&histogram).collect::<Vec<_>>();
        let mut backwards = ascending(&histogram).rev().collect::<Vec<_>>();
        backwards.reverse();
        prop_assert_eq!(&forwards, &backwards);
        prop_assert!(forwards.is_sorted_by(|left, right| left.upper <= right.lower));
    }

    #[test]
    fn the_notation_reads_what_it_prints(histogram in histograms()) {
        let (again, _) = notation::parse(&notation::print(&histogram)).expect("printed");
        let mut again = again;
        compact(&mut again);
        prop_assert!(equal(&again, &histogram), "{}", notation::print(&histogram));
    }

    #[test]
    fn no_histogram_makes_it_panic_or_hang(left in anything(), right in anything(), value in -5.0..5.0_f64) {
        for operation in [add, sub] {
            let mut result = left.clone();
            // Whether they can meet does not matter here.
            let _ = operation(&mut result, &right);
            compact(&mut result);
        }
        let mut mean = CompensatedMean::new(&left);
        let _ = mean.add(&right);
        mean.finish();
        for trim in [trim_lower, trim_upper] {
            trim(&mut left.clone(), value);
        }
        let mut coarse = left.clone();
        reduce_resolution(&mut coarse, -2);
        let shown = Shown(&left).to_string();
        prop_assert!(shown.len() > 2);
        quantile(value / 5.0, &left);
        fraction(-value, value, &left);
        variance(&left);
        is_reset(&left, &right);
        prop_assert!(equal(&left, &left));
    }
}
