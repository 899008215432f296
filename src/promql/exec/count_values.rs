//! `count_values`: series that are named by the values they count.

use crate::model::METRIC_NAME;
use crate::model::number::format_float;
use crate::promql::QueryError;
use crate::promql::histogram::Shown;
use crate::promql::parse::text;
use crate::promql::plan::{Aggregate, Kind};

use super::row::{Cell, Row};
use super::stream::{Entry, Map, Stream};
use super::{Query, Scope, build};

pub(crate) fn count_values<'q>(
    query: &'q Query<'q>,
    aggregate: &'q Aggregate,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    let Some(Kind::Text(label)) = aggregate.parameter.as_deref().map(|parameter| &parameter.kind) else {
        return Err(QueryError::Execution("count_values needs a label name".to_owned()));
    };
    if label.is_empty() || text::has_raw_bytes(label) {
        return Err(QueryError::Execution(format!("invalid label name {}", text::Quoted(label))));
    }
    let listed = |name: &str| aggregate.grouping.iter().any(|listed| listed == name);
    let keeps = |name: &str| match aggregate.without {
        true => name != METRIC_NAME && !listed(name),
        false => listed(name),
    };
    let of = build(query, &aggregate.of, scope)?;
    let bases: Vec<_> = of.roster.iter().map(|entry| entry.labels.without(|name| !keeps(name))).collect();
    // Without: a listed label is not written either.
    let hides_value = aggregate.without && listed(label);
    let mut places = Map::default();
    let mut table: Vec<(Entry, Row)> = Vec::new();
    of.run(&mut |id, row| {
        for (step, cell) in row.cells() {
            let shown = match cell {
                Cell::Float(value) => plain_float(value),
                Cell::Histogram(histogram) => Shown(&histogram).to_string(),
            };
            let labels = match hides_value {
                true => bases[id].clone(),
                false => bases[id].with(label, &shown),
            };
            let place = *places.entry(labels.clone()).or_insert_with(|| {
                table.push((Entry::new(labels), Row::absent(scope.steps())));
                table.len() - 1
            });
            let row = &mut table[place].1;
            let count = row.float(step).unwrap_or(0.0);
            row.set_float(step, count + 1.0);
        }
        Ok(())
    })?;
    Ok(Stream::ready(table))
}

/// A float without an exponent, however long. (Go: format 'f'.)
fn plain_float(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value}"),
        false => format_float(value),
    }
}
