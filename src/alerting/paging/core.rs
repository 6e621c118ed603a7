//! The dispatcher and the outbox as one: what receivers are told is kept together with the pages that say it, in one
//! journal and one order. A state machine, as its parts are.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::keeper::Keeper;
use super::succession::Retired;
use super::ways::{Ways, heir, names, ways};
use super::{Paging, Receivers};
use crate::alerting::bug::caught;
use crate::alerting::dispatch::{Acknowledged, Desk, Dispatcher, Fingerprint, Integration, Integrations, Kept, Notice};
use crate::alerting::notifier::{MOST_PAGE, Notifier, Page, PageKind, Refusal};
use crate::alerting::outbox::{Attempt, Event, LaneName, Outbox, Settings};
use crate::alerting::silence::{Silences, time_text};
use crate::data::UnixMillis;
use crate::delivery::journal::Place;

/// Why a page is not sent at all.
const TOO_LONG: &str =
    "the page is longer than 4194304 bytes; shorten the annotations or the templates of the receiver";

/// Within how many milliseconds of the start rules speak of what they spoke of before, unless something is wrong or they are
/// evaluated less often.
const CONFIRMED_WITHIN: i64 = 60_000;

/// The dispatcher, the outbox, and what writes and sends pages.
pub(super) struct Core {
    pub dispatcher: Dispatcher,
    pub outbox: Outbox,
    pub receivers: Receivers,
    pub(super) ways: Ways,
    /// Ways that the configuration has no more.
    pub(super) retired: BTreeMap<LaneName, Retired>,
    /// Whether what the journal has goes by other names now, so that it has to be written anew.
    pub wants_state: bool,
    /// What somebody should hear of beside what the outbox says.
    pub(super) events: Vec<Event>,
    /// Notices that could not be written, by integration, and why, where that is so of the last one.
    pub unwritten: BTreeMap<LaneName, (u64, Option<String>)>,
    /// When it began.
    began: UnixMillis,
}

/// What is to be done now, in this order: keep the records, durably if so it says, then make the attempts.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub records: Vec<Vec<u8>>,
    pub is_durable: bool,
    pub attempts: Vec<Attempt>,
    pub events: Vec<Event>,
}

impl Core {
    /// Goes on where the journal at `place` ended. Blocks. Also returns what was wrong with what was there, in words.
    pub fn open(
        paging: &Paging,
        receivers: Receivers,
        place: &Place,
        random: fastrand::Rng,
        now: UnixMillis,
    ) -> io::Result<(Self, Keeper, Vec<String>)> {
        let dispatcher = Dispatcher::new(paging.routing.clone(), integrations(&receivers), paging.limits, now);
        let outbox = Outbox::new(paging.outbox, random);
        let mut core = Self {
            dispatcher,
            outbox,
            ways: ways(&receivers),
            receivers,
            retired: BTreeMap::new(),
            wants_state: false,
            events: Vec::new(),
            unwritten: BTreeMap::new(),
            began: now,
        };
        core.configure_outbox(paging.outbox);
        let mut unreadable = 0;
        let restored = place.restore(|record| {
            if !core.outbox.replay(record) && !core.dispatcher.replay(record) {
                unreadable += 1;
            }
        })?;
        let mut complaints = restored.complaints.clone();
        if unreadable > 0 {
            complaints.push(format!("{unreadable} records in the journal `{}` cannot be read", place.name));
        }
        let without_heir = core.hand_over(now);
        core.outbox.resume(complaints.is_empty(), now);
        core.retract();
        core.dispatcher.resume(now);
        without_heir.iter().for_each(|lane| core.leave_open(lane));
        core.outbox.take_records();
        let keeper = Keeper::begin(place, &restored, core.state())?;
        Ok((core, keeper, complaints))
    }

    /// Other routes and receivers from now on.
    pub fn reload(&mut self, paging: &Paging, receivers: Receivers, now: UnixMillis) {
        self.dispatcher.set_limits(paging.limits);
        self.dispatcher.reload(paging.routing.clone(), integrations(&receivers), now);
        let before = std::mem::replace(&mut self.ways, ways(&receivers));
        self.receivers = receivers;
        // Where a way leads there again, what waits goes before what it will say.
        self.retired.retain(|lane, _| !self.ways.contains_key(lane) && heir(lane, &[], &self.ways).is_none());
        self.configure_outbox(paging.outbox);
        for lane in self.hand_over(now) {
            if let Some(notifier) = before.get(&lane) {
                self.retire(lane, notifier.clone(), now);
            }
        }
        self.unwritten.clear();
    }

