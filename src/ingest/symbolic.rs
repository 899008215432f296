//! Names for the series of remote write 2.0, whose keys are digests of the symbols that they refer to.
//!
//! Only where the store does not know a key are its symbols put together, into the key that version 1 would have sent, and
//! read like that one.

use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::RandomState;

use crate::store::{Refused, SeriesName, SeriesNaming};

use super::Settings;
use super::digests::Digest;
use super::naming::Naming;
use super::wire::key;
use super::wire::symbols::Symbolic;

/// Reads the keys of one request.
pub(super) struct SymbolicNaming<'a> {
    inner: &'a Naming<'a>,
    sent: &'a Symbolic<'a>,
    settings: &'a Settings,
    /// Where the series of a key stands; made when the first one is asked for.
    places: OnceLock<HashMap<Digest, usize, RandomState>>,
}

impl<'a> SymbolicNaming<'a> {
    pub(super) fn new(inner: &'a Naming<'a>, sent: &'a Symbolic<'a>, settings: &'a Settings) -> Self {
        SymbolicNaming { inner, sent, settings, places: OnceLock::new() }
    }

    /// The key that version 1 would have sent.
    fn translated(&self, key: &[u8]) -> Result<Vec<u8>, Refused> {
        let places = self.places.get_or_init(|| {
            let keys = self.sent.series.iter().enumerate();
            keys.map(|(place, (digest, _))| (*digest, place)).collect()
        });
        let digest = key.try_into().map(Digest::from_bytes).expect("keys of version 2 are digests");
        let place = places.get(&digest).expect("a key is read with the request that it was made for");
        self.sent.symbols.key_of_series(self.sent.series[*place].1, self.settings)
    }
}

impl SeriesNaming for SymbolicNaming<'_> {
    fn seed(&self) -> u64 {
        // No digest may be taken for labels as version 1 sends them.
        !self.inner.seed().rotate_left(29)
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        self.inner.name(&self.translated(key)?)
    }

    fn describe(&self, key: &[u8]) -> String {
        match self.translated(key) {
            Ok(labels) => key::describe(&labels),
            Err(why) => format!("a series refused as {why}"),
        }
    }
}
