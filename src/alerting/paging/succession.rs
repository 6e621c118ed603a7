//! What becomes of what goes a way that is no more. Another way to the same target goes on with it. Where there is none, the
//! receiver is told by the old way that all is over that it keeps open, since nobody will speak of it there any more, and
//! what waits has some time to arrive. What needs secrets that are gone stays open, and somebody hears so.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::core::Core;
use super::ways::{heir, leads_there};
use crate::alerting::Notifier;
use crate::alerting::outbox::{Event, LaneName};
use crate::data::UnixMillis;

/// Most ways that finish what waits for them: those of more reloads than anybody makes while a receiver is away.
const MOST_RETIRED: usize = 100;

/// A way that the configuration has no more.
pub(super) struct Retired {
    pub notifier: Arc<dyn Notifier>,
    /// When it is let go, whatever waits.
    pub until: UnixMillis,
}

impl Core {
    /// Ways that are there go on with what went others. Returns those that nobody goes on with.
    pub(super) fn hand_over(&mut self, now: UnixMillis) -> Vec<LaneName> {
        let told = self.dispatcher.told().into_iter();
        let told = told.map(|(receiver, integration)| LaneName { receiver, integration });
        let known: BTreeSet<LaneName> = self.outbox.lanes().cloned().chain(told).collect();
        let is_gone = |lane: &LaneName| !self.ways.contains_key(lane) && !self.retired.contains_key(lane);
        let gone: Vec<LaneName> = known.into_iter().filter(is_gone).collect();
        let mut without = Vec::new();
        for lane in &gone {
            let Some(to) = heir(lane, &gone, &self.ways) else {
                without.push(lane.clone());
                continue;
            };
            self.outbox.rename(lane, to, now);
            self.dispatcher.rename((&lane.receiver, &lane.integration), (&to.receiver, &to.integration));
            self.wants_state = true;
        }
        without
    }

    /// The configuration has it no more, and no other way leads there.
    pub(super) fn retire(&mut self, lane: LaneName, notifier: Arc<dyn Notifier>, now: UnixMillis) {
        notifier.freeze();
        if !leads_there(&lane, &*notifier) || self.retired.len() >= MOST_RETIRED {
            self.leave_open(&lane);
            self.forget(&lane, now);
            return;
        }
        let within = i64::try_from(self.outbox.settings().resolve_within.as_millis()).unwrap_or(i64::MAX);
        let until = UnixMillis(now.0.saturating_add(within));
        self.retired.insert(lane.clone(), Retired { notifier: notifier.clone(), until });
        self.configure_outbox(self.outbox.settings());
        for end in self.forget(&lane, now) {
            if !notifier.send_resolved() {
                continue;
            }
            let told = notifier.write(&end).map_err(|error| error.to_string());
            let told = told.and_then(|pages| {
                let put = self.outbox.put(&lane, &end.group_key.as_str().into(), pages, false, now);
                put.map_err(|_| "too many pages wait already".to_owned())
            });
            if let Err(why) = told {
                tracing::warn!(receiver = %lane, "what is over cannot be told: {why}");
                self.events.push(Event::LeftOpen { lane: lane.clone(), about: end.names() });
            }
        }
    }

    /// Somebody hears of what stays open.
    pub(super) fn leave_open(&mut self, lane: &LaneName) {
        let mut about = self.dispatcher.open_at(&lane.receiver, &lane.integration);
        about.extend(self.outbox.waits_about(lane));
        self.events.extend(about.into_iter().map(|about| Event::LeftOpen { lane: lane.clone(), about }));
    }

    /// Ways that have finished, or had long enough, are let go.
    pub(super) fn let_go(&mut self, now: UnixMillis) {
        let ended = self.retired.iter().filter(|(lane, of)| of.until <= now || !self.outbox.is_busy(lane));
        let ended: Vec<LaneName> = ended.map(|(lane, _)| lane.clone()).collect();
        for lane in ended {
            self.retired.remove(&lane);
            self.outbox.remove(&lane, now);
        }
    }

    /// What was told there is known no more. Returns what ends there.
    fn forget(&mut self, lane: &LaneName, now: UnixMillis) -> Vec<crate::alerting::Notification> {
        let (records, ends) = self.dispatcher.take_leave(&lane.receiver, &lane.integration, now);
        records.into_iter().for_each(|record| self.outbox.keep_too(record));
        ends
    }
}
