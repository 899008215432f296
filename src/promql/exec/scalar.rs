//! Scalars: one float at each step.

use crate::model::Labels;
use crate::promql::QueryError;
use crate::promql::functions::date::DatePart;
use crate::promql::functions::{arithmetic, math};
use crate::promql::plan::{Kind, Node};

use super::row::Row;
use super::stream::{Entry, Stream};
use super::{Query, Scope, build};

/// The float at each step of the scope.
pub(crate) fn scalar<'q>(query: &'q Query<'q>, node: &'q Node, scope: Scope) -> Result<Vec<f64>, QueryError> {
    let both = |left: &'q Node, right: &'q Node| -> Result<(Vec<f64>, Vec<f64>), QueryError> {
        Ok((scalar(query, left, scope)?, scalar(query, right, scope)?))
    };
    let zip = |(mut left, right): (Vec<f64>, Vec<f64>), f: &dyn Fn(f64, f64) -> f64| {
        left.iter_mut().zip(right).for_each(|(left, right)| *left = f(*left, right));
        left
    };
    Ok(match &node.kind {
        Kind::Number(value) => vec![*value; scope.steps()],
        Kind::Time => scope.grid.points().map(|at| at.as_seconds()).collect(),
        Kind::Invariant(inner) => vec![scalar(query, inner, scope.first_step())?[0]; scope.steps()],
        Kind::ScalarNegate(inner) => {
            let mut values = scalar(query, inner, scope)?;
            values.iter_mut().for_each(|value| *value = -*value);
            values
        }
        Kind::ScalarBinary { op, left, right } => {
            zip(both(left, right)?, &|left, right| arithmetic::of_scalars(*op, left, right))
        }
        Kind::ScalarExtreme { largest: true, left, right } => zip(both(left, right)?, &math::max),
        Kind::ScalarExtreme { largest: false, left, right } => zip(both(left, right)?, &math::min),
        Kind::ScalarOf(vector) => lone_float(query, vector, scope)?,
        _ => return Err(QueryError::Execution("expected a scalar".to_owned())),
    })
}

/// The float of the only series that has one, at each step; NaN where there is none, or more than one.
fn lone_float<'q>(query: &'q Query<'q>, vector: &'q Node, scope: Scope) -> Result<Vec<f64>, QueryError> {
    let mut values = vec![f64::NAN; scope.steps()];
    let mut found = vec![0_u8; scope.steps()];
    build(query, vector, scope)?.run(&mut |_, row| {
        for step in row.present().iter() {
            if let Some(value) = row.float(step) {
                found[step] = found[step].saturating_add(1);
                values[step] = if found[step] == 1 { value } else { f64::NAN };
            }
        }
        Ok(())
    })?;
    Ok(values)
}

/// A scalar as a vector with one element, without labels.
pub(crate) fn as_vector<'q>(query: &'q Query<'q>, node: &'q Node, scope: Scope) -> Result<Stream<'q>, QueryError> {
    let values = scalar(query, node, scope)?;
    Ok(Stream::ready(vec![(Entry::new(Labels::empty()), Row::full(values))]))
}

/// A part of each step's own date.
pub(crate) fn dates<'q>(part: DatePart, scope: Scope) -> Result<Stream<'q>, QueryError> {
    let values: Vec<f64> = scope.grid.points().map(|at| part.of(at.as_seconds().floor())).collect();
    Ok(Stream::ready(vec![(Entry::new(Labels::empty()), Row::full(values))]))
}
