//! The points of a metric, of whichever kind, become samples.

use crate::model::sample::STALE_NAN_BITS;
use crate::model::{Histogram, Timestamp};
use crate::store::{BatchSample, Exemplar, Refused};

use super::super::IngestError;
use super::super::digests::Digest;
use super::super::wire::WireError;
use super::super::wire::protobuf::{Field, Fields, push_doubles};
use super::exemplars::Exemplars;
use super::keys::{self, Metric, Part};
use super::{Attribute, Points, Scratch, Shared, exponential};

/// Buckets of one explicit histogram.
const BUCKETS_MAX: usize = 10_000;

/// A metric's points, still as they were sent.
pub(super) struct Data<'a> {
    form: u32,
    message: &'a [u8],
    /// Whether each point counts from the one before.
    is_delta: bool,
    /// Whether a sum only rises.
    pub(super) is_monotonic: bool,
}

/// The metric whose points are written.
pub(super) struct Target<'a, 'm> {
    pub(super) metric: &'m Metric<'a>,
    pub(super) digest: Digest,
    /// The batch in which the naming was told of it.
    pub(super) said_in: Option<u64>,
}

/// What all kinds of points have, but for their attributes.
#[derive(Default)]
struct Head {
    attributes: usize,
    at: Timestamp,
    start: Timestamp,
    /// The source says that it has nothing to say: the series ends here.
    is_ended: bool,
}

impl Head {
    fn of(scratch: &mut Scratch) -> Self {
        scratch.attributes.clear();
        Head::default()
    }

    fn push(&mut self, message: &[u8], scratch: &mut Scratch) -> Result<(), WireError> {
        super::request::at_most(self.attributes, super::ATTRIBUTES_MAX, "attributes")?;
        self.attributes += 1;
        keys::push_attribute(&mut scratch.attributes, message);
        Ok(())
    }
}

impl<'a> Data<'a> {
    pub(super) fn read(form: u32, message: &'a [u8]) -> Result<Self, WireError> {
        let mut data = Data { form, message, is_delta: false, is_monotonic: false };
        let mut fields = Fields::of(message, "points");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(_)) => {}
                // 1 is delta, 2 cumulative; what is not said is taken for cumulative.
                (2, Field::Varint(temporality)) => data.is_delta = temporality == 1,
                (3, Field::Varint(truth)) => data.is_monotonic = truth != 0,
                (1..=3, _) => return Err(fields.mistyped(number)),
                _ => {}
            }
        }
        Ok(data)
    }

    /// Writes every point; one that cannot be kept is counted, and costs no other.
    pub(super) fn write(
        &self,
        mut target: Target<'a, '_>,
        shared: &mut Shared<'a, '_>,
        collector: &mut Points<'a>,
    ) -> Result<(), IngestError> {
        let mut fields = Fields::of(self.message, "points");
        while let Some((number, field)) = fields.next()? {
            let (1, Field::Bytes(point)) = (number, field) else { continue };
            let mut series = PointWriter {
                target: &mut target,
                shared: &mut *shared,
                collector: &mut *collector,
                is_delta: self.is_delta,
            };
            match self.form {
                5 | 7 => series.number(point)?,
                9 => series.histogram(point)?,
                10 => series.exponential(point)?,
                _ => series.summary(point)?,
            }
        }
        Ok(())
    }
}

/// Writes the series of one point after another.
struct PointWriter<'a, 'm, 's, 'w> {
    target: &'w mut Target<'a, 'm>,
    shared: &'w mut Shared<'a, 's>,
    collector: &'w mut Points<'a>,
    is_delta: bool,
}

