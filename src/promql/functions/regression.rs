//! Straight lines and smooth curves through the floats of a window.

use crate::model::Timestamp;
use crate::promql::exec::row::Cell;

use super::kahan::Sum;
use super::range::{Notes, Points, Window};

/// Slope per second, and the value at `at`, of the line nearest to all points (least squares).
fn line(points: Points<'_, f64>, at: Timestamp) -> (f64, f64) {
    let first = points.values[0];
    if points.values[1..].iter().all(|value| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let [mut sum_x, mut sum_y, mut sum_xy, mut sum_xx] = [Sum::default(); 4];
    for (time, y) in points.times.iter().zip(points.values) {
        let x = (*time - at).as_millis() as f64 / 1e3;
        sum_x = sum_x.plus(x);
        sum_y = sum_y.plus(*y);
        sum_xy = sum_xy.plus(x * y);
        sum_xx = sum_xx.plus(x * x);
    }
    let n = points.len() as f64;
    let (x, y, xy, xx) = (sum_x.total(), sum_y.total(), sum_xy.total(), sum_xx.total());
    let slope = (xy - x * y / n) / (xx - x * x / n);
    (slope, y / n - slope * x / n)
}

/// Whether there are the two floats that a direction needs. A lone float beside histograms is worth a note.
fn enough(window: &Window<'_>, notes: &mut Notes<'_>) -> bool {
    if !window.floats.is_empty() {
        notes.ignored_histograms(window);
    }
    window.floats.len() >= 2
}

pub(crate) fn deriv(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<Cell> {
    // Times are taken from a point near by: seconds since 1970 would cost digits.
    enough(window, notes).then(|| Cell::Float(line(window.floats, window.floats.times[0]).0))
}

pub(crate) fn predict_linear(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<Cell> {
    enough(window, notes).then(|| {
        let (slope, now) = line(window.floats, window.step);
        Cell::Float(slope * window.parameters[0] + now)
    })
}

/// Double exponential smoothing (Holt): `parameters` are the smoothing and the trend factor, both checked before.
pub(crate) fn double_exponential_smoothing(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<Cell> {
    if !enough(window, notes) {
        return None;
    }
    let [smoothing, trend_factor] = window.parameters;
    let values = window.floats.values;
    let (mut before, mut level, mut trend) = (0.0, values[0], values[1] - values[0]);
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        (before, level) = (level, next);
    }
    Some(Cell::Float(level))
}
