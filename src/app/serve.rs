//! Runs the agent until it is told to stop: signals, file changes and the end of its sources come together
//! here.

use std::future::Future;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{Agent, Shared};

/// Why [`serve`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// SIGTERM or SIGINT.
    BySignal,
    /// Every source has ended and what it brought is delivered.
    Finished,
    /// The future given to [`serve`] was ready.
    ByCaller,
}

impl Stopped {
    const fn words(self) -> &'static str {
        match self {
            Self::BySignal => "a signal",
            Self::Finished => "every source has ended",
            Self::ByCaller => "the time is over",
        }
    }
}

/// Serves until a signal, until every source has ended, or until `until` is ready; then drains. A SIGHUP
/// and every item of `changes` reload the configuration.
///
/// # Errors
/// Where the process cannot listen for signals.
pub async fn serve(
    mut agent: Agent,
    mut changes: tokio::sync::mpsc::Receiver<()>,
    until: impl Future<Output = ()>,
) -> std::io::Result<Stopped> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let shared = agent.shared().clone();
    tokio::pin!(until);
    let stopped = loop {
        tokio::select! {
            _ = terminate.recv() => break Stopped::BySignal,
            _ = interrupt.recv() => break Stopped::BySignal,
            () = agent.finished() => break Stopped::Finished,
            () = &mut until => break Stopped::ByCaller,
            _ = hangup.recv() => reload(&shared, "SIGHUP"),
            Some(()) = changes.recv() => reload(&shared, "a file changed"),
        }
    };
    tracing::info!(reason = stopped.words(), "draining; a signal from now on ends at once");
    tokio::select! {
        () = agent.shutdown() => {}
        _ = terminate.recv() => tracing::warn!("ended before everything was drained"),
        _ = interrupt.recv() => tracing::warn!("ended before everything was drained"),
    }
    Ok(stopped)
}

/// Asks for a reload without waiting for it: its outcome is logged, and a signal must not wait behind it.
fn reload(shared: &Arc<Shared>, why: &'static str) {
    let shared = shared.clone();
    tracing::info!(why, "reloading the configuration");
    tokio::spawn(async move { shared.reload().await });
}
