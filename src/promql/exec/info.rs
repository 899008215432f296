//! `info` (experimental): adds the labels of info series, such as `target_info`, to the series of the same target.

use std::collections::BTreeSet;

use crate::model::{Column, Labels, METRIC_NAME, Matcher, Span, TimeRange};
use crate::promql::QueryError;
use crate::promql::plan::{Info, Reading, Select};

use super::matching::shown;
use super::row::Row;
use super::select::each_newest;
use super::stream::{Entry, Map, Stream, merge_same};
use super::{Query, Scope};

/// The labels by which info series find others.
const IDENTIFYING: [&str; 2] = ["instance", "job"];
const TARGET_INFO: &str = "target_info";

fn refuse<T>(why: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::Execution(why.into()))
}

/// The labels by which `labels` find info series.
fn identity(labels: &Labels) -> [Option<&str>; 2] {
    IDENTIFYING.map(|name| labels.get(name))
}

/// An info series with the time of the sample it shows, in milliseconds, at each step.
struct InfoSeries {
    labels: Labels,
    seen: Vec<Option<i64>>,
}

/// What the second argument asks for.
struct Wanted {
    /// Conditions on labels other than the name.
    data: Vec<Matcher>,
    names: Vec<Matcher>,
}

impl Wanted {
    fn of(info: &Info) -> Self {
        match &info.matchers {
            None => Wanted { data: Vec::new(), names: vec![Matcher::equal(METRIC_NAME, TARGET_INFO)] },
            Some(matchers) => {
                let (names, data) = matchers.iter().cloned().partition(|matcher| matcher.name == METRIC_NAME);
                Wanted { data, names }
            }
        }
    }

    /// Whether an info series may give this label.
    fn gives(&self, name: &str) -> bool {
        name != METRIC_NAME && (self.data.is_empty() || self.data.iter().any(|matcher| matcher.name == name))
    }
}

pub(crate) fn info<'q>(
    query: &'q Query<'q>,
    of: Stream<'q>,
    info: &Info,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    let bases = of.collect(query)?;
    let wanted = Wanted::of(info);
    // Info series are not enriched by themselves.
    let is_info = |entry: &Entry| {
        let name = entry.labels.metric_name().unwrap_or("");
        !wanted.names.is_empty() && wanted.names.iter().all(|matcher| matcher.matches(name))
    };
    let series = find(query, &bases, &wanted, info, scope, is_info)?;
    let newest = newest_by_identity(&series, scope)?;

    let mut table = Vec::new();
    for (entry, row) in bases {
        if is_info(&entry) {
            table.push((entry, row));
            continue;
        }
        let none = Vec::new();
        let candidates = newest.get(&identity(&entry.labels)).unwrap_or(&none);
        let mut places: Map<Vec<usize>, Option<usize>> = Map::default();
        for (step, cell) in row.cells() {
            let chosen: Vec<usize> = candidates.iter().filter_map(|by_step| by_step[step]).collect();
            let place = match places.get(&chosen) {
                Some(place) => *place,
                None => {
                    let place = enriched(&entry, &chosen, &series, &wanted)?.map(|entry| {
                        table.push((entry, Row::absent(scope.steps())));
                        table.len() - 1
                    });
                    places.insert(chosen, place);
                    place
                }
            };
            if let Some(place) = place {
                table[place].1.set(step, cell);
            }
        }
    }
    Ok(Stream::ready(merge_same(table)?))
}

