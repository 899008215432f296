//! Native histograms off the wire: integer deltas become absolute counts, and what contradicts itself is refused.
//!
//! Both versions of remote write use the same field numbers; only version 2 has a start timestamp.
//! The checks are those that Prometheus makes before it appends a histogram.

use crate::model::histogram::BucketSpan;
use crate::model::{Histogram, ResetHint, Timestamp};

use super::WireError;
use super::protobuf::{Field, Fields, push_doubles, push_varints, zigzag};

/// A histogram as it was sent.
#[derive(Default)]
pub(in crate::ingest) struct SentHistogram {
    /// When.
    pub(super) at: Timestamp,
    /// Since when; [`Timestamp::EPOCH`] = unknown.
    pub(super) start: Timestamp,
    count: Count,
    zero_count: Count,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    positive: SentBuckets,
    negative: SentBuckets,
    custom_values: Vec<f64>,
    reset_hint: u64,
}

#[derive(Clone, Copy)]
enum Count {
    Integer(u64),
    Float(f64),
}

impl Default for Count {
    fn default() -> Self {
        Count::Integer(0)
    }
}

impl Count {
    fn as_f64(self) -> f64 {
        match self {
            Count::Integer(count) => count as f64,
            Count::Float(count) => count,
        }
    }
}

#[derive(Default)]
struct SentBuckets {
    spans: Vec<BucketSpan>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// A histogram with absolute counts that came in another form, held against the same checks.
///
/// # Errors
/// Why it contradicts itself.
pub(in crate::ingest) fn checked(histogram: Histogram) -> Result<Histogram, String> {
    let side = |spans, counts| SentBuckets { spans, deltas: Vec::new(), counts };
    let sent = SentHistogram {
        count: Count::Float(histogram.count),
        zero_count: Count::Float(histogram.zero_count),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        positive: side(histogram.positive_spans, histogram.positive_buckets),
        negative: side(histogram.negative_spans, histogram.negative_buckets),
        custom_values: histogram.custom_values,
        ..SentHistogram::default()
    };
    let (reset_hint, integer) = (histogram.reset_hint, histogram.integer);
    Ok(Histogram { reset_hint, integer, ..sent.into_histogram()? })
}

/// Reads a histogram; `buckets` counts the buckets and spans of the whole request and stops at `buckets_max`.
pub(in crate::ingest) fn read(
    message: &[u8],
    buckets: &mut usize,
    buckets_max: usize,
) -> Result<SentHistogram, WireError> {
    let mut sent = SentHistogram::default();
    let mut fields = Fields::of(message, "histogram");
    while let Some((number, field)) = fields.next()? {
        if (8..=13).contains(&number) || number == 16 {
            *buckets += entries(number, field);
            if *buckets > buckets_max {
                return Err(WireError::TooMany { what: "histogram buckets", limit: buckets_max });
            }
        }
        match (number, field) {
            (1, Field::Varint(count)) => sent.count = Count::Integer(count),
            (2, Field::Fixed64(bits)) => sent.count = Count::Float(f64::from_bits(bits)),
            (3, Field::Fixed64(bits)) => sent.sum = f64::from_bits(bits),
            (4, Field::Varint(schema)) => sent.schema = zigzag(schema) as i32,
            (5, Field::Fixed64(bits)) => sent.zero_threshold = f64::from_bits(bits),
            (6, Field::Varint(count)) => sent.zero_count = Count::Integer(count),
            (7, Field::Fixed64(bits)) => sent.zero_count = Count::Float(f64::from_bits(bits)),
            (8, Field::Bytes(span)) => sent.negative.spans.push(read_span(span)?),
            (9, deltas) => {
                push_varints(deltas, &mut sent.negative.deltas, zigzag).ok_or_else(|| fields.mistyped(number))?;
            }
            (10, counts) => push_doubles(counts, &mut sent.negative.counts).ok_or_else(|| fields.mistyped(number))?,
            (11, Field::Bytes(span)) => sent.positive.spans.push(read_span(span)?),
            (12, deltas) => {
                push_varints(deltas, &mut sent.positive.deltas, zigzag).ok_or_else(|| fields.mistyped(number))?;
            }
            (13, counts) => push_doubles(counts, &mut sent.positive.counts).ok_or_else(|| fields.mistyped(number))?,
            (14, Field::Varint(hint)) => sent.reset_hint = hint,
            (15, Field::Varint(millis)) => sent.at = Timestamp::from_millis(millis as i64),
            (16, bounds) => push_doubles(bounds, &mut sent.custom_values).ok_or_else(|| fields.mistyped(number))?,
            (17, Field::Varint(millis)) => sent.start = Timestamp::from_millis(millis as i64),
            (1..=17, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    Ok(sent)
}

/// How many buckets a field brings, known before memory is taken for them.
fn entries(number: u32, field: Field<'_>) -> usize {
    match (number, field) {
        (9 | 12, Field::Bytes(packed)) => packed.iter().filter(|byte| **byte < 0x80).count(),
        (10 | 13 | 16, Field::Bytes(packed)) => packed.len() / 8,
        _ => 1,
    }
}

fn read_span(message: &[u8]) -> Result<BucketSpan, WireError> {
    let mut fields = Fields::of(message, "bucket span");
    let mut span = BucketSpan { offset: 0, length: 0 };
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Varint(offset)) => span.offset = zigzag(offset) as i32,
            (2, Field::Varint(length)) => span.length = length as u32,
            (1 | 2, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    Ok(span)
}

impl SentHistogram {
    /// The histogram with absolute counts, or why it contradicts itself.
    pub(super) fn into_histogram(self) -> Result<Histogram, String> {
        let integer = matches!(self.count, Count::Integer(_));
        self.check_layout()?;
        let positive_buckets = self.positive.counts("positive", integer)?;
        let negative_buckets = self.negative.counts("negative", integer)?;
        if self.count.as_f64() < 0.0 || self.zero_count.as_f64() < 0.0 {
            return Err("a count of observations is negative".to_owned());
        }
        if let (Count::Integer(count), Count::Integer(zero_count)) = (self.count, self.zero_count) {
            let in_buckets = positive_buckets.iter().chain(&negative_buckets).sum::<f64>() + zero_count as f64;
            // Observations of NaN are counted in no bucket, and make the sum NaN.
            let consistent = if self.sum.is_nan() { in_buckets <= count as f64 } else { in_buckets == count as f64 };
            if !consistent {
                return Err(format!("{in_buckets} observations in buckets, but a count of {count}"));
            }
        }
        Ok(Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count.as_f64(),
            count: self.count.as_f64(),
            sum: self.sum,
            positive_spans: self.positive.spans,
            positive_buckets,
            negative_spans: self.negative.spans,
            negative_buckets,
            custom_values: self.custom_values,
            reset_hint: match self.reset_hint {
                1 => ResetHint::Yes,
                2 => ResetHint::No,
                3 => ResetHint::Gauge,
                _ => ResetHint::Unknown,
            },
            integer,
        })
    }

    fn check_layout(&self) -> Result<(), String> {
        let wrong = |why: &str| Err(why.to_owned());
        match self.schema {
            crate::model::histogram::CUSTOM_BUCKETS_SCHEMA => {
                if !self.negative.is_empty() {
                    return wrong("custom buckets with negative buckets");
                }
                if self.zero_count.as_f64() != 0.0 || self.zero_threshold != 0.0 {
                    return wrong("custom buckets with a zero bucket");
                }
                if !self.custom_values.iter().all(|bound| bound.is_finite()) {
                    return wrong("a custom bound is not finite");
                }
                if !self.custom_values.is_sorted_by(|left, right| left < right) {
                    return wrong("custom bounds do not rise");
                }
                let reach: i64 =
                    self.positive.spans.iter().map(|span| i64::from(span.offset) + i64::from(span.length)).sum();
                let first = self.positive.spans.first().map_or(0, |span| span.offset);
                if first < 0 || reach > self.custom_values.len() as i64 + 1 {
                    return wrong("more custom buckets than bounds");
                }
            }
            -4..=8 => {
                if !self.custom_values.is_empty() {
                    return wrong("exponential buckets with custom bounds");
                }
                if self.zero_threshold.is_nan() || self.zero_threshold < 0.0 {
                    return wrong("zero threshold is not a width");
                }
            }
            other => return Err(format!("unknown schema {other}")),
        }
        Ok(())
    }
}

impl SentBuckets {
    fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.deltas.is_empty() && self.counts.is_empty()
    }

    /// Absolute counts, as many as the spans say.
    fn counts(&self, side: &str, integer: bool) -> Result<Vec<f64>, String> {
        let counts = match integer {
            true if !self.counts.is_empty() => return Err(format!("{side} float buckets under an integer count")),
            false if !self.deltas.is_empty() => return Err(format!("{side} integer buckets under a float count")),
            false => self.counts.clone(),
            true => {
                let mut count = 0_i64;
                let absolute = self.deltas.iter().map(|delta| {
                    count = count.checked_add(*delta)?;
                    Some(count as f64)
                });
                absolute.collect::<Option<_>>().ok_or_else(|| format!("{side} bucket counts overflow"))?
            }
        };
        if counts.iter().any(|count| *count < 0.0) {
            return Err(format!("a {side} bucket count is negative"));
        }
        if self.spans.iter().skip(1).any(|span| span.offset < 0) {
            return Err(format!("{side} spans overlap"));
        }
        let spanned: u64 = self.spans.iter().map(|span| u64::from(span.length)).sum();
        if spanned != counts.len() as u64 {
            return Err(format!("{side} spans of {spanned} buckets, but {} buckets", counts.len()));
        }
        Ok(counts)
    }
}
