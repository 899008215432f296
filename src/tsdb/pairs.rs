//! What the store says of its HA groups. All of it follows from what is kept, but for what was counted since the start.

use std::sync::Arc;

use crate::ha::{Policy, Verdict, explain_in_turns};
use crate::model::sample::is_stale;
use crate::model::{Column, METRIC_NAME, Matcher, Span, TimeRange, Timestamp};
use crate::store::pairs::{ExplainedSample, ExplainedSeries, PairGroup, PairLabels, PairLane, Pairs, PreferError};
use crate::store::{StoreError, Warnings};

use super::Tsdb;
use super::context::{MARGINS, by_number};
use super::delay::clocks_ahead;
use super::delivered::Tally;
use super::resolve::lanes::NO_GROUP;

/// Targets of all groups that are looked at for a report.
const TARGETS_MAX: usize = 2_000;
/// Targets that are named.
const NAMED_MAX: usize = 100;
/// How far back a report looks at targets.
const LOOKED_AT: Span = Span::HOUR;
/// A lane whose samples always take longer is a queue that is never empty: it says nothing of a clock.
const QUEUED_MAX: Span = Span::MINUTE;
/// A target counts as seen if it has a sample so young.
const SEEN: Span = Span::from_secs(300);

impl Pairs for Tsdb {
    fn labels(&self) -> PairLabels {
        let settings = &self.store.settings;
        PairLabels { replica: settings.replica_label.clone(), cluster: settings.cluster_labels.clone() }
    }

    fn groups(&self, now: Timestamp) -> Result<Vec<PairGroup>, StoreError> {
        let mut groups = self.bare_groups(now);
        self.tell_of_series(&mut groups);
        let range = TimeRange::new(now - LOOKED_AT, now + Span::HOUR).expect("an hour has a length");
        let (targets, _) = self.explain(&[Matcher::equal(METRIC_NAME, "up")], range, TARGETS_MAX)?;
        for target in targets {
            if let Some(group) = groups.iter_mut().find(|group| group.cluster == target.cluster) {
                tell_of_target(group, &target, now);
            }
        }
        self.store.pairs_seen.store(Arc::new(groups.clone()));
        Ok(groups)
    }

    fn explain(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        series_max: usize,
    ) -> Result<(Vec<ExplainedSeries>, bool), StoreError> {
        let seen = self.store.seen_through(crate::store::LaneView::Merged);
        let (warnings, orders) = (Warnings::default(), self.store.resolver.orders());
        let (mut explained, mut more) = (Vec::new(), false);
        for (labels, group, rows) in seen.rows_of(matchers, range, &warnings)? {
            if group == NO_GROUP {
                continue;
            }
            if explained.len() == series_max {
                more = true;
                break;
            }
            let (lanes, none) = (rows.lanes(MARGINS[1])?, Column::default());
            let columns = by_number(&lanes, &none);
            let rules = orders.rules_in(group, self.store.settings.pairs.rules_of(&labels));
            let turns = orders.turns(group);
            let (cluster, names) = self.names_of(group);
            let order = turns.last().map(|turn| turn.order.clone()).unwrap_or_default();
            let mut series = ExplainedSeries {
                labels,
                cluster,
                policy: policy_name(rules.policy),
                counter: rules.counter,
                lanes: order.iter().map(|lane| (names.get(*lane).cloned().unwrap_or_default(), Vec::new())).collect(),
            };
            for row in explain_in_turns(turns, &columns, &rules) {
                let Some(rank) = order.iter().position(|lane| *lane == row.lane) else { continue };
                if !range.contains(row.at) {
                    continue;
                }
                let column = columns[row.lane];
                let histogram = column.histograms.binary_search_by_key(&row.row, |(row, _)| *row).ok();
                let value = histogram.map_or(column.values[row.row], |place| column.histograms[place].1.count);
                let apart = rules.policy == Policy::KeepReplica;
                series.lanes[rank].1.push(ExplainedSample {
                    at: row.at,
                    value,
                    is_histogram: histogram.is_some(),
                    kept: apart || row.verdict.is_in(),
                    why: if apart { ("kept_apart", "each replica is a series of its own") } else { why(row.verdict) },
                    interval: row.interval,
                });
            }
            explained.push(series);
        }
        Ok((explained, more))
    }

    fn prefer(&self, cluster: &str, order: &[String], from: Timestamp) -> Result<(), PreferError> {
        self.store.takes_writes()?;
        self.store.prefer(cluster, order, from)
    }
}