    pub(super) fn configure_outbox(&mut self, settings: Settings) {
        let there = self.ways.iter().map(|(lane, notifier)| (lane.clone(), notifier.send_resolved()));
        let retired = self.retired.keys().map(|lane| (lane.clone(), true));
        self.outbox.configure(settings, there.chain(retired));
    }

    /// Hears of alerts.
    pub fn put(&mut self, alerts: impl IntoIterator<Item = Kept>, now: UnixMillis) {
        self.dispatcher.put(alerts, now);
    }

    /// How many of these alerts, which were just put here, found no place.
    pub fn without_place(&self, alerts: &[Fingerprint]) -> usize {
        alerts.iter().filter(|alert| !self.dispatcher.has(**alert)).count()
    }

    /// What is to be done now.
    pub fn step(&mut self, silences: &Silences, now: UnixMillis) -> Step {
        let Self { dispatcher, outbox, ways, unwritten, .. } = self;
        let mut desk = PageDesk { outbox, ways, unwritten, now, wrote: false };
        dispatcher.tick(now, silences, &mut desk);
        let wrote = desk.wrote;
        let attempts = self.outbox.next(now);
        let mut step = Step { is_durable: wrote || !attempts.is_empty(), attempts, ..Step::default() };
        self.let_go(now);
        step.events = self.retract();
        step.events.append(&mut self.events);
        step.records = self.outbox.take_records();
        step
    }

    /// What became of an attempt.
    pub fn done(&mut self, attempt: &Attempt, result: Result<(), Refusal>, now: UnixMillis) {
        self.outbox.done(attempt, result, now);
    }

    /// When [`Self::step`] has something to do, if nothing else happens before.
    pub fn next_due(&self) -> UnixMillis {
        let dispatcher = self.dispatcher.next_due();
        let retired = self.retired.values().map(|retired| retired.until);
        self.outbox.next_due().into_iter().chain(retired).fold(dispatcher, UnixMillis::min)
    }

    /// What is wrong, in words.
    pub fn complaints(&self, now: UnixMillis) -> Vec<String> {
        let unwritten = self.unwritten.iter();
        let unwritten = unwritten.filter_map(|(lane, (_, why))| Some(format!("{lane}: {}", why.as_ref()?)));
        let remembered = self.remembered(now).filter(|_| now > self.confirmed_by());
        unwritten.chain(self.outbox.complaints()).chain(remembered).collect()
    }

    /// When every rule was evaluated at least once: the grace is four intervals of the group that is evaluated least often.
    fn confirmed_by(&self) -> UnixMillis {
        self.began.plus(self.dispatcher.grace() / 3).max(UnixMillis(self.began.0.saturating_add(CONFIRMED_WITHIN)))
    }

    fn remembered(&self, now: UnixMillis) -> Option<String> {
        let (count, until) = self.dispatcher.remembered(now)?;
        let alerts = if count == 1 { "alert was" } else { "alerts were" };
        Some(format!(
            "{count} {alerts} told before the restart and no rule spoke of since: nothing is told of that until a rule does, or \
             as over behind {}",
            time_text(until)
        ))
    }

    /// What is not told yet that people may wait for, in words: alerts of before a restart, and pages.
    pub fn held_back(&self, now: UnixMillis) -> Vec<String> {
        let waiting = self.outbox.status().into_iter().filter(|lane| lane.waiting > 0).map(|lane| {
            let (name, kind) = (&lane.lane.receiver, lane.lane.kind());
            let since =
                lane.oldest.map_or_else(String::new, |oldest| format!(", the oldest since {}", time_text(oldest)));
            format!("pages that wait for {name} ({kind}): {}{since}", lane.waiting)
        });
        self.remembered(now).into_iter().chain(waiting).collect()
    }

    /// The wall clock was set by so many milliseconds: what lasts goes on as if it had not been.
    pub fn shift(&mut self, by: i64, now: UnixMillis) {
        self.dispatcher.shift(by, now);
        self.outbox.shift(by);
        self.began.0 = self.began.0.saturating_add(by);
    }

    /// Who sends what goes this way.
    pub fn notifier(&self, lane: &LaneName) -> Option<Arc<dyn Notifier>> {
        self.ways.get(lane).or_else(|| self.retired.get(lane).map(|retired| &retired.notifier)).cloned()
    }

