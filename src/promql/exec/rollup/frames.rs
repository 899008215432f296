//! What the times of a series say of each window. The series of one target are scraped together: it is found once for
//! all of them.

use crate::model::Timestamp;
use crate::promql::functions::rate::{Edges, Stretch};

use super::{Cursor, Windows};

/// Series whose times are remembered. Where neighbours belong to several targets, these take turns.
const KNOWN_MAX: usize = 4;
/// So many more series than twice those whose times were known, and remembering was not worth it.
const MISSES_MAX: usize = 8;
/// For fewer steps it is not.
const STEPS_MIN: usize = 8;

/// A window with samples.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) step: u32,
    /// The first sample inside, and the first behind.
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) stretch: Stretch,
    /// By what an increase is multiplied, unless the counter would have been below zero where the window begins.
    pub(super) factor: f64,
}

/// The frames of a few series lately met, for one function over one grid.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    known: Vec<Known>,
    next: usize,
    hits: usize,
    misses: usize,
}

#[derive(Debug)]
struct Known {
    times: Vec<Timestamp>,
    frames: Vec<Frame>,
}

impl Frames {
    /// The windows that `times` lie in; `None` where these would not be of use again.
    pub(super) fn of(&mut self, windows: &Windows<'_>, times: &[Timestamp], length_seconds: f64) -> Option<&[Frame]> {
        if windows.scope.steps() < STEPS_MIN || u32::try_from(times.len()).is_err() {
            return None;
        }
        if let Some(place) = self.known.iter().position(|known| known.times == times) {
            self.hits += 1;
            return Some(&self.known[place].frames);
        }
        self.misses += 1;
        if self.misses > MISSES_MAX + 2 * self.hits {
            return None;
        }
        let known = Known { times: times.to_vec(), frames: frames(windows, times, length_seconds) };
        let place = self.next;
        self.next = (place + 1) % KNOWN_MAX;
        match self.known.get_mut(place) {
            Some(old) => *old = known,
            None => self.known.push(known),
        }
        Some(&self.known[place].frames)
    }
}

fn frames(windows: &Windows<'_>, times: &[Timestamp], length_seconds: f64) -> Vec<Frame> {
    let mut cursor = Cursor::default();
    let mut frames = Vec::with_capacity(windows.scope.steps());
    for (step, at) in windows.scope.grid.points().enumerate() {
        let end = windows.range.shift.apply(at);
        let open_start = end - windows.range.length;
        let inside = cursor.move_on(times, open_start, end);
        let Some(last) = inside.end.checked_sub(1).filter(|last| *last >= inside.start) else { continue };
        let edges = Edges { first: times[inside.start], last: times[last], samples: inside.len(), start: None };
        let stretch = edges.stretch(open_start, end);
        let factor = stretch.factor(None) / length_seconds;
        frames.push(Frame { step: step as u32, from: inside.start as u32, to: inside.end as u32, stretch, factor });
    }
    frames
}
