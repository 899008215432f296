//! The keys of OpenTelemetry's series: a sender's bytes, and what they stand under.
//!
//! ```text
//! part [bound]  which series of its point: the value, `_sum`, `_count`, a bucket, a quantile
//! digest        of its resource and its metric as they were sent: 128 bits
//! attributes    of the point as they were sent, each with its length in front
//! ```
//!
//! To translate a name costs a microsecond, and a point has ten: it is done for keys that the store does not know, here,
//! from what [`OtlpNaming`] was told of the digest while the request was read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::{METRIC_NAME, number};
use crate::store::{Refused, SeriesName, SeriesNaming};

use super::super::digests::Digest;
use super::super::import::BatchNaming;
use super::super::naming::Naming;
use super::super::wire::key;
use super::super::wire::protobuf::{push_varint, varint};
use super::naming::{Kind, OtlpSettings};
use super::{Attribute, attribute};

/// Which series of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    /// The point's own value.
    Value,
    /// The sum of what a histogram or summary saw.
    Sum,
    /// Their number.
    Count,
    /// How many lay at or below a bound.
    Bucket(f64),
    /// A quantile of a summary.
    Quantile(f64),
    /// The resource itself, of which its metrics are.
    Target,
}

impl Part {
    fn write(self, key: &mut Vec<u8>) {
        let (tag, bound) = match self {
            Part::Value => (0, None),
            Part::Sum => (1, None),
            Part::Count => (2, None),
            Part::Bucket(bound) => (3, Some(bound)),
            Part::Quantile(quantile) => (4, Some(quantile)),
            Part::Target => (5, None),
        };
        key.push(tag);
        if let Some(bound) = bound {
            key.extend_from_slice(&bound.to_bits().to_le_bytes());
        }
    }

    /// The part in front of `key`, and what is behind it.
    fn read(key: &[u8]) -> Option<(Part, &[u8])> {
        let (tag, rest) = key.split_first()?;
        let bound = |part: fn(f64) -> Part| {
            let (bits, rest) = rest.split_first_chunk()?;
            Some((part(f64::from_le_bytes(*bits)), rest))
        };
        match tag {
            0 => Some((Part::Value, rest)),
            1 => Some((Part::Sum, rest)),
            2 => Some((Part::Count, rest)),
            3 => bound(Part::Bucket),
            4 => bound(Part::Quantile),
            5 => Some((Part::Target, rest)),
            _ => None,
        }
    }

    /// What the name of the metric ends with, and the label that tells this part from others.
    pub(super) fn suffix(self) -> (&'static str, Option<(&'static str, String)>) {
        match self {
            Part::Value | Part::Target => ("", None),
            Part::Sum => ("_sum", None),
            Part::Count => ("_count", None),
            Part::Bucket(bound) => ("_bucket", Some(("le", number::format_float(bound)))),
            Part::Quantile(quantile) => ("", Some(("quantile", number::format_float(quantile)))),
        }
    }
}

/// Appends a key.
pub(super) fn push(key: &mut Vec<u8>, part: Part, digest: Digest, attributes: &[u8]) {
    part.write(key);
    key.extend_from_slice(&digest.to_bytes());
    key.extend_from_slice(attributes);
}

/// Appends an attribute as it was sent to those of a point.
pub(super) fn push_attribute(attributes: &mut Vec<u8>, message: &[u8]) {
    push_varint(attributes, message.len() as u64);
    attributes.extend_from_slice(message);
}

/// A resource as it was sent, and its labels once somebody has asked for them.
pub(super) struct Resource<'a> {
    /// Its attributes.
    pub(super) attributes: Vec<&'a [u8]>,
    labels: OnceLock<Result<ResourceLabels, String>>,
}

/// What a resource gives to series.
pub(super) struct ResourceLabels {
    /// `job`, `instance`, and attributes that are promoted: labels of every series.
    shared: Vec<Attribute>,
    /// Those of its `target_info`.
    target: BTreeMap<String, String>,
}

impl<'a> Resource<'a> {
    pub(super) fn new(attributes: Vec<&'a [u8]>) -> Self {
        Resource { attributes, labels: OnceLock::new() }
    }

    pub(super) fn labels(&self, settings: &OtlpSettings) -> Result<&ResourceLabels, Refused> {
        let labels = self.labels.get_or_init(|| {
            let found: Result<Vec<_>, _> = self.attributes.iter().map(|message| attribute(message)).collect();
            let found: Vec<_> = found.map_err(|error| error.to_string())?.into_iter().flatten().collect();
            Ok(ResourceLabels::of(&found, settings))
        });
        labels.as_ref().map_err(|why| Refused::Malformed(why.clone()))
    }
}

impl ResourceLabels {
    fn of(attributes: &[Attribute], settings: &OtlpSettings) -> Self {
        let found = |name: &str| attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let mut shared = Vec::new();
        if let Some(name) = found("service.name") {
            let job = found("service.namespace").map_or_else(|| name.to_owned(), |space| format!("{space}/{name}"));
            shared.push(("job".to_owned(), job));
        }
        if let Some(instance) = found("service.instance.id") {
            shared.push(("instance".to_owned(), instance.to_owned()));
        }
        let rest = attributes.iter().filter(|(name, _)| !settings.leaves_out_of_target(name));
        let mut target = settings.labels(rest.map(|(name, value)| (name.as_str(), value.as_str())));
        target.extend(shared.iter().cloned());
        for (name, value) in attributes {
            if settings.promotes(name) {
                shared.push((settings.label_name(name), value.clone()));
            }
        }
        ResourceLabels { shared, target }
    }

