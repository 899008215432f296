//! A group: rules that are evaluated in the order of their file, each reading what the earlier ones gave.
//!
//! [`Group::tick`] is the whole of it. It blocks, and knows nothing of timers; [`running`](super::running) calls it
//! when the schedule says so. Neighbours that do not read each other are a stage, and evaluated together.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::model::{Labels, Span, Timestamp};

use super::alert::Alerts;
use super::dependency;
use super::evaluation::{self, RunningRule, Terms, World};
use super::file::{Engine, GroupSpec, RuleFile, RuleKind, RuleSpec};
use super::journal::RuleIdentity;
use super::metrics::GroupMetrics;
use super::rule::Moment;
use super::schedule::Schedule;
use super::status::{GroupStatus, Input};

/// A group with its state.
#[derive(Debug)]
pub struct Group {
    file: String,
    name: String,
    schedule: Schedule,
    query_offset: Span,
    terms: Terms,
    labels: Labels,
    /// Most rules that are evaluated at once; 0 = as many as there are turns.
    concurrency: usize,
    rules: Vec<RunningRule>,
    /// Rules that do not read each other, in order.
    stages: Vec<Range<usize>>,
    /// The last tick that was evaluated.
    last: Option<Timestamp>,
    evaluation_seconds: f64,
    missed: u64,
    /// Made at the first tick.
    metrics: Option<GroupMetrics>,
}

/// The state of rules, on its way from the journal or from groups before a reload to groups after it.
#[derive(Debug, Default)]
pub struct Inheritance {
    alerts: HashMap<RuleIdentity, Alerts>,
    rules: HashMap<RuleIdentity, RunningRule>,
    /// How many rules with this identity were seen among the new ones.
    equals: HashMap<RuleIdentity, u32>,
    /// Whether rules without state ask the store what another server knew of their alerts.
    takes_over: bool,
}

impl Inheritance {
    /// From what the journal recalls.
    pub fn of_journal(alerts: HashMap<RuleIdentity, Alerts>) -> Self {
        Inheritance { alerts, ..Inheritance::default() }
    }

    /// The same for rules that have never run on this store: they take over from whoever evaluated them before.
    pub fn taking_over(self) -> Self {
        Inheritance { takes_over: true, ..self }
    }

    /// Takes the rules of groups that are no more; their groups have no rules afterwards.
    pub fn take(&mut self, group: &mut Group) {
        let rules = std::mem::take(&mut group.rules);
        self.rules.extend(rules.into_iter().map(|rule| ((*rule.identity).clone(), rule)));
    }

    /// The rule with the state it had, if it was there before.
    fn rule(&mut self, group: &str, spec: &RuleSpec) -> RunningRule {
        let labels = spec.labels();
        let mut identity = RuleIdentity { group: group.to_owned(), rule: spec.name.clone(), labels, among_equals: 0 };
        let equals = self.equals.entry(identity.clone()).or_default();
        identity.among_equals = *equals;
        *equals += 1;
        let alerts = match spec.kind {
            RuleKind::Recording => Alerts::new(),
            RuleKind::Alerting { .. } => self.alerts.remove(&identity).unwrap_or_default(),
        };
        let same_kind = |before: &RunningRule| {
            matches!(before.spec.kind, RuleKind::Recording) == matches!(spec.kind, RuleKind::Recording)
        };
        let mut rule = RunningRule::new(identity, spec.clone(), alerts);
        rule.takes_over = self.takes_over;
        match self.rules.remove(&*rule.identity) {
            Some(before) if same_kind(&before) => rule.succeed(before),
            Some(before) => {
                // A record that became an alert, or the other way round: the old one ends, the new one starts.
                self.rules.insert((*rule.identity).clone(), before);
                rule
            }
            None => rule,
        }
    }
}

impl Group {
    /// All groups of the files, and one more for rules that left state behind and stand in no file.
    pub fn of_files(files: &[RuleFile], query_offset: Span, mut inheritance: Inheritance) -> Vec<Group> {
        let mut groups = Vec::new();
        for file in files {
            for spec in &file.groups {
                groups.push(Group::new(&file.path, spec, query_offset, &mut inheritance));
            }
        }
        let retired = Group::of_retired(inheritance);
        if !retired.is_empty() {
            groups.push(retired);
        }
        groups
    }

