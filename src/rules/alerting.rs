//! The alerting rule's step. (Prometheus: `AlertingRule.Eval`.)

use std::collections::BTreeMap;

use crate::model::{Labels, METRIC_NAME, Span, Timestamp};
use crate::promql::{Point, VectorSample};

use super::alert::{Alert, Alerts, RESOLVED_KEPT, Stage};
use super::rule::{Moment, Outcome, RuleError, RuleSample, within};
use super::status::Input;
use super::template::{Data, Query, Template};

/// What an alerting rule steps by.
#[derive(Clone, Copy, Debug)]
pub struct Alerting<'a> {
    /// The alert's name.
    pub name: &'a str,
    /// The expression, for templates.
    pub expr: &'a str,
    /// How long the expression must hold before the alert fires.
    pub hold: Span,
    /// How long the alert fires on when the expression stopped holding.
    pub keep_firing: Span,
    /// Most active alerts; 0 = any.
    pub limit: usize,
    /// The rule's labels.
    pub labels: &'a [(String, Template)],
    /// The rule's annotations.
    pub annotations: &'a [(String, Template)],
}

/// What templates may ask beside the result at hand.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The labels that this server adds to everything it sends.
    pub external_labels: &'a Labels,
    /// Where people reach this server.
    pub external_url: &'a str,
    /// Answers the `query` function.
    pub query: &'a dyn Query,
    /// What had been delivered.
    pub input: &'a Input,
    /// What names the group in links.
    pub group_id: &'a str,
    /// How often it is evaluated.
    pub interval: Span,
}

/// What names an alert of a rule in links.
pub fn alert_id(labels: &Labels) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(labels.as_packed().as_bytes()))
}

