//! What kind of series is merged, and by which policy.

use crate::model::{Labels, METRIC_NAME, Matcher, Span};

/// How many clean distances in a row make the top lane's rows solid again after one was missing.
pub const CLEAN_RUN: u8 = 10;

/// How one series is made out of the lanes of an HA group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// The top lane, and others where it has holes.
    #[default]
    Prefer,
    /// As `Prefer`, but a value of 0 or less counts only where no lane has more: `up` is 1 if any replica can scrape.
    Any,
    /// The rows of `Prefer`, each with the largest value that any lane shows there.
    Max,
    /// The rows of `Prefer`, each with the smallest value that any lane shows there.
    Min,
    /// No merging: each lane is a series of its own, told apart by the replica label.
    KeepReplica,
}

/// A policy for the series that satisfy all matchers.
#[derive(Clone, Debug)]
pub struct PolicyRule {
    /// Which series.
    pub matchers: Vec<Matcher>,
    /// How they are merged.
    pub policy: Policy,
}

/// How to merge one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergeRules {
    /// How one series is made of the lanes.
    pub policy: Policy,
    /// Whether values only rise, but for resets: then a filler that contradicts both its neighbours is dropped.
    pub counter: bool,
    /// K: clean distances in a row that make a row of the top lane solid; 0 takes every row as solid.
    pub clean_run: u8,
    /// The interval where a lane has shown no distance yet: that of the target, or as configured.
    pub interval: Option<Span>,
    /// Whether nothing is still to come: then the newest row of a lower lane needs no proof that the top lane is late.
    pub settled: bool,
}

impl Default for MergeRules {
    fn default() -> Self {
        MergeRules { policy: Policy::Prefer, counter: false, clean_run: CLEAN_RUN, interval: None, settled: false }
    }
}

/// Name endings of counters in the text format. Sums may fall too; a fall is taken as a reset, as PromQL does.
const COUNTER_ENDINGS: [&str; 4] = ["_total", "_count", "_sum", "_bucket"];

impl MergeRules {
    /// The rules for a series where nothing is configured: `up` is merged by [`Policy::Any`], and names with a
    /// counter's ending are counters.
    pub fn for_series(labels: &Labels) -> Self {
        MergeRules::configured(&[], labels)
    }

    /// The rules for a series: the first of `policies` that matches decides.
    pub fn configured(policies: &[PolicyRule], labels: &Labels) -> Self {
        let name = labels.get(METRIC_NAME).unwrap_or_default();
        let configured = policies.iter().find(|rule| Matcher::all_match(&rule.matchers, labels));
        let policy = match configured {
            Some(rule) => rule.policy,
            None if name == "up" => Policy::Any,
            None => Policy::Prefer,
        };
        let counter = COUNTER_ENDINGS.iter().any(|ending| name.ends_with(ending));
        MergeRules { policy, counter, ..MergeRules::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_policy_and_kind_unless_a_selector_does() {
        #[track_caller]
        fn check(name: &str, policy: Policy, counter: bool) {
            let probes = PolicyRule {
                matchers: vec![Matcher::regex(METRIC_NAME, "probe_.*").unwrap()],
                policy: Policy::KeepReplica,
            };
            let rules = MergeRules::configured(&[probes], &Labels::from_pairs([(METRIC_NAME, name), ("job", "x")]));
            assert_eq!((rules.policy, rules.counter), (policy, counter));
        }
        check("up", Policy::Any, false);
        check("uptime", Policy::Prefer, false);
        check("http_requests_total", Policy::Prefer, true);
        check("http_seconds_bucket", Policy::Prefer, true);
        check("probe_success", Policy::KeepReplica, false);
        check("probe_errors_total", Policy::KeepReplica, true);
    }
}
