//! Watches a component's task: its end, its error and its panic are all told under the component's name.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::mpsc;

use super::component::Task;
use super::graph::ComponentId;

/// A component has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its name.
    pub id: ComponentId,
    /// `Ok` when it had nothing more to do; else what it said, or what it panicked with.
    pub result: Result<(), String>,
    /// Which start of that name it was.
    pub(super) start: u64,
}

/// Runs a part of a component to its end; `Err` says with what it panicked.
pub async fn caught<T>(part: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(part).catch_unwind().await.map_err(|panic| {
        let words = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let words = words.or_else(|| panic.downcast_ref::<String>().cloned());
        format!("panicked: {}", words.unwrap_or_else(|| "no message".into()))
    })
}

/// Runs the task to its end and tells of it.
pub(super) async fn supervise(task: Task, id: ComponentId, start: u64, ended: mpsc::UnboundedSender<Ended>) {
    let result = caught(task).await.and_then(|result| result.map_err(|error| error.to_string()));
    // Nobody listens once the agent is gone.
    let _ = ended.send(Ended { id, result, start });
}
