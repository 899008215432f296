//! A tree as one line of PromQL, as Prometheus prints it (`Expr.String()`): parsing the line gives the same tree.
//!
//! Matchers come sorted, durations normalised (`90s` is `1m30s`), modifiers in front of the arguments.

use std::fmt::{self, Display, Formatter, Write};

use super::ast::{
    Aggregate, AtModifier, Binary, Cardinality, DurationExpr, DurationKind, DurationNode, Expr, ExprKind, Matching,
    Selector, Shift, Subquery,
};
use super::parse::text::Quoted;
use crate::model::labels::is_plain_label_name;
use crate::model::{METRIC_NAME, Matcher, MatcherTest, Span};

impl Display for Expr {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, duration: false } => write_float(out, *value),
            ExprKind::Number { value, duration: true } => write_seconds(out, *value),
            ExprKind::String(text) => write!(out, "{}", Quoted(text)),
            ExprKind::Selector(selector) => {
                write_series(out, selector)?;
                write_at(out, &selector.shift)?;
                write_extension(out, selector)?;
                write_offset(out, &selector.shift)
            }
            ExprKind::Range { selector, length } => {
                let ExprKind::Selector(selector) = &selector.kind else {
                    return write!(out, "{selector}[{length}]");
                };
                write_series(out, selector)?;
                write!(out, "[{length}]")?;
                write_extension(out, selector)?;
                write_at(out, &selector.shift)?;
                write_offset(out, &selector.shift)
            }
            ExprKind::Subquery(subquery) => write!(out, "{}{}", subquery.expr, SubqueryWindow(subquery)),
            ExprKind::Paren(expr) => write!(out, "({expr})"),
            ExprKind::Unary { negative, expr } => write!(out, "{}{expr}", if *negative { '-' } else { '+' }),
            ExprKind::Binary(binary) => write!(out, "{} {} {}", binary.left, Operator(binary), binary.right),
            ExprKind::Aggregate(aggregate) => {
                write!(out, "{}(", AggregateHead(aggregate))?;
                if let Some(parameter) = &aggregate.parameter {
                    write!(out, "{parameter}, ")?;
                }
                write!(out, "{})", aggregate.expr)
            }
            ExprKind::Call(call) => {
                write!(out, "{}(", call.function)?;
                for (index, argument) in call.arguments.iter().enumerate() {
                    write!(out, "{}{argument}", if index > 0 { ", " } else { "" })?;
                }
                out.write_char(')')
            }
        }
    }
}

/// `sum by (job) `: all of an aggregation before its parenthesis.
pub(super) struct AggregateHead<'a>(pub(super) &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let aggregate = self.0;
        out.write_str(aggregate.op.as_str())?;
        match (aggregate.without, aggregate.grouping.is_empty()) {
            (true, _) => write!(out, " without ({}) ", LabelList(&aggregate.grouping)),
            (false, false) => write!(out, " by ({}) ", LabelList(&aggregate.grouping)),
            (false, true) => Ok(()),
        }
    }
}

/// `== bool on (job) group_left (x)`: an operator and its modifiers.
pub(super) struct Operator<'a>(pub(super) &'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.op.as_str())?;
        if self.0.return_bool {
            out.write_str(" bool")?;
        }
        let Some(matching) = &self.0.matching else { return Ok(()) };
        let group = match matching.cardinality {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if matching.on || group.is_some() || !matching.labels.is_empty() {
            write!(out, " {} ({})", if matching.on { "on" } else { "ignoring" }, LabelList(&matching.labels))?;
        }
        if let Some(group) = group {
            write!(out, " {group} ({})", LabelList(&matching.include))?;
        }
        write_fills(out, matching)
    }
}

/// `[5m:1m] @ 5.000 offset 1h`: what a subquery has behind its expression.
pub(super) struct SubqueryWindow<'a>(pub(super) &'a Subquery);

impl Display for SubqueryWindow<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "[{}:", self.0.range)?;
        if let Some(step) = &self.0.step {
            write!(out, "{step}")?;
        }
        out.write_char(']')?;
        write_at(out, &self.0.shift)?;
        write_offset(out, &self.0.shift)
    }
}

struct LabelList<'a>(&'a [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for (index, label) in self.0.iter().enumerate() {
            out.write_str(if index > 0 { ", " } else { "" })?;
            write_label(out, label)?;
        }
        Ok(())
    }
}

fn write_label(out: &mut impl Write, label: &str) -> fmt::Result {
    if is_plain_label_name(label) { out.write_str(label) } else { write!(out, "{}", Quoted(label)) }
}

