//! Evaluating rules over the past, into the store: what recording rules and `ALERTS` would hold had they run then.
//!
//! Groups go one after the other, in the order of files, each through the same ticks at which it would have run; so a
//! group reads what those before it gave, and a second run writes the same samples to the same places. Alerts are kept in
//! memory alone: nobody is told, and the alerts of a running server are not touched.
//!
//! How far it is stands in the journal, so that one that was broken off goes on from there; it steps back by the longest
//! `for` and `keep_firing_for`, which must be lived through again.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::model::{Labels, Replica, Span, Timestamp};
use crate::store::{Journal, SampleSink, StoreError};

use super::evaluation::{Clock, QueryFn, World};
use super::file::{RuleFile, RuleKind};
use super::group::{Group, Inheritance};
use super::journal::AlertJournal;
use super::metrics::Metrics;
use super::notify::Receipts;
use super::status::Health;
use super::unit::NoJournal;

const PREFIX: &[u8] = b"rules/replay/";
/// Ticks between two marks in the journal.
const MARKED_EVERY: u64 = 100;

/// What is replayed, and on what.
pub struct Replay {
    /// The first time that is evaluated.
    pub from: Timestamp,
    /// The last one.
    pub to: Timestamp,
    /// Evaluates expressions.
    pub query: QueryFn,
    /// Takes results.
    pub sink: Arc<dyn SampleSink>,
    /// The lane of these results, where several evaluate the same rules.
    pub lane: Option<Replica>,
    /// Keeps how far it is.
    pub journal: Arc<dyn Journal>,
    /// Tells the time, for what must not lie ahead of it.
    pub clock: Clock,
    /// Labels that templates see.
    pub external_labels: Labels,
    /// The URL that templates see.
    pub external_url: String,
    /// How far back groups look that name no offset.
    pub query_offset: Span,
    /// How many rules may be evaluated at the same time.
    pub concurrency: usize,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The group at work.
    pub group: String,
    /// Ticks that are done, of all groups.
    pub done: u64,
    /// Ticks in all.
    pub total: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Done {
    /// Ticks that were evaluated; those of an earlier run are not.
    pub ticks: u64,
    /// Evaluations of rules that failed.
    pub failures: u64,
    /// The first few errors, by rule.
    pub errors: Vec<String>,
}

/// Most errors that are told.
const ERRORS_MAX: usize = 20;

impl Replay {
    /// Goes through all groups; `progress` hears of it from time to time.
    ///
    /// # Errors
    /// Where the journal cannot be read or written. Rules that fail are counted, and the others go on.
    pub fn run(&self, files: &[RuleFile], mut progress: impl FnMut(&Progress)) -> Result<Done, StoreError> {
        let world = self.world();
        let key = self.key(files);
        let marked = self.journal.scan(&key)?.into_iter().find(|(found, _)| *found == key);
        let (first_group, reached) = marked.and_then(|(_, value)| mark_of(&value)).unwrap_or((0, Timestamp::MIN));
        let mut groups = Group::of_files(files, self.query_offset, Inheritance::default());
        let ticks_of = |group: &Group| {
            let first = group.schedule().next_after(self.from - Span::from_millis(1));
            let span = (self.to - first).as_millis();
            if span < 0 { 0 } else { span as u64 / group.schedule().interval().as_millis().unsigned_abs() + 1 }
        };
        let total = groups.iter().map(ticks_of).sum();
        let memories: Vec<Span> = files.iter().flat_map(|file| &file.groups).map(memory).collect();
        let (mut done, mut passed) = (Done::default(), 0);
        for (place, group) in groups.iter_mut().enumerate() {
            if place < first_group {
                passed += ticks_of(group);
                continue;
            }
            let schedule = group.schedule();
            let back = memories.get(place).copied().unwrap_or(Span::ZERO);
            let from =
                if place == first_group && reached > self.from { (reached - back).max(self.from) } else { self.from };
            let mut at = schedule.next_after(from - Span::from_millis(1));
            passed += ((at - self.from).as_millis().max(0) / schedule.interval().as_millis()) as u64;
            let mut since_mark = 0;
            while at <= self.to {
                group.tick(at, &world);
                note_failures(group, &mut done);
                (done.ticks, passed, since_mark) = (done.ticks + 1, passed + 1, since_mark + 1);
                if since_mark == MARKED_EVERY {
                    self.journal.write(&[(key.clone(), Some(mark(place, at)))])?;
                    since_mark = 0;
                    progress(&Progress { group: group.name().to_owned(), done: passed.min(total), total });
                }
                at = at + schedule.interval();
            }
            self.journal.write(&[(key.clone(), Some(mark(place + 1, Timestamp::MIN)))])?;
            progress(&Progress { group: group.name().to_owned(), done: passed.min(total), total });
        }
        self.journal.write(&[(key, None)])?;
        Ok(done)
    }

    fn world(&self) -> World {
        World {
            query: self.query.clone(),
            sink: self.sink.clone(),
            lane: self.lane.clone(),
            journal: AlertJournal::new(Arc::new(NoJournal)),
            send: Arc::new(|_| {}),
            receipts: Arc::new(Receipts::default()),
            clock: self.clock.clone(),
            external_labels: self.external_labels.clone(),
            external_url: self.external_url.clone(),
            resend_delay: Span::MINUTE,
            turns: Arc::new(Semaphore::new(self.concurrency.saturating_sub(1))),
            metrics: Metrics::default(),
        }
    }

    /// Names this replay: the same rules over the same time.
    fn key(&self, files: &[RuleFile]) -> Vec<u8> {
        let mut digest = xxhash_rust::xxh3::Xxh3::new();
        digest.update(format!("{} {}", self.from, self.to).as_bytes());
        for file in files {
            digest.update(format!("\0{}\0{:?}", file.path, file.groups).as_bytes());
        }
        [PREFIX, &digest.digest128().to_be_bytes()].concat()
    }
}

/// How long a group's alerts remember.
fn memory(group: &super::file::GroupSpec) -> Span {
    let of = |kind: &RuleKind| match kind {
        RuleKind::Recording => Span::ZERO,
        RuleKind::Alerting { hold, keep_firing, .. } => *hold + *keep_firing,
    };
    group.rules.iter().map(|rule| of(&rule.kind)).max().unwrap_or(Span::ZERO)
}

fn note_failures(group: &Group, done: &mut Done) {
    if !group.has_failures() {
        return;
    }
    let failed = group.status().rules.into_iter().filter(|rule| rule.health == Health::Err);
    for rule in failed {
        done.failures += 1;
        let error = format!("{}: {}", rule.name, rule.last_error);
        if done.errors.len() < ERRORS_MAX && !done.errors.contains(&error) {
            done.errors.push(error);
        }
    }
}

fn mark(group: usize, at: Timestamp) -> Vec<u8> {
    format!("{group} {}", at.as_millis()).into_bytes()
}

fn mark_of(value: &[u8]) -> Option<(usize, Timestamp)> {
    let (group, at) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    Some((group.parse().ok()?, Timestamp::from_millis(at.parse().ok()?)))
}
