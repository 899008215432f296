//! Exemplars: kept where they can be, left out without a word to the sender where not.

use crate::model::{LabelsBuilder, Timestamp};
use crate::store::Exemplar;

/// Letters in all names and values of an exemplar. (OpenMetrics 1.0, "Exemplars".)
const LABEL_LETTERS_MAX: usize = 128;

/// A longer exemplar message cannot obey the limit above, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 4096;

/// The exemplar, or `None` where its labels are not text, too long, or not unique.
pub(in crate::ingest) fn build(labels: &[(&[u8], &[u8])], value: f64, at: Timestamp) -> Option<Exemplar> {
    let mut builder = LabelsBuilder::default();
    let mut letters = 0;
    for (name, value) in labels {
        let (name, value) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?);
        letters += name.chars().count() + value.chars().count();
        if letters > LABEL_LETTERS_MAX {
            return None;
        }
        builder.push(name, value);
    }
    Some(Exemplar { labels: builder.build().ok()?, value, at })
}