impl Alerting<'_> {
    /// From the alerts as they were and the expression's result to the alerts as they are, with the series that tell
    /// of them: `ALERTS` and `ALERTS_FOR_STATE`.
    ///
    /// # Errors
    /// Where two results would be one alert, or there are more than the limit; nothing has changed then.
    pub fn step(
        &self,
        before: &Alerts,
        vector: &[VectorSample],
        moment: Moment,
        around: Surroundings<'_>,
    ) -> Result<Outcome, RuleError> {
        let mut found = BTreeMap::new();
        for sample in vector {
            let (labels, seen) = self.expand(before, sample, moment, around)?;
            if found.contains_key(&labels) {
                return Err(RuleError::SameLabels(labels));
            }
            found.insert(labels, seen);
        }
        let mut alerts = Alerts::new();
        for (labels, alert) in before {
            let next = match found.remove(labels) {
                Some(seen) => Some(self.holds(alert, seen, moment.at)),
                None => match around.input.lacking(labels) {
                    // What is not there yet may well say that it holds: nothing is resolved on such grounds.
                    Some(why) if alert.is_active() => Some(Alert { input_stale: Some(why), ..alert.clone() }),
                    _ => self.holds_no_more(alert, moment.at),
                },
            };
            if let Some(next) = next {
                alerts.insert(labels.clone(), next);
            }
        }
        alerts.extend(found.into_iter().map(|(labels, seen)| (labels, self.aged(seen, moment.at))));
        within(self.limit, alerts.values().filter(|alert| alert.is_active()).count())?;
        let samples = self.samples(&alerts);
        Ok(Outcome { samples, alerts })
    }

    /// The series that tell of active alerts: `ALERTS` with 1, `ALERTS_FOR_STATE` with the time since which the
    /// expression holds, in seconds.
    pub fn samples(&self, alerts: &Alerts) -> Vec<RuleSample> {
        let mut samples = Vec::new();
        for (labels, alert) in alerts {
            let state = match alert.stage {
                Stage::Pending => "pending",
                Stage::Firing { .. } => "firing",
                Stage::Resolved { .. } => continue,
            };
            let named = |metric: &str| labels.with(METRIC_NAME, metric).with("alertname", self.name);
            let since = (alert.active_at.as_millis().div_euclid(1000)) as f64;
            samples.push(RuleSample { labels: named("ALERTS").with("alertstate", state), point: Point::Float(1.0) });
            samples.push(RuleSample { labels: named("ALERTS_FOR_STATE"), point: Point::Float(since) });
        }
        samples
    }

    /// A result as a new alert would look. The labels of the result, overridden by the rule's, and `alertname` are
    /// what makes it one alert or another; templates see the labels of the result, as they came.
    fn expand(
        &self,
        before: &Alerts,
        sample: &VectorSample,
        moment: Moment,
        around: Surroundings<'_>,
    ) -> Result<(Labels, Alert), RuleError> {
        // Prometheus: the value of a histogram is 0 for templates.
        let value = match sample.point {
            Point::Float(value) => value,
            Point::Histogram(_) => 0.0,
        };
        let mut data = Data {
            labels: sample.labels.clone(),
            value,
            external_labels: around.external_labels.clone(),
            external_url: around.external_url.to_owned(),
            at: moment.data_at,
            active_at: moment.at,
            expr: self.expr.to_owned(),
            for_seconds: self.hold.as_seconds(),
            alert_id: String::new(),
            group_id: around.group_id.to_owned(),
            interval_seconds: around.interval.as_seconds(),
        };
        // An alert with a broken text is better than none: the error takes the text's place.
        let text = |template: &Template, data: &Data| {
            template.expand(data, around.query).unwrap_or_else(|why| format!("<error expanding template: {why}>"))
        };
        let mut labels = sample.labels.to_builder();
        labels.remove(METRIC_NAME);
        for (name, template) in self.labels {
            labels.set(name, &text(template, &data));
        }
        labels.set("alertname", self.name);
        let labels = labels.build()?;
        data.alert_id = alert_id(&labels);
        // Only its labels say whether the alert is known, so only annotations can tell since when it is active.
        if let Some(known) = before.get(&labels).filter(|known| known.is_active()) {
            data.active_at = known.active_at;
        }
        let annotations = self.annotations.iter().map(|(name, template)| (name, text(template, &data)));
        let annotations = Labels::from_pairs(annotations);
        Ok((
            labels,
            Alert {
                annotations,
                value,
                active_at: moment.at,
                stage: Stage::Pending,
                last_sent: None,
                input_stale: None,
            },
        ))
    }

    /// The expression holds for an alert that is already known.
    fn holds(&self, alert: &Alert, seen: Alert, at: Timestamp) -> Alert {
        match alert.stage {
            Stage::Pending => self.aged(Alert { active_at: alert.active_at, ..seen }, at),
            Stage::Firing { since, .. } => Alert {
                active_at: alert.active_at,
                stage: Stage::Firing { since, kept_since: None },
                last_sent: alert.last_sent,
                ..seen
            },
            // It begins anew. The last delivery was of another round.
            Stage::Resolved { .. } => self.aged(seen, at),
        }
    }

    /// A pending alert fires once its time has come: at once where `for` is 0.
    fn aged(&self, alert: Alert, at: Timestamp) -> Alert {
        match at - alert.active_at >= self.hold {
            true => Alert { stage: Stage::Firing { since: at, kept_since: None }, ..alert },
            false => alert,
        }
    }

    /// The expression holds no more; `None` where nothing is left to tell.
    fn holds_no_more(&self, alert: &Alert, at: Timestamp) -> Option<Alert> {
        let stage = match alert.stage {
            Stage::Pending => return None,
            Stage::Resolved { at: ended, .. } if at - ended > RESOLVED_KEPT => return None,
            resolved @ Stage::Resolved { .. } => resolved,
            Stage::Firing { since, kept_since } => {
                let kept_from = kept_since.unwrap_or(at);
                match self.keep_firing > Span::ZERO && at - kept_from < self.keep_firing {
                    true => Stage::Firing { since, kept_since: Some(kept_from) },
                    false => Stage::Resolved { fired_at: since, at },
                }
            }
        };
        Some(Alert { stage, input_stale: None, ..alert.clone() })
    }
}
