//! What lies around rows of a pair: how far a read has to look, and what a part may leave out.
//!
//! What is chosen at an instant depends on the rows around it, some minutes or some dozens of rows: [`ha`] says how many.
//! How much time that is depends on the lanes' intervals, so a read looks a few minutes around first, which is enough
//! for usual intervals, and further only where it is not.

use std::sync::Arc;

use crate::ha::{self, CONTEXT_ROWS, CONTEXT_SPAN, MergeRules, Policy, Turn};
use crate::model::{Column, Labels, Lane, Span, TimeRange, Timestamp};
use crate::store::StoreError;

use super::head::Lanes;
use super::part::Part;
use super::resolve::orders::Orders;
use super::rows;
use super::settings::Pairs;
use super::store::Deletion;

/// How far around a range rows are looked at, one after the other until that is enough. The first is enough for intervals
/// up to 20 s, the second for a minute, and the last for any that [`ha`] believes in.
pub(super) const MARGINS: [Span; 3] = [Span::from_secs(12 * 60), Span::from_secs(65 * 60), Span::from_secs(30 * 3600)];

/// `range` and so much on both sides.
pub(super) fn widen(range: TimeRange, margin: Span) -> TimeRange {
    TimeRange::new(range.start() - margin, range.end() + margin).expect("widening keeps the order")
}

/// Whether lanes that were read with one of the margins around `range` merge there as the whole lanes would.
pub(super) fn is_enough(lanes: &Lanes, turns: &[Turn], rules: &MergeRules, range: TimeRange, margin: Span) -> bool {
    let from = range.start() - CONTEXT_SPAN;
    let Some(turn) = turns.iter().rfind(|turn| turn.from <= range.start()) else { return true };
    let leader = turn.order.first().and_then(|leader| lanes.iter().find(|(lane, _)| usize::from(lane.0) == *leader));
    let has_rows_before = |column: &Column| column.at.partition_point(|at| *at < from) >= CONTEXT_ROWS;
    let Some((leader, leading)) = leader else {
        // Who has been silent for an hour has no say in what the others are believed to be.
        return margin > MARGINS[0] && lanes.iter().all(|(_, column)| has_rows_before(column));
    };
    if !has_rows_before(leading) || !ha::knows_itself(leading, range.end() + CONTEXT_SPAN) {
        return false;
    }
    let begins_anew = || ha::covers_between(leading, rules, range.start() - margin, from);
    lanes.iter().all(|(lane, column)| lane == leader || has_rows_before(column)) || begins_anew()
}

/// Replaces the content of `into` by what lanes make together.
pub(super) fn merge(lanes: &Lanes, turns: &[Turn], rules: &MergeRules, into: &mut Column) {
    ha::merge_in_turns(turns, &by_number(lanes, &Column::default()), rules, into);
}

/// What rows that are still to come may change of what lanes make.
pub(super) fn horizon(lanes: &Lanes, turns: &[Turn], rules: &MergeRules) -> ha::Horizon {
    ha::horizon(turns, &by_number(lanes, &Column::default()), rules)
}

/// Lanes at the places of their numbers.
pub(super) fn by_number<'l>(lanes: &'l Lanes, none: &'l Column) -> Vec<&'l Column> {
    let count = lanes.iter().map(|(lane, _)| usize::from(lane.0) + 1).max().unwrap_or(0);
    let mut columns = vec![none; count];
    lanes.iter().for_each(|(lane, column)| columns[usize::from(lane.0)] = column);
    columns
}

/// Leaves rows out of parts that the leader of their series covers for ever.
pub(super) struct Thinning<'p> {
    orders: Arc<Orders>,
    pairs: &'p Pairs,
    /// Parts of the days around; `None`: what is not at hand is not looked for.
    around: Option<Vec<Arc<Part>>>,
    deletions: &'p [Deletion],
}

