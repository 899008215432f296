//! `histogram_quantile` and its siblings: estimates from histograms, classic (a series for each `le`) or native.

use crate::model::{Labels, Timestamp};
use crate::promql::QueryError;
use crate::promql::annotations::{Annotations, Monotonicity, Note, general};
use crate::promql::ast::Position;
use crate::promql::histogram::classic::{self, ClassicBucket};
use crate::promql::histogram::{self, NanNote};
use crate::promql::plan::Node;

use super::row::Row;
use super::stream::{Entry, Map, Stream, merge_same};
use super::{Query, Scope};

const BUCKET_LABEL: &str = "le";

/// The quantiles that are asked for, and what notes about them point at.
pub(crate) struct Asked<'q> {
    /// Each column holds a quantile for each step.
    columns: Vec<Vec<f64>>,
    positions: Vec<Position>,
    /// The label that tells quantiles apart, if there may be several.
    label: Option<&'q str>,
    vector: Position,
}

impl<'q> Asked<'q> {
    /// `histogram_quantile(φ, vector)`
    pub(crate) fn one(quantile: Position, vector: Position, columns: Vec<Vec<f64>>) -> Self {
        Asked { columns, positions: vec![quantile], label: None, vector }
    }

    /// `histogram_quantiles(vector, "label", φ, ...)`
    pub(crate) fn many(vector: Position, quantiles: &[Node], label: &'q str, columns: Vec<Vec<f64>>) -> Self {
        let positions = quantiles.iter().map(|quantile| quantile.position).collect();
        Asked { columns, positions, label: Some(label), vector }
    }
}

/// The histograms of a vector.
struct Histograms {
    /// Series with native histograms.
    native: Vec<(Entry, Row)>,
    classic: Vec<Classic>,
}

/// Series that differ in `le` alone.
struct Classic {
    entry: Entry,
    buckets: Vec<(f64, Row)>,
}

impl Classic {
    /// The buckets that are there at `step`.
    fn at(&self, step: usize, into: &mut Vec<ClassicBucket>) {
        into.clear();
        let present = self.buckets.iter().filter_map(|(upper, row)| Some((*upper, row.float(step)?)));
        into.extend(present.map(|(upper, count)| ClassicBucket { upper, count }));
    }
}

impl Histograms {
    /// Sorts out a vector. Where a classic and a native histogram go by the same labels at the same time, neither counts.
    fn of(query: &Query<'_>, stream: Stream<'_>, position: Position) -> Result<Self, QueryError> {
        let delayed = query.delayed();
        let metric = |labels: &Labels| match delayed {
            true => labels.metric_name().unwrap_or("").to_owned(),
            false => String::new(),
        };
        let mut places: Map<Labels, usize> = Map::default();
        let (mut native, mut classic): (Vec<(Entry, Row)>, Vec<Classic>) = (Vec::new(), Vec::new());
        let mut notes = Annotations::default();
        for (entry, row) in stream.collect(query)? {
            let mut floats = row.clone();
            let has_histograms = floats.drop_histograms();
            if has_histograms {
                native.push((entry.clone(), row));
            }
            if floats.is_empty() {
                continue;
            }
            let upper = entry.labels.get(BUCKET_LABEL).unwrap_or("");
            let Ok(bound) = upper.parse::<f64>() else {
                notes.add(Note::BadBucketLabel { value: upper.to_owned(), metric: metric(&entry.labels) }, position);
                continue;
            };
            let labels = entry.labels.without(|name| name == BUCKET_LABEL);
            let place = *places.entry(labels.clone()).or_insert_with(|| {
                classic.push(Classic { entry: Entry { labels, ..entry }, buckets: Vec::new() });
                classic.len() - 1
            });
            classic[place].buckets.push((bound, floats));
        }
        for (entry, row) in &mut native {
            let Some(place) = places.get(&entry.labels) else { continue };
            for step in 0..row.steps() {
                let meets = |(_, bucket): &(f64, Row)| bucket.has(step);
                if row.histogram(step).is_some() && row.has(step) && classic[*place].buckets.iter().any(meets) {
                    notes.add(Note::MixedClassicNative(metric(&entry.labels)), position);
                    row.remove(step);
                    classic[*place].buckets.iter_mut().for_each(|(_, bucket)| bucket.remove(step));
                }
            }
        }
        query.note_all(notes);
        Ok(Histograms { native, classic })
    }
}

