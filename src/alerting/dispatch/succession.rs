//! What becomes of what an integration was told that the configuration has no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Dispatcher, Kept, notified};
use crate::alerting::Alert;
use crate::alerting::notifier::Notification;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

impl Dispatcher {
    /// Integrations that were told of anything: receiver and name.
    pub fn told(&self) -> BTreeSet<(Arc<str>, Arc<str>)> {
        self.notified.lanes()
    }

    /// What one integration was told counts as told by another, which leads to the same target. The journal has to be
    /// written anew.
    pub fn rename(&mut self, from: (&str, &str), to: (&Arc<str>, &Arc<str>)) {
        self.notified.rename(from, to);
    }

    /// Names of the alerts that an integration keeps open, each once.
    pub fn open_at(&self, receiver: &str, integration: &str) -> BTreeSet<String> {
        let known = self.notified.open_at(receiver, integration).filter_map(|alert| self.alerts.get(&alert));
        known.map(|held| held.kept.alert.name().to_owned()).collect()
    }

    /// Forgets what an integration was told. Returns the records of that, and what ends there now: all that it keeps open,
    /// by group.
    pub fn take_leave(
        &mut self,
        receiver: &str,
        integration: &str,
        now: UnixMillis,
    ) -> (Vec<Vec<u8>>, Vec<Notification>) {
        let (mut records, mut ends) = (Vec::new(), Vec::new());
        for (whom, told) in self.notified.take((receiver, integration)) {
            records.push(notified::forgotten_record(&whom));
            let known = told.open.iter().filter_map(|alert| self.alerts.get(alert));
            let alerts: Vec<Alert> = known.map(|held| over(&held.kept, now)).collect();
            if !alerts.is_empty() {
                ends.push(Notification {
                    receiver: receiver.into(),
                    group_key: whom.group_key.to_string(),
                    group_labels: LabelSet::new(),
                    now,
                    alerts,
                });
            }
        }
        (records, ends)
    }
}

/// The alert as one that is over, at `now` at the latest.
fn over(kept: &Kept, now: UnixMillis) -> Alert {
    Alert { ends_at: kept.alert.ends_at.min(now), ..kept.alert.clone() }
}
