//! Which rows of which lanes make the series: tiers, coverage, spacing.
//!
//! The simple form of what follows: take the top lane's solid rows; then, tier after tier, add each row that falls
//! into a hole (neighbours over 1.5 intervals apart) and keeps half an interval of distance to both neighbours. A row
//! is judged against what was there before its tier, so a hole of k scrapes gets k fillers of one lane, verbatim.

use crate::model::{Span, Timestamp};

use super::interval::is_close;
use super::lane::{Lane, is_marker};
use super::rules::{MergeRules, Policy};

/// A row that was looked at for the series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) at: Timestamp,
    pub(super) interval: Span,
    pub(super) lane: usize,
    pub(super) row: usize,
    pub(super) tier: usize,
}

/// Why a row of a lane is in the series or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// In: a solid row of the top lane.
    Preferred,
    /// In: fills a hole of the lanes above.
    Fills,
    /// In: a stale marker that no other lane contradicts.
    Ends,
    /// Out: a lane above has a row at the very time.
    SameTime,
    /// Out: the rows around it, of lanes above, are at most 1.5 intervals apart.
    Covered,
    /// Out: in a hole, but less than half an interval from a row of a lane above.
    TooClose,
    /// Out so far: the lanes above may just not have delivered yet.
    Early,
    /// Out: a stale marker while another lane goes on.
    Superseded,
    /// Out: a counter's filler that its neighbours prove wrong (clocks apart).
    Contradicts,
}

impl Verdict {
    /// Whether the row is in the series.
    pub fn is_in(self) -> bool {
        matches!(self, Verdict::Preferred | Verdict::Fills | Verdict::Ends)
    }
}

/// One tier: the rows of a lane that satisfy something.
struct Tier {
    lane: usize,
    /// `None`: both.
    solid: Option<bool>,
    /// `None`: both. Under [`Policy::Any`]: whether the value is over 0.
    positive: Option<bool>,
}

/// The tiers in the order of preference: the top lane while it is solid, the lower lanes, the top lane while it is
/// weak; under [`Policy::Any`] all of that for values over 0 first.
fn tiers(lanes: usize, rules: &MergeRules) -> Vec<Tier> {
    let positives: &[Option<bool>] = if rules.policy == Policy::Any { &[Some(true), Some(false)] } else { &[None] };
    let mut tiers = Vec::with_capacity(2 * lanes + 2);
    for positive in positives.iter().copied() {
        tiers.push(Tier { lane: 0, solid: Some(true), positive });
        tiers.extend((1..lanes).map(|lane| Tier { lane, solid: None, positive }));
        tiers.push(Tier { lane: 0, solid: Some(false), positive });
    }
    tiers
}

/// The real rows of the series in time order; every verdict goes to `observe`.
pub(super) fn select(lanes: &[Lane<'_>], rules: &MergeRules, mut observe: impl FnMut(&Pick, Verdict)) -> Vec<Pick> {
    let newest = lanes.iter().filter_map(|lane| lane.rows.at.last()).max().copied();
    let edge = newest.filter(|_| !rules.settled);
    let (mut top, mut chosen, mut candidates, mut merged) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, tier) in tiers(lanes.len(), rules).iter().enumerate() {
        let Some(lane) = lanes.get(tier.lane) else { continue };
        candidates.clear();
        candidates.extend(tier.rows(lane).map(|(row, at, interval)| Pick {
            at,
            interval,
            lane: tier.lane,
            row,
            tier: number,
        }));
        if number == 0 {
            candidates.iter().for_each(|pick| observe(pick, Verdict::Preferred));
            std::mem::swap(&mut chosen, &mut candidates);
            if lanes.len() > 2 {
                top.clone_from(&chosen);
            }
            continue;
        }
        if tier.lane > 1 {
            // The door knows the top lane alone. What that lane covers stays out, whatever a lane between has added.
            candidates.retain(|candidate| {
                let is_covered = is_covered(candidate, &top);
                if is_covered {
                    observe(candidate, Verdict::Covered);
                }
                !is_covered
            });
        }
        if !candidates.is_empty() {
            add_tier(&chosen, &candidates, edge, &mut merged, &mut observe);
            std::mem::swap(&mut chosen, &mut merged);
        }
    }
    chosen
}

impl Tier {
    fn rows<'a>(&'a self, lane: &'a Lane<'_>) -> impl Iterator<Item = (usize, Timestamp, Span)> + 'a {
        let mut histograms = lane.rows.histograms.iter().map(|(row, _)| *row).peekable();
        lane.marked().filter_map(move |(row, at, mark)| {
            let is_histogram = histograms.next_if_eq(&row).is_some();
            let wanted = self.solid.is_none_or(|solid| solid == mark.solid)
                && !is_marker(&lane.rows, row)
                && self.positive.is_none_or(|positive| positive == (is_histogram || lane.rows.values[row] > 0.0));
            wanted.then_some((row, at, mark.interval))
        })
    }
}

/// Writes `chosen` and the candidates that fit into its holes to `merged`, in time order.
fn add_tier(
    chosen: &[Pick],
    candidates: &[Pick],
    edge: Option<Timestamp>,
    merged: &mut Vec<Pick>,
    observe: &mut impl FnMut(&Pick, Verdict),
) {
    merged.clear();
    let mut next = 0;
    for candidate in candidates {
        while next < chosen.len() && chosen[next].at < candidate.at {
            merged.push(chosen[next]);
            next += 1;
        }
        let before = next.checked_sub(1).map(|before| &chosen[before]);
        let verdict = judge(candidate, before, chosen.get(next), edge);
        observe(candidate, verdict);
        if verdict.is_in() {
            merged.push(*candidate);
        }
    }
    merged.extend_from_slice(&chosen[next..]);
}

/// Whether `candidate` stands between neighbours of `rows` that are close.
fn is_covered(candidate: &Pick, rows: &[Pick]) -> bool {
    let next = rows.partition_point(|row| row.at <= candidate.at);
    let (Some(before), Some(after)) = (next.checked_sub(1).map(|before| &rows[before]), rows.get(next)) else {
        return false;
    };
    before.at < candidate.at && is_close(after.at - before.at, before.interval.min(candidate.interval))
}

/// Whether `candidate` fills a hole between its neighbours in the tiers above; `edge` is the newest row of any lane
/// while more may come.
fn judge(candidate: &Pick, before: Option<&Pick>, after: Option<&Pick>, edge: Option<Timestamp>) -> Verdict {
    if after.is_some_and(|after| after.at == candidate.at) {
        return Verdict::SameTime;
    }
    // Where nothing stands before it, a lane that begins here may not know its interval yet: the row behind tells.
    let neighbour = before.or(after);
    let interval = neighbour.map_or(candidate.interval, |row| row.interval.min(candidate.interval));
    if let Some(before) = before {
        match (after, edge) {
            (Some(after), _) if is_close(after.at - before.at, interval) => return Verdict::Covered,
            (None, Some(edge)) if is_close(edge - before.at, interval) => return Verdict::Early,
            _ => {}
        }
        if (candidate.at - before.at).times(2) <= interval {
            return Verdict::TooClose;
        }
    }
    match after {
        Some(after) if (after.at - candidate.at).times(2) < interval => Verdict::TooClose,
        _ => Verdict::Fills,
    }
}
