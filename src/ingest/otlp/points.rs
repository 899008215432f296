//! The points of a metric, of whichever kind, become samples.

use crate::model::{METRIC_NAME, Timestamp, number};
use crate::store::{BatchSample, Refused};

use super::super::IngestError;
use super::super::import::Collector;
use super::super::wire::WireError;
use super::super::wire::protobuf::{Field, Fields, push_doubles};
use super::{Attribute, Shared, attribute, exponential};
use crate::model::sample::STALE_NAN_BITS;

/// Buckets of one explicit histogram.
const BUCKETS_MAX: usize = 10_000;

/// A metric's points, still as they were sent.
pub(super) struct Data<'a> {
    form: u32,
    points: Vec<&'a [u8]>,
    /// Whether each point counts from the one before.
    is_delta: bool,
    /// Whether a sum only rises.
    pub(super) is_monotonic: bool,
}

/// What all kinds of points have.
#[derive(Default)]
struct Head {
    attributes: Vec<Attribute>,
    at: Timestamp,
    start: Timestamp,
    /// The source says that it has nothing to say: the series ends here.
    is_ended: bool,
}

impl<'a> Data<'a> {
    pub(super) fn read(form: u32, message: &'a [u8]) -> Result<Self, WireError> {
        let mut data = Data { form, points: Vec::new(), is_delta: false, is_monotonic: false };
        let mut fields = Fields::of(message, "points");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(point)) => data.points.push(point),
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
        metric: &str,
        shared: &mut Shared<'_>,
        collector: &mut Collector<'_>,
    ) -> Result<(), IngestError> {
        for point in &self.points {
            match self.form {
                5 | 7 => self.number(point, metric, shared, collector)?,
                9 => self.histogram(point, metric, shared, collector)?,
                10 => self.exponential(point, metric, shared, collector)?,
                _ => self.summary(point, metric, shared, collector)?,
            }
        }
        Ok(())
    }

    fn number(
        &self,
        point: &[u8],
        metric: &str,
        shared: &mut Shared<'_>,
        collector: &mut Collector<'_>,
    ) -> Result<(), IngestError> {
        let (mut head, mut value) = (Head::default(), None);
        let mut fields = Fields::of(point, "number point");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (7, Field::Bytes(message)) => head.push(message)?,
                (2, Field::Fixed64(nanos)) => head.start = time(nanos),
                (3, Field::Fixed64(nanos)) => head.at = time(nanos),
                (4, Field::Fixed64(bits)) => value = Some(f64::from_bits(bits)),
                (6, Field::Fixed64(bits)) => value = Some(bits as i64 as f64),
                (8, Field::Varint(flags)) => head.is_ended = flags & 1 != 0,
                (2 | 3 | 4 | 6 | 7 | 8, _) => return Err(fields.mistyped(number).into()),
                _ => {}
            }
        }
        let Some(value) = value.or(head.is_ended.then_some(0.0)) else {
            collector.refuse_named(metric, 1, &Refused::Malformed("a point without a value".to_owned()));
            return Ok(());
        };
        let mut series = SeriesWriter::new(metric, &head, shared);
        series.write("", None, value, self.is_delta, collector)
    }

    /// Classic buckets, sum and count.
    fn histogram(
        &self,
        point: &[u8],
        metric: &str,
        shared: &mut Shared<'_>,
        collector: &mut Collector<'_>,
    ) -> Result<(), IngestError> {
        let (mut head, mut count, mut sum) = (Head::default(), 0u64, None);
        let (mut buckets, mut bounds): (Vec<u64>, Vec<f64>) = (Vec::new(), Vec::new());
        let mut fields = Fields::of(point, "histogram point");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (9, Field::Bytes(message)) => head.push(message)?,
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
                (2..=6 | 9 | 10, _) => return Err(fields.mistyped(number).into()),
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
            collector.refuse_named(metric, 1, &Refused::BadHistogram(why));
            return Ok(());
        }
        let is_delta = self.is_delta;
        let mut series = SeriesWriter::new(metric, &head, shared);
        if let Some(sum) = sum {
            series.write("_sum", None, sum, is_delta, collector)?;
        }
        series.write("_count", None, count as f64, is_delta, collector)?;
        let mut below = 0u64;
        for (bound, observations) in bounds.iter().zip(&buckets) {
            below = below.saturating_add(*observations);
            let le = number::format_float(*bound);
            series.write("_bucket", Some(("le", &le)), below as f64, is_delta, collector)?;
        }
        series.write("_bucket", Some(("le", "+Inf")), count as f64, is_delta, collector)
    }

    /// A native histogram.
    fn exponential(
        &self,
        point: &[u8],
        metric: &str,
        shared: &mut Shared<'_>,
        collector: &mut Collector<'_>,
    ) -> Result<(), IngestError> {
        let mut head = Head::default();
        let mut sent = exponential::Sent::default();
        let mut fields = Fields::of(point, "exponential histogram point");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Bytes(message)) => head.push(message)?,
                (2, Field::Fixed64(nanos)) => head.start = time(nanos),
                (3, Field::Fixed64(nanos)) => head.at = time(nanos),
                (10, Field::Varint(flags)) => head.is_ended = flags & 1 != 0,
                (1..=3 | 10, _) => return Err(fields.mistyped(number).into()),
                (number, field) => sent.take(number, field, &fields)?,
            }
        }
        let mut histogram = match sent.into_histogram() {
            Ok(histogram) => histogram,
            Err(why) => {
                collector.refuse_named(metric, 1, &Refused::BadHistogram(why));
                return Ok(());
            }
        };
        let labels = head.labels(shared);
        let series = || labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let named = std::iter::once((METRIC_NAME, metric)).chain(series());
        if head.is_ended {
            histogram = crate::model::Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Default::default() };
        } else if self.is_delta {
            match shared.ingest.deltas.add_histogram(&deltas_key(metric, "", None, &labels), head.at, histogram) {
                Some(total) => histogram = total,
                None => {
                    collector.refuse_named(metric, 1, &late());
                    return Ok(());
                }
            }
        }
        shared.newest = shared.newest.max(Some(head.at));
        let start = if self.is_delta { Timestamp::EPOCH } else { head.start };
        collector.series(named, [BatchSample { at: head.at, start, value: 0.0, histogram: Some(histogram.into()) }])
    }

    fn summary(
        &self,
        point: &[u8],
        metric: &str,
        shared: &mut Shared<'_>,
        collector: &mut Collector<'_>,
    ) -> Result<(), IngestError> {
        let (mut head, mut count, mut sum, mut quantiles) = (Head::default(), 0, 0.0, Vec::new());
        let mut fields = Fields::of(point, "summary point");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (7, Field::Bytes(message)) => head.push(message)?,
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
        let mut series = SeriesWriter::new(metric, &head, shared);
        series.write("_sum", None, sum, false, collector)?;
        series.write("_count", None, count as f64, false, collector)?;
        for (quantile, value) in quantiles {
            let quantile = number::format_float(quantile);
            series.write("", Some(("quantile", &quantile)), value, false, collector)?;
        }
        Ok(())
    }
}

