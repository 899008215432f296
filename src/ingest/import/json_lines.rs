//! VictoriaMetrics' JSON lines: `{"metric":{"__name__":"up","job":"a"},"values":[1,2],"timestamps":[1000,2000]}`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use crate::model::Timestamp;
use crate::model::sample::STALE_NAN_BITS;
use crate::store::BatchSample;

use super::{Broken, Collector};

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    metric: Pairs<'a>,
    values: Vec<Number>,
    timestamps: Vec<i64>,
}

pub(super) fn line(line: &str, collector: &mut Collector<'_>) -> Result<(), Broken> {
    let read: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if read.values.len() != read.timestamps.len() {
        return Err(format!("{} values, but {} timestamps", read.values.len(), read.timestamps.len()).into());
    }
    let samples = read.timestamps.iter().zip(&read.values).map(|(at, value)| BatchSample {
        at: Timestamp::from_millis(*at),
        start: Timestamp::EPOCH,
        value: value.0,
        histogram: None,
    });
    let labels = read.metric.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    Ok(collector.series(labels, samples)?)
}

/// An object of texts, in its own order.
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(Cow<'de, str>, Cow<'de, str>)>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of label names and values")
            }
            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
                    pairs.push((name.0, value.0));
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Object).map(Pairs)
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value; what JSON has no number for stands as text, and `null` is where the series ended.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = f64;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a number")
            }
            fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
                Ok(value)
            }
            fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
                Ok(value as f64)
            }
            fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
                Ok(value as f64)
            }
            fn visit_unit<E>(self) -> Result<f64, E> {
                Ok(f64::from_bits(STALE_NAN_BITS))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<f64, E> {
                text.parse().map_err(|_| E::custom(format!("{text:?} is no number")))
            }
        }
        from.deserialize_any(Any).map(Number)
    }
}
