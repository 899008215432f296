//! Replay: in order, and from where it was broken off.

use std::sync::Arc;

use crate::model::{Labels, Span, Timestamp};
use crate::rules::file::{self, Defaults};
use crate::rules::replay::Replay;
use crate::store::{Journal, JournalChange, StoreError};

use super::world::{Memory, Samples};

fn minute(at: i64) -> Timestamp {
    Timestamp::EPOCH + Span::from_secs(60 * at)
}

const RULES: &str = "groups:
- {name: one, eval_offset: 0s, rules: [{record: y, expr: x}]}
- {name: two, eval_offset: 0s, rules: [{record: z, expr: y}, {alert: A, expr: z, for: 5m}]}
";

fn replay(samples: &Arc<Samples>, journal: Arc<dyn Journal>) -> Replay {
    let read = samples.clone();
    Replay {
        from: minute(0),
        to: minute(299),
        query: Arc::new(move |expr, at, _| read.query(expr, at)),
        sink: samples.clone(),
        lane: None,
        journal,
        clock: Arc::new(|| minute(1000)),
        external_labels: Labels::empty(),
        external_url: String::new(),
        query_offset: Span::ZERO,
        concurrency: 1,
    }
}

/// Takes writes until it has taken so many.
struct Short(Arc<Memory>, parking_lot::Mutex<usize>);

impl Journal for Short {
    fn write(&self, changes: &[JournalChange]) -> Result<(), StoreError> {
        let mut left = self.1.lock();
        *left = left.checked_sub(1).ok_or_else(|| StoreError::ReadOnly("broken off".to_owned()))?;
        self.0.write(changes)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.0.scan(prefix)
    }
}

#[test]
fn a_replay_that_was_broken_off_goes_on() {
    let files = [file::parse("a.yml", RULES, &Defaults::default()).unwrap()];
    let (samples, journal) = (Arc::new(Samples::default()), Arc::new(Memory::default()));
    let x = Labels::from_pairs([("__name__", "x"), ("host", "a")]);
    (0..300).for_each(|at| samples.put(&x, minute(at), at as f64));
    let short = Arc::new(Short(journal.clone(), parking_lot::Mutex::new(5)));
    assert!(replay(&samples, short).run(&files, |_| {}).is_err(), "it is broken off in the second group");
    let mut told = Vec::new();
    let done = replay(&samples, journal.clone()).run(&files, |progress| told.push(progress.clone())).unwrap();
    // 100 ticks of the second group are done, and five minutes of them are lived through again.
    assert_eq!((done.ticks, done.failures), (300 - 99 + 5, 0));
    assert_eq!(told.last().map(|last| (last.done, last.total)), Some((600, 600)));
    let at = |name: &str, minutes: i64| {
        samples.at(&Labels::from_pairs([("__name__", name), ("host", "a")]), minute(minutes))
    };
    assert_eq!((at("y", 250), at("z", 0), at("z", 299)), (Some(250.0), Some(0.0), Some(299.0)));
    let alert = |state: &str, minutes: i64| {
        let pairs = [("__name__", "ALERTS"), ("alertname", "A"), ("alertstate", state), ("host", "a")];
        samples.at(&Labels::from_pairs(pairs), minute(minutes))
    };
    assert_eq!((alert("pending", 4), alert("firing", 5), alert("firing", 299)), (Some(1.0), Some(1.0), Some(1.0)));
    assert!(journal.scan(b"rules/replay/").unwrap().is_empty(), "nothing is left to go on with");
}
