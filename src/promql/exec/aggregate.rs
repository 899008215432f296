//! Aggregations: rows are added to the columns of their group, so that memory grows with groups x steps.

use std::sync::Arc;

use crate::model::{Histogram, Labels, METRIC_NAME};
use crate::promql::QueryError;
use crate::promql::annotations::{Annotations, Note, Operation};
use crate::promql::ast::{AggregateOp, Position};
use crate::promql::functions::kahan::{Mean, Sum};
use crate::promql::functions::quantile;
use crate::promql::histogram::{CompensatedMean, CompensatedSum};
use crate::promql::plan::{Aggregate, Node};

use super::row::{Bits, Row};
use super::stream::{Entry, Map, Stream};
use super::{Query, Scope, build, count_values, scalar, top};

pub(crate) fn aggregate<'q>(
    query: &'q Query<'q>,
    node: &'q Node,
    aggregate: &'q Aggregate,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    use AggregateOp as A;
    let op = aggregate.op;
    if op == A::CountValues {
        return count_values::count_values(query, aggregate, scope);
    }
    let parameter = aggregate.parameter.as_deref();
    let values = match parameter {
        Some(parameter) => scalar::scalar(query, parameter, scope)?,
        None => Vec::new(),
    };
    let of = build(query, &aggregate.of, scope)?;
    if matches!(op, A::Topk | A::Bottomk | A::Limitk | A::LimitRatio) {
        let position = parameter.map_or(node.position, |parameter| parameter.position);
        return top::top(query, node.position, position, aggregate, &values, of, scope);
    }
    if let (A::Quantile, Some(parameter)) = (op, parameter) {
        note_bad_quantiles(query, &values, parameter.position);
    }
    let groups = Groups::of(&of.roster, aggregate);
    let position = aggregate.of.position;
    let mut of = of;
    let roster = std::mem::take(&mut of.roster);
    let Groups { entries, members } = groups;
    let count = entries.len();
    Ok(Stream::new(entries, move |sink| {
        let mut columns: Vec<Option<Column>> = (0..count).map(|_| None).collect();
        let mut notes = Annotations::default();
        let mut held = 0;
        of.run(&mut |id, row| {
            let column = &mut columns[members[id]];
            let bytes = Column::bytes_more(op, column.is_none(), &row);
            held += bytes;
            query.meter.hold(0, bytes)?;
            let column = column.get_or_insert_with(|| Column::new(op, scope.steps()));
            column.add(row, &roster[id].labels, position, &mut notes);
            Ok(())
        })?;
        for (group, column) in columns.into_iter().enumerate() {
            if let Some(column) = column {
                sink(group, column.finish(&values, position, &mut notes))?;
            }
        }
        query.meter.release(0, held);
        query.note_all(notes);
        Ok(())
    }))
}

fn note_bad_quantiles(query: &Query<'_>, values: &[f64], position: Position) {
    if values.iter().any(|value| value.is_nan()) {
        query.note(Note::InvalidQuantile(f64::NAN), position);
    }
    let (lowest, highest) = extremes(values);
    if highest > 1.0 {
        query.note(Note::InvalidQuantile(highest), position);
    }
    if lowest < 0.0 {
        query.note(Note::InvalidQuantile(lowest), position);
    }
}

/// The smallest and the largest of some numbers, NaN left out.
pub(crate) fn extremes(values: &[f64]) -> (f64, f64) {
    let fold = |f: fn(f64, f64) -> f64, start| values.iter().copied().fold(start, f);
    (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY))
}

/// Which series belong to which group.
pub(crate) struct Groups {
    /// The groups, in the order in which their first series come.
    pub(crate) entries: Vec<Entry>,
    /// The group of each series.
    pub(crate) members: Vec<usize>,
}

impl Groups {
    pub(crate) fn of(roster: &[Entry], aggregate: &Aggregate) -> Self {
        let Aggregate { grouping, without, .. } = aggregate;
        let listed = |name: &str| grouping.iter().any(|listed| listed == name);
        let keeps = |name: &str| match without {
            true => name != METRIC_NAME && !listed(name),
            false => listed(name),
        };
        let mut places: Map<String, usize> = Map::default();
        let mut entries: Vec<Entry> = Vec::new();
        let mut key = String::new();
        // Where only the labels of groups were fetched, neighbours share them.
        let mut last: Option<(&Entry, usize)> = None;
        let members = roster
            .iter()
            .map(|entry| {
                if let Some((known, place)) = last
                    && known.labels.is_same(&entry.labels)
                    && known.name_dropped == entry.name_dropped
                {
                    return place;
                }
                key.clear();
                for (name, value) in entry.labels.iter().filter(|(name, _)| keeps(name)) {
                    // Lengths keep apart what would read the same.
                    key.extend([char_of(name.len()), char_of(value.len())]);
                    key.push_str(name);
                    key.push_str(value);
                }
                let place = match places.get(key.as_str()) {
                    Some(place) => *place,
                    None => {
                        entries.push(Entry::new(entry.labels.without(|name| !keeps(name))));
                        places.insert(key.clone(), entries.len() - 1);
                        entries.len() - 1
                    }
                };
                entries[place].name_dropped |= entry.name_dropped;
                last = Some((entry, place));
                place
            })
            .collect();
        Groups { entries, members }
    }
}

