//! The properties of docs/dedup.md, on pairs and triples of replicas as they fail in practice.

use proptest::prelude::*;

use super::*;
use crate::model::{Column, Sample, Span, TimeRange, Timestamp};
use scene::{Faults, MARKERS, PLAIN, Random, Scene, scene};

fn rules() -> MergeRules {
    MergeRules { settled: true, ..MergeRules::default() }
}

fn merged(lanes: &[Column], rules: &MergeRules) -> Column {
    let mut into = Column::default();
    merge(&lanes.iter().collect::<Vec<_>>(), rules, &mut into);
    assert!(into.at.is_sorted_by(|a, b| a < b), "rows rise in time");
    into
}

fn rows(column: &Column) -> Vec<(i64, u64)> {
    column.at.iter().zip(&column.values).map(|(at, value)| (at.as_millis(), value.to_bits())).collect()
}

fn real_times(column: &Column) -> Vec<i64> {
    (0..column.len()).filter(|row| !lane::is_marker(column, *row)).map(|row| column.at[row].as_millis()).collect()
}

/// P1, P6, P7 for one order of the lanes.
#[track_caller]
fn check_coverage(scene: &Scene, lanes: &[Column]) {
    let out = merged(lanes, &rules());
    let inputs: Vec<_> = lanes.iter().flat_map(rows).collect();
    assert!(rows(&out).iter().all(|row| inputs.contains(row)), "P1: nothing is made up");
    let lane_of = |at: i64| lanes.iter().position(|lane| lane.at.contains(&Timestamp::from_millis(at)));
    let (interval, slack) = (scene.interval, 2 * scene.jitter + scene.interval / 50);
    // Rows whose lane has seen enough to know the interval: the first two distances of a lane may mislead it, and the
    // first row of a lower lane knows of none.
    let all: Vec<(i64, Span)> = lanes
        .iter()
        .enumerate()
        .flat_map(|(number, lane)| {
            let marked = lane::Lane::top(lane, &rules());
            let begins = |row: usize| row == 0 || lane.at[row] - lane.at[row - 1] > interval::SILENCE;
            let known = (0..lane.len()).filter(move |row| number == 0 || !begins(*row));
            known.map(|row| (lane.at[row].as_millis(), marked.mark(row).interval)).collect::<Vec<_>>()
        })
        .collect();
    let knows = |at: &i64| all.iter().any(|(row, known)| row == at && known.as_millis() <= interval + slack);
    let times = real_times(&out);
    for pair in times.windows(2).skip(20) {
        let (from, to) = (pair[0], pair[1]);
        if (to - from) * 2 > interval * 3 + slack {
            let (from, to) = (from + interval / 2 + slack, to - interval / 2 - slack);
            let missed = all.iter().find(|(at, _)| (from..=to).contains(at) && knows(at));
            assert_eq!(missed, None, "P6: a row in the hole {pair:?}, interval {interval}");
        }
        if lane_of(from) != lane_of(to) {
            assert!((to - from) * 2 >= interval - slack, "P7: {pair:?} stand too close, interval {interval}");
        }
    }
}

/// The lanes without what the door drops when their rows arrive in a random order that keeps each lane's own.
fn through_the_door(lanes: &[Column], random: &mut Random, rules: &MergeRules) -> Vec<Column> {
    let mut kept: Vec<Vec<bool>> = lanes.iter().map(|lane| vec![true; lane.len()]).collect();
    let (mut next, mut top) = (vec![0; lanes.len()], TopGate::new());
    let mut pending: Vec<(usize, usize)> = Vec::new();
    let (bias, lag) = (random.of(&[10, 50, 90]), random.of(&[0_usize, 0, 20]));
    while next.iter().zip(lanes).any(|(next, lane)| *next < lane.len()) {
        let behind = next[0] + lag < next.get(1).copied().unwrap_or(0);
        let mut number = if behind || random.chance(bias) { 0 } else { random.below(lanes.len() as u64) as usize };
        while next[number] == lanes[number].len() {
            number = (number + 1) % lanes.len();
        }
        if random.below(200) == 0 {
            // A restart: the door forgets.
            top = TopGate::new();
            pending.clear();
        }
        let row = next[number];
        next[number] += 1;
        let (at, is_marker) = (lanes[number].at[row], lane::is_marker(&lanes[number], row));
        if number == 0 {
            top.push(at, is_marker, rules);
            for (number, row) in std::mem::take(&mut pending) {
                kept[number][row] &= !top.covers(lanes[number].at[row]);
            }
        } else if top.covers(at) && !is_marker {
            kept[number][row] = false;
        } else if !is_marker {
            pending.push((number, row));
        }
    }
    lanes.iter().zip(&kept).map(|(lane, kept)| thinned(lane, kept)).collect()
}

