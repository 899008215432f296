//! What rows that are still to come may change of what lanes make now: for who keeps answers.
//!
//! Rows may come late, in any lane, and what is chosen at an instant follows from rows behind it too: the first 16
//! distances of a leader are judged by the interval known after them, a filler by the next row of the leader, the newest
//! row of a lower lane by whether the leader is late. All of that lies a few intervals behind; or it has not come yet.

use crate::model::{Column, Sample, Span, Timestamp};

use super::CONTEXT_SPAN;
use super::counter::{CLOCKS_APART_MAX, Count};
use super::interval::{DISTANCES, SILENCE};
use super::lane::{Lane, is_marker};
use super::merge::merge;
use super::rules::{MergeRules, Policy};
use super::turns::{Turn, part, turns_with_rows};

/// More than anything reaches that is not open.
const REACH_MAX: Span = Span::from_millis((DISTANCES as i64 + 1) * SILENCE.as_millis());

/// How far what lanes make holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// What is made at an instant stays as it is when rows come that are all further behind it than this.
    pub reach: Span,
    /// From this instant on something waits for the next row behind the newest one, however late that is.
    pub open_from: Option<Timestamp>,
}

impl Horizon {
    fn reaches(&mut self, span: Span) {
        self.reach = self.reach.max(span);
    }

    /// What is made at `from` waits for a row that `closes` it, or for one behind the `newest`.
    fn waits(&mut self, from: Timestamp, closes: Option<Timestamp>, newest: Timestamp) {
        self.reaches(closes.unwrap_or(newest) - from);
        if closes.is_none() {
            self.open_from = Some(self.open_from.map_or(from, |known| known.min(from)));
        }
    }
}

/// How far what `lanes` make by themselves holds; to be asked of lanes with all their rows around.
pub fn horizon(turns: &[Turn], lanes: &[&Column], rules: &MergeRules) -> Horizon {
    let mut horizon = Horizon { reach: Span::ZERO, open_from: None };
    if matches!(rules.policy, Policy::Any | Policy::Max | Policy::Min) {
        horizon.reaches(REACH_MAX);
        return horizon;
    }
    for (turn, from, until) in turns_with_rows(turns, lanes) {
        let own = turn.order.iter().filter_map(|lane| lanes.get(*lane)).map(|lane| part(lane, from, until));
        let own: Vec<_> = own.filter(|lane| !lane.is_empty()).collect();
        let own: Vec<&Column> = own.iter().map(AsRef::as_ref).collect();
        if let [only] = own[..]
            && is_changed_by_company(only, rules)
        {
            horizon.reaches(REACH_MAX);
        }
        look_at_turn(&own, (until != Timestamp::MAX).then_some(until), rules, &mut horizon);
    }
    horizon.reach = horizon.reach + CONTEXT_SPAN;
    horizon
}

/// Whether rows of a lane that is alone are left out as soon as there is a second one, however far away its rows are.
fn is_changed_by_company(only: &Column, rules: &MergeRules) -> bool {
    let last = only.at[only.len() - 1];
    let mut company = Column::default();
    company.push(Sample { at: last + REACH_MAX + REACH_MAX, value: 0.0 });
    let mut both = Column::default();
    merge(&[only, &company], rules, &mut both);
    both.at.get(..only.len()) != Some(&only.at[..])
}

/// The lanes of one turn that have rows, the one asked first in front; `ends` at the next turn.
fn look_at_turn(lanes: &[&Column], ends: Option<Timestamp>, rules: &MergeRules, horizon: &mut Horizon) {
    let Some(first) = lanes.first() else { return };
    let top = Lane::top(first, rules);
    let newest = lanes.iter().filter_map(|lane| lane.at.last()).max().copied().unwrap_or(Timestamp::MIN);
    let real: Vec<(Timestamp, bool)> =
        top.marked().filter(|(row, ..)| !is_marker(first, *row)).map(|(_, at, mark)| (at, mark.solid)).collect();
    let lives: Vec<&[(Timestamp, bool)]> = real.chunk_by(|one, next| next.0 - one.0 <= SILENCE).collect();
    for (number, life) in lives.iter().enumerate() {
        match life.windows(DISTANCES + 1).map(|rows| rows[DISTANCES].0 - rows[0].0).max() {
            Some(learnt) => horizon.reaches(learnt),
            None if number + 1 == lives.len() => {
                // What stands just before a lane begins is judged by the lane's interval, too.
                let longest = life.windows(2).map(|rows| rows[1].0 - rows[0].0).max().unwrap_or(Span::ZERO);
                horizon.waits(life[0].0 - longest - CONTEXT_SPAN, ends, newest);
            }
            None => horizon.reaches(REACH_MAX),
        }
    }
    let solid: Vec<Timestamp> = real.iter().filter(|(_, solid)| *solid).map(|(at, _)| *at).collect();
    let near_the_end = newest - horizon.reach - CONTEXT_SPAN;
    for (number, lane) in lanes.iter().enumerate() {
        let is_chosen_anyway = |at: Timestamp| number == 0 && solid.binary_search(&at).is_ok();
        for row in (0..lane.len()).filter(|row| !is_chosen_anyway(lane.at[*row])) {
            let at = lane.at[row];
            let next_solid = solid.get(solid.partition_point(|solid| *solid <= at)).copied();
            if at >= near_the_end {
                horizon.waits(at, next_solid.or(ends), newest);
            }
            if is_marker(lane, row) || !contradicts(lanes, (number, row), rules) {
                continue;
            }
            let next_own = lane.at.get(lane.at.partition_point(|own| *own <= at + CLOCKS_APART_MAX)).copied();
            horizon.waits(at, [next_own, next_solid, ends].into_iter().flatten().min(), newest);
        }
    }
}

/// Whether a row close before this one has counted more: then what follows tells which of them is wrong.
fn contradicts(lanes: &[&Column], (number, row): (usize, usize), rules: &MergeRules) -> bool {
    if !rules.counter && lanes[number].histograms.is_empty() {
        return false;
    }
    let (count, at) = (Count::of_row(lanes[number], row, rules), lanes[number].at[row]);
    lanes.iter().any(|lane| {
        let near = lane.at.partition_point(|other| *other < at - CLOCKS_APART_MAX)
            ..lane.at.partition_point(|other| *other < at);
        near.into_iter().any(|other| !is_marker(lane, other) && count.is_under(Count::of_row(lane, other, rules)))
    })
}
