//! Groups on their timers: start, reload, stop.
//!
//! Each group has a task that sleeps until its next tick, waits for the data that it reads, and then evaluates on a
//! blocking thread. A reload reads all files first; only if every one is good are the old groups stopped and their
//! rules' state handed to the new ones.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::model::{Labels, Span};
use crate::store::{Journal, SampleSink, StoreError};

use super::edited::Edited;
use super::evaluation::{Clock, QueryFn, World};
use super::file::{self, Defaults, Problem, RuleFile, Texts};
use super::group::{Group, Inheritance};
use super::journal::AlertJournal;
use super::metrics::Metrics;
use super::notify::config::NotifierFile;
use super::notify::{self, NotifierError, Notifiers};
use super::peers::{self, Peers};
use super::status::{EditRules, FilesStatus, GroupStatus, NotifierState, RuleStatus};
use super::timer::{RunningGroup, Timer};
use super::watermark::{Wait, Watermark};

/// How rules are found and run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Patterns of rule files: `*`, `?`, `**`; or URLs.
    pub files: Vec<String>,
    /// What files leave open, and what they may lean on.
    pub defaults: Defaults,
    /// How far back groups look that name no offset. (Prometheus: `rule_query_offset`.)
    pub query_offset: Span,
    /// Labels filled into every alert that does not have them.
    pub external_labels: Labels,
    /// Where people reach this server: `http://weir.example:8488`.
    pub external_url: String,
    /// How often a firing alert is told again.
    pub resend_delay: Span,
    /// How many rules may be evaluated at the same time, in all groups.
    pub concurrency: usize,
    /// What an evaluation waits for.
    pub wait: Wait,
    /// Longest that it waits for data.
    pub wait_max: Span,
    /// How often files are looked at; zero or less: only on a reload.
    pub check_interval: Span,
    /// Whether rules may be edited by API.
    pub editable: bool,
    /// The Alertmanagers.
    pub notify: notify::Settings,
    /// A file with more notifiers; empty: none.
    pub notifier_file: String,
    /// Who else evaluates the same rules.
    pub peers: peers::Settings,
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
            concurrency: 4,
            wait: Wait::Data,
            wait_max: Span::from_secs(30),
            check_interval: Span::ZERO,
            editable: false,
            notify: notify::Settings::default(),
            notifier_file: String::new(),
            peers: peers::Settings::default(),
        }
    }
}

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
    /// Knows how far the data has been delivered; `None` evaluates at once.
    pub watermark: Option<Watermark>,
}

