//! YAML text becomes a tree of nodes that know where they stand. The one place in this room that names the YAML
//! crate.
//!
//! Scalars are kept as text: what `1`, `0x10`, `yes` or `2024-01-01` mean is for the reader of the field to say, and
//! for labels they mean just their text. Anchors, aliases and merge keys (`<<`) are resolved; a key that stands twice
//! is an error, as it is for Prometheus.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, NonFiniteFloatPolicy, Options, Spanned};

/// A place in a file: line and column, counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// A piece of a YAML document.
#[derive(Clone, Debug)]
pub(in crate::rules) struct Node {
    pub(in crate::rules) place: Place,
    pub(in crate::rules) content: Content,
}

#[derive(Clone, Debug)]
pub(in crate::rules) enum Content {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(in crate::rules) struct Entry {
    pub(in crate::rules) place: Place,
    pub(in crate::rules) key: String,
    pub(in crate::rules) value: Node,
}

impl Content {
    /// How messages name this kind of node.
    pub(in crate::rules) fn kind(&self) -> &'static str {
        match self {
            Content::Null => "nothing",
            Content::Scalar(_) => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }
}

/// The documents of a text, empty ones left out.
pub(in crate::rules) fn documents(text: &str) -> Result<Vec<Node>, (Place, String)> {
    let mut options = Options::default();
    options.with_snippet = false;
    options.non_finite_float_policy = NonFiniteFloatPolicy::PassThrough;
    match serde_saphyr::from_multiple_with_options::<Spanned<Raw>>(text, options) {
        Ok(documents) => Ok(documents.into_iter().map(|document| node(document, text)).collect()),
        Err(refusal) => {
            let place = refusal.location().map(place).unwrap_or_default();
            Err((place, explain(&refusal.to_string(), text, place)))
        }
    }
}

/// The crate's message on one line, with the hint that nine of ten authors need.
fn explain(message: &str, text: &str, place: Place) -> String {
    let mut message = message.lines().next().unwrap_or("not YAML").trim().to_owned();
    if let Some(end) = message.rfind(" at line ") {
        message.truncate(end);
    }
    // What follows tells programmers how to put up with it.
    if let Some(rest) = message.strip_prefix("duplicate mapping key: ") {
        message = format!("the key {:?} stands twice", rest.split(", set ").next().unwrap_or(rest));
    }
    let line = usize::try_from(place.line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?));
    if line.is_some_and(|line| line.contains(": {{")) {
        message.push_str(" (a value that begins with {{ must stand in quotes)");
    }
    message
}

fn place(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

/// What serde gives; `Typed` stands for a plain scalar that the crate took for a number or boolean, and whose text is
/// read again from the source.
enum Raw {
    Null,
    Text(String),
    Typed(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let content = match raw.value {
        Raw::Null => Content::Null,
        Raw::Text(value) => Content::Scalar(value),
        Raw::Typed(shown) => Content::Scalar(source(text, raw.defined).map_or(shown, str::to_owned)),
        Raw::List(items) => Content::List(items.into_iter().map(|item| node(item, text)).collect()),
        Raw::Map(entries) => Content::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry { place: place(key.referenced), key: key.value, value: node(value, text) })
                .collect(),
        ),
    };
    Node { place: place(raw.referenced), content }
}

/// The text of a plain scalar as it stands in the file.
fn source(text: &str, at: Location) -> Option<&str> {
    let (start, length) = (at.span().byte_offset()?, at.span().byte_len()?);
    let start = usize::try_from(start).ok()?;
    let plain = text.get(start..start + usize::try_from(length).ok()?)?.trim();
    (!plain.is_empty()).then_some(plain)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("YAML")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
