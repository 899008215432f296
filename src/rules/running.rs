//! Groups on their timers: start, reload, stop.
//!
//! Each group has a task that sleeps until its next tick and then evaluates on a blocking thread. A reload reads all
//! files first; only if every one is good are the old groups stopped and their rules' state handed to the new ones.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::model::{Labels, Span, Timestamp};
use crate::store::{Journal, SampleSink, StoreError};

use super::evaluation::{Clock, QueryFn, World};
use super::file::{self, Defaults, Problem, RuleFile};
use super::group::{Group, Inheritance};
use super::journal::AlertJournal;
use super::metrics::Metrics;
use super::notify::{self, NotifierError, Notifiers};
use super::status::{GroupStatus, RuleStatus};

/// How rules are found and run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Patterns of rule files: `*`, `?`, `**`.
    pub files: Vec<String>,
    /// The interval of groups that name none (Prometheus: `evaluation_interval`), and the PromQL they may use.
    pub defaults: Defaults,
    /// How far back groups look that name no offset. (Prometheus: `rule_query_offset`.)
    pub query_offset: Span,
    /// Labels filled into every alert that does not have them.
    pub external_labels: Labels,
    /// Where people reach this server: `http://weir.example:8488`.
    pub external_url: String,
    /// How often a firing alert is told again.
    pub resend_delay: Span,
    /// How many groups may be evaluated at the same time.
    pub groups_at_once: usize,
    /// The Alertmanagers.
    pub notify: notify::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            files: Vec::new(),
            defaults: Defaults::default(),
            query_offset: Span::ZERO,
            external_labels: Labels::empty(),
            external_url: "http://localhost:8488".to_owned(),
            resend_delay: Span::MINUTE,
            groups_at_once: 8,
            notify: notify::Settings::default(),
        }
    }
}

/// Waits, bounded, until the data that a group reads has arrived up to a time: `(group, up to)`.
pub type WaitForSources = Arc<dyn Fn(&str, Timestamp) + Send + Sync>;

/// What rules are built from.
pub struct Deps {
    /// Evaluates expressions.
    pub query: QueryFn,
    /// Takes results.
    pub sink: Arc<dyn SampleSink>,
    /// Keeps alert state.
    pub journal: Arc<dyn Journal>,
    /// Tells the time.
    pub clock: Clock,
    /// Counts.
    pub metrics: Metrics,
    /// Called before each evaluation, on its thread; `None` evaluates at once.
    pub wait_for_sources: Option<WaitForSources>,
}

