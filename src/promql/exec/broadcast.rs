//! A vector and a scalar.

use crate::promql::QueryError;
use crate::promql::annotations::Annotations;
use crate::promql::ast::{BinaryOp, Position};
use crate::promql::functions::arithmetic;

use super::Query;
use super::pairs::{Operator, changes_metric};
use super::row::Row;
use super::stream::Stream;

pub(crate) fn broadcast<'q>(
    query: &'q Query<'q>,
    position: Position,
    of: Stream<'q>,
    scalar: Vec<f64>,
    op: BinaryOp,
    scalar_left: bool,
    return_bool: bool,
) -> Result<Stream<'q>, QueryError> {
    let operator = Operator { op, return_bool, position };
    let scalar = Row::full(scalar);
    let mapped = of.map_rows(move |_, row| {
        if let (Some(f), false) = (arithmetic::arithmetic(op), row.may_have_histograms()) {
            let values = row.values_mut().iter_mut().zip(scalar.values());
            match scalar_left {
                true => values.for_each(|(value, scalar)| *value = f(*scalar, *value)),
                false => values.for_each(|(value, scalar)| *value = f(*value, *scalar)),
            }
            return Ok(());
        }
        let mut notes = Annotations::default();
        let mask = row.present().clone();
        *row = match scalar_left {
            true => operator.apply(&scalar, row, mask, true, &mut notes).0,
            false => operator.apply(row, &scalar, mask, false, &mut notes).0,
        };
        query.note_all(notes);
        Ok(())
    });
    match changes_metric(op) || return_bool {
        true => mapped.drop_names(query.delayed()),
        false => Ok(mapped),
    }
}
