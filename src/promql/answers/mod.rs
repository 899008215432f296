//! Answers of range queries, kept for who asks again a moment later: a dashboard that is open asks for the same hours
//! every few seconds, and only the newest steps are new.
//!
//! ```text
//! kept      |---------------------------|        steps that were worked out before
//! changed                          ^ . . .       rows came since, from here on; less the reach of a pair's rows
//! asked         |---------------------------|
//! answer        [ taken over ][ worked out  ]
//! ```
//!
//! A step is taken over only if nothing that it rests on has changed since: the store says from when on that may be so
//! ([`SampleSource::holds_before`]), and [`stepwise`] which expressions have each step for themselves. So an answer is to
//! the bit what it would be without this room, also after late samples, deletions and switches between replicas.
//!
//! What is asked once is not kept: only when the same question comes again is its answer worth the memory. Answers with
//! native histograms, warnings or notes are not kept either, but for the note that a metric's name is not that of a
//! counter, which stays with what is taken over.

mod stepwise;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::model::{Span, StepGrid, Timestamp};
use crate::store::{Footing, SampleSource};

use super::EachSeries;
use super::annotations::is_of_names;
use super::ast::Expr;
use super::value::{Answer, QueryError, RangeSeries};

/// How many questions are remembered as asked.
const ASKED_MAX: usize = 1024;
/// One answer takes at most this share of all that may be kept.
const SHARE: usize = 8;
/// What an entry takes beside its points.
const SERIES_BYTES: usize = size_of::<RangeSeries>() + 128;

/// The answers that are kept.
#[derive(Debug)]
pub struct Answers {
    bytes_max: usize,
    held: Mutex<Held>,
    reused: AtomicU64,
    worked_out: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    kept: HashMap<Question, Kept, FixedState>,
    /// Hashes of what was asked last.
    asked: VecDeque<u64>,
    bytes: usize,
    /// Counts look-ups: the one that was used longest ago goes first.
    clock: u64,
}

/// What makes two questions the same, but for the hours that are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    text: Box<str>,
    lookback: Span,
    step: Span,
    /// Where points lie between multiples of the step.
    phase: i64,
    points: usize,
    /// Which store, seen how.
    source: u64,
}

#[derive(Debug)]
struct Kept {
    answer: Arc<Part>,
    used: u64,
}

/// Series at the points of a grid.
#[derive(Debug)]
struct Part {
    grid: StepGrid,
    series: Vec<RangeSeries>,
    infos: Vec<String>,
    footing: Footing,
    bytes: usize,
}

/// Works out the series at the points of a grid from what a source has.
pub(super) type WorkOut<'w> =
    dyn FnMut(&dyn SampleSource, StepGrid, &mut EachSeries<'_>) -> Result<Answer, QueryError> + 'w;

/// How often answers were of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reuse {
    /// Steps that were taken over from an earlier answer.
    pub reused: u64,
    /// Steps that were worked out.
    pub worked_out: u64,
    /// What is kept now, in bytes.
    pub bytes: u64,
}

impl Default for Answers {
    /// Keeps none.
    fn default() -> Self {
        Answers::new(0)
    }
}

impl Question {
    /// `None` where an answer to `expr` cannot be kept, or where it cannot be told how long it holds.
    pub(super) fn new(
        expr: &Expr,
        text: &str,
        grid: StepGrid,
        lookback: Span,
        source: &dyn SampleSource,
    ) -> Option<(Question, Footing)> {
        let footing = stepwise::is_stepwise(expr).then(|| source.footing())??;
        let (step, phase) = (grid.step(), grid.start().as_millis().rem_euclid(grid.step().as_millis()));
        let (text, points, source) = (text.into(), grid.len(), footing.source());
        Some((Question { text, lookback, step, phase, points, source }, footing))
    }
}

impl Answers {
    /// Keeps answers that take so many bytes at most; 0 keeps none.
    pub fn new(bytes_max: usize) -> Answers {
        let (reused, worked_out) = (AtomicU64::new(0), AtomicU64::new(0));
        Answers { bytes_max, held: Mutex::default(), reused, worked_out }
    }

