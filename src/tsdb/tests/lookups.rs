//! Names, values and few labels are found without looking at every series, and are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use crate::model::{Column, Labels, Matcher, MatcherTest, Span, TimeRange, Timestamp};
use crate::store::{DeleteSeries, SampleSource, StoreError, Wanted};

use super::world::{World, after_noon};

fn range(from: i64, to: i64) -> TimeRange {
    TimeRange::new(after_noon(from), after_noon(to)).expect("in order")
}

/// What the labels of all series say against what is told of names and values.
#[track_caller]
fn check_names(world: &World, range: TimeRange, what: &str) {
    let store = world.store();
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for labels in store.series(&[], range).expect("readable") {
        for (name, value) in &labels {
            values.entry(name.to_owned()).or_default().insert(value.to_owned());
        }
    }
    let names: Vec<String> = values.keys().cloned().collect();
    assert_eq!(store.label_names(&[], range).expect("readable"), names, "{what}");
    for name in ["__name__", "host", "kind", "none"] {
        let expected: Vec<String> = values.get(name).into_iter().flatten().cloned().collect();
        assert_eq!(store.label_values(name, &[], range).expect("readable"), expected, "{what}: {name}");
    }
}

#[test]
fn names_and_values_are_those_of_the_series_with_rows() {
    let world = World::new();
    let push = |from: i64, to: i64, host: &str| {
        for second in (from..to).step_by(15) {
            let keys = [format!("|__name__=up,host={host}"), format!("|__name__=info,host={host},kind=k{host}")];
            world.push(&keys.each_ref().map(|key| (key.as_str(), after_noon(second), 1.0))).expect("there is room");
        }
    };
    let check = |what: &str| {
        for (from, to) in
            [(-100, 5_000), (0, 300), (310, 500), (301, 302), (900, 1_200), (1_000, 5_000), (4_000, 5_000)]
        {
            check_names(&world, range(from, to), &format!("{what}, {from} to {to}"));
        }
        check_names(&world, TimeRange::ALL, what);
    };
    push(0, 300, "a");
    push(0, 600, "b");
    check("in the head");
    world.spill().expect("spills");
    check("in a part");
    push(600, 1_000, "c");
    push(600, 1_100, "b");
    check("in both");
    world.spill().expect("spills");
    check("in two parts");
    let of_b = Matcher { name: "host".into(), test: MatcherTest::Equal("b".into()) };
    world.store().delete_series(&[of_b], range(0, 5_000)).expect("deletes");
    check("with a host deleted");
}

type Rows = (Labels, Vec<(Timestamp, u64)>);

fn rows_of(set: crate::store::SeriesSet) -> Vec<Rows> {
    let mut column = Column::default();
    let mut rows = |series: crate::store::SelectedSeries| {
        series.samples.read(&mut column).expect("readable");
        let rows = column.at.iter().copied().zip(column.values.iter().map(|value| value.to_bits()));
        (series.labels, rows.collect())
    };
    set.series.into_iter().map(&mut rows).collect()
}

#[test]
fn few_labels_come_with_the_same_rows_in_the_same_order() {
    #[track_caller]
    fn check(world: &World, what: &str) {
        for (needed, range) in
            [(&["job"][..], range(0, 600)), (&["host", "job"], range(200, 220)), (&[], range(40, 90))]
        {
            let needed: Vec<String> = needed.iter().map(|name| (*name).to_owned()).collect();
            let project = |labels: &Labels| labels.without(|name| !needed.iter().any(|kept| kept == name));
            let whole = rows_of(world.store().select(&[], range).expect("readable"));
            let some = rows_of(world.store().select_projected(&[], range, &needed).expect("readable"));
            let expected: Vec<Rows> = whole.into_iter().map(|(labels, rows)| (project(&labels), rows)).collect();
            let found: Vec<Rows> = some.into_iter().map(|(labels, rows)| (project(&labels), rows)).collect();
            assert_eq!(found, expected, "{what}, {needed:?}");
        }
    }
    let mut world = World::new();
    let push = |world: &World, second: i64| {
        let keys: Vec<String> = (0..1_300)
            .map(|number| {
                let job = if number % 3 == 0 { "" } else { ",job=node" };
                format!("|__name__=m{},host=h{},i={number}{job}", number / 200, number % 4)
            })
            .collect();
        let samples: Vec<(&str, Timestamp, f64)> = keys
            .iter()
            .enumerate()
            .filter(|(number, _)| second < 150 || number % 7 > 0)
            .map(|(number, key)| (key.as_str(), after_noon(second), number as f64))
            .collect();
        world.push(&samples).expect("there is room");
    };
    (0..20).for_each(|round| push(&world, round * 15));
    check(&world, "in the head");
    world.spill().expect("spills");
    let one_set = world.store().select_projected(&[], range(0, 600), &["job".to_owned()]).expect("readable");
    assert!(one_set.series.iter().all(|series| series.labels.len() <= 1), "one part tells few labels");
    check(&world, "in one part");
    // Found in a part, read when there is more in the head.
    let found = world.store().select_projected(&[], range(0, 600), &[]).expect("readable");
    push(&world, 400);
    let late = rows_of(found);
    let expected = rows_of(world.store().select(&[], range(0, 600)).expect("readable"));
    assert_eq!(
        late.into_iter().map(|(_, rows)| rows).collect::<Vec<_>>(),
        expected.into_iter().map(|(_, rows)| rows).collect::<Vec<_>>()
    );
    check(&world, "in a part and the head");
    world.pass(Span::HOUR);
    world.spill().expect("spills");
    check(&world, "in two parts");
}

/// Every look-up ends early once nobody waits: some time after it began, wherever its series are.
#[test]
fn look_ups_end_when_nobody_waits() {
    let world = World::new();
    let keys: Vec<String> = (0..2_000).map(|number| format!("|__name__=m{number},host=h{number}")).collect();
    let push = |second| {
        let rows: Vec<_> = keys.iter().map(|key| (key.as_str(), after_noon(second), 1.0)).collect();
        world.push(&rows).expect("there is room");
    };
    let check = |what: &str| {
        // Wanted for so many questions: none, and then some, to be stopped on the way.
        for patience in [0, 2] {
            let asked = || {
                let left = AtomicUsize::new(patience);
                let still = move || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
                world.store().while_wanted(&Wanted::as_long_as(still)).expect("offered")
            };
            // In between: what is all inside is told without a look at series.
            let some = range(1, 100);
            let is_canceled = |ended: Option<StoreError>| matches!(ended, Some(StoreError::Canceled));
            assert!(is_canceled(asked().select(&[], some).err()), "{what}, {patience}: select");
            assert!(is_canceled(asked().series(&[], some).err()), "{what}, {patience}: series");
            assert!(is_canceled(asked().label_values("host", &[], some).err()), "{what}, {patience}: values");
        }
        let patient = world.store().while_wanted(&Wanted::default()).expect("offered");
        assert_eq!(patient.series(&[], range(0, 100)).expect("readable").len(), 2_000, "{what}");
    };
    push(0);
    push(50);
    check("in the head");
    world.spill().expect("spills");
    check("in a part");
}