impl Head {
    fn push(&mut self, message: &[u8]) -> Result<(), WireError> {
        super::request::at_most(self.attributes.len(), super::ATTRIBUTES_MAX, "attributes")?;
        self.attributes.extend(attribute(message)?);
        Ok(())
    }

    /// The point's own labels, and those of its resource where it has none of that name.
    fn labels(&self, shared: &Shared<'_>) -> Vec<Attribute> {
        let own = shared.settings.labels(self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut labels: Vec<Attribute> = own.into_iter().collect();
        for (name, value) in &shared.labels {
            match labels.iter_mut().find(|(known, _)| known == name) {
                // Whose target it is, no point can say otherwise.
                Some((_, known)) if name == "job" || name == "instance" => known.clone_from(value),
                Some(_) => {}
                None => labels.push((name.clone(), value.clone())),
            }
        }
        labels
    }
}

/// Writes the series of one point.
struct SeriesWriter<'a, 'b> {
    metric: &'a str,
    labels: Vec<Attribute>,
    at: Timestamp,
    start: Timestamp,
    is_ended: bool,
    shared: &'a mut Shared<'b>,
    name: String,
}

impl<'a, 'b> SeriesWriter<'a, 'b> {
    fn new(metric: &'a str, head: &Head, shared: &'a mut Shared<'b>) -> Self {
        let labels = head.labels(shared);
        let (at, start, is_ended) = (head.at, head.start, head.is_ended);
        SeriesWriter { metric, labels, at, start, is_ended, shared, name: String::new() }
    }

    /// Writes one number; `suffix` and `label` tell it from the point's other series.
    fn write(
        &mut self,
        suffix: &str,
        label: Option<(&str, &str)>,
        value: f64,
        is_delta: bool,
        collector: &mut Collector<'_>,
    ) -> Result<(), IngestError> {
        let (mut value, mut start) = (value, self.start);
        if self.is_ended {
            value = f64::from_bits(STALE_NAN_BITS);
        } else if is_delta {
            let key = deltas_key(self.metric, suffix, label, &self.labels);
            match self.shared.ingest.deltas.add(&key, self.at, value) {
                Some(total) => (value, start) = (total, Timestamp::EPOCH),
                None => {
                    collector.refuse_named(self.metric, 1, &late());
                    return Ok(());
                }
            }
        }
        self.name.clear();
        self.name.push_str(self.metric);
        self.name.push_str(suffix);
        let pairs = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs = std::iter::once((METRIC_NAME, self.name.as_str())).chain(label).chain(pairs);
        self.shared.newest = self.shared.newest.max(Some(self.at));
        collector.series(pairs, [BatchSample { at: self.at, start, value, histogram: None }])
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
