//! SIGKILL at every step: whatever call out of a rule is the last that happens, nobody is paged twice for one thing,
//! nothing is forgotten, and no pending time starts over.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::{Labels, STALE_NAN_BITS, Span, Timestamp};
use crate::rules::World;
use crate::rules::file::{self, RuleFile};
use crate::rules::group::{Group, Inheritance};
use crate::rules::journal::AlertJournal;
use crate::store::{
    Appended, Journal, JournalChange, JournalEntry, MetricMetadata, SampleSink, SeriesBatch, StoreError,
};

use super::world::{Memory, Outside, Samples, defaults};

const RULES: &str = "groups:
- name: g
  rules:
  - {record: y, expr: x}
  - {alert: Down, expr: x, for: 2m}
";

/// Counts calls; after the fatal one nothing happens any more until the restart.
struct Fuse {
    calls: AtomicUsize,
    fatal: usize,
}

impl Fuse {
    /// The call happens, unless the process is dead; whether it was the last.
    fn call(&self) -> Option<bool> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        (call <= self.fatal).then_some(call == self.fatal)
    }

    fn burnt(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > self.fatal
    }

    fn pass(&self, happen: impl FnOnce()) {
        match self.call() {
            Some(last) => {
                happen();
                if last {
                    die();
                }
            }
            None => die(),
        }
    }
}

/// Unwinds past whatever was going on, without a word.
fn die() {
    std::panic::resume_unwind(Box::new("killed"));
}

struct Mortal<T>(Arc<T>, Arc<Fuse>);

impl SampleSink for Mortal<Samples> {
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        let mut appended = None;
        self.1.pass(|| appended = Some(self.0.append(batch)));
        appended.expect("it happened")
    }

    fn append_metadata(&self, _: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Journal for Mortal<Memory> {
    fn write(&self, changes: &[JournalChange]) -> Result<(), StoreError> {
        let mut written = Ok(());
        self.1.pass(|| written = self.0.write(changes));
        written
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<JournalEntry>, StoreError> {
        self.0.scan(prefix)
    }
}

fn mortal(outside: &Outside, fuse: &Arc<Fuse>) -> World {
    let world = outside.world();
    let (send, spark) = (world.send.clone(), fuse.clone());
    World {
        sink: Arc::new(Mortal(outside.samples.clone(), fuse.clone())),
        journal: AlertJournal::new(Arc::new(Mortal(outside.journal.clone(), fuse.clone()))),
        send: Arc::new(move |messages| spark.pass(|| send(messages))),
        ..world
    }
}

fn groups(files: &[RuleFile], outside: &Outside) -> Vec<Group> {
    let alerts = AlertJournal::new(outside.journal.clone()).recall().unwrap();
    Group::of_files(files, Span::ZERO, Inheritance::of_journal(alerts))
}

/// Plays ten minutes: x holds from 0m to 4m, and from 7m on. The process dies at the `fatal`th call, and is back for
/// the next tick. Returns whether it died at all.
fn play(fatal: usize) -> bool {
    let outside = Outside::default();
    let files = [file::parse("a.yml", RULES, &defaults()).unwrap()];
    let fuse = Arc::new(Fuse { calls: AtomicUsize::new(0), fatal });
    let (mut world, mut running, mut died) = (mortal(&outside, &fuse), groups(&files, &outside), None);
    let x = Labels::from_pairs([("__name__", "x"), ("host", "a")]);
    for minute in 0..12_i64 {
        let at = Timestamp::EPOCH + Span::from_secs(60 * minute);
        let holds = !(5..7).contains(&minute);
        outside.samples.put(&x, at, if holds { 1.0 } else { f64::from_bits(STALE_NAN_BITS) });
        // The group catches a panic as a bug of one rule; a dead process goes no further.
        let _ = catch_unwind(AssertUnwindSafe(|| running.iter_mut().for_each(|group| group.tick(at, &world))));
        if died.is_none() && fuse.burnt() {
            died = Some(minute);
            world = outside.world();
            running = groups(&files, &outside);
        }
    }
    let sent = outside.sent.lock();
    let minutes = |at: Timestamp| (at - Timestamp::EPOCH).as_millis() / 60_000;
    let told: Vec<(i64, i64, bool)> = sent
        .iter()
        .map(|message| (minutes(message.said_at), minutes(message.starts_at), message.ends_at <= message.said_at))
        .collect();
    for fires_at in [2, 9] {
        let episode = told.iter().filter(|(at, _, ended)| (fires_at - 2..fires_at + 3).contains(at) && !ended);
        let starts: BTreeSet<i64> = episode.map(|(_, start, _)| *start).collect();
        // A tick that died before it kept its step is made up for by the next one, a minute later.
        let late = died == Some(fires_at) || died == Some(fires_at - 2);
        let wanted = if late { [fires_at, fires_at + 1] } else { [fires_at; 2] };
        assert!(starts.len() == 1 && wanted.contains(starts.first().unwrap()), "killed at {fatal}: {told:?}");
    }
    let ended = told.iter().find(|(_, _, ended)| *ended).expect("the first round is resolved");
    assert!(ended.0 == 5 || (died == Some(5) && ended.0 == 6), "killed at {fatal}: {told:?}");
    died.is_some()
}

#[test]
fn no_kill_loses_or_doubles_an_alert() {
    let kills = (0..).take_while(|fatal| play(*fatal)).count();
    assert!(kills > 25, "{kills} kills");
}
