//! Operators between two values, floats or histograms.

use std::sync::Arc;

use crate::model::{Histogram, ResetHint};
use crate::promql::annotations::{Annotations, Note, Operation};
use crate::promql::ast::{BinaryOp, Position};
use crate::promql::functions::arithmetic;
use crate::promql::histogram::{self, HistogramError, Merge};

use super::row::{Bits, Cell, Row};

/// What an operator does to rows.
#[derive(Clone, Copy)]
pub(crate) struct Operator {
    pub(crate) op: BinaryOp,
    pub(crate) return_bool: bool,
    /// What notes point at.
    pub(crate) position: Position,
}

/// Whether the result of `op` is another metric than its operands.
pub(crate) fn changes_metric(op: BinaryOp) -> bool {
    arithmetic::arithmetic(op).is_some()
}

impl Operator {
    /// `left op right` at the steps of `mask`, where both are present; and the steps at which they could meet, whether
    /// or not a comparison has kept them. A comparison keeps the value of the left side, or the right if `keep_right`.
    pub(crate) fn apply(
        self,
        left: &Row,
        right: &Row,
        mask: Bits,
        keep_right: bool,
        notes: &mut Annotations,
    ) -> (Row, Bits) {
        if left.may_have_histograms() || right.may_have_histograms() || self.is_trim() {
            return self.apply_cells(left, right, &mask, keep_right, notes);
        }
        let pairs = || left.values().iter().copied().zip(right.values().iter().copied());
        if let Some(f) = arithmetic::arithmetic(self.op) {
            let values: smallvec::SmallVec<[f64; 1]> = pairs().map(|(left, right)| f(left, right)).collect();
            return (Row::floats(values, mask.clone()), mask);
        }
        let holds = arithmetic::comparison(self.op).expect("set operators have no value of their own");
        if self.return_bool {
            let values: smallvec::SmallVec<[f64; 1]> =
                pairs().map(|(left, right)| f64::from(u8::from(holds(left, right)))).collect();
            return (Row::floats(values, mask.clone()), mask);
        }
        let mut kept = mask.clone();
        for (step, (left, right)) in pairs().enumerate() {
            if !holds(left, right) {
                kept.clear(step);
            }
        }
        let values = if keep_right { right.values() } else { left.values() };
        (Row::floats(smallvec::SmallVec::from_slice(values), kept), mask)
    }

    fn is_trim(self) -> bool {
        matches!(self.op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
    }

    fn apply_cells(
        self,
        left: &Row,
        right: &Row,
        mask: &Bits,
        keep_right: bool,
        notes: &mut Annotations,
    ) -> (Row, Bits) {
        let mut result = Row::absent(left.steps());
        let mut met = Bits::none(left.steps());
        for step in mask.iter() {
            let (Some(left), Some(right)) = (left.cell(step), right.cell(step)) else { continue };
            let Some((value, keep)) = self.cells(&left, &right, notes) else { continue };
            met.set(step);
            if self.return_bool {
                result.set_float(step, f64::from(u8::from(keep)));
            } else if keep {
                let value = if keep_right && self.op.is_comparison() { right } else { value };
                result.set(step, value);
            }
        }
        (result, met)
    }

    /// The value of two cells, and whether a comparison holds. `None` where they cannot meet.
    fn cells(self, left: &Cell, right: &Cell, notes: &mut Annotations) -> Option<(Cell, bool)> {
        let op = self.op;
        match (left, right) {
            (Cell::Float(a), Cell::Float(b)) => match (arithmetic::arithmetic(op), arithmetic::comparison(op)) {
                (Some(f), _) => Some((Cell::Float(f(*a, *b)), true)),
                (_, Some(holds)) => Some((left.clone(), holds(*a, *b))),
                _ => self.incompatible("float", "float", notes),
            },
            (Cell::Float(a), Cell::Histogram(b)) => match op {
                BinaryOp::Mul => self.changed(b, |histogram| histogram::mul(histogram, *a)),
                _ => self.incompatible("float", "histogram", notes),
            },
            (Cell::Histogram(a), Cell::Float(b)) => match op {
                BinaryOp::Mul => self.changed(a, |histogram| histogram::mul(histogram, *b)),
                BinaryOp::Div => self.changed(a, |histogram| histogram::div(histogram, *b)),
                BinaryOp::TrimUpper => self.changed(a, |histogram| histogram::trim_upper(histogram, *b)),
                BinaryOp::TrimLower => self.changed(a, |histogram| histogram::trim_lower(histogram, *b)),
                _ => self.incompatible("histogram", "float", notes),
            },
            (Cell::Histogram(a), Cell::Histogram(b)) => match op {
                BinaryOp::Add => {
                    let mut sum = Histogram::clone(a);
                    let merged = histogram::add(&mut sum, b);
                    self.merged(sum, merged, Operation::Addition, notes)
                }
                BinaryOp::Sub => {
                    let mut difference = Histogram::clone(a);
                    let merged = histogram::sub(&mut difference, b);
                    difference.reset_hint = ResetHint::Gauge;
                    self.merged(difference, merged, Operation::Subtraction, notes)
                }
                BinaryOp::Equal => Some((left.clone(), histogram::equal(a, b))),
                BinaryOp::NotEqual => Some((left.clone(), !histogram::equal(a, b))),
                _ => self.incompatible("histogram", "histogram", notes),
            },
        }
    }

    fn changed(self, histogram: &Histogram, change: impl Fn(&mut Histogram)) -> Option<(Cell, bool)> {
        let mut changed = histogram.clone();
        change(&mut changed);
        histogram::compact(&mut changed);
        Some((Cell::Histogram(Arc::new(changed)), true))
    }

    fn merged(
        self,
        mut result: Histogram,
        merged: Result<Merge, HistogramError>,
        operation: Operation,
        notes: &mut Annotations,
    ) -> Option<(Cell, bool)> {
        let Ok(merge) = merged else {
            notes.add(Note::IncompatibleBucketLayout(self.op.as_str()), self.position);
            return None;
        };
        if merge.reset_collision {
            notes.add(Note::CounterResetCollision(operation), self.position);
        }
        if merge.bounds_reconciled {
            notes.add(Note::ReconciledBuckets(operation), self.position);
        }
        histogram::compact(&mut result);
        Some((Cell::Histogram(Arc::new(result)), true))
    }

    fn incompatible<T>(self, left: &'static str, right: &'static str, notes: &mut Annotations) -> Option<T> {
        notes.add(Note::IncompatibleTypes { left, op: self.op.as_str(), right }, self.position);
        None
    }
}
