//! Which labels of its series a fetch has to bring: most aggregations look at few of them.

use crate::model::{METRIC_NAME, MatcherTest};
use crate::promql::ast::AggregateOp;

use super::{Aggregate, Kind, Node, Plan, Reading};

/// Labels that speak of the metric as a whole: notes name them, and functions take them away.
const OF_THE_METRIC: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

impl Plan {
    /// Names the labels that are needed, for fetches with one reader that needs but some.
    pub(super) fn project(&mut self) {
        let sharing = self.selectors_by_fetch();
        let mut needs = Vec::new();
        gather(&self.root, &mut needs);
        for (fetch, needs_equal_name, grouping) in needs {
            let has_name = || {
                let mut matchers = self.fetches[fetch].matchers.iter();
                matchers.any(|matcher| matcher.name == METRIC_NAME && matches!(matcher.test, MatcherTest::Equal(_)))
            };
            if sharing[fetch] == 1 && (!needs_equal_name || has_name()) {
                let mut labels: Vec<String> = OF_THE_METRIC.map(str::to_owned).into_iter().chain(grouping).collect();
                labels.sort_unstable();
                labels.dedup();
                self.fetches[fetch].labels = Some(labels);
            }
        }
    }
}

/// Adds the fetch, whether it must be of one metric, and the grouping of each aggregation that reads a fetch without
/// looking at other labels.
fn gather(node: &Node, into: &mut Vec<(usize, bool, Vec<String>)>) {
    if let Kind::Aggregate(aggregate) = &node.kind
        && !aggregate.without
        && forgets_labels(aggregate.op)
        && let Some((fetch, needs_equal_name)) = read_by(aggregate)
    {
        into.push((fetch, needs_equal_name, aggregate.grouping.clone()));
    }
    node.children().into_iter().for_each(|child| gather(child, into));
}

/// Whether nothing of a series' labels but its group shows in the result.
fn forgets_labels(op: AggregateOp) -> bool {
    use AggregateOp as A;
    matches!(op, A::Sum | A::Avg | A::Count | A::Group | A::Min | A::Max | A::Stddev | A::Stdvar | A::Quantile)
}

/// The fetch below an aggregation, and whether its series have to differ without their names: a function over ranges
/// drops the name, and refuses series that become the same.
fn read_by(aggregate: &Aggregate) -> Option<(usize, bool)> {
    match &aggregate.of.kind {
        Kind::Select(select) if select.reading == Reading::Value && !select.smoothed => Some((select.fetch, false)),
        Kind::Rollup(rollup) if !rollup.function.keeps_name() => aggregate.of.fetch().map(|fetch| (fetch, true)),
        _ => None,
    }
}