impl<'p> Thinning<'p> {
    pub(super) fn new(
        orders: Arc<Orders>,
        pairs: &'p Pairs,
        around: Option<Vec<Arc<Part>>>,
        deletions: &'p [Deletion],
    ) -> Self {
        Thinning { orders, pairs, around, deletions }
    }

    /// For tests without pairs: nothing is left out.
    #[cfg(test)]
    pub(super) fn nowhere() -> Thinning<'static> {
        let pairs = Box::leak(Box::default());
        Thinning { orders: Arc::default(), pairs, around: None, deletions: &[] }
    }

    /// The rules and turns of a series; `None` where all its rows are kept.
    pub(super) fn applies(&self, group: u32, labels: &Labels) -> Option<(MergeRules, &[Turn])> {
        let rules = self.pairs.rules_of(labels);
        let turns = self.orders.turns(group);
        (rules.policy == Policy::Prefer && !turns.is_empty()).then_some((rules, turns))
    }

    /// Takes rows out of tidy lanes of a series that are covered; tells how many. Where the days around were given, their
    /// rows help to judge those at both ends.
    pub(super) fn thin(
        &self,
        id: u32,
        lanes: &mut Lanes,
        rules: &MergeRules,
        turns: &[Turn],
    ) -> Result<usize, StoreError> {
        let count = lanes.iter().map(|(lane, _)| usize::from(lane.0) + 1).max().unwrap_or(0);
        let mut columns = vec![Column::default(); count];
        lanes.iter().for_each(|(lane, column)| columns[usize::from(lane.0)] = column.clone());
        let unsure = self.add_context(id, lanes, turns, &mut columns)?;
        let dropped = ha::drop_covered(turns, &mut columns, rules, unsure);
        if dropped > 0 {
            for (lane, column) in lanes.iter_mut() {
                let Some(range) = range_of(column) else { continue };
                *column = std::mem::take(&mut columns[usize::from(lane.0)]);
                rows::clip(column, range);
            }
        }
        Ok(dropped)
    }

    /// Adds the rows around to the lanes that lead; tells of how many rows it is not sure what was before.
    fn add_context(&self, id: u32, lanes: &Lanes, turns: &[Turn], columns: &mut [Column]) -> Result<usize, StoreError> {
        let own = lanes.iter().filter_map(|(_, column)| range_of(column)).reduce(TimeRange::cover);
        let is_whole = self.around.is_some() && !self.deletions.iter().any(|deletion| deletion.ids.contains(id));
        let Some(own) = own.filter(|_| is_whole) else { return Ok(CONTEXT_ROWS) };
        let leads = |lane: Lane| turns.iter().any(|turn| turn.order.first() == Some(&usize::from(lane.0)));
        let wanted = widen(own, MARGINS[1]);
        for part in self.around.iter().flatten() {
            for chunk in part.find_by_id(id)?.iter().filter(|chunk| leads(chunk.lane) && chunk.range().overlaps(wanted))
            {
                let mut column = Column::default();
                part.read_rows(chunk, wanted, &mut column)?;
                rows::clip(&mut column, wanted);
                if let Some(into) = columns.get_mut(usize::from(chunk.lane.0)) {
                    rows::append(into, &column);
                }
            }
        }
        let mut sure = true;
        for (_, column) in columns.iter_mut().enumerate().filter(|(number, _)| leads(Lane(*number as u8))) {
            rows::tidy(column);
            let before = column.at.partition_point(|at| *at < own.start());
            let first = column.at.first().copied().unwrap_or(Timestamp::MAX);
            // Enough rows, or none within an hour before the first one: then the lane begins there.
            sure &= before >= CONTEXT_ROWS || first - wanted.start() > Span::HOUR;
        }
        Ok(if sure { 0 } else { CONTEXT_ROWS })
    }
}

fn range_of(column: &Column) -> Option<TimeRange> {
    TimeRange::new(*column.at.first()?, *column.at.last()?)
}
