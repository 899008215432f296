//! Regular expressions as label matchers use them: RE2's meaning, anchored at both ends.

use std::fmt;

/// A compiled regular expression that must match a whole value. (Prometheus: `labels.FastRegexMatcher`.)
#[derive(Clone)]
pub struct Pattern {
    source: Box<str>,
    regex: regex::Regex,
}

/// Why a text is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub String);

impl Pattern {
    /// Compiles `source`, anchored, with `.` matching newlines as in Prometheus 3.
    ///
    /// # Errors
    /// What RE2 would refuse.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        let regex = regex::Regex::new(&format!("^(?s:{source})$")).map_err(|error| PatternError(error.to_string()))?;
        Ok(Pattern { source: source.into(), regex })
    }

    /// Whether all of `value` matches.
    pub fn matches(&self, value: &str) -> bool {
        self.regex.is_match(value)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The compiled expression, anchored; its groups are the source's groups. For `label_replace`.
    pub fn regex(&self) -> &regex::Regex {
        &self.regex
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "/{}/", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
