//! OpenTelemetry's metrics (OTLP 1.x) become series, by the rules of Prometheus' own OTLP receiver.
//!
//! ```text
//! JSON     -> protobuf   by a table of field names, so that there is one reader
//! protobuf -> points     read in place; nothing is built for what is passed over
//! points   -> series     names and labels translated, deltas summed up, histograms laid out
//! ```
//!
//! What cannot be kept costs its point alone. Formats: opentelemetry-proto 1.x; Prometheus' translation strategies.
//!
//! Read next: [`read`], then [`naming`], then `points`.

mod deltas;
mod exponential;
pub(super) mod json;
mod naming;
mod points;
#[cfg(test)]
mod tests;

pub(super) use deltas::Deltas;
pub use naming::{OtlpSettings, Translation};

use std::collections::BTreeMap;

use crate::model::{METRIC_NAME, Timestamp};
use crate::store::MetricMetadata;

use super::import::Collector;
use super::wire::protobuf::{Field, Fields};
use super::wire::{WireError, request};
use super::{Ingest, IngestError};

use naming::Kind;

/// Attributes of one resource, scope or point; and how deep a value may nest.
const ATTRIBUTES_MAX: usize = 512;
const DEPTH_MAX: usize = 16;

/// An attribute: its name, and its value as text.
type Attribute = (String, String);

/// Reads a request in protobuf.
///
/// # Errors
/// Where it is no such request, or the store cannot take what it holds.
pub(super) fn read(body: &[u8], ingest: &Ingest, collector: &mut Collector<'_>) -> Result<(), IngestError> {
    let mut fields = Fields::of(body, "metrics request");
    while let Some((number, field)) = fields.next()? {
        if let (1, Field::Bytes(message)) = (number, field) {
            resource(message, ingest, collector)?;
        }
    }
    Ok(())
}

/// What all points of a resource have in common.
struct Shared<'a> {
    ingest: &'a Ingest,
    settings: &'a OtlpSettings,
    /// `job`, `instance`, and attributes that are promoted: labels of every series.
    labels: Vec<Attribute>,
    /// The newest time among the resource's points: that of its `target_info`.
    newest: Option<Timestamp>,
}

fn resource(message: &[u8], ingest: &Ingest, collector: &mut Collector<'_>) -> Result<(), IngestError> {
    let settings = &ingest.settings.otlp;
    let (mut attributes, mut scopes) = (Vec::new(), Vec::new());
    let mut fields = Fields::of(message, "resource metrics");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(message)) => attributes = repeated_attributes(message, 1, "resource")?,
            (2, Field::Bytes(message)) => scopes.push(message),
            _ => {}
        }
    }
    let found = |name: &str| attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let mut labels = Vec::new();
    if let Some(name) = found("service.name") {
        let job = found("service.namespace").map_or_else(|| name.to_owned(), |space| format!("{space}/{name}"));
        labels.push(("job".to_owned(), job));
    }
    if let Some(instance) = found("service.instance.id") {
        labels.push(("instance".to_owned(), instance.to_owned()));
    }
    let is_identified = !labels.is_empty();
    for (name, value) in &attributes {
        if settings.promotes(name) {
            labels.push((settings.label_name(name), value.clone()));
        }
    }
    let mut shared = Shared { ingest, settings, labels, newest: None };
    for message in scopes {
        scope(message, &mut shared, collector)?;
    }
    match (shared.newest, is_identified) {
        (Some(at), true) => target_info(&shared, &attributes, at, collector),
        _ => Ok(()),
    }
}

/// `target_info`: the resource's attributes as labels of a series of their own, to be joined where they are wanted.
fn target_info(
    shared: &Shared<'_>,
    attributes: &[Attribute],
    at: Timestamp,
    collector: &mut Collector<'_>,
) -> Result<(), IngestError> {
    let is_identity = |name: &str| {
        !shared.settings.keep_identifying_resource_attributes
            && matches!(name, "service.name" | "service.namespace" | "service.instance.id")
    };
    let rest = attributes.iter().filter(|(name, _)| !is_identity(name));
    let mut labels = shared.settings.labels(rest.map(|(name, value)| (name.as_str(), value.as_str())));
    if labels.is_empty() {
        return Ok(());
    }
    for (name, value) in shared.labels.iter().filter(|(name, _)| name == "job" || name == "instance") {
        labels.insert(name.clone(), value.clone());
    }
    labels.insert(METRIC_NAME.to_owned(), "target_info".to_owned());
    collector.float(pairs(&labels), at, 1.0)
}