/// The info series that may speak of one of `bases`.
fn find(
    query: &Query<'_>,
    bases: &[(Entry, Row)],
    wanted: &Wanted,
    info: &Info,
    scope: Scope,
    is_info: impl Fn(&Entry) -> bool,
) -> Result<Vec<InfoSeries>, QueryError> {
    let mut matchers = Vec::new();
    for name in IDENTIFYING {
        let others = bases.iter().filter(|(entry, _)| !is_info(entry));
        let values: BTreeSet<String> =
            others.filter_map(|(entry, _)| entry.labels.get(name)).map(regex::escape).collect();
        if !values.is_empty() {
            let pattern = values.into_iter().collect::<Vec<_>>().join("|");
            let matcher = Matcher::regex(name, &pattern).map_err(|error| QueryError::Execution(error.to_string()))?;
            matchers.push(matcher);
        }
    }
    if matchers.is_empty() {
        return Ok(Vec::new());
    }
    matchers.extend(wanted.data.iter().cloned());
    match wanted.names.is_empty() {
        true => matchers.push(Matcher::equal(METRIC_NAME, TARGET_INFO)),
        false => matchers.extend(wanted.names.iter().cloned()),
    }
    let start = info.shift.apply(scope.grid.start()) - query.lookback + Span::from_millis(1);
    let Some(range) = TimeRange::new(start, info.shift.apply(scope.grid.end())) else { return Ok(Vec::new()) };
    let select = Select { fetch: 0, shift: info.shift, reading: Reading::Timestamp, smoothed: false };
    let mut column = Column::default();
    let mut all = Vec::new();
    for one in query.source.select(&matchers, range)?.series {
        query.interrupt.check()?;
        one.samples.read(&mut column)?;
        query.meter.read_samples(column.len());
        let mut series = InfoSeries { labels: one.labels, seen: vec![None; scope.steps()] };
        let mut histogram = false;
        each_newest(&column, &select, scope, query, |step, index| {
            histogram |= column.histograms.binary_search_by_key(&index, |(row, _)| *row).is_ok();
            if !crate::model::sample::is_stale(column.values[index]) {
                series.seen[step] = Some(column.at[index].as_millis());
            }
        });
        if histogram {
            return refuse(format!("this should be an info metric, with float samples: {}", shown(&series.labels)));
        }
        all.push(series);
    }
    Ok(all)
}

/// Per identity and metric name, the info series that is newest at each step.
type Newest<'a> = Map<[Option<&'a str>; 2], Vec<Vec<Option<usize>>>>;

fn newest_by_identity(series: &[InfoSeries], scope: Scope) -> Result<Newest<'_>, QueryError> {
    let mut by_name: std::collections::BTreeMap<(&str, [Option<&str>; 2]), Vec<usize>> =
        std::collections::BTreeMap::new();
    for (index, one) in series.iter().enumerate() {
        let name = one.labels.metric_name().unwrap_or("");
        by_name.entry((name, identity(&one.labels))).or_default().push(index);
    }
    let mut newest: Newest<'_> = Map::default();
    for ((_, identity), members) in by_name {
        let mut by_step: Vec<Option<usize>> = vec![None; scope.steps()];
        for index in members {
            for (step, place) in by_step.iter_mut().enumerate() {
                let Some(at) = series[index].seen[step] else { continue };
                let before = place.and_then(|known| Some((known, series[known].seen[step]?)));
                match before {
                    Some((_, known_at)) if known_at > at => {}
                    Some((known, known_at)) if known_at == at => {
                        return refuse(format!(
                            "found duplicate series for info metric: existing {} @ {known_at}, new {} @ {at}",
                            shown(&series[known].labels),
                            shown(&series[index].labels)
                        ));
                    }
                    _ => *place = Some(index),
                }
            }
        }
        newest.entry(identity).or_default().push(by_step);
    }
    Ok(newest)
}

/// `base` with the labels of the chosen info series. `None` where the conditions ask for labels and none is given.
fn enriched(
    base: &Entry,
    chosen: &[usize],
    series: &[InfoSeries],
    wanted: &Wanted,
) -> Result<Option<Entry>, QueryError> {
    if chosen.is_empty() && !wanted.data.iter().all(Matcher::matches_absent) {
        return Ok(None);
    }
    let mut builder = base.labels.to_builder();
    let mut given: Vec<(&str, &str)> = Vec::new();
    for (name, value) in chosen.iter().flat_map(|index| &series[*index].labels) {
        if !wanted.gives(name) {
            continue;
        }
        if given.iter().any(|(known, other)| *known == name && *other != value) {
            return refuse(format!("conflicting label: {name}"));
        }
        if base.labels.get(name).is_none() {
            given.push((name, value));
            builder.set(name, value);
        }
    }
    let labels = builder.build().expect("set keeps names unique");
    Ok(Some(Entry { labels, name_dropped: base.name_dropped }))
}
