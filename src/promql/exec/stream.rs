//! What an operator gives: a roster of series, known before any sample is read, and their rows, one after another.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::model::Labels;
use crate::model::labels::METRIC_NAME;
use crate::promql::QueryError;

use super::Query;
use super::row::Row;

/// A series of a result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its labels; with delayed name removal they keep a name that is already dropped.
    pub(crate) labels: Labels,
    /// Whether the name goes away at the end of the query.
    pub(crate) name_dropped: bool,
}

impl Entry {
    pub(crate) fn new(labels: Labels) -> Self {
        Entry { labels, name_dropped: false }
    }

    /// This entry as functions leave it that change what a series means: at once without its name, or marked so that
    /// it loses it at the end of the query.
    pub(crate) fn dropping_name(&self, delayed: bool) -> Self {
        match delayed {
            true => Entry { labels: self.labels.clone(), name_dropped: true },
            false => Entry { labels: without_metadata(&self.labels), name_dropped: true },
        }
    }
}

/// Whether a label speaks of the metric as a whole and goes away with its name.
pub(crate) fn is_metadata_label(name: &str) -> bool {
    name == METRIC_NAME || name == "__type__" || name == "__unit__"
}

/// Labels without those that speak of the metric as a whole.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    labels.without(is_metadata_label)
}

/// A map whose order and hashes are the same each time.
pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

/// Takes the row of the series with this number in the roster; numbers only rise. Rows that are empty are not passed on.
pub(crate) type Sink<'s> = dyn FnMut(usize, Row) -> Result<(), QueryError> + 's;

type Run<'q> = Box<dyn FnOnce(&mut Sink<'_>) -> Result<(), QueryError> + 'q>;

/// Series to come.
pub(crate) struct Stream<'q> {
    pub(crate) roster: Vec<Entry>,
    run: Run<'q>,
}

