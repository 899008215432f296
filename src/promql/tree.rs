//! A tree as JSON, in the shape of Prometheus' `/api/v1/parse_query`, which its query editor draws.

use serde_json::{Value, json};

use super::ast::{
    AtModifier, DurationExpr, DurationKind, DurationNode, Expr, ExprKind, Matching, Selector, Shift, ValueType,
};
use super::parse::functions::signature;
use super::parse::text::shown;
use super::print::write_float;
use crate::model::Matcher;

/// `expr` as Prometheus describes it. Bytes that are no UTF-8 show as U+FFFD.
pub fn json(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => json!({ "type": "numberLiteral", "val": float(*value) }),
        ExprKind::String(text) => json!({ "type": "stringLiteral", "val": shown(text) }),
        ExprKind::Selector(selector) => series("vectorSelector", selector),
        ExprKind::Range { selector, length } => {
            let ExprKind::Selector(selector) = &selector.kind else { return Value::Null };
            let mut object = series("matrixSelector", selector);
            object["range"] = millis(Some(length));
            object["rangeExpr"] = computed(Some(length));
            object
        }
        ExprKind::Subquery(subquery) => json!({
            "type": "subquery",
            "expr": json(&subquery.expr),
            "range": millis(Some(&subquery.range)),
            "rangeExpr": computed(Some(&subquery.range)),
            "step": millis(subquery.step.as_ref()),
            "stepExpr": computed(subquery.step.as_ref()),
            "offset": millis(subquery.shift.offset.as_ref()),
            "offsetExpr": computed(subquery.shift.offset.as_ref()),
            "timestamp": timestamp(&subquery.shift),
            "startOrEnd": start_or_end(&subquery.shift),
        }),
        ExprKind::Paren(inner) => json!({ "type": "parenExpr", "expr": json(inner) }),
        ExprKind::Unary { negative, expr } => {
            json!({ "type": "unaryExpr", "op": if *negative { "-" } else { "+" }, "expr": json(expr) })
        }
        ExprKind::Binary(binary) => json!({
            "type": "binaryExpr",
            "op": binary.op.as_str(),
            "lhs": json(&binary.left),
            "rhs": json(&binary.right),
            "matching": binary.matching.as_ref().map(matching),
            "bool": binary.return_bool,
        }),
        ExprKind::Aggregate(aggregate) => json!({
            "type": "aggregation",
            "op": aggregate.op.as_str(),
            "expr": json(&aggregate.expr),
            "param": aggregate.parameter.as_ref().map(json),
            "grouping": aggregate.grouping,
            "without": aggregate.without,
        }),
        ExprKind::Call(call) => json!({
            "type": "call",
            "func": function(call.function),
            "args": call.arguments.iter().map(json).collect::<Vec<_>>(),
        }),
    }
}

fn series(kind: &str, selector: &Selector) -> Value {
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or(""),
        "matchers": selector.matchers.iter().map(matcher).collect::<Vec<_>>(),
        "offset": millis(selector.shift.offset.as_ref()),
        "offsetExpr": computed(selector.shift.offset.as_ref()),
        "timestamp": timestamp(&selector.shift),
        "startOrEnd": start_or_end(&selector.shift),
        "anchored": selector.extension == Some(super::ast::Extension::Anchored),
        "smoothed": selector.extension == Some(super::ast::Extension::Smoothed),
    })
}

fn matcher(matcher: &Matcher) -> Value {
    let (sign, value) = matcher.parts();
    json!({ "name": shown(&matcher.name), "type": sign, "value": shown(value) })
}

fn matching(matching: &Matching) -> Value {
    json!({
        "card": matching.cardinality.as_str(),
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": fill(matching.fill_left), "rhs": fill(matching.fill_right) },
    })
}

/// A whole number without a fraction, as Go's JSON writes it.
fn fill(value: Option<f64>) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Some(value) if value.fract() == 0.0 && value.abs() <= EXACT => json!(value as i64),
        other => json!(other),
    }
}

fn function(name: &str) -> Value {
    let Some(signature) = signature(name) else { return Value::Null };
    let arguments: Vec<_> = signature.arguments.iter().map(|kind| ValueType::short_name(*kind)).collect();
    json!({
        "name": signature.name,
        "argTypes": arguments,
        "variadic": signature.variadic,
        "returnType": signature.returns.short_name(),
    })
}

fn millis(duration: Option<&DurationExpr>) -> Value {
    match duration {
        Some(DurationExpr::Literal(span)) => json!(span.as_millis()),
        _ => json!(0),
    }
}

fn computed(duration: Option<&DurationExpr>) -> Value {
    match duration {
        Some(DurationExpr::Computed(node)) => duration_node(node, false),
        _ => Value::Null,
    }
}

fn duration_node(node: &DurationNode, wrapped: bool) -> Value {
    let object = |op: &str, left: Option<&DurationNode>, right: Option<&DurationNode>| {
        let side = |node: Option<&DurationNode>| node.map(|node| duration_node(node, false));
        json!({ "type": "durationExpr", "op": op, "lhs": side(left), "rhs": side(right), "wrapped": wrapped })
    };
    match &node.kind {
        DurationKind::Number { seconds, duration } => {
            json!({ "type": "numberLiteral", "val": float(*seconds), "duration": duration })
        }
        DurationKind::Step => object("step", None, None),
        DurationKind::Range => object("range", None, None),
        DurationKind::MinOf(left, right) => object("min_of", Some(left), Some(right)),
        DurationKind::MaxOf(left, right) => object("max_of", Some(left), Some(right)),
        DurationKind::Sign { negative, node } => object(if *negative { "-" } else { "+" }, None, Some(node)),
        DurationKind::Arithmetic(op, left, right) => object(op.as_str(), Some(left), Some(right)),
        DurationKind::Paren(node) => duration_node(node, true),
    }
}

fn timestamp(shift: &Shift) -> Value {
    match shift.at {
        Some(AtModifier::Time(at)) => json!(at.as_millis()),
        _ => Value::Null,
    }
}

fn start_or_end(shift: &Shift) -> Value {
    match shift.at {
        Some(AtModifier::Start) => json!("start"),
        Some(AtModifier::End) => json!("end"),
        _ => Value::Null,
    }
}

fn float(value: f64) -> String {
    let mut text = String::new();
    write_float(&mut text, value).expect("a String takes every write");
    text
}
