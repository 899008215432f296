//! Remote write 2.0 (rc.4, and rc.3 with its `created_timestamp`): strings stand once, series refer to them.
//!
//! Each series' references are resolved into the key that version 1 would have sent, so that a sender may change its
//! version without becoming another one. A series that breaks the protocol is refused alone.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::model::{METRIC_NAME, Timestamp};
use crate::store::{BatchSample, Exemplar, Refused};

use super::super::Settings;
use super::protobuf::{Field, Fields, push_varints, varint, whole_varint};
use super::request::{at_most, kind_name, metadata};
use super::{Decoded, WireError, exemplar, key};

/// The longest varint, in bytes.
const VARINT_BYTES_MAX: usize = 10;

pub(super) fn decode<'a>(body: &'a [u8], settings: &Settings) -> Result<Decoded<'a>, WireError> {
    let (mut symbols, mut series): (Vec<Symbol<'_>>, Vec<&[u8]>) = (Vec::new(), Vec::new());
    let mut fields = Fields::of(body, "write request");
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (4, Field::Bytes(symbol)) => {
                at_most(symbols.len(), settings.symbols_per_request_max, "symbols")?;
                symbols.push(Symbol::of(symbol, body));
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
    let mut decoded = Decoded::default();
    let mut reader = SeriesReader {
        symbols: &symbols,
        settings,
        described_names: vec![false; symbols.len()],
        described: HashSet::default(),
        sent: Sent::default(),
    };
    for message in series {
        reader.read(message, &mut decoded)?;
    }
    Ok(decoded)
}

/// Reads series one after another; what it keeps between them is memory and the metrics already described.
struct SeriesReader<'a, 's> {
    symbols: &'s [Symbol<'a>],
    settings: &'s Settings,
    /// For each symbol, whether a metric of that name has been described: all but the first series of it are done.
    described_names: Vec<bool>,
    described: HashSet<&'a [u8], RandomState>,
    sent: Sent<'a>,
}

/// A string of the table.
#[derive(Clone, Copy)]
struct Symbol<'a> {
    text: &'a [u8],
    /// The text with its length in front, as it stands in the body: what a key holds of it. Empty where the length is
    /// written otherwise than in a key.
    sized: &'a [u8],
}

impl<'a> Symbol<'a> {
    fn of(text: &'a [u8], body: &'a [u8]) -> Self {
        let start = text.as_ptr().addr().wrapping_sub(body.as_ptr().addr());
        // Longer texts are rare, and take the long way.
        let is_short = text.len() < 0x80;
        let sized = start.checked_sub(1).and_then(|start| body.get(start..start + 1 + text.len()));
        let sized = sized.filter(|sized| is_short && usize::from(sized[0]) == text.len());
        Symbol { text, sized: sized.unwrap_or(&[]) }
    }
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
        let first = decoded.samples.len();
        self.split(message, decoded)?;
        let floats = decoded.samples.len() - first;
        let refused = (floats + self.sent.histograms.len()) as u64;
        let (symbols, settings, sent) = (self.symbols, self.settings, &self.sent);
        let key = decoded.build_key(settings, |key| resolve(sent, floats, symbols, settings, key), refused)?;
        let Some(key) = key else {
            decoded.samples.truncate(first);
            return Ok(());
        };
        for sample in &mut decoded.samples[first..] {
            if sample.start == Timestamp::EPOCH {
                sample.start = sent.created;
            }
        }
        for message in &sent.histograms {
            decoded.push_histogram(message, sent.created, &key, settings)?;
        }
        for message in &sent.exemplars {
            decoded.push_exemplar(read_exemplar(message, symbols)?, settings)?;
        }
        if let Some(message) = sent.metadata {
            self.read_metadata(message, decoded)?;
        }
        decoded.push_series(key, first, settings)
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
                // A reference may be one byte: what cannot be labels takes no memory, and is refused as too many.
                (1, _) if sent.labels.len() > 2 * labels_max => {}
                (1, Field::Bytes(packed)) if packed.len() > 2 * labels_max * VARINT_BYTES_MAX => {
                    sent.labels.resize(2 * labels_max + 2, 0);
                }
                (1, references) => push_varints(references, &mut sent.labels, |reference| reference as u32)
                    .ok_or_else(|| fields.mistyped(1))?,
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