/// Why rules cannot start or reload.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// Rule files are wrong: all that is, a line each.
    #[error("rule files:{}", .0.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Files(Vec<Problem>),
    /// Alert state, or rules that were edited, cannot be read.
    #[error("read alert state: {0}")]
    Journal(#[source] StoreError),
    /// A notifier cannot start.
    #[error(transparent)]
    Notifier(#[from] NotifierError),
    /// A peer cannot be spoken to.
    #[error("peers: {0}")]
    Peers(String),
}

/// All groups, running.
pub struct Rules {
    settings: Settings,
    world: Arc<World>,
    notifiers: Arc<Notifiers>,
    peers: Mutex<Peers>,
    watermark: Option<Watermark>,
    edited: Edited,
    handle: Handle,
    running: RwLock<Generation>,
    /// Held while groups are replaced: one reload at a time.
    files: Mutex<Files>,
    /// How the last reading went; not behind the lock that a reload holds.
    files_status: Mutex<FilesStatus>,
    /// Ends looking at files.
    stop: CancellationToken,
}

/// What was read last.
#[derive(Default)]
struct Files {
    patterns: Vec<String>,
    read: Vec<RuleFile>,
    digest: u128,
    /// Another state of the files that was seen once: it may still be in the making.
    seen: Option<u128>,
}

/// The groups between two reloads.
#[derive(Default)]
struct Generation {
    groups: Vec<Arc<RunningGroup>>,
    tasks: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Rules {
    /// Reads the files, recalls alerts, and starts evaluating on `handle`.
    ///
    /// # Errors
    /// Where a file is wrong, the journal cannot be read, or a notifier's URL is none. Nothing runs then.
    pub fn start(settings: Settings, deps: Deps, handle: &Handle) -> Result<Arc<Rules>, RulesError> {
        let texts = Texts::read(&settings.files, &settings.defaults);
        let read = texts.parse(&settings.defaults).map_err(RulesError::Files)?;
        let edited = Edited::recall(deps.journal.clone(), &settings.defaults).map_err(RulesError::Journal)?;
        let journal = AlertJournal::new(deps.journal);
        let mut inheritance = Inheritance::of_journal(journal.recall().map_err(RulesError::Journal)?);
        if journal.is_first_start().map_err(RulesError::Journal)? {
            inheritance = inheritance.taking_over();
        }
        let file = notifier_file(&settings)?;
        let notify = notify::Settings { file, external_url: settings.external_url.clone(), ..settings.notify.clone() };
        let notifiers = Arc::new(Notifiers::start(&notify, &deps.metrics, handle)?);
        let outbox = notifiers.clone();
        let (peers, sink) =
            Peers::start(&settings.peers, deps.sink, &deps.metrics, handle).map_err(RulesError::Peers)?;
        let world = World {
            query: deps.query,
            sink,
            lane: settings.peers.lane(),
            journal,
            send: Arc::new(move |messages| outbox.enqueue(messages)),
            receipts: notifiers.receipts().clone(),
            clock: deps.clock,
            external_labels: settings.external_labels.clone(),
            external_url: settings.external_url.clone(),
            resend_delay: settings.resend_delay,
            turns: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            metrics: deps.metrics,
        };
        let rules = Arc::new(Rules {
            files: Mutex::new(Files { patterns: settings.files.clone(), digest: texts.digest(), ..Files::default() }),
            files_status: Mutex::default(),
            settings,
            world: Arc::new(world),
            notifiers,
            peers: Mutex::new(peers),
            watermark: deps.watermark,
            edited,
            handle: handle.clone(),
            running: RwLock::default(),
            stop: CancellationToken::new(),
        });
        rules.files.lock().read = read;
        *rules.running.write() = rules.generation(&rules.files.lock(), inheritance);
        rules.note_reading(&[]);
        rules.clone().watch();
        Ok(rules)
    }

    /// Reads the files again and goes on with what they say now; alerts of rules that stayed are kept, those of rules
    /// that went are resolved. Waits for running evaluations: not for a thread that drives the runtime.
    ///
    /// # Errors
    /// Where a file is wrong; the rules stay as they were.
    pub fn reload(&self, patterns: Option<&[String]>) -> Result<(), RulesError> {
        let mut files = self.files.lock();
        let notifiers = notifier_file(&self.settings).inspect_err(|refused| {
            if let RulesError::Files(problems) = refused {
                self.note_reading(problems);
            }
        })?;
        self.notifiers.configure(&self.settings.notify.urls, &notifiers)?;
        let patterns = patterns.unwrap_or(&files.patterns).to_vec();
        let texts = Texts::read(&patterns, &self.settings.defaults);
        files.patterns = patterns;
        self.take_over(&mut files, &texts)
    }

    /// Goes on with other texts.
    fn take_over(&self, files: &mut Files, texts: &Texts) -> Result<(), RulesError> {
        // Even if they are wrong: they need not be looked at again.
        (files.digest, files.seen) = (texts.digest(), None);
        match texts.parse(&self.settings.defaults) {
            Ok(read) => {
                files.read = read;
                self.note_reading(&[]);
                self.replace(files);
                Ok(())
            }
            Err(problems) => {
                self.note_reading(&problems);
                Err(RulesError::Files(problems))
            }
        }
    }

    /// Replaces the groups by what the files and the edited rules say now.
    fn replace(&self, files: &Files) {
        let mut inheritance = Inheritance::default();
        let old = {
            let running = self.running.read();
            running.stop.cancel();
            running.groups.clone()
        };
        for group in &old {
            // Locked while a tick runs: state is taken after it, and a later tick finds no rules.
            inheritance.take(&mut group.lock());
        }
        *self.running.write() = self.generation(files, inheritance);
    }

    fn note_reading(&self, problems: &[Problem]) {
        let now = (self.world.clock)();
        self.world.metrics.reloaded(problems.is_empty(), now);
        let mut status = self.files_status.lock();
        status.problems = problems.iter().map(ToString::to_string).collect();
        if problems.is_empty() {
            status.loaded_at = Some(now);
        }
    }

    /// Looks at the files from time to time. A change is taken over when it has stayed from one look to the next: it
    /// may have been met half written.
    fn watch(self: Arc<Self>) {
        let every = self.settings.check_interval;
        if every <= Span::ZERO {
            return;
        }
        let (rules, stop, handle) = (Arc::downgrade(&self), self.stop.clone(), self.handle.clone());
        handle.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(every.to_std()) => {}
                    () = stop.cancelled() => return,
                }
                let Some(rules) = rules.upgrade() else { return };
                if let Err(failure) = tokio::task::spawn_blocking(move || rules.look()).await {
                    tracing::error!(%failure, "looking at rule files ended badly");
                }
            }
        });
    }

    fn look(&self) {
        let mut files = self.files.lock();
        if self.stop.is_cancelled() {
            return;
        }
        let texts = Texts::read(&files.patterns, &self.settings.defaults);
        let digest = texts.digest();
        match digest {
            known if known == files.digest => files.seen = None,
            new if files.seen != Some(new) => files.seen = Some(new),
            _ => match self.take_over(&mut files, &texts) {
                Ok(()) => tracing::info!("rule files have changed and are taken over"),
                Err(refused) => tracing::error!(%refused, "rule files have changed; the old rules stay"),
            },
        }
    }

    /// Ends evaluating, waits for what runs, and delivers what waits, bounded. Not for a thread that drives the
    /// runtime. Alerts stay as they are, for the next start.
    pub fn stop(&self) {
        self.stop.cancel();
        let _alone = self.files.lock();
        let old = std::mem::take(&mut *self.running.write());
        old.stop.cancel();
        for task in old.tasks {
            if let Err(failure) = self.handle.block_on(task) {
                tracing::error!(%failure, "a group's task ended badly");
            }
        }
        self.notifiers.stop();
        self.peers.lock().stop(&self.handle);
    }

    fn generation(&self, files: &Files, inheritance: Inheritance) -> Generation {
        let stop = CancellationToken::new();
        let all: Vec<RuleFile> = files.read.iter().cloned().chain(self.edited.files()).collect();
        let (mut running, mut tasks) = (Vec::new(), Vec::new());
        for group in Group::of_files(&all, self.settings.query_offset, inheritance) {
            let group = Arc::new(RunningGroup::new(group));
            let timer = Timer {
                group: group.clone(),
                world: self.world.clone(),
                watermark: self.watermark.clone(),
                wait: self.settings.wait,
                wait_max: self.settings.wait_max,
                stop: stop.clone(),
            };
            tasks.push(self.handle.spawn(timer.run()));
            running.push(group);
        }
        Generation { groups: running, tasks, stop }
    }
}