    /// A group of `file`, whose rules take up the state that they left.
    fn new(file: &str, spec: &GroupSpec, query_offset: Span, inheritance: &mut Inheritance) -> Self {
        // vmalert: with eval_offset the expression looks at the tick itself.
        let default_offset = if spec.eval_offset.is_some() { Span::ZERO } else { query_offset };
        let rules: Vec<_> = spec.rules.iter().map(|rule| inheritance.rule(&spec.name, rule)).collect();
        Group {
            file: file.to_owned(),
            name: spec.name.clone(),
            schedule: Schedule::of(file, spec),
            query_offset: spec.query_offset.unwrap_or(default_offset),
            terms: Terms {
                interval: spec.interval,
                limit: spec.limit,
                engine: spec.engine.clone(),
                notifier_headers: spec.notifier_headers.clone(),
                file: file.to_owned(),
                group_id: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(format!("{file}\0{}", spec.name).as_bytes())),
                input: Arc::default(),
            },
            labels: spec.labels.clone(),
            concurrency: spec.concurrency,
            stages: dependency::stages(rules.iter().map(|rule| &rule.spec)),
            rules,
            last: None,
            evaluation_seconds: 0.0,
            missed: 0,
            metrics: None,
        }
    }

    /// The group of rules that no file has any more: their alerts are resolved, and told so for as long as any other;
    /// their series end.
    fn of_retired(inheritance: Inheritance) -> Self {
        let from_journal = inheritance.alerts.into_iter().map(|(identity, alerts)| {
            let kind = RuleKind::Alerting {
                hold: Span::ZERO,
                keep_firing: Span::ZERO,
                labels: [].into(),
                annotations: [].into(),
                annotations_text: Labels::empty(),
            };
            let (name, expr) = (identity.rule.clone(), String::new());
            RunningRule::new(
                identity,
                RuleSpec { name, expr, labels: [].into(), kind, debug: false, updates_max: 1 },
                alerts,
            )
        });
        let mut rules: Vec<_> = inheritance.rules.into_values().chain(from_journal).collect();
        rules.iter_mut().for_each(|rule| rule.retired = true);
        rules.retain(|rule| !rule.is_spent());
        rules.sort_by(|left, right| left.identity.cmp(&right.identity));
        Group {
            file: String::new(),
            name: String::new(),
            schedule: Schedule::new(Span::MINUTE, Span::ZERO),
            query_offset: Span::ZERO,
            terms: Terms {
                interval: Span::MINUTE,
                limit: 0,
                engine: Engine::Prometheus,
                notifier_headers: [].into(),
                file: String::new(),
                group_id: String::new(),
                input: Arc::default(),
            },
            labels: Labels::empty(),
            concurrency: 0,
            stages: std::iter::once(0..rules.len()).collect(),
            rules,
            last: None,
            evaluation_seconds: 0.0,
            missed: 0,
            metrics: None,
        }
    }

    /// When it is due.
    pub fn schedule(&self) -> Schedule {
        self.schedule
    }

    /// The group's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether no rule is left.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What the expressions look at in the tick at `at`.
    pub fn data_at(&self, at: Timestamp) -> Timestamp {
        at - self.query_offset
    }

    /// The expressions of its rules.
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.spec.expr.as_str())
    }

    /// Evaluates all rules, in order; all that they read has been delivered.
    pub fn tick(&mut self, at: Timestamp, world: &World) {
        self.tick_with(at, Input::default(), world);
    }

    /// Evaluates all rules, in order, on what has been delivered.
    pub fn tick_with(&mut self, at: Timestamp, input: Input, world: &World) {
        let started = (world.clock)();
        let moment = Moment { at, data_at: self.data_at(at) };
        self.terms.input = Arc::new(input);
        let threads = if self.concurrency == 0 { usize::MAX } else { self.concurrency };
        for stage in &self.stages {
            evaluation::run(&mut self.rules[stage.clone()], moment, &self.terms, threads, world);
        }
        let metrics = self.metrics.get_or_insert_with(|| world.metrics.group(&self.file, &self.name));
        metrics.failures.inc_by(self.rules.iter().filter(|rule| rule.failed()).count() as u64);
        metrics.held.set(self.rules.iter().map(RunningRule::held).sum::<usize>() as i64);
        metrics.waited_seconds.set(self.terms.input.waited.as_seconds());
        let known = self.rules.len();
        self.rules.retain(|rule| !rule.is_spent());
        if self.rules.len() < known {
            // Only rules that no file has any more go, and these read nothing.
            self.stages = std::iter::once(0..self.rules.len()).collect();
        }
        if let Some(last) = self.last {
            let missed = self.schedule.missed(last, at);
            self.missed += missed;
            metrics.missed.inc_by(missed);
        }
        self.last = Some(at);
        self.evaluation_seconds = ((world.clock)() - started).as_seconds();
        metrics.evaluations.inc();
        metrics.last_seconds.set(self.evaluation_seconds);
        metrics.last_at.set(at.as_seconds());
    }

    /// Whether a rule failed in the last tick.
    pub fn has_failures(&self) -> bool {
        self.rules.iter().any(RunningRule::failed)
    }

    /// Ticks that were left out because the one before took too long.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The group as the API shows it.
    pub fn status(&self) -> GroupStatus {
        GroupStatus {
            name: self.name.clone(),
            file: self.file.clone(),
            interval: self.schedule.interval(),
            limit: self.terms.limit,
            last_evaluation: self.last,
            evaluation_seconds: self.evaluation_seconds,
            rules: self.rules.iter().map(RunningRule::state).collect(),
            id: self.terms.group_id.clone(),
            query_offset: self.query_offset,
            concurrency: self.concurrency,
            labels: self.labels.clone(),
            missed: self.missed,
            input: (*self.terms.input).clone(),
            next_evaluation: self.last.map(|last| self.schedule.next_after(last)),
        }
    }
}