    /// How often answers were of use.
    pub fn reuse(&self) -> Reuse {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let bytes = self.held.lock().bytes as u64;
        Reuse { reused: read(&self.reused), worked_out: read(&self.worked_out), bytes }
    }

    /// Whether nothing is ever kept.
    pub(super) fn is_off(&self) -> bool {
        self.bytes_max == 0
    }

    /// Hands the series of an answer to `each`, in the order of labels: steps that still hold from what is kept, the
    /// others as `work_out` gives them. `footing` began before anything was read.
    ///
    /// # Errors
    /// What `work_out` and `each` say.
    pub(super) fn answer(
        &self,
        (question, footing): (Question, Footing),
        source: &dyn SampleSource,
        grid: StepGrid,
        work_out: &mut WorkOut<'_>,
        each: &mut EachSeries<'_>,
    ) -> Result<Answer, QueryError> {
        let (earlier, asked_before) = self.look_up(&question);
        let watched = if asked_before { source.resting_on(&footing) } else { None };
        let Some(watched) = watched else {
            self.count(0, grid.len());
            return work_out(source, grid, each);
        };
        let holds = earlier.and_then(|earlier| {
            let steps = earlier.steps_that_hold(grid, source.holds_before(&earlier.footing));
            // Little is not worth it: what is worked out beside it is held until both are joined.
            (steps * 2 >= grid.len()).then_some((earlier, steps))
        });
        let mut keeper = Keeper::new(self.bytes_max / SHARE);
        let mut kept_too = |series: RangeSeries| {
            keeper.take(&series);
            each(series)
        };
        let answer = match holds {
            None => {
                self.count(0, grid.len());
                work_out(&*watched, grid, &mut kept_too)?
            }
            Some((earlier, steps)) => {
                self.count(steps, grid.len() - steps);
                footing.takes_over(&earlier.footing);
                earlier.go_on(steps, grid, &mut |rest, each| work_out(&*watched, rest, each), &mut kept_too)?
            }
        };
        if answer.warnings.is_empty() && answer.infos.iter().all(|info| is_of_names(info)) {
            self.keep(question, keeper.part(grid, answer.infos.clone(), footing));
        }
        Ok(answer)
    }

    /// What is kept of a question, and whether it was asked before.
    fn look_up(&self, question: &Question) -> (Option<Arc<Part>>, bool) {
        let mut held = self.held.lock();
        held.clock += 1;
        let clock = held.clock;
        if let Some(kept) = held.kept.get_mut(question) {
            kept.used = clock;
            return (Some(Arc::clone(&kept.answer)), true);
        }
        let hash = FixedState::default().hash_one(question);
        let asked_before = held.asked.contains(&hash);
        if !asked_before {
            held.asked.push_back(hash);
            if held.asked.len() > ASKED_MAX {
                held.asked.pop_front();
            }
        }
        (None, asked_before)
    }

    fn keep(&self, question: Question, part: Option<Part>) {
        let Some(part) = part else { return };
        let mut held = self.held.lock();
        let (used, bytes) = (held.clock, part.bytes + question.text.len());
        held.bytes += bytes;
        if let Some(before) = held.kept.insert(question, Kept { answer: Arc::new(Part { bytes, ..part }), used }) {
            held.bytes -= before.answer.bytes;
        }
        while held.bytes > self.bytes_max {
            let oldest = held.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(question, _)| question.clone());
            let Some(gone) = oldest.and_then(|oldest| held.kept.remove(&oldest)) else { return };
            held.bytes -= gone.answer.bytes;
        }
    }

    fn count(&self, reused: usize, worked_out: usize) {
        self.reused.fetch_add(reused as u64, Ordering::Relaxed);
        self.worked_out.fetch_add(worked_out as u64, Ordering::Relaxed);
    }
}

