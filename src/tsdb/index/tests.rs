//! The index against trying every series.

use proptest::prelude::*;
use roaring::RoaringBitmap;

use crate::model::{Labels, Matcher};

use super::live::Live;
use super::places::Hashing;
use super::{Postings, evaluate};

/// An index with series by id, and what is taken out of it.
struct World {
    live: Live,
    series: Vec<Option<(Labels, Vec<u32>)>>,
}

impl World {
    fn new(hashing: Hashing, series: impl IntoIterator<Item = Labels>) -> Self {
        let mut world = World { live: Live::new(hashing), series: Vec::new() };
        for (id, labels) in series.into_iter().enumerate() {
            let pairs: Vec<u32> = labels.iter().map(|(name, value)| world.live.intern(name, value)).collect();
            world.live.insert(id as u32, pairs.iter().copied());
            world.series.push(Some((labels, pairs)));
        }
        world
    }

    fn remove(&mut self, id: usize) {
        if let Some((_, pairs)) = self.series[id].take() {
            self.live.remove(id as u32, pairs);
        }
    }

    #[track_caller]
    fn check(&self, matchers: &[Matcher]) {
        let expected: RoaringBitmap = (0..self.series.len() as u32)
            .filter(|id| {
                let series = self.series[*id as usize].as_ref();
                series.is_some_and(|(labels, _)| Matcher::all_match(matchers, labels))
            })
            .collect();
        let shown: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        assert_eq!(evaluate(&self.live, matchers).expect("in memory"), expected, "{shown:?}");
    }
}

fn tests() -> Vec<Matcher> {
    let regex = |name, pattern| Matcher::regex(name, pattern).expect("valid");
    let not_regex = |name, pattern| Matcher::not_regex(name, pattern).expect("valid");
    vec![
        Matcher::equal("__name__", "up"),
        Matcher::equal("env", ""),
        Matcher::not_equal("env", ""),
        Matcher::not_equal("env", "prod"),
        regex("env", "prod|dev"),
        regex("env", ".*"),
        regex("env", ".+"),
        regex("env", "|dev"),
        regex("env", "pr.*"),
        regex("job", "node-1.*"),
        regex("job", "node-[0-9]?7"),
        regex("job", "node-3|node-4|nobody"),
        not_regex("env", "d.*"),
        not_regex("env", "prod|dev"),
        not_regex("job", ""),
        not_regex("job", "node-1.*"),
        Matcher::equal("nothing", "x"),
    ]
}

#[test]
fn matchers_select_as_if_every_series_was_tried() {
    let series = (0..3_000).map(|id| {
        let env = ["", "prod", "dev", "prelude"][id % 4];
        let name = ["up", "down", "sideways"][id % 3];
        Labels::from_pairs([("__name__", name), ("job", &format!("node-{}", id % 700)), ("env", env)])
    });
    let mut world = World::new(Hashing::new(0), series);
    for round in 0..3 {
        for first in &tests() {
            for second in &tests() {
                world.check(&[first.clone(), second.clone()]);
            }
        }
        // Rounds leave all series, the second half, and none.
        (0..world.series.len()).filter(|id| round == 1 || id % 700 < 350).for_each(|id| world.remove(id));
        world.live.tidy();
    }
    assert!(world.live.all().expect("in memory").is_empty());
}

#[test]
fn pairs_that_no_series_carries_go_and_their_numbers_are_used_again() {
    let mut live = Live::new(Hashing::new(0));
    let mut end = 0;
    for round in 0..6_u32 {
        let ids = round * 10_000..round * 10_000 + 5_000;
        let mut pairs = Vec::new();
        for id in ids.clone() {
            let own = [live.intern("pod", &format!("pod-{id}")), live.intern("job", "same")];
            live.insert(id, own);
            pairs.push(own);
        }
        assert_eq!(live.pairs().values("pod"), 5_000);
        assert_eq!(live.count("job", "same"), 5_000);
        ids.zip(&pairs).for_each(|(id, own)| live.remove(id, own.iter().copied()));
        live.tidy();
        assert_eq!((live.pairs().len(), live.pairs().values("pod")), (0, 0));
        if round == 0 {
            end = live.pairs().end();
        }
        assert_eq!(live.pairs().end(), end, "numbers are used again");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_index_whose_hashes_collide_answers_alike(
        mask in prop_oneof![Just(0), Just(1 << 33), Just(u64::MAX)],
        series in proptest::collection::vec((0_usize..3, 0_usize..900, 0_usize..4), 1..120),
        gone in proptest::collection::vec(0_usize..120, 0..100),
    ) {
        let series = series.iter().map(|(name, job, env)| {
            let labels = Labels::from_pairs([("__name__", ["up", "down", "on"][*name]), ("job", &format!("node-{job}"))]);
            labels.with("env", ["", "prod", "dev", "prelude"][*env])
        });
        let mut world = World::new(Hashing::colliding(mask), series);
        for id in gone.into_iter().filter(|id| *id < world.series.len()).collect::<Vec<_>>() {
            world.remove(id);
        }
        world.live.remove_unused();
        for matcher in tests() {
            world.check(&[matcher]);
        }
    }
}
