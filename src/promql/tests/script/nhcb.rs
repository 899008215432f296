//! `load_with_nhcb`: classic histograms are loaded once more as native histograms with custom bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};
use crate::model::{Histogram, Labels, METRIC_NAME, Timestamp};
use crate::promql::series_text::{SeriesValue, parse_number};

use super::read::{LoadedRow, LoadedSeries, ReadError};

/// A classic histogram at one time.
#[derive(Default)]
struct Classic {
    /// Bounds with their cumulative counts.
    buckets: Vec<(f64, f64)>,
    sum: f64,
    count: Option<f64>,
}

/// The native histograms of all classic ones among `series`.
pub(super) fn convert(series: &[LoadedSeries]) -> Result<Vec<LoadedSeries>, ReadError> {
    let mut found: BTreeMap<Labels, BTreeMap<Timestamp, Classic>> = BTreeMap::new();
    for LoadedSeries { labels, rows } in series {
        let name = labels.metric_name().unwrap_or("");
        let parts = ["_bucket", "_sum", "_count"].into_iter();
        let Some((base, part)) = parts.filter_map(|part| Some((name.strip_suffix(part)?, part))).next() else {
            continue;
        };
        let bound = labels.get("le").and_then(parse_number).filter(|bound| !bound.is_nan());
        if part == "_bucket" && bound.is_none() {
            continue;
        }
        let times = found.entry(labels.with("le", "").with(METRIC_NAME, base)).or_default();
        for row in rows {
            let SeriesValue::Float(value) = row.value else { continue };
            let classic = times.entry(row.at).or_default();
            match (part, bound) {
                ("_sum", _) => classic.sum = value,
                ("_count", _) => classic.count = Some(value),
                (_, Some(bound)) if classic.buckets.iter().all(|(known, _)| *known != bound) => {
                    classic.buckets.push((bound, value));
                }
                _ => {}
            }
        }
    }
    found
        .into_iter()
        .map(|(labels, times)| {
            let rows = times.into_iter().map(|(at, classic)| {
                let histogram = classic.into_native().map_err(|error| format!("{labels}: {error}"))?;
                Ok(LoadedRow { at, value: SeriesValue::Histogram(Arc::new(histogram), false), start: Timestamp::EPOCH })
            });
            let rows = rows.collect::<Result<_, ReadError>>()?;
            Ok(LoadedSeries { labels, rows })
        })
        .collect()
}

impl Classic {
    fn into_native(mut self) -> Result<Histogram, ReadError> {
        self.buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
        let last = self.buckets.last().copied().unwrap_or((f64::NEG_INFINITY, 0.0));
        let count = self.count.unwrap_or(last.1);
        if last.0 != f64::INFINITY {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut below = 0.0;
        let mut counts = Vec::new();
        for (_, cumulative) in &self.buckets {
            if *cumulative < below {
                return Err("classic buckets fall".to_owned());
            }
            counts.push(cumulative - below);
            below = *cumulative;
        }
        if below != count {
            return Err("count and +Inf bucket differ".to_owned());
        }
        Ok(Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
            positive_buckets: counts,
            custom_values: self.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect(),
            ..Histogram::default()
        })
    }
}
