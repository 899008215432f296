//! Remote write 2.0 (rc.4, and rc.3 with its `created_timestamp`): strings stand once, series refer to them.
//!
//! A series is named by what it refers to ([`symbols`](super::symbols)). One that breaks the protocol is refused alone.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::model::{METRIC_NAME, Timestamp};
use crate::store::{BatchSample, Exemplar, Refused};

use super::super::Settings;
use super::super::digests::{Digest, Digests};
use super::super::told::Told;
use super::protobuf::{Field, Fields, push_varints, varint, whole_varint};
use super::request::{at_most, kind_name, metadata};
use super::symbols::{Symbolic, Symbols, push_references};
use super::{Decoded, WireError, exemplar, key};

const REFERENCES_TAG: u8 = 0x0a;
const SAMPLE_TAG: u8 = 0x12;
const METADATA_TAG: u8 = 0x2a;

pub(super) fn decode<'a>(
    body: &'a [u8],
    settings: &Settings,
    digests: &Digests,
    told: &Told,
) -> Result<Decoded<'a>, WireError> {
    let (mut symbols, mut series): (Symbols<'_>, Vec<&[u8]>) = (Symbols::default(), Vec::new());
    let mut fields = Fields::of(body, "write request");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (4, Field::Bytes(symbol)) => {
                at_most(symbols.len(), settings.symbols_per_request_max, "symbols")?;
                symbols.push(symbol, digests);
            }
            (5, Field::Bytes(message)) => {
                at_most(series.len(), settings.series_per_request_max, "series")?;
                series.push(message);
            }
            (4 | 5, _) => return Err(fields.mistyped(number)),
            // Series and metadata of version 1: read as version 2, they would be an empty request.
            (1..=3, _) => return Err(WireError::OtherVersion { expected: "2.0" }),
            _ => {}
        }
    }
    let mut decoded = Decoded::with_room_for(series.len());
    let mut reader = SeriesReader {
        symbols: &symbols,
        settings,
        digests,
        told,
        described_names: vec![false; symbols.len()],
        described: HashSet::default(),
        sent: Sent::default(),
        series: Vec::with_capacity(series.len()),
    };
    for message in series {
        reader.read(message, &mut decoded)?;
    }
    let series = reader.series;
    decoded.symbolic = Some(Symbolic { symbols, series });
    Ok(decoded)
}

/// Reads series one after another; what it keeps between them is memory and the metrics already described.
struct SeriesReader<'a, 's> {
    symbols: &'s Symbols<'a>,
    settings: &'s Settings,
    digests: &'s Digests,
    told: &'s Told,
    /// For each symbol, whether a metric of that name has been described: all but the first series of it are done.
    described_names: Vec<bool>,
    described: HashSet<&'a [u8], RandomState>,
    sent: Sent<'a>,
    /// The key and the message of each series that is kept.
    series: Vec<(Digest, &'a [u8])>,
}

/// The parts of one series that can only be read when all of it has been seen.
#[derive(Default)]
struct Sent<'a> {
    labels: Vec<u32>,
    histograms: Vec<&'a [u8]>,
    exemplars: Vec<&'a [u8]>,
    metadata: Option<&'a [u8]>,
    created: Timestamp,
}

