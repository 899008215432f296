//! One rule at work: ask, step, keep, write, tell; in this order.
//!
//! The step itself is pure (`rule`, `alerting`). Here its result meets the world: the journal first, so that what is
//! shown or said survives a crash; then the store, so that the next rule reads it; then the notifiers.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use crate::model::labels::LabelsBuilder;
use crate::model::{Labels, STALE_NAN_BITS, Span, Timestamp};
use crate::promql::register::RuleAsker;
use crate::promql::{Answer, Point, QueryError};
use crate::store::{BatchSample, BatchSeries, Refused, SampleSink, SeriesBatch, SeriesName, SeriesNaming, StoreError};

use super::alert::{Alert, Alerts, Stage};
use super::alerting::{Alerting, Surroundings};
use super::file::{Engine, RuleKind, RuleSpec};
use super::journal::{AlertJournal, RuleIdentity};
use super::metrics::Metrics;
use super::notify::{AlertKey, Message, Receipts};
use super::rule::{self, Moment, Outcome, RuleError, RuleSample};
use super::status::{AlertPhase, AlertStatus, AlertingState, Health, RuleState};
use super::template::{Query, TemplateSample};

/// Evaluates an expression at an instant, for the rule that is named.
pub type QueryFn = Arc<dyn Fn(&str, Timestamp, &RuleAsker) -> Result<Answer, QueryError> + Send + Sync>;
/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
/// Hands messages to the notifiers; must not block.
pub type SendFn = Arc<dyn Fn(&[Message]) + Send + Sync>;

