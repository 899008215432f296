//! OpenTelemetry's metrics (OTLP 1.x) become series, by the rules of Prometheus' own OTLP receiver.
//!
//! ```text
//! JSON     -> protobuf   by a table of field names, so that there is one reader
//! protobuf -> points     read in place; nothing is built for what is passed over
//! points   -> samples    deltas summed up, histograms laid out; a series is named by the bytes that were sent
//! bytes    -> labels     only for what the store does not know: names and labels translated
//! ```
//!
//! What cannot be kept costs its point alone. Formats: opentelemetry-proto 1.x; Prometheus' translation strategies.
//!
//! Read next: [`read`], then `points`, then `keys`, then [`naming`].

mod deltas;
mod exemplars;
mod exponential;
mod keys;
pub(super) mod json;
mod naming;
mod points;
#[cfg(test)]
mod tests;

pub(super) use deltas::Deltas;
pub use naming::{OtlpSettings, Translation};

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::Timestamp;
use crate::store::{Appended, BatchSample, MetricMetadata};

use super::digests::Digest;
use super::import::Collector;
use super::naming::Naming;
use super::wire::protobuf::{Field, Fields};
use super::wire::{WireError, request};
use super::{Ingest, IngestError};

use keys::{Metric, OtlpNaming, Part, Resource};
use naming::Kind;

/// Attributes of one resource, scope or point; and how deep a value may nest.
const ATTRIBUTES_MAX: usize = 512;
const DEPTH_MAX: usize = 16;

/// An attribute: its name, and its value as text.
type Attribute = (String, String);

/// The collector of a request.
type Points<'a> = Collector<'a, OtlpNaming<'a>>;

/// Reads a request in protobuf, and gives what it holds to the store.
///
/// # Errors
/// Where it is no such request, or the store cannot take what it holds.
pub(super) fn read<'a>(
    body: &'a [u8],
    ingest: &'a Ingest,
    naming: Naming<'a>,
    extra: &'a [Attribute],
    received_at: Timestamp,
) -> Result<Appended, IngestError> {
    let naming = OtlpNaming::new(naming, &ingest.settings.otlp, extra);
    let mut collector = Collector::new(ingest, naming, &[], received_at);
    let mut scratch = Scratch::default();
    let mut fields = Fields::of(body, "metrics request");
    while let Some((number, field)) = fields.next()? {
        if let (1, Field::Bytes(message)) = (number, field) {
            resource(message, &mut scratch, &mut collector)?;
        }
    }
    collector.end()
}

/// What is used again from point to point.
#[derive(Default)]
struct Scratch {
    /// The attributes of a point, as its key has them.
    attributes: Vec<u8>,
    counts: Vec<u64>,
    bounds: Vec<f64>,
    digested: Vec<u8>,
}

/// What all points of a resource have in common.
struct Shared<'a, 's> {
    settings: &'a OtlpSettings,
    resource: Arc<Resource<'a>>,
    digest: Digest,
    /// The newest time among the resource's points: that of its `target_info`.
    newest: Option<Timestamp>,
    scratch: &'s mut Scratch,
}

fn resource<'a>(message: &'a [u8], scratch: &mut Scratch, collector: &mut Points<'a>) -> Result<(), IngestError> {
    let settings = &collector.ingest.settings.otlp;
    let (mut attributes, mut scopes) = (Vec::new(), Vec::new());
    let mut fields = Fields::of(message, "resource metrics");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(message)) => attributes = repeated_attributes(message, 1, "resource")?,
            (2, Field::Bytes(message)) => scopes.push(message),
            _ => {}
        }
    }
    scratch.digested.clear();
    attributes.iter().for_each(|message| keys::push_attribute(&mut scratch.digested, message));
    let digest = collector.ingest.digests.of(&scratch.digested);
    let (mut is_identified, mut has_more) = (false, false);
    for message in &attributes {
        let Some(name) = name_of_set(message)? else { continue };
        is_identified |= matches!(name, b"service.name" | b"service.instance.id");
        has_more |= !std::str::from_utf8(name).is_ok_and(|name| settings.leaves_out_of_target(name));
    }
    let resource = Arc::new(Resource::new(attributes));
    let mut shared = Shared { settings, resource, digest, newest: None, scratch };
    for message in scopes {
        scope(message, &mut shared, collector)?;
    }
    match shared.newest {
        Some(at) if is_identified && has_more => {
            let metric = Metric { resource: shared.resource, name: b"target_info", unit: &[], kind: Kind::Gauge };
            collector.naming.say(digest, &metric, &mut None);
            let sample = BatchSample { at, start: Timestamp::EPOCH, value: 1.0, histogram: None };
            collector.keyed(|key| keys::push(key, Part::Target, digest, &[]), sample, Vec::new())
        }
        _ => Ok(()),
    }
}

