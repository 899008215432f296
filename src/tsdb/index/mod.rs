//! From matchers to series.
//!
//! An index keeps, for each label name and each of its values, the set of ids that carry it. A matcher is tried on the
//! distinct values of its label, not on series, and the sets of the values that pass are united; a matcher that also
//! accepts an absent label takes away the ids whose value fails instead. A pattern that is a list of values becomes as
//! many lookups, and one with a fixed beginning is tried only on values that begin so.
//!
//! The series in memory have theirs in [`live`]; a part carries its own, with ordinals in place of ids
//! (`part::postings`), and what was found there for a matcher ([`answers`]). All answer through [`Postings`], so that there
//! is one evaluation.
//!
//! Read next: [`pairs`], which keeps each label pair once, then [`lists`], which keeps the ids of each.

pub(crate) mod answers;
pub(crate) mod live;
pub(crate) mod pairs;
pub(crate) mod lists;
pub(crate) mod places;
pub(crate) mod segments;
pub(crate) mod slabs;
#[cfg(test)]
mod tests;

use roaring::RoaringBitmap;

use crate::model::{Matcher, MatcherTest, Pattern};
use crate::store::StoreError;

use answers::Answers;

/// Sets of ids by label.
pub(crate) trait Postings {
    /// Every id.
    fn all(&self) -> Result<RoaringBitmap, StoreError>;

    /// The ids with one value under `name`.
    fn with_value(&self, name: &str, value: &str) -> Result<RoaringBitmap, StoreError>;

    /// The ids whose value under `name` passes; ids without the label never do. Nothing passes that does not begin with
    /// `prefix`: such values need not be tried.
    fn with_values(&self, name: &str, prefix: &str, passes: &dyn Fn(&str) -> bool)
    -> Result<RoaringBitmap, StoreError>;

    /// The ids with one of these values under `name`; `values` are sorted.
    fn with_any(&self, name: &str, values: &[Box<str>]) -> Result<RoaringBitmap, StoreError> {
        values.iter().try_fold(RoaringBitmap::new(), |found, value| Ok(found | self.with_value(name, value)?))
    }

    /// Those of `ids` with one value under `name`.
    fn narrow(&self, ids: RoaringBitmap, name: &str, value: &str) -> Result<RoaringBitmap, StoreError> {
        Ok(ids & self.with_value(name, value)?)
    }

    /// How many ids have a value, where that is cheap to tell: the rarest is asked first.
    fn width(&self, _name: &str, _value: &str) -> u64 {
        0
    }

    /// What walks over values found before, where the index never changes.
    fn answers(&self) -> Option<&Answers> {
        None
    }
}

/// The ids that satisfy all matchers.
pub(crate) fn evaluate(postings: &dyn Postings, matchers: &[Matcher]) -> Result<RoaringBitmap, StoreError> {
    let (narrowing, excluding): (Vec<&Matcher>, Vec<&Matcher>) =
        matchers.iter().partition(|matcher| !matcher.matches_absent());
    let mut ids: Option<RoaringBitmap> = None;
    // Equality is one lookup, the rarest first; what it leaves decides whether the rest is worth a walk over values.
    let mut exact: Vec<(u64, &Matcher, &str)> = Vec::new();
    let mut walked = Vec::new();
    for matcher in narrowing {
        match &matcher.test {
            MatcherTest::Equal(value) => exact.push((postings.width(&matcher.name, value), matcher, value)),
            _ => walked.push(matcher),
        }
    }
    exact.sort_by_key(|(width, ..)| *width);
    for (_, matcher, value) in exact {
        let left = match ids {
            None => postings.with_value(&matcher.name, value)?,
            Some(ids) => postings.narrow(ids, &matcher.name, value)?,
        };
        if left.is_empty() {
            return Ok(left);
        }
        ids = Some(left);
    }
    // The more of a pattern is fixed, the less it leaves.
    walked.sort_by_key(|matcher| std::cmp::Reverse(fixedness(matcher)));
    for matcher in walked {
        let wanted = accepted(postings, matcher)?;
        let left = match ids {
            None => wanted,
            Some(ids) => ids & wanted,
        };
        if left.is_empty() {
            return Ok(left);
        }
        ids = Some(left);
    }
    let mut ids = ids.map_or_else(|| postings.all(), Ok)?;
    for matcher in excluding {
        if ids.is_empty() {
            break;
        }
        ids -= refused(postings, matcher)?;
    }
    Ok(ids)
}

/// A list of values before a long prefix before a short one.
fn fixedness(matcher: &Matcher) -> usize {
    match &matcher.test {
        MatcherTest::Regex(pattern) if pattern.literals().is_some() => usize::MAX,
        MatcherTest::Regex(pattern) => pattern.prefix().len(),
        _ => 0,
    }
}

/// The ids whose value satisfies the matcher, for one that wants a value.
fn accepted(postings: &dyn Postings, matcher: &Matcher) -> Result<RoaringBitmap, StoreError> {
    match &matcher.test {
        MatcherTest::Equal(value) => postings.with_value(&matcher.name, value),
        MatcherTest::Regex(pattern) => matching(postings, matcher, pattern),
        _ => walk(postings, matcher, "", &|value| matcher.matches(value)),
    }
}

/// The ids whose value does not satisfy the matcher, for one that wants no value.
fn refused(postings: &dyn Postings, matcher: &Matcher) -> Result<RoaringBitmap, StoreError> {
    match &matcher.test {
        MatcherTest::NotEqual(value) => postings.with_value(&matcher.name, value),
        MatcherTest::NotRegex(pattern) => matching(postings, matcher, pattern),
        // `.*` is in every dashboard, and refuses nothing.
        MatcherTest::Regex(pattern) if pattern.as_str() == ".*" => Ok(RoaringBitmap::new()),
        _ => walk(postings, matcher, "", &|value| !matcher.matches(value)),
    }
}

/// The ids whose value matches the matcher's pattern.
fn matching(postings: &dyn Postings, matcher: &Matcher, pattern: &Pattern) -> Result<RoaringBitmap, StoreError> {
    match pattern.literals() {
        Some(values) => postings.with_any(&matcher.name, values),
        None => walk(postings, matcher, pattern.prefix(), &|value| pattern.matches(value)),
    }
}

/// Goes through the values of the matcher's label, unless that was done before. Whether a matcher is asked for what it
/// accepts or for what it refuses depends on nothing but the matcher, so there is one answer to each.
fn walk(
    postings: &dyn Postings,
    matcher: &Matcher,
    prefix: &str,
    passes: &dyn Fn(&str) -> bool,
) -> Result<RoaringBitmap, StoreError> {
    let walk = || postings.with_values(&matcher.name, prefix, passes);
    match postings.answers() {
        Some(answers) => answers.get(matcher, walk),
        None => walk(),
    }
}
