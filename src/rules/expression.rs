//! Whether a rule's expression is PromQL, and what its group narrows it to.

use crate::model::Matcher;
use crate::promql::parse::parse;
use crate::promql::{Expr, ExprKind, Features};

/// The expression as PromQL prints it, with `narrowing` added to each of its selectors.
///
/// # Errors
/// Where it is no PromQL: the message, with line and column inside the text.
pub(super) fn check(text: &str, features: &Features, narrowing: &[Matcher]) -> Result<String, String> {
    match parse(text, features) {
        Ok(mut expr) => {
            if !narrowing.is_empty() {
                narrow(&mut expr, narrowing);
            }
            Ok(expr.to_string())
        }
        Err(refusal) => {
            let message = refusal.to_string();
            Err(match hint(text, &message) {
                Some(hint) => format!("{message} ({hint})"),
                None => message,
            })
        }
    }
}

/// What MetricsQL has and PromQL has not, as far as it is met in rules, and how PromQL says it.
const METRICSQL: &[(&str, &str)] = &[
    ("default", "`a default 0` is `a or vector(0)`, or `a or b * 0` where labels matter"),
    ("if", "`a if b` is `a and b`"),
    ("ifnot", "`a ifnot b` is `a unless b`"),
    ("keep_metric_names", "name the result with label_replace"),
    ("any", "group(...) or max(...)"),
    ("avg_over_time_if", "avg_over_time((x and y)[5m:])"),
    ("count_eq_over_time", "count_over_time((x == 1)[5m:])"),
    ("count_gt_over_time", "count_over_time((x > 1)[5m:])"),
    ("count_le_over_time", "count_over_time((x <= 1)[5m:])"),
    ("count_ne_over_time", "count_over_time((x != 1)[5m:])"),
    ("default_rollup", "last_over_time"),
    ("distinct", "count(count by (...) (x))"),
    ("first_over_time", "x offset 5m, or first_over_time behind a feature flag"),
    ("geomean", "exp(avg(ln(x)))"),
    ("increase_pure", "increase"),
    ("increase_prometheus", "increase"),
    ("label_copy", "label_replace(x, \"new\", \"$1\", \"old\", \"(.*)\")"),
    ("label_del", "sum without (label) (x)"),
    ("label_keep", "sum by (label) (x)"),
    ("label_match", "put the matcher into the selector"),
    ("label_mismatch", "put the matcher into the selector"),
    ("label_set", "label_replace(x, \"name\", \"value\", \"\", \"\")"),
    ("lag", "time() - timestamp(x)"),
    ("lifetime", "time() - x of a start time, or count_over_time"),
    ("median", "quantile(0.5, x)"),
    ("median_over_time", "quantile_over_time(0.5, x[5m])"),
    ("now", "time()"),
    ("outliersk", "topk(k, abs(x - scalar(quantile(0.5, x))))"),
    ("quantiles", "one quantile(...) for each"),
    ("quantiles_over_time", "one quantile_over_time(...) for each"),
    ("range_avg", "avg_over_time(x[1h:])"),
    ("range_max", "max_over_time(x[1h:])"),
    ("range_min", "min_over_time(x[1h:])"),
    ("range_sum", "sum_over_time(x[1h:])"),
    ("rate_over_sum", "sum_over_time(x[5m]) / 300"),
    ("rollup", "min_over_time, max_over_time and avg_over_time"),
    ("rollup_rate", "rate"),
    ("share_eq_over_time", "avg_over_time((x == bool 1)[5m:])"),
    ("share_gt_over_time", "avg_over_time((x > bool 1)[5m:])"),
    ("share_le_over_time", "avg_over_time((x <= bool 1)[5m:])"),
    ("histogram_share", "histogram_fraction, for native histograms"),
    ("tlast_over_time", "timestamp(x)"),
    ("union", "a or b"),
    ("zscore", "(x - avg(x)) / stddev(x)"),
    ("zscore_over_time", "(x - avg_over_time(x[5m])) / stddev_over_time(x[5m])"),
];

/// How PromQL says what the message complains of.
fn hint(text: &str, message: &str) -> Option<String> {
    let first = text.trim_start().split(|letter: char| !letter.is_ascii_alphabetic()).next();
    if first.is_some_and(|word| word.eq_ignore_ascii_case("with")) {
        return Some("MetricsQL's WITH templates must be written out".to_owned());
    }
    if message.contains("expected type range vector") && message.contains("got instant vector") {
        return Some("MetricsQL chooses a range by itself; PromQL wants one, e.g. [5m]".to_owned());
    }
    let complaint = message.find("unknown function").or_else(|| message.find("unexpected identifier"))?;
    let word = message[complaint..].split('"').nth(1)?.to_lowercase();
    let (_, instead) = METRICSQL.iter().find(|(known, _)| *known == word)?;
    Some(format!("{word} is MetricsQL's; in PromQL: {instead}"))
}

fn narrow(expr: &mut Expr, narrowing: &[Matcher]) {
    match &mut expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => {}
        ExprKind::Selector(selector) => {
            // The condition on the name stays the last one.
            let end = selector.matchers.len() - usize::from(selector.name.is_some());
            selector.matchers.splice(end..end, narrowing.iter().cloned());
        }
        ExprKind::Range { selector: inner, .. } | ExprKind::Paren(inner) | ExprKind::Unary { expr: inner, .. } => {
            narrow(inner, narrowing);
        }
        ExprKind::Subquery(subquery) => narrow(&mut subquery.expr, narrowing),
        ExprKind::Binary(binary) => {
            narrow(&mut binary.left, narrowing);
            narrow(&mut binary.right, narrowing);
        }
        ExprKind::Aggregate(aggregate) => {
            narrow(&mut aggregate.expr, narrowing);
            aggregate.parameter.iter_mut().for_each(|parameter| narrow(parameter, narrowing));
        }
        ExprKind::Call(call) => call.arguments.iter_mut().for_each(|argument| narrow(argument, narrowing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_metricsql_has_is_said_in_promql() {
        #[track_caller]
        fn says(text: &str, part: &str) {
            let message = check(text, &Features::all(), &[]).expect_err(text);
            assert!(message.contains(part), "{message}");
        }
        says("sum(rate(x[5m])) default 0", "`a or vector(0)`");
        says("increase_pure(x[5m])", "in PromQL: increase)");
        says("WITH (a = x) a", "templates must be written out");
        says("rate(x)", "wants one, e.g. [5m]");
        says("a if b", "`a and b`");
        let plain = check("no_such(x)", &Features::all(), &[]).expect_err("there is none");
        assert!(plain.ends_with("unknown function with name \"no_such\""), "{plain}");
    }

    #[test]
    fn every_selector_is_narrowed() {
        let narrowing = [Matcher::equal("env", "prod")];
        let check = |text: &str| check(text, &Features::all(), &narrowing).expect("it is good");
        assert_eq!(check("sum(rate(x{a=\"b\"}[5m]))"), "sum(rate(x{a=\"b\",env=\"prod\"}[5m]))");
        assert_eq!(check("max_over_time(y[1h:5m]) > 2"), "max_over_time(y{env=\"prod\"}[1h:5m]) > 2");
        assert_eq!(check("-topk(scalar(z), {w=\"1\"})"), "-topk(scalar(z{env=\"prod\"}), {env=\"prod\",w=\"1\"})");
    }
}