/// What the notifier file says now.
fn notifier_file(settings: &Settings) -> Result<NotifierFile, RulesError> {
    match settings.notifier_file.as_str() {
        "" => Ok(NotifierFile::default()),
        path => file::notifiers(path).map_err(RulesError::Files),
    }
}

impl RuleStatus for Rules {
    fn groups(&self) -> Vec<GroupStatus> {
        let running = self.running.read();
        // The group of rules that no file has any more is nobody's to see.
        let mut groups: Vec<GroupStatus> =
            running.groups.iter().map(|group| group.status()).filter(|group| !group.name.is_empty()).collect();
        groups.sort_by(|left, right| (&left.file, &left.name).cmp(&(&right.file, &right.name)));
        groups
    }

    fn notifiers(&self) -> Vec<String> {
        self.notifiers.urls()
    }

    fn notifier_states(&self) -> Vec<NotifierState> {
        self.notifiers.states()
    }

    fn files(&self) -> FilesStatus {
        self.files_status.lock().clone()
    }

    fn external_url(&self) -> String {
        self.settings.external_url.clone()
    }

    fn editor(&self) -> Option<&dyn EditRules> {
        self.settings.editable.then_some(self as _)
    }
}

impl EditRules for Rules {
    fn namespaces(&self) -> Vec<(String, Vec<(String, String)>)> {
        self.edited.namespaces()
    }

    fn set(&self, namespace: &str, text: &str) -> Result<(), Vec<String>> {
        let files = self.files.lock();
        self.edited.set(namespace, text, &self.settings.defaults)?;
        self.replace(&files);
        Ok(())
    }

    fn remove(&self, namespace: &str, group: Option<&str>) -> Result<bool, String> {
        let files = self.files.lock();
        let removed = self.edited.remove(namespace, group).map_err(|refusal| refusal.to_string())?;
        if removed {
            self.replace(&files);
        }
        Ok(removed)
    }
}
