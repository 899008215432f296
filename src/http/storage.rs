//! What storage says of itself: which labels make the many series, and what lies on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::model::{Labels, Matcher, Span, TimeRange, Timestamp};

use super::error::ApiError;
use super::json::Json;
use super::params::Params;
use super::{Http, answer, series};

/// Entries in each list. (Prometheus: 10, at most 10,000.)
const LISTED: i64 = 10;
const LISTED_MAX: i64 = 10_000;
/// Without a date, series count that had a sample within this time: about what the head of a Prometheus holds.
const RECENT: Span = Span::from_millis(2 * 60 * 60 * 1000);

/// Which series are counted, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct CardinalityWish {
    /// Entries in each list.
    pub limit: usize,
    /// Series with a sample inside.
    pub range: TimeRange,
    /// Only series that satisfy one of these sets; empty: all.
    pub matchers: Vec<Vec<Matcher>>,
    /// A label whose values are listed by series.
    pub focus: Option<String>,
}

/// Where the series come from. (Prometheus: `tsdb.Stats`; the last fields: VictoriaMetrics' `TSDBStatus`.)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cardinality {
    /// Series that were counted.
    pub series: u64,
    /// Distinct label pairs.
    pub label_pairs: u64,
    /// Chunks in the head.
    pub chunks: u64,
    /// The oldest and newest sample's time, if there are any.
    pub range: Option<TimeRange>,
    /// Metric names with most series.
    pub series_by_metric: Vec<(String, u64)>,
    /// Label names with most values.
    pub values_by_label: Vec<(String, u64)>,
    /// Label names whose values take most bytes.
    pub bytes_by_label: Vec<(String, u64)>,
    /// Label pairs, as `name=value`, with most series.
    pub series_by_pair: Vec<(String, u64)>,
    /// Label names with most series.
    pub series_by_label: Vec<(String, u64)>,
    /// Values of the label in focus with most series.
    pub series_by_focus: Vec<(String, u64)>,
    /// Label pairs of all series together.
    pub pairs_of_all: u64,
}

impl Cardinality {
    /// Counts labels; `span` is the time of the oldest and the newest sample.
    pub fn of(series: &[Labels], span: Option<(Timestamp, Timestamp)>, wish: &CardinalityWish) -> Self {
        let (mut metrics, mut pairs, mut names) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut focus = BTreeMap::new();
        for labels in series {
            *metrics.entry(labels.metric_name().unwrap_or("")).or_insert(0) += 1;
            for (name, value) in labels {
                *pairs.entry((name, value)).or_insert(0) += 1;
                *names.entry(name).or_insert(0) += 1;
            }
            if let Some(value) = wish.focus.as_ref().and_then(|name| labels.get(name)) {
                *focus.entry(value).or_insert(0) += 1;
            }
        }
        let (mut values, mut bytes) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in pairs.keys() {
            *values.entry(*name).or_insert(0) += 1;
            *bytes.entry(*name).or_insert(0) += value.len() as u64;
        }
        let most = |counts: BTreeMap<&str, u64>| most(counts.into_iter().map(owned), wish.limit);
        let pair_counts = pairs.iter().map(|((name, value), count)| (format!("{name}={value}"), *count));
        Cardinality {
            series: series.len() as u64,
            label_pairs: pairs.len() as u64,
            chunks: 0,
            range: span.and_then(|(oldest, newest)| TimeRange::new(oldest, newest)),
            pairs_of_all: names.values().sum(),
            series_by_pair: self::most(pair_counts, wish.limit),
            series_by_metric: most(metrics),
            values_by_label: most(values),
            bytes_by_label: most(bytes),
            series_by_label: most(names),
            series_by_focus: most(focus),
        }
    }
}

fn owned((name, count): (&str, u64)) -> (String, u64) {
    (name.to_owned(), count)
}

/// The `limit` entries with the highest counts, highest first, then by name.
fn most(counts: impl Iterator<Item = (String, u64)>, limit: usize) -> Vec<(String, u64)> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    counts.truncate(limit);
    counts
}

/// `/api/v1/status/tsdb`: Prometheus' shape and parameter (`limit`), and VictoriaMetrics' beside them (`topN`, `date`,
/// `focusLabel`, `match[]`). `date=1970-01-01` counts all series, whenever they had a sample.
pub(super) async fn cardinality(State(http): State<Arc<Http>>, params: Params) -> Result<Response, ApiError> {
    let wish = wish(&http, &params)?;
    let limit = wish.limit;
    let storage = Arc::clone(&http.services.storage);
    let counts = http.lookups.run(move || storage.cardinality(&wish)).await??;
    // Prometheus' head without samples: from the end of time to its beginning.
    let (first, last) = counts.range.map_or((Timestamp::MAX, Timestamp::MIN), |range| (range.start(), range.end()));
    Ok(answer(|json| {
        json.raw("{\"headStats\":{\"numSeries\":").integer(counts.series);
        json.raw(",\"numLabelPairs\":").integer(counts.label_pairs).raw(",\"chunkCount\":").integer(counts.chunks);
        json.raw(",\"minTime\":").integer(first.as_millis()).raw(",\"maxTime\":").integer(last.as_millis()).raw("}");
        json.raw(",\"totalSeries\":").integer(counts.series);
        json.raw(",\"totalLabelValuePairs\":").integer(counts.pairs_of_all);
        for (name, list) in [
            (",\"seriesCountByMetricName\":", &counts.series_by_metric),
            (",\"labelValueCountByLabelName\":", &counts.values_by_label),
            (",\"memoryInBytesByLabelName\":", &counts.bytes_by_label),
            (",\"seriesCountByLabelValuePair\":", &counts.series_by_pair),
            (",\"seriesCountByLabelName\":", &counts.series_by_label),
            (",\"seriesCountByFocusLabelValue\":", &counts.series_by_focus),
        ] {
            json.raw(name).array(list.iter().take(limit), |json, (name, count)| {
                json.raw("{\"name\":").string(name).raw(",\"value\":").integer(*count).raw("}");
            });
        }
        json.raw("}");
    }))
}

