//! Names with bcrypt hashes, and which passwords were right before.
//!
//! A bcrypt check takes tens to hundreds of milliseconds of CPU by design; a scraper asks every few seconds. So the
//! outcome is remembered under a keyed hash of name, password and stored hash, of good and bad passwords alike.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use super::secret::digest_of;

/// Outcomes that are remembered; then all are forgotten. (Prometheus: 100.)
const REMEMBERED_MAX: usize = 1000;

/// bcrypt of no password anybody has: what an unknown name is checked against, so that it takes as long as a known one.
const NOBODYS: &str = "$2b$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

/// Users with their passwords.
#[derive(Default)]
pub struct Users {
    hashes: BTreeMap<String, String>,
    /// Keys the outcomes, so that memory holds nothing that could be tried offline.
    pepper: [u8; 32],
    outcomes: Mutex<HashMap<[u8; 32], bool>>,
}

impl Users {
    /// Users by name, with their bcrypt hashes; `pepper` is chance.
    pub fn new(hashes: BTreeMap<String, String>, pepper: [u8; 32]) -> Self {
        Users { hashes, pepper, outcomes: Mutex::default() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// What an earlier check of the same said.
    pub(super) fn remembered(&self, name: &str, password: &str) -> Option<bool> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner).get(&self.key(name, password)).copied()
    }

    /// Checks a password. Takes as long as bcrypt does.
    pub(super) fn check(&self, name: &str, password: &str) -> bool {
        let hash = self.hashes.get(name).map_or(NOBODYS, String::as_str);
        let good = bcrypt::verify(password, hash).unwrap_or(false) && self.hashes.contains_key(name);
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if outcomes.len() >= REMEMBERED_MAX {
            outcomes.clear();
        }
        outcomes.insert(self.key(name, password), good);
        good
    }

    fn key(&self, name: &str, password: &str) -> [u8; 32] {
        let hash = self.hashes.get(name).map_or("", String::as_str);
        digest_of(&[&self.pepper, name.as_bytes(), password.as_bytes(), hash.as_bytes()])
    }
}
