//! A token as it is kept, and as it is wished for.
//!
//! ```text
//!   key    access/token/ + id
//!   value  JSON, see [`Record`]
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{METRIC_NAME, Matcher, MatcherTest, PatternError, Span, TimeRange, Timestamp};

use super::caller::View;
use super::right::{Right, Rights};

/// Where tokens stand in the journal.
pub(super) const PREFIX: &[u8] = b"access/token/";

/// What a token shall be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenSpec {
    /// What people call it.
    pub name: String,
    /// What its holder may do.
    pub rights: Rights,
    /// What its holder sees.
    pub scope: Scope,
    /// Paths that answer it, a trailing `*` standing for any rest; empty = all.
    pub paths: Vec<String>,
    /// Requests a second, and how many of them may come at once.
    pub pace: Option<(f64, f64)>,
    /// Put on everything its holder writes, whatever the sender says.
    pub labels: BTreeMap<String, String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// A part of the store, as a token names it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// What the labels of a series must satisfy; empty = anything.
    pub matchers: Arc<[Matcher]>,
    /// Samples before are not seen.
    pub from: Option<Timestamp>,
    /// Samples after are not seen.
    pub until: Option<Timestamp>,
    /// Samples older than this are not seen.
    pub max_age: Option<Span>,
}

impl Scope {
    /// Whether it lets everything through.
    pub fn is_whole(&self) -> bool {
        self.matchers.is_empty() && self.from.is_none() && self.until.is_none() && self.max_age.is_none()
    }

    /// What is seen at `now`; `None` = everything.
    pub fn view(&self, now: Timestamp) -> Option<View> {
        let start = self.from.unwrap_or(Timestamp::MIN).max(self.max_age.map_or(Timestamp::MIN, |age| now - age));
        let range = TimeRange::new(start, self.until.unwrap_or(Timestamp::MAX));
        (!self.is_whole()).then(|| View { matchers: Arc::clone(&self.matchers), range })
    }

    /// The matchers as a selector; empty where there is none.
    pub fn selector(&self) -> String {
        let matchers: Vec<String> = self.matchers.iter().map(ToString::to_string).collect();
        if matchers.is_empty() { String::new() } else { format!("{{{}}}", matchers.join(",")) }
    }
}

/// Why a token cannot be as it is wished for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenSpecError {
    /// Nobody would know what it is for.
    #[error("a token needs a name")]
    NoName,
    /// A text that is too long, or a list.
    #[error("{0} is too long: at most {1}")]
    TooLong(&'static str, usize),
    /// It could do nothing.
    #[error("a token needs a right: read, graph, write, status or admin")]
    NoRight,
    /// What Weir says of itself cannot be cut to a scope.
    #[error("a token with matchers or a time range can have the rights read, graph and write, not {0}")]
    Unscopable(Right),
    /// Never seen.
    #[error("until lies before from")]
    EmptyRange,
    /// No request would ever pass.
    #[error("requestsPerSecond must be above 0 and burst at least 1")]
    NoPace,
    /// A label that cannot be put on a series.
    #[error("label {0:?} cannot be put on every series")]
    BadLabel(String),
    /// Ended before it began.
    #[error("the token would have expired already")]
    Expired,
}

/// Bounds of what is kept for one token.
const NAME_BYTES_MAX: usize = 256;
const MATCHERS_MAX: usize = 32;
const PATHS_MAX: usize = 64;
const LABELS_MAX: usize = 16;
const TEXT_BYTES_MAX: usize = 1024;

impl TokenSpec {
    /// Checks what it says, at the time `now`.
    ///
    /// # Errors
    /// The first thing that cannot be.
    pub fn check(&self, now: Timestamp) -> Result<(), TokenSpecError> {
        use TokenSpecError::{BadLabel, EmptyRange, Expired, NoName, NoPace, NoRight, TooLong, Unscopable};
        let short = |holds: bool, what, most| if holds { Ok(()) } else { Err(TooLong(what, most)) };
        if self.name.trim().is_empty() {
            return Err(NoName);
        }
        short(self.name.len() <= NAME_BYTES_MAX, "the name (in bytes)", NAME_BYTES_MAX)?;
        short(self.scope.matchers.len() <= MATCHERS_MAX, "the list of matchers", MATCHERS_MAX)?;
        short(self.paths.len() <= PATHS_MAX, "the list of paths", PATHS_MAX)?;
        short(self.labels.len() <= LABELS_MAX, "the list of labels", LABELS_MAX)?;
        let matchers = self.scope.matchers.iter().map(|matcher| matcher.name.len() + matcher.parts().1.len());
        let texts = matchers.chain(self.paths.iter().map(String::len));
        let texts = texts.chain(self.labels.iter().map(|(name, value)| name.len() + value.len()));
        short(texts.max().unwrap_or(0) <= TEXT_BYTES_MAX, "a matcher, path or label (in bytes)", TEXT_BYTES_MAX)?;
        if self.rights.is_empty() {
            return Err(NoRight);
        }
        let beyond = [Right::Status, Right::Admin].into_iter().find(|right| self.rights.allow(*right));
        if let Some(right) = beyond.filter(|_| !self.scope.is_whole()) {
            return Err(Unscopable(right));
        }
        if self.scope.from.zip(self.scope.until).is_some_and(|(from, until)| until < from) {
            return Err(EmptyRange);
        }
        if self.pace.is_some_and(|(rate, burst)| !(rate.is_finite() && rate > 0.0 && burst >= 1.0)) {
            return Err(NoPace);
        }
        let bad = |(name, value): &(&String, &String)| name.is_empty() || *name == METRIC_NAME || value.is_empty();
        if let Some((name, _)) = self.labels.iter().find(bad) {
            return Err(BadLabel(name.clone()));
        }
        match self.expires_at {
            Some(at) if at <= now => Err(Expired),
            _ => Ok(()),
        }
    }
}