    /// The records of everything that has to be known after a restart.
    pub fn state(&mut self) -> Vec<Vec<u8>> {
        self.wants_state = false;
        let mut records = self.outbox.state();
        records.extend(self.dispatcher.state());
        records
    }

    /// What was given up is told once more where it still holds. What was told of who takes care of an alert says nothing of
    /// whether it fires.
    fn retract(&mut self) -> Vec<Event> {
        let events = self.outbox.take_events();
        for event in &events {
            if let Event::GivenUp { lane, kind: PageKind::Trigger, origin, .. } = event
                && let Some(record) = self.dispatcher.retract(origin, &lane.receiver, &lane.integration)
            {
                self.outbox.keep_too(record);
            }
        }
        events
    }
}

/// Writes pages into the outbox.
struct PageDesk<'a> {
    outbox: &'a mut Outbox,
    ways: &'a Ways,
    unwritten: &'a mut BTreeMap<LaneName, (u64, Option<String>)>,
    now: UnixMillis,
    wrote: bool,
}

impl Desk for PageDesk<'_> {
    fn tell(&mut self, notice: &Notice<'_>) -> bool {
        let told = &notice.notification;
        let lane = LaneName { receiver: (&*told.receiver).into(), integration: notice.integration.name.clone() };
        let Some(notifier) = self.ways.get(&lane) else { return false };
        let origin: Arc<str> = told.group_key.as_str().into();
        let written = caught(|| notifier.write(told).map_err(|error| error.to_string()));
        let written = written.unwrap_or_else(|bug| Err(bug.to_string())).and_then(|pages| {
            // An end that has no page of its own is told by one that also says that something fires.
            let ends = told.alerts.iter().filter(|alert| alert.is_resolved(told.now)).count();
            let tell_of_ends = ends > pages.iter().filter(|page| page.kind == PageKind::Resolve).count();
            let (pages, too_long): (Vec<Page>, Vec<Page>) =
                pages.into_iter().partition(|page| page.body.len() <= MOST_PAGE);
            self.wrote |= !pages.is_empty();
            let put = self.outbox.put(&lane, &origin, pages, tell_of_ends, self.now);
            put.map_err(|_| "too many pages wait already".to_owned())?;
            // Written again it would be as long.
            too_long.into_iter().for_each(|page| self.outbox.refuse(&lane, page, TOO_LONG));
            Ok(())
        });
        match &written {
            Err(why) => {
                let known = self.unwritten.entry(lane.clone()).or_default();
                if known.1.as_ref() != Some(why) {
                    let (receiver, kind) = (&*lane.receiver, lane.kind());
                    let alertname = told.names();
                    tracing::warn!(
                        receiver,
                        kind,
                        alertname,
                        "a notification cannot be written, and is tried again: {why}"
                    );
                }
                *known = (known.0 + 1, Some(why.clone()));
            }
            Ok(()) => {
                if self.unwritten.get_mut(&lane).is_some_and(|known| known.1.take().is_some()) {
                    tracing::info!(
                        receiver = &*lane.receiver,
                        kind = lane.kind(),
                        "notifications can be written again"
                    );
                }
            }
        }
        written.is_ok()
    }

    fn acknowledge(&mut self, whom: &Acknowledged<'_>) -> bool {
        let lane = LaneName { receiver: whom.receiver.into(), integration: whom.integration.name.clone() };
        let acknowledge = || self.ways.get(&lane)?.acknowledge(whom.alert);
        let page = caught(acknowledge).unwrap_or_else(|bug| {
            let (receiver, kind) = (&*lane.receiver, lane.kind());
            tracing::warn!(receiver, kind, "that somebody takes care of an alert cannot be written: {bug}");
            None
        });
        let Some(page) = page else { return false };
        self.wrote = true;
        self.outbox.put(&lane, &whom.group_key.into(), vec![page], false, self.now).is_ok()
    }

    fn record(&mut self, record: Vec<u8>) {
        self.outbox.keep_too(record);
    }
}

/// Receivers as the dispatcher knows them.
fn integrations(receivers: &Receivers) -> Integrations {
    let of = |notifiers: &Vec<Arc<dyn Notifier>>| {
        let one = |(name, notifier): (Arc<str>, &Arc<dyn Notifier>)| Integration {
            name,
            send_resolved: notifier.send_resolved(),
            keeps_open: notifier.keeps_open(),
            resend_every: notifier.resend_every(),
        };
        names(notifiers).into_iter().zip(notifiers).map(one).collect()
    };
    receivers.iter().map(|(receiver, notifiers)| (receiver.clone(), of(notifiers))).collect()
}
