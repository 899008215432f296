//! The data-driven watermark: an evaluation at `t` waits until what it reads has been delivered up to `t`.
//!
//! ```text
//!   replica a   x    x    x    x    x    x                 newest of the group: the later of both
//!   replica b   x    x    x    x
//!                                   |<- cadence ->|
//!   tick                                          t        newest + cadence >= t: evaluate at once
//! ```
//!
//! A group counts as delivered once its *leading* lane is: the other one only repeats. A sender is allowed its rhythm:
//! between two of its requests there is nothing to wait for. Only groups that the rules read are waited for, and only
//! those that were heard a moment ago; one that has been silent for longer is not waited for, but for an hour nothing is
//! resolved on its silence.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{Matcher, Span, TimeRange, Timestamp};
use crate::store::{Deliveries, EVALUATORS, SampleSource};

use super::status::Behind;

/// Who was heard so recently is waited for.
const LIVE: Span = Span::from_secs(120);
/// Who was heard so recently is missed: alerts are held rather than resolved.
const MISSED: Span = Span::HOUR;
/// How far back series are looked for, to tell which groups a rule reads.
const READ_BACK: Span = Span::HOUR;

/// What an evaluation waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// The HA groups that it reads.
    #[default]
    Data,
    /// Always so long.
    Fixed(Span),
    /// Nothing.
    Off,
}

/// Knows who has delivered.
#[derive(Clone)]
pub struct Watermark {
    /// How far each replica is.
    pub deliveries: Arc<dyn Deliveries>,
    /// Where the groups that a selector reads are looked up.
    pub source: Arc<dyn SampleSource>,
    /// The labels that name an HA group; the first one present counts.
    pub cluster_labels: Arc<[String]>,
}

/// A group that has not delivered, and whether it is worth waiting for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Late {
    pub(super) behind: Behind,
    pub(super) is_live: bool,
}

impl Watermark {
    /// The HA groups that have not delivered up to `up_to`, by name.
    pub(super) fn late(&self, up_to: Timestamp, now: Timestamp) -> Vec<Late> {
        let mut deliveries = self.deliveries.deliveries();
        // What others have evaluated says nothing of what was scraped.
        deliveries.retain(|lane| lane.replica.cluster != EVALUATORS);
        deliveries.sort_by(|left, right| left.replica.cluster.cmp(&right.replica.cluster));
        let groups = deliveries.chunk_by(|left, right| left.replica.cluster == right.replica.cluster);
        let late = groups.filter_map(|lanes| {
            let heard = now - lanes.iter().map(|lane| lane.received_at).max()?;
            let reached = lanes.iter().map(|lane| lane.newest + lane.cadence).max()?;
            let newest = lanes.iter().map(|lane| lane.newest).max()?;
            let behind = Behind { cluster: lanes[0].replica.cluster.clone(), up_to: newest };
            (reached < up_to && heard < MISSED).then_some(Late { behind, is_live: heard < LIVE })
        });
        late.collect()
    }

    /// The HA groups whose series these selectors find. A store that cannot say is taken to find all of them.
    pub(super) fn read_by(&self, selectors: &[Vec<Matcher>], now: Timestamp) -> Option<BTreeSet<String>> {
        let range = TimeRange::new(now - READ_BACK, now)?;
        let mut found = BTreeSet::new();
        for matchers in selectors {
            for label in self.cluster_labels.iter() {
                found.extend(self.source.label_values(label, matchers, range).ok()?);
            }
        }
        // Senders that name no cluster are in everything.
        found.insert(String::new());
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Replica;
    use crate::store::Delivery;

    /// cluster, replica, newest, received, cadence; in seconds
    struct Lanes(Vec<(&'static str, &'static str, i64, i64, i64)>);

    impl Deliveries for Lanes {
        fn deliveries(&self) -> Vec<Delivery> {
            let at = |seconds: &i64| Timestamp::EPOCH + Span::from_secs(*seconds);
            let lane = |(cluster, name, newest, received, cadence): &(&str, &str, i64, i64, i64)| Delivery {
                replica: Replica { cluster: (*cluster).to_owned(), name: (*name).to_owned() },
                newest: at(newest),
                received_at: at(received),
                cadence: Span::from_secs(*cadence),
            };
            self.0.iter().map(lane).collect()
        }
    }

    struct Nothing;

    impl SampleSource for Nothing {
        fn select(&self, _: &[Matcher], _: TimeRange) -> Result<crate::store::SeriesSet, crate::store::StoreError> {
            Ok(crate::store::SeriesSet::default())
        }
        fn series(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<crate::model::Labels>, crate::store::StoreError> {
            Ok(Vec::new())
        }
        fn label_names(&self, _: &[Matcher], _: TimeRange) -> Result<Vec<String>, crate::store::StoreError> {
            Ok(Vec::new())
        }
        fn label_values(
            &self,
            name: &str,
            _: &[Matcher],
            _: TimeRange,
        ) -> Result<Vec<String>, crate::store::StoreError> {
            Ok(vec![format!("{name}-1")])
        }
        fn metadata(
            &self,
            _: Option<&str>,
        ) -> Result<Vec<(String, Vec<crate::store::MetricMetadata>)>, crate::store::StoreError> {
            Ok(Vec::new())
        }
        fn exemplars(
            &self,
            _: &[Vec<Matcher>],
            _: TimeRange,
        ) -> Result<Vec<crate::store::ExemplarSeries>, crate::store::StoreError> {
            Ok(Vec::new())
        }
    }

    fn watermark(lanes: Vec<(&'static str, &'static str, i64, i64, i64)>) -> Watermark {
        let cluster_labels = ["cluster".to_owned()].into();
        Watermark { deliveries: Arc::new(Lanes(lanes)), source: Arc::new(Nothing), cluster_labels }
    }

    #[test]
    fn a_group_is_late_when_both_of_its_lanes_are() {
        #[track_caller]
        fn check(lanes: &[(&'static str, &'static str, i64, i64, i64)], wanted: &[(&str, bool)]) {
            let now = Timestamp::EPOCH + Span::from_secs(1000);
            let late = watermark(lanes.to_vec()).late(now, now);
            let late: Vec<_> = late.iter().map(|late| (late.behind.cluster.as_str(), late.is_live)).collect();
            assert_eq!(late, wanted, "{lanes:?}");
        }
        check(&[], &[]);
        check(&[("dc1", "a", 1000, 1000, 0), ("dc1", "b", 970, 1000, 0)], &[]);
        check(&[("dc1", "a", 980, 1000, 15), ("dc1", "b", 970, 1000, 15)], &[("dc1", true)]);
        // Within its rhythm it is not late.
        check(&[("dc1", "a", 990, 991, 15)], &[]);
        // Silent for longer than it is waited for; then, than it is missed.
        check(&[("dc1", "a", 800, 801, 15), ("dc2", "a", 999, 1000, 5)], &[("dc1", false)]);
        check(&[("dc1", "a", -3000, -2999, 15)], &[]);
        check(&[(EVALUATORS, "weir-b", 900, 900, 15)], &[]);
    }

    #[test]
    fn the_groups_that_rules_read_are_looked_up() {
        let read = watermark(Vec::new()).read_by(&[vec![Matcher::equal("__name__", "up")]], Timestamp::EPOCH);
        assert_eq!(read, Some(BTreeSet::from([String::new(), "cluster-1".to_owned()])));
    }
}