/// A token as everybody may see it: without its secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Names it; not secret.
    pub id: String,
    /// What it is.
    pub spec: TokenSpec,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When it was last used, as far as this process knows.
    pub last_used_at: Option<Timestamp>,
}

/// A token in the journal. Times are milliseconds since the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// The record's format.
    v: u32,
    pub(super) id: String,
    /// SHA-256 of the secret, in hex.
    pub(super) hash: String,
    name: String,
    rights: Vec<String>,
    /// Name, comparison, value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    matchers: Vec<(String, String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pace: Option<(f64, f64)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    created_at: i64,
    created_by: String,
}

/// The record's format, written into each.
const FORMAT: u32 = 1;

impl Record {
    pub(super) fn of(token: &Token, hash: &str) -> Self {
        let Token { id, spec, created_at, created_by, .. } = token;
        let matcher = |matcher: &Matcher| {
            let (sign, value) = matcher.parts();
            (matcher.name.clone(), sign.to_owned(), value.to_owned())
        };
        Record {
            v: FORMAT,
            id: id.clone(),
            hash: hash.to_owned(),
            name: spec.name.clone(),
            rights: spec.rights.iter().map(|right| right.to_string()).collect(),
            matchers: spec.scope.matchers.iter().map(matcher).collect(),
            from: spec.scope.from.map(Timestamp::as_millis),
            until: spec.scope.until.map(Timestamp::as_millis),
            max_age: spec.scope.max_age.map(Span::as_millis),
            paths: spec.paths.clone(),
            pace: spec.pace,
            labels: spec.labels.clone(),
            expires_at: spec.expires_at.map(Timestamp::as_millis),
            created_at: created_at.as_millis(),
            created_by: created_by.clone(),
        }
    }

    /// The token behind a record.
    ///
    /// # Errors
    /// What in it this program cannot read. Such a token opens nothing: half of a scope would be too wide.
    pub(super) fn token(&self) -> Result<Token, String> {
        if self.v != FORMAT {
            return Err(format!("it has format {}, known is {FORMAT}", self.v));
        }
        let rights = self.rights.iter().map(|right| right.parse()).collect::<Result<Rights, String>>()?;
        let read = |(name, sign, value): &(String, String, String)| matcher(name, sign, value);
        let matchers = self.matchers.iter().map(read).collect::<Result<Vec<_>, String>>()?;
        let scope = Scope {
            matchers: matchers.into(),
            from: self.from.map(Timestamp::from_millis),
            until: self.until.map(Timestamp::from_millis),
            max_age: self.max_age.map(Span::from_millis),
        };
        let spec = TokenSpec {
            name: self.name.clone(),
            rights,
            scope,
            paths: self.paths.clone(),
            pace: self.pace,
            labels: self.labels.clone(),
            expires_at: self.expires_at.map(Timestamp::from_millis),
        };
        Ok(Token {
            id: self.id.clone(),
            spec,
            created_at: Timestamp::from_millis(self.created_at),
            created_by: self.created_by.clone(),
            last_used_at: None,
        })
    }
}

fn matcher(name: &str, sign: &str, value: &str) -> Result<Matcher, String> {
    let broken = |error: PatternError| format!("matcher on {name}: {error}");
    Ok(match sign {
        "=" => Matcher::equal(name, value),
        "!=" => Matcher { name: name.to_owned(), test: MatcherTest::NotEqual(value.to_owned()) },
        "=~" => Matcher::regex(name, value).map_err(broken)?,
        "!~" => Matcher::not_regex(name, value).map_err(broken)?,
        _ => return Err(format!("matcher on {name}: unknown comparison {sign:?}")),
    })
}
