//! What is kept beside samples: exemplars and what senders say of metrics. Both bounded, both best effort.

use std::collections::{BTreeMap, VecDeque};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::model::{Labels, TimeRange, Timestamp};
use crate::store::{Exemplar, MetricMetadata, StoreError};

use super::bytes::{Reader, put_bytes, put_i64, put_u64};
use super::catalogue::{Change, Durability, KeyValue, keys};

/// Exemplars in memory, over all series.
const EXEMPLARS_MAX: usize = 100_000;
/// Exemplars of one series.
const EXEMPLARS_PER_SERIES_MAX: usize = 64;
/// Metrics that metadata is kept of.
const METRICS_MAX: usize = 100_000;
/// Different descriptions of one metric; the newest stay.
const METADATA_PER_METRIC_MAX: usize = 4;

/// The newest exemplars; the catalogue has a copy of what came up to the last round of maintenance.
#[derive(Default)]
pub(crate) struct Exemplars {
    by_series: HashMap<u32, VecDeque<Exemplar>, FixedState>,
    /// Series in the order of arrival, one entry for each exemplar kept.
    arrival: VecDeque<u32>,
    /// What the catalogue does not have yet, in the order of arrival.
    unsaved: Vec<(u32, Exemplar)>,
    /// Rows of the catalogue, oldest first: number, and how many exemplars are inside.
    saved: VecDeque<(u64, usize)>,
}

impl Exemplars {
    /// What the catalogue kept.
    pub(crate) fn load(catalogue: &dyn KeyValue) -> Result<Self, StoreError> {
        let mut exemplars = Exemplars::default();
        for (key, value) in catalogue.scan(keys::EXEMPLARS)? {
            let Some(number) = keys::number_of(&key) else { continue };
            let kept = decode_exemplars(&value).unwrap_or_default();
            exemplars.saved.push_back((number, kept.len()));
            kept.into_iter().for_each(|(id, exemplar)| exemplars.push(id, exemplar));
        }
        exemplars.unsaved.clear();
        Ok(exemplars)
    }

    /// What has to be written so that the catalogue has all exemplars, and nothing that is long gone.
    pub(crate) fn save(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        if !self.unsaved.is_empty() {
            let number = self.saved.back().map_or(0, |(number, _)| number + 1);
            let fresh = std::mem::take(&mut self.unsaved);
            changes.push(Change::Put(keys::numbered(keys::EXEMPLARS, number), encode_exemplars(&fresh)));
            self.saved.push_back((number, fresh.len()));
        }
        let mut newer: usize = self.saved.iter().map(|(_, count)| count).sum();
        while let Some((number, count)) = self.saved.front().copied() {
            newer -= count;
            // Rows go once those behind them hold as much as is ever kept.
            if newer < EXEMPLARS_MAX && count > 0 {
                break;
            }
            changes.push(Change::Remove(keys::numbered(keys::EXEMPLARS, number)));
            self.saved.pop_front();
        }
        changes
    }

    pub(crate) fn push(&mut self, id: u32, exemplar: Exemplar) {
        let kept = self.by_series.entry(id).or_default();
        if kept.contains(&exemplar) {
            return;
        }
        self.unsaved.push((id, exemplar.clone()));
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
        // Rounds of maintenance are a second apart; should they fail for long, only the newest matter.
        if self.unsaved.len() > EXEMPLARS_MAX {
            self.unsaved.drain(..EXEMPLARS_MAX / 2);
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

fn encode_exemplars(exemplars: &[(u32, Exemplar)]) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, exemplars.len() as u64);
    for (id, Exemplar { labels, value, at }) in exemplars {
        put_u64(&mut out, u64::from(*id));
        put_i64(&mut out, at.as_millis());
        out.extend_from_slice(&value.to_bits().to_le_bytes());
        put_bytes(&mut out, labels.as_packed().as_bytes());
    }
    out
}

fn decode_exemplars(value: &[u8]) -> Option<Vec<(u32, Exemplar)>> {
    let mut reader = Reader::new(value);
    let count = reader.count()?;
    (0..count)
        .map(|_| {
            let (id, at) = (reader.u32()?, Timestamp::from_millis(reader.i64()?));
            let value = f64::from_bits(reader.u64_fixed()?);
            Some((id, Exemplar { labels: Labels::from_packed(reader.text()?)?, value, at }))
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::super::catalogue::memory::Memory;
    use super::*;

    fn exemplar(at: i64) -> Exemplar {
        let labels = Labels::from_pairs([("trace_id", at.to_string())]);
        Exemplar { labels, value: at as f64 / 8.0, at: Timestamp::from_millis(at) }
    }

    #[test]
    fn exemplars_survive_a_restart_and_take_bounded_room() {
        let catalogue = Memory::default();
        let mut exemplars = Exemplars::default();
        for at in 0..3 * EXEMPLARS_MAX as i64 {
            exemplars.push((at % 10_000) as u32, exemplar(at));
            if at % 5_000 == 0 {
                catalogue.write(&exemplars.save(), Durability::Buffered).expect("in memory");
            }
        }
        catalogue.write(&exemplars.save(), Durability::Buffered).expect("in memory");
        let rows = catalogue.scan(keys::EXEMPLARS).expect("in memory");
        assert!(rows.len() <= EXEMPLARS_MAX / 5_000 + 2, "{} rows", rows.len());
        let loaded = Exemplars::load(&catalogue).expect("in memory");
        for id in 0..10_000 {
            assert_eq!(loaded.of(id, TimeRange::ALL), exemplars.of(id, TimeRange::ALL), "series {id}");
        }
        assert!(!loaded.of(0, TimeRange::ALL).is_empty());
        let mut loaded = loaded;
        assert!(loaded.save().is_empty(), "nothing is new");
    }
}
