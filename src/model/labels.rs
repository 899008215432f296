//! The labels that name a series.
//!
//! [`Labels`] is one shared string: every name and every value, each preceded by its length in base-64
//! digits (a byte below 64 ends a length, a byte from 64 to 127 continues it). All length bytes are ASCII, so the
//! whole stays valid UTF-8, equality is a memory comparison, a clone is a counter, and a series costs one
//! allocation.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Digits of a length at most: texts are below 2^30 bytes.
const LENGTH_DIGITS_MAX: usize = 5;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// Label names with values: sorted by name, unique, no empty value, cheap to clone. Built only by
/// [`LabelsBuilder`].
#[derive(Clone, PartialEq, Eq)]
pub struct Labels(Arc<str>);

/// Why labels cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// The same name twice.
    #[error("duplicate label name {0:?}")]
    Duplicate(String),
    /// A label without a name.
    #[error("empty label name")]
    EmptyName,
}

impl Labels {
    /// No label at all.
    pub fn empty() -> Self {
        Labels(Arc::from(""))
    }

    /// For tests and constants: builds from pairs in any order.
    ///
    /// # Panics
    /// Where a name is empty or stands twice.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.push(name.as_ref(), value.as_ref());
        }
        builder.build().expect("names are unique and not empty")
    }

    /// Labels whose names come sorted and once each, with values that are not empty.
    pub fn from_sorted<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut packed = String::with_capacity(512);
        for (name, value) in pairs {
            push_text(&mut packed, name);
            push_text(&mut packed, value);
        }
        Labels(packed.into())
    }

    /// Names with values, in the order of names.
    pub fn iter(&self) -> Iter<'_> {
        Iter { rest: &self.0 }
    }

    /// The value under `name`. A label that is not there reads as `None`; an empty value cannot be stored.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The metric's name, if it has one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A builder that starts with these labels.
    pub fn to_builder(&self) -> LabelsBuilder {
        LabelsBuilder { labels: self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// These labels without those whose name `drop` accepts.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Labels {
        if !self.iter().any(|(name, _)| drop(name)) {
            return self.clone();
        }
        let mut text = String::with_capacity(self.0.len());
        for (name, value) in self.iter().filter(|(name, _)| !drop(name)) {
            push_text(&mut text, name);
            push_text(&mut text, value);
        }
        Labels(text.into())
    }

    /// These labels with one set; an empty value takes the label away.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Labels {
        let mut builder = self.to_builder();
        builder.set(name, value);
        builder.build().expect("set keeps names unique")
    }

    /// Bytes on the heap that this value shares with its clones.
    pub fn heap_bytes(&self) -> usize {
        self.0.len() + 16
    }

    /// Whether both are one value in memory: then they are equal, and often they are not compared otherwise.
    pub fn is_same(&self, other: &Labels) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The packed text: equal for equal labels, and only for them. For hashing and comparing.
    pub fn as_packed(&self) -> &str {
        &self.0
    }

    /// Labels from their packed text, as [`as_packed`](Self::as_packed) gave it; `None` where it is none: names must
    /// rise, and neither a name nor a value may be empty.
    pub fn from_packed(packed: &str) -> Option<Labels> {
        let bytes = packed.as_bytes();
        let (mut at, mut last) = (0, &bytes[..0]);
        while at < bytes.len() {
            let name = checked_text(packed, at)?;
            let value = checked_text(packed, name.end)?;
            at = value.end;
            let name = &bytes[name];
            if name <= last || value.is_empty() {
                return None;
            }
            last = name;
        }
        Some(Labels(packed.into()))
    }
}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Ord for Labels {
    /// By the first label that differs, name before value; where one is the beginning of the other, the
    /// shorter first. (As Prometheus sorts a matrix.)
    fn cmp(&self, other: &Self) -> Ordering {
        let (left, right) = (self.0.as_bytes(), other.0.as_bytes());
        let same = same_bytes(left, right);
        if same == left.len() || same == right.len() {
            return left.len().cmp(&right.len());
        }
        // Labels that end before the first difference are equal: only the one around it is looked into.
        let at = label_around(left, same);
        Iter { rest: &self.0[at..] }.cmp(Iter { rest: &other.0[at..] })
    }
}