/// `histogram_quantile`, `histogram_quantiles`
pub(crate) fn quantiles<'q>(
    query: &'q Query<'q>,
    of: Stream<'q>,
    asked: &Asked<'_>,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    let steps = scope.steps();
    for (column, position) in asked.columns.iter().zip(&asked.positions) {
        for wrong in column.iter().filter(|phi| !(0.0..=1.0).contains(*phi)) {
            query.note(Note::InvalidQuantile(*wrong), *position);
        }
    }
    let histograms = Histograms::of(query, of, asked.vector)?;
    let mut notes = Annotations::default();
    let mut results = Results { label: asked.label, steps, rows: Vec::new() };
    for column in &asked.columns {
        for (entry, row) in &histograms.native {
            let entry = entry.dropping_name(query.delayed());
            let metric = entry.labels.metric_name().unwrap_or("").to_owned();
            let mut result = results.series(&entry);
            for step in row.present().iter() {
                let Some(histogram) = row.histogram(step) else { continue };
                let (value, nan) = histogram::quantile(column[step], histogram);
                match nan {
                    Some(NanNote::ResultIsNan) => notes.add(Note::NanObservationsNan(metric.clone()), asked.vector),
                    Some(NanNote::SkewedHigher) => notes.add(Note::NanObservationsSkew(metric.clone()), asked.vector),
                    None => {}
                }
                result.set(step, column[step], value);
            }
        }
        let mut buckets = Vec::new();
        for classic in &histograms.classic {
            let entry = classic.entry.dropping_name(query.delayed());
            let metric = entry.labels.metric_name().unwrap_or("").to_owned();
            let mut result = results.series(&entry);
            for (step, phi) in column.iter().enumerate() {
                classic.at(step, &mut buckets);
                if buckets.is_empty() {
                    continue;
                }
                let (value, forced) = classic::quantile(*phi, &mut buckets);
                if let Some(forced) = forced {
                    let seen = monotonicity(forced, scope.grid.at(step));
                    notes.add(Note::ForcedMonotonicity { metric: metric.clone(), seen }, asked.vector);
                }
                result.set(step, *phi, value);
            }
        }
    }
    query.note_all(notes);
    Ok(Stream::ready(merge_same(results.finish())?))
}

fn monotonicity(forced: classic::Forced, at: Timestamp) -> Monotonicity {
    Monotonicity {
        first: at,
        last: at,
        lowest_bucket: forced.first,
        highest_bucket: forced.last,
        largest_difference: forced.largest,
        samples: 1,
    }
}

/// Rows by the labels they get, which may name a quantile that differs from step to step.
struct Results<'a> {
    label: Option<&'a str>,
    steps: usize,
    rows: Vec<(Entry, Row)>,
}

struct SeriesResult<'a, 'b> {
    results: &'b mut Results<'a>,
    entry: &'b Entry,
    /// The quantile last seen and the place of its row.
    current: Option<(u64, usize)>,
    first: usize,
}

impl<'a> Results<'a> {
    fn series<'b>(&'b mut self, entry: &'b Entry) -> SeriesResult<'a, 'b> {
        let first = self.rows.len();
        SeriesResult { results: self, entry, current: None, first }
    }

    fn finish(self) -> Vec<(Entry, Row)> {
        self.rows
    }
}

impl SeriesResult<'_, '_> {
    fn set(&mut self, step: usize, phi: f64, value: f64) {
        let key = if self.results.label.is_some() { phi.to_bits() } else { 0 };
        let place = match self.current {
            Some((known, place)) if known == key => place,
            _ => self.place(phi),
        };
        self.current = Some((key, place));
        self.results.rows[place].1.set_float(step, value);
    }

    fn place(&mut self, phi: f64) -> usize {
        let labels = match self.results.label {
            Some(label) => self.entry.labels.with(label, &open_metrics_float(phi)),
            None => self.entry.labels.clone(),
        };
        let known = self.results.rows[self.first..].iter().position(|(entry, _)| entry.labels == labels);
        known.map(|place| self.first + place).unwrap_or_else(|| {
            let entry = Entry { labels, name_dropped: self.entry.name_dropped };
            self.results.rows.push((entry, Row::absent(self.results.steps)));
            self.results.rows.len() - 1
        })
    }
}

/// A float as OpenMetrics writes label values: never without a point or an exponent.
fn open_metrics_float(value: f64) -> String {
    let text = general(value);
    match value.is_finite() && !text.contains(['.', 'e']) {
        true => format!("{text}.0"),
        false => text,
    }
}

/// `histogram_fraction`
pub(crate) fn fraction<'q>(
    query: &'q Query<'q>,
    of: &Node,
    stream: Stream<'q>,
    lower: &[f64],
    upper: &[f64],
) -> Result<Stream<'q>, QueryError> {
    let histograms = Histograms::of(query, stream, of.position)?;
    let steps = lower.len();
    let mut notes = Annotations::default();
    let mut table = Vec::new();
    for (entry, row) in &histograms.native {
        let entry = entry.dropping_name(query.delayed());
        let mut result = Row::absent(steps);
        for step in row.present().iter() {
            let Some(histogram) = row.histogram(step) else { continue };
            let (value, nan) = histogram::fraction(lower[step], upper[step], histogram);
            if nan {
                let metric = entry.labels.metric_name().unwrap_or("").to_owned();
                notes.add(Note::NanObservationsFraction(metric), of.position);
            }
            result.set_float(step, value);
        }
        table.push((entry, result));
    }
    let mut buckets = Vec::new();
    for classic in &histograms.classic {
        let mut result = Row::absent(steps);
        for step in 0..steps {
            classic.at(step, &mut buckets);
            if !buckets.is_empty() {
                result.set_float(step, classic::fraction(lower[step], upper[step], &mut buckets));
            }
        }
        table.push((classic.entry.dropping_name(query.delayed()), result));
    }
    query.note_all(notes);
    Ok(Stream::ready(merge_same(table)?))
}
