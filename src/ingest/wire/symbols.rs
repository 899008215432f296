//! The strings of a remote write 2.0 request, and the series that refer to them.
//!
//! A series is named by a digest of what it refers to: symbols have other numbers in each request, but the digest of
//! each is made once a request, and those of a series cost a multiplication each. Bytes are put together only for a series
//! that the store does not know ([`key_of_series`](Symbols::key_of_series)).

use crate::store::Refused;

use super::super::Settings;
use super::super::digests::{Digest, Digests};
use super::key;
use super::protobuf::{Field, Fields, push_varints, varint};

/// The longest varint, in bytes.
const VARINT_BYTES_MAX: usize = 10;

/// What the keys of a request stand for.
pub(in crate::ingest) struct Symbolic<'a> {
    pub(in crate::ingest) symbols: Symbols<'a>,
    /// The key of each series, and its message.
    pub(in crate::ingest) series: Vec<(Digest, &'a [u8])>,
}

/// The table.
#[derive(Default)]
pub(in crate::ingest) struct Symbols<'a>(Vec<Symbol<'a>>);

struct Symbol<'a> {
    text: &'a [u8],
    digest: Digest,
}

impl<'a> Symbols<'a> {
    pub(super) fn push(&mut self, text: &'a [u8], digests: &Digests) {
        self.0.push(Symbol { text, digest: digests.of(text) });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The text behind a reference.
    pub(super) fn text(&self, reference: u32) -> Option<&'a [u8]> {
        Some(self.0.get(usize::try_from(reference).ok()?)?.text)
    }

    /// The digest of packed references; `None` where one is out of the table or there are too many or an odd number: the
    /// long way says which.
    #[inline]
    pub(super) fn digest_of_packed(&self, mut references: &[u8], digests: &Digests) -> Option<Digest> {
        let mut sequence = digests.sequence();
        while !references.is_empty() {
            let reference = usize::try_from(varint(&mut references)?).ok()?;
            sequence.push(self.0.get(reference)?.digest)?;
        }
        sequence.members().is_multiple_of(2).then(|| sequence.digest())
    }

    /// The same of references one by one, or what is wrong with them.
    pub(super) fn digest_of(
        &self,
        references: &[u32],
        digests: &Digests,
        settings: &Settings,
    ) -> Result<Digest, Refused> {
        if references.len() / 2 > settings.labels_max {
            return Err(Refused::TooManyLabels { limit: settings.labels_max });
        }
        if !references.len().is_multiple_of(2) {
            return Err(Refused::Malformed("odd number of label references".to_owned()));
        }
        let mut sequence = digests.sequence();
        for reference in references {
            let symbol = usize::try_from(*reference).ok().and_then(|place| self.0.get(place));
            let symbol = symbol.ok_or_else(|| self.beyond(*reference))?;
            sequence.push(symbol.digest).ok_or(Refused::TooManyLabels { limit: settings.labels_max })?;
        }
        Ok(sequence.digest())
    }

    fn beyond(&self, reference: u32) -> Refused {
        Refused::Malformed(format!("label reference {reference} of {} symbols", self.len()))
    }

    /// The key that version 1 would have sent for the series in `message`, held against the limits before anything is copied:
    /// a symbol is sent once and may be referred to without end.
    pub(in crate::ingest) fn key_of_series(&self, message: &[u8], settings: &Settings) -> Result<Vec<u8>, Refused> {
        let (mut references, mut fields) = (Vec::new(), Fields::of(message, "series"));
        while let Ok(Some((number, field))) = fields.next() {
            if number == 1 {
                push_references(field, &mut references, settings.labels_max);
            }
        }
        self.key_of(&references, settings)
    }

    /// The same from its references.
    pub(super) fn key_of(&self, references: &[u32], settings: &Settings) -> Result<Vec<u8>, Refused> {
        let (mut key, mut bytes) = (Vec::new(), 0);
        let (pairs, _) = references.as_chunks::<2>();
        if pairs.len() > settings.labels_max {
            return Err(Refused::TooManyLabels { limit: settings.labels_max });
        }
        for [name, value] in pairs {
            let text = |reference: &u32| self.text(*reference).ok_or_else(|| self.beyond(*reference));
            let (name, value) = (text(name)?, text(value)?);
            bytes += name.len() + value.len();
            if bytes > settings.labels_bytes_max {
                return Err(Refused::LabelsTooLong { limit: settings.labels_bytes_max });
            }
            key::push_label(&mut key, name, value);
        }
        Ok(key)
    }
}

/// Adds the references of a field; `None` where it is no such field. A reference may be one byte: what cannot be labels takes
/// no memory, and is refused as too many.
pub(super) fn push_references(field: Field<'_>, into: &mut Vec<u32>, labels_max: usize) -> Option<()> {
    match field {
        _ if into.len() > 2 * labels_max => {}
        Field::Bytes(packed) if packed.len() > 2 * labels_max * VARINT_BYTES_MAX => into.resize(2 * labels_max + 2, 0),
        references => push_varints(references, into, |reference| u32::try_from(reference).unwrap_or(u32::MAX))?,
    }
    Some(())
}
