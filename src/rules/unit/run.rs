//! Runs the tests of a file: feed, tick, compare.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use regex::Regex;

use crate::model::{Labels, STALE_NAN_BITS, Span, Timestamp};
use crate::promql::histogram::{compact, notation};
use crate::promql::series_text::SeriesValue;
use crate::promql::{self, Answer, Engine, Features, Interrupt, Point, QueryError, QueryOptions};
use crate::rules::evaluation::{Clock, World};
use crate::rules::file::{self as rule_file, Defaults, Place, Problem, RuleFile};
use crate::rules::group::{Group, Inheritance};
use crate::rules::journal::AlertJournal;
use crate::rules::metrics::Metrics;
use crate::rules::notify::Receipts;
use crate::rules::rule;
use crate::rules::status::{AlertPhase, Health};
use crate::store::StoreError;

use super::file::{self, AlertCase, ExprCase, UnitFile, UnitTest};
use super::report::{Failure, FileReport, Line, TestReport, alert_line, diff, sample_line};
use super::store::{MemoryStore, NoJournal};

/// How tests are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Only tests whose name this matches.
    pub only: Option<Regex>,
    /// For rules whose test names none.
    pub external_labels: Labels,
    /// For rules whose test names none.
    pub external_url: String,
    /// Whether files for vmalert-tool expect the label `alertgroup`.
    pub alertgroup: bool,
    /// The PromQL that rules and tests may use.
    pub features: Features,
    /// What rule files may lean on.
    pub environment: rule_file::Environment,
    /// How much a test may cost.
    pub bounds: Bounds,
}

/// How much a test may cost: on the terminal that is up to whoever writes it, at a server it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Values of all series in a file, and samples that a test keeps, what its rules record included.
    pub samples_max: usize,
    /// Evaluations of rules in all tests of a file.
    pub evaluations_max: u64,
}

impl Bounds {
    /// None at all.
    pub const NONE: Bounds = Bounds { samples_max: usize::MAX, evaluations_max: u64::MAX };
    /// For texts that strangers send.
    pub const SERVED: Bounds = Bounds { samples_max: 2_000_000, evaluations_max: 200_000 };
}

/// Runs one file of the disk, with the rule files that it names.
pub fn run(path: &str, settings: &Settings) -> FileReport {
    let read = std::fs::read_to_string(path).map_err(|refused| {
        let message = format!("read: {refused}");
        vec![Problem { file: path.to_owned(), place: Place::default(), message }]
    });
    let mut report = FileReport::new(path);
    let file = match read.and_then(|text| file::read(path, &text, settings.bounds.samples_max)) {
        Ok(file) => file,
        Err(problems) => return FileReport { problems, ..report },
    };
    let (defaults, mut rules) = (defaults(&file, settings), Vec::new());
    for pattern in &file.rule_files {
        match rule_file::load(std::slice::from_ref(pattern), &defaults) {
            Ok(found) if found.is_empty() => report.warnings.push(format!("no file matches {pattern}")),
            Ok(found) => rules.extend(found),
            Err(problems) => report.problems.extend(problems),
        }
    }
    if report.problems.is_empty() {
        run_tests(&file, &rules, settings, &Interrupt::default(), &mut report);
    }
    report
}

/// A text with the name that its problems carry.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// What to call it.
    pub name: &'a str,
    /// What it says.
    pub text: &'a str,
}

/// Runs a unit-test file whose rules are handed in: nothing is read from the disk, whatever `rule_files` names. Once
/// `interrupt` says so, the tests end as failed.
pub fn run_texts(test: Named<'_>, rules: Named<'_>, settings: &Settings, interrupt: &Interrupt) -> FileReport {
    let mut report = FileReport::new(test.name);
    let file = match file::read(test.name, test.text, settings.bounds.samples_max) {
        Ok(file) => file,
        Err(problems) => return FileReport { problems, ..report },
    };
    match rule_file::parse(rules.name, rules.text, &defaults(&file, settings)) {
        Ok(rules) => run_tests(&file, &[rules], settings, interrupt, &mut report),
        Err(problems) => report.problems = problems,
    }
    report
}

fn defaults(file: &UnitFile, settings: &Settings) -> Defaults {
    Defaults {
        interval: file.evaluation_interval,
        features: settings.features,
        environment: settings.environment.clone(),
        alertgroup: file.for_vmalert && settings.alertgroup,
        ..Defaults::default()
    }
}