fn wish(http: &Http, params: &Params) -> Result<CardinalityWish, ApiError> {
    let number = |name| match params.number(name) {
        Ok(None) => Ok(None),
        Ok(Some(number @ 1..)) => Ok(Some(number.min(LISTED_MAX))),
        _ => Err(ApiError::bad_data(format!("{name} must be a positive number"))),
    };
    let limit = number("limit")?.or(number("topN")?).unwrap_or(LISTED);
    let range = match params.first("date") {
        "" => TimeRange::new(http.now() - RECENT, Timestamp::MAX),
        "1970-01-01" => Some(TimeRange::ALL),
        text => {
            let wrong = || ApiError::parameter("date", format!("{text:?} is no date; write for example 2026-11-22"));
            let start = text.parse::<jiff::civil::Date>().map_err(|_| wrong())?;
            let start = start.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?.timestamp().as_millisecond();
            let start = Timestamp::from_millis(start);
            TimeRange::new(start, start + (Span::DAY - Span::from_millis(1)))
        }
    };
    Ok(CardinalityWish {
        limit: usize::try_from(limit).expect("between 1 and the maximum"),
        range: range.expect("a day has a length, and now lies before the end of time"),
        matchers: series::matcher_sets(params).map_err(|why| ApiError::parameter("match[]", why))?,
        focus: Some(params.first("focusLabel")).filter(|name| !name.is_empty()).map(str::to_owned),
    })
}

/// The store at a glance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StorageReport {
    /// Why writes are refused or fail; `None` where they work.
    pub read_only: Option<String>,
    /// Free bytes on the disk.
    pub free_bytes: u64,
    /// Series in memory.
    pub series: u64,
    /// Rows that are not in parts yet, and their memory in bytes.
    pub head: (u64, u64),
    /// Segments of the log, and their bytes.
    pub log: (u64, u64),
    /// All parts.
    pub parts: PartsReport,
    /// By level, in the order in which parts go through them.
    pub levels: Vec<(String, PartsReport)>,
    /// By UTC day, as `2026-11-22`.
    pub days: Vec<(String, PartsReport)>,
    /// The metrics whose new series were refused by a limit most often, with how often, most first.
    pub refused_series: Vec<(String, u64)>,
    /// What was found damaged, at start or since: a sentence each, with file and place.
    pub damages: Vec<String>,
}

/// Some parts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartsReport {
    /// How many.
    pub parts: u64,
    /// Samples in them.
    pub samples: u64,
    /// Their size on disk.
    pub bytes: u64,
}

fn write_parts(json: &mut Json, sum: &PartsReport) {
    json.raw("{\"parts\":").integer(sum.parts).raw(",\"samples\":").integer(sum.samples);
    json.raw(",\"bytes\":").integer(sum.bytes).raw("}");
}

/// `/api/v1/status/storage`: Weir's own.
pub(super) async fn report(State(http): State<Arc<Http>>) -> Result<Response, ApiError> {
    let storage = Arc::clone(&http.services.storage);
    let report = http.lookups.run(move || storage.report()).await?;
    Ok(answer(|json| {
        json.raw("{\"readOnly\":").raw(if report.read_only.is_some() { "true" } else { "false" });
        json.raw(",\"why\":").string(report.read_only.as_deref().unwrap_or(""));
        json.raw(",\"freeBytes\":").integer(report.free_bytes).raw(",\"series\":").integer(report.series);
        json.raw(",\"head\":{\"samples\":").integer(report.head.0).raw(",\"bytes\":").integer(report.head.1);
        json.raw("},\"log\":{\"segments\":").integer(report.log.0).raw(",\"bytes\":").integer(report.log.1);
        json.raw("},\"parts\":");
        write_parts(json, &report.parts);
        json.raw(",\"levels\":").object(report.levels.iter().map(|(name, sum)| (name.as_str(), sum)), write_parts);
        json.raw(",\"days\":").object(report.days.iter().map(|(name, sum)| (name.as_str(), sum)), write_parts);
        json.raw(",\"refusedSeries\":").array(&report.refused_series, |json, (metric, series)| {
            json.raw("{\"name\":").string(metric).raw(",\"value\":").integer(*series).raw("}");
        });
        json.raw(",\"damages\":").array(&report.damages, |json, damage| {
            json.string(damage);
        });
        json.raw("}");
    }))
}
