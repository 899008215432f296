//! Which expressions have each step for themselves: what one gives at an instant follows from the samples until then, and
//! not from where the grid begins and ends.

use crate::model::matcher::MatcherTest;
use crate::model::{METRIC_NAME, Span};
use crate::promql::ast::{DurationExpr, Expr, ExprKind, Selector, Shift};

/// Whether an answer may be put together from steps that were worked out at different times.
///
/// Not so with `@` and with durations that are computed, which may mean the grid's ends; with negative offsets and
/// `smoothed`, which look ahead; where two series could get the same labels (a selector without a metric's name, a
/// label replaced), which is an error of the whole grid; and where series are matched inside a subquery, which may fail
/// at an instant that no step looks at.
pub(super) fn is_stepwise(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => true,
        ExprKind::Selector(selector) => {
            names_a_metric(selector) && selector.extension.is_none() && looks_back(&selector.shift)
        }
        ExprKind::Range { selector, length } => is_known(length) && is_stepwise(selector),
        ExprKind::Subquery(subquery) => {
            let step = subquery.step.as_ref();
            is_known(&subquery.range)
                && step.is_none_or(is_known)
                && looks_back(&subquery.shift)
                && !matches_series(&subquery.expr)
                && is_stepwise(&subquery.expr)
        }
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => is_stepwise(inner),
        ExprKind::Binary(binary) => is_stepwise(&binary.left) && is_stepwise(&binary.right),
        ExprKind::Aggregate(aggregate) => {
            is_stepwise(&aggregate.expr) && aggregate.parameter.as_ref().is_none_or(is_stepwise)
        }
        ExprKind::Call(call) => {
            !matches!(call.function, "label_replace" | "label_join" | "info") && call.arguments.iter().all(is_stepwise)
        }
    }
}

fn matches_series(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Range { .. } => false,
        ExprKind::Subquery(subquery) => matches_series(&subquery.expr),
        ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => matches_series(inner),
        ExprKind::Binary(binary) => {
            let of_two = binary.matching.is_some() && !binary.op.is_set();
            of_two || matches_series(&binary.left) || matches_series(&binary.right)
        }
        ExprKind::Aggregate(aggregate) => {
            matches_series(&aggregate.expr) || aggregate.parameter.as_ref().is_some_and(matches_series)
        }
        ExprKind::Call(call) => call.arguments.iter().any(matches_series),
    }
}

fn names_a_metric(selector: &Selector) -> bool {
    selector.matchers.iter().any(|matcher| matcher.name == METRIC_NAME && matches!(matcher.test, MatcherTest::Equal(_)))
}

fn looks_back(shift: &Shift) -> bool {
    let is_behind = |offset: &DurationExpr| matches!(offset, DurationExpr::Literal(span) if *span >= Span::ZERO);
    shift.at.is_none() && shift.offset.as_ref().is_none_or(is_behind)
}

fn is_known(length: &DurationExpr) -> bool {
    matches!(length, DurationExpr::Literal(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::features::Features;
    use crate::promql::parse::parse;

    #[test]
    fn steps_stand_alone_unless_the_grid_or_the_future_has_a_say() {
        #[track_caller]
        fn check(text: &str, expected: bool) {
            assert_eq!(is_stepwise(&parse(text, &Features::all()).expect(text)), expected, "{text}");
        }
        check("sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / 2", true);
        check("histogram_quantile(0.9, rate(latency_bucket[5m] offset 1h))", true);
        check("max_over_time(rate(x[1m])[1h:30s])", true);
        check("topk(5, {__name__=\"up\"})", true);
        check("{job=\"node\"}", false);
        check("{__name__=~\"a|b\"}", false);
        check("x @ end()", false);
        check("x @ 1600000000", false);
        check("x offset -5m", false);
        check("rate(x[5m] smoothed)", false);
        check("rate(x[range()])", false);
        check("sum_over_time(x[1h:step()])", false);
        check("max_over_time((x + x)[1h:1m])", false);
        check("max_over_time((x and x > 2)[1h:1m])", true);
        check("label_replace(x, \"a\", \"b\", \"c\", \".*\")", false);
    }
}
