//! What is sent: series, times and values, all of them functions of the seed.

use serde::{Deserialize, Serialize};

/// Series of one slice. The label `slice` lets a query ask for so many at a time.
pub(crate) const SLICE: u32 = 50;

/// Scrapes of one outage.
const OUTAGE: u32 = 8;

/// The metric that all ledgers use, told apart by the label `ledger`.
pub(crate) const METRIC: &str = "ledger_sample";

/// Everything that decides what is sent; the first line of a ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) series: u32,
    /// Names of the HA replicas; empty where one sender without a replica label sends all.
    pub(crate) replicas: Vec<String>,
    /// No sample lies before this, in milliseconds since the epoch.
    pub(crate) start_ms: i64,
    pub(crate) interval_ms: i64,
    /// Whether each sample is a native histogram, whose sum is the value.
    #[serde(default)]
    pub(crate) histograms: bool,
}

/// Observations in the buckets of each histogram that is sent, from the first bucket on.
pub(crate) const BUCKETS: [i64; 2] = [1, 2];

impl Plan {
    /// How many senders there are: the replicas, or one without a name.
    pub(crate) fn senders(&self) -> u32 {
        u32::try_from(self.replicas.len().max(1)).expect("a command line of replicas")
    }

    /// When a sender takes the sample of a series in the scrape number `tick`, in milliseconds.
    ///
    /// As Prometheus scrapes: each replica meets each target at a phase of its own, which stays.
    pub(crate) fn at_ms(&self, sender: u32, series: u32, tick: u32) -> i64 {
        let phase = mix([self.seed, 1, u64::from(series), u64::from(sender)]) % self.interval_ms.unsigned_abs();
        self.start_ms + i64::from(tick) * self.interval_ms + i64::try_from(phase).expect("below the interval")
    }

    /// Whether a sender is down in the scrape `tick`, if it is down for `percent` of the time.
    pub(crate) fn is_down(&self, sender: u32, tick: u32, percent: u64) -> bool {
        mix([self.seed, 0, u64::from(sender), u64::from(tick / OUTAGE)]) % 100 < percent
    }

    /// The value of that sample: 52 random bits, so that no mix-up and no lost digit goes unnoticed.
    pub(crate) fn value(&self, sender: u32, series: u32, at_ms: i64) -> f64 {
        let bits = mix([self.seed, 2 + u64::from(sender), u64::from(series), at_ms.unsigned_abs()]) >> 12;
        bits as f64 / f64::from(1 << 20)
    }

    /// The labels of a series as the store must give them out, sorted by name.
    pub(crate) fn labels(&self, series: u32) -> Vec<(String, String)> {
        let mut labels = vec![
            ("__name__", METRIC.to_owned()),
            ("ledger", self.seed.to_string()),
            ("series", format!("{series:06}")),
            ("slice", (series / SLICE).to_string()),
        ];
        if !self.replicas.is_empty() {
            labels.insert(1, ("cluster", format!("ledger-{}", self.seed)));
        }
        labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The labels of a series as a sender sends them.
    pub(crate) fn labels_sent(&self, sender: u32, series: u32) -> Vec<(String, String)> {
        let mut labels = self.labels(series);
        if let Some(name) = self.replicas.get(sender as usize) {
            labels.insert(1, ("__replica__".to_owned(), name.clone()));
        }
        labels
    }
}

/// A hash of numbers. (Mixer: splitmix64, by Sebastiano Vigna.)
fn mix(numbers: [u64; 4]) -> u64 {
    numbers.into_iter().fold(0, |state: u64, number| {
        let mut bits = (state ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    })
}
