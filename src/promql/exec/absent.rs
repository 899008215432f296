//! `absent` and `absent_over_time`: one element where there is none.

use crate::model::Labels;
use crate::promql::QueryError;
use crate::promql::annotations::Annotations;
use crate::promql::functions::range::Notes;
use crate::promql::functions::range::RangeFunction;
use crate::promql::plan::{Range, Source};

use super::leaf::{self, Worker};
use super::rollup::Windows;
use super::row::{Bits, Row};
use super::stream::{Entry, Stream};
use super::{Query, Scope, subquery};

pub(crate) fn absent<'q>(of: Stream<'q>, labels: &Labels, scope: Scope) -> Result<Stream<'q>, QueryError> {
    let entry = Entry::new(labels.clone());
    Ok(Stream::new(vec![entry], move |sink| {
        let mut seen = Bits::none(scope.steps());
        of.run(&mut |_, row| {
            seen.unite(row.present());
            Ok(())
        })?;
        sink(0, row_where_unseen(&seen, scope))
    }))
}

fn row_where_unseen(seen: &Bits, scope: Scope) -> Row {
    let mut present = Bits::all(scope.steps());
    present.subtract(seen);
    Row::floats(vec![1.0; scope.steps()], present)
}

pub(crate) fn absent_over_time<'q>(
    query: &'q Query<'q>,
    of: &'q Range,
    labels: &Labels,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    let position = of.position;
    let windows =
        Windows { query, range: of, function: RangeFunction::Present, position, parameters: Vec::new(), scope };
    let present = match &of.source {
        Source::Fetched(fetch) => {
            let series = query.fetched[*fetch].as_slice();
            let roster = series.iter().map(|one| Entry::new(one.labels.clone())).collect();
            Stream::new(roster, move |sink| {
                let make = |worker: &mut Worker, _: &crate::store::SelectedSeries| {
                    let Worker { column, split, scratch, frames, looked_at, .. } = worker;
                    let mut notes = Notes { metric: "", position, annotations: &mut Annotations::default() };
                    windows.row(split.of(column, false), (scratch, frames), looked_at, &mut notes)
                };
                leaf::each_series(query, series, scope, make, sink)
            })
        }
        Source::Subquery { inner, grid } => subquery::rollup(windows, inner, *grid)?,
    };
    absent(present, labels, scope)
}