    /// Metadata comes with every series; a metric is described once for each request.
    fn read_metadata(&mut self, message: &'a [u8], decoded: &mut Decoded<'a>) -> Result<(), WireError> {
        let name = metric_name(&self.sent.labels, self.symbols);
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
        let text = |reference| {
            if reference == 0 { &[][..] } else { symbol(self.symbols, reference).map_or(&[][..], |one| one.text) }
        };
        let (help, unit) = (text(help), text(unit));
        let says_nothing = kind == 0 && help.is_empty() && unit.is_empty();
        if let Some(described) = place.and_then(|place| self.described_names.get_mut(place)) {
            *described = !says_nothing;
        }
        let name = name.and_then(|name| symbol(self.symbols, name)).map(|name| family(name.text, kind_name(kind)));
        match name.map(|name| (name, std::str::from_utf8(name))) {
            Some((name, Ok(metric))) if !says_nothing && self.described.insert(name) => {
                decoded.push_metadata(metric.to_owned(), metadata(kind, help, unit), self.settings)
            }
            _ => Ok(()),
        }
    }
}

/// Writes the key of a series, held against the limits before anything is copied: a symbol is sent once and may be
/// referred to without end.
fn resolve(
    sent: &Sent<'_>,
    floats: usize,
    symbols: &[Symbol<'_>],
    settings: &Settings,
    key: &mut Vec<u8>,
) -> Result<(), Refused> {
    let mut bytes = 0;
    let (pairs, odd) = sent.labels.as_chunks::<2>();
    if pairs.len() > settings.labels_max {
        return Err(Refused::TooManyLabels { limit: settings.labels_max });
    }
    for [name, value] in pairs {
        let text = |reference: &u32| {
            let found = symbol(symbols, *reference);
            found.ok_or_else(|| Refused::Malformed(format!("label reference {reference} of {} symbols", symbols.len())))
        };
        let (name, value) = (text(name)?, text(value)?);
        bytes += name.text.len() + value.text.len();
        if bytes > settings.labels_bytes_max {
            return Err(Refused::LabelsTooLong { limit: settings.labels_bytes_max });
        }
        match name.sized.is_empty() || value.sized.is_empty() {
            true => key::push_label(key, name.text, value.text),
            false => key::push_sized_label(key, name.sized, value.sized),
        }
    }
    let broken = |why: &str| Err(Refused::Malformed(why.to_owned()));
    match (floats, sent.histograms.len()) {
        _ if !odd.is_empty() => broken("odd number of label references"),
        (0, 0) if sent.exemplars.is_empty() => broken("series with neither samples nor histograms"),
        (1.., 1..) => broken("series with both samples and histograms"),
        _ => Ok(()),
    }
}

fn symbol<'a>(symbols: &[Symbol<'a>], reference: u32) -> Option<Symbol<'a>> {
    symbols.get(usize::try_from(reference).ok()?).copied()
}

/// The reference to the metric's name.
fn metric_name(labels: &[u32], symbols: &[Symbol<'_>]) -> Option<u32> {
    let (pairs, _) = labels.as_chunks::<2>();
    let is_name = |name: u32| symbol(symbols, name).is_some_and(|symbol| symbol.text == METRIC_NAME.as_bytes());
    pairs.iter().find(|[name, _]| is_name(*name)).map(|[_, value]| *value)
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

fn read_exemplar(message: &[u8], symbols: &[Symbol<'_>]) -> Result<Option<Exemplar>, WireError> {
    if message.len() > exemplar::MESSAGE_BYTES_MAX {
        return Ok(None);
    }
    let mut fields = Fields::of(message, "exemplar");
    let (mut references, mut value, mut at) = (Vec::new(), 0.0, 0);
    while let Some((number, field)) = fields.next()? {
        match (number, field) {
            (1, sent) => {
                let text = |reference| symbol(symbols, reference as u32).map(|one| one.text);
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
