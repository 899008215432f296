//! Guards against too many series: in all, of one metric, new in a second. And who met them.
//!
//! A refused key is remembered for a while, so that a sender that repeats itself costs no parsing. Everything here is
//! bounded, and forgets what came first.

use hashbrown::HashMap;

use crate::model::{Fingerprint, Span, Timestamp};
use crate::store::Refused;

/// How long a key stays refused unseen where a limit refused it: others may have left since.
const LIMITED_SPAN: Span = Span::from_millis(30_000);
/// The same where its labels did: they will not change.
const MISNAMED_SPAN: Span = Span::from_millis(600_000);
/// Refused keys remembered.
const REMEMBERED_MAX: usize = 1 << 16;
/// Metrics remembered as offenders.
const OFFENDERS_MAX: usize = 256;
/// How many seconds' worth of new series may come at once after a quiet time.
const BURST_SECONDS: f64 = 10.0;

/// Limits; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Series in memory.
    pub(crate) series: usize,
    /// Series in memory with one metric name.
    pub(crate) per_metric: usize,
    /// Series made in a second, of those that no catalogue knows.
    pub(crate) new_per_second: usize,
}

/// Decides whether there is room for one more series.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    /// Series that may be made now.
    tokens: f64,
    filled_at: Timestamp,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        let tokens = limits.new_per_second as f64 * BURST_SECONDS;
        Admission { limits, tokens, filled_at: Timestamp::MIN }
    }

    /// Time has come to `now`. A clock that was set back gives nothing and takes nothing.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        let rate = self.limits.new_per_second as f64;
        if now > self.filled_at {
            let passed = now.as_millis().saturating_sub(self.filled_at.as_millis()) as f64 / 1000.0;
            self.tokens = (self.tokens + passed * rate).min(rate * BURST_SECONDS);
        }
        self.filled_at = now;
    }

    /// Why a series that is not in memory cannot come in; `known`: it comes back.
    pub(crate) fn refusal(&self, series: usize, of_metric: impl Fn() -> u64, known: bool) -> Option<Refused> {
        let Limits { series: limit, per_metric, new_per_second } = self.limits;
        if limit > 0 && series >= limit {
            return Some(Refused::TooManySeries { limit });
        }
        if per_metric > 0 && of_metric() >= per_metric as u64 {
            return Some(Refused::TooManyOfMetric { limit: per_metric });
        }
        if new_per_second > 0 && !known && self.tokens < 1.0 {
            return Some(Refused::TooManyNewSeries { limit: new_per_second });
        }
        None
    }

    /// A new series was made.
    pub(crate) fn made(&mut self) {
        self.tokens -= 1.0;
    }
}

/// Keys that were refused lately, and the metrics that they were of.
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    keys: HashMap<Fingerprint, Rejection>,
    offenders: Vec<Offender>,
}

#[derive(Debug)]
struct Rejection {
    why: Refused,
    until: Timestamp,
    /// Place of the metric among the offenders, and how often that place had been taken.
    offender: Option<(usize, u64)>,
}

#[derive(Debug)]
struct Offender {
    metric: String,
    refused: u64,
    generation: u64,
}

impl Rejected {
    /// Why a key was refused lately, if it was. Counts it.
    pub(crate) fn find(&mut self, fingerprint: Fingerprint, now: Timestamp) -> Option<Refused> {
        let known = self.keys.get(&fingerprint)?;
        // Neither after its time nor, where the clock was set back, long before it.
        if now >= known.until || known.until - now > MISNAMED_SPAN {
            self.keys.remove(&fingerprint);
            return None;
        }
        let why = known.why.clone();
        if let Some((place, generation)) = known.offender
            && let Some(offender) = self.offenders.get_mut(place).filter(|one| one.generation == generation)
        {
            offender.refused += 1;
        }
        Some(why)
    }

    /// Remembers a refused key, and the metric that it is of, as far as known.
    pub(crate) fn add(&mut self, fingerprint: Fingerprint, why: &Refused, metric: Option<&str>, now: Timestamp) {
        let limited = is_limit(why);
        let offender = metric.filter(|_| limited).map(|metric| self.blame(metric));
        // Texts of senders would take room without bound.
        if matches!(why, Refused::DuplicateLabel(_) | Refused::BadHistogram(_) | Refused::Malformed(_)) {
            return;
        }
        if self.keys.len() >= REMEMBERED_MAX {
            // Those whose time is over, or else all: they are refused again, one parse each.
            self.keys.retain(|_, rejection| rejection.until > now);
            if self.keys.len() >= REMEMBERED_MAX {
                self.keys.clear();
            }
        }
        let until = now + if limited { LIMITED_SPAN } else { MISNAMED_SPAN };
        self.keys.insert(fingerprint, Rejection { why: why.clone(), until, offender });
    }