/// How many bytes two texts have in common at their beginnings.
fn same_bytes(left: &[u8], right: &[u8]) -> usize {
    const WORD: usize = 8;
    let words = left.chunks_exact(WORD).zip(right.chunks_exact(WORD));
    let whole = WORD * words.take_while(|(left, right)| left == right).count();
    whole + left[whole..].iter().zip(&right[whole..]).take_while(|(left, right)| left == right).count()
}

/// Where in packed labels the label begins that has the byte at `place`.
fn label_around(packed: &[u8], place: usize) -> usize {
    let behind_text = |at: usize| {
        let (length, read) = read_length(&packed[at..]);
        at + read + length
    };
    let mut at = 0;
    loop {
        let next = behind_text(behind_text(at));
        if next > place {
            return at;
        }
        at = next;
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Labels {
    fn default() -> Self {
        Labels::empty()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Whether `name` may stand in PromQL without quotes, as a metric name (colons allowed).
pub fn is_plain_metric_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_' || first == b':')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}

/// Whether `name` may stand in PromQL without quotes, as a label name.
pub fn is_plain_label_name(name: &str) -> bool {
    is_plain_metric_name(name) && !name.contains(':')
}

impl fmt::Display for Labels {
    /// As a selector that finds the series: `up{job="node"}`; names that PromQL must quote are quoted.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name();
        let outside = name.filter(|name| is_plain_metric_name(name));
        out.write_str(outside.unwrap_or(""))?;
        let mut separator = "{";
        if let (Some(quoted), None) = (name, outside) {
            write!(out, "{{{}", Quoted(quoted))?;
            separator = ", ";
        }
        for (name, value) in self.iter().filter(|(name, _)| *name != METRIC_NAME) {
            match is_plain_label_name(name) {
                true => write!(out, "{separator}{name}={}", Quoted(value))?,
                false => write!(out, "{separator}{}={}", Quoted(name), Quoted(value))?,
            }
            separator = ", ";
        }
        match (separator, outside) {
            ("{", Some(_)) => Ok(()),
            ("{", None) => out.write_str("{}"),
            _ => out.write_str("}"),
        }
    }
}

/// A text in double quotes with Go's escapes, as Prometheus prints it.
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        out.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' => out.write_str("\\\"")?,
                '\\' => out.write_str("\\\\")?,
                '\n' => out.write_str("\\n")?,
                '\r' => out.write_str("\\r")?,
                '\t' => out.write_str("\\t")?,
                '\u{7}' => out.write_str("\\a")?,
                '\u{8}' => out.write_str("\\b")?,
                '\u{b}' => out.write_str("\\v")?,
                '\u{c}' => out.write_str("\\f")?,
                control if (control as u32) < 0x20 || control == '\u{7f}' => write!(out, "\\x{:02x}", control as u32)?,
                plain => out.write_char(plain)?,
            }
        }
        out.write_char('"')
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Names with values, in the order of names.
#[derive(Clone)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, rest) = split_text(self.rest);
        let (value, rest) = split_text(rest);
        self.rest = rest;
        Some((name, value))
    }
}

fn push_text(packed: &mut String, text: &str) {
    let mut length = text.len();
    while length >= 64 {
        packed.push(char::from(64 | (length % 64) as u8));
        length /= 64;
    }
    packed.push(char::from(length as u8));
    packed.push_str(text);
}

fn split_text(packed: &str) -> (&str, &str) {
    let (length, read) = read_length(packed.as_bytes());
    packed[read..].split_at(length)
}

/// The length that stands at the start of `packed`, and how many bytes it takes.
fn read_length(packed: &[u8]) -> (usize, usize) {
    let (mut length, mut shift, mut read) = (0_usize, 0, 0);
    for digit in packed {
        length |= usize::from(digit % 64) << shift;
        shift += 6;
        read += 1;
        if *digit < 64 {
            break;
        }
    }
    (length, read)
}

/// Where the text stands whose length stands at `at`, in bytes that may be anything.
#[inline]
fn checked_text(packed: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let bytes = packed.as_bytes();
    let (mut length, mut start) = (0_usize, at);
    loop {
        let digit = *bytes.get(start)?;
        if digit >= 128 || start - at >= LENGTH_DIGITS_MAX {
            return None;
        }
        length |= usize::from(digit % 64) << (6 * (start - at));
        start += 1;
        if digit < 64 {
            break;
        }
    }
    // Lengths are ASCII, so the text begins at a character; it has to end at one.
    let end = start + length;
    packed.is_char_boundary(end).then_some(start..end)
}

