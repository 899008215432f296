//! What a merge of parts may leave out: the door's decision again, with both lanes at hand.

use crate::model::{Column, Timestamp};

use super::interval::is_close;
use super::lane::{Lane, Run, is_marker};
use super::rules::{MergeRules, Policy};

/// Replaces the content of `into` by the rows of `lower` that may still matter, and gives their marks. Left out are
/// real rows between two solid rows of the top lane, neighbours there, no marker between or just before, at most 1.5
/// intervals apart: nothing that comes later can bring them back.
pub fn drop_covered(top: &Lane<'_>, lower: &Lane<'_>, rules: &MergeRules, into: &mut Column) -> Vec<Run> {
    into.clear();
    let (mut runs, mut next) = (Vec::<Run>::new(), 0);
    let mut histograms = lower.rows.histograms.iter().peekable();
    for (row, at, mark) in lower.marked() {
        while top.rows.at.get(next).is_some_and(|top_at| *top_at <= at) {
            next += 1;
        }
        let histogram = histograms.next_if(|(histogram_row, _)| *histogram_row == row);
        let is_covered = rules.policy == Policy::Prefer
            && !is_marker(lower.rows, row)
            && next.checked_sub(1).is_some_and(|before| {
                let (p, n) = (top.rows.at[before], top.rows.at.get(next));
                let solid = |row| top.mark(row).solid && !is_marker(top.rows, row);
                let interval = top.mark(before).interval.min(mark.interval);
                n.is_some_and(|n| is_close(*n - p, interval) && solid(before) && solid(next))
                    && before.checked_sub(1).is_none_or(|earlier| !is_marker(top.rows, earlier))
            });
        if is_covered {
            continue;
        }
        if runs.last().is_none_or(|run| run.mark != mark) {
            runs.push(Run { first: into.len(), mark });
        }
        if let Some((_, histogram)) = histogram {
            into.histograms.push((into.at.len(), histogram.clone()));
        }
        into.at.push(at);
        into.values.push(lower.rows.values[row]);
        if !lower.rows.starts.is_empty() {
            into.starts.push(lower.rows.starts.get(row).copied().unwrap_or(Timestamp::EPOCH));
        }
    }
    runs
}
