//! Regular expressions as label matchers use them: RE2's meaning, anchored at both ends.
//!
//! `translate` turns Go's syntax into that of the `regex` crate, or into Go's error; `fast` recognises the common
//! shapes that need no automaton. `.` matches newlines, as in Prometheus 3.

mod translate;
mod fast;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};

use fast::Fast;

/// The largest automaton a pattern may compile to, in bytes.
const SIZE_MAX: usize = 10 << 20;
/// The longest expression, in bytes. Alternations of thousands of hosts are in use; more is a mistake.
pub const SOURCE_BYTES_MAX: usize = 1 << 17;
/// How deep the parsed expression may be; groups are bounded before that, this bounds what they hold.
const DEPTH_MAX: u32 = 1000;
/// The longest expression whose automaton, where a fast way is known, waits until it is asked for.
const LAZY_BYTES_MAX: usize = 16 << 10;
/// The largest automaton compiled that late, in bytes. The fast shapes need some hundred bytes for each byte of
/// source, so that this is never reached.
const LAZY_SIZE_MAX: usize = 64 << 20;

/// A compiled regular expression that must match a whole value. (Prometheus: `labels.FastRegexMatcher`.)
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    source: Box<str>,
    translated: String,
    fast: Option<Fast>,
    prefix: Box<str>,
    regex: OnceLock<Regex>,
}

/// Why a text is no regular expression, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(pub String);

impl Pattern {
    /// Compiles `source`, anchored, with `.` matching newlines as in Prometheus 3.
    ///
    /// # Errors
    /// What RE2 would refuse, and what is too large to match with.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        let too_large = || PatternError(format!("error parsing regexp: expression too large: `{source}`"));
        if source.len() > SOURCE_BYTES_MAX {
            let shown = source.chars().take(40).collect::<String>();
            return Err(PatternError(format!("error parsing regexp: expression too large: `{shown}...`")));
        }
        let translated = translate::translate(source)?;
        let hir = regex_syntax::ParserBuilder::new()
            .dot_matches_new_line(true)
            .nest_limit(DEPTH_MAX)
            .build()
            .parse(&translated)
            .map_err(|refused| PatternError(format!("error parsing regexp: {}: `{source}`", reason(&refused))))?;
        let (fast, prefix) = (fast::recognise(&hir), fast::prefix(&hir).into());
        let regex = OnceLock::new();
        if fast.is_none() || source.len() > LAZY_BYTES_MAX {
            let _ = regex.set(compile(&translated, SIZE_MAX).map_err(|_| too_large())?);
        }
        Ok(Pattern(Arc::new(Compiled { source: source.into(), translated, fast, prefix, regex })))
    }

    /// Whether all of `value` matches.
    pub fn matches(&self, value: &str) -> bool {
        if let Some(decided) = self.0.fast.as_ref().and_then(|fast| fast.matches(value)) {
            return decided;
        }
        value.starts_with(&*self.0.prefix) && self.regex().is_match(value)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// The compiled expression, anchored; its groups are the source's groups. For `label_replace`.
    pub fn regex(&self) -> &Regex {
        self.0.regex.get_or_init(|| compile(&self.0.translated, LAZY_SIZE_MAX).expect("the fast shapes are small"))
    }

    /// All values that match, sorted, where the expression is a finite list: an index can look them up one by one.
    pub fn literals(&self) -> Option<&[Box<str>]> {
        match &self.0.fast {
            Some(Fast::Values(values)) => Some(values),
            _ => None,
        }
    }

    /// What every match starts with; often nothing. An index can skip all values outside.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }
}

/// Why the crate refuses what was translated. Go would take these few, such as a repetition behind `(?i)`.
fn reason(refused: &regex_syntax::Error) -> String {
    match refused {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        _ => "not supported".to_owned(),
    }
}

fn compile(translated: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("\\A(?:{translated})\\z"))
        .dot_matches_new_line(true)
        .nest_limit(DEPTH_MAX + 10)
        .size_limit(size)
        .dfa_size_limit(SIZE_MAX)
        .build()
}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "/{}/", self.0.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source
    }
}
