//! Taking over from another server: since when its alerts were pending, as `ALERTS_FOR_STATE` tells.
//!
//! When rules run on a store for the first time, whoever evaluated them before has sent these series along with all
//! others. A new alert then goes on counting from there instead of from now. Asked once a rule, at its first evaluation.

use crate::model::{Labels, METRIC_NAME, Span, Timestamp};
use crate::promql::Point;
use crate::promql::register::RuleAsker;

use super::alert::{Alert, Alerts, Stage};
use super::alerting::Alerting;
use super::evaluation::World;
use super::rule::{self, Moment, Outcome};

/// How old the other server's last word may be. (Prometheus: `--rules.alert.for-outage-tolerance`.)
const LOOKBACK: &str = "1h";

/// Gives the new alerts of `outcome` the time since which another server had them active.
pub(super) fn since_when(
    alerting: &Alerting<'_>,
    known: &Alerts,
    outcome: &mut Outcome,
    moment: Moment,
    asker: &RuleAsker,
    world: &World,
) {
    let is_new = |labels: &Labels| !known.contains_key(labels);
    if alerting.hold <= Span::ZERO || !outcome.alerts.keys().any(is_new) {
        return;
    }
    let name = crate::model::labels::Quoted(alerting.name);
    let expr = format!("last_over_time(ALERTS_FOR_STATE{{alertname={name}}}[{LOOKBACK}])");
    let told = match (world.query)(&expr, moment.data_at, asker).map(rule::vector) {
        Ok(Ok(told)) => told,
        _ => return,
    };
    for (labels, alert) in outcome.alerts.iter_mut().filter(|(labels, _)| is_new(labels)) {
        // The other server's external labels stand beside the alert's own.
        let same = |other: &Labels| labels.iter().all(|(name, value)| other.get(name) == Some(value));
        let since = told.iter().filter(|sample| same(&sample.labels.without(|name| name == METRIC_NAME)));
        let since = since.filter_map(|sample| match sample.point {
            Point::Float(seconds) => Some(Timestamp::from_millis((seconds * 1000.0) as i64)),
            Point::Histogram(_) => None,
        });
        if let Some(since) = since.min().filter(|since| *since < alert.active_at) {
            let stage = match moment.at - since >= alerting.hold {
                true => Stage::Firing { since: moment.at, kept_since: None },
                false => Stage::Pending,
            };
            *alert = Alert { active_at: since, stage, ..alert.clone() };
        }
    }
    outcome.samples = alerting.samples(&outcome.alerts);
}
