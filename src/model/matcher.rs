//! What a selector asks of one label.

use std::fmt;

use super::labels::{Quoted, is_plain_label_name};
use super::{Labels, Pattern, PatternError};

/// One condition on one label. A label that is not there reads as the empty value.
#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    /// Which label.
    pub name: String,
    /// What its value must satisfy.
    pub test: MatcherTest,
}

/// The four comparisons.
#[derive(Clone, Debug, PartialEq)]
pub enum MatcherTest {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`
    Regex(Pattern),
    /// `!~`
    NotRegex(Pattern),
}

impl Matcher {
    /// `name="value"`
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Matcher { name: name.into(), test: MatcherTest::Equal(value.into()) }
    }

    /// `name!="value"`
    pub fn not_equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Matcher { name: name.into(), test: MatcherTest::NotEqual(value.into()) }
    }

    /// `name=~"pattern"`
    ///
    /// # Errors
    /// Where the pattern is no regular expression.
    pub fn regex(name: impl Into<String>, pattern: &str) -> Result<Self, PatternError> {
        Ok(Matcher { name: name.into(), test: MatcherTest::Regex(Pattern::new(pattern)?) })
    }

    /// `name!~"pattern"`
    ///
    /// # Errors
    /// Where the pattern is no regular expression.
    pub fn not_regex(name: impl Into<String>, pattern: &str) -> Result<Self, PatternError> {
        Ok(Matcher { name: name.into(), test: MatcherTest::NotRegex(Pattern::new(pattern)?) })
    }

    /// Whether a label with this value (empty: no such label) satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        match &self.test {
            MatcherTest::Equal(wanted) => value == wanted,
            MatcherTest::NotEqual(unwanted) => value != unwanted,
            MatcherTest::Regex(pattern) => pattern.matches(value),
            MatcherTest::NotRegex(pattern) => !pattern.matches(value),
        }
    }

    /// Whether a series without the label satisfies the condition.
    pub fn matches_absent(&self) -> bool {
        self.matches("")
    }

    /// Whether `labels` satisfy all of `matchers`.
    pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
        matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
    }

    /// The comparison's sign and its right side.
    pub fn parts(&self) -> (&'static str, &str) {
        match &self.test {
            MatcherTest::Equal(value) => ("=", value),
            MatcherTest::NotEqual(value) => ("!=", value),
            MatcherTest::Regex(pattern) => ("=~", pattern.as_str()),
            MatcherTest::NotRegex(pattern) => ("!~", pattern.as_str()),
        }
    }
}

impl fmt::Display for Matcher {
    /// As PromQL writes it; a name that must be quoted is quoted.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, value) = self.parts();
        match is_plain_label_name(&self.name) {
            true => write!(out, "{}{sign}{}", self.name, Quoted(value)),
            false => write!(out, "{}{sign}{}", Quoted(&self.name), Quoted(value)),
        }
    }
}