/// Why rules cannot start or reload.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Rule files are wrong: all that is, a line each.
    #[error("rule files:{}", .0.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Files(Vec<Problem>),
    /// Alert state cannot be read.
    #[error("read alert state: {0}")]
    Journal(#[source] StoreError),
    /// A notifier cannot start.
    #[error(transparent)]
    Notifier(#[from] NotifierError),
}

/// All groups, running.
pub struct Rules {
    settings: Settings,
    world: Arc<World>,
    notifiers: Arc<Notifiers>,
    wait_for_sources: Option<WaitForSources>,
    handle: Handle,
    turns: Arc<Semaphore>,
    running: RwLock<Generation>,
    /// Held while groups are replaced: one reload at a time.
    reloading: Mutex<()>,
}

/// The groups between two reloads.
#[derive(Default)]
struct Generation {
    groups: Vec<Arc<RunningGroup>>,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

struct RunningGroup {
    group: Mutex<Group>,
    /// As of the last tick, so that whoever asks does not wait for an evaluation.
    status: RwLock<GroupStatus>,
}

impl Rules {
    /// Reads the files, recalls alerts, and starts evaluating on `handle`.
    ///
    /// # Errors
    /// Where a file is wrong, the journal cannot be read, or a notifier's URL is none. Nothing runs then.
    pub fn start(settings: Settings, deps: Deps, handle: &Handle) -> Result<Arc<Rules>, RulesError> {
        let files = file::load(&settings.files, &settings.defaults).map_err(RulesError::Files)?;
        let journal = AlertJournal::new(deps.journal);
        let inheritance = Inheritance::of_journal(journal.recall().map_err(RulesError::Journal)?);
        let notifiers = Arc::new(Notifiers::start(&settings.notify, &deps.metrics, handle)?);
        let outbox = notifiers.clone();
        let world = World {
            query: deps.query,
            sink: deps.sink,
            journal,
            send: Arc::new(move |messages| outbox.enqueue(messages)),
            receipts: notifiers.receipts().clone(),
            clock: deps.clock,
            external_labels: settings.external_labels.clone(),
            external_url: settings.external_url.clone(),
            resend_delay: settings.resend_delay,
            metrics: deps.metrics,
        };
        let rules = Arc::new(Rules {
            turns: Arc::new(Semaphore::new(settings.groups_at_once.max(1))),
            settings,
            world: Arc::new(world),
            notifiers,
            wait_for_sources: deps.wait_for_sources,
            handle: handle.clone(),
            running: RwLock::default(),
            reloading: Mutex::new(()),
        });
        *rules.running.write() = rules.generation(&files, inheritance);
        rules.world.metrics.reloaded(true, (rules.world.clock)());
        Ok(rules)
    }

    /// Reads the files again and goes on with what they say now; alerts of rules that stayed are kept, those of rules
    /// that went are resolved. Waits for running evaluations: not for a thread that drives the runtime.
    ///
    /// # Errors
    /// Where a file is wrong; the rules stay as they were.
    pub fn reload(&self, patterns: Option<&[String]>) -> Result<(), RulesError> {
        let _alone = self.reloading.lock();
        let patterns = patterns.unwrap_or(&self.settings.files);
        let files = file::load(patterns, &self.settings.defaults);
        self.world.metrics.reloaded(files.is_ok(), (self.world.clock)());
        let files = files.map_err(RulesError::Files)?;
        let mut inheritance = Inheritance::default();
        let old = {
            let running = self.running.read();
            running.stop.cancel();
            running.groups.clone()
        };
        for group in &old {
            // Locked while a tick runs: state is taken after it, and a later tick finds no rules.
            inheritance.take(&mut group.group.lock());
        }
        *self.running.write() = self.generation(&files, inheritance);
        Ok(())
    }

    /// Ends evaluating, waits for what runs, and delivers what waits, bounded. Not for a thread that drives the
    /// runtime. Alerts stay as they are, for the next start.
    pub fn stop(&self) {
        let _alone = self.reloading.lock();
        let old = std::mem::take(&mut *self.running.write());
        old.stop.cancel();
        for task in old.tasks {
            if let Err(failure) = self.handle.block_on(task) {
                tracing::error!(%failure, "a group's task ended badly");
            }
        }
        self.notifiers.stop();
    }

    fn generation(&self, files: &[RuleFile], inheritance: Inheritance) -> Generation {
        let stop = CancellationToken::new();
        let (mut running, mut tasks) = (Vec::new(), Vec::new());
        for group in Group::of_files(files, self.settings.query_offset, inheritance) {
            let group = Arc::new(RunningGroup { status: RwLock::new(group.status()), group: Mutex::new(group) });
            tasks.push(self.handle.spawn(self.timer(group.clone(), stop.clone())));
            running.push(group);
        }
        Generation { groups: running, tasks, stop }
    }

    /// A group's timer: sleep, evaluate, and so on until told to stop. A group that is late leaves ticks out; it
    /// never runs twice at a time, and never catches up.
    fn timer(&self, group: Arc<RunningGroup>, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        let (world, turns, wait) = (self.world.clone(), self.turns.clone(), self.wait_for_sources.clone());
        let schedule = group.group.lock().schedule();
        async move {
            let mut due = schedule.next_after((world.clock)());
            loop {
                // Never longer than an interval: a clock that is set forward is noticed in time.
                let nap = (due - (world.clock)()).min(schedule.interval());
                tokio::select! {
                    () = tokio::time::sleep(nap.to_std()) => {}
                    () = stop.cancelled() => return,
                }
                let now = (world.clock)();
                if now < due {
                    // A clock that was set back would leave the group silent until it is due by the old one.
                    due = due.min(schedule.next_after(now));
                    continue;
                }
                // Late by more than an interval: the tick that is due now, not the one that was.
                let tick = due.max(schedule.last_before(now));
                let turn = tokio::select! {
                    turn = turns.clone().acquire_owned() => turn.expect("the semaphore is never closed"),
                    () = stop.cancelled() => return,
                };
                let (group, world, wait) = (group.clone(), world.clone(), wait.clone());
                let evaluated = tokio::task::spawn_blocking(move || {
                    let _turn = turn;
                    group.tick(tick, &world, wait.as_ref());
                });
                if let Err(failure) = evaluated.await {
                    tracing::error!(%failure, "a group's evaluation ended badly");
                }
                due = schedule.next_after(tick);
            }
        }
    }
}

impl RunningGroup {
    fn tick(&self, at: Timestamp, world: &World, wait: Option<&WaitForSources>) {
        if let Some(wait) = wait {
            let (name, data_at) = {
                let group = self.group.lock();
                (group.name().to_owned(), group.data_at(at))
            };
            wait(&name, data_at);
        }
        let mut group = self.group.lock();
        // A reload took the rules meanwhile.
        if group.is_empty() {
            return;
        }
        group.tick(at, world);
        *self.status.write() = group.status();
    }
}

impl RuleStatus for Rules {
    fn groups(&self) -> Vec<GroupStatus> {
        let running = self.running.read();
        // The group of rules that no file has any more is nobody's to see.
        let mut groups: Vec<GroupStatus> = running
            .groups
            .iter()
            .map(|group| group.status.read().clone())
            .filter(|group| !group.name.is_empty())
            .collect();
        groups.sort_by(|left, right| (&left.file, &left.name).cmp(&(&right.file, &right.name)));
        groups
    }

    fn notifiers(&self) -> Vec<String> {
        self.notifiers.urls().to_vec()
    }
}