fn run_tests(file: &UnitFile, rules: &[RuleFile], settings: &Settings, interrupt: &Interrupt, report: &mut FileReport) {
    let wanted = |test: &&UnitTest| settings.only.as_ref().is_none_or(|only| only.is_match(&test.name));
    let tests: Vec<_> = file.tests.iter().enumerate().filter(|(_, test)| wanted(test)).collect();
    let rule_count: usize = rules.iter().flat_map(|file| &file.groups).map(|group| group.rules.len()).sum();
    let ticks = |test: &UnitTest| test.last().as_millis() / file.evaluation_interval.as_millis() + 1;
    let ticks: u64 = tests.iter().map(|(_, test)| ticks(test).unsigned_abs()).fold(0, u64::saturating_add);
    let evaluations = ticks.saturating_mul(rule_count.max(1) as u64);
    if evaluations > settings.bounds.evaluations_max {
        let most = settings.bounds.evaluations_max;
        let message = format!("that would be {evaluations} evaluations of rules, and the limit is {most}");
        report.problems.push(Problem { file: report.path.clone(), place: Place::default(), message });
        return;
    }
    for (index, test) in tests {
        let failures = Bench::new(file, test, rules, settings, interrupt).run();
        let name = if test.name.is_empty() { format!("test {}", index + 1) } else { test.name.clone() };
        report.tests.push(TestReport { name, place: test.place, failures });
    }
}

/// One test at work.
struct Bench<'a> {
    file: &'a UnitFile,
    test: &'a UnitTest,
    store: Arc<MemoryStore>,
    engine: Arc<Engine>,
    now: Arc<Mutex<Timestamp>>,
    groups: Vec<Group>,
    world: World,
    /// How many values of each series were fed.
    fed: Vec<usize>,
    alertgroup: bool,
    options: QueryOptions,
}

impl<'a> Bench<'a> {
    fn new(
        file: &'a UnitFile,
        test: &'a UnitTest,
        rules: &[RuleFile],
        settings: &Settings,
        interrupt: &Interrupt,
    ) -> Self {
        let store = Arc::new(MemoryStore::new(settings.bounds.samples_max));
        let options = QueryOptions { interrupt: interrupt.clone(), ..QueryOptions::default() };
        let engine = Arc::new(Engine::new(promql::Settings {
            subquery_step: file.evaluation_interval,
            features: settings.features,
            ..promql::Settings::default()
        }));
        let now = Arc::new(Mutex::new(test.start));
        let clock: Clock = {
            let now = now.clone();
            Arc::new(move || *now.lock())
        };
        let (asked, source, asking) = (engine.clone(), store.clone(), options.clone());
        let external_labels =
            if test.external_labels.is_empty() { &settings.external_labels } else { &test.external_labels };
        let world = World {
            query: Arc::new(move |expr, at, _| asked.instant(source.as_ref(), expr, at, &asking)),
            sink: store.clone(),
            lane: None,
            journal: AlertJournal::new(Arc::new(NoJournal)),
            send: Arc::new(|_| {}),
            receipts: Arc::new(Receipts::default()),
            clock,
            external_labels: external_labels.clone(),
            external_url: test.external_url.clone().unwrap_or_else(|| settings.external_url.clone()),
            resend_delay: Span::MINUTE,
            turns: Arc::new(tokio::sync::Semaphore::new(1)),
            metrics: Metrics::default(),
        };
        let mut groups = Group::of_files(rules, Span::ZERO, Inheritance::default());
        let place = |group: &Group| file.group_order.iter().position(|name| name == group.name()).unwrap_or(usize::MAX);
        groups.sort_by_key(place);
        let fed = vec![0; test.series.len()];
        Bench {
            file,
            test,
            store,
            engine,
            now,
            groups,
            world,
            fed,
            alertgroup: file.for_vmalert && settings.alertgroup,
            options,
        }
    }

    fn run(mut self) -> Vec<Failure> {
        let (start, every) = (self.test.start, self.file.evaluation_interval);
        let alert_times: BTreeSet<Span> = self.test.alerts.iter().map(|case| case.at).collect();
        let last = self.test.last();
        let mut failures = Vec::new();
        let mut waiting = alert_times.into_iter().peekable();
        let mut at = start;
        while at <= start + last {
            let stopped = self.options.interrupt.check().map_err(|why| why.to_string());
            let fed = stopped.and_then(|()| self.feed(at).map_err(|full| full.to_string()));
            if let Err(why) = fed {
                let what = format!("stopped at {}", at - start);
                failures.push(Failure { place: self.test.place, what, lines: vec![Line::Said(why)] });
                return failures;
            }
            *self.now.lock() = at;
            let broken = self.tick(at);
            if !broken.is_empty() {
                failures.extend(broken);
                return failures;
            }
            // Alerts are looked at as they were left by the evaluation at or before the time that is asked for.
            while let Some(asked) = waiting.next_if(|asked| start + *asked < at + every) {
                let cases = self.test.alerts.iter().filter(|case| case.at == asked);
                failures.extend(cases.filter_map(|case| self.check_alerts(case)));
            }
            at = at + every;
        }
        failures.extend(self.test.exprs.iter().filter_map(|case| self.check_expr(case)));
        failures
    }