/// A length as a letter; far beyond the lengths that labels have, different lengths may share one.
fn char_of(length: usize) -> char {
    u32::try_from(length).ok().and_then(char::from_u32).unwrap_or(char::MAX)
}

/// What a group has gathered, by step.
struct Column {
    op: AggregateOp,
    /// Steps that have seen a sample that counts.
    seen: Bits,
    kind: Gathered,
}

enum Gathered {
    Sums { sums: Vec<Sum>, histograms: Option<Histograms<CompensatedSum>>, floats: Bits },
    Means { means: Vec<Option<Mean>>, histograms: Option<Histograms<CompensatedMean>>, floats: Bits },
    Extremes(Vec<f64>),
    Counts(Vec<f64>),
    Moments(Vec<Moments>),
    Values(Vec<Vec<f64>>),
}

/// Count, mean and sum of squared distances from it, after Welford.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

/// Histograms gathered by step; `Err` where some could not meet.
type Histograms<T> = Vec<Option<Result<T, ()>>>;

impl Column {
    fn new(op: AggregateOp, steps: usize) -> Self {
        use AggregateOp as A;
        let kind = match op {
            A::Sum => Gathered::Sums { sums: vec![Sum::default(); steps], histograms: None, floats: Bits::none(steps) },
            A::Avg => Gathered::Means { means: vec![None; steps], histograms: None, floats: Bits::none(steps) },
            A::Min | A::Max => Gathered::Extremes(vec![f64::NAN; steps]),
            A::Stddev | A::Stdvar => Gathered::Moments(vec![Moments::default(); steps]),
            A::Quantile => Gathered::Values(vec![Vec::new(); steps]),
            _ => Gathered::Counts(vec![0.0; steps]),
        };
        Column { op, seen: Bits::none(steps), kind }
    }

    /// How many bytes `row` adds to a column, `new` or not. (Histograms that are gathered are not counted.)
    fn bytes_more(op: AggregateOp, new: bool, row: &Row) -> u64 {
        use AggregateOp as A;
        let a_step = match op {
            A::Sum => size_of::<Sum>(),
            A::Avg => size_of::<Option<Mean>>(),
            A::Stddev | A::Stdvar => size_of::<Moments>(),
            A::Quantile => size_of::<Vec<f64>>(),
            _ => size_of::<f64>(),
        };
        let fixed = if new { row.steps() * a_step } else { 0 };
        let values = if op == A::Quantile { row.present().count() * size_of::<f64>() } else { 0 };
        (fixed + values) as u64
    }

    fn add(&mut self, mut row: Row, labels: &Labels, position: Position, notes: &mut Annotations) {
        let (op, steps) = (self.op, row.steps());
        match &mut self.kind {
            Gathered::Sums { sums, histograms, floats } => {
                let present = take_histograms(&mut row, |step, histogram| {
                    let places = histograms.get_or_insert_with(|| vec![None; steps]);
                    gather(&mut places[step], histogram, CompensatedSum::new, |sum, other| sum.add(other).is_ok())
                });
                told_mix(present, labels, position, notes);
                match row.is_full() {
                    true => {
                        sums.iter_mut().zip(row.values()).for_each(|(sum, value)| *sum = sum.plus(*value));
                    }
                    false => {
                        row.present().iter().for_each(|step| sums[step] = sums[step].plus(row.values()[step]));
                    }
                }
                floats.unite(row.present());
            }
            Gathered::Means { means, histograms, floats } => {
                let present = take_histograms(&mut row, |step, histogram| {
                    let places = histograms.get_or_insert_with(|| vec![None; steps]);
                    gather(&mut places[step], histogram, CompensatedMean::new, |mean, other| mean.add(other).is_ok())
                });
                told_mix(present, labels, position, notes);
                for step in row.present().iter() {
                    let value = row.values()[step];
                    match &mut means[step] {
                        Some(mean) => mean.add(value),
                        empty => *empty = Some(Mean::of(value)),
                    }
                }
                floats.unite(row.present());
            }
            Gathered::Counts(counts) => {
                row.present().iter().for_each(|step| counts[step] += 1.0);
            }
            Gathered::Extremes(best) => {
                told_ignored(&mut row, op, position, notes);
                for step in row.present().iter() {
                    let (value, best) = (row.values()[step], &mut best[step]);
                    let better = if op == AggregateOp::Max { value > *best } else { value < *best };
                    if better || best.is_nan() {
                        *best = value;
                    }
                }
            }
            Gathered::Moments(moments) => {
                told_ignored(&mut row, op, position, notes);
                for step in row.present().iter() {
                    let (value, moments) = (row.values()[step], &mut moments[step]);
                    moments.count += 1.0;
                    if moments.count == 1.0 {
                        // An infinite value has no distance from itself, and NaN says so.
                        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
                        *moments = Moments { count: 1.0, mean: value, squares };
                        continue;
                    }
                    let delta = value - moments.mean;
                    moments.mean += delta / moments.count;
                    moments.squares += delta * (value - moments.mean);
                }
            }
            Gathered::Values(values) => {
                told_ignored(&mut row, op, position, notes);
                row.present().iter().for_each(|step| values[step].push(row.values()[step]));
            }
        }
        self.seen.unite(row.present());
    }