impl<'a> SeriesReader<'a, '_> {
    fn read(&mut self, message: &'a [u8], decoded: &mut Decoded<'a>) -> Result<(), WireError> {
        if let Some(UsualSeries { references, sample, metadata }) = usual_series(message)
            && let Some(digest) = self.symbols.digest_of_packed(references, self.digests)
        {
            decoded.push_sample(sample, self.settings)?;
            if let Some(metadata) = metadata {
                let name = metric_name(packed_pairs(references), self.symbols);
                self.read_metadata(name, metadata, decoded)?;
            }
            self.series.push((digest, message));
            let (key, first) = (decoded.digest_key(digest), decoded.samples.len() - 1);
            return decoded.push_series(key, first, self.settings);
        }
        self.read_any(message, decoded)
    }

    /// The long way: series of any form.
    fn read_any(&mut self, message: &'a [u8], decoded: &mut Decoded<'a>) -> Result<(), WireError> {
        let first = decoded.samples.len();
        self.split(message, decoded)?;
        let floats = decoded.samples.len() - first;
        let (symbols, settings, sent) = (self.symbols, self.settings, &self.sent);
        let describe = || match symbols.key_of(&sent.labels, settings) {
            Ok(labels) => key::describe(&labels),
            Err(_) => "a series whose labels cannot be read".to_owned(),
        };
        let digest = match sent.check(floats).and_then(|()| symbols.digest_of(&sent.labels, self.digests, settings)) {
            Ok(digest) => digest,
            Err(why) => {
                let refused = (floats + sent.histograms.len()) as u64;
                decoded.refusals.add(&why, refused.max(1), || (describe(), None));
                decoded.samples.truncate(first);
                return Ok(());
            }
        };
        for sample in &mut decoded.samples[first..] {
            if sample.start == Timestamp::EPOCH {
                sample.start = sent.created;
            }
        }
        for message in &sent.histograms {
            decoded.push_histogram(message, sent.created, |_| describe(), settings)?;
        }
        for message in &sent.exemplars {
            decoded.push_exemplar(read_exemplar(message, symbols)?, settings)?;
        }
        if let Some(message) = sent.metadata {
            let (pairs, _) = sent.labels.as_chunks::<2>();
            let name = metric_name(pairs.iter().copied(), symbols);
            self.read_metadata(name, message, decoded)?;
        }
        self.series.push((digest, message));
        let key = decoded.digest_key(digest);
        decoded.push_series(key, first, self.settings)
    }

    /// Floats go where they belong at once; everything else waits until the labels are known.
    fn split(&mut self, message: &'a [u8], decoded: &mut Decoded<'a>) -> Result<(), WireError> {
        let sent = &mut self.sent;
        sent.labels.clear();
        sent.histograms.clear();
        sent.exemplars.clear();
        (sent.metadata, sent.created) = (None, Timestamp::EPOCH);
        let Settings { labels_max, samples_per_request_max: samples_max, .. } = *self.settings;
        let mut fields = Fields::of(message, "series");
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, references) => {
                    push_references(references, &mut sent.labels, labels_max).ok_or_else(|| fields.mistyped(1))?;
                }
                (2, Field::Bytes(message)) => decoded.push_sample(read_sample(message)?, self.settings)?,
                (3, Field::Bytes(message)) => {
                    at_most(sent.histograms.len(), samples_max, "histograms")?;
                    sent.histograms.push(message);
                }
                (4, Field::Bytes(message)) => {
                    at_most(sent.exemplars.len(), samples_max, "exemplars")?;
                    sent.exemplars.push(message);
                }
                (5, Field::Bytes(message)) => sent.metadata = Some(message),
                (6, Field::Varint(millis)) => sent.created = Timestamp::from_millis(millis as i64),
                (2..=6, _) => return Err(fields.mistyped(number)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Metadata comes with every series; a metric is described once for each request, and only if it is news.
    fn read_metadata(
        &mut self,
        name: Option<u32>,
        message: &'a [u8],
        decoded: &mut Decoded<'a>,
    ) -> Result<(), WireError> {
        let place = name.and_then(|name| usize::try_from(name).ok());
        if place.and_then(|place| self.described_names.get(place)).is_some_and(|described| *described) {
            return Ok(());
        }
        let mut fields = Fields::of(message, "metadata");
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Varint(number)) => kind = number,
                (3, Field::Varint(reference)) => help = reference as u32,
                (4, Field::Varint(reference)) => unit = reference as u32,
                (1 | 3 | 4, _) => return Err(fields.mistyped(number)),
                _ => {}
            }
        }
        let text = |reference| if reference == 0 { None } else { self.symbols.text(reference) };
        let (help, unit) = (text(help).unwrap_or_default(), text(unit).unwrap_or_default());
        let says_nothing = kind == 0 && help.is_empty() && unit.is_empty();
        if let Some(described) = place.and_then(|place| self.described_names.get_mut(place)) {
            *described = !says_nothing;
        }
        let name = name.and_then(|name| self.symbols.text(name)).map(|name| family(name, kind_name(kind)));
        let Some(name) = name.filter(|_| !says_nothing) else { return Ok(()) };
        let saying = self.told.saying(name, kind, help, unit);
        if self.told.is_known(saying) {
            return Ok(());
        }
        match std::str::from_utf8(name) {
            Ok(metric) if self.described.insert(name) => {
                decoded.push_metadata(metric.to_owned(), metadata(kind, help, unit), self.settings)?;
                decoded.sayings.push(saying);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Sent<'_> {
    /// What a series must and must not have beside its labels.
    fn check(&self, floats: usize) -> Result<(), Refused> {
        let broken = |why: &str| Err(Refused::Malformed(why.to_owned()));
        match (floats, self.histograms.len()) {
            (0, 0) if self.exemplars.is_empty() => broken("series with neither samples nor histograms"),
            (1.., 1..) => broken("series with both samples and histograms"),
            _ => Ok(()),
        }
    }
}

/// A series as senders write nearly all: references, one float, and perhaps what is said of its metric.
struct UsualSeries<'a> {
    references: &'a [u8],
    sample: BatchSample,
    metadata: Option<&'a [u8]>,
}