fn pairs(labels: &BTreeMap<String, String>) -> impl Iterator<Item = (&str, &str)> + Clone {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn scope(message: &[u8], shared: &mut Shared<'_>, collector: &mut Collector<'_>) -> Result<(), IngestError> {
    let mut fields = Fields::of(message, "scope metrics");
    while let Some((number, field)) = fields.next()? {
        if let (2, Field::Bytes(message)) = (number, field) {
            metric(message, shared, collector)?;
        }
    }
    Ok(())
}

/// A metric with the points of its one kind.
fn metric(message: &[u8], shared: &mut Shared<'_>, collector: &mut Collector<'_>) -> Result<(), IngestError> {
    let (mut name, mut help, mut unit, mut data) = (&[][..], &[][..], &[][..], None);
    let mut fields = Fields::of(message, "metric");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) => name = text,
            (2, Field::Bytes(text)) => help = text,
            (3, Field::Bytes(text)) => unit = text,
            (5 | 7 | 9 | 10 | 11, Field::Bytes(message)) => data = Some((number, message)),
            (1 | 2 | 3 | 5 | 7 | 9 | 10 | 11, _) => return Err(fields.mistyped(number).into()),
            _ => {}
        }
    }
    let Some((form, message)) = data else { return Ok(()) };
    let (name, unit) = (String::from_utf8_lossy(name), String::from_utf8_lossy(unit));
    let data = points::Data::read(form, message)?;
    let kind = match form {
        7 if data.is_monotonic => Kind::Counter,
        9 | 10 => Kind::Histogram,
        11 => Kind::Summary,
        _ => Kind::Gauge,
    };
    let metric = shared.settings.metric_name(&name, &unit, kind);
    let told = MetricMetadata {
        kind: match kind {
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
            Kind::Gauge => "gauge",
        }
        .to_owned(),
        help: String::from_utf8_lossy(&help[..help.len().min(request::HELP_BYTES_MAX)]).into_owned(),
        unit: unit.into_owned(),
    };
    collector.metadata(&metric, told)?;
    data.write(&metric, shared, collector)
}

/// The attributes that stand under field `number` of a message.
fn repeated_attributes(message: &[u8], number: u32, what: &'static str) -> Result<Vec<Attribute>, WireError> {
    let (mut fields, mut attributes) = (Fields::of(message, what), Vec::new());
    while let Some((found, field)) = fields.next()? {
        if let (true, Field::Bytes(message)) = (found == number, field)
            && let Some(attribute) = attribute(message)?
        {
            request::at_most(attributes.len(), ATTRIBUTES_MAX, "attributes")?;
            attributes.push(attribute);
        }
    }
    Ok(attributes)
}

/// A `KeyValue`; `None` where it has no value.
fn attribute(message: &[u8]) -> Result<Option<Attribute>, WireError> {
    let (mut key, mut value) = (String::new(), None);
    let mut fields = Fields::of(message, "attribute");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
            (2, Field::Bytes(message)) => value = any_value(message, 0)?,
            (1 | 2, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    Ok(value.map(|value| (key, text_of(&value))))
}

/// A text as it is, everything else as JSON writes it. (OpenTelemetry: `pcommon.Value.AsString`.)
fn text_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An `AnyValue`; `None` where nothing is set.
fn any_value(message: &[u8], depth: usize) -> Result<Option<serde_json::Value>, WireError> {
    use serde_json::Value;
    request::at_most(depth, DEPTH_MAX, "levels of an attribute")?;
    let (mut fields, mut value) = (Fields::of(message, "attribute value"), None);
    while let Some((number, field)) = fields.next()? {
        value = match (number, field) {
            (1, Field::Bytes(text)) => Some(Value::String(String::from_utf8_lossy(text).into_owned())),
            (2, Field::Varint(truth)) => Some(Value::Bool(truth != 0)),
            (3, Field::Varint(number)) => Some(Value::from(number as i64)),
            (4, Field::Fixed64(bits)) => {
                let number = f64::from_bits(bits);
                Some(Value::String(crate::model::number::format_float(number)))
            }
            (5, Field::Bytes(message)) => {
                let (mut list, mut fields) = (Vec::new(), Fields::of(message, "array"));
                while let Some((number, field)) = fields.next()? {
                    if let (1, Field::Bytes(message)) = (number, field) {
                        request::at_most(list.len(), ATTRIBUTES_MAX, "entries of an attribute")?;
                        list.push(any_value(message, depth + 1)?.unwrap_or(Value::Null));
                    }
                }
                Some(Value::Array(list))
            }
            (6, Field::Bytes(message)) => {
                let (mut map, mut fields) = (serde_json::Map::new(), Fields::of(message, "map"));
                while let Some((number, field)) = fields.next()? {
                    let (1, Field::Bytes(message)) = (number, field) else { continue };
                    request::at_most(map.len(), ATTRIBUTES_MAX, "entries of an attribute")?;
                    let (mut key, mut inner, mut pair) = (String::new(), Value::Null, Fields::of(message, "attribute"));
                    while let Some((number, field)) = pair.next()? {
                        match (number, field) {
                            (1, Field::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
                            (2, Field::Bytes(message)) => inner = any_value(message, depth + 1)?.unwrap_or(Value::Null),
                            _ => {}
                        }
                    }
                    map.insert(key, inner);
                }
                Some(Value::Object(map))
            }
            (7, Field::Bytes(bytes)) => Some(Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())),
            (1..=7, _) => return Err(fields.mistyped(number)),
            _ => value,
        };
    }
    Ok(value)
}
