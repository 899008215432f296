//! Small scenes with the outcome written out: seconds, and `a` or `b` for the lane.

use std::sync::Arc;

use super::super::*;
use crate::model::{Column, Histogram, ResetHint, STALE_NAN_BITS, Sample, Timestamp};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

/// A lane from seconds; negative ones are stale markers.
fn lane(secs: impl IntoIterator<Item = i64>, value: f64) -> Column {
    let mut column = Column::default();
    for sec in secs {
        match sec {
            0.. => column.push(Sample { at: at(sec), value }),
            _ => column.push(Sample::stale(at(-sec))),
        }
    }
    column
}

fn scrapes(from: i64, until: i64) -> Vec<i64> {
    (from..until).step_by(15).collect()
}

fn show(out: &Column) -> Vec<String> {
    let mut shown = Vec::new();
    for row in 0..out.len() {
        let who = match out.values[row].to_bits() {
            STALE_NAN_BITS => "!",
            bits if bits == 1_f64.to_bits() => "a",
            bits if bits == 2_f64.to_bits() => "b",
            _ => "?",
        };
        shown.push(format!("{who}{}", out.at[row].as_millis() / 1000));
    }
    shown
}

/// The last rows of the merge of `a` and `b`.
#[track_caller]
fn check(a: &[i64], b: &[i64], settled: bool, tail: &str) {
    let rules = MergeRules { clean_run: 2, settled, ..MergeRules::default() };
    let mut out = Column::default();
    merge(&[&lane(a.iter().copied(), 1.0), &lane(b.iter().copied(), 2.0)], &rules, &mut out);
    let shown = show(&out);
    let wanted: Vec<&str> = tail.split_whitespace().collect();
    assert_eq!(shown[shown.len().saturating_sub(wanted.len())..], wanted);
}

#[test]
fn a_hole_is_filled_and_the_top_lane_comes_back_after_a_clean_run() {
    let a: Vec<i64> = scrapes(0, 300).into_iter().filter(|sec| !(75..=90).contains(sec)).collect();
    // 75 and 90 are missing; 105 and 120 are weak: b goes on beside them.
    check(
        &a,
        &scrapes(7, 300),
        true,
        "a45 a60 b82 b97 b112 b127 a135 a150 a165 a180 a195 a210 a225 a240 a255 a270 a285",
    );
}

#[test]
fn behind_the_top_lane_another_shows_after_one_and_a_half_intervals() {
    let a = scrapes(0, 100);
    check(&a, &scrapes(7, 98), false, "a75 a90");
    check(&a, &scrapes(7, 113), false, "a75 a90");
    check(&a, &scrapes(7, 128), false, "a75 a90 b112 b127");
    check(&a, &scrapes(7, 98), true, "a75 a90");
}

#[test]
fn a_marker_stands_only_if_no_other_lane_goes_on() {
    let (mut a, mut b) = (scrapes(0, 100), scrapes(7, 200));
    a.push(-105);
    check(&a, &b, true, "a90 b112 b127 b142 b157 b172 b187");
    b.push(-202);
    check(&a, &b, true, "b172 b187 !202");
    // b crashed before a's target went away.
    check(&a, &scrapes(7, 80), true, "a75 a90 !105");
    // Both at one time: one marker.
    check(&[0, 15, 30, -45], &[0, 15, 30, -45], true, "a0 a15 a30 !45");
}

#[test]
fn up_is_one_if_any_replica_can_scrape() {
    let rules = MergeRules { policy: Policy::Any, settled: true, ..MergeRules::default() };
    let (mut a, b) = (lane(scrapes(0, 150), 1.0), lane(scrapes(7, 150), 1.0));
    (4..7).for_each(|row| a.values[row] = 0.0);
    let mut out = Column::default();
    merge(&[&a, &b], &rules, &mut out);
    assert!(out.values.iter().all(|value| *value == 1.0));
    merge(&[&a, &a], &rules, &mut out);
    assert_eq!(out.values, a.values, "down is down where nobody can scrape");
    assert_eq!(out.at, a.at);
}

