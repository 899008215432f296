//! Where one room's contract meets another room's type.

use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::config;
use crate::config::units::Length;
use crate::http;
use crate::ingest::Ingest;
use crate::ingest::relabel::{RelabelConfig, Rewritten};
use crate::model::{Matcher, TimeRange};
use crate::store::{DeleteSeries, SampleSource, StoreError};
use crate::tsdb::catalogue::KeyValue;
use crate::tsdb::catalogue::rocks::Rocks;
use crate::tsdb::{LEVELS, Sum, Tsdb};

/// What storage says of itself.
pub(super) struct StorageSeam {
    pub(super) tsdb: Arc<Tsdb>,
    pub(super) retention: Length,
}

impl http::StorageStatus for StorageSeam {
    fn cardinality(&self, wish: &http::CardinalityWish) -> Result<http::Cardinality, StoreError> {
        let status = self.tsdb.status();
        let mut all = Vec::new();
        let everything = [Vec::new()];
        let sets = if wish.matchers.is_empty() { &everything[..] } else { &wish.matchers };
        for matchers in sets {
            all.extend(self.tsdb.series(matchers, wish.range)?);
        }
        if sets.len() > 1 {
            all.sort();
            all.dedup();
        }
        Ok(http::Cardinality::of(&all, status.oldest.zip(status.newest), wish))
    }

    fn report(&self) -> http::StorageReport {
        let status = self.tsdb.status();
        let sum = |sum: &Sum| http::PartsReport { parts: sum.parts, samples: sum.rows, bytes: sum.bytes };
        let damages = status.recovered.damages.iter().cloned();
        http::StorageReport {
            read_only: status.read_only,
            free_bytes: status.free_bytes,
            series: status.series as u64,
            head: (status.head_rows as u64, status.head_bytes as u64),
            log: (status.log_segments as u64, status.log_bytes),
            parts: sum(&Sum { parts: status.parts as u64, rows: status.part_rows, bytes: status.part_bytes }),
            levels: LEVELS.iter().zip(&status.levels).map(|(name, own)| ((*name).to_owned(), sum(own))).collect(),
            days: status.days.iter().map(|(day, own)| (day_text(*day), sum(own))).collect(),
            refused_series: status.offenders,
            damages: damages.chain(status.damages.iter().map(ToString::to_string)).collect(),
        }
    }

    fn retention(&self) -> String {
        self.retention.to_string()
    }
}

/// A UTC day, counted from 1970-01-01, as `2026-11-22`.
pub(crate) fn day_text(day: i64) -> String {
    let seconds = day.saturating_mul(86_400);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| format!("day {day}"), |at| at.strftime("%F").to_string())
}

/// What changes what is stored.
pub(super) struct AdminSeam {
    pub(super) tsdb: Arc<Tsdb>,
    pub(super) clock: Clock,
}

impl http::Admin for AdminSeam {
    fn delete_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError> {
        self.tsdb.delete_series(matchers, range)
    }

    fn clean_tombstones(&self) -> Result<(), StoreError> {
        self.tsdb.settle().map(|_| ())
    }

    fn snapshot(&self, skip_head: bool) -> Result<String, StoreError> {
        let make = |directory: &Path| Ok(Box::new(Rocks::open(directory)?) as Box<dyn KeyValue>);
        self.tsdb.snapshot(self.clock.now(), skip_head, &make)
    }
}

/// Relabeling, for its debugger: YAML is the configuration's, the rest is ingest's.
pub(super) struct RelabelSeam {
    pub(super) ingest: Arc<Ingest>,
    pub(super) configured: Vec<RelabelConfig>,
}

impl http::Relabeling for RelabelSeam {
    fn rules(&self, yaml: Option<&str>) -> Result<Vec<RelabelConfig>, String> {
        match yaml {
            None => Ok(self.configured.clone()),
            Some(text) => config::relabel_rules(text).map_err(|problem| problem.to_string()),
        }
    }

    fn rewrite(&self, rules: &[RelabelConfig], labels: &[(String, String)]) -> Result<Rewritten, String> {
        self.ingest.rewrite(rules, labels)
    }
}
