//! Why a text is no query, in Prometheus' words.

use std::fmt;

use crate::promql::ast::Position;

/// The first thing wrong with a query. (Prometheus collects several and shows the first.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What it is about; where there is nothing to point at, the start.
    pub position: Position,
    /// Line and column of `position.start`, both from 1, the column in bytes; `None` for an empty text.
    pub place: Option<(usize, usize)>,
    /// The message without the place.
    pub message: String,
}

impl ParseError {
    pub(super) fn new(text: &str, position: Position, message: String) -> Box<Self> {
        let place = (!text.is_empty()).then(|| super::position(text, position.start));
        Box::new(ParseError { position, place, message })
    }
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    /// `1:5: parse error: unexpected ...`
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(out, "{line}:{column}: parse error: {}", self.message),
            None => write!(out, "unknown position: parse error: {}", self.message),
        }
    }
}
