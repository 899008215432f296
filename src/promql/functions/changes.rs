//! `resets` and `changes`: how often something happens between two samples that follow each other.

use std::sync::Arc;

use crate::model::{Histogram, Timestamp};
use crate::promql::ast::Extension;
use crate::promql::exec::row::Cell;
use crate::promql::histogram;

use super::range::{Points, Window};
use super::rate::started_anew;

/// A sample of either kind.
#[derive(Clone, Copy)]
enum Value<'a> {
    Float(f64),
    Histogram(&'a Histogram),
}

#[derive(Clone, Copy)]
struct Point<'a> {
    at: Timestamp,
    start: Option<Timestamp>,
    value: Value<'a>,
}

/// Floats and histograms in time order.
fn merged<'a>(floats: Points<'a, f64>, histograms: Points<'a, Arc<Histogram>>) -> impl Iterator<Item = Point<'a>> {
    let (mut float, mut histogram) = (0, 0);
    std::iter::from_fn(move || {
        let next_float = floats.times.get(float);
        let next_histogram = histograms.times.get(histogram);
        let float_first = match (next_float, next_histogram) {
            (Some(float), Some(histogram)) => float < histogram,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return None,
        };
        Some(match float_first {
            true => {
                float += 1;
                let index = float - 1;
                let value = Value::Float(floats.values[index]);
                Point { at: floats.times[index], start: floats.start(index), value }
            }
            false => {
                histogram += 1;
                let index = histogram - 1;
                let value = Value::Histogram(&histograms.values[index]);
                Point { at: histograms.times[index], start: histograms.start(index), value }
            }
        })
    })
}

/// How many pairs of neighbours `happened` holds for. With `anchored`, the pairs begin with the last sample at or before
/// the window's start, and there must be one inside.
fn count(window: &Window<'_>, happened: impl Fn(&Point<'_>, &Point<'_>) -> bool) -> Option<Cell> {
    let points: Vec<Point<'_>> = merged(window.floats, window.histograms).collect();
    let mut from = 0;
    if window.extension == Some(Extension::Anchored) {
        let inside = points.partition_point(|point| point.at <= window.open_start);
        if inside == points.len() {
            return None;
        }
        from = inside.saturating_sub(1);
    }
    Some(Cell::Float(points[from..].windows(2).filter(|pair| happened(&pair[0], &pair[1])).count() as f64))
}

pub(crate) fn resets(window: &Window<'_>) -> Option<Cell> {
    count(window, |before, point| match (before.value, point.value) {
        (Value::Float(left), Value::Float(right)) => {
            right < left || started_anew(before.start, before.at, point.start, point.at)
        }
        (Value::Histogram(left), Value::Histogram(right)) => {
            started_anew(before.start, before.at, point.start, point.at) || histogram::is_reset(right, left)
        }
        _ => true,
    })
}

pub(crate) fn changes(window: &Window<'_>) -> Option<Cell> {
    count(window, |before, point| match (before.value, point.value) {
        (Value::Float(left), Value::Float(right)) => left != right && !(left.is_nan() && right.is_nan()),
        (Value::Histogram(left), Value::Histogram(right)) => !histogram::equal(right, left),
        _ => true,
    })
}