    /// Counts a refused series of a metric. Where there is no room for another metric, it takes the place of the one
    /// with the fewest, and its count: so a metric with many is never missing. (Space-Saving, Metwally 2005.)
    fn blame(&mut self, metric: &str) -> (usize, u64) {
        let known = self.offenders.iter().position(|offender| offender.metric == metric);
        let place = match known {
            Some(place) => place,
            None if self.offenders.len() < OFFENDERS_MAX => {
                self.offenders.push(Offender { metric: metric.to_owned(), refused: 0, generation: 0 });
                self.offenders.len() - 1
            }
            None => {
                let fewest = self.offenders.iter().enumerate().min_by_key(|(_, offender)| offender.refused);
                let place = fewest.map_or(0, |(place, _)| place);
                let offender = &mut self.offenders[place];
                metric.clone_into(&mut offender.metric);
                offender.generation += 1;
                place
            }
        };
        self.offenders[place].refused += 1;
        (place, self.offenders[place].generation)
    }

    /// The metrics whose series met a limit most often, with how often, most first.
    pub(crate) fn offenders(&self) -> Vec<(String, u64)> {
        let mut found: Vec<_> = self.offenders.iter().map(|one| (one.metric.clone(), one.refused)).collect();
        found.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        found
    }
}

fn is_limit(why: &Refused) -> bool {
    matches!(why, Refused::TooManySeries { .. } | Refused::TooManyOfMetric { .. } | Refused::TooManyNewSeries { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn new_series_come_at_their_rate_and_some_at_once() {
        let mut admission = Admission::new(Limits { new_per_second: 10, ..Limits::default() });
        let mut take = |second: i64| {
            admission.advance(at(second));
            let mut made = 0;
            while admission.refusal(0, || 0, false).is_none() {
                admission.made();
                made += 1;
            }
            assert!(admission.refusal(0, || 0, true).is_none(), "a series that comes back is not new");
            made
        };
        assert_eq!([take(0), take(0), take(1), take(4), take(3), take(4)], [100, 0, 10, 30, 0, 10]);
        assert_eq!(take(1_000_000), 100);
    }

    #[test]
    fn each_limit_refuses_by_its_name_and_none_is_none() {
        let refusal = |limits, series, of_metric| Admission::new(limits).refusal(series, || of_metric, false);
        assert_eq!(refusal(Limits { new_per_second: 1, ..Limits::default() }, usize::MAX, u64::MAX), None);
        let limits = Limits { series: 5, per_metric: 3, new_per_second: 1 };
        assert_eq!(refusal(limits, 4, 2), None);
        assert_eq!(refusal(limits, 5, 3), Some(Refused::TooManySeries { limit: 5 }));
        assert_eq!(refusal(limits, 4, 3), Some(Refused::TooManyOfMetric { limit: 3 }));
    }

    #[test]
    fn a_refused_key_is_remembered_for_a_while_and_its_metric_is_blamed() {
        let mut rejected = Rejected::default();
        let why = Refused::TooManyOfMetric { limit: 3 };
        rejected.add(Fingerprint(1), &why, Some("up"), at(0));
        rejected.add(Fingerprint(2), &Refused::Relabeled, Some("kept"), at(0));
        rejected.add(Fingerprint(3), &Refused::Malformed("text".into()), None, at(0));
        assert_eq!(rejected.find(Fingerprint(1), at(29)), Some(why));
        assert_eq!(rejected.find(Fingerprint(1), at(30)), None);
        assert_eq!(rejected.find(Fingerprint(2), at(599)), Some(Refused::Relabeled));
        assert_eq!(rejected.find(Fingerprint(2), at(-600)), None, "a clock that was set back");
        assert_eq!(rejected.find(Fingerprint(3), at(0)), None);
        assert_eq!(rejected.offenders(), [("up".to_owned(), 2)]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_worst_offender_is_never_missing() {
        let mut rejected = Rejected::default();
        let why = Refused::TooManySeries { limit: 1 };
        for key in 0..3 * REMEMBERED_MAX as u128 {
            let metric = if key % 2 == 0 { "worst".to_owned() } else { format!("metric-{key}") };
            rejected.add(Fingerprint(key), &why, Some(&metric), at(0));
        }
        assert!(rejected.keys.len() <= REMEMBERED_MAX);
        let offenders = rejected.offenders();
        assert_eq!((offenders.len(), &*offenders[0].0), (OFFENDERS_MAX, "worst"));
        assert_eq!(offenders[0].1, 3 * REMEMBERED_MAX as u64 / 2);
    }
}