    /// Feeds the samples up to `until`.
    fn feed(&mut self, until: Timestamp) -> Result<(), StoreError> {
        for ((labels, values), fed) in self.test.series.iter().zip(&mut self.fed) {
            while let Some(value) = values.get(*fed) {
                let at = self.test.start + self.test.interval.times(*fed as i64);
                if at > until {
                    break;
                }
                *fed += 1;
                let point = match value {
                    SeriesValue::Omitted => continue,
                    SeriesValue::Stale => Point::Float(f64::from_bits(STALE_NAN_BITS)),
                    SeriesValue::Float(value) => Point::Float(*value),
                    SeriesValue::Histogram(histogram, _) => Point::Histogram(Arc::clone(histogram)),
                };
                self.store.push(labels, at, &point)?;
            }
        }
        Ok(())
    }

    /// Evaluates all groups; what fails ends the test.
    fn tick(&mut self, at: Timestamp) -> Vec<Failure> {
        let mut failures = Vec::new();
        for group in &mut self.groups {
            group.tick(at, &self.world);
            for rule in group.status().rules.into_iter().filter(|rule| rule.health == Health::Err) {
                let what = format!("rule {} at {}", rule.name, at - self.test.start);
                failures.push(Failure { place: self.test.place, what, lines: vec![Line::Said(rule.last_error)] });
            }
        }
        failures
    }

    fn check_alerts(&self, case: &AlertCase) -> Option<Failure> {
        let mut found: Vec<(Labels, Labels)> = Vec::new();
        for group in &self.groups {
            if case.group.as_ref().is_some_and(|wanted| wanted != group.name()) {
                continue;
            }
            for rule in group.status().rules.into_iter().filter(|rule| rule.name == case.name) {
                let alerts = rule.alerting.into_iter().flat_map(|alerting| alerting.alerts);
                let firing = alerts.filter(|alert| alert.phase == AlertPhase::Firing);
                found.extend(firing.map(|alert| (alert.labels, alert.annotations)));
            }
        }
        let labels = |labels: &Labels| file::expected_labels(case, labels, self.alertgroup);
        let mut expected: Vec<(Labels, Labels)> =
            case.expected.iter().map(|(own, annotations)| (labels(own), annotations.clone())).collect();
        expected.sort();
        found.sort();
        (expected != found).then(|| Failure {
            place: case.place,
            what: format!("alert {} at {}", case.name, case.at),
            lines: diff(&expected, &found, |left, right| left == right, alert_line),
        })
    }

    fn check_expr(&self, case: &ExprCase) -> Option<Failure> {
        let what = format!("expr {} at {}", case.expr.trim(), case.at);
        let mut found = match self.ask(&case.expr, self.test.start + case.at) {
            Ok(found) => found,
            Err(why) => return Some(Failure { place: case.place, what, lines: vec![Line::Said(why)] }),
        };
        let mut expected = case.expected.clone();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        expected.sort_by(|left, right| left.0.cmp(&right.0));
        let same = |left: &(Labels, Point), right: &(Labels, Point)| {
            left.0 == right.0 && same_point(&left.1, &right.1, self.file.fuzzy)
        };
        let all_same =
            expected.len() == found.len() && expected.iter().zip(&found).all(|(left, right)| same(left, right));
        (!all_same).then(|| Failure { place: case.place, what, lines: diff(&expected, &found, same, sample_line) })
    }

    fn ask(&self, expr: &str, at: Timestamp) -> Result<Vec<(Labels, Point)>, String> {
        let answer: Result<Answer, QueryError> = self.engine.instant(self.store.as_ref(), expr, at, &self.options);
        let vector =
            rule::vector(answer.map_err(|failure| failure.to_string())?).map_err(|failure| failure.to_string())?;
        Ok(vector.into_iter().map(|sample| (sample.labels, sample.point)).collect())
    }
}

fn same_point(expected: &Point, found: &Point, fuzzy: bool) -> bool {
    match (expected, found) {
        (Point::Float(left), Point::Float(right)) => {
            let neighbours = || left.next_up() == *right || left.next_down() == *right;
            left == right || (left.is_nan() && right.is_nan()) || (fuzzy && neighbours())
        }
        (Point::Histogram(left), Point::Histogram(right)) => shown(left) == shown(right),
        _ => false,
    }
}

/// A histogram as tests write it, without empty buckets.
pub(super) fn shown(histogram: &crate::model::Histogram) -> String {
    let mut histogram = histogram.clone();
    compact(&mut histogram);
    notation::print(&histogram)
}
