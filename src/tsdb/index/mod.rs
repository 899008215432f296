//! From matchers to series.
//!
//! An index keeps, for each label name and each of its values, the set of ids that carry it. A matcher is tried on the
//! distinct values of its label, not on series, and the sets of the values that pass are united; a matcher that also
//! accepts an absent label takes away the ids whose value fails instead. The head's index lives in memory ([`Index`]);
//! a part carries its own, with ordinals in place of ids (`part::read`). Both answer through [`Postings`], so
//! that there is one evaluation.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use roaring::RoaringBitmap;

use crate::model::{Labels, Matcher, MatcherTest};
use crate::store::StoreError;

/// Sets of ids by label.
pub(crate) trait Postings {
    /// Every id.
    fn all(&self) -> Result<RoaringBitmap, StoreError>;

    /// The ids with one value under `name`.
    fn with_value(&self, name: &str, value: &str) -> Result<RoaringBitmap, StoreError>;

    /// The ids whose value under `name` passes; ids without the label never do.
    fn with_values(&self, name: &str, passes: &dyn Fn(&str) -> bool) -> Result<RoaringBitmap, StoreError>;
}

/// The ids that satisfy all matchers.
pub(crate) fn evaluate(postings: &dyn Postings, matchers: &[Matcher]) -> Result<RoaringBitmap, StoreError> {
    let (narrowing, excluding): (Vec<&Matcher>, Vec<&Matcher>) =
        matchers.iter().partition(|matcher| !matcher.matches_absent());
    let mut ids: Option<RoaringBitmap> = None;
    // Equality is one lookup; what it leaves decides whether the rest is worth a walk over values.
    let (exact, walked): (Vec<&Matcher>, Vec<&Matcher>) =
        narrowing.into_iter().partition(|matcher| matches!(matcher.test, MatcherTest::Equal(_)));
    for matcher in exact.into_iter().chain(walked) {
        let wanted = match &matcher.test {
            MatcherTest::Equal(value) => postings.with_value(&matcher.name, value)?,
            _ => postings.with_values(&matcher.name, &|value| matcher.matches(value))?,
        };
        let left = ids.map_or_else(|| wanted.clone(), |ids| ids & &wanted);
        if left.is_empty() {
            return Ok(left);
        }
        ids = Some(left);
    }
    let mut ids = ids.map_or_else(|| postings.all(), Ok)?;
    for matcher in excluding {
        ids -= match &matcher.test {
            MatcherTest::NotEqual(value) => postings.with_value(&matcher.name, value)?,
            _ => postings.with_values(&matcher.name, &|value| !matcher.matches(value))?,
        };
    }
    Ok(ids)
}

/// The index of the series in memory.
#[derive(Default)]
pub(crate) struct Index {
    all: RoaringBitmap,
    names: HashMap<Box<str>, BTreeMap<Box<str>, RoaringBitmap>, FixedState>,
}

impl Index {
    pub(crate) fn insert(&mut self, id: u32, labels: &Labels) {
        self.all.insert(id);
        for (name, value) in labels {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), BTreeMap::new());
            }
            let values = self.names.get_mut(name).expect("inserted above");
            match values.get_mut(value) {
                Some(ids) => drop(ids.insert(id)),
                None => drop(values.insert(value.into(), RoaringBitmap::from_iter([id]))),
            }
        }
    }

    pub(crate) fn remove(&mut self, id: u32, labels: &Labels) {
        self.all.remove(id);
        for (name, value) in labels {
            let Some(values) = self.names.get_mut(name) else { continue };
            if let Some(ids) = values.get_mut(value) {
                ids.remove(id);
                if ids.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.names.remove(name);
            }
        }
    }
}

impl Postings for Index {
    fn all(&self) -> Result<RoaringBitmap, StoreError> {
        Ok(self.all.clone())
    }

    fn with_value(&self, name: &str, value: &str) -> Result<RoaringBitmap, StoreError> {
        Ok(self.names.get(name).and_then(|values| values.get(value)).cloned().unwrap_or_default())
    }

    fn with_values(&self, name: &str, passes: &dyn Fn(&str) -> bool) -> Result<RoaringBitmap, StoreError> {
        let values = self.names.get(name).into_iter().flatten();
        Ok(roaring::MultiOps::union(values.filter(|(value, _)| passes(value)).map(|(_, ids)| ids)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_select_as_if_every_series_was_tried() {
        let series = [
            Labels::from_pairs([("__name__", "up"), ("job", "node"), ("env", "prod")]),
            Labels::from_pairs([("__name__", "up"), ("job", "node")]),
            Labels::from_pairs([("__name__", "up"), ("job", "prom")]),
            Labels::from_pairs([("__name__", "down"), ("job", "node"), ("env", "dev")]),
        ];
        let mut index = Index::default();
        series.iter().enumerate().for_each(|(id, labels)| index.insert(id as u32, labels));
        let tests = [
            Matcher::equal("__name__", "up"),
            Matcher::equal("env", ""),
            Matcher::not_equal("env", ""),
            Matcher::not_equal("env", "prod"),
            Matcher::regex("env", "prod|dev").expect("valid"),
            Matcher::regex("env", ".*").expect("valid"),
            Matcher::regex("env", "|dev").expect("valid"),
            Matcher::not_regex("env", "d.*").expect("valid"),
            Matcher::not_regex("job", "").expect("valid"),
            Matcher::equal("nothing", "x"),
        ];
        for first in &tests {
            for second in &tests {
                let matchers = [first.clone(), second.clone()];
                let ids = evaluate(&index, &matchers).expect("in memory");
                let expected: RoaringBitmap =
                    (0..4).filter(|id| Matcher::all_match(&matchers, &series[*id as usize])).collect();
                assert_eq!(ids, expected, "{first} {second}");
            }
        }
        series.iter().enumerate().for_each(|(id, labels)| index.remove(id as u32, labels));
        assert!(index.names.is_empty() && index.all.is_empty());
    }
}
