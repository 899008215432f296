//! The operators between two floats.

use crate::promql::ast::BinaryOp;

/// An operator that gives a number.
pub(crate) fn arithmetic(op: BinaryOp) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        BinaryOp::Add => |left, right| left + right,
        BinaryOp::Sub => |left, right| left - right,
        BinaryOp::Mul => |left, right| left * right,
        BinaryOp::Div => |left, right| left / right,
        BinaryOp::Mod => |left, right| left % right,
        BinaryOp::Pow => f64::powf,
        BinaryOp::Atan2 => f64::atan2,
        _ => return None,
    })
}

/// An operator that compares.
pub(crate) fn comparison(op: BinaryOp) -> Option<fn(f64, f64) -> bool> {
    Some(match op {
        BinaryOp::Equal => |left, right| left == right,
        BinaryOp::NotEqual => |left, right| left != right,
        BinaryOp::Greater => |left, right| left > right,
        BinaryOp::Less => |left, right| left < right,
        BinaryOp::GreaterEqual => |left, right| left >= right,
        BinaryOp::LessEqual => |left, right| left <= right,
        _ => return None,
    })
}

/// `left op right` between scalars, where a comparison gives 1 or 0.
pub(crate) fn of_scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    match (arithmetic(op), comparison(op)) {
        (Some(op), _) => op(left, right),
        (_, Some(op)) => f64::from(u8::from(op(left, right))),
        // The parser refuses set and trim operators between scalars.
        _ => f64::NAN,
    }
}