fn scope<'a>(message: &'a [u8], shared: &mut Shared<'a, '_>, collector: &mut Points<'a>) -> Result<(), IngestError> {
    let mut fields = Fields::of(message, "scope metrics");
    while let Some((number, field)) = fields.next()? {
        if let (2, Field::Bytes(message)) = (number, field) {
            metric(message, shared, collector)?;
        }
    }
    Ok(())
}

/// A metric with the points of its one kind.
fn metric<'a>(message: &'a [u8], shared: &mut Shared<'a, '_>, collector: &mut Points<'a>) -> Result<(), IngestError> {
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
    let data = points::Data::read(form, message)?;
    let kind = match form {
        7 if data.is_monotonic => Kind::Counter,
        9 | 10 => Kind::Histogram,
        11 => Kind::Summary,
        _ => Kind::Gauge,
    };
    let metric = Metric { resource: Arc::clone(&shared.resource), name, unit, kind };
    describe(&metric, help, shared, collector)?;
    let digested = &mut shared.scratch.digested;
    digested.clear();
    digested.extend_from_slice(&shared.digest.to_bytes());
    digested.push(kind as u8);
    keys::push_attribute(digested, name);
    digested.extend_from_slice(unit);
    let digest = collector.ingest.digests.of(digested);
    data.write(points::Target { metric: &metric, digest, said_in: None }, shared, collector)
}

/// Says what is said of a metric, unless it is known.
fn describe(
    metric: &Metric<'_>,
    help: &[u8],
    shared: &mut Shared<'_, '_>,
    collector: &mut Points<'_>,
) -> Result<(), IngestError> {
    let named = &mut shared.scratch.digested;
    named.clear();
    // One more byte than a name may begin with: not the saying of another protocol.
    named.extend_from_slice(&[0xff, metric.kind as u8]);
    keys::push_attribute(named, metric.name);
    named.extend_from_slice(metric.unit);
    let saying = collector.ingest.told.saying(named, 0, help, &[]);
    if collector.ingest.told.is_known(saying) {
        return Ok(());
    }
    let told = MetricMetadata {
        kind: match metric.kind {
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::Summary => "summary",
            Kind::Gauge => "gauge",
        }
        .to_owned(),
        help: String::from_utf8_lossy(&help[..help.len().min(request::HELP_BYTES_MAX)]).into_owned(),
        unit: String::from_utf8_lossy(metric.unit).into_owned(),
    };
    collector.told(saying, &metric.translated(shared.settings), told)
}

/// The attributes that stand under field `number` of a message, as they were sent.
fn repeated_attributes<'a>(message: &'a [u8], number: u32, what: &'static str) -> Result<Vec<&'a [u8]>, WireError> {
    let (mut fields, mut attributes) = (Fields::of(message, what), Vec::new());
    while let Some((found, field)) = fields.next()? {
        if let (true, Field::Bytes(message)) = (found == number, field) {
            request::at_most(attributes.len(), ATTRIBUTES_MAX, "attributes")?;
            attributes.push(message);
        }
    }
    Ok(attributes)
}

/// The name of a `KeyValue` that has a value.
fn name_of_set(message: &[u8]) -> Result<Option<&[u8]>, WireError> {
    let (mut key, mut is_set) = (&[][..], false);
    let mut fields = Fields::of(message, "attribute");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Bytes(text)) => key = text,
            (2, Field::Bytes(message)) => is_set = !message.is_empty(),
            (1 | 2, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    Ok(is_set.then_some(key))
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
            (7, Field::Bytes(bytes)) => Some(Value::String(STANDARD.encode(bytes))),
            (1..=7, _) => return Err(fields.mistyped(number)),
            _ => value,
        };
    }
    Ok(value)
}
