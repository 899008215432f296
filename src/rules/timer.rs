//! One group's timer: sleep until it is due, wait for the data that it reads, evaluate, and so on until told to stop.
//!
//! A group that is late leaves ticks out; it never runs twice at a time, and never catches up. While it waits for data it
//! holds no thread and no turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::model::{Matcher, Span, Timestamp};

use super::dependency;
use super::evaluation::World;
use super::group::Group;
use super::status::{GroupStatus, Input};
use super::watermark::{Late, Wait, Watermark};

/// How often an evaluation that waits for data looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long it is remembered which HA groups a group of rules reads.
const READS_REMEMBERED: Span = Span::from_secs(300);

/// A group, and what is known of it while it is evaluated.
pub(super) struct RunningGroup {
    group: Mutex<Group>,
    /// As of the last tick, so that whoever asks does not wait for an evaluation.
    status: RwLock<GroupStatus>,
    /// The HA groups that it reads, and when that was looked up; `None` where all must be taken to be.
    reads: Mutex<Option<(Timestamp, Option<BTreeSet<String>>)>>,
}

impl RunningGroup {
    pub(super) fn new(group: Group) -> Self {
        RunningGroup { status: RwLock::new(group.status()), group: Mutex::new(group), reads: Mutex::default() }
    }

    /// Waits for a tick that runs.
    pub(super) fn lock(&self) -> MutexGuard<'_, Group> {
        self.group.lock()
    }

    pub(super) fn status(&self) -> GroupStatus {
        self.status.read().clone()
    }

    fn tick(&self, at: Timestamp, input: Input, world: &World) {
        let mut group = self.group.lock();
        // A reload took the rules meanwhile.
        if group.is_empty() {
            return;
        }
        group.tick_with(at, input, world);
        *self.status.write() = group.status();
    }

    /// The late ones among the HA groups that the rules read. Blocks.
    fn late(&self, watermark: &Watermark, up_to: Timestamp, now: Timestamp) -> Vec<Late> {
        let mut late = watermark.late(up_to, now);
        if late.is_empty() {
            return late;
        }
        let mut reads = self.reads.lock();
        if reads.as_ref().is_none_or(|(at, _)| now - *at > READS_REMEMBERED) {
            let expressions: Vec<String> = self.group.lock().expressions().map(str::to_owned).collect();
            let selectors: Option<Vec<Vec<Vec<Matcher>>>> =
                expressions.iter().map(|expr| dependency::selectors(expr)).collect();
            let selectors: Option<Vec<Vec<Matcher>>> = selectors.map(|all| all.into_iter().flatten().collect());
            *reads = Some((now, selectors.and_then(|selectors| watermark.read_by(&selectors, now))));
        }
        if let Some((_, Some(read))) = reads.as_ref() {
            late.retain(|late| read.contains(&late.behind.cluster));
        }
        late
    }
}

/// A group on its timer.
pub(super) struct Timer {
    pub(super) group: Arc<RunningGroup>,
    pub(super) world: Arc<World>,
    pub(super) watermark: Option<Watermark>,
    pub(super) wait: Wait,
    pub(super) wait_max: Span,
    pub(super) stop: CancellationToken,
}

impl Timer {
    /// Evaluates until told to stop.
    pub(super) async fn run(self) {
        let schedule = self.group.lock().schedule();
        let mut due = schedule.next_after((self.world.clock)());
        loop {
            // Never longer than an interval: a clock that is set forward is noticed in time.
            let nap = (due - (self.world.clock)()).min(schedule.interval());
            tokio::select! {
                () = tokio::time::sleep(nap.to_std()) => {}
                () = self.stop.cancelled() => return,
            }
            let now = (self.world.clock)();
            if now < due {
                // A clock that was set back would leave the group silent until it is due by the old one.
                due = due.min(schedule.next_after(now));
                continue;
            }
            // Late by more than an interval: the tick that is due now, not the one that was.
            let tick = due.max(schedule.last_before(now));
            let Some(input) = self.await_input(tick, schedule.interval()).await else { return };
            let turn = tokio::select! {
                turn = self.world.turns.clone().acquire_owned() => turn.expect("the semaphore is never closed"),
                () = self.stop.cancelled() => return,
            };
            let (group, world) = (self.group.clone(), self.world.clone());
            let evaluated = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                group.tick(tick, input, &world);
            });
            if let Err(failure) = evaluated.await {
                tracing::error!(%failure, "a group's evaluation ended badly");
            }
            due = schedule.next_after(tick);
        }
    }

    /// Waits for what the tick reads, bounded; `None` where it is told to stop.
    async fn await_input(&self, tick: Timestamp, interval: Span) -> Option<Input> {
        let started = (self.world.clock)();
        match (self.wait, &self.watermark) {
            (Wait::Off, _) | (Wait::Data, None) => Some(Input::default()),
            (Wait::Fixed(span), _) => {
                self.sleep(span.to_std()).await?;
                Some(Input { waited: span, ..Input::default() })
            }
            (Wait::Data, Some(watermark)) => {
                // Whoever waits into the next tick would miss it.
                let give_up = tick + self.wait_max.min(interval - Span::from_millis(interval.as_millis() / 10));
                loop {
                    let late = self.late(watermark, tick).await;
                    let now = (self.world.clock)();
                    if now >= give_up || !late.iter().any(|late| late.is_live) {
                        let behind = late.into_iter().map(|late| late.behind).collect();
                        let cluster_labels = watermark.cluster_labels.clone();
                        return Some(Input { waited: now - started, cluster_labels, behind });
                    }
                    self.sleep(LOOK_AGAIN).await?;
                }
            }
        }
    }

    async fn late(&self, watermark: &Watermark, tick: Timestamp) -> Vec<Late> {
        let (group, watermark, now) = (self.group.clone(), watermark.clone(), (self.world.clock)());
        // The usual answer is quick; which groups the rules read must be looked up.
        let looked_up = tokio::task::spawn_blocking(move || {
            let up_to = group.lock().data_at(tick);
            group.late(&watermark, up_to, now)
        });
        looked_up.await.unwrap_or_else(|failure| {
            tracing::error!(%failure, "looking for late data ended badly");
            Vec::new()
        })
    }

    /// `None` where it is told to stop meanwhile.
    async fn sleep(&self, span: Duration) -> Option<()> {
        tokio::select! {
            () = tokio::time::sleep(span) => Some(()),
            () = self.stop.cancelled() => None,
        }
    }
}