    /// A point's own labels, and those of its resource where it has none of that name.
    pub(super) fn with(&self, own: BTreeMap<String, String>) -> Vec<Attribute> {
        let mut labels: Vec<Attribute> = own.into_iter().collect();
        for (name, value) in &self.shared {
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

/// A metric as it was sent, with the resource that it stands under.
#[derive(Clone)]
pub(super) struct Metric<'a> {
    pub(super) resource: Arc<Resource<'a>>,
    pub(super) name: &'a [u8],
    pub(super) unit: &'a [u8],
    pub(super) kind: Kind,
}

impl Metric<'_> {
    /// Its name, translated.
    pub(super) fn translated(&self, settings: &OtlpSettings) -> String {
        settings.metric_name(&String::from_utf8_lossy(self.name), &String::from_utf8_lossy(self.unit), self.kind)
    }

    /// The labels of a point of it, but for its name.
    pub(super) fn labels(&self, attributes: &[u8], settings: &OtlpSettings) -> Result<Vec<Attribute>, Refused> {
        let (mut own, mut rest) = (Vec::new(), attributes);
        while !rest.is_empty() {
            let length = varint(&mut rest).and_then(|length| usize::try_from(length).ok());
            let (message, behind) = length.and_then(|length| rest.split_at_checked(length)).expect("as it was written");
            rest = behind;
            own.extend(attribute(message).map_err(|error| Refused::Malformed(error.to_string()))?);
        }
        let own = settings.labels(own.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        Ok(self.resource.labels(settings)?.with(own))
    }
}

/// Reads the keys of one request.
pub(super) struct OtlpNaming<'a> {
    inner: Naming<'a>,
    settings: &'a OtlpSettings,
    /// Labels of the request, in place of a series' own.
    extra: &'a [Attribute],
    seed: u64,
    /// What stands behind the digests of the batch under way.
    metrics: HashMap<Digest, Metric<'a>, RandomState>,
    batches: u64,
}

impl<'a> OtlpNaming<'a> {
    pub(super) fn new(inner: Naming<'a>, settings: &'a OtlpSettings, extra: &'a [Attribute]) -> Self {
        // These keys are no labels: none of them may be taken for one of remote write.
        let mut seed = !inner.seed().rotate_left(17);
        if !extra.is_empty() {
            seed = xxh3_64(format!("{seed} {extra:?}").as_bytes());
        }
        OtlpNaming { inner, settings, extra, seed, metrics: HashMap::default(), batches: 0 }
    }

    /// Says what stands behind `digest` in this batch, unless it was said: `said_in` is the batch in which it was.
    pub(super) fn say(&mut self, digest: Digest, metric: &Metric<'a>, said_in: &mut Option<u64>) {
        if said_in.replace(self.batches) != Some(self.batches) {
            self.metrics.insert(digest, metric.clone());
        }
    }

    fn metric<'k>(&self, key: &'k [u8]) -> Option<(Part, &Metric<'a>, &'k [u8])> {
        let (part, rest) = Part::read(key)?;
        let (digest, attributes) = rest.split_first_chunk()?;
        Some((part, self.metrics.get(&Digest::from_bytes(*digest))?, attributes))
    }

    /// The key in the form of remote write: the labels.
    fn translated(&self, key: &[u8]) -> Result<Vec<u8>, Refused> {
        let (part, metric, attributes) = self.metric(key).expect("a key is read in the batch that it was made for");
        let mut labels: Vec<Attribute> = match part {
            Part::Target => metric.resource.labels(self.settings)?.target.clone().into_iter().collect(),
            _ => metric.labels(attributes, self.settings)?,
        };
        let (suffix, label) = part.suffix();
        let name = match part {
            Part::Target => "target_info".to_owned(),
            _ => metric.translated(self.settings) + suffix,
        };
        labels.extend(label.map(|(name, value)| (name.to_owned(), value)));
        labels.push((METRIC_NAME.to_owned(), name));
        labels.retain(|(name, _)| self.extra.iter().all(|(other, _)| other != name));
        let mut translated = Vec::new();
        for (name, value) in labels.iter().chain(self.extra) {
            key::push_label(&mut translated, name.as_bytes(), value.as_bytes());
        }
        Ok(translated)
    }
}

impl SeriesNaming for OtlpNaming<'_> {
    fn seed(&self) -> u64 {
        self.seed
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        self.inner.name(&self.translated(key)?)
    }

    fn describe(&self, key: &[u8]) -> String {
        match (self.translated(key), self.metric(key)) {
            (Ok(labels), _) => key::describe(&labels),
            (Err(_), Some((_, metric, _))) => String::from_utf8_lossy(metric.name).into_owned(),
            (Err(_), None) => String::new(),
        }
    }
}

impl BatchNaming for OtlpNaming<'_> {
    fn batch_ended(&mut self) {
        self.metrics.clear();
        self.batches += 1;
    }
}
