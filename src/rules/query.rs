//! The engine as rules see it: an expression and a time in, an answer out, in bounded time, and on record.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::model::{Span, StepGrid};
use crate::promql::register::{Asker, Question, Register};
use crate::promql::{Engine, Interrupt, QueryOptions};
use crate::store::SampleSource;

use super::evaluation::{Clock, QueryFn};

/// Evaluates expressions with `engine` against `source` and enters them in `register`; each may take as long as
/// `timeout`, which a timer on `handle` watches over.
pub fn query_with(
    engine: Arc<Engine>,
    source: Arc<dyn SampleSource>,
    timeout: Span,
    register: Arc<Register>,
    clock: Clock,
    handle: &Handle,
) -> QueryFn {
    let handle = handle.clone();
    Arc::new(move |expr, at, asker| {
        let interrupt = Interrupt::default();
        let watched = interrupt.clone();
        let watch = handle.spawn(async move {
            tokio::time::sleep(timeout.to_std()).await;
            watched.time_out();
        });
        let asker = Asker::Rule(Box::new(asker.clone()));
        let question =
            Question { text: expr.into(), grid: StepGrid::instant(at), asker, lanes: crate::store::LaneView::Merged };
        let mut running = register.enter(question, &interrupt, clock());
        running.starts(clock());
        let answer = engine.instant(source.as_ref(), expr, at, &QueryOptions { interrupt, ..QueryOptions::default() });
        watch.abort();
        running.ended(clock(), &answer);
        answer
    })
}