/// Everything around the rules that they read, write and speak to.
pub struct World {
    /// Evaluates expressions.
    pub query: QueryFn,
    /// Takes results.
    pub sink: Arc<dyn SampleSink>,
    /// Keeps alert state.
    pub journal: AlertJournal,
    /// Takes messages for Alertmanagers.
    pub send: SendFn,
    /// Says which of them were delivered.
    pub receipts: Arc<Receipts>,
    /// Tells the time.
    pub clock: Clock,
    /// Labels filled into every alert that does not have them.
    pub external_labels: Labels,
    /// Where people reach this server, without a slash at the end.
    pub external_url: String,
    /// How often a firing alert is told again.
    pub resend_delay: Span,
    /// Counts.
    pub metrics: Metrics,
}

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
enum EvaluationError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Step(#[from] RuleError),
    #[error("expressions of type {0} cannot be evaluated here")]
    Foreign(String),
    #[error("keep alert state: {0}")]
    Journal(#[source] StoreError),
    #[error("write results: {0}")]
    Write(#[source] StoreError),
    #[error("results were refused: {0}")]
    Refused(String),
}

/// What a rule inherits from its group.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) interval: Span,
    pub(super) limit: usize,
    pub(super) engine: Engine,
    /// The file that has the group.
    pub(super) file: String,
}

/// A rule with its state.
#[derive(Debug)]
pub(super) struct RunningRule {
    pub(super) identity: Arc<RuleIdentity>,
    pub(super) spec: RuleSpec,
    /// No file has it any more: its expression counts as never holding, until nothing is left to say.
    pub(super) retired: bool,
    alerts: Alerts,
    /// The alerts that the journal still has where its last write failed.
    journaled: Option<Alerts>,
    /// The series that the last evaluation wrote: those that the next one does not get a stale marker.
    series: HashSet<Labels>,
    health: Health,
    last_error: String,
    last_evaluation: Option<Timestamp>,
    evaluation_seconds: f64,
}

impl RunningRule {
    /// A rule that takes up the alerts it had, if any.
    pub(super) fn new(identity: RuleIdentity, spec: RuleSpec, alerts: Alerts) -> Self {
        let mut rule = RunningRule {
            identity: Arc::new(identity),
            spec,
            retired: false,
            alerts,
            journaled: None,
            series: HashSet::new(),
            health: Health::Unknown,
            last_error: String::new(),
            last_evaluation: None,
            evaluation_seconds: 0.0,
        };
        if let Some(alerting) = rule.alerting(0) {
            rule.series = alerting.samples(&rule.alerts).into_iter().map(|sample| sample.labels).collect();
        }
        rule
    }

    /// This rule with the state of the one that it was before a reload.
    pub(super) fn succeed(mut self, before: RunningRule) -> Self {
        let same_query = self.spec.expr == before.spec.expr;
        self.alerts = before.alerts;
        self.journaled = before.journaled;
        self.series = before.series;
        if same_query {
            self.health = before.health;
            self.last_error = before.last_error;
            self.last_evaluation = before.last_evaluation;
            self.evaluation_seconds = before.evaluation_seconds;
        }
        self
    }

    /// Whether a retired rule has nothing more to say.
    pub(super) fn is_spent(&self) -> bool {
        self.retired && self.alerts.is_empty() && self.series.is_empty()
    }

    /// Evaluates the rule once.
    pub(super) fn run(&mut self, moment: Moment, terms: &Terms, world: &World) {
        let started = (world.clock)();
        // A clone of shared texts: if this evaluation ends in a bug, the alerts are still there.
        let before = self.alerts.clone();
        let mut known = before.clone();
        for (labels, said_at) in world.receipts.take(&self.identity) {
            if let Some(alert) = known.get_mut(&labels) {
                alert.last_sent = Some(said_at);
            }
        }
        let (alerts, samples, mut failure) = match self.step(&known, moment, terms, world) {
            Ok(outcome) => (outcome.alerts, Some(outcome.samples), None),
            // Nothing is known, so nothing changes: what fires goes on firing, and is told again.
            Err(failure) => (known, None, Some(failure)),
        };
        self.alerts = alerts;
        if let Err(refusal) = self.keep(before, world) {
            failure = failure.or(Some(EvaluationError::Journal(refusal)));
        }
        if let Some(samples) = samples
            && let Err(refusal) = self.write(&samples, moment, world)
        {
            failure = failure.or(Some(refusal));
        }
        (world.send)(&self.messages(moment, terms, world));
        self.health = if failure.is_some() { Health::Err } else { Health::Ok };
        self.last_error = failure.map(|failure| failure.to_string()).unwrap_or_default();
        self.last_evaluation = Some(moment.at);
        self.evaluation_seconds = ((world.clock)() - started).as_seconds();
        if self.health == Health::Err {
            let (group, rule) = (&self.identity.group, &self.spec.name);
            tracing::warn!(group, rule, error = self.last_error, "a rule could not be evaluated");
        } else if self.spec.debug {
            let (group, rule, alerts) = (&self.identity.group, &self.spec.name, self.alerts.len());
            tracing::info!(group, rule, at = %moment.at, series = self.series.len(), alerts, "a rule was evaluated");
        }
    }

    fn alerting(&self, limit: usize) -> Option<Alerting<'_>> {
        match &self.spec.kind {
            RuleKind::Recording => None,
            RuleKind::Alerting { hold, keep_firing, labels, annotations, .. } => Some(Alerting {
                name: &self.spec.name,
                expr: &self.spec.expr,
                hold: *hold,
                keep_firing: if self.retired { Span::ZERO } else { *keep_firing },
                limit,
                labels,
                annotations,
            }),
        }
    }

    fn step(&self, known: &Alerts, moment: Moment, terms: &Terms, world: &World) -> Result<Outcome, EvaluationError> {
        let asker =
            RuleAsker { file: terms.file.clone(), group: self.identity.group.clone(), rule: self.spec.name.clone() };
        let vector = match (&terms.engine, self.retired) {
            (_, true) => Vec::new(),
            (Engine::Prometheus, false) => rule::vector((world.query)(&self.spec.expr, moment.data_at, &asker)?)?,
            (Engine::Foreign(engine), false) => return Err(EvaluationError::Foreign(engine.clone())),
        };
        let outcome = match self.alerting(terms.limit) {
            None => rule::record(&self.spec.name, &self.spec.labels, terms.limit, vector)?,
            Some(alerting) => {
                let query = TemplateQuery { query: &world.query, at: moment.data_at, asker: &asker };
                let (external_labels, external_url) = (&world.external_labels, world.external_url.as_str());
                alerting.step(known, &vector, moment, Surroundings { external_labels, external_url, query: &query })?
            }
        };
        Ok(outcome)
    }

    /// Makes the alerts durable. Where that fails they are used all the same: a pager that stays silent because a
    /// disk is full would be the worse failure; the next evaluation tries again.
    fn keep(&mut self, before: Alerts, world: &World) -> Result<(), StoreError> {
        let before = self.journaled.take().unwrap_or(before);
        let kept = world.journal.keep(&self.identity, &before, &self.alerts);
        if kept.is_err() {
            self.journaled = Some(before);
        }
        kept
    }

    /// Writes the samples, and stale markers for the series that were written last time and are no more.
    fn write(&mut self, samples: &[RuleSample], moment: Moment, world: &World) -> Result<(), EvaluationError> {
        let current: HashSet<Labels> = samples.iter().map(|sample| sample.labels.clone()).collect();
        let mut ended: Vec<&Labels> = self.series.difference(&current).collect();
        ended.sort();
        let stale = Point::Float(f64::from_bits(STALE_NAN_BITS));
        let rows: Vec<(&Labels, &Point)> = samples
            .iter()
            .map(|sample| (&sample.labels, &sample.point))
            .chain(ended.into_iter().map(|labels| (labels, &stale)))
            .collect();
        match append(world.sink.as_ref(), &rows, moment.data_at, (world.clock)()) {
            Ok(()) => self.series = current,
            Err(refused @ EvaluationError::Refused(_)) => {
                self.series = current;
                return Err(refused);
            }
            Err(failure) => {
                // Whatever is not known to have ended must get its marker later.
                self.series.extend(current);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// What notifiers are due to hear.
    fn messages(&self, moment: Moment, terms: &Terms, world: &World) -> Vec<Message> {
        let due = self.alerts.iter().filter(|(_, alert)| alert.needs_sending(moment.at, world.resend_delay));
        due.filter_map(|(labels, alert)| self.message(labels, alert, moment, terms, world)).collect()
    }

    fn message(&self, labels: &Labels, alert: &Alert, moment: Moment, terms: &Terms, world: &World) -> Option<Message> {
        let (starts_at, ends_at) = match alert.stage {
            Stage::Pending => return None,
            // Prometheus: long enough for three rounds to go missing.
            Stage::Firing { since, .. } => (since, moment.at + terms.interval.max(world.resend_delay).times(4)),
            Stage::Resolved { fired_at, at } => (fired_at, at),
        };
        let mut told = labels.to_builder();
        fill_in(&mut told, &world.external_labels);
        Some(Message {
            key: Arc::new(AlertKey { rule: self.identity.clone(), labels: labels.clone() }),
            said_at: moment.at,
            labels: told.build().expect("labels were unique, and only absent ones were added"),
            annotations: alert.annotations.clone(),
            starts_at,
            ends_at,
            generator_url: generator_url(&world.external_url, &self.spec.expr),
        })
    }

    /// Notes that the evaluation ended in a bug; the alerts are as they were before.
    pub(super) fn broke(&mut self, at: Timestamp) {
        self.health = Health::Err;
        self.last_error = "the evaluation ended in a bug; see the log".to_owned();
        self.last_evaluation = Some(at);
    }

    /// Whether the last evaluation failed.
    pub(super) fn failed(&self) -> bool {
        self.health == Health::Err
    }

    /// The rule as the API shows it.
    pub(super) fn state(&self) -> RuleState {
        let alerting = match &self.spec.kind {
            RuleKind::Recording => None,
            RuleKind::Alerting { hold, keep_firing, annotations_text, .. } => Some(AlertingState {
                hold: *hold,
                keep_firing: *keep_firing,
                annotations: annotations_text.clone(),
                alerts: self.alerts.iter().filter_map(|(labels, alert)| alert_status(labels, alert)).collect(),
            }),
        };
        RuleState {
            name: self.spec.name.clone(),
            query: self.spec.expr.clone(),
            labels: self.spec.labels(),
            health: self.health,
            last_error: self.last_error.clone(),
            last_evaluation: self.last_evaluation,
            evaluation_seconds: self.evaluation_seconds,
            alerting,
        }
    }
}

fn alert_status(labels: &Labels, alert: &Alert) -> Option<AlertStatus> {
    let (phase, keep_firing_since) = match alert.stage {
        Stage::Pending => (AlertPhase::Pending, None),
        Stage::Firing { kept_since, .. } => (AlertPhase::Firing, kept_since),
        Stage::Resolved { .. } => return None,
    };
    Some(AlertStatus {
        labels: labels.clone(),
        annotations: alert.annotations.clone(),
        phase,
        active_at: alert.active_at,
        keep_firing_since,
        value: alert.value,
    })
}

fn fill_in(labels: &mut LabelsBuilder, external: &Labels) {
    for (name, value) in external {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    }
}

/// Where a person can look at the expression. (Prometheus: `strutil.TableLinkForExpression`.)
fn generator_url(external_url: &str, expr: &str) -> String {
    let mut url = format!("{}/graph?g0.expr=", external_url.trim_end_matches('/'));
    for byte in expr.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            b' ' => url.push('+'),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url.push_str("&g0.tab=1");
    url
}

/// Writes one sample for each label set, all at the same time.
fn append(
    sink: &dyn SampleSink,
    rows: &[(&Labels, &Point)],
    at: Timestamp,
    received_at: Timestamp,
) -> Result<(), EvaluationError> {
    if rows.is_empty() {
        return Ok(());
    }
    let sample = |point: &Point| match point {
        Point::Float(value) => BatchSample { at, start: Timestamp::EPOCH, value: *value, histogram: None },
        Point::Histogram(histogram) => {
            BatchSample { at, start: Timestamp::EPOCH, value: 0.0, histogram: Some(histogram.clone()) }
        }
    };
    let series = rows
        .iter()
        .enumerate()
        .map(|(row, (labels, _))| BatchSeries { key: labels.as_packed().as_bytes(), samples: row..row + 1 });
    let batch = SeriesBatch {
        received_at,
        naming: &RuleSeries { rows, by_key: OnceLock::new() },
        series: series.collect(),
        samples: rows.iter().map(|(_, point)| sample(point)).collect(),
        exemplars: Vec::new(),
    };
    let refusals = sink.append(&batch).map_err(EvaluationError::Write)?.refusals;
    match refusals.first.first() {
        None => Ok(()),
        Some(first) => {
            Err(EvaluationError::Refused(format!("{}: {}, {} in all", first.series, first.why, refusals.total())))
        }
    }
}

/// Names series by their packed labels.
struct RuleSeries<'a> {
    rows: &'a [(&'a Labels, &'a Point)],
    /// Made when the store meets the first key that it does not know; most batches have none.
    by_key: OnceLock<std::collections::HashMap<&'a [u8], &'a Labels>>,
}

/// Keeps rules' keys apart from those of senders. Any constant does; it must never change its meaning.
const NAMING_SEED: u64 = 0x7275_6c65_7300_0001;

impl SeriesNaming for RuleSeries<'_> {
    fn seed(&self) -> u64 {
        NAMING_SEED
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        let by_key = self
            .by_key
            .get_or_init(|| self.rows.iter().map(|(labels, _)| (labels.as_packed().as_bytes(), *labels)).collect());
        let labels = by_key.get(key).expect("the store asks only for keys of this batch");
        Ok(SeriesName { labels: (*labels).clone(), replica: None })
    }
}

/// The `query` function of templates, at the time of the evaluation.
struct TemplateQuery<'a> {
    query: &'a QueryFn,
    at: Timestamp,
    asker: &'a RuleAsker,
}

impl Query for TemplateQuery<'_> {
    fn query(&self, expr: &str) -> Result<Vec<TemplateSample>, String> {
        let answer = (self.query)(expr, self.at, self.asker).map_err(|failure| failure.to_string())?;
        let vector = rule::vector(answer).map_err(|failure| failure.to_string())?;
        let samples = vector.into_iter().map(|sample| {
            let value = match sample.point {
                Point::Float(value) => value,
                Point::Histogram(_) => 0.0,
            };
            TemplateSample { labels: sample.labels, value }
        });
        Ok(samples.collect())
    }
}
