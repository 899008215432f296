//! Rules at work: ask, step, keep, write, tell; in this order.
//!
//! The step itself is pure (`rule`, `alerting`). Here its result meets the world: the journal first, so that what is
//! shown or said survives a crash; then the store, so that the next rule reads it; then the notifiers. Rules of one
//! stage, which do not read each other, are asked side by side, and kept and written in one go.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::model::labels::LabelsBuilder;
use crate::model::{Labels, Replica, STALE_NAN_BITS, Span, Timestamp};
use crate::promql::register::RuleAsker;
use crate::promql::{Answer, Point, QueryError};
use crate::store::SampleSink;

use super::alert::{Alert, Alerts, Stage};
use super::alerting::{Alerting, Surroundings};
use super::file::{Engine, RuleKind, RuleSpec};
use super::journal::{AlertJournal, RuleIdentity};
use super::metrics::Metrics;
use super::notify::{AlertKey, Message, Receipts};
use super::rule::{self, Moment, Outcome, RuleError, RuleSample};
use super::status::{AlertPhase, AlertStatus, AlertingState, Health, Input, RuleState, Update};
use super::takeover;
use super::template::{Query, TemplateSample};
use super::writing::append;

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
    /// The lane of these results, where several evaluate the same rules.
    pub lane: Option<Replica>,
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
    /// A turn for each thread that may evaluate rules; a group that runs holds one, and takes more where some are free.
    pub turns: Arc<Semaphore>,
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
    Journal(String),
    #[error("write results: {0}")]
    Write(String),
    #[error("results were refused: {0}")]
    Refused(String),
    #[error("the evaluation ended in a bug; see the log")]
    Bug,
}

/// What a rule inherits from its group.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) interval: Span,
    pub(super) limit: usize,
    pub(super) engine: Engine,
    /// What requests about its alerts say beside the usual.
    pub(super) notifier_headers: Arc<[(String, String)]>,
    /// The file that has the group.
    pub(super) file: String,
    /// What names the group in links.
    pub(super) group_id: String,
    /// What had been delivered when the group was evaluated.
    pub(super) input: Arc<Input>,
}

/// A rule with its state.
#[derive(Debug)]
pub(super) struct RunningRule {
    pub(super) identity: Arc<RuleIdentity>,
    pub(super) spec: RuleSpec,
    /// No file has it any more: its expression counts as never holding, until nothing is left to say.
    pub(super) retired: bool,
    /// Whether new alerts ask the store since when another server had them pending; until the first evaluation.
    pub(super) takes_over: bool,
    alerts: Alerts,
    /// The alerts that the journal still has where its last write failed.
    journaled: Option<Alerts>,
    /// The series that the last evaluation wrote: those that the next one does not get a stale marker.
    series: HashSet<Labels>,
    health: Health,
    last_error: String,
    last_evaluation: Option<Timestamp>,
    evaluation_seconds: f64,
    /// What became of the last evaluations, newest first.
    updates: VecDeque<Update>,
}

/// What asking a rule's expression led to, before anything was kept.
pub(super) struct Attempt {
    /// The alerts as the journal has them.
    before: Alerts,
    /// The alerts from now on.
    alerts: Alerts,
    /// `None` where it failed.
    samples: Option<Vec<RuleSample>>,
    failure: Option<EvaluationError>,
    ran_at: Timestamp,
    seconds: f64,
    series_fetched: u64,
}

