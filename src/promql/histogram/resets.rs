//! Counter resets between two histograms of one series.

use std::sync::Arc;

use crate::model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};
use crate::model::{Column, Histogram, ResetHint};

use super::buckets::{Cells, bound};
use super::layout::{coarser, common_bounds, rebound_index, same_bounds};
use super::tally::widened_zero_bucket;

/// Whether `current` does not continue `previous`: some count is smaller, or the zero bucket or the resolution
/// became finer, which only a restart does. The hint of `current` decides if it is sure. The sum does not matter: it
/// may fall with negative observations. (Prometheus: `FloatHistogram.DetectReset`.)
pub fn is_reset(current: &Histogram, previous: &Histogram) -> bool {
    match current.reset_hint {
        ResetHint::Yes => true,
        ResetHint::No => false,
        // A gauge that is asked for resets anyway is treated as a counter.
        ResetHint::Unknown | ResetHint::Gauge => counts_fell(current, previous),
    }
}

fn counts_fell(current: &Histogram, previous: &Histogram) -> bool {
    if current.count < previous.count || current.has_custom_buckets() != previous.has_custom_buckets() {
        return true;
    }
    if current.has_custom_buckets() {
        return custom_fell(current, previous);
    }
    if current.schema > previous.schema || current.zero_threshold < previous.zero_threshold {
        return true;
    }
    let (previous_zero, threshold) = widened_zero_bucket(previous, current.zero_threshold);
    // The new zero bucket may not end inside a populated bucket of the histogram before.
    if threshold != current.zero_threshold || current.zero_count < previous_zero {
        return true;
    }
    let shift = previous.schema.abs_diff(current.schema);
    let fell = |now: (&[BucketSpan], &[f64]), before: (&[BucketSpan], &[f64])| {
        let swallowed = |index: i32| bound(index, current.schema, &[]) <= current.zero_threshold;
        let none_swallowed = !now.0.first().is_some_and(|first| swallowed(first.offset));
        if shift == 0 && none_swallowed && now.0 == before.0 {
            // The usual case: nothing has changed but counts.
            return now.1.iter().zip(before.1).any(|(now, before)| now < before);
        }
        let place = |(index, count)| (if shift == 0 { index } else { coarser(index, shift) }, count);
        let inside = |(index, _): &(i32, f64)| swallowed(*index);
        any_fell(
            Cells::new(now.0, now.1).skip_while(inside),
            Cells::new(before.0, before.1).map(place).skip_while(inside),
        )
    };
    fell((&current.positive_spans, &current.positive_buckets), (&previous.positive_spans, &previous.positive_buckets))
        || fell(
            (&current.negative_spans, &current.negative_buckets),
            (&previous.negative_spans, &previous.negative_buckets),
        )
}

fn custom_fell(current: &Histogram, previous: &Histogram) -> bool {
    let now = Cells::new(&current.positive_spans, &current.positive_buckets);
    let before = Cells::new(&previous.positive_spans, &previous.positive_buckets);
    if same_bounds(&current.custom_values, &previous.custom_values) {
        return any_fell(now, before);
    }
    let bounds = common_bounds(&current.custom_values, &previous.custom_values);
    any_fell(
        now.map(|(index, count)| (rebound_index(index, &current.custom_values, &bounds), count)),
        before.map(|(index, count)| (rebound_index(index, &previous.custom_values, &bounds), count)),
    )
}

/// Whether some bucket holds less now than before; both sides rise in their indices, and cells of one index add up.
fn any_fell(now: impl Iterator<Item = (i32, f64)>, before: impl Iterator<Item = (i32, f64)>) -> bool {
    let (mut now, mut before) = (now.peekable(), before.peekable());
    while let Some((index, mut held)) = before.next() {
        while let Some((_, more)) = before.next_if(|(at, _)| *at == index) {
            held += more;
        }
        while now.next_if(|(at, _)| *at < index).is_some() {}
        let mut holds = 0.0;
        while let Some((_, count)) = now.next_if(|(at, _)| *at == index) {
            holds += count;
        }
        if holds < held {
            return true;
        }
    }
    false
}

/// Gives each histogram of a series the hint that Prometheus' storage gives when it reads the series back: what was
/// sent of resets and gauges stands, everything else is compared with the row before.
///
/// Storage here keeps hints as they were sent, and most senders leave it to the receiver to compare.
pub fn settle_hints(column: &mut Column) {
    for at in 0..column.histograms.len() {
        let (before, rest) = column.histograms.split_at_mut(at);
        let (row, current) = &mut rest[0];
        // A float or a stale marker between two histograms leaves nothing to compare with.
        let previous = before.last().filter(|(previous_row, _)| previous_row + 1 == *row).map(|(_, previous)| previous);
        let hint = hint_after(previous.map(|previous| &**previous), current);
        if hint != current.reset_hint {
            Arc::make_mut(current).reset_hint = hint;
        }
    }
}

/// The hint of `current` behind `previous`. A change of layout that is no reset starts a new chunk in Prometheus, of
/// which nothing is claimed. The first histogram, or one behind a float, has nothing but what was sent.
fn hint_after(previous: Option<&Histogram>, current: &Histogram) -> ResetHint {
    match (current.reset_hint, previous) {
        (ResetHint::Gauge | ResetHint::Yes, _) => current.reset_hint,
        (sent, None) => sent,
        (_, Some(previous)) if previous.reset_hint == ResetHint::Gauge => ResetHint::Unknown,
        (_, Some(previous)) if current.count < previous.count => ResetHint::Yes,
        (_, Some(previous)) if !same_layout(current, previous) => ResetHint::Unknown,
        (_, Some(previous)) if counts_fell(current, previous) => ResetHint::Yes,
        _ => ResetHint::No,
    }
}

fn same_layout(current: &Histogram, previous: &Histogram) -> bool {
    current.schema == previous.schema
        && current.zero_threshold == previous.zero_threshold
        && (current.schema != CUSTOM_BUCKETS_SCHEMA || same_bounds(&current.custom_values, &previous.custom_values))
}

/// Which resets a set of histograms claims; claims of both kinds contradict each other when they are added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResetsSeen {
    reset: bool,
    no_reset: bool,
}

impl ResetsSeen {
    /// Takes a histogram's claim into account.
    pub fn note(&mut self, hint: ResetHint) {
        self.reset |= hint == ResetHint::Yes;
        self.no_reset |= hint == ResetHint::No;
    }

    /// Whether the claims contradict each other.
    pub fn collide(self) -> bool {
        self.reset && self.no_reset
    }
}
