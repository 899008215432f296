//! Names against a model, through forgetting, restarts and colliding hashes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roaring::RoaringBitmap;

use crate::model::{Labels, Lane, Replica, Timestamp};
use crate::store::{BatchSeries, Refused, SeriesName, SeriesNaming};

use super::super::catalogue::memory::Memory;
use super::super::catalogue::{Durability, KeyValue, keys};
use super::super::index::places::Hashing;
use super::alias::Target;
use super::limits::Limits;
use super::{Named, Resolver};

/// A key is a replica and a number: `a/17`; every number has labels of its own.
struct Numbers;

fn labels_of(number: u32) -> Labels {
    let metric = ["up", "node_cpu_seconds_total", "http_requests_total"][number as usize % 3];
    let pod = format!("pod-{}", number / 5);
    // Some have a label fewer, and one number has but a name.
    let zone = if number.is_multiple_of(7) { String::new() } else { format!("z{}", number % 4) };
    match number {
        0 => Labels::from_pairs([("__name__", "up")]),
        _ => Labels::from_pairs([("__name__", metric), ("n", &number.to_string()), ("pod", &pod), ("zone", &zone)]),
    }
}

impl SeriesNaming for Numbers {
    fn seed(&self) -> u64 {
        3
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        let text = std::str::from_utf8(key).map_err(|_| Refused::InvalidUtf8)?;
        let (replica, number) = text.split_once('/').ok_or(Refused::Relabeled)?;
        let replica = (!replica.is_empty()).then(|| Replica { cluster: "eu".into(), name: replica.into() });
        Ok(SeriesName { labels: labels_of(number.parse().expect("a number")), replica })
    }
}

struct World {
    resolver: Resolver,
    catalogue: Memory,
    mask: u64,
    limits: Limits,
    now: Timestamp,
}

impl World {
    fn new(mask: u64, limits: Limits) -> Self {
        let mut world = World {
            resolver: Resolver::new(1, limits),
            catalogue: Memory::default(),
            mask,
            limits,
            now: Timestamp::from_millis(1_000_000),
        };
        world.restart();
        world
    }

    /// Forgets what is in memory, as a start does that finds no log.
    fn restart(&mut self) {
        self.resolver = Resolver::with(Hashing::colliding(self.mask), 1, self.limits);
        for (key, value) in self.catalogue.scan(keys::GROUPS).expect("in memory") {
            let names = keys::decode_texts(&value).expect("its own bytes");
            self.resolver.restore_group(keys::number_of(&key).expect("a number") as u32, &names[0], &names[1..]);
        }
        if let Some(next) = self.catalogue.get(keys::NEXT_SERIES).expect("in memory") {
            let next = keys::decode_number(&next).expect("its own bytes");
            self.resolver.registry.write().raise_next_id(next as u32);
        }
        self.resolver.look_elsewhere(&self.catalogue).expect("in memory");
    }

    fn resolve(&self, keys: &[String]) -> Vec<Result<Target, Refused>> {
        let series: Vec<BatchSeries<'_>> =
            keys.iter().map(|key| BatchSeries { key: key.as_bytes(), samples: 0..0 }).collect();
        self.resolver.resolve(&series, &Numbers, self.now, &self.catalogue).expect("in memory")
    }

    fn write_names(&self) {
        let (done, changes) = self.resolver.catalogue_names(&self.catalogue).expect("in memory");
        self.catalogue.write(&changes, Durability::Synced).expect("in memory");
        self.resolver.catalogued(&done);
        assert!(!self.resolver.registry.read().has_fresh());
    }

    fn forget(&self, keep: impl Fn(u32) -> bool + Copy) -> usize {
        let idle = self.resolver.idle(keep);
        let forgotten = idle.chunks(7).map(|ids| self.resolver.forget(ids, keep)).sum();
        self.resolver.forgotten();
        forgotten
    }
}

fn key(number: u32) -> String {
    format!("/{number}")
}