impl RunningRule {
    /// A rule that takes up the alerts it had, if any.
    pub(super) fn new(identity: RuleIdentity, spec: RuleSpec, alerts: Alerts) -> Self {
        let mut rule = RunningRule {
            identity: Arc::new(identity),
            spec,
            retired: false,
            takes_over: false,
            alerts,
            journaled: None,
            series: HashSet::new(),
            health: Health::Unknown,
            last_error: String::new(),
            last_evaluation: None,
            evaluation_seconds: 0.0,
            updates: VecDeque::new(),
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
        self.takes_over = before.takes_over;
        if same_query {
            self.health = before.health;
            self.last_error = before.last_error;
            self.last_evaluation = before.last_evaluation;
            self.evaluation_seconds = before.evaluation_seconds;
            self.updates = before.updates;
        }
        self
    }

    /// Whether a retired rule has nothing more to say.
    pub(super) fn is_spent(&self) -> bool {
        self.retired && self.alerts.is_empty() && self.series.is_empty()
    }

    /// Asks and steps; nothing has changed afterwards. A bug met by one rule must not silence the others.
    fn attempt(&self, moment: Moment, terms: &Terms, world: &World) -> Attempt {
        let ran_at = (world.clock)();
        // A clone of shared texts: if this evaluation ends in a bug, the alerts are still there.
        let before = self.alerts.clone();
        let mut known = before.clone();
        for (labels, said_at) in world.receipts.take(&self.identity) {
            if let Some(alert) = known.get_mut(&labels) {
                alert.last_sent = Some(said_at);
            }
        }
        let mut series_fetched = 0;
        let step = AssertUnwindSafe(|| self.step(&known, moment, terms, world, &mut series_fetched));
        let stepped = catch_unwind(step).unwrap_or_else(|_| {
            tracing::error!(group = self.identity.group, rule = self.spec.name, "an evaluation ended in a bug");
            Err(EvaluationError::Bug)
        });
        let (alerts, samples, failure) = match stepped {
            Ok(outcome) => (outcome.alerts, Some(outcome.samples), None),
            // Nothing is known, so nothing changes: what fires goes on firing, and is told again.
            Err(failure) => (known, None, Some(failure)),
        };
        let seconds = ((world.clock)() - ran_at).as_seconds();
        Attempt { before, alerts, samples, failure, ran_at, seconds, series_fetched }
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

    fn step(
        &self,
        known: &Alerts,
        moment: Moment,
        terms: &Terms,
        world: &World,
        series_fetched: &mut u64,
    ) -> Result<Outcome, EvaluationError> {
        let asker =
            RuleAsker { file: terms.file.clone(), group: self.identity.group.clone(), rule: self.spec.name.clone() };
        let vector = match (&terms.engine, self.retired) {
            (_, true) => Vec::new(),
            (Engine::Prometheus, false) => {
                let answer = (world.query)(&self.spec.expr, moment.data_at, &asker)?;
                *series_fetched = answer.stats.series_fetched;
                rule::vector(answer)?
            }
            (Engine::Foreign(engine), false) => return Err(EvaluationError::Foreign(engine.clone())),
        };
        let outcome = match self.alerting(terms.limit) {
            None => rule::record(&self.spec.name, &self.spec.labels, terms.limit, vector)?,
            Some(alerting) => {
                let query = TemplateQuery { query: &world.query, at: moment.data_at, asker: &asker };
                let (external_labels, external_url) = (&world.external_labels, world.external_url.as_str());
                let input = terms.input.as_ref();
                let (group_id, interval) = (terms.group_id.as_str(), terms.interval);
                let around = Surroundings { external_labels, external_url, query: &query, input, group_id, interval };
                let mut outcome = alerting.step(known, &vector, moment, around)?;
                if self.takes_over {
                    takeover::since_when(&alerting, known, &mut outcome, moment, &asker, world);
                }
                outcome
            }
        };
        Ok(outcome)
    }

    /// Takes up what came of an attempt, once it is kept and written or known not to be.
    fn settle(&mut self, attempt: Attempt, moment: Moment) {
        let Attempt { samples, failure, ran_at, seconds, series_fetched, .. } = attempt;
        self.takes_over &= failure.is_some();
        self.health = if failure.is_some() { Health::Err } else { Health::Ok };
        self.last_error = failure.map(|failure| failure.to_string()).unwrap_or_default();
        self.last_evaluation = Some(moment.at);
        self.evaluation_seconds = seconds;
        let samples = samples.map_or(0, |samples| match self.spec.kind {
            RuleKind::Recording => samples.len(),
            RuleKind::Alerting { .. } => self.alerts.values().filter(|alert| alert.is_active()).count(),
        });
        self.updates.truncate(self.spec.updates_max.saturating_sub(1));
        let error = self.last_error.clone();
        self.updates.push_front(Update { ran_at, at: moment.data_at, seconds, samples, series_fetched, error });
        if self.health == Health::Err {
            let (group, rule) = (&self.identity.group, &self.spec.name);
            tracing::warn!(group, rule, error = self.last_error, "a rule could not be evaluated");
        } else if self.spec.debug {
            let (group, rule, alerts) = (&self.identity.group, &self.spec.name, self.alerts.len());
            tracing::info!(group, rule, at = %moment.at, series = self.series.len(), alerts, "a rule was evaluated");
        }
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
            annotations: match &alert.input_stale {
                Some(why) => alert.annotations.with("input_stale", why),
                None => alert.annotations.clone(),
            },
            starts_at,
            ends_at,
            headers: terms.notifier_headers.clone(),
            generator_url: generator_url(&world.external_url, &self.spec.expr),
        })
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
            updates: self.updates.iter().cloned().collect(),
            updates_max: self.spec.updates_max,
            id: format!("{:016x}", self.identity.short_key()),
        }
    }

    /// How many of its alerts are held because their input is late.
    pub(super) fn held(&self) -> usize {
        self.alerts.values().filter(|alert| alert.input_stale.is_some()).count()
    }
}

