//! Prometheus' text format 0.0.4 and OpenMetrics 1.0, names in quotes included.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::model::{LabelsBuilder, METRIC_NAME, Timestamp};
use crate::store::{BatchSample, Exemplar, MetricMetadata};

use super::{Broken, Collector};

/// Metrics of which a body may tell something.
const METADATA_MAX: usize = 50_000;

/// Letters in all names and values of an exemplar. (OpenMetrics 1.0.)
const EXEMPLAR_LETTERS_MAX: usize = 128;

/// Reads lines one after another.
pub(super) struct Reader {
    open_metrics: bool,
    metadata: BTreeMap<String, MetricMetadata>,
    ended: bool,
}

type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

impl Reader {
    pub(super) fn new(open_metrics: bool) -> Self {
        Reader { open_metrics, metadata: BTreeMap::new(), ended: false }
    }

    pub(super) fn into_metadata(self) -> impl Iterator<Item = (String, MetricMetadata)> {
        self.metadata.into_iter()
    }

    pub(super) fn line(&mut self, line: &str, now: Timestamp, collector: &mut Collector<'_>) -> Result<(), Broken> {
        let line = line.trim();
        if self.ended {
            return Err("there is something behind # EOF".into());
        }
        if let Some(comment) = line.strip_prefix('#') {
            return self.comment(comment.trim_start());
        }
        let (labels, rest) = series(line)?;
        let (sample, exemplar) = match rest.split_once(" # ") {
            Some((sample, exemplar)) if self.open_metrics => (sample, Some(exemplar)),
            _ => (rest, None),
        };
        let mut words = sample.split_ascii_whitespace();
        let value = words.next().ok_or("a value is missing")?;
        let value = number(value).ok_or_else(|| format!("{value:?} is no value"))?;
        let at = words.next().map(|text| self.time(text)).transpose()?;
        if let Some(more) = words.next() {
            return Err(format!("{more:?} stands behind value and time").into());
        }
        let at_or_now = at.unwrap_or(now);
        let exemplar = exemplar.and_then(|text| self.exemplar(text, at_or_now));
        let pairs = labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let sample = BatchSample { at: at_or_now, start: Timestamp::EPOCH, value, histogram: None };
        Ok(collector.series_with(pairs, [sample], exemplar)?)
    }

    fn time(&self, text: &str) -> Result<Timestamp, String> {
        let no_time = || format!("{text:?} is no time");
        match self.open_metrics {
            false => text.parse().map(Timestamp::from_millis).map_err(|_| no_time()),
            true => match text.parse::<f64>() {
                Ok(seconds) if seconds.is_finite() => Ok(Timestamp::from_millis((seconds * 1000.0).round() as i64)),
                _ => Err(no_time()),
            },
        }
    }

    /// What stands behind `#`; of what is no `TYPE`, `HELP`, `UNIT` or `EOF` nothing is made.
    fn comment(&mut self, comment: &str) -> Result<(), Broken> {
        let (word, rest) = comment.split_once([' ', '\t']).unwrap_or((comment, ""));
        if word == "EOF" && self.open_metrics {
            self.ended = true;
        }
        if !matches!(word, "TYPE" | "HELP" | "UNIT") {
            return Ok(());
        }
        let rest = rest.trim_start();
        let (metric, text) = match rest.starts_with('"') {
            true => {
                let (metric, tail) = quoted(rest)?;
                (metric.into_owned(), tail.trim())
            }
            false => {
                let (metric, text) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
                (metric.to_owned(), text.trim())
            }
        };
        if self.metadata.len() >= METADATA_MAX && !self.metadata.contains_key(&metric) {
            return Ok(());
        }
        let unknown = || MetricMetadata { kind: "unknown".to_owned(), ..MetricMetadata::default() };
        let known = self.metadata.entry(metric).or_insert_with(unknown);
        match word {
            "TYPE" => known.kind = if text == "untyped" { "unknown".to_owned() } else { text.to_owned() },
            "HELP" => known.help = text.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\"),
            _ => known.unit = text.to_owned(),
        }
        Ok(())
    }

    /// An exemplar is best effort: one that cannot be read does not cost its sample.
    fn exemplar(&self, text: &str, at: Timestamp) -> Option<Exemplar> {
        let (labels, rest) = series(text).ok()?;
        let mut words = rest.split_ascii_whitespace();
        let value = number(words.next()?)?;
        let at = words.next().map_or(Some(at), |text| self.time(text).ok())?;
        let mut builder = LabelsBuilder::default();
        let mut letters = 0;
        for (name, value) in labels {
            letters += name.chars().count() + value.chars().count();
            builder.push(name, value);
        }
        (letters <= EXEMPLAR_LETTERS_MAX).then_some(())?;
        Some(Exemplar { labels: builder.build().ok()?, value, at })
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// The labels at the front of `text`, the metric's name among them, and what follows.
fn series(text: &str) -> Result<(Vec<Pair<'_>>, &str), String> {
    let name_end = text.find(|letter: char| letter == '{' || letter.is_ascii_whitespace()).unwrap_or(text.len());
    let (name, mut rest) = text.split_at(name_end);
    let mut labels: Vec<Pair<'_>> = Vec::new();
    if !name.is_empty() {
        labels.push((METRIC_NAME.into(), name.into()));
    }
    rest = rest.trim_start();
    let Some(mut rest) = rest.strip_prefix('{') else { return Ok((labels, rest)) };
    loop {
        rest = rest.trim_start();
        if let Some(tail) = rest.strip_prefix('}') {
            return Ok((labels, tail.trim_start()));
        }
        let (name, tail) = match rest.starts_with('"') {
            true => quoted(rest)?,
            false => {
                let end = rest.find(['=', ',', '}']).ok_or("labels do not end")?;
                (Cow::Borrowed(rest[..end].trim()), &rest[end..])
            }
        };
        let was_quoted = rest.starts_with('"');
        rest = tail.trim_start();
        match rest.strip_prefix('=') {
            Some(tail) => {
                let (value, tail) = quoted(tail.trim_start())?;
                labels.push((name, value));
                rest = tail.trim_start();
            }
            // A name in quotes without a value is the metric's.
            None if was_quoted => labels.push((METRIC_NAME.into(), name)),
            None => return Err(format!("label {name:?} has no value")),
        }
        match rest.as_bytes().first() {
            Some(b',') => rest = &rest[1..],
            Some(b'}') => {}
            _ => return Err("a comma or a brace is expected behind a label".to_owned()),
        }
    }
}

/// The text in quotes at the front, and what follows.
fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let inside = text.strip_prefix('"').ok_or("a value in quotes is expected")?;
    let end = inside.find(['"', '\\']).ok_or("a quote does not end")?;
    if inside.as_bytes()[end] == b'"' {
        return Ok((Cow::Borrowed(&inside[..end]), &inside[end + 1..]));
    }
    let (mut plain, mut letters) = (String::new(), inside.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Cow::Owned(plain), &inside[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => plain.push('\n'),
                Some((_, letter @ ('"' | '\\'))) => plain.push(letter),
                Some((_, other)) => plain.extend(['\\', other]),
                None => break,
            },
            letter => plain.push(letter),
        }
    }
    Err("a quote does not end".to_owned())
}
