//! The threads that look after the store: one spills and retires, one merges, one looks at HA groups, and one syncs the
//! log where appends do not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::clock::Clock;
use crate::model::{Span, Timestamp};
use crate::store::StoreError;
use crate::store::pairs::Pairs;
use crate::tsdb::{Pace, Tsdb};

/// How often HA groups are looked at, for what `/metrics` shows of them.
const PAIRS_ROUND: Duration = Duration::from_secs(60);
/// How often the store is looked after.
const ROUND: Duration = Duration::from_secs(1);
/// The same after a round that failed: on a full disk each one writes until it is refused, and logs.
const ROUND_AFTER_FAILURE: Duration = Duration::from_secs(10);

/// The log is synced no more often than this, whatever the settings say.
const SYNC_PAUSE_MIN: Duration = Duration::from_millis(10);

/// What one round does, at this time and on this thread.
type Work = fn(&Tsdb, Timestamp, &MergingThread<'_>) -> Result<(), StoreError>;

/// The running threads.
pub(super) struct Maintenance {
    stop: Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Maintenance {
    /// `sync_log_every`: how often the log is synced, where not every append does it.
    pub(super) fn start(tsdb: &Arc<Tsdb>, clock: &Clock, sync_log_every: Option<Span>) -> Self {
        let (stop, stopped) = bounded(1);
        let start = |name: &str, pause: Duration, work: Work| {
            let (tsdb, clock, stopped) = (Arc::clone(tsdb), clock.clone(), stopped.clone());
            std::thread::Builder::new()
                .name(name.into())
                .spawn(move || {
                    let thread = MergingThread { stopped: &stopped };
                    rounds(pause, &stopped, || work(&tsdb, clock.now(), &thread));
                })
                .expect("a thread can be started while the program starts")
        };
        let mut threads = vec![
            start("maintenance", ROUND, |tsdb, now, _| tsdb.tend(now).map(drop)),
            start("merging", ROUND, |tsdb, now, thread| {
                while tsdb.merge(now, thread)? > 0 {}
                Ok(())
            }),
            start("pairs", PAIRS_ROUND, |tsdb, now, _| tsdb.groups(now).map(drop)),
        ];
        let sync: Work = |tsdb, now, _| tsdb.sync_log(now);
        threads.extend(sync_log_every.map(|every| start("log sync", every.to_std().max(SYNC_PAUSE_MIN), sync)));
        Maintenance { stop, threads }
    }

    /// Waits for the rounds under way.
    pub(super) fn stop(self) {
        drop(self.stop);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a maintenance thread panicked");
            }
        }
    }
}

/// The thread that merges, as the brake on its work sees it.
struct MergingThread<'s> {
    stopped: &'s Receiver<()>,
}

impl Pace for MergingThread<'_> {
    /// From `/proc`: the first number is the time on a CPU in nanoseconds. Where the system does not say, merges do not
    /// rest.
    fn worked(&self) -> Duration {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let nanos = text.split(' ').next().and_then(|number| number.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
    }

    fn rest(&self, length: Duration) -> bool {
        self.stopped.recv_timeout(length) == Err(RecvTimeoutError::Timeout)
    }
}

fn rounds(pause: Duration, stopped: &Receiver<()>, mut round: impl FnMut() -> Result<(), StoreError>) {
    let (mut wait, after_failure) = (pause, pause.max(ROUND_AFTER_FAILURE));
    while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
        // A bug in one round must not be the last of all rounds: unnoticed, the head would fill up for hours and then
        // refuse every write. What a round leaves half done, the next one does again, as after an error.
        let failed_before = wait != pause;
        wait = after_failure;
        match catch_unwind(AssertUnwindSafe(&mut round)) {
            Ok(Ok(())) => {
                if failed_before {
                    tracing::info!("the store is looked after again");
                }
                wait = pause;
            }
            // Reads and, where the log can, writes go on; a later round tries again.
            Ok(Err(error)) => tracing::error!(%error, "look after the store"),
            Err(_) => tracing::error!("looking after the store panicked; a later round tries again"),
        }
    }
}
