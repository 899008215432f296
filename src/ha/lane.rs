//! A lane as merging sees it: rows, and what is known of each.

use std::borrow::Cow;

use crate::model::sample::is_stale;
use crate::model::{Column, Timestamp};

use super::cover::Cover;
use super::interval::{Annotator, DISTANCES, Mark, SILENCE};
use super::rules::{MergeRules, Policy};

/// Rows of one replica, with their marks.
///
/// The top lane stands here whole. A lower lane stands here without the rows that the top lane covers for ever, whether
/// somebody has dropped them already or not: so nothing can depend on who dropped what, and when.
#[derive(Clone, Debug)]
pub(super) struct Lane<'a> {
    pub(super) rows: Cow<'a, Column>,
    /// Marks by runs, the first at row 0, rising; empty only for a lane without rows.
    pub(super) runs: Vec<Run>,
}

/// Rows from `first` on, up to the next run, have this mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: usize,
    pub(super) mark: Mark,
}

/// All lanes of a series, the top lane first.
pub(super) fn annotated<'a>(lanes: &[&'a Column], rules: &MergeRules) -> Vec<Lane<'a>> {
    let Some((top, lower)) = lanes.split_first() else { return Vec::new() };
    let top = Lane::top(top, rules);
    let cover = if rules.policy == Policy::Prefer { Cover::of(&top, 0) } else { Cover::default() };
    let lower: Vec<Lane<'a>> = lower.iter().map(|rows| Lane::lower(rows, &top, &cover, rules)).collect();
    std::iter::once(top).chain(lower).collect()
}

impl<'a> Lane<'a> {
    /// The first lane in rank: kept whole, or from [`CONTEXT_ROWS`](super::CONTEXT_ROWS) before the first row that
    /// matters.
    pub(super) fn top(rows: &'a Column, rules: &MergeRules) -> Self {
        let (mut annotator, mut runs) = (Annotator::new(rules), Vec::new());
        let (mut last, mut young, mut first) = (None, 0, 0);
        for (row, at) in rows.at.iter().enumerate() {
            if is_marker(rows, row) {
                add_mark(&mut runs, row, annotator.mark());
                continue;
            }
            let begins = last.replace(*at).is_none_or(|last| *at - last > SILENCE);
            let mark = annotator.push(*at);
            if begins {
                correct(&mut runs, first);
                (young, first) = (0, row);
                runs.push(Run { first: row, mark });
            }
            add_mark(&mut runs, row, mark);
            young += 1;
            if young == DISTANCES + 1 {
                correct(&mut runs, first);
                first = usize::MAX;
            }
        }
        correct(&mut runs, first);
        Lane { rows: Cow::Borrowed(rows), runs }
    }

    /// Another lane. Where the top lane covers, its rows go, and what is believed of its interval begins anew behind:
    /// rows that stand far apart only because others were dropped say nothing. Of its own interval and the top lane's
    /// latest the smaller one counts.
    fn lower(rows: &'a Column, top: &Lane<'_>, cover: &Cover, rules: &MergeRules) -> Self {
        let rows = cover.uncovered(rows);
        let (mut annotator, mut runs) = (Annotator::new(rules), Vec::new());
        let mut tops = top.marked().filter(|(row, ..)| !is_marker(&top.rows, *row)).peekable();
        let (mut top_last, mut passed) = (None, 0);
        for (row, at) in rows.at.iter().enumerate() {
            while let Some((_, top_at, mark)) = tops.next_if(|(_, top_at, _)| top_at <= at) {
                top_last = Some((top_at, mark.interval));
            }
            let passed_now = cover.passed(*at, passed);
            if passed_now > passed {
                (annotator, passed) = (Annotator::new(rules), passed_now);
            }
            let mut mark = if is_marker(&rows, row) { annotator.mark() } else { annotator.push(*at) };
            if let Some((_, interval)) = top_last.filter(|(top_at, _)| *at - *top_at <= SILENCE) {
                mark.interval = if annotator.is_known() { mark.interval.min(interval) } else { interval };
            }
            add_mark(&mut runs, row, mark);
        }
        Lane { rows, runs }
    }

    /// The mark of one row.
    pub(super) fn mark(&self, row: usize) -> Mark {
        let run = self.runs.partition_point(|run| run.first <= row);
        self.runs[run.checked_sub(1).expect("the first run begins at row 0")].mark
    }

    /// Every row with its mark, in order.
    pub(super) fn marked(&self) -> impl Iterator<Item = (usize, Timestamp, Mark)> {
        let mut run = 0;
        self.rows.at.iter().enumerate().map(move |(row, at)| {
            if self.runs.get(run + 1).is_some_and(|next| next.first <= row) {
                run += 1;
            }
            (row, *at, self.runs[run].mark)
        })
    }

    /// Whether there is any row, real or marker, with `after < at <= until`.
    pub(super) fn has_row_between(&self, after: Timestamp, until: Timestamp) -> bool {
        let next = self.rows.at.partition_point(|at| *at <= after);
        self.rows.at.get(next).is_some_and(|at| *at <= until)
    }
}

/// The first distances of a lane may mislead about its interval: from row `first` on, none counts that is longer than the
/// one known in the end.
fn correct(runs: &mut [Run], first: usize) {
    let Some(known) = runs.last().map(|run| run.mark.interval) else { return };
    for run in runs.iter_mut().rev().take_while(|run| run.first >= first) {
        run.mark.interval = run.mark.interval.min(known);
    }
}

fn add_mark(runs: &mut Vec<Run>, row: usize, mark: Mark) {
    if runs.last().is_none_or(|run| run.mark != mark) {
        runs.push(Run { first: row, mark });
    }
}

/// Whether a row is a stale marker.
pub(super) fn is_marker(rows: &Column, row: usize) -> bool {
    is_stale(rows.values[row])
}