/// Builds [`Labels`]: pairs come in any order, empty values are left out.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    labels: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Adds a label; a name that is already there becomes an error in [`build`](Self::build).
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.labels.push((name.into(), value.into()));
    }

    /// Sets a label, replacing what stood under its name; an empty value takes the label away.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        if !value.is_empty() {
            self.labels.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Takes a label away, and says what it held.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.labels.iter().position(|(known, _)| known == name)?;
        Some(self.labels.swap_remove(at).1)
    }

    /// The value under `name`, if any.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The pairs as they stand, unsorted.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.labels
    }

    /// # Errors
    /// A name that is empty or stands twice. A label with an empty value counts as absent, but its name
    /// must be unique all the same.
    pub fn build(mut self) -> Result<Labels, LabelError> {
        self.labels.sort_by(|left, right| left.0.cmp(&right.0));
        if self.labels.iter().any(|(name, _)| name.is_empty()) {
            return Err(LabelError::EmptyName);
        }
        if let Some(pair) = self.labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(LabelError::Duplicate(pair[0].0.clone()));
        }
        let mut packed =
            String::with_capacity(self.labels.iter().map(|(name, value)| name.len() + value.len() + 3).sum());
        for (name, value) in self.labels.iter().filter(|(_, value)| !value.is_empty()) {
            push_text(&mut packed, name);
            push_text(&mut packed, value);
        }
        Ok(Labels(packed.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_print_as_a_selector() {
        let labels = Labels::from_pairs([("job", "node"), ("__name__", "up"), ("empty", "")]);
        assert_eq!(labels.to_string(), r#"up{job="node"}"#);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("__name__", "up"), ("job", "node")]);
        assert_eq!(Labels::empty().to_string(), "{}");
        assert_eq!(Labels::from_pairs([("__name__", "a.b"), ("c d", "e\"f")]).to_string(), r#"{"a.b", "c d"="e\"f"}"#);
    }

    #[test]
    fn a_name_stands_once_and_is_not_empty() {
        let mut twice = LabelsBuilder::default();
        twice.push("a", "1");
        twice.push("a", "2");
        assert_eq!(twice.build(), Err(LabelError::Duplicate("a".into())));
        let mut nameless = LabelsBuilder::default();
        nameless.push("", "1");
        assert_eq!(nameless.build(), Err(LabelError::EmptyName));
    }

    #[test]
    fn labels_are_ordered_by_their_first_label_that_differs() {
        let long = "x".repeat(70);
        let texts = ["a", "b", "ab", "a\u{80}", &long];
        let mut all = vec![Labels::empty()];
        for name in texts {
            for value in texts {
                all.push(Labels::from_pairs([(name, value)]));
                all.push(Labels::from_pairs([(name, value), ("c", "1")]));
                all.push(Labels::from_pairs([("A", "1"), (name, value)]));
                all.push(Labels::from_pairs([("A", "1"), (name, value), ("z", value)]));
            }
        }
        for left in &all {
            for right in &all {
                assert_eq!(left.cmp(right), left.iter().cmp(right.iter()), "{left} {right}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn labels_are_in_the_order_of_their_pairs(
            left in proptest::collection::btree_map("[ab]{1,2}", "[ab]{1,70}", 0..4),
            right in proptest::collection::btree_map("[ab]{1,2}", "[ab]{1,70}", 0..4),
            shared in proptest::collection::btree_map("[ab]{1,2}", "a{60,70}", 0..4),
        ) {
            let of = |pairs: &std::collections::BTreeMap<String, String>| {
                Labels::from_pairs(pairs.iter().chain(shared.iter().filter(|(name, _)| !pairs.contains_key(*name))))
            };
            let (left, right) = (of(&left), of(&right));
            proptest::prop_assert_eq!(left.cmp(&right), left.iter().cmp(right.iter()));
        }

        #[test]
        fn every_label_comes_back(pairs in proptest::collection::btree_map("\\PC{1,80}", "\\PC{1,300}", 0..6)) {
            let labels = Labels::from_pairs(pairs.iter());
            let back: Vec<_> = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            proptest::prop_assert_eq!(back, pairs.into_iter().collect::<Vec<_>>());
        }
    }
}
