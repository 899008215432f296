//! Lengths of time that are expressions.

use crate::model::Span;
use crate::promql::QueryError;
use crate::promql::ast::{BinaryOp, DurationExpr, DurationKind, DurationNode};

/// What `step()` and `range()` stand for inside a duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// The query's resolution; no time at all for an instant query.
    pub(crate) step: Span,
    /// From the first to the last evaluation time.
    pub(crate) range: Span,
}

/// The length that `expr` stands for, which must be positive unless `negative_allowed`.
///
/// # Errors
/// A length that is no positive one, or out of range; a division by zero.
pub(crate) fn evaluate(expr: &DurationExpr, negative_allowed: bool, around: Surroundings) -> Result<Span, QueryError> {
    let node = match expr {
        DurationExpr::Literal(span) => return Ok(*span),
        DurationExpr::Computed(node) => node,
    };
    let refuse = |why: &str| QueryError::Execution(why.to_owned());
    let seconds = seconds(node, around)?;
    if seconds <= 0.0 && !negative_allowed {
        return Err(refuse("duration must be greater than 0"));
    }
    if !(i64::MIN as f64..i64::MAX as f64).contains(&(seconds * 1e9)) {
        return Err(refuse("duration is out of range"));
    }
    Ok(Span::from_millis((seconds * 1000.0) as i64))
}

fn seconds(node: &DurationNode, around: Surroundings) -> Result<f64, QueryError> {
    let refuse = |why: &str| Err(QueryError::Execution(why.to_owned()));
    Ok(match &node.kind {
        DurationKind::Number { seconds, .. } => *seconds,
        DurationKind::Step => around.step.as_seconds(),
        DurationKind::Range => around.range.as_seconds(),
        DurationKind::MinOf(left, right) => seconds(left, around)?.min(seconds(right, around)?),
        DurationKind::MaxOf(left, right) => seconds(left, around)?.max(seconds(right, around)?),
        DurationKind::Sign { negative, node } => {
            let value = seconds(node, around)?;
            if *negative { -value } else { value }
        }
        DurationKind::Paren(node) => seconds(node, around)?,
        DurationKind::Arithmetic(op, left, right) => {
            let (left, right) = (seconds(left, around)?, seconds(right, around)?);
            match op {
                BinaryOp::Add => left + right,
                BinaryOp::Sub => left - right,
                BinaryOp::Mul => left * right,
                BinaryOp::Div if right == 0.0 => return refuse("division by zero"),
                BinaryOp::Div => left / right,
                BinaryOp::Mod if right == 0.0 => return refuse("modulo by zero"),
                BinaryOp::Mod => left % right,
                BinaryOp::Pow => left.powf(right),
                _ => return refuse(&format!("unexpected duration expression operator {:?}", op.as_str())),
            }
        }
    })
}
