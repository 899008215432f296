//! Which label names and values there are, told by the indexes: a value is known by the first of its series that has a
//! row, and the others are not looked at.
//!
//! As everywhere, the head is looked at first, then the view: see the note on moving rows in [`select`](super::select).

use std::collections::BTreeSet;
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::model::TimeRange;
use crate::store::{StoreError, Wanted};

use super::index::Postings;
use super::part::Part;
use super::select::ASKED_EVERY;
use super::store::{Store, View};

/// Series of a value that are looked at one by one in any case.
const FIRST_SERIES: usize = 2;
/// Further ones that are looked at one by one, of all values of a label together: those of targets that are gone. Where
/// that does not do, as in the blink of an eye between two scrapes, all series of the part are looked at once.
const MORE_SERIES: usize = 256;

/// What was found so far, or that only a look at every series tells.
type Found = Result<Option<BTreeSet<String>>, StoreError>;

impl Store {
    /// The values of a label among all series with rows inside `range`, `most` of them at least if there are as many.
    /// `None`: the indexes alone cannot tell.
    pub(super) fn values_in(&self, name: &str, range: TimeRange, most: usize, wanted: &Wanted) -> Found {
        let mut values = Vec::new();
        self.resolver.registry.read().index.pairs().each(name, "", |_, value| values.push(value.to_owned()));
        let mut found = BTreeSet::new();
        let mut rest = Vec::new();
        for (place, value) in values.into_iter().enumerate() {
            if found.len() >= most {
                return Ok(Some(found));
            }
            if place.is_multiple_of(ASKED_EVERY) {
                wanted.check()?;
            }
            let ids = self.resolver.registry.read().index.with_value(name, &value)?;
            match ids.iter().any(|id| self.head.has_rows_in(id, range)) {
                true => drop(found.insert(value)),
                false => rest.push((value, ids)),
            }
        }
        let view = self.view.load_full();
        if let Some(frozen) = &view.frozen {
            let lasting = rest.into_iter().filter(|(_, ids)| ids.iter().any(|id| frozen.has_rows_in(id, range)));
            found.extend(lasting.map(|(value, _)| value));
        }
        for part in overlapping(&view, range) {
            if !add_values(part, &view, name, range, (most, wanted), &mut found)? {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// The names of labels among all series with rows inside `range`. `None`: the indexes alone cannot tell.
    pub(super) fn names_in(&self, range: TimeRange, wanted: &Wanted) -> Found {
        let known: Vec<String> =
            self.resolver.registry.read().index.pairs().names_sorted().into_iter().map(str::to_owned).collect();
        let mut names: BTreeSet<String> = known.into_iter().collect();
        names.extend(self.view.load().parts.iter().flat_map(|part| part.label_names().map(str::to_owned)));
        let mut found = BTreeSet::new();
        for name in names {
            match self.values_in(&name, range, 1, wanted)? {
                Some(values) if values.is_empty() => {}
                Some(_) => drop(found.insert(name)),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }
}

fn overlapping(view: &View, range: TimeRange) -> impl Iterator<Item = &Arc<Part>> {
    view.parts.iter().filter(move |part| part.range().overlaps(range))
}

/// Adds the values that a part knows; `false` where rows of it were deleted, or its index is damaged.
fn add_values(
    part: &Part,
    view: &View,
    name: &str,
    range: TimeRange,
    (most, wanted): (usize, &Wanted),
    found: &mut BTreeSet<String>,
) -> Result<bool, StoreError> {
    if view.deletions.iter().any(|one| part.number() <= one.last_part && one.range.overlaps(part.range())) {
        return Ok(false);
    }
    // Each series of a part has a row in it.
    let all_inside = range.contains(part.range().start()) && range.contains(part.range().end());
    let (mut failed, mut with_rows, mut more) = (None, None, MORE_SERIES);
    let mut looked_at = 0_usize;
    let walked = part.walk_values(name, "", &mut |value, ordinals| {
        looked_at += 1;
        if looked_at.is_multiple_of(ASKED_EVERY)
            && let Err(error) = wanted.check()
        {
            failed = Some(error);
            return false;
        }
        if found.contains(value) {
            return true;
        }
        let has_rows = match all_inside {
            true => Ok(true),
            false => any_has_rows(part, &ordinals().unwrap_or_default(), range, (&mut more, &mut with_rows)),
        };
        match has_rows {
            Ok(true) => drop(found.insert(value.to_owned())),
            Ok(false) => {}
            Err(error) => failed = Some(error),
        }
        failed.is_none() && found.len() < most
    });
    match failed.map_or(walked, Err) {
        Ok(()) => Ok(true),
        // Who looks at every series leaves out what is damaged, and says so.
        Err(StoreError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether one of the series at `ordinals` has a row. `more` may yet be looked at one by one; `with_rows` are all that do,
/// once they were asked for.
fn any_has_rows(
    part: &Part,
    ordinals: &RoaringBitmap,
    range: TimeRange,
    (more, with_rows): (&mut usize, &mut Option<RoaringBitmap>),
) -> Result<bool, StoreError> {
    if with_rows.is_none() {
        let first: RoaringBitmap = ordinals.iter().take(FIRST_SERIES + *more).collect();
        let looked_at = part.first_with_rows_in(&first, range)?;
        let count = looked_at.unwrap_or(first.len() as usize);
        *more = more.saturating_sub(count.saturating_sub(FIRST_SERIES));
        if looked_at.is_some() {
            return Ok(true);
        }
        if first.len() == ordinals.len() {
            return Ok(false);
        }
        *with_rows = Some(part.with_rows_in(range)?);
    }
    Ok(with_rows.as_ref().is_some_and(|with_rows| !with_rows.is_disjoint(ordinals)))
}