/// `None` says nothing but that the long way has to be taken.
#[inline]
fn usual_series(message: &[u8]) -> Option<UsualSeries<'_>> {
    let (references, rest) = short_field(REFERENCES_TAG, message)?;
    let (sample, rest) = short_field(SAMPLE_TAG, rest)?;
    let sample = usual_sample(sample)?;
    if rest.is_empty() {
        return Some(UsualSeries { references, sample, metadata: None });
    }
    let (metadata, rest) = short_field(METADATA_TAG, rest)?;
    rest.is_empty().then_some(UsualSeries { references, sample, metadata: Some(metadata) })
}

/// A field of under 128 bytes at the front of `bytes`, and what is behind it.
#[inline]
fn short_field(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [found, length @ 0..0x80, rest @ ..] if *found == tag => rest.split_at_checked(usize::from(*length)),
        _ => None,
    }
}

/// Packed references two by two; they were read before.
fn packed_pairs(mut references: &[u8]) -> impl Iterator<Item = [u32; 2]> {
    std::iter::from_fn(move || {
        let mut next = || u32::try_from(varint(&mut references)?).ok();
        Some([next()?, next()?])
    })
}

/// The reference to the metric's name.
fn metric_name(mut labels: impl Iterator<Item = [u32; 2]>, symbols: &Symbols<'_>) -> Option<u32> {
    let is_name = |name: u32| symbols.text(name).is_some_and(|text| text == METRIC_NAME.as_bytes());
    labels.find(|[name, _]| is_name(*name)).map(|[_, value]| value)
}

/// The metric that a series belongs to: what is known of a histogram or summary is known of all its series.
fn family<'a>(name: &'a [u8], kind: &str) -> &'a [u8] {
    let suffixes: &[&str] = match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        "gaugehistogram" => &["_bucket", "_gsum", "_gcount"],
        "summary" => &["_sum", "_count"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix.as_bytes())).unwrap_or(name)
}

/// A sample as senders write it: value, unless that is 0, time, and perhaps a start. `None` says nothing but that the
/// long way has to be taken.
#[inline]
fn usual_sample(message: &[u8]) -> Option<BatchSample> {
    let (value, rest) = match message {
        [0x09, rest @ ..] => {
            let (bits, rest) = rest.split_first_chunk()?;
            (f64::from_le_bytes(*bits), rest)
        }
        rest => (0.0, rest),
    };
    let [0x10, rest @ ..] = rest else { return None };
    let mut rest = rest;
    let at = Timestamp::from_millis(varint(&mut rest)? as i64);
    let start = match rest {
        [] => Timestamp::EPOCH,
        [0x18, rest @ ..] => Timestamp::from_millis(whole_varint(rest)? as i64),
        _ => return None,
    };
    Some(BatchSample { at, start, value, histogram: None })
}

#[inline]
fn read_sample(message: &[u8]) -> Result<BatchSample, WireError> {
    if let Some(sample) = usual_sample(message) {
        return Ok(sample);
    }
    let mut fields = Fields::of(message, "sample");
    let (mut value, mut at, mut start) = (0.0, 0, 0);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Field::Varint(millis)) => at = millis as i64,
            (3, Field::Varint(millis)) => start = millis as i64,
            (1..=3, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    let (at, start) = (Timestamp::from_millis(at), Timestamp::from_millis(start));
    Ok(BatchSample { at, start, value, histogram: None })
}

fn read_exemplar(message: &[u8], symbols: &Symbols<'_>) -> Result<Option<Exemplar>, WireError> {
    if message.len() > exemplar::MESSAGE_BYTES_MAX {
        return Ok(None);
    }
    let mut fields = Fields::of(message, "exemplar");
    let (mut references, mut value, mut at) = (Vec::new(), 0.0, 0);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, sent) => {
                let text = |reference| symbols.text(reference as u32);
                push_varints(sent, &mut references, text).ok_or_else(|| fields.mistyped(1))?;
            }
            (2, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (3, Field::Varint(millis)) => at = millis as i64,
            (2 | 3, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
    }
    let labels: Option<Vec<_>> =
        references.as_chunks::<2>().0.iter().map(|[name, value]| Some(((*name)?, (*value)?))).collect();
    Ok(labels.and_then(|labels| exemplar::build(&labels, value, Timestamp::from_millis(at))))
}
