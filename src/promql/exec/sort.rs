//! `sort` and its siblings: orders that only an instant query can show.

use std::cmp::Ordering;

use crate::promql::QueryError;
use crate::promql::annotations::Note;
use crate::promql::functions::quantile::rank;
use crate::promql::plan::Node;

use super::stream::Stream;
use super::{Query, Scope};

/// Tells that a range query is ordered by labels whatever is asked. Whether there is a range to order.
fn ineffective(query: &Query<'_>, node: &Node, scope: Scope) -> bool {
    let range = scope.steps() > 1;
    if range {
        query.note(Note::IneffectiveSort, node.position);
    }
    range
}

/// By value, NaN last; histograms go away.
pub(crate) fn by_value<'q>(
    query: &'q Query<'q>,
    node: &Node,
    of: Stream<'q>,
    descending: bool,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    let floats = of.map_rows(|_, row| {
        row.drop_histograms();
        Ok(())
    });
    if ineffective(query, node, scope) {
        return Ok(floats);
    }
    let mut table = floats.collect(query)?;
    table.sort_by(|(_, left), (_, right)| {
        let (left, right) = (left.values()[0], right.values()[0]);
        match (left.is_nan(), right.is_nan()) {
            (false, false) if descending => rank(right, left),
            (false, false) => rank(left, right),
            (left, right) => left.cmp(&right),
        }
    });
    Ok(Stream::ready(table))
}

/// By the named labels in natural order, then by all labels.
pub(crate) fn by_labels<'q>(
    query: &'q Query<'q>,
    node: &Node,
    of: Stream<'q>,
    names: &[String],
    descending: bool,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    if ineffective(query, node, scope) {
        return Ok(of);
    }
    let mut table = of.collect(query)?;
    table.sort_by(|(left, _), (right, _)| {
        let value = |entry: &super::stream::Entry, name: &str| entry.labels.get(name).unwrap_or("").to_owned();
        let by_name = names.iter().map(|name| natural(&value(left, name), &value(right, name)));
        let ordering = by_name.fold(Ordering::Equal, Ordering::then).then_with(|| left.labels.cmp(&right.labels));
        if descending { ordering.reverse() } else { ordering }
    });
    Ok(Stream::ready(table))
}

/// Runs of digits as numbers, all else as text: `4m5` before `4m600`.
fn natural(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (chunks(left), chunks(right));
    loop {
        let ordering = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => match (number(left), number(right)) {
                (Some(left_number), Some(right_number)) => {
                    left_number.len().cmp(&right_number.len()).then(left_number.cmp(right_number)).then(left.cmp(right))
                }
                _ => left.cmp(right),
            },
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// The digits of a number without leading zeros.
fn number(chunk: &str) -> Option<&str> {
    chunk.starts_with(|letter: char| letter.is_ascii_digit()).then(|| chunk.trim_start_matches('0'))
}

/// Cuts a text where digits begin and end.
fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|letter: char| letter.is_ascii_digit() != first.is_ascii_digit()).unwrap_or(rest.len());
        let (chunk, behind) = rest.split_at(end);
        rest = behind;
        Some(chunk)
    })
}
