//! The `_over_time` family.

use std::sync::Arc;

use crate::promql::annotations::Note;
use crate::promql::exec::row::Cell;

use super::kahan::{Mean, Sum};
use super::quantile as ranks;
use super::range::{Notes, Window};
use super::rate::histograms;

pub(crate) fn sum(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<Cell> {
    if window.histograms.is_empty() {
        let sum = window.floats.values.iter().fold(Sum::default(), |sum, value| sum.plus(*value));
        return Some(Cell::Float(if sum.sum.is_infinite() { sum.sum } else { sum.total() }));
    }
    if !window.floats.is_empty() {
        notes.mixed();
        return None;
    }
    histograms::sum(window.histograms.values, notes)
}

pub(crate) fn avg(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<Cell> {
    if window.histograms.is_empty() {
        let (first, rest) = window.floats.values.split_first()?;
        let mut mean = Mean::of(*first);
        rest.iter().for_each(|value| mean.add(*value));
        return Some(Cell::Float(mean.value()));
    }
    if !window.floats.is_empty() {
        notes.mixed();
        return None;
    }
    histograms::avg(window.histograms.values, notes)
}

/// The value (or its time) for which `better` holds against all others, the first or last of equals as `better` says.
pub(crate) fn extreme(
    window: &Window<'_>,
    notes: &mut Notes<'_>,
    better: impl Fn(f64, f64) -> bool,
    time: bool,
) -> Option<Cell> {
    let floats = window.floats;
    let (mut best, mut at) = (*floats.values.first()?, *floats.times.first()?);
    notes.ignored_histograms(window);
    for (value, when) in floats.values.iter().zip(floats.times) {
        if better(*value, best) || best.is_nan() {
            (best, at) = (*value, *when);
        }
    }
    Some(Cell::Float(if time { at.as_seconds() } else { best }))
}

pub(crate) fn first(window: &Window<'_>) -> Option<Cell> {
    match (window.floats.times.first(), window.histograms.times.first()) {
        (Some(float), Some(histogram)) if histogram <= float => {
            Some(Cell::Histogram(Arc::clone(&window.histograms.values[0])))
        }
        (Some(_), _) => Some(Cell::Float(window.floats.values[0])),
        (None, _) => window.histograms.values.first().map(|first| Cell::Histogram(Arc::clone(first))),
    }
}

pub(crate) fn last(window: &Window<'_>) -> Option<Cell> {
    match (window.floats.times.last(), window.histograms.times.last()) {
        (Some(float), Some(histogram)) if histogram >= float => {
            window.histograms.values.last().map(|last| Cell::Histogram(Arc::clone(last)))
        }
        (Some(_), _) => window.floats.values.last().map(|last| Cell::Float(*last)),
        (None, _) => window.histograms.values.last().map(|last| Cell::Histogram(Arc::clone(last))),
    }
}

pub(crate) fn time_of_first(window: &Window<'_>) -> Option<Cell> {
    let firsts = [window.floats.times.first(), window.histograms.times.first()];
    firsts.into_iter().flatten().min().map(|at| Cell::Float(at.as_seconds()))
}

pub(crate) fn time_of_last(window: &Window<'_>) -> Option<Cell> {
    let lasts = [window.floats.times.last(), window.histograms.times.last()];
    lasts.into_iter().flatten().max().map(|at| Cell::Float(at.as_seconds()))
}

/// The population variance, after Welford with compensation.
pub(crate) fn variance(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<f64> {
    if window.floats.is_empty() {
        return None;
    }
    notes.ignored_histograms(window);
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in window.floats.values {
        count += 1.0;
        let delta = value - mean.total();
        mean = mean.plus(delta / count);
        squares = squares.plus(delta * (value - mean.total()));
    }
    Some(squares.total() / count)
}

pub(crate) fn quantile(window: &Window<'_>, scratch: &mut Vec<f64>, notes: &mut Notes<'_>) -> Option<Cell> {
    if window.floats.is_empty() {
        return None;
    }
    let phi = window.parameters[0];
    if !(0.0..=1.0).contains(&phi) {
        notes.add(Note::InvalidQuantile(phi));
    }
    notes.ignored_histograms(window);
    scratch.clear();
    scratch.extend_from_slice(window.floats.values);
    Some(Cell::Float(ranks::quantile(phi, scratch)))
}

pub(crate) fn mad(window: &Window<'_>, scratch: &mut Vec<f64>, notes: &mut Notes<'_>) -> Option<Cell> {
    if window.floats.is_empty() {
        return None;
    }
    notes.ignored_histograms(window);
    scratch.clear();
    scratch.extend_from_slice(window.floats.values);
    Some(Cell::Float(ranks::median_deviation(scratch)))
}
