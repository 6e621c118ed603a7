//! Alerts while there is nobody yet who dispatches them, since the journals cannot be opened: they wait, as far as there is
//! room, and it is tried again. To go on without the journals would repeat pages and leave others open; not to go on at all
//! would stop the rules.

use std::sync::{Arc, Mutex, PoisonError};

use super::inbox::Inbox;
use super::{Disk, Dispatch, Paging, Receivers, StartError};
use crate::alerting::Alert;
use crate::alerting::dispatch::Kept;
use crate::data::UnixMillis;
use crate::telemetry::Telemetry;

/// Where alerts wait for a [`Dispatch`].
pub struct Door {
    paging: Paging,
    receivers: Receivers,
    disk: Disk,
    telemetry: Arc<Telemetry>,
    inbox: Mutex<Inbox>,
}

impl Door {
    /// Nobody waits yet.
    pub fn new(paging: Paging, receivers: Receivers, disk: Disk, telemetry: Arc<Telemetry>) -> Self {
        let inbox = Mutex::new(Inbox::new(paging.limits.alerts, paging.limits.bytes));
        Self { paging, receivers, disk, telemetry, inbox }
    }

    /// Alerts wait. Of each the last word counts.
    pub fn put(&self, alerts: impl IntoIterator<Item = Alert>) {
        let now = UnixMillis::now();
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        for alert in alerts {
            inbox.put(Kept::new(alert, false, now), now);
        }
    }

    /// Begins to dispatch, with what waits. Blocks while it reads the journals.
    ///
    /// # Errors
    /// As [`Dispatch::start`]; what waits goes on to.
    pub fn open(&self) -> Result<Dispatch, StartError> {
        let dispatch = Dispatch::start(&self.paging, self.receivers.clone(), &self.disk, &self.telemetry)?;
        self.let_in(&dispatch);
        Ok(dispatch)
    }

    /// Hands on what came since to one that is open. One that another door opened goes on with what this one has.
    pub fn pass_on(&self, dispatch: &Dispatch, is_of_another: bool) {
        if is_of_another {
            dispatch.reload(&self.paging, self.receivers.clone());
        }
        self.let_in(dispatch);
    }

    fn let_in(&self, dispatch: &Dispatch) {
        let (alerts, refused) = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take();
        dispatch.let_in(alerts, refused);
    }
}
