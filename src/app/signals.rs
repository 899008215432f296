//! What the operating system tells the process.

use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;

use super::reload::Reload;

/// The signals that Weir answers.
pub(super) struct Signals(Mutex<Kinds>);

struct Kinds {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From now on signals are answered rather than fatal.
    ///
    /// # Errors
    /// Where the system does not let us.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let kind = |kind| signal(kind).context("listen for signals");
        Ok(Signals(Mutex::new(Kinds {
            terminate: kind(SignalKind::terminate())?,
            interrupt: kind(SignalKind::interrupt())?,
            hang_up: kind(SignalKind::hangup())?,
        })))
    }

    /// Waits for the signal to end; SIGHUP meanwhile has nothing to reload.
    pub(super) async fn ended(&self) {
        let mut kinds = self.0.lock().await;
        let Kinds { terminate, interrupt, .. } = &mut *kinds;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }

    /// Reloads at each SIGHUP until the signal to end.
    pub(super) async fn serve(&self, reload: &Arc<Reload>) {
        let mut kinds = self.0.lock().await;
        let Kinds { terminate, interrupt, hang_up } = &mut *kinds;
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hang_up.recv() => {
                    let reload = Arc::clone(reload);
                    // What is wrong is logged where it is found.
                    let _ = tokio::task::spawn_blocking(move || reload.now()).await;
                }
            }
        }
    }
}
