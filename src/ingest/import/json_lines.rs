//! VictoriaMetrics' JSON lines: `{"metric":{"__name__":"up","job":"a"},"values":[1,2],"timestamps":[1000,2000]}`; and
//! Weir's own with `histograms` in place of `values`, as its export writes them.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use crate::model::histogram::BucketSpan;
use crate::model::sample::STALE_NAN_BITS;
use crate::model::{Histogram, ResetHint, Timestamp};
use crate::store::BatchSample;

use super::super::wire::histogram;
use super::{Broken, Collector};

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    metric: Pairs<'a>,
    #[serde(default)]
    values: Vec<Number>,
    #[serde(default)]
    histograms: Vec<Option<Native>>,
    timestamps: Vec<i64>,
}

/// A native histogram with absolute counts.
#[derive(Deserialize)]
#[serde(default)]
struct Native {
    schema: i32,
    count: Number,
    sum: Number,
    zero_threshold: Number,
    zero_count: Number,
    positive_spans: Vec<(i32, u32)>,
    positive_buckets: Vec<Number>,
    negative_spans: Vec<(i32, u32)>,
    negative_buckets: Vec<Number>,
    custom_values: Vec<Number>,
    reset_hint: Hint,
    integer: bool,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Hint {
    #[default]
    Unknown,
    Reset,
    None,
    Gauge,
}

impl Default for Native {
    fn default() -> Self {
        let (zero, none) = (|| Number(0.0), Vec::new);
        Native {
            schema: 0,
            count: zero(),
            sum: zero(),
            zero_threshold: zero(),
            zero_count: zero(),
            positive_spans: Vec::new(),
            positive_buckets: none(),
            negative_spans: Vec::new(),
            negative_buckets: none(),
            custom_values: none(),
            reset_hint: Hint::Unknown,
            integer: false,
        }
    }
}

impl Native {
    fn into_histogram(self) -> Result<Histogram, String> {
        let spans = |spans: Vec<(i32, u32)>| {
            spans.into_iter().map(|(offset, length)| BucketSpan { offset, length }).collect::<Vec<_>>()
        };
        let numbers = |numbers: Vec<Number>| numbers.into_iter().map(|number| number.0).collect::<Vec<_>>();
        histogram::checked(Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold.0,
            zero_count: self.zero_count.0,
            count: self.count.0,
            sum: self.sum.0,
            positive_spans: spans(self.positive_spans),
            positive_buckets: numbers(self.positive_buckets),
            negative_spans: spans(self.negative_spans),
            negative_buckets: numbers(self.negative_buckets),
            custom_values: numbers(self.custom_values),
            reset_hint: match self.reset_hint {
                Hint::Unknown => ResetHint::Unknown,
                Hint::Reset => ResetHint::Yes,
                Hint::None => ResetHint::No,
                Hint::Gauge => ResetHint::Gauge,
            },
            integer: self.integer,
        })
    }
}

pub(super) fn line(line: &str, collector: &mut Collector<'_>) -> Result<(), Broken> {
    let read: Line<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let (values, histograms) = (read.values.len(), read.histograms.len());
    if values > 0 && histograms > 0 {
        return Err("values and histograms in one line: each belongs in its own".into());
    }
    if values + histograms != read.timestamps.len() {
        let what = if histograms > 0 { "histograms" } else { "values" };
        return Err(format!("{} {what}, but {} timestamps", values + histograms, read.timestamps.len()).into());
    }
    let sample = |(at, value, histogram): (&i64, f64, Option<Histogram>)| BatchSample {
        at: Timestamp::from_millis(*at),
        start: Timestamp::EPOCH,
        value,
        histogram: histogram.map(Into::into),
    };
    let labels = read.metric.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    if histograms == 0 {
        let samples = read.timestamps.iter().zip(&read.values).map(|(at, value)| sample((at, value.0, None)));
        return Ok(collector.series(labels, samples)?);
    }
    let mut natives = Vec::with_capacity(histograms);
    for native in read.histograms {
        let stale = || Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() };
        natives.push(native.map_or_else(|| Ok(stale()), Native::into_histogram)?);
    }
    let samples = read.timestamps.iter().zip(natives).map(|(at, histogram)| sample((at, 0.0, Some(histogram))));
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
