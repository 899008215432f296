//! Clocks that jump.

use crate::model::Span;

use super::world::World;

/// How many of a minute's samples are kept, where senders' clocks are right and ours is off by `by`.
fn kept(world: &mut World, truth: &mut i64, by: Span) -> u64 {
    let mut kept = 0;
    for _ in 0..4 {
        *truth += 15;
        let at = super::world::after_noon(*truth);
        world.now = at + by;
        kept += world.push(&[("|__name__=up", at, *truth as f64)]).expect("there is room").samples;
        world.store().tend(world.now).expect("tends");
    }
    kept
}

#[test]
fn live_samples_are_kept_whatever_our_clock_does() {
    let (hour, day) = (Span::HOUR, Span::DAY);
    let mut world = World::new();
    let mut truth = 0;
    let mut all = 0;
    for by in [Span::ZERO, -hour, -hour, Span::ZERO, hour, Span::ZERO, day.times(30), -day.times(30), Span::ZERO] {
        let now = kept(&mut world, &mut truth, by);
        assert_eq!(now, 4, "off by {by:?}");
        all += now as usize;
        assert_eq!(world.everything().len(), all, "off by {by:?}: nothing is dropped");
        world.crash();
    }
}

#[test]
fn samples_from_ahead_are_refused_by_a_clock_that_is_right() {
    let mut world = World::new();
    let mut truth = 0;
    assert_eq!(kept(&mut world, &mut truth, Span::ZERO), 4);
    let ahead = world.now + Span::MINUTE.times(11);
    let refused = world.push(&[("|__name__=ahead", ahead, 1.0)]).expect("there is room").refusals;
    assert_eq!(refused.counts, [("too_far_in_future", 1)]);
}

#[test]
fn a_head_whose_time_lies_ahead_is_spilled_in_time() {
    let mut world = World::new();
    world.push(&[("|__name__=up", world.now, 1.0)]).expect("there is room");
    world.now = world.now - Span::HOUR.times(5);
    assert_eq!(world.store().tend(world.now).expect("tends").spilled, 0);
    world.pass(Span::MINUTE.times(31));
    assert_eq!(world.store().tend(world.now).expect("tends").spilled, 1, "its age is counted by the clock as it is");
}
