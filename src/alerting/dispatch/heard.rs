//! Alerts that others post, kept from when they are heard: whoever posted them was told that they are taken, and need not
//! say it again. Those of rules are in the journal of the rules.
//!
//! Records, behind [version and kind](crate::alerting::record), in the journal of [what was told](super::notified):
//!
//! ```text
//! 4  heard      fingerprint (8 bytes), starts_at, labels, annotations, generator_url, value (8 bytes, IEEE 754),
//!               ends_at, 1 where it ends so because nobody speaks of it again else 0, when it was said
//! 5  unheard    fingerprint: it is over, and was told where it had to be
//! ```

use std::collections::HashMap;
use std::time::Duration;

use super::notified::{alert_fields, read_alert};
use super::{Dispatcher, Fingerprint, Kept, LEAST_GRACE};
use crate::alerting::record::{Reader, Writer};
use crate::data::UnixMillis;

const HEARD: u8 = 4;
const UNHEARD: u8 = 5;

/// Alerts as the journal had them, until they are taken over.
pub(super) type Heard = HashMap<Fingerprint, Kept>;

impl Dispatcher {
    /// Goes on where the journal ended. Alerts that receivers know to fire are taken to fire until somebody speaks of them,
    /// or for a while: time away is no evidence that they are over.
    pub fn resume(&mut self, now: UnixMillis) {
        let grace = self.routing.resolve_timeout.max(LEAST_GRACE).max(self.limits.grace);
        for mut alert in self.notified.take_restored() {
            alert.ends_at = now.plus(grace);
            let kept = Kept { is_confirmed: false, ..Kept::new(alert, true, now) };
            self.remembered.insert(kept.fingerprint);
            self.keep(kept, now);
        }
        for (fingerprint, mut kept) in std::mem::take(&mut self.heard) {
            // Somebody was to speak of it again, and could not while nobody listened.
            if kept.ends_by_timeout && !self.notified.knows_as_over(fingerprint) {
                kept.alert.ends_at = kept.alert.ends_at.max(now.plus(grace));
            }
            self.keep(kept, now);
        }
    }

    /// For how long at least an alert counts as firing after a restart if nobody speaks of it.
    pub fn grace(&self) -> Duration {
        self.limits.grace
    }

    /// How many alerts count as firing because receivers know them to, though nobody spoke of them since the process began,
    /// and until when the last of them does.
    pub fn remembered(&self, now: UnixMillis) -> Option<(usize, UnixMillis)> {
        let held = self.remembered.iter().filter_map(|fingerprint| self.alerts.get(fingerprint));
        let ends = held.map(|held| held.kept.alert.ends_at).filter(|ends| *ends > now);
        ends.fold(None, |all: Option<(usize, UnixMillis)>, ends| {
            let (count, last) = all.unwrap_or((0, ends));
            Some((count + 1, last.max(ends)))
        })
    }

    /// Whether an alert found a place.
    pub fn has(&self, alert: Fingerprint) -> bool {
        self.alerts.contains_key(&alert)
    }
}

/// Takes over a record of a journal; whether it was one of these.
pub(super) fn replay(heard: &mut Heard, record: &[u8]) -> bool {
    let Some((kind @ (HEARD | UNHEARD), mut reader)) = Reader::new(record) else { return false };
    let whole = if kind == HEARD {
        read(&mut reader).map(|kept| drop(heard.insert(kept.fingerprint, kept)))
    } else {
        reader.eight().map(|fingerprint| drop(heard.remove(&Fingerprint(fingerprint))))
    };
    whole.is_some()
}

fn read(reader: &mut Reader<'_>) -> Option<Kept> {
    let (fingerprint, mut alert) = read_alert(reader)?;
    alert.ends_at = reader.time()?;
    let ends_by_timeout = reader.number()? != 0;
    let kept = Kept::new(alert, ends_by_timeout, reader.time()?);
    (kept.fingerprint == fingerprint).then(|| kept.posted())
}

/// The record of an alert that somebody posted.
pub(super) fn heard_record(kept: &Kept) -> Vec<u8> {
    let writer = alert_fields(Writer::new(HEARD), kept.fingerprint, &kept.alert).time(kept.alert.ends_at);
    writer.number(u64::from(kept.ends_by_timeout)).time(kept.updated_at).finish()
}

/// The record of one that is forgotten.
pub(super) fn unheard_record(fingerprint: Fingerprint) -> Vec<u8> {
    Writer::new(UNHEARD).eight(fingerprint.0).finish()
}
