//! Any samples, in any order, with any repeats, spills, merges and crashes: the same as a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::model::{Span, TimeRange};

use super::world::{World, after_noon};

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<(u8, i64, u64)>),
    Spill,
    Maintain,
    Crash,
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..5_i32).prop_map(|whole| f64::from(whole).to_bits()),
        Just((-0.0_f64).to_bits()),
        Just(crate::model::STALE_NAN_BITS),
        Just(f64::INFINITY.to_bits()),
        any::<u64>(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let sample = (0..4_u8, prop_oneof![0..40_i64, -200_000..200_i64], value());
    prop_oneof![
        6 => prop::collection::vec(sample, 1..60).prop_map(Step::Push),
        1 => Just(Step::Spill),
        1 => Just(Step::Maintain),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_map(steps in prop::collection::vec(step(), 1..25), from in -1_000..100_i64) {
        let mut world = World::with(|settings| settings.segment_bytes_max = 2_000);
        let mut model: BTreeMap<(String, i64), u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Push(samples) => {
                    let keys: Vec<String> = samples.iter().map(|(series, ..)| format!("|__name__=s{series}")).collect();
                    let rows: Vec<_> = keys.iter().zip(&samples)
                        .map(|(key, (_, at, bits))| (key.as_str(), after_noon(*at), f64::from_bits(*bits)))
                        .collect();
                    world.push(&rows).expect("there is room");
                    for (series, at, bits) in samples {
                        let kept = model.entry((format!("s{series}"), after_noon(at).as_millis())).or_insert(bits);
                        if f64::from_bits(bits).total_cmp(&f64::from_bits(*kept)).is_gt() {
                            *kept = bits;
                        }
                    }
                }
                Step::Spill => { world.spill().expect("spills"); }
                Step::Maintain => {
                    world.pass(Span::HOUR);
                    world.store().maintain(world.now).expect("maintains");
                }
                Step::Crash => world.crash(),
            }
            let expected: Vec<_> =
                model.iter().map(|((labels, at), bits)| (labels.clone(), *at, *bits)).collect();
            prop_assert_eq!(world.everything(), expected);
        }
        let range = TimeRange::new(after_noon(from), after_noon(from + 50)).expect("in order");
        let inside: usize = world.read(&[], range).values().map(crate::model::Column::len).sum();
        let expected = model.keys().filter(|(_, at)| range.contains(super::world::at(*at))).count();
        prop_assert_eq!(inside, expected);
    }
}
