//! OTLP in JSON becomes OTLP in protobuf, by a table of field names: one reader serves both.
//!
//! The JSON form is proto3's own, but for ids, which are hex. Unknown fields are passed over, as the specification
//! wants it; 64-bit numbers may stand as texts; enumerations are numbers or their names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::wire::WireError;
use super::super::wire::protobuf::push_varint;

/// How a field is written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    /// In base64.
    Bytes,
    /// In hex.
    Id,
    Truth,
    /// A varint: `uint32`, `uint64`, `int64`.
    Whole,
    /// A zigzag varint: `sint32`.
    Signed,
    Fixed,
    SignedFixed,
    Double,
    Temporality,
    Message(&'static [Row]),
}

/// Name, number, form.
type Row = (&'static str, u32, Form);

use Form::{Bytes, Double, Fixed, Id, Message, Signed, SignedFixed, Temporality, Text, Truth, Whole};

const REQUEST: &[Row] = &[("resourceMetrics", 1, Message(RESOURCE_METRICS))];
const RESOURCE_METRICS: &[Row] = &[("resource", 1, Message(RESOURCE)), ("scopeMetrics", 2, Message(SCOPE_METRICS))];
const RESOURCE: &[Row] = &[("attributes", 1, Message(&KEY_VALUE))];
const SCOPE_METRICS: &[Row] = &[("metrics", 2, Message(METRIC))];
const METRIC: &[Row] = &[
    ("name", 1, Text),
    ("description", 2, Text),
    ("unit", 3, Text),
    ("gauge", 5, Message(NUMBERS)),
    ("sum", 7, Message(NUMBERS)),
    ("histogram", 9, Message(HISTOGRAMS)),
    ("exponentialHistogram", 10, Message(EXPONENTIALS)),
    ("summary", 11, Message(SUMMARIES)),
];
const NUMBERS: &[Row] =
    &[("dataPoints", 1, Message(NUMBER)), ("aggregationTemporality", 2, Temporality), ("isMonotonic", 3, Truth)];
const HISTOGRAMS: &[Row] = &[("dataPoints", 1, Message(HISTOGRAM)), ("aggregationTemporality", 2, Temporality)];
const EXPONENTIALS: &[Row] = &[("dataPoints", 1, Message(EXPONENTIAL)), ("aggregationTemporality", 2, Temporality)];
const SUMMARIES: &[Row] = &[("dataPoints", 1, Message(SUMMARY))];
const NUMBER: &[Row] = &[
    ("attributes", 7, Message(&KEY_VALUE)),
    ("startTimeUnixNano", 2, Fixed),
    ("timeUnixNano", 3, Fixed),
    ("asDouble", 4, Double),
    ("asInt", 6, SignedFixed),
    ("exemplars", 5, Message(EXEMPLAR)),
    ("flags", 8, Whole),
];
const HISTOGRAM: &[Row] = &[
    ("attributes", 9, Message(&KEY_VALUE)),
    ("startTimeUnixNano", 2, Fixed),
    ("timeUnixNano", 3, Fixed),
    ("count", 4, Fixed),
    ("sum", 5, Double),
    ("bucketCounts", 6, Fixed),
    ("explicitBounds", 7, Double),
    ("exemplars", 8, Message(EXEMPLAR)),
    ("flags", 10, Whole),
];
const EXPONENTIAL: &[Row] = &[
    ("attributes", 1, Message(&KEY_VALUE)),
    ("startTimeUnixNano", 2, Fixed),
    ("timeUnixNano", 3, Fixed),
    ("count", 4, Fixed),
    ("sum", 5, Double),
    ("scale", 6, Signed),
    ("zeroCount", 7, Fixed),
    ("positive", 8, Message(BUCKETS)),
    ("negative", 9, Message(BUCKETS)),
    ("exemplars", 11, Message(EXEMPLAR)),
    ("flags", 10, Whole),
    ("zeroThreshold", 14, Double),
];
const EXEMPLAR: &[Row] = &[
    ("filteredAttributes", 7, Message(&KEY_VALUE)),
    ("timeUnixNano", 2, Fixed),
    ("asDouble", 3, Double),
    ("asInt", 6, SignedFixed),
    ("spanId", 4, Id),
    ("traceId", 5, Id),
];
const BUCKETS: &[Row] = &[("offset", 1, Signed), ("bucketCounts", 2, Whole)];
const SUMMARY: &[Row] = &[
    ("attributes", 7, Message(&KEY_VALUE)),
    ("startTimeUnixNano", 2, Fixed),
    ("timeUnixNano", 3, Fixed),
    ("count", 4, Fixed),
    ("sum", 5, Double),
    ("quantileValues", 6, Message(QUANTILE)),
    ("flags", 8, Whole),
];
const QUANTILE: &[Row] = &[("quantile", 1, Double), ("value", 2, Double)];
// These two hold each other, which only statics can.
static KEY_VALUE: [Row; 2] = [("key", 1, Text), ("value", 2, Message(&ANY_VALUE))];
static ANY_VALUE: [Row; 7] = [
    ("stringValue", 1, Text),
    ("boolValue", 2, Truth),
    ("intValue", 3, Whole),
    ("doubleValue", 4, Double),
    ("arrayValue", 5, Message(&[("values", 1, Message(&ANY_VALUE))])),
    ("kvlistValue", 6, Message(&[("values", 1, Message(&KEY_VALUE))])),
    ("bytesValue", 7, Bytes),
];

/// The same request in protobuf.
///
/// # Errors
/// Where it is no JSON, or a field holds what it cannot.
pub(in crate::ingest) fn to_protobuf(body: &[u8]) -> Result<Vec<u8>, WireError> {
    let value: Value = serde_json::from_slice(body).map_err(|error| WireError::Json(error.to_string()))?;
    let mut bytes = Vec::with_capacity(body.len() / 2);
    message(&value, REQUEST, "the request", &mut bytes)?;
    Ok(bytes)
}

fn message(value: &Value, rows: &'static [Row], what: &str, into: &mut Vec<u8>) -> Result<(), WireError> {
    let Some(object) = value.as_object() else {
        return Err(WireError::Json(format!("{what} is not an object")));
    };
    for (name, value) in object {
        // Both spellings of proto3's JSON are read.
        let Some(row) = rows.iter().find(|(known, _, _)| known == name || snake(known) == *name) else { continue };
        match value {
            Value::Null => {}
            Value::Array(list) => list.iter().try_for_each(|value| field(value, row, into))?,
            value => field(value, row, into)?,
        }
    }
    Ok(())
}

fn snake(camel: &str) -> String {
    let mut text = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

fn field(value: &Value, (name, number, form): &Row, into: &mut Vec<u8>) -> Result<(), WireError> {
    let wrong = || WireError::Json(format!("{name} cannot be {value}"));
    let tag = |wire: u64, into: &mut Vec<u8>| push_varint(into, u64::from(*number) << 3 | wire);
    let delimited = |bytes: &[u8], into: &mut Vec<u8>| {
        tag(2, into);
        push_varint(into, bytes.len() as u64);
        into.extend_from_slice(bytes);
    };
    match form {
        Text => delimited(value.as_str().ok_or_else(wrong)?.as_bytes(), into),
        Bytes => {
            let text = value.as_str().ok_or_else(wrong)?;
            delimited(&STANDARD.decode(text).map_err(|_| wrong())?, into);
        }
        Id => {
            let (pairs, rest) = value.as_str().ok_or_else(wrong)?.as_bytes().as_chunks::<2>();
            let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            let id: Option<Vec<u8>> = pairs.iter().map(byte).collect();
            delimited(&id.filter(|_| rest.is_empty()).ok_or_else(wrong)?, into);
        }
        Truth => {
            tag(0, into);
            push_varint(into, u64::from(value.as_bool().ok_or_else(wrong)?));
        }
        Whole => {
            tag(0, into);
            push_varint(into, whole(value).ok_or_else(wrong)? as u64);
        }
        Signed => {
            let number = whole(value).and_then(|number| i64::try_from(number).ok()).ok_or_else(wrong)?;
            tag(0, into);
            push_varint(into, ((number << 1) ^ (number >> 63)) as u64);
        }
        Fixed | SignedFixed => {
            tag(1, into);
            into.extend_from_slice(&(whole(value).ok_or_else(wrong)? as u64).to_le_bytes());
        }
        Double => {
            let number = match value {
                Value::String(text) => text.parse().ok(),
                value => value.as_f64(),
            };
            tag(1, into);
            into.extend_from_slice(&number.ok_or_else(wrong)?.to_bits().to_le_bytes());
        }
        Temporality => {
            let number = match value.as_str() {
                Some("AGGREGATION_TEMPORALITY_DELTA") => 1,
                Some("AGGREGATION_TEMPORALITY_CUMULATIVE") => 2,
                Some(_) => 0,
                None => value.as_u64().ok_or_else(wrong)?,
            };
            tag(0, into);
            push_varint(into, number);
        }
        Message(rows) => {
            let mut inner = Vec::new();
            message(value, rows, name, &mut inner)?;
            delimited(&inner, into);
        }
    }
    Ok(())
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => text
            .parse::<i128>()
            .ok()
            .filter(|number| *number <= i128::from(u64::MAX) && *number >= i128::from(i64::MIN)),
        Value::Number(number) => number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)),
        _ => None,
    }
}
