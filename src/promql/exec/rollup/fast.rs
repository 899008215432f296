//! The same over floats alone, without looking at each sample once per window.
//!
//! What happens between two neighbours (a reset, a change) is found once per series; each window then asks which of these
//! places lie inside. Smallest and largest values wait in a queue. The results are those of the plain functions, bit for
//! bit: what is added is added in the same order.

use std::collections::VecDeque;

use crate::model::Timestamp;
use crate::promql::functions::range::{Points, RangeFunction, Window};
use crate::promql::functions::rate;

use super::super::row::Row;
use super::frames::Frames;
use super::{Cursor, Windows};

/// Fills `row` where there is a faster way. Whether there was.
pub(super) fn row(
    windows: &Windows<'_>,
    floats: Points<'_, f64>,
    frames: &mut Frames,
    row: &mut Row,
    looked_at: &mut [u64],
) -> bool {
    use RangeFunction as R;
    let values = floats.values;
    match windows.function {
        R::Rate | R::Increase => {
            let per_second = windows.function == R::Rate;
            if !floats.starts.is_empty() && (1..floats.len()).any(|index| rate::starts_overlap(&floats, index)) {
                // Which windows see the overlap is for the plain function to say.
                return false;
            }
            let mut resets = Places::resets(&floats);
            if floats.starts.is_empty() && framed_rates(windows, floats, &mut resets, frames, row, looked_at) {
                return true;
            }
            walk(windows, floats, row, looked_at, |inside, window| {
                let increase = values[inside.end - 1] - values[inside.start];
                let lost = resets.inside(&inside).iter().map(|index| values[index - 1]);
                rate::stretched(window, lost.fold(increase, |sum, value| sum + value), true, per_second)
            });
        }
        R::Resets => {
            let mut resets = Places::resets(&floats);
            walk(windows, floats, row, looked_at, |inside, _| Some(resets.inside(&inside).len() as f64));
        }
        R::Changes => {
            let changed = |index: usize| {
                let (before, value) = (values[index - 1], values[index]);
                before != value && !(before.is_nan() && value.is_nan())
            };
            let mut changes = Places::find(floats.len(), changed);
            walk(windows, floats, row, looked_at, |inside, _| Some(changes.inside(&inside).len() as f64));
        }
        R::Count => walk(windows, floats, row, looked_at, |inside, _| Some(inside.len() as f64)),
        R::Last => walk(windows, floats, row, looked_at, |inside, _| Some(values[inside.end - 1])),
        R::Min => {
            let mut queue = Extremes::new(|candidate, best| candidate < best);
            walk(windows, floats, row, looked_at, |inside, _| Some(queue.best(values, inside)));
        }
        R::Max => {
            let mut queue = Extremes::new(|candidate, best| candidate > best);
            walk(windows, floats, row, looked_at, |inside, _| Some(queue.best(values, inside)));
        }
        _ => return false,
    }
    true
}

/// Rates of a series without start times, by the frames of its times; `false`, and nothing done, where there are none.
fn framed_rates(
    windows: &Windows<'_>,
    floats: Points<'_, f64>,
    resets: &mut Places,
    frames: &mut Frames,
    row: &mut Row,
    looked_at: &mut [u64],
) -> bool {
    let values = floats.values;
    // An increase is divided by one: the bits stay.
    let per_second = windows.function == RangeFunction::Rate;
    let seconds = if per_second { windows.range.length.as_seconds() } else { 1.0 };
    let Some(frames) = frames.of(windows, floats.times, seconds) else { return false };
    for frame in frames {
        let (from, to) = (frame.from as usize, frame.to as usize);
        looked_at[frame.step as usize] += (to - from) as u64;
        if to - from < 2 {
            continue;
        }
        let first = values[from];
        let mut increase = values[to - 1] - first;
        for index in resets.inside(&(from..to)) {
            increase += values[index - 1];
        }
        // A counter that was at least as large as it grew does not reach zero before the window begins.
        let is_far_from_zero = first >= increase && frame.stretch.reaches_start();
        let factor = match increase > 0.0 && first >= 0.0 && !is_far_from_zero {
            true => frame.stretch.factor(Some(first / increase)) / seconds,
            false => frame.factor,
        };
        row.set_float(frame.step as usize, increase * factor);
    }
    true
}

/// Calls `value` with each window that sees a sample.
fn walk(
    windows: &Windows<'_>,
    floats: Points<'_, f64>,
    row: &mut Row,
    looked_at: &mut [u64],
    mut value: impl FnMut(std::ops::Range<usize>, &Window<'_>) -> Option<f64>,
) {
    let nothing = Points { times: &[] as &[Timestamp], values: &[], starts: &[] };
    let mut cursor = Cursor::default();
    for (step, at) in windows.scope.grid.points().enumerate() {
        let end = windows.range.shift.apply(at);
        let open_start = end - windows.range.length;
        let inside = cursor.move_on(floats.times, open_start, end);
        if inside.is_empty() {
            continue;
        }
        looked_at[step] += inside.len() as u64;
        let window = Window {
            floats: floats.slice(inside.clone()),
            histograms: nothing,
            open_start,
            end,
            step: at,
            length: windows.range.length,
            extension: None,
            parameters: [0.0; 2],
        };
        if let Some(value) = value(inside, &window) {
            row.set_float(step, value);
        }
    }
}

/// Places where something happens between a sample and the one before it.
struct Places {
    at: Vec<usize>,
    from: usize,
    to: usize,
}

impl Places {
    fn find(samples: usize, happens: impl Fn(usize) -> bool) -> Self {
        Places { at: (1..samples).filter(|index| happens(*index)).collect(), from: 0, to: 0 }
    }

    fn resets(floats: &Points<'_, f64>) -> Self {
        // Most counters are never reset: that is seen many samples at a time.
        let falls = |values: &[f64]| values.windows(2).fold(false, |found, pair| found | (pair[1] < pair[0]));
        match floats.starts.is_empty() && !falls(floats.values) {
            true => Places { at: Vec::new(), from: 0, to: 0 },
            false => Places::find(floats.len(), |index| rate::is_float_reset(floats, index)),
        }
    }

    /// The places with both samples inside. Windows only ever move on.
    fn inside(&mut self, window: &std::ops::Range<usize>) -> &[usize] {
        self.to += self.at[self.to..].iter().take_while(|at| **at < window.end).count();
        self.from += self.at[self.from..self.to].iter().take_while(|at| **at <= window.start).count();
        &self.at[self.from..self.to]
    }
}

/// The best value of a window that moves on: a queue of those that nothing behind them beats.
struct Extremes<F> {
    better: F,
    waiting: VecDeque<usize>,
    taken: usize,
}

impl<F: Fn(f64, f64) -> bool> Extremes<F> {
    fn new(better: F) -> Self {
        Extremes { better, waiting: VecDeque::new(), taken: 0 }
    }

    fn best(&mut self, values: &[f64], window: std::ops::Range<usize>) -> f64 {
        for index in self.taken.max(window.start)..window.end {
            let value = values[index];
            if value.is_nan() {
                continue;
            }
            while self.waiting.back().is_some_and(|back| (self.better)(value, values[*back])) {
                self.waiting.pop_back();
            }
            self.waiting.push_back(index);
        }
        self.taken = window.end;
        while self.waiting.front().is_some_and(|front| *front < window.start) {
            self.waiting.pop_front();
        }
        // NaN is the best only where there is nothing else.
        self.waiting.front().map_or(f64::NAN, |front| values[*front])
    }
}
