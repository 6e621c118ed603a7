//! Alerts that have nobody yet who dispatches them: their journals could not be opened, or a disk that hangs keeps whoever
//! does for long. Rules are evaluated meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::alerting::paging::{Dispatch, Door, StartError};
use crate::alerting::running::Opening;

/// How often it is tried again to dispatch alerts where their journals could not be opened.
const DOOR_AGAIN: Duration = Duration::from_secs(5);

/// Alerts that wait for somebody who dispatches them.
pub(super) struct Waiting {
    pub door: Arc<Door>,
    /// Why they do.
    pub why: String,
    pub again: Instant,
    /// An attempt that is under way. Rules do not wait for it: a disk that hangs may keep it for long.
    pub opening: Option<Opening>,
    /// Whether that one began before a reload, with what the configuration said then.
    pub is_earlier: bool,
}

impl Waiting {
    pub fn new(door: Door, error: &StartError) -> Self {
        tracing::error!(%error, "alerts wait: rules are evaluated, and nobody is told until this is over");
        Self {
            door: Arc::new(door),
            why: error.to_string(),
            again: Instant::now() + DOOR_AGAIN,
            opening: None,
            is_earlier: false,
        }
    }

    /// Waits for an attempt that began before a reload: two at once would have the same journals.
    pub fn for_one(door: Door, opening: Opening) -> Self {
        let why = "the disk with their journals does not answer".into();
        Self { door: Arc::new(door), why, again: Instant::now(), opening: Some(opening), is_earlier: true }
    }

    /// Begins an attempt, if it is time for one.
    pub fn try_again(&mut self) {
        if self.opening.is_none() && self.again <= Instant::now() {
            let door = self.door.clone();
            self.opening = Some(tokio::task::spawn_blocking(move || door.open()));
        }
    }

    /// What became of the attempt; never, where none is under way.
    async fn opened(&mut self) -> Option<Dispatch> {
        let Some(opening) = &mut self.opening else { return std::future::pending().await };
        let opened = opening.await;
        self.opening = None;
        match opened {
            Ok(Ok(dispatch)) => return Some(dispatch),
            Ok(Err(error)) => self.why = error.to_string(),
            Err(error) => self.why = error.to_string(),
        }
        (self.again, self.is_earlier) = (Instant::now() + DOOR_AGAIN, false);
        None
    }
}

/// What becomes of an attempt; never, where nobody waits.
pub(super) async fn opened(door: &mut Option<Waiting>) -> Option<Dispatch> {
    match door {
        Some(waiting) => waiting.opened().await,
        None => std::future::pending().await,
    }
}
