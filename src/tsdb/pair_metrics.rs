//! What `/metrics` shows of HA groups: worked out when it is asked for, so that no value is older than the scrape.
//!
//! What needs a look at samples (targets, fillers, switches) is as old as the last time that somebody asked
//! [`Pairs`](crate::store::pairs::Pairs) for the groups.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::model::Timestamp;
use crate::store::pairs::{PairGroup, PairLane};

use super::Tsdb;

/// Lanes that are shown, of all groups.
const LANES_MAX: usize = 2_000;

/// Shows `weir_ha_...`.
pub struct PairMetrics {
    tsdb: Tsdb,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl PairMetrics {
    /// Of this store, at the time of this clock.
    pub fn new(tsdb: Tsdb, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> Self {
        PairMetrics { tsdb, clock }
    }
}

impl fmt::Debug for PairMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairMetrics")
    }
}

type OfGroup = (&'static str, &'static str, fn(&PairGroup) -> f64);
type OfLane = (&'static str, &'static str, fn(&PairGroup, &PairLane) -> Option<f64>);
type CountedOfLane = (&'static str, &'static str, fn(&PairLane) -> u64);

const OF_GROUPS: [OfGroup; 7] = [
    ("weir_ha_group_series", "Series in memory, by HA group", |group| group.series as f64),
    ("weir_ha_group_targets", "Targets with a sample in the last minutes", |group| group.targets as f64),
    ("weir_ha_group_targets_seen_by_one", "Targets that one replica alone can scrape", |group| {
        group.seen_by_one.1 as f64
    }),
    (
        "weir_ha_group_fill_ratio",
        "Share of the last hour's samples of targets that a lower replica filled in",
        |group| {
            let (samples, filled) = group.samples;
            if samples == 0 { 0.0 } else { filled as f64 / samples as f64 }
        },
    ),
    ("weir_ha_group_gaps_filled", "Holes of the preferred replica in the last hour that another filled", |group| {
        group.gaps_filled as f64
    }),
    (
        "weir_ha_group_last_switch_timestamp_seconds",
        "When another replica last began to feed targets, within the last hour; else 0",
        |group| group.last_switch.as_ref().map_or(0.0, |(at, ..)| at.as_seconds()),
    ),
    ("weir_ha_group_without_replica", "Whether a sender of the group's series names no replica", |group| {
        f64::from(u8::from(group.nameless))
    }),
];

const OF_LANES: [OfLane; 10] = [
    ("weir_ha_lane_rank", "The replica's place in the order of preference, from 1 on", |group, lane| {
        let place = group.lanes.iter().position(|other| other.replica == lane.replica)?;
        Some((place + 1) as f64)
    }),
    ("weir_ha_lane_newest_sample_timestamp_seconds", "The replica's newest sample", |_, lane| {
        lane.newest.map(|(newest, _)| newest.as_seconds())
    }),
    ("weir_ha_lane_last_arrival_timestamp_seconds", "When the replica last sent something", |_, lane| {
        lane.newest.map(|(_, arrived)| arrived.as_seconds())
    }),
    ("weir_ha_lane_lag_seconds", "How old the replica's newest sample was when it last sent something", |_, lane| {
        lane.newest.map(|(newest, arrived)| (arrived - newest).as_seconds())
    }),
    (
        "weir_ha_lane_clock_ahead_seconds",
        "How far its clock is ahead of the first replica's, by estimate",
        |_, lane| lane.clock_ahead.map(|ahead| ahead.as_seconds()),
    ),
    ("weir_ha_lane_leading", "Whether it feeds the targets' series now", |group, lane| {
        Some(f64::from(u8::from(group.leading.as_deref() == Some(&*lane.replica))))
    }),
    ("weir_ha_lane_fed_samples", "Samples of targets in the last hour that it feeds", |_, lane| {
        Some(lane.feeds as f64)
    }),
    ("weir_ha_lane_filler_samples", "Those of them that fill holes of replicas before it", |_, lane| {
        Some(lane.fills as f64)
    }),
    ("weir_ha_lane_targets_seen_alone", "Targets that it alone can scrape", |_, lane| Some(lane.sees_alone as f64)),
    ("weir_ha_lane_two_senders", "Whether two senders seem to use its name", |group, lane| {
        Some(f64::from(u8::from(group.twice.contains(&lane.replica))))
    }),
];

const COUNTED_OF_LANES: [CountedOfLane; 3] = [
    ("weir_ha_lane_received_samples", "Samples of the replica", |lane| lane.received),
    ("weir_ha_lane_covered_samples", "Those that a replica before it makes superfluous", |lane| lane.covered),
    ("weir_ha_lane_conflicts", "Those that met another value of the same replica at their time", |lane| lane.conflicts),
];

impl Collector for PairMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut groups = self.tsdb.groups_at_a_glance((self.clock)());
        let mut room = LANES_MAX;
        for group in &mut groups {
            group.lanes.truncate(room);
            room -= group.lanes.len();
        }
        for (name, help, value) in OF_GROUPS {
            let kind = ConstGauge::new(0.0).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for group in &groups {
                let labels = [("cluster", group.cluster.as_str())];
                ConstGauge::new(value(group)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, value) in OF_LANES {
            let kind = ConstGauge::new(0.0).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (group, lane) in lanes(&groups) {
                if let Some(value) = value(group, lane) {
                    ConstGauge::new(value).encode(family.encode_family(&labels(group, lane))?)?;
                }
            }
        }
        for (name, help, value) in COUNTED_OF_LANES {
            let kind = ConstCounter::new(0_u64).metric_type();
            let mut family = encoder.encode_descriptor(name, help, None, kind)?;
            for (group, lane) in lanes(&groups) {
                ConstCounter::new(value(lane)).encode(family.encode_family(&labels(group, lane))?)?;
            }
        }
        Ok(())
    }
}

fn lanes(groups: &[PairGroup]) -> impl Iterator<Item = (&PairGroup, &PairLane)> {
    groups.iter().flat_map(|group| group.lanes.iter().map(move |lane| (group, lane)))
}

fn labels<'l>(group: &'l PairGroup, lane: &'l PairLane) -> [(&'static str, &'l str); 2] {
    [("cluster", &group.cluster), ("replica", &lane.replica)]
}
