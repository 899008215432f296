//! A tree laid out over lines: what no longer fits 100 columns is split. (Prometheus: `/api/v1/format_query`.)

use std::fmt::{self, Display, Write};

use super::ast::{Aggregate, Binary, Call, Expr, ExprKind, Subquery};
use super::print::{AggregateHead, Operator, SubqueryWindow};

/// Columns a line may have before its expression is split. (Prometheus: `maxCharactersPerLine`; it counts bytes and
/// does not count the indent.)
const COLUMNS_MAX: usize = 100;

/// `expr` as Prometheus formats it.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    write(&mut out, expr, 0);
    out
}

/// How many bytes an expression may still print before it no longer fits.
struct Room(usize);

impl Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

fn write(out: &mut String, expr: &Expr, level: usize) {
    // Measured without printing the whole: else a high tree would be printed once for each of its levels.
    let fits = write!(Room(COLUMNS_MAX), "{expr}").is_ok();
    match &expr.kind {
        ExprKind::Aggregate(aggregate) if !fits => split_aggregate(out, aggregate, level),
        ExprKind::Binary(binary) if !fits => split_binary(out, binary, level),
        ExprKind::Call(call) if !fits => split_call(out, call, level),
        ExprKind::Paren(inner) if !fits => split_paren(out, inner, level),
        ExprKind::Subquery(subquery) if !fits => split_subquery(out, subquery, level),
        // Prometheus does not indent a subquery that fits.
        ExprKind::Subquery(_) => out.push_str(&expr.to_string()),
        ExprKind::Unary { negative, expr: inner } => {
            indent(out, level);
            out.push(if *negative { '-' } else { '+' });
            let mut operand = String::new();
            write(&mut operand, inner, level);
            out.push_str(operand.trim());
        }
        _ => {
            indented(out, level, expr);
        }
    }
}

fn split_aggregate(out: &mut String, aggregate: &Aggregate, level: usize) {
    indented(out, level, AggregateHead(aggregate));
    out.push_str("(\n");
    if let Some(parameter) = &aggregate.parameter {
        write(out, parameter, level + 1);
        out.push_str(",\n");
    }
    write(out, &aggregate.expr, level + 1);
    out.push('\n');
    indented(out, level, ")");
}

fn split_binary(out: &mut String, binary: &Binary, level: usize) {
    write(out, &binary.left, level + 1);
    out.push('\n');
    indented(out, level, Operator(binary));
    out.push('\n');
    write(out, &binary.right, level + 1);
}

fn split_call(out: &mut String, call: &Call, level: usize) {
    indented(out, level, call.function);
    out.push_str("(\n");
    for (index, argument) in call.arguments.iter().enumerate() {
        out.push_str(if index > 0 { ",\n" } else { "" });
        write(out, argument, level + 1);
    }
    out.push('\n');
    indented(out, level, ")");
}

fn split_paren(out: &mut String, inner: &Expr, level: usize) {
    indented(out, level, "(\n");
    write(out, inner, level + 1);
    out.push('\n');
    indented(out, level, ")");
}

fn split_subquery(out: &mut String, subquery: &Subquery, level: usize) {
    write(out, &subquery.expr, level);
    out.push_str(&SubqueryWindow(subquery).to_string());
}

fn indented(out: &mut String, level: usize, what: impl Display) {
    indent(out, level);
    out.push_str(&what.to_string());
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}
