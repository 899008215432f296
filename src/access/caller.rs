//! Who asks, once that is settled.

use std::sync::Arc;

use crate::model::{Labels, Matcher, TimeRange, Timestamp};
use crate::store::SampleSource;

use super::right::{Right, Rights};
use super::scoped::ScopedSource;

/// How a caller is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Without credentials.
    Anonymous,
    /// By name and password.
    User,
    /// By a token.
    Token,
}

impl Kind {
    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Anonymous => "anonymous",
            Kind::User => "user",
            Kind::Token => "token",
        }
    }
}

/// Somebody who asks, with what they may do and see.
#[derive(Clone, Debug)]
pub struct Caller {
    /// How they are known.
    pub kind: Kind,
    /// The user's or the token's name; empty for anonymous.
    pub name: String,
    /// The token's id; empty for everybody else.
    pub token_id: String,
    /// What they may do.
    pub rights: Rights,
    /// Paths that answer them, a trailing `*` standing for any rest; empty = all.
    pub paths: Arc<[String]>,
    /// What they see; `None` = everything.
    pub view: Option<View>,
    /// Put on everything they write.
    pub labels: Arc<[(String, String)]>,
    /// When their credentials end.
    pub expires_at: Option<Timestamp>,
}

/// A part of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What the labels of a series must satisfy.
    pub matchers: Arc<[Matcher]>,
    /// When its samples may lie; `None` = nowhere at all.
    pub range: Option<TimeRange>,
}

impl View {
    /// Whether a thing with these labels lies inside.
    pub fn shows(&self, labels: &Labels) -> bool {
        Matcher::all_match(&self.matchers, labels)
    }
}

impl Caller {
    /// Somebody without credentials.
    pub fn anonymous(rights: Rights) -> Self {
        Caller {
            kind: Kind::Anonymous,
            name: String::new(),
            token_id: String::new(),
            rights,
            paths: Arc::new([]),
            view: None,
            labels: Arc::new([]),
            expires_at: None,
        }
    }

    /// A user who gave the right password.
    pub fn user(name: &str) -> Self {
        Caller { kind: Kind::User, name: name.to_owned(), ..Caller::anonymous(Rights::ALL) }
    }

    /// Whether a route of this kind at this path answers them.
    pub fn may(&self, right: Right, path: &str) -> bool {
        let reached = |pattern: &String| match pattern.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == pattern,
        };
        self.rights.allow(right) && (self.paths.is_empty() || self.paths.iter().any(reached))
    }

    /// The store as they see it.
    pub fn sees(&self, store: &Arc<dyn SampleSource>) -> Arc<dyn SampleSource> {
        match &self.view {
            None => Arc::clone(store),
            Some(view) => Arc::new(ScopedSource::new(Arc::clone(store), view.clone())),
        }
    }

    /// Whether they see a thing with these labels that is no series: an alert, a rule.
    pub fn sees_labels(&self, labels: &Labels) -> bool {
        self.view.as_ref().is_none_or(|view| view.shows(labels))
    }
}
