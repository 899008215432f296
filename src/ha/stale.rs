//! Rule M: a series ends when the last replica stops seeing it.
//!
//! A stale marker covers nothing. It stands unless another lane goes on, which another lane shows by
//!
//! * a real row at the marker's very time,
//! * any row in the 1.5 intervals behind the marker, up to the second row of the marker's own lane if it came back, or
//! * (the top lane alone) real rows before and behind the marker, neighbours at most 1.5 intervals apart.
//!
//! Of markers at one time the highest lane's stands. None of this asks for a row that the door may have dropped: behind
//! a marker of the top lane, none is covered up to that lane's second row; elsewhere the top lane's rows say the same.

use crate::model::{Span, Timestamp};

use super::interval::is_close;
use super::lane::{Lane, is_marker};
use super::select::{Pick, Verdict};

/// Adds the markers that stand to `chosen`, which stays in time order.
pub(super) fn add_markers(lanes: &[Lane<'_>], chosen: &mut Vec<Pick>, mut observe: impl FnMut(&Pick, Verdict)) {
    let mut markers = Vec::new();
    for (number, lane) in lanes.iter().enumerate() {
        for (row, at, mark) in lane.marked().filter(|(row, ..)| is_marker(&lane.rows, *row)) {
            let marker = Pick { at, interval: mark.interval, lane: number, row, tier: 0 };
            let back = (row + 1..lane.rows.len()).filter(|row| !is_marker(&lane.rows, *row)).nth(1);
            let until = at + Span::from_millis(mark.interval.as_millis() * 3 / 2);
            let until = back.map_or(until, |back| until.min(lane.rows.at[back]));
            let stands = (0..lanes.len()).filter(|other| *other != number).all(|other| {
                let goes_on = lanes[other].has_row_between(at, until)
                    || has_row_at(&lanes[other], at, other < number)
                    || other == 0 && passes(&lanes[other], at);
                !goes_on
            });
            observe(&marker, if stands { Verdict::Ends } else { Verdict::Superseded });
            if stands {
                markers.push(marker);
            }
        }
    }
    if !markers.is_empty() {
        chosen.append(&mut markers);
        chosen.sort_by_key(|pick| pick.at);
    }
}

/// Whether the lane has a real row at `at`, or any if it is `above`.
fn has_row_at(lane: &Lane<'_>, at: Timestamp, above: bool) -> bool {
    lane.rows.at.binary_search(&at).is_ok_and(|row| above || !is_marker(&lane.rows, row))
}

/// Whether the lane has real neighbours on both sides of `at` that are close.
fn passes(lane: &Lane<'_>, at: Timestamp) -> bool {
    let next = lane.rows.at.partition_point(|row| *row <= at);
    let (Some(before), Some(after)) = (next.checked_sub(1), lane.rows.at.get(next)) else { return false };
    !is_marker(&lane.rows, before)
        && !is_marker(&lane.rows, next)
        && is_close(*after - lane.rows.at[before], lane.mark(before).interval)
}