#[test]
fn max_and_min_take_the_value_that_any_lane_shows() {
    let (a, b) = (lane(scrapes(0, 100), 1.0), lane(scrapes(7, 60), 2.0));
    let mut out = Column::default();
    merge(&[&a, &b], &MergeRules { policy: Policy::Max, ..MergeRules::default() }, &mut out);
    assert_eq!(show(&out), ["a0", "b15", "b30", "b45", "b60", "a75", "a90"]);
    merge(&[&a, &b], &MergeRules { policy: Policy::Min, ..MergeRules::default() }, &mut out);
    assert_eq!(show(&out), ["a0", "a15", "a30", "a45", "a60", "a75", "a90"]);
}

#[test]
fn a_histogram_after_a_switch_says_nothing_of_resets() {
    use ResetHint::{No, Unknown};
    let histograms = |secs: &[i64], hint| {
        let mut column = Column::default();
        for sec in secs {
            let count = *sec as f64;
            let histogram = Histogram { count, reset_hint: hint, ..Histogram::default() };
            column.push_histogram(at(*sec), Arc::new(histogram));
            column.set_last_start(at(1));
        }
        column
    };
    let a = histograms(&[0, 15, 30, 45, 90, 105], No);
    let b = histograms(&[7, 22, 37, 52, 67, 82, 97], No);
    let mut out = Column::default();
    merge(&[&a, &b], &MergeRules { clean_run: 0, settled: true, ..MergeRules::default() }, &mut out);
    let hints: Vec<_> = out.histograms.iter().map(|(row, h)| (out.at[*row].as_millis() / 1000, h.reset_hint)).collect();
    let expected = [(0, No), (15, No), (30, No), (45, No), (67, Unknown), (82, No), (90, Unknown), (105, No)];
    // b at 52 stands 7 s behind a's 45, and b at 82 is 8 s before a's 90.
    assert_eq!(hints, expected);
    assert_eq!(out.starts, vec![at(1); out.len()]);
}

#[test]
fn equal_times_are_one_scrape_and_rank_decides() {
    let mut out = Column::default();
    merge(&[&lane(scrapes(0, 60), 1.0), &lane(scrapes(0, 90), 2.0)], &MergeRules::default(), &mut out);
    assert_eq!(show(&out), ["a0", "a15", "a30", "a45", "b60", "b75"]);
}

#[test]
fn a_third_lane_fills_what_the_first_two_leave() {
    let rules = MergeRules { clean_run: 0, settled: true, ..MergeRules::default() };
    let without =
        |from, gap: std::ops::Range<i64>| scrapes(from, 200).into_iter().filter(move |sec| !gap.contains(sec));
    let (a, b) = (lane(without(0, 60..120), 1.0), lane(without(5, 80..120), 2.0));
    let c = lane(scrapes(10, 200), 3.0);
    let mut out = Column::default();
    merge(&[&a, &b, &c], &rules, &mut out);
    let shown = show(&out).join(" ");
    assert_eq!(shown, "a0 a15 a30 a45 b65 ?85 ?100 a120 a135 a150 a165 a180 a195");
}

#[test]
fn a_row_that_comes_late_inside_its_lane_fills_its_hole() {
    let rules = MergeRules::default();
    let at_door: Vec<interval::Mark> = {
        let mut annotator = interval::Annotator::new(&rules);
        [0, 15, 45, 30, 60].map(|sec| annotator.push(at(sec))).to_vec()
    };
    assert!(!at_door[3].solid && at_door[3].interval == at_door[2].interval, "the door learns nothing from it");
    let mut out = Column::default();
    merge(&[&lane(scrapes(0, 61), 1.0), &lane([37, 52], 2.0)], &rules, &mut out);
    assert_eq!(show(&out), ["a0", "a15", "a30", "a45", "a60"]);
}

#[test]
fn nothing_and_one_lane_are_themselves() {
    let mut out = lane([1], 1.0);
    merge(&[], &MergeRules::default(), &mut out);
    assert!(out.is_empty());
    let empty = Column::default();
    merge(&[&lane([5, 20, -35], 1.0), &empty], &MergeRules::default(), &mut out);
    assert_eq!(show(&out), ["a5", "a20", "!35"]);
    merge(&[&empty, &lane([5, 20, -35], 2.0)], &MergeRules::default(), &mut out);
    assert_eq!(show(&out), ["b5", "b20", "!35"]);
}
