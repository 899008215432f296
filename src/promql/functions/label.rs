//! `label_replace` and `label_join`.

use crate::model::{METRIC_NAME, Pattern};
use crate::promql::QueryError;
use crate::promql::exec::stream::Entry;
use crate::promql::parse::text::has_raw_bytes;

/// `label_replace(v, target, replacement, source, pattern)`
#[derive(Debug)]
pub(crate) struct Replace {
    target: String,
    replacement: String,
    source: String,
    pattern: Pattern,
}

fn refuse(what: &str, name: &str) -> QueryError {
    QueryError::Execution(format!("{what}: {name}"))
}

/// Any text is a name, but none at all is not, nor are bytes that are no text.
fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !has_raw_bytes(name)
}

impl Replace {
    /// # Errors
    /// A pattern that is no regular expression, a target that is no label name.
    pub(crate) fn new(target: &str, replacement: &str, source: &str, pattern: &str) -> Result<Self, QueryError> {
        let compiled =
            Pattern::new(pattern).map_err(|_| refuse("invalid regular expression in label_replace()", pattern))?;
        if !is_label_name(target) {
            return Err(refuse("invalid destination label name in label_replace()", target));
        }
        let owned = str::to_owned;
        Ok(Replace { target: owned(target), replacement: owned(replacement), source: owned(source), pattern: compiled })
    }

    pub(crate) fn apply(&self, entry: &Entry) -> Entry {
        let value = entry.labels.get(&self.source).unwrap_or("");
        let Some(groups) = self.pattern.regex().captures(value) else { return entry.clone() };
        let replaced = expand(&self.replacement, &groups);
        Entry {
            labels: entry.labels.with(&self.target, &replaced),
            name_dropped: entry.name_dropped && self.target != METRIC_NAME,
        }
    }
}

/// Replaces `$1`, `$name`, `${name}` by groups and `$$` by `$`; a name is as long as it can be, an unknown one
/// stands for nothing. (Go: `regexp.Expand`.)
fn expand(template: &str, groups: &regex::Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let behind = &rest[dollar + 1..];
        if let Some(behind) = behind.strip_prefix('$') {
            out.push('$');
            rest = behind;
            continue;
        }
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let (name, behind_name) = match behind.strip_prefix('{') {
            Some(inner) => match inner.split_once('}') {
                Some((name, behind)) if !name.is_empty() && name.chars().all(is_name) => (name, behind),
                _ => ("", behind),
            },
            None => behind.split_at(behind.find(|letter| !is_name(letter)).unwrap_or(behind.len())),
        };
        if name.is_empty() {
            // A malformed reference stays as it is.
            out.push('$');
            rest = behind;
            continue;
        }
        let group = match name.parse::<usize>() {
            Ok(number) => groups.get(number),
            Err(_) => groups.name(name),
        };
        out.push_str(group.map_or("", |group| group.as_str()));
        rest = behind_name;
    }
    out.push_str(rest);
    out
}

/// `label_join(v, target, separator, sources...)`
#[derive(Debug)]
pub(crate) struct Join {
    target: String,
    separator: String,
    sources: Vec<String>,
}

impl Join {
    /// # Errors
    /// A source or target that is no label name.
    pub(crate) fn new(target: &str, separator: &str, sources: Vec<String>) -> Result<Self, QueryError> {
        if let Some(bad) = sources.iter().find(|source| !is_label_name(source)) {
            return Err(refuse("invalid source label name in label_join()", bad));
        }
        if !is_label_name(target) {
            return Err(refuse("invalid destination label name in label_join()", target));
        }
        Ok(Join { target: target.to_owned(), separator: separator.to_owned(), sources })
    }

    pub(crate) fn apply(&self, entry: &Entry) -> Entry {
        let values: Vec<&str> = self.sources.iter().map(|source| entry.labels.get(source).unwrap_or("")).collect();
        Entry {
            labels: entry.labels.with(&self.target, &values.join(&self.separator)),
            name_dropped: entry.name_dropped && self.target != METRIC_NAME,
        }
    }
}