/// Evaluates rules that do not read each other: asks them side by side, keeps all their alerts in one write of the
/// journal, writes all results in one batch, and tells.
pub(super) fn run(rules: &mut [RunningRule], moment: Moment, terms: &Terms, threads: usize, world: &World) {
    let mut attempts = attempts(rules, moment, terms, threads, world);
    keep(rules, &mut attempts, world);
    write(rules, &mut attempts, moment, world);
    let mut messages = Vec::new();
    for (rule, attempt) in rules.iter_mut().zip(attempts) {
        rule.settle(attempt, moment);
        messages.extend(rule.messages(moment, terms, world));
    }
    (world.send)(&messages);
}

fn attempts(rules: &[RunningRule], moment: Moment, terms: &Terms, threads: usize, world: &World) -> Vec<Attempt> {
    let wanted = threads.min(rules.len());
    // This thread has its turn; others help where turns are free.
    let turns: Vec<_> = (1..wanted).map_while(|_| world.turns.try_acquire().ok()).collect();
    let attempt = |rule: &RunningRule| rule.attempt(moment, terms, world);
    if turns.is_empty() {
        return rules.iter().map(attempt).collect();
    }
    let share = rules.len().div_ceil(turns.len() + 1);
    std::thread::scope(|scope| {
        let (own, others) = rules.split_at(share);
        let helpers: Vec<_> = others
            .chunks(share)
            .map(|rules| scope.spawn(move || rules.iter().map(attempt).collect::<Vec<_>>()))
            .collect();
        let mut all: Vec<Attempt> = own.iter().map(attempt).collect();
        for helper in helpers {
            all.extend(helper.join().unwrap_or_else(|bug| std::panic::resume_unwind(bug)));
        }
        all
    })
}

/// Makes the alerts durable. Where that fails they are used all the same: a pager that stays silent because a disk is
/// full would be the worse failure; the next evaluation tries again.
fn keep(rules: &mut [RunningRule], attempts: &mut [Attempt], world: &World) {
    let mut changes = Vec::new();
    let mut changed = Vec::new();
    for (place, (rule, attempt)) in rules.iter_mut().zip(attempts.iter_mut()).enumerate() {
        let before = rule.journaled.take().unwrap_or_else(|| std::mem::take(&mut attempt.before));
        let known = changes.len();
        world.journal.changes(&rule.identity, &before, &attempt.alerts, &mut changes);
        if changes.len() > known {
            changed.push((place, before));
        }
        rule.alerts = std::mem::take(&mut attempt.alerts);
    }
    if let Err(refusal) = world.journal.write(&changes) {
        for (place, before) in changed {
            rules[place].journaled = Some(before);
            attempts[place].failure.get_or_insert(EvaluationError::Journal(refusal.to_string()));
        }
    }
}

/// Writes the samples, and stale markers for the series that were written last time and are no more.
fn write(rules: &mut [RunningRule], attempts: &mut [Attempt], moment: Moment, world: &World) {
    let stale = Point::Float(f64::from_bits(STALE_NAN_BITS));
    let current: Vec<Option<HashSet<Labels>>> = attempts
        .iter()
        .map(|attempt| Some(attempt.samples.as_ref()?.iter().map(|sample| sample.labels.clone()).collect()))
        .collect();
    let mut rows: Vec<(&Labels, &Point)> = Vec::new();
    for ((rule, attempt), current) in rules.iter().zip(attempts.iter()).zip(&current) {
        let (Some(samples), Some(current)) = (&attempt.samples, current) else { continue };
        rows.extend(samples.iter().map(|sample| (&sample.labels, &sample.point)));
        let mut ended: Vec<&Labels> = rule.series.difference(current).collect();
        ended.sort();
        rows.extend(ended.into_iter().map(|labels| (labels, &stale)));
    }
    let written = append(world.sink.as_ref(), &rows, moment.data_at, (world.clock)(), world.lane.as_ref());
    drop(rows);
    for ((rule, attempt), current) in rules.iter_mut().zip(attempts.iter_mut()).zip(current) {
        let Some(current) = current else { continue };
        match &written {
            Ok(refusals) => {
                let own = refusals
                    .first
                    .iter()
                    .find(|offender| current.iter().any(|labels| labels.to_string() == offender.series));
                if let Some(first) = own {
                    let why = format!("{}: {}, {} in all", first.series, first.why, refusals.total());
                    attempt.failure.get_or_insert(EvaluationError::Refused(why));
                }
                rule.series = current;
            }
            Err(failure) => {
                // Whatever is not known to have ended must get its marker later.
                rule.series.extend(current);
                attempt.failure.get_or_insert(EvaluationError::Write(failure.to_string()));
            }
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
        input_stale: alert.input_stale.is_some(),
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