    fn finish(self, parameter: &[f64], position: Position, notes: &mut Annotations) -> Row {
        let Column { op, seen, kind } = self;
        match kind {
            Gathered::Sums { sums, histograms, floats } => {
                let values: Vec<f64> = sums.iter().map(|sum| sum.total()).collect();
                with_histograms(Row::floats(values, floats), histograms, position, notes, |sum| {
                    (sum.resets.collide(), sum.bounds_reconciled, sum.finish())
                })
            }
            Gathered::Means { means, histograms, floats } => {
                let values: Vec<f64> = means.iter().map(|mean| mean.as_ref().map_or(0.0, Mean::value)).collect();
                with_histograms(Row::floats(values, floats), histograms, position, notes, |mean| {
                    (mean.resets().collide(), mean.bounds_reconciled(), mean.finish())
                })
            }
            Gathered::Extremes(values) => Row::floats(values, seen),
            Gathered::Counts(counts) if op == AggregateOp::Group => Row::floats(vec![1.0; counts.len()], seen),
            Gathered::Counts(counts) => Row::floats(counts, seen),
            Gathered::Moments(moments) => {
                let variance = |moments: &Moments| moments.squares / moments.count;
                let values: Vec<f64> = match op {
                    AggregateOp::Stddev => moments.iter().map(|moments| variance(moments).sqrt()).collect(),
                    _ => moments.iter().map(variance).collect(),
                };
                Row::floats(values, seen)
            }
            Gathered::Values(values) => {
                let quantiles = values.into_iter().zip(parameter);
                let values: Vec<f64> =
                    quantiles.map(|(mut values, phi)| quantile::quantile(*phi, &mut values)).collect();
                Row::floats(values, seen)
            }
        }
    }
}

/// Gives the histograms of a row to `gather`, which says whether it could take them, and leaves the floats. Whether
/// some could not be taken.
fn take_histograms(row: &mut Row, mut gather: impl FnMut(usize, &Arc<Histogram>) -> bool) -> bool {
    if !row.may_have_histograms() {
        return false;
    }
    let mut refused = false;
    for step in 0..row.steps() {
        if let Some(histogram) = row.histogram(step).filter(|_| row.has(step)) {
            refused |= !gather(step, histogram);
        }
    }
    row.drop_histograms();
    refused
}

fn gather<T>(
    place: &mut Option<Result<T, ()>>,
    histogram: &Arc<Histogram>,
    new: impl Fn(&Histogram) -> T,
    add: impl Fn(&mut T, &Histogram) -> bool,
) -> bool {
    match place {
        None => *place = Some(Ok(new(histogram))),
        Some(Ok(gathered)) => {
            if !add(gathered, histogram) {
                *place = Some(Err(()));
                return false;
            }
        }
        Some(Err(())) => {}
    }
    true
}

fn told_mix(refused: bool, labels: &Labels, position: Position, notes: &mut Annotations) {
    if refused {
        notes.add(Note::MixedExponentialCustom(labels.metric_name().unwrap_or("").to_owned()), position);
    }
}

fn told_ignored(row: &mut Row, op: AggregateOp, position: Position, notes: &mut Annotations) {
    if row.drop_histograms() {
        notes.add(Note::HistogramIgnoredInAggregation(op.as_str()), position);
    }
}

/// Floats with histograms; where both met, or histograms that cannot meet, there is nothing.
fn with_histograms<T>(
    mut row: Row,
    histograms: Option<Histograms<T>>,
    position: Position,
    notes: &mut Annotations,
    finish: impl Fn(T) -> (bool, bool, Histogram),
) -> Row {
    for (step, gathered) in histograms.into_iter().flatten().enumerate() {
        let Some(gathered) = gathered else { continue };
        if row.has(step) {
            notes.add(Note::MixedFloatsHistogramsInAggregation, position);
            row.remove(step);
            continue;
        }
        let Ok(gathered) = gathered else { continue };
        let (resets_collide, reconciled, histogram) = finish(gathered);
        if resets_collide {
            notes.add(Note::CounterResetCollision(Operation::Aggregation), position);
        }
        if reconciled {
            notes.add(Note::ReconciledBuckets(Operation::Aggregation), position);
        }
        row.set_histogram(step, Arc::new(histogram));
    }
    row
}
