//! `and`, `or`, `unless`: which elements stay, by the labels of the other side.

use crate::promql::QueryError;
use crate::promql::ast::{BinaryOp, Matching};

use super::matching::{entries, signatures};
use super::row::{Bits, Row};
use super::stream::{Entry, Stream, merge_same};
use super::{Query, Scope};

pub(crate) fn set<'q>(
    query: &'q Query<'q>,
    left: Stream<'q>,
    right: Stream<'q>,
    op: BinaryOp,
    matching: &Matching,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    let left = left.collect(query)?;
    let right = right.collect(query)?;
    let (signatures, count) = signatures([&mut entries(&left), &mut entries(&right)], matching);
    let [left_signatures, right_signatures] = signatures;
    let presence = |table: &[(Entry, Row)], signatures: &[usize]| {
        let mut present = vec![Bits::none(scope.steps()); count];
        table.iter().zip(signatures).for_each(|((_, row), signature)| present[*signature].unite(row.present()));
        present
    };
    let mut result = left;
    match op {
        BinaryOp::And | BinaryOp::Unless => {
            let present = presence(&right, &right_signatures);
            for ((_, row), signature) in result.iter_mut().zip(&left_signatures) {
                match op {
                    BinaryOp::And => row.present_mut().intersect(&present[*signature]),
                    _ => row.present_mut().subtract(&present[*signature]),
                }
            }
        }
        _ => {
            let present = presence(&result, &left_signatures);
            for ((entry, mut row), signature) in right.into_iter().zip(&right_signatures) {
                row.present_mut().subtract(&present[*signature]);
                result.push((entry, row));
            }
        }
    }
    result.retain(|(_, row)| !row.is_empty());
    Ok(Stream::ready(merge_same(result)?))
}