fn write_fills(out: &mut Formatter<'_>, matching: &Matching) -> fmt::Result {
    match (matching.fill_left, matching.fill_right) {
        (None, None) => Ok(()),
        // `fill_left(x) fill_right(x)` means and prints the same.
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => write!(out, " fill ({})", General(left)),
        (left, right) => {
            if let Some(left) = left {
                write!(out, " fill_left ({})", General(left))?;
            }
            right.map_or(Ok(()), |right| write!(out, " fill_right ({})", General(right)))
        }
    }
}

/// A name and its matchers, without what follows.
fn write_series(out: &mut Formatter<'_>, selector: &Selector) -> fmt::Result {
    let name = selector.name.as_deref().unwrap_or("");
    out.write_str(name)?;
    let is_name = |matcher: &&Matcher| {
        !(matcher.name == METRIC_NAME
            && !name.is_empty()
            && matches!(&matcher.test, MatcherTest::Equal(value) if value == name))
    };
    let mut matchers: Vec<String> = selector.matchers.iter().filter(is_name).map(matcher).collect();
    matchers.sort();
    if matchers.is_empty() { Ok(()) } else { write!(out, "{{{}}}", matchers.join(",")) }
}

fn matcher(matcher: &Matcher) -> String {
    let (sign, value) = matcher.parts();
    let mut text = String::new();
    write_label(&mut text, &matcher.name)
        .and_then(|()| write!(text, "{sign}{}", Quoted(value)))
        .expect("a String takes every write");
    text
}

fn write_at(out: &mut Formatter<'_>, shift: &Shift) -> fmt::Result {
    match shift.at {
        None => Ok(()),
        Some(AtModifier::Time(at)) => write!(out, " @ {:.3}", at.as_seconds()),
        Some(AtModifier::Start) => out.write_str(" @ start()"),
        Some(AtModifier::End) => out.write_str(" @ end()"),
    }
}

fn write_offset(out: &mut Formatter<'_>, shift: &Shift) -> fmt::Result {
    shift.offset.as_ref().map_or(Ok(()), |offset| write!(out, " offset {offset}"))
}

fn write_extension(out: &mut Formatter<'_>, selector: &Selector) -> fmt::Result {
    selector.extension.map_or(Ok(()), |extension| write!(out, " {}", extension.as_str()))
}

impl Display for DurationExpr {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DurationExpr::Literal(span) => write!(out, "{span}"),
            DurationExpr::Computed(node) => write!(out, "{node}"),
        }
    }
}

impl Display for DurationNode {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Number { seconds, duration: false } => write_float(out, *seconds),
            DurationKind::Number { seconds, duration: true } => write_seconds(out, *seconds),
            DurationKind::Step => out.write_str("step()"),
            DurationKind::Range => out.write_str("range()"),
            DurationKind::MinOf(left, right) => write!(out, "min_of({left}, {right})"),
            DurationKind::MaxOf(left, right) => write!(out, "max_of({left}, {right})"),
            // Prometheus drops the plus.
            DurationKind::Sign { negative, node } => write!(out, "{}{node}", if *negative { "-" } else { "" }),
            DurationKind::Arithmetic(op, left, right) => write!(out, "{left} {} {right}", op.as_str()),
            DurationKind::Paren(node) => write!(out, "({node})"),
        }
    }
}

/// The shortest digits, never an exponent. (Go: `FormatFloat(v, 'f', -1, 64)`.)
pub(super) fn write_float(out: &mut impl Write, value: f64) -> fmt::Result {
    match value {
        f64::INFINITY => out.write_str("+Inf"),
        f64::NEG_INFINITY => out.write_str("-Inf"),
        _ => write!(out, "{value}"),
    }
}

/// Seconds as a duration, cut to milliseconds.
fn write_seconds(out: &mut Formatter<'_>, seconds: f64) -> fmt::Result {
    write!(out, "{}", Span::from_millis((seconds * 1e9) as i64 / 1_000_000))
}

/// A float as Go's `%v` writes it: with an exponent below 1e-4 and from 1e6.
struct General(f64);

impl Display for General {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value == 0.0 || !value.is_finite() {
            return write_float(out, value);
        }
        if (1e-4..1e6).contains(&value.abs()) {
            return write_float(out, value);
        }
        let mut text = String::new();
        crate::model::number::write_exponent(&mut text, value);
        out.write_str(&text)
    }
}