fn ids(found: Vec<Result<Target, Refused>>) -> Vec<u32> {
    found.into_iter().map(|target| target.expect("there is room").id).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Resolve(Vec<u32>),
    WriteNames,
    /// Forgets ids that leave this rest when divided by three.
    Forget(u32),
    Restart,
    /// Drops the names of all series that are not in memory and leave this rest when divided by three.
    Retire(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => proptest::collection::vec(0_u32..60, 1..30).prop_map(Step::Resolve),
        2 => Just(Step::WriteNames),
        2 => (0_u32..3).prop_map(Step::Forget),
        1 => Just(Step::Restart),
        1 => (0_u32..3).prop_map(Step::Retire),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn labels_keep_their_id_through_everything_and_no_hash_decides(
        mask in prop_oneof![Just(0), Just(1 << 34), Just(u64::MAX)],
        steps in steps(),
    ) {
        let mut world = World::new(mask, Limits::default());
        let mut model: BTreeMap<u32, u32> = BTreeMap::new();
        let mut given_out = 0;
        for step in steps {
            match step {
                Step::Resolve(numbers) => {
                    let keys: Vec<String> = numbers.iter().copied().map(key).collect();
                    for (number, id) in numbers.iter().zip(ids(world.resolve(&keys))) {
                        let expected = *model.entry(*number).or_insert_with(|| {
                            given_out += 1;
                            given_out - 1
                        });
                        prop_assert_eq!(id, expected, "number {}", number);
                        let (_, labels) = world.resolver.labels(id).expect("in memory");
                        prop_assert_eq!(labels, labels_of(*number));
                    }
                }
                Step::WriteNames => world.write_names(),
                Step::Forget(rest) => drop(world.forget(|id| id % 3 != rest)),
                Step::Restart => {
                    // Whoever is not in the catalogue would be in the log.
                    world.write_names();
                    world.restart();
                }
                Step::Retire(rest) => {
                    let in_parts: RoaringBitmap = (0..given_out).filter(|id| id % 3 != rest).collect();
                    world.resolver.forget_retired(&in_parts, &world.catalogue).expect("in memory");
                    model.retain(|_, id| in_parts.contains(*id) || world.resolver.registry.read().contains(*id));
                }
            }
            prop_assert_eq!(world.resolver.registry.read().next_id(), given_out);
        }
        let known: RoaringBitmap = model.values().copied().collect();
        world.write_names();
        world.restart();
        let asked: RoaringBitmap = (0..given_out + 5).collect();
        let unknown = world.resolver.recall(&asked, &world.catalogue).expect("in memory");
        prop_assert_eq!(unknown, &asked - &known, "who is retired is gone for good");
        for (number, id) in &model {
            prop_assert_eq!(world.resolver.labels(*id).expect("recalled").1, labels_of(*number));
        }
    }

    #[test]
    fn ids_sort_as_their_labels_do(numbers in proptest::collection::btree_set(0_u32..3_000, 1..400)) {
        let world = World::new(u64::MAX, Limits::default());
        let keys: Vec<String> = numbers.iter().rev().copied().map(key).collect();
        let mut sorted = ids(world.resolve(&keys));
        let mut expected = sorted.clone();
        world.resolver.sort_by_labels(&mut sorted);
        expected.sort_by_key(|id| world.resolver.labels(*id).expect("in memory").1);
        prop_assert_eq!(sorted, expected);
    }
}

#[test]
fn rows_hold_the_series_of_several_rounds_and_of_many_rows() {
    let mut world = World::new(u64::MAX, Limits::default());
    let numbers: Vec<String> = (0..10_000).map(key).collect();
    for round in numbers.chunks(1_500) {
        world.resolve(round);
        world.write_names();
    }
    let rows = world.catalogue.scan(keys::SERIES_ROWS).expect("in memory");
    assert_eq!(rows.len(), 3, "4,096 ids in each");
    let bytes: usize = rows.iter().map(|(_, value)| value.len()).sum();
    assert!(bytes < 10_000 * 6, "{bytes} bytes for 10,000 series with a number each");
    let before = ids(world.resolve(&numbers));
    world.restart();
    assert_eq!(world.resolver.registry.read().len(), 0);
    assert_eq!(ids(world.resolve(&numbers)), before);
    assert_eq!(world.forget(|_| false), 0, "who came back is named by the log until the next round");
    world.write_names();
    assert_eq!(world.forget(|_| false), 10_000);
    assert_eq!(world.resolver.registry.read().index.pairs().len(), 0);
    assert_eq!(world.resolver.alias_count(), 0);
    assert_eq!(ids(world.resolve(&numbers)), before);
}

#[test]
fn a_damaged_row_of_hashes_is_made_again_from_the_names() {
    let mut world = World::new(u64::MAX, Limits::default());
    let numbers: Vec<String> = (0..100).map(key).collect();
    let before = ids(world.resolve(&numbers));
    world.write_names();
    let (row, _) = world.catalogue.scan(keys::SERIES_HASHES).expect("in memory").remove(0);
    let damaged = super::super::catalogue::Change::Put(row, vec![0xff; 3]);
    world.catalogue.write(&[damaged], Durability::Synced).expect("in memory");
    world.restart();
    assert_eq!(ids(world.resolve(&numbers)), before);
}

#[test]
fn names_of_the_log_are_taken_once_and_bad_ones_are_counted() {
    let world = World::new(u64::MAX, Limits::default());
    let labels: Vec<Labels> = (0..600).map(labels_of).collect();
    let mut names: Vec<Named<'_>> = labels
        .iter()
        .enumerate()
        .map(|(id, labels)| Named { id: 2 * id as u32, group: 0, packed: labels.as_packed() })
        .collect();
    names.push(Named { id: 7, group: 0, packed: "no labels" });
    for _ in 0..2 {
        assert_eq!(world.resolver.restore(&names), 1);
    }
    let keys: Vec<String> = (0..600).map(key).collect();
    assert_eq!(ids(world.resolve(&keys)), (0..600).map(|id| 2 * id).collect::<Vec<_>>());
    assert_eq!(world.resolver.registry.read().next_id(), 1_199);
    world.resolver.keep_lanes(&mut [(0, Lane(2)), (5_000, Lane(9))].into_iter());
    let found = world.resolve(&["b/0".to_owned()]);
    assert_eq!(found[0], Ok(Target { id: 0, lane: Lane(3) }), "lanes with rows are not given out");
}

#[test]
fn a_pair_of_replicas_is_two_keys_of_one_series_in_two_lanes() {
    let world = World::new(u64::MAX, Limits::default());
    for _ in 0..2 {
        let found = world.resolve(&["a/1".to_owned(), "b/1".to_owned()]);
        assert_eq!(found, [Ok(Target { id: 0, lane: Lane(0) }), Ok(Target { id: 0, lane: Lane(1) })]);
    }
    assert_eq!(world.resolver.alias_count(), 2);
}

#[test]
fn limits_refuse_what_is_new_and_keep_the_rest() {
    let mut world = World::new(u64::MAX, Limits { series: 50, per_metric: 10, new_per_second: 0 });
    let keys: Vec<String> = (0..60).map(key).collect();
    for _ in 0..2 {
        let found = world.resolve(&keys);
        assert_eq!(found.iter().filter(|target| target.is_ok()).count(), 30, "ten of each of three metrics");
        assert_eq!(found[59], Err(Refused::TooManyOfMetric { limit: 10 }));
        assert!(found[..30].iter().all(Result::is_ok), "the first come first");
    }
    let offenders = world.resolver.offenders();
    assert_eq!(offenders.iter().map(|(_, refused)| refused).sum::<u64>(), 60);
    assert_eq!(offenders.len(), 3);
    world.write_names();
    world.forget(|id| id >= 3);
    world.now = world.now + crate::model::Span::MINUTE;
    let found = world.resolve(&keys[57..]);
    assert!(found.iter().all(Result::is_ok), "there is room again: {found:?}");
    world.limits = Limits { series: 2, ..Limits::default() };
    world.write_names();
    world.restart();
    let found = world.resolve(&keys[..4]);
    assert_eq!(found[2..], [Err(Refused::TooManySeries { limit: 2 }), Err(Refused::TooManySeries { limit: 2 })]);
}

#[test]
fn a_key_that_relabeling_drops_is_read_once() {
    let world = World::new(u64::MAX, Limits::default());
    for _ in 0..2 {
        assert_eq!(world.resolve(&["dropped".to_owned()]), [Err(Refused::Relabeled)]);
    }
    assert!(world.resolver.offenders().is_empty(), "that is no offence");
}
