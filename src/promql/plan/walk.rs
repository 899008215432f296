//! Names and children of nodes, for whoever shows a plan.

use super::{Kind, Node, Plan, Range, Source};

impl Plan {
    /// How many selectors use each fetch.
    pub(crate) fn selectors_by_fetch(&self) -> Vec<u64> {
        fn count(node: &Node, into: &mut [u64]) {
            if let Some(number) = node.fetch() {
                into[number] += 1;
            }
            node.children().into_iter().for_each(|child| count(child, into));
        }
        let mut counts = vec![0; self.fetches.len()];
        count(&self.root, &mut counts);
        counts
    }
}

impl Node {
    /// What kind of work this is, in a word.
    pub(crate) fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) => "constant",
            Kind::Time => "time",
            Kind::ScalarOf(_) => "scalar",
            Kind::ScalarBinary { .. } | Kind::ScalarNegate(_) | Kind::ScalarExtreme { .. } => "scalar operation",
            Kind::Invariant(_) => "once",
            Kind::Select(_) => "select",
            Kind::VectorOf(_) => "vector",
            Kind::Negate(_)
            | Kind::Math { .. }
            | Kind::Round { .. }
            | Kind::Clamp { .. }
            | Kind::Date { .. }
            | Kind::StepTime(_)
            | Kind::HistogramNumber { .. } => "map",
            Kind::Absent { .. } | Kind::AbsentOverTime { .. } => "absent",
            Kind::Sort { .. } => "sort",
            Kind::LabelReplace { .. } | Kind::LabelJoin { .. } => "relabel",
            Kind::Info { .. } => "info",
            Kind::HistogramQuantile { .. } | Kind::HistogramQuantiles { .. } | Kind::HistogramFraction { .. } => {
                "histogram"
            }
            Kind::Rollup(_) => "rollup",
            Kind::Aggregate(_) => "aggregate",
            Kind::Broadcast { .. } => "vector and scalar",
            Kind::Match { .. } => "match",
            Kind::Samples(_) => "samples",
        }
    }

    /// The number of the fetch whose series this reads, if it does.
    pub(crate) fn fetch(&self) -> Option<usize> {
        let of = |range: &Range| match range.source {
            Source::Fetched(fetch) => Some(fetch),
            Source::Subquery { .. } => None,
        };
        match &self.kind {
            Kind::Select(select) => Some(select.fetch),
            Kind::Rollup(rollup) => of(&rollup.range),
            Kind::AbsentOverTime { of: range, .. } | Kind::Samples(range) => of(range),
            _ => None,
        }
    }

    /// The nodes whose values this one works on, in the order of the text.
    pub(crate) fn children(&self) -> Vec<&Node> {
        fn below(range: &Range) -> Option<&Node> {
            match &range.source {
                Source::Fetched(_) => None,
                Source::Subquery { inner, .. } => Some(inner),
            }
        }
        fn with<'n>(of: &'n Node, rest: impl IntoIterator<Item = &'n Box<Node>>) -> Vec<&'n Node> {
            std::iter::once(of).chain(rest.into_iter().map(|node| &**node)).collect()
        }
        match &self.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Time | Kind::Select(_) | Kind::Date { of: None, .. } => Vec::new(),
            Kind::ScalarOf(of)
            | Kind::ScalarNegate(of)
            | Kind::Invariant(of)
            | Kind::VectorOf(of)
            | Kind::Negate(of)
            | Kind::Math { of, .. }
            | Kind::Date { of: Some(of), .. }
            | Kind::StepTime(of)
            | Kind::Absent { of, .. }
            | Kind::Sort { of, .. }
            | Kind::LabelReplace { of, .. }
            | Kind::LabelJoin { of, .. }
            | Kind::Info { of, .. }
            | Kind::HistogramNumber { of, .. } => vec![of],
            Kind::ScalarBinary { left, right, .. }
            | Kind::ScalarExtreme { left, right, .. }
            | Kind::Match { left, right, .. } => vec![left, right],
            Kind::Broadcast { vector, scalar, scalar_left: true, .. } => vec![scalar, vector],
            Kind::Broadcast { vector, scalar, .. } => vec![vector, scalar],
            Kind::Round { of, to_nearest } => with(of, to_nearest),
            Kind::Clamp { of, min, max } => with(of, min.iter().chain(max)),
            Kind::HistogramQuantile { quantile, of } => vec![quantile, of],
            Kind::HistogramQuantiles { of, quantiles, .. } => std::iter::once(&**of).chain(quantiles).collect(),
            Kind::HistogramFraction { lower, upper, of } => vec![lower, upper, of],
            Kind::Aggregate(aggregate) => {
                aggregate.parameter.iter().map(|node| &**node).chain([&*aggregate.of]).collect()
            }
            Kind::Rollup(rollup) => below(&rollup.range).into_iter().chain(&rollup.parameters).collect(),
            Kind::AbsentOverTime { of, .. } | Kind::Samples(of) => below(of).into_iter().collect(),
        }
    }
}
