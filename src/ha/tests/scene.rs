//! Pairs and triples of replicas as they fail in practice.

use crate::model::{Column, Sample, Timestamp};

/// Failed scrapes leave markers.
pub(crate) const MARKERS: Faults = Faults { skew: 0, markers: true, healthy_top: false, ends: true };
/// Failed scrapes leave nothing.
pub(crate) const PLAIN: Faults = Faults { skew: 0, markers: false, healthy_top: false, ends: true };

/// Small, seeded, the same everywhere: proptest shrinks the seed's scenario, not each number.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }

    /// One of several.
    pub(crate) fn of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// True so many times in a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Replicas that scrape one target: random phases, misses, outages, jitter, clocks apart.
pub(crate) struct Scene {
    /// Milliseconds between scrapes.
    pub(crate) interval: i64,
    /// The most that a scrape is late, in milliseconds.
    pub(crate) jitter: i64,
    /// All that each replica has seen, in times from 10,000 s after the epoch on.
    pub(crate) lanes: Vec<Column>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    /// Clocks may be apart by up to this many milliseconds.
    pub(crate) skew: i64,
    /// Failed scrapes leave stale markers, and the target itself goes away at times.
    pub(crate) markers: bool,
    /// The first lane misses nothing.
    pub(crate) healthy_top: bool,
    /// Lanes may start late and stop early.
    pub(crate) ends: bool,
}

/// The scene that a seed stands for.
pub(crate) fn scene(seed: u64, lanes: usize, faults: Faults) -> Scene {
    let mut random = Random(seed);
    random.below(2);
    let interval = random.of(&[5_000, 10_000, 15_000, 30_000, 60_000]);
    let rows = 20 + random.below(180) as i64;
    let jitter = random.of(&[0, 5, 20]);
    let gone = random.below(rows as u64 * 2) as i64..random.below(rows as u64 * 2) as i64;
    let lanes = (0..lanes)
        .map(|lane| {
            let healthy = faults.healthy_top && lane == 0;
            let phase = random.below(interval as u64) as i64;
            let skew = random.below(2 * faults.skew as u64 + 1) as i64 - faults.skew;
            let (miss, burst) = (random.of(&[0, 0, 2, 10, 30]), random.of(&[0, 0, 2, 20]));
            let (mut down, mut column, mut was_up) = (0, Column::default(), false);
            let alive = match faults.ends && !healthy && random.chance(30) {
                true => random.below(rows as u64) as i64 / 2..rows - random.below(rows as u64) as i64 / 2,
                false => 0..rows,
            };
            for row in alive {
                if down > 0 {
                    down -= 1;
                } else if !healthy && random.below(1000) < burst {
                    down = 1 + random.below(60) as i64;
                }
                let missed = !healthy && (down > 0 || random.chance(miss));
                let instant = 10_000_000 + phase + row * interval + random.below(jitter as u64 + 1) as i64;
                let at = Timestamp::from_millis(instant + skew);
                // One thing is counted, at a tenth of a second's grain; it never resets.
                let value = (instant / 100) as f64;
                if faults.markers && (missed || gone.contains(&row)) {
                    if was_up {
                        column.push(Sample::stale(at));
                    }
                    was_up = false;
                } else if !missed {
                    column.push(Sample { at, value });
                    was_up = true;
                }
            }
            column
        })
        .collect();
    Scene { interval, jitter, lanes }
}

/// A lane that keeps to no interval for long: stretches of some rows at some distance, rows out of place, silences.
pub(crate) fn wild(random: &mut Random) -> Column {
    let (mut at, mut value, mut column) = (10_000_000 + random.below(600_000) as i64, 0_u64, Column::default());
    for _ in 0..random.below(8) {
        let distance = random.of(&[1_000, 5_000, 15_000, 15_000, 60_000, 300_000]);
        for _ in 0..random.below(40) {
            at += if random.chance(95) { distance } else { 1 + random.below(2 * distance as u64) as i64 };
            value = if random.chance(2) { 0 } else { value + random.below(100) };
            let at = Timestamp::from_millis(at);
            column.push(if random.chance(3) { Sample::stale(at) } else { Sample { at, value: value as f64 } });
        }
        at += random.of(&[0, 60_000, 600_000, 3_000_000, 5_000_000]);
    }
    column
}
