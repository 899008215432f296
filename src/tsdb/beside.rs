//! What is kept beside samples: exemplars and what senders say of metrics. Both bounded, both best effort.

use std::collections::{BTreeMap, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::model::TimeRange;
use crate::store::{Exemplar, MetricMetadata, StoreError};

use super::bytes::{Reader, put_bytes, put_u64};
use super::catalogue::{Change, Durability, KeyValue, keys};

/// Exemplars in memory, over all series.
const EXEMPLARS_MAX: usize = 100_000;
/// Exemplars of one series.
const EXEMPLARS_PER_SERIES_MAX: usize = 64;
/// Metrics that metadata is kept of.
const METRICS_MAX: usize = 100_000;
/// Different descriptions of one metric; the newest stay.
const METADATA_PER_METRIC_MAX: usize = 4;

/// The newest exemplars. They live in memory alone: a restart forgets them.
#[derive(Default)]
pub(crate) struct Exemplars {
    by_series: HashMap<u32, VecDeque<Exemplar>, FixedState>,
    /// Series in the order of arrival, one entry for each exemplar kept.
    arrival: VecDeque<u32>,
}

impl Exemplars {
    pub(crate) fn push(&mut self, id: u32, exemplar: Exemplar) {
        let kept = self.by_series.entry(id).or_default();
        if kept.contains(&exemplar) {
            return;
        }
        kept.push_back(exemplar);
        self.arrival.push_back(id);
        if kept.len() > EXEMPLARS_PER_SERIES_MAX {
            kept.pop_front();
            if let Some(oldest) = self.arrival.iter().position(|one| *one == id) {
                self.arrival.remove(oldest);
            }
        }
        if self.arrival.len() > EXEMPLARS_MAX
            && let Some(oldest) = self.arrival.pop_front()
            && let Some(kept) = self.by_series.get_mut(&oldest)
        {
            kept.pop_front();
            if kept.is_empty() {
                self.by_series.remove(&oldest);
            }
        }
    }

    /// The exemplars of one series inside `range`, by time.
    pub(crate) fn of(&self, id: u32, range: TimeRange) -> Vec<Exemplar> {
        let kept = self.by_series.get(&id).into_iter().flatten();
        let mut exemplars: Vec<Exemplar> = kept.filter(|one| range.contains(one.at)).cloned().collect();
        exemplars.sort_by_key(|one| one.at);
        exemplars
    }

    /// The series that have some.
    pub(crate) fn series(&self) -> impl Iterator<Item = u32> + '_ {
        self.by_series.keys().copied()
    }
}

/// Type, help and unit by metric; the catalogue has a copy.
#[derive(Default)]
pub(crate) struct Metadata {
    by_metric: BTreeMap<String, Vec<MetricMetadata>>,
}

impl Metadata {
    pub(crate) fn load(catalogue: &dyn KeyValue) -> Result<Self, StoreError> {
        let mut metadata = Metadata::default();
        for (key, value) in catalogue.scan(keys::METADATA)? {
            let metric = String::from_utf8_lossy(&key[1..]).into_owned();
            metadata.by_metric.insert(metric, decode(&value).unwrap_or_default());
        }
        Ok(metadata)
    }

    /// Writes what is new to the catalogue, and takes it. What could not be written is not taken: it comes again.
    pub(crate) fn add(
        &mut self,
        entries: &[(String, MetricMetadata)],
        catalogue: &dyn KeyValue,
    ) -> Result<(), StoreError> {
        let mut fresh: BTreeMap<&str, Vec<MetricMetadata>> = BTreeMap::new();
        for (metric, said) in entries {
            let known = self.by_metric.get(metric);
            let known = fresh.get(metric.as_str()).or(known);
            if known.is_some_and(|known| known.contains(said))
                || known.is_none() && self.by_metric.len() + fresh.len() >= METRICS_MAX
            {
                continue;
            }
            let mut all = known.cloned().unwrap_or_default();
            all.push(said.clone());
            if all.len() > METADATA_PER_METRIC_MAX {
                all.remove(0);
            }
            fresh.insert(metric, all);
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let row = |(metric, said): (&&str, &Vec<MetricMetadata>)| {
            Change::Put([keys::METADATA, metric.as_bytes()].concat(), encode(said))
        };
        catalogue.write(&fresh.iter().map(row).collect::<Vec<_>>(), Durability::Buffered)?;
        self.by_metric.extend(fresh.into_iter().map(|(metric, said)| (metric.to_owned(), said)));
        Ok(())
    }

    pub(crate) fn of(&self, metric: Option<&str>) -> Vec<(String, Vec<MetricMetadata>)> {
        let wanted = self.by_metric.iter().filter(|(name, _)| metric.is_none_or(|metric| metric == **name));
        wanted.map(|(name, said)| (name.clone(), said.clone())).collect()
    }
}

fn encode(said: &[MetricMetadata]) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, said.len() as u64);
    for one in said {
        [&one.kind, &one.help, &one.unit].into_iter().for_each(|text| put_bytes(&mut out, text.as_bytes()));
    }
    out
}

fn decode(value: &[u8]) -> Option<Vec<MetricMetadata>> {
    let mut reader = Reader::new(value);
    let text = |reader: &mut Reader<'_>| reader.text().map(str::to_owned);
    let count = reader.count()?;
    (0..count)
        .map(|_| Some(MetricMetadata { kind: text(&mut reader)?, help: text(&mut reader)?, unit: text(&mut reader)? }))
        .collect()
}
