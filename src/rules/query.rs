//! The engine as rules see it: an expression and a time in, an answer out, in bounded time.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::model::Span;
use crate::promql::{Engine, Interrupt, QueryOptions};
use crate::store::SampleSource;

use super::evaluation::QueryFn;

/// Evaluates expressions with `engine` against `source`; each may take as long as `timeout`, which a timer on
/// `handle` watches over.
pub fn query_with(engine: Arc<Engine>, source: Arc<dyn SampleSource>, timeout: Span, handle: &Handle) -> QueryFn {
    let handle = handle.clone();
    Arc::new(move |expr, at| {
        let interrupt = Interrupt::default();
        let watched = interrupt.clone();
        let watch = handle.spawn(async move {
            tokio::time::sleep(timeout.to_std()).await;
            watched.time_out();
        });
        let answer = engine.instant(source.as_ref(), expr, at, &QueryOptions { interrupt, ..QueryOptions::default() });
        watch.abort();
        answer
    })
}