impl Tsdb {
    /// Cluster and replicas of a group.
    fn names_of(&self, group: u32) -> (String, Vec<String>) {
        let registry = self.store.resolver.registry.read();
        registry
            .groups
            .all()
            .get(group as usize)
            .map(|group| (group.cluster.clone(), group.replicas.clone()))
            .unwrap_or_default()
    }

    /// The groups as they stand; what has to be looked for is as it was when [`groups`](Pairs::groups) was last asked.
    /// Does not block.
    pub fn groups_at_a_glance(&self, now: Timestamp) -> Vec<PairGroup> {
        let seen = self.store.pairs_seen.load();
        let mut groups = self.bare_groups(now);
        for group in &mut groups {
            let Some(known) = seen.iter().find(|known| known.cluster == group.cluster) else { continue };
            let lanes = std::mem::take(&mut group.lanes).into_iter().map(|lane| {
                let known = known.lanes.iter().find(|known| known.replica == lane.replica);
                let known = known.cloned().unwrap_or_default();
                let PairLane { feeds, fills, sees_alone, .. } = known;
                PairLane { feeds, fills, sees_alone, newest: lane.newest.or(known.newest), ..lane }
            });
            let lanes = lanes.collect();
            let PairGroup { order, preferences, nameless, .. } = std::mem::take(group);
            *group = PairGroup { order, preferences, nameless, lanes, ..known.clone() };
        }
        groups
    }

    /// The groups with what is known without a look at samples or series.
    fn bare_groups(&self, now: Timestamp) -> Vec<PairGroup> {
        let (orders, tallies) = (self.store.resolver.orders(), self.store.deliveries.tallies());
        let nameless = self.store.deliveries.nameless();
        let registry = self.store.resolver.registry.read();
        let mut groups = Vec::new();
        for (number, group) in registry.groups.all().iter().enumerate().skip(1) {
            let Some(turn) = orders.turns(number as u32).last() else { continue };
            let tallies = turn.order.iter().map(|lane| (*lane, tallies.get(&(number as u32, *lane as u8))));
            let tallies: Vec<(usize, Tally)> =
                tallies.map(|(lane, tally)| (lane, tally.copied().unwrap_or_default())).collect();
            let delays: Vec<Option<Span>> = tallies.iter().map(|(_, tally)| tally.delay.get(now)).collect();
            let lanes = tallies.iter().zip(clocks_ahead(&delays, QUEUED_MAX));
            let lanes = lanes.map(|((lane, tally), clock_ahead)| PairLane {
                replica: group.replicas[*lane].clone(),
                newest: tally.newest.zip(tally.received_at),
                clock_ahead,
                received: tally.received,
                covered: tally.covered,
                conflicts: tally.conflicts,
                ..PairLane::default()
            });
            let lanes: Vec<PairLane> = lanes.collect();
            let lane_without_name = lanes.iter().filter(|lane| lane.replica.is_empty());
            let last_nameless = lane_without_name.filter_map(|lane| lane.newest).map(|(_, arrived)| arrived);
            let last_nameless = last_nameless.chain(nameless.get(&(number as u32)).copied()).max();
            let preferences = registry.groups.preferences(number as u32).iter();
            groups.push(PairGroup {
                cluster: group.cluster.clone(),
                order: lanes.iter().map(|lane| lane.replica.clone()).collect(),
                preferences: preferences.map(|one| (one.from, one.order.clone(), one.by.clone())).collect(),
                nameless: last_nameless.is_some_and(|last| now - last < SEEN),
                lanes,
                ..PairGroup::default()
            });
        }
        groups
    }

    /// Counts the series in memory of each group, and finds which label of the first of them names it.
    fn tell_of_series(&self, groups: &mut [PairGroup]) {
        let mut next = Some(0);
        let mut found: Vec<(u64, Option<u32>)> = Vec::new();
        while let Some(first) = next {
            // Taken anew for each page: who makes series waits for it.
            let registry = self.store.resolver.registry.read();
            found.resize(registry.groups.all().len(), (0, None));
            let (ids, further) = registry.ids_from(first, 4096);
            for (id, group) in ids.into_iter().filter_map(|id| Some((id, registry.group(id)?))) {
                let (count, example) = &mut found[group as usize];
                *count += 1;
                example.get_or_insert(id);
            }
            next = further;
        }
        let registry = self.store.resolver.registry.read();
        for group in groups {
            let number = registry.groups.number_of(&group.cluster);
            let Some((count, example)) = number.and_then(|number| found.get(number as usize)) else { continue };
            group.series = *count;
            let labels = example.and_then(|id| registry.get(id)).map(|series| series.labels).unwrap_or_default();
            let mut names = self.store.settings.cluster_labels.iter();
            group.label = names.find(|name| labels.get(name) == Some(group.cluster.as_str())).cloned();
        }
    }
}

