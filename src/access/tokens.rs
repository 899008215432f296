//! All tokens: in the journal, and in memory for as long as the program runs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::{Span, Timestamp};
use crate::store::{Journal, StoreError};

use super::caller::{Caller, Kind};
use super::pace::Pace;
use super::secret::{self, Chance};
use super::token::{PREFIX, Record, Token, TokenSpec, TokenSpecError};

/// Why a token is not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// What is wished for cannot be.
    #[error("{0}")]
    Spec(#[from] TokenSpecError),
    /// There are enough.
    #[error("there are {0} tokens already, which is the limit; revoke some first")]
    TooMany(usize),
    /// The journal.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Most tokens at once.
const TOKENS_MAX: usize = 10_000;

/// Makes, finds and revokes tokens.
pub struct Tokens {
    journal: Arc<dyn Journal>,
    chance: Chance,
    known: RwLock<HashMap<String, Arc<Known>>>,
}

/// A token in memory.
struct Known {
    token: Token,
    hash: String,
    paths: Arc<[String]>,
    labels: Arc<[(String, String)]>,
    pace: Pace,
    /// Milliseconds; 0 = not yet.
    used_at: AtomicI64,
}

impl Known {
    fn new(token: Token, hash: String) -> Arc<Self> {
        let paths = token.spec.paths.clone().into();
        let labels = token.spec.labels.clone().into_iter().collect();
        Arc::new(Known { token, hash, paths, labels, pace: Pace::default(), used_at: AtomicI64::new(0) })
    }

    fn shown(&self) -> Token {
        let used_at = self.used_at.load(Ordering::Relaxed);
        Token { last_used_at: (used_at != 0).then(|| Timestamp::from_millis(used_at)), ..self.token.clone() }
    }
}

/// What became of a token that was presented.
pub(super) enum Found {
    /// Whoever holds it.
    Caller(Box<Caller>),
    /// No such token, a wrong secret, revoked or expired: all the same to whoever presents it.
    Unknown,
    /// It asks too often; it may come back after this long.
    TooOften(Span),
}

impl Tokens {
    /// The tokens in `journal`. One that cannot be read opens nothing, and is named in the log.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    pub fn open(journal: Arc<dyn Journal>, chance: Chance) -> Result<Self, StoreError> {
        let mut known = HashMap::new();
        for (key, value) in journal.scan(PREFIX)? {
            let record = serde_json::from_slice::<Record>(&value).map_err(|error| error.to_string());
            match record.and_then(|record| record.token().map(|token| (token, record.hash))) {
                Ok((token, hash)) => {
                    known.insert(token.id.clone(), Known::new(token, hash));
                }
                Err(why) => {
                    let key = String::from_utf8_lossy(&key).into_owned();
                    tracing::error!(key, why, "a token cannot be read and opens nothing");
                }
            }
        }
        Ok(Tokens { journal, chance, known: RwLock::new(known) })
    }

    /// Makes a token. The text is the only copy of its secret.
    ///
    /// # Errors
    /// Where it cannot be as wished, or cannot be kept.
    pub fn create(&self, spec: TokenSpec, by: &str, now: Timestamp) -> Result<(Token, String), TokensError> {
        spec.check(now)?;
        if self.known.read().unwrap_or_else(PoisonError::into_inner).len() >= TOKENS_MAX {
            return Err(TokensError::TooMany(TOKENS_MAX));
        }
        let (id, text, hash) = secret::make(&self.chance);
        let token = Token { id, spec, created_at: now, created_by: by.to_owned(), last_used_at: None };
        let value = serde_json::to_vec(&Record::of(&token, &hash)).expect("a record is texts and numbers");
        self.journal.write(&[(key(&token.id), Some(value))])?;
        let known = Known::new(token.clone(), hash);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(token.id.clone(), known);
        Ok((token, text))
    }

    /// All tokens, oldest first.
    pub fn list(&self) -> Vec<Token> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut tokens: Vec<Token> = known.values().map(|known| known.shown()).collect();
        tokens.sort_by(|left, right| (left.created_at, &left.id).cmp(&(right.created_at, &right.id)));
        tokens
    }

    /// Ends a token, at once and for ever; `false` = there is none with this id.
    ///
    /// # Errors
    /// Where the journal cannot be written: the token then lives on.
    pub fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        if !self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(id) {
            return Ok(false);
        }
        self.journal.write(&[(key(id), None)])?;
        Ok(self.known.write().unwrap_or_else(PoisonError::into_inner).remove(id).is_some())
    }

    pub(super) fn find(&self, text: &str, now: Timestamp) -> Found {
        let Some((id, secret)) = secret::split(text) else { return Found::Unknown };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        let Some(known) = known.filter(|known| secret::is(secret, &known.hash)) else { return Found::Unknown };
        let spec = &known.token.spec;
        if spec.expires_at.is_some_and(|at| at <= now) {
            return Found::Unknown;
        }
        known.used_at.store(now.as_millis(), Ordering::Relaxed);
        if let Some((rate, burst)) = spec.pace
            && let Err(wait) = known.pace.take(rate, burst, now)
        {
            return Found::TooOften(wait);
        }
        Found::Caller(Box::new(Caller {
            kind: Kind::Token,
            name: spec.name.clone(),
            token_id: known.token.id.clone(),
            rights: spec.rights,
            paths: Arc::clone(&known.paths),
            view: spec.scope.view(now),
            labels: Arc::clone(&known.labels),
            expires_at: spec.expires_at,
        }))
    }
}

fn key(id: &str) -> Vec<u8> {
    [PREFIX, id.as_bytes()].concat()
}