impl<'q> Stream<'q> {
    /// Series with the operation that gives their rows. The operation calls the sink at most once for each,
    /// in their order.
    pub(crate) fn new(roster: Vec<Entry>, run: impl FnOnce(&mut Sink<'_>) -> Result<(), QueryError> + 'q) -> Self {
        Stream { roster, run: Box::new(run) }
    }

    /// Series whose rows are there already.
    pub(crate) fn ready(table: Vec<(Entry, Row)>) -> Self {
        let (roster, rows): (Vec<_>, Vec<_>) = table.into_iter().unzip();
        Stream::new(roster, move |sink| rows.into_iter().enumerate().try_for_each(|(id, row)| sink(id, row)))
    }

    /// Whether the roster, and so the rows, come in the order of labels.
    pub(crate) fn is_sorted(&self) -> bool {
        self.roster.is_sorted_by(|left, right| left.labels <= right.labels)
    }

    /// Gives every row that is not empty to `sink`.
    pub(crate) fn run(self, sink: &mut Sink<'_>) -> Result<(), QueryError> {
        (self.run)(&mut |id, row| if row.is_empty() { Ok(()) } else { sink(id, row) })
    }

    /// All rows that are not empty, in the order in which they come; they count as held until the end of the query.
    pub(crate) fn collect(self, query: &Query<'_>) -> Result<Vec<(Entry, Row)>, QueryError> {
        let mut table = Vec::with_capacity(self.roster.len());
        let roster = self.roster;
        (self.run)(&mut |id, row| {
            if !row.is_empty() {
                query.meter.hold(row.samples(), row.bytes())?;
                table.push((roster[id].clone(), row));
            }
            Ok(())
        })?;
        Ok(table)
    }

    /// The same rows, changed one by one.
    pub(crate) fn map_rows(self, mut change: impl FnMut(usize, &mut Row) -> Result<(), QueryError> + 'q) -> Self {
        let run = self.run;
        Stream::new(self.roster, move |sink| {
            run(&mut |id, mut row| {
                change(id, &mut row)?;
                sink(id, row)
            })
        })
    }

    /// The same rows under other labels. Series that become the same are merged step by step, unless both have a value
    /// at some step.
    pub(crate) fn relabel(self, change: impl Fn(&Entry) -> Entry) -> Result<Self, QueryError> {
        let roster: Vec<Entry> = self.roster.iter().map(change).collect();
        if !has_duplicates(&roster) {
            return Ok(Stream { roster, run: self.run });
        }
        let mut table = Vec::with_capacity(roster.len());
        (self.run)(&mut |id, row| {
            if !row.is_empty() {
                table.push((roster[id].clone(), row));
            }
            Ok(())
        })?;
        Ok(Stream::ready(merge_same(table)?))
    }

    /// The same rows without the metric's name, at once or at the end of the query; see [`relabel`](Self::relabel).
    pub(crate) fn drop_names(self, delayed: bool) -> Result<Self, QueryError> {
        match delayed || share_name(&self.roster) {
            true => Ok(Stream { roster: dropping_names(&self.roster, delayed), run: self.run }),
            false => self.relabel(|entry| entry.dropping_name(delayed)),
        }
    }

    /// The same rows without the metric's name; see [`relabel_unique`](Self::relabel_unique).
    pub(crate) fn drop_names_unique(self, delayed: bool) -> Self {
        match delayed || share_name(&self.roster) {
            true => Stream { roster: dropping_names(&self.roster, delayed), run: self.run },
            false => self.relabel_unique(|entry| entry.dropping_name(delayed)),
        }
    }

    /// The same rows under other labels. Two series with values must not become the same, even where their steps
    /// differ.
    pub(crate) fn relabel_unique(self, change: impl Fn(&Entry) -> Entry) -> Self {
        let roster: Vec<Entry> = self.roster.iter().map(change).collect();
        if !has_duplicates(&roster) {
            return Stream { roster, run: self.run };
        }
        let run = self.run;
        let labels: Vec<Labels> = roster.iter().map(|entry| entry.labels.clone()).collect();
        Stream::new(roster, move |sink| {
            let mut seen: Map<&Labels, ()> = Map::default();
            run(&mut |id, row| {
                if !row.is_empty() && seen.insert(&labels[id], ()).is_some() {
                    return Err(same_labelset());
                }
                sink(id, row)
            })
        })
    }
}

fn dropping_names(roster: &[Entry], delayed: bool) -> Vec<Entry> {
    let mut dropped: Vec<Entry> = Vec::with_capacity(roster.len());
    for (place, entry) in roster.iter().enumerate() {
        // Where only some labels were fetched, neighbours share them.
        let same = place > 0 && roster[place - 1].labels.is_same(&entry.labels);
        dropped.push(if same { dropped[place - 1].clone() } else { entry.dropping_name(delayed) });
    }
    dropped
}

/// Whether all series are of one metric and nothing else is said of it: then they differ without the name, too.
fn share_name(roster: &[Entry]) -> bool {
    let Some(first) = roster.first().map(|entry| entry.labels.metric_name()) else { return true };
    roster.iter().all(|entry| {
        let mut metadata = entry.labels.iter().filter(|(name, _)| is_metadata_label(name));
        match first {
            Some(first) => metadata.next() == Some((METRIC_NAME, first)) && metadata.next().is_none(),
            None => metadata.next().is_none(),
        }
    })
}

fn has_duplicates(roster: &[Entry]) -> bool {
    let mut seen: Map<&Labels, ()> = Map::with_capacity_and_hasher(roster.len(), FixedState::default());
    roster.iter().any(|entry| seen.insert(&entry.labels, ()).is_some())
}

/// Makes one row out of those with the same labels, in the order in which each label set comes first.
pub(crate) fn merge_same(table: Vec<(Entry, Row)>) -> Result<Vec<(Entry, Row)>, QueryError> {
    let mut place: Map<Labels, usize> = Map::default();
    let mut merged: Vec<(Entry, Row)> = Vec::with_capacity(table.len());
    for (entry, row) in table {
        match place.get(&entry.labels) {
            Some(index) => {
                if !merged[*index].1.merge(&row) {
                    return Err(same_labelset());
                }
            }
            None => {
                place.insert(entry.labels.clone(), merged.len());
                merged.push((entry, row));
            }
        }
    }
    Ok(merged)
}

/// The error of two series that would carry the same labels at the same time.
pub(crate) fn same_labelset() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}
