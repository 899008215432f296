//! What walks over the values of a label found, kept: in a part nothing changes, and dashboards ask the same again and
//! again.

use std::collections::VecDeque;

use parking_lot::Mutex;
use roaring::RoaringBitmap;

use crate::model::Matcher;
use crate::store::StoreError;

/// What one part keeps at most, in serialized bytes of sets.
const KEPT_BYTES_MAX: usize = 256 << 10;
/// How many answers one part keeps at most: each look-up goes through them.
const KEPT_MAX: usize = 32;

/// The answers of one part, the one used last in front.
#[derive(Default)]
pub(crate) struct Answers {
    kept: Mutex<VecDeque<Answer>>,
}

struct Answer {
    matcher: Matcher,
    ids: RoaringBitmap,
    bytes: usize,
}

impl Answers {
    /// The ids that a walk for this matcher finds; `walk` is called where that is not known.
    ///
    /// # Errors
    /// Those of `walk`; nothing is kept then.
    pub(super) fn get(
        &self,
        matcher: &Matcher,
        walk: impl FnOnce() -> Result<RoaringBitmap, StoreError>,
    ) -> Result<RoaringBitmap, StoreError> {
        if let Some(ids) = self.known(matcher) {
            return Ok(ids);
        }
        // Without the lock: two that ask at once both walk, and keep the same.
        let ids = walk()?;
        self.keep(matcher, &ids);
        Ok(ids)
    }

    fn known(&self, matcher: &Matcher) -> Option<RoaringBitmap> {
        let mut kept = self.kept.lock();
        let place = kept.iter().position(|answer| answer.matcher == *matcher)?;
        let answer = kept.remove(place)?;
        let ids = answer.ids.clone();
        kept.push_front(answer);
        Some(ids)
    }

    fn keep(&self, matcher: &Matcher, ids: &RoaringBitmap) {
        let bytes = ids.serialized_size();
        if bytes > KEPT_BYTES_MAX {
            return;
        }
        let mut kept = self.kept.lock();
        kept.retain(|answer| answer.matcher != *matcher);
        kept.push_front(Answer { matcher: matcher.clone(), ids: ids.clone(), bytes });
        while kept.len() > KEPT_MAX || kept.iter().map(|answer| answer.bytes).sum::<usize>() > KEPT_BYTES_MAX {
            kept.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(pattern: &str) -> Matcher {
        Matcher::regex("job", pattern).expect("a pattern")
    }

    /// Asks, and tells whether it took a walk.
    fn walks(answers: &Answers, matcher: &Matcher, ids: &RoaringBitmap) -> bool {
        let mut walked = false;
        let found = answers.get(matcher, || {
            walked = true;
            Ok(ids.clone())
        });
        assert_eq!(found.expect("the walk works"), *ids);
        walked
    }

    #[test]
    fn the_same_matcher_walks_once() {
        let (answers, some, others) = (Answers::default(), RoaringBitmap::from([1, 7]), RoaringBitmap::from([3]));
        let no = Matcher::not_regex("job", "a.+").expect("a pattern");
        assert!(walks(&answers, &matcher("a.+"), &some));
        assert!(!walks(&answers, &matcher("a.+"), &some));
        assert!(walks(&answers, &no, &others), "its opposite is another question");
        assert!(!walks(&answers, &matcher("a.+"), &some));
    }

    #[test]
    fn what_fails_is_not_kept() {
        let answers = Answers::default();
        let failed = answers.get(&matcher("a.+"), || Err(StoreError::NotReady("closing".into())));
        assert!(failed.is_err());
        assert!(walks(&answers, &matcher("a.+"), &RoaringBitmap::new()));
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let (answers, ids) = (Answers::default(), RoaringBitmap::from([1]));
        let patterns: Vec<Matcher> = (0..KEPT_MAX).map(|number| matcher(&format!("v{number}.+"))).collect();
        patterns.iter().for_each(|one| assert!(walks(&answers, one, &ids)));
        assert!(!walks(&answers, &patterns[0], &ids));
        assert!(walks(&answers, &matcher("one more.+"), &ids));
        assert!(!walks(&answers, &patterns[0], &ids), "it was used since");
        assert!(walks(&answers, &patterns[1], &ids));
    }

    #[test]
    fn sets_are_bounded_by_bytes_together() {
        let answers = Answers::default();
        let half: RoaringBitmap = (0..60_000).map(|number| number * 2).collect();
        let count = KEPT_BYTES_MAX / half.serialized_size() + 1;
        let patterns: Vec<Matcher> = (0..count).map(|number| matcher(&format!("v{number}.+"))).collect();
        patterns.iter().for_each(|one| assert!(walks(&answers, one, &half)));
        assert!(walks(&answers, &patterns[0], &half), "its room was needed");
        let huge: RoaringBitmap = (0..4_000_000).map(|number| number * 2).collect();
        assert!(walks(&answers, &matcher("huge.+"), &huge) && walks(&answers, &matcher("huge.+"), &huge));
    }
}