/// Adds what one target's `up` tells of its group.
fn tell_of_target(group: &mut PairGroup, target: &ExplainedSeries, now: Timestamp) {
    let mut kept: Vec<(Timestamp, usize, bool)> = Vec::new();
    let mut sees = Vec::new();
    for (rank, (replica, rows)) in target.lanes.iter().enumerate() {
        // Who leads now may have filled before.
        let fills = |row: &ExplainedSample| rank > 0 && row.why.0 == why(Verdict::Fills).0;
        let shown = rows.iter().filter(|row| row.kept && !is_stale(row.value));
        kept.extend(shown.map(|row| (row.at, rank, fills(row))));
        let newest = rows.iter().rfind(|row| !is_stale(row.value));
        if newest.is_some_and(|row| now - row.at < SEEN && row.value > 0.0) {
            sees.push(replica.clone());
        }
        if alternates(rows) && !group.twice.contains(replica) {
            group.twice.push(replica.clone());
        }
    }
    kept.sort_unstable();
    // Who was not heard since the start, but has rows, was heard before it.
    for (lane, (_, rows)) in group.lanes.iter_mut().zip(&target.lanes).filter(|(lane, _)| lane.received == 0) {
        lane.newest = lane.newest.max(rows.last().map(|row| (row.at, row.at)));
    }
    group.samples.0 += kept.len() as u64;
    group.samples.1 += kept.iter().filter(|(_, _, fills)| *fills).count() as u64;
    for (_, rank, fills) in &kept {
        if let Some(lane) = group.lanes.get_mut(*rank) {
            lane.feeds += 1;
            lane.fills += u64::from(*fills);
        }
    }
    for pair in kept.windows(2).filter(|pair| pair[0].1 != pair[1].1) {
        group.gaps_filled += u64::from(pair[0].1 == 0);
        let (from, to) = (target.lanes[pair[0].1].0.clone(), target.lanes[pair[1].1].0.clone());
        if group.last_switch.as_ref().is_none_or(|(at, ..)| *at < pair[1].0) {
            group.last_switch = Some((pair[1].0, from, to));
        }
    }
    let Some((newest, rank, _)) = kept.last().filter(|(at, ..)| now - *at < SEEN) else { return };
    group.targets += 1;
    group.leading = Some(target.lanes[*rank].0.clone()).filter(|_| *newest <= now + SEEN);
    if let ([only], true) = (sees.as_slice(), target.lanes.len() > 1) {
        let (named, count) = &mut group.seen_by_one;
        *count += 1;
        if let Some(lane) = group.lanes.iter_mut().find(|lane| lane.replica == *only) {
            lane.sees_alone += 1;
        }
        if named.len() < NAMED_MAX {
            named.push((target.labels.without(|name| name == METRIC_NAME), only.clone()));
        }
    }
}

/// Whether one lane shows two phases, as two senders under one name make: long and short distances by turns.
fn alternates(rows: &[ExplainedSample]) -> bool {
    let distances: Vec<i64> = rows.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect();
    let differ = |one: i64, other: i64| (one - other).abs() * 10 > one.max(other);
    distances.len() >= 20
        && distances.windows(3).filter(|three| differ(three[0], three[1]) && !differ(three[0], three[2])).count() * 10
            >= distances.len() * 8
}

fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Prefer => "prefer",
        Policy::Any => "any",
        Policy::Max => "max",
        Policy::Min => "min",
        Policy::KeepReplica => "keep_replica",
    }
}

fn why(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Preferred => ("preferred", "the preferred replica sent it, after a clean run of scrapes"),
        Verdict::Fills => ("fills", "it fills a hole that the replicas before it leave"),
        Verdict::Ends => ("ends", "a stale marker that no other replica contradicts"),
        Verdict::SameTime => ("same_time", "a replica before it has a sample at the same time"),
        Verdict::Covered => ("covered", "samples of replicas before it stand around it, at most 1.5 intervals apart"),
        Verdict::TooClose => ("too_close", "it stands less than half an interval from a sample that is in"),
        Verdict::Early => ("early", "the replica before it may just not have delivered yet"),
        Verdict::Superseded => ("superseded", "a stale marker while another replica goes on"),
        Verdict::Contradicts => ("contradicts", "its count contradicts its neighbours: clocks differ"),
    }
}