/// One turn for ever: lanes in the order of their numbers.
fn turn(lanes: usize) -> Turn {
    Turn { from: Timestamp::MIN, order: (0..lanes).collect() }
}

/// A lane without the rows that were dropped.
fn thinned(rows: &Column, kept: &[bool]) -> Column {
    let mut column = Column::default();
    for (row, at) in rows.at.iter().enumerate().filter(|(row, _)| kept[*row]) {
        column.push(Sample { at: *at, value: rows.values[row] });
    }
    column
}

/// Four hundred scenes a property, or as many as `PROPTEST_CASES` says: 100,000 take a minute or two.
fn scenes() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(400), failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(scenes())]

    #[test]
    fn no_hole_is_left_that_a_replica_could_fill(seed: u64, lanes in 2..4_usize) {
        let mut scene = scene(seed, lanes, PLAIN);
        let columns = std::mem::take(&mut scene.lanes);
        check_coverage(&scene, &columns);
        // P13: another rank gives other rows, and the same promises.
        let reversed: Vec<Column> = columns.into_iter().rev().collect();
        check_coverage(&scene, &reversed);
    }

    #[test]
    fn what_is_dropped_changes_nothing_in_any_order(seed: u64, lanes in 2..4_usize, markers: bool, settled: bool) {
        // P2, P3, P12: at the door, in merges of parts that see a stretch of the lanes, or in both.
        let scene = scene(seed, lanes, if markers { MARKERS } else { PLAIN });
        let rules = MergeRules { settled, ..rules() };
        let mut random = Random(seed ^ 0x5eed);
        let expected = rows(&merged(&scene.lanes, &rules));
        for _ in 0..3 {
            let mut thin = through_the_door(&scene.lanes, &mut random, &rules);
            prop_assert_eq!(rows(&merged(&thin, &rules)), expected.clone());
            let top = thin[0].clone();
            let (from, to) = (random.below(top.len() as u64) as usize, random.below(top.len() as u64) as usize);
            let mut seen = Column::default();
            (from.min(to)..from.max(to)).for_each(|row| seen.push(Sample { at: top.at[row], value: top.values[row] }));
            let unsure = if from.min(to) == 0 { 0 } else { CONTEXT_ROWS };
            thin[0] = seen;
            drop_covered(&[turn(lanes)], &mut thin, &rules, unsure);
            thin[0] = top;
            prop_assert_eq!(rows(&merged(&thin, &rules)), expected.clone());
        }
    }

    #[test]
    fn dropping_twice_is_dropping_once(seed: u64, markers: bool) {
        let scene = scene(seed, 2, if markers { MARKERS } else { PLAIN });
        let mut lanes = scene.lanes;
        drop_covered(&[turn(2)], &mut lanes, &rules(), 0);
        prop_assert_eq!(drop_covered(&[turn(2)], &mut lanes, &rules(), 0), 0);
    }

    #[test]
    fn a_window_shows_what_the_whole_shows_there(
        seed: u64, lanes in 2..4_usize, from in 0..100_u64, length in 0..60_u64, settled: bool, counter: bool,
    ) {
        // P4.
        let scene = scene(seed, lanes, Faults { skew: 20_000, ..MARKERS });
        let rules = MergeRules { settled, counter, ..rules() };
        let whole = merged(&scene.lanes, &rules);
        let (Some(first), Some(last)) = (whole.at.first(), whole.at.last()) else { return Ok(()) };
        let span = (*last - *first).as_millis();
        let start = *first + Span::from_millis(span * from as i64 / 100);
        let range = TimeRange::new(start, start + Span::from_millis(span * length as i64 / 100)).unwrap();
        let clip = |column: &Column| -> Vec<(i64, u64)> {
            let rows = rows(column);
            rows.into_iter().filter(|(at, _)| range.contains(Timestamp::from_millis(*at))).collect()
        };
        let parts: Vec<Column> = scene.lanes.iter().map(|lane| {
            let from = lane.at.partition_point(|at| *at < range.start() - CONTEXT_SPAN).saturating_sub(CONTEXT_ROWS);
            let to = lane.at.partition_point(|at| *at <= range.end() + CONTEXT_SPAN) + CONTEXT_ROWS;
            let mut part = Column::default();
            (from..to.min(lane.len())).for_each(|row| part.push(Sample { at: lane.at[row], value: lane.values[row] }));
            part
        }).collect();
        prop_assert_eq!(clip(&merged(&parts, &rules)), clip(&whole));
    }

    #[test]
    fn rows_that_come_later_change_nothing_beyond_their_reach(
        seed: u64, lanes in 1..4_usize, share_known in 0..100_u64, settled: bool, counter: bool, policy in 0..4_usize,
    ) {
        let policy = [Policy::Prefer, Policy::Any, Policy::Max, Policy::Min][policy];
        let rules = MergeRules { settled, counter, policy, ..rules() };
        let mut random = Random(seed ^ 0xacc);
        let scene = match random.chance(50) {
            true => scene(seed, lanes, Faults { skew: 20_000, ..MARKERS }).lanes,
            false => (0..lanes).map(|_| scene::wild(&mut random)).collect(),
        };
        let times: Vec<Timestamp> = scene.iter().flat_map(|lane| lane.at.iter().copied()).collect();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return Ok(()) };
        let from = *first + Span::from_millis((*last - *first).as_millis() * share_known as i64 / 100);
        // What is known first: of rows behind that instant none, half or most.
        let share = random.of(&[0, 50, 90]);
        let before: Vec<Column> = scene.iter().map(|lane| {
            let kept: Vec<bool> = lane.at.iter().map(|at| *at < from || random.chance(share)).collect();
            thinned(lane, &kept)
        }).collect();
        let mut order: Vec<usize> = (0..lanes).collect();
        let mut turns = vec![Turn { from: Timestamp::MIN, order: order.clone() }];
        if random.chance(30) {
            order.reverse();
            turns.push(Turn { from: *first + Span::from_millis(random.below(3_600_000) as i64), order });
        }
        let made = |lanes: &[Column]| {
            let mut into = Column::default();
            merge_in_turns(&turns, &lanes.iter().collect::<Vec<_>>(), &rules, &mut into);
            rows(&into)
        };
        let known = horizon(&turns, &before.iter().collect::<Vec<_>>(), &rules);
        let newest = |lanes: &[Column]| lanes.iter().filter_map(|lane| lane.at.last()).max().copied();
        let open = known.open_from.filter(|_| newest(&before) < newest(&scene)).unwrap_or(Timestamp::MAX);
        let until = (from - known.reach).min(open).as_millis();
        let early = |rows: Vec<(i64, u64)>| rows.into_iter().filter(|(at, _)| *at < until).collect::<Vec<_>>();
        let (before, after) = (early(made(&before)), early(made(&scene)));
        let other = before.iter().zip(&after).position(|(one, other)| one != other);
        let other = other.or_else(|| (before.len() != after.len()).then(|| before.len().min(after.len())));
        let shown = other.map(|row| (before.get(row), after.get(row)));
        prop_assert_eq!(shown, None, "before {}, by rows from {:?} on; {:?}; {:?}", until, from, known, turns);
    }

    #[test]
    fn a_healthy_top_lane_is_the_series(seed: u64, settled: bool) {
        // P5, and of such a pair nothing but the ends of the second lane is kept.
        let scene = scene(seed, 3, Faults { healthy_top: true, ..PLAIN });
        let mut left = scene.lanes.clone();
        drop_covered(&[turn(3)], &mut left, &rules(), 0);
        let kept = &left[1];
        let ends = [scene.lanes[0].at[0], scene.lanes[0].at[scene.lanes[0].len() - 1]];
        prop_assert!(kept.at.iter().all(|at| *at < ends[0] || ends[1] <= *at));
        let out = merged(&scene.lanes, &MergeRules { settled, ..rules() });
        let top = &scene.lanes[0];
        let inside: Vec<_> = rows(&out)
            .into_iter()
            .filter(|(at, _)| *at >= top.at[0].as_millis() && *at <= top.at[top.len() - 1].as_millis())
            .collect();
        prop_assert_eq!(inside, rows(top));
    }

    #[test]
    fn the_short_way_of_a_healthy_pair_is_the_long_way(seed: u64, settled: bool, lanes in 2..4_usize) {
        let scene = scene(seed, lanes, Faults { healthy_top: true, ..MARKERS });
        let rules = MergeRules { settled, ..rules() };
        let marked = lane::annotated(&scene.lanes.iter().collect::<Vec<_>>(), &rules);
        let mut chosen = select::select(&marked, &rules, |_, _| {});
        stale::add_markers(&marked, &mut chosen, |_, _| {});
        let expected: Vec<_> = chosen.iter().map(|pick| pick.at).collect();
        prop_assert_eq!(merged(&scene.lanes, &rules).at, expected);
    }

    #[test]
    fn clocks_apart_never_fake_a_reset(seed: u64, lanes in 2..4_usize, settled: bool, markers: bool) {
        // P8.
        let faults = Faults { skew: CLOCKS_APART_MAX.as_millis() / 2, markers, ..PLAIN };
        let scene = scene(seed, lanes, faults);
        for lanes in [scene.lanes.clone(), scene.lanes.into_iter().rev().collect()] {
            let out = merged(&lanes, &MergeRules { counter: true, settled, ..rules() });
            let values: Vec<f64> = out.floats().filter(|sample| !sample.is_stale()).map(|sample| sample.value).collect();
            prop_assert!(values.is_sorted(), "the counter falls");
        }
    }

    #[test]
    fn the_last_replica_ends_the_series(seed: u64) {
        // P10: where every lane has been stale for 1.6 intervals the series is, and where one lives it does.
        let scene = scene(seed, 2, Faults { ends: false, ..MARKERS });
        let out = merged(&scene.lanes, &rules());
        let interval = scene.interval;
        let lives = |column: &Column, at: i64, lookback: i64| {
            let row = column.at.partition_point(|row| row.as_millis() <= at).checked_sub(1);
            row.is_some_and(|row| !lane::is_marker(column, row) && at - column.at[row].as_millis() < lookback)
        };
        let marked = lane::annotated(&scene.lanes.iter().collect::<Vec<_>>(), &rules());
        let misled = |at: i64| marked.iter().any(|lane| {
            let row = lane.rows.at.partition_point(|row| row.as_millis() <= at).checked_sub(1);
            row.is_some_and(|row| lane.mark(row).interval.as_millis() > interval * 6 / 5)
        });
        let any_lives = |at: i64, lookback| scene.lanes.iter().any(|lane| lives(lane, at, lookback));
        let Some(first) = out.at.first() else { return Ok(()) };
        // A replica whose rows just stop has crashed: then the other one's marker is the last word, and rightly so.
        let crash = scene.lanes.iter().filter_map(|lane| lane.at.last()).min().map_or(0, |at| at.as_millis());
        for probe in 30..600 {
            let at = first.as_millis() + probe * interval / 3;
            if at > crash - 2 * interval {
                break;
            }
            let back = [0, interval / 2, interval, interval * 8 / 5];
            if lives(&out, at, 300_000) {
                let lived = back.iter().any(|back| any_lives(at - back, 300_000) || misled(at - back));
                prop_assert!(lived, "lives at {at} after all replicas ended");
            } else {
                // The newest row of all may be one that stood too close to another lane's: half an interval less.
                let lookback = 300_000 - interval * 51 / 100;
                let lived = any_lives(at, lookback) && any_lives(at - interval * 51 / 100, lookback);
                // The first two distances of a lane may mislead it about the interval.
                prop_assert!(!lived || misled(at) || misled(at + interval), "ended at {at} although a replica lives, interval {interval}");
            }
        }
    }

    #[test]
    fn all_series_of_a_scrape_take_one_lane(seed: u64) {
        // P11: what is chosen follows from times alone.
        let scene = scene(seed, 3, PLAIN);
        let mut other = scene.lanes.clone();
        other.iter_mut().for_each(|lane| lane.values.iter_mut().for_each(|value| *value = -*value));
        prop_assert_eq!(merged(&scene.lanes, &rules()).at, merged(&other, &rules()).at);
    }

    #[test]
    fn explain_says_what_merge_does(seed: u64, lanes in 1..4_usize, counter: bool, settled: bool) {
        let scene = scene(seed, lanes, Faults { skew: 20_000, ..MARKERS });
        let rules = MergeRules { counter, settled, ..rules() };
        let explained = explain(&scene.lanes.iter().collect::<Vec<_>>(), &rules);
        prop_assert_eq!(explained.len(), scene.lanes.iter().map(Column::len).sum::<usize>(), "each row once");
        let out: Vec<_> = explained.iter().filter(|row| row.verdict.is_in()).map(|row| row.at).collect();
        prop_assert_eq!(out, merged(&scene.lanes, &rules).at);
    }
}

mod golden;
mod model;
pub(crate) mod scene;