impl PointWriter<'_, '_, '_, '_> {
    fn number(&mut self, point: &[u8]) -> Result<(), IngestError> {
        let scratch = &mut *self.shared.scratch;
        let (mut head, mut value, mut exemplars) = (Head::of(scratch), None, Exemplars::default());
        let mut fields = Fields::of(point, "number point");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (7, Field::Bytes(message)) => head.push(message, scratch)?,
                (2, Field::Fixed64(nanos)) => head.start = time(nanos),
                (3, Field::Fixed64(nanos)) => head.at = time(nanos),
                (4, Field::Fixed64(bits)) => value = Some(f64::from_bits(bits)),
                (6, Field::Fixed64(bits)) => value = Some(bits as i64 as f64),
                (8, Field::Varint(flags)) => head.is_ended = flags & 1 != 0,
                (5, Field::Bytes(message)) => exemplars.push(message)?,
                (2..=8, _) => return Err(fields.mistyped(number).into()),
                _ => {}
            }
        }
        let Some(value) = value.or(head.is_ended.then_some(0.0)) else {
            self.refuse(&Refused::Malformed("a point without a value".to_owned()));
            return Ok(());
        };
        self.write(&head, Part::Value, value, self.is_delta, exemplars.all())
    }

    /// Classic buckets, sum and count.
    fn histogram(&mut self, point: &[u8]) -> Result<(), IngestError> {
        let scratch = &mut *self.shared.scratch;
        let (mut head, mut count, mut sum, mut exemplars) = (Head::of(scratch), 0u64, None, Exemplars::default());
        let (mut buckets, mut bounds) = (std::mem::take(&mut scratch.counts), std::mem::take(&mut scratch.bounds));
        buckets.clear();
        bounds.clear();
        let mut fields = Fields::of(point, "histogram point");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (9, Field::Bytes(message)) => head.push(message, scratch)?,
                (2, Field::Fixed64(nanos)) => head.start = time(nanos),
                (3, Field::Fixed64(nanos)) => head.at = time(nanos),
                (4, Field::Fixed64(observations)) => count = observations,
                (5, Field::Fixed64(bits)) => sum = Some(f64::from_bits(bits)),
                (6, Field::Fixed64(observations)) => buckets.push(observations),
                (6, Field::Bytes(packed)) => {
                    let (counts, _) = packed.as_chunks::<8>();
                    buckets.extend(counts.iter().map(|bytes| u64::from_le_bytes(*bytes)));
                }
                (7, sent) => push_doubles(sent, &mut bounds).ok_or_else(|| fields.mistyped(7))?,
                (10, Field::Varint(flags)) => head.is_ended = flags & 1 != 0,
                (8, Field::Bytes(message)) => exemplars.push(message)?,
                (2..=6 | 8..=10, _) => return Err(fields.mistyped(number).into()),
                _ => {}
            }
        }
        let why = match () {
            () if buckets.len() > BUCKETS_MAX => Some(format!("more than {BUCKETS_MAX} buckets")),
            () if !buckets.is_empty() && buckets.len() != bounds.len() + 1 => {
                Some(format!("{} buckets for {} bounds", buckets.len(), bounds.len()))
            }
            () if !bounds.is_sorted_by(|left, right| left < right) => Some("bounds do not rise".to_owned()),
            () => None,
        };
        if let Some(why) = why {
            self.refuse(&Refused::BadHistogram(why));
            return Ok(());
        }
        let is_delta = self.is_delta;
        if let Some(sum) = sum {
            self.write(&head, Part::Sum, sum, is_delta, Vec::new())?;
        }
        self.write(&head, Part::Count, count as f64, is_delta, Vec::new())?;
        let mut below = 0u64;
        for (bound, observations) in bounds.iter().zip(&buckets) {
            below = below.saturating_add(*observations);
            self.write(&head, Part::Bucket(*bound), below as f64, is_delta, exemplars.up_to(*bound))?;
        }
        (self.shared.scratch.counts, self.shared.scratch.bounds) = (buckets, bounds);
        let rest = exemplars.up_to(f64::INFINITY);
        self.write(&head, Part::Bucket(f64::INFINITY), count as f64, is_delta, rest)
    }

    /// A native histogram.
    fn exponential(&mut self, point: &[u8]) -> Result<(), IngestError> {
        let scratch = &mut *self.shared.scratch;
        let (mut head, mut exemplars) = (Head::of(scratch), Exemplars::default());
        let mut sent = exponential::Sent::default();
        let mut fields = Fields::of(point, "exponential histogram point");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(message)) => head.push(message, scratch)?,
                (2, Field::Fixed64(nanos)) => head.start = time(nanos),
                (3, Field::Fixed64(nanos)) => head.at = time(nanos),
                (10, Field::Varint(flags)) => head.is_ended = flags & 1 != 0,
                (11, Field::Bytes(message)) => exemplars.push(message)?,
                (1..=3 | 10 | 11, _) => return Err(fields.mistyped(number).into()),
                (number, field) => sent.take(number, field, &fields)?,
            }
        }
        let mut histogram = match sent.into_histogram() {
            Ok(histogram) => histogram,
            Err(why) => {
                self.refuse(&Refused::BadHistogram(why));
                return Ok(());
            }
        };
        if head.is_ended {
            histogram = Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Default::default() };
        } else if self.is_delta {
            let Some(key) = self.deltas_key(Part::Value) else { return Ok(()) };
            match self.collector.ingest.deltas.add_histogram(&key, head.at, histogram) {
                Some(total) => histogram = total,
                None => {
                    self.refuse(&late());
                    return Ok(());
                }
            }
        }
        let start = if self.is_delta { Timestamp::EPOCH } else { head.start };
        let sample = BatchSample { at: head.at, start, value: 0.0, histogram: Some(histogram.into()) };
        self.push(Part::Value, sample, exemplars.all())
    }

    fn summary(&mut self, point: &[u8]) -> Result<(), IngestError> {
        let scratch = &mut *self.shared.scratch;
        let (mut head, mut count, mut sum, mut quantiles) = (Head::of(scratch), 0, 0.0, Vec::new());
        let mut fields = Fields::of(point, "summary point");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (7, Field::Bytes(message)) => head.push(message, scratch)?,
                (2, Field::Fixed64(nanos)) => head.start = time(nanos),
                (3, Field::Fixed64(nanos)) => head.at = time(nanos),
                (4, Field::Fixed64(observations)) => count = observations,
                (5, Field::Fixed64(bits)) => sum = f64::from_bits(bits),
                (6, Field::Bytes(message)) => {
                    let (mut quantile, mut value, mut fields) = (0.0, 0.0, Fields::of(message, "quantile"));
                    while let Some((number, field)) = fields.next()? {
                        match (number, field) {
                            (1, Field::Fixed64(bits)) => quantile = f64::from_bits(bits),
                            (2, Field::Fixed64(bits)) => value = f64::from_bits(bits),
                            _ => {}
                        }
                    }
                    quantiles.push((quantile, value));
                }
                (8, Field::Varint(flags)) => head.is_ended = flags & 1 != 0,
                (2..=8, _) => return Err(fields.mistyped(number).into()),
                _ => {}
            }
        }
        self.write(&head, Part::Sum, sum, false, Vec::new())?;
        self.write(&head, Part::Count, count as f64, false, Vec::new())?;
        for (quantile, value) in quantiles {
            self.write(&head, Part::Quantile(quantile), value, false, Vec::new())?;
        }
        Ok(())
    }

    /// Writes one number of the point whose attributes were read last.
    fn write(
        &mut self,
        head: &Head,
        part: Part,
        value: f64,
        is_delta: bool,
        exemplars: Vec<Exemplar>,
    ) -> Result<(), IngestError> {
        let (mut value, mut start) = (value, head.start);
        if head.is_ended {
            value = f64::from_bits(STALE_NAN_BITS);
        } else if is_delta {
            let Some(key) = self.deltas_key(part) else { return Ok(()) };
            match self.collector.ingest.deltas.add(&key, head.at, value) {
                Some(total) => (value, start) = (total, Timestamp::EPOCH),
                None => {
                    self.refuse(&late());
                    return Ok(());
                }
            }
        }
        self.push(part, BatchSample { at: head.at, start, value, histogram: None }, exemplars)
    }

    fn push(&mut self, part: Part, sample: BatchSample, exemplars: Vec<Exemplar>) -> Result<(), IngestError> {
        let Target { metric, digest, said_in } = &mut *self.target;
        self.shared.newest = self.shared.newest.max(Some(sample.at));
        self.collector.naming.say(*digest, metric, said_in);
        let attributes = &self.shared.scratch.attributes;
        self.collector.keyed(|key| keys::push(key, part, *digest, attributes), sample, exemplars)
    }

    /// What tells the sum of these deltas from others: labels, since attributes may come in another order. `None` where
    /// they cannot be read, which is counted.
    fn deltas_key(&mut self, part: Part) -> Option<Vec<u8>> {
        let (metric, settings) = (self.target.metric, self.shared.settings);
        match metric.labels(&self.shared.scratch.attributes, settings) {
            Ok(labels) => {
                let (suffix, label) = part.suffix();
                let label = label.as_ref().map(|(name, value)| (*name, value.as_str()));
                Some(deltas_key(&metric.translated(settings), suffix, label, &labels))
            }
            Err(why) => {
                self.refuse(&why);
                None
            }
        }
    }

    /// Counts a point that cannot be kept.
    fn refuse(&mut self, why: &Refused) {
        let metric = self.target.metric.translated(self.shared.settings);
        self.collector.refuse_named(&metric, 1, why);
    }
}

fn late() -> Refused {
    Refused::Malformed("a delta that is not newer than the one before, which is summed up already".to_owned())
}

/// What tells one sum of deltas from another.
fn deltas_key(metric: &str, suffix: &str, label: Option<(&str, &str)>, labels: &[Attribute]) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    let mut put = |text: &str| {
        key.extend_from_slice(&(text.len() as u32).to_le_bytes());
        key.extend_from_slice(text.as_bytes());
    };
    put(metric);
    put(suffix);
    if let Some((name, value)) = label {
        put(name);
        put(value);
    }
    for (name, value) in labels {
        put(name);
        put(value);
    }
    key
}

fn time(nanos: u64) -> Timestamp {
    Timestamp::from_millis((nanos / 1_000_000) as i64)
}
