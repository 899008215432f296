//! What senders said of metrics last: remote write 2.0 and OTLP say it with every request, and it is news but once.
//!
//! Only hashes are kept. What is the last thing that was said of a metric is not built, and the store is not asked.
//! Two senders that say different things of one metric are both heard, as if nothing were known.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Metrics that are kept in mind, 16 bytes each; beyond, all are forgotten and said anew.
const METRICS_MAX: usize = 1 << 18;

/// What was said last, by metric.
pub(super) struct Told {
    seed: u64,
    last: RwLock<HashMap<u64, u64, RandomState>>,
}

/// Something that is said of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saying {
    metric: u64,
    said: u64,
}

impl Default for Told {
    fn default() -> Self {
        Told { seed: RandomState::default().hash_one(0), last: RwLock::default() }
    }
}

impl Told {
    /// Type, help and unit of the metric that `metric` names.
    pub(super) fn saying(&self, metric: &[u8], kind: u64, help: &[u8], unit: &[u8]) -> Saying {
        let said = xxh3_64_with_seed(unit, xxh3_64_with_seed(help, self.seed ^ kind));
        Saying { metric: xxh3_64_with_seed(metric, self.seed), said }
    }

    /// Whether this was said last of its metric, and kept.
    pub(super) fn is_known(&self, saying: Saying) -> bool {
        self.last.read().get(&saying.metric) == Some(&saying.said)
    }

    /// This was said, and is kept.
    pub(super) fn note(&self, sayings: &[Saying]) {
        let mut last = self.last.write();
        if last.len() + sayings.len() > METRICS_MAX {
            last.clear();
        }
        last.extend(sayings.iter().take(METRICS_MAX).map(|saying| (saying.metric, saying.said)));
    }
}