impl Part {
    /// How many steps of `grid`, from the first on, are here and lie before `holds_before`.
    fn steps_that_hold(&self, grid: StepGrid, holds_before: Timestamp) -> usize {
        if grid.start() < self.grid.start() {
            return 0;
        }
        let behind = holds_before.min(self.grid.at(self.grid.len()));
        match behind - grid.start() {
            until if until <= Span::ZERO => 0,
            until => usize::try_from((until.as_millis() - 1) / grid.step().as_millis() + 1)
                .map_or(grid.len(), |steps| steps.min(grid.len())),
        }
    }

    /// The first `steps` of `grid` from here, and the rest as `work_out` gives it.
    fn go_on(
        &self,
        steps: usize,
        grid: StepGrid,
        work_out: &mut dyn FnMut(StepGrid, &mut EachSeries<'_>) -> Result<Answer, QueryError>,
        each: &mut EachSeries<'_>,
    ) -> Result<Answer, QueryError> {
        let (mut answer, mut fresh, mut taken_over) = (Answer::default(), Vec::new(), 0);
        if steps < grid.len() {
            let rest = StepGrid::new(grid.at(steps), grid.end(), grid.step()).expect("there are steps left");
            answer = work_out(rest, &mut |series| {
                fresh.push(series);
                Ok(())
            })?;
        }
        let earlier = self.between(grid.start(), grid.at(steps)).inspect(|_| taken_over += 1);
        joined(earlier, fresh).try_for_each(each)?;
        if taken_over > 0 {
            answer.infos.retain(|info| !self.infos.contains(info));
            answer.infos.splice(0..0, self.infos.iter().cloned());
        }
        Ok(answer)
    }

    /// The series with their points from `from` on and before `until`.
    fn between(&self, from: Timestamp, until: Timestamp) -> impl Iterator<Item = RangeSeries> {
        self.series.iter().filter_map(move |series| {
            let floats = &series.floats;
            let floats =
                &floats[floats.partition_point(|(at, _)| *at < from)..floats.partition_point(|(at, _)| *at < until)];
            let series = RangeSeries { labels: series.labels.clone(), floats: floats.to_vec(), histograms: Vec::new() };
            (!floats.is_empty()).then_some(series)
        })
    }
}

/// Series of earlier and of later points, each sorted by labels, as one.
fn joined(earlier: impl Iterator<Item = RangeSeries>, later: Vec<RangeSeries>) -> impl Iterator<Item = RangeSeries> {
    let (mut earlier, mut later) = (earlier.peekable(), later.into_iter().peekable());
    std::iter::from_fn(move || {
        let order = match (earlier.peek(), later.peek()) {
            (Some(early), Some(late)) => early.labels.cmp(&late.labels),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        match order {
            std::cmp::Ordering::Less => earlier.next(),
            std::cmp::Ordering::Greater => later.next(),
            std::cmp::Ordering::Equal => {
                let mut series = earlier.next()?;
                let late = later.next()?;
                series.floats.extend(late.floats);
                series.histograms = late.histograms;
                Some(series)
            }
        }
    })
}

/// Copies an answer on its way, as long as it can be kept.
struct Keeper {
    series: Vec<RangeSeries>,
    bytes: usize,
    bytes_max: usize,
    fits: bool,
}

impl Keeper {
    fn new(bytes_max: usize) -> Keeper {
        Keeper { series: Vec::new(), bytes: 0, bytes_max, fits: true }
    }

    fn take(&mut self, series: &RangeSeries) {
        if !self.fits {
            return;
        }
        self.bytes += SERIES_BYTES + size_of_val(&series.floats[..]);
        // Two series of one name would not find their later points again.
        let is_next = self.series.last().is_none_or(|last| last.labels < series.labels);
        self.fits = self.bytes <= self.bytes_max && series.histograms.is_empty() && is_next;
        match self.fits {
            true => self.series.push(series.clone()),
            false => self.series = Vec::new(),
        }
    }

    fn part(self, grid: StepGrid, infos: Vec<String>, footing: Footing) -> Option<Part> {
        let Keeper { series, bytes, fits, .. } = self;
        fits.then_some(Part { grid, series, infos, footing, bytes })
    }
}
