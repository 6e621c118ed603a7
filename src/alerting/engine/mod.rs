//! All rules of the agent: when which group is due, what its evaluation makes, and what of it survives a restart.
//!
//! Whoever drives them sleeps until [`Rules::next_due`], takes what is due from [`Rules::begin`] and has each of it done by
//! [`Rules::evaluate`], several at a time if he likes: a group is never due while it is evaluated. All of them take the time as
//! it is told. Evaluating computes and writes to the disk: it belongs where blocking is allowed. The others wait for neither.
//!
//! Who holds several locks takes that of the journal first, then that of what is loaded, then those of groups, one at a time.

mod journal;
mod metrics;
mod reload;
mod trouble;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::alert::Alert;
use super::elsewhere::{Answered, Answers, Questions, Ticket};
use super::group::{self, End, Recorded, Schedule, Settling, Shared, Surroundings, Turn};
use super::missing_input::MissingInput;
use super::moment::{Clock, Moment, Steady, Timeline};
use super::results::{Batches, Store};
use super::rule::{Settings, Sight, Since};
use super::status::{self, AlertStatus, GroupStatus};
use crate::data::{MetricBatch, Resource, SeriesTable, UnixMillis, UnixNanos};
use crate::delivery::journal::Place;
use crate::promql::Stop;
use journal::{Journalling, Taken};
pub use metrics::RuleMetrics;
pub use trouble::GroupName;
use trouble::Troubles;

/// A step of the wall clock by less than this hides nothing from a query.
const STEP: i64 = 60 * 1_000_000_000;

/// The rules.
#[derive(Debug)]
pub struct Rules {
    journal: Mutex<Journalling>,
    /// Whether it could not be written the last time: it may be waiting for the disk, for which nobody else does.
    is_journal_failing: AtomicBool,
    loaded: Arc<Mutex<Loaded>>,
    batches: Batches,
    metrics: RuleMetrics,
    troubles: Troubles,
}

/// What is loaded, and when which of it is due.
#[derive(Debug, Default)]
struct Loaded {
    settings: Arc<Settings>,
    recorded: Arc<Recorded>,
    members: Vec<Member>,
    /// There once rules were loaded.
    timeline: Option<Timeline>,
    settling: Option<Settling>,
    /// Evaluations so far.
    tickets: u64,
    /// Groups that are no more.
    leaving: Vec<Leaving>,
}

/// A group among all.
#[derive(Debug)]
struct Member {
    file: Arc<str>,
    name: Arc<str>,
    schedule: Schedule,
    group: Arc<Shared>,
}

/// A group that is no more: its series end once whoever has them under another name has had the time to write them.
#[derive(Debug)]
struct Leaving {
    due: Duration,
    at: UnixMillis,
    series: Vec<Arc<[u8]>>,
}

impl Evaluation {
    /// The group that is evaluated; none where series of one end that is no more.
    pub fn group(&self) -> Option<GroupName> {
        match &self.0 {
            Work::Group(of_group) => Some((of_group.file.clone(), of_group.name.clone())),
            Work::Leaving(..) => None,
        }
    }
}

/// What is due.
#[derive(Debug)]
pub enum Begun {
    /// A group has to know first what somebody else answers, and waits for [`Rules::answer`].
    Asks(Questions),
    /// Something is to be evaluated.
    Evaluation(Evaluation),
}

/// An evaluation that has begun, for [`Rules::evaluate`].
#[derive(Debug)]
pub struct Evaluation(Work);

#[derive(Debug)]
enum Work {
    /// A group is evaluated.
    Group(Box<OfGroup>),
    /// Series of one that is no more end.
    Leaving(Leaving, Moment),
}

/// What the evaluation of a group needs, whatever is loaded meanwhile.
#[derive(Debug)]
struct OfGroup {
    file: Arc<str>,
    name: Arc<str>,
    group: Arc<Shared>,
    ticket: Ticket,
    turn: Turn,
    steady: Steady,
    settings: Arc<Settings>,
    recorded: Arc<Recorded>,
    settling: Option<Settling>,
    ends: Ends,
}

/// What an evaluation has made.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// What the rules have written, in their order: for `alerting.metrics`. The store has it already.
    pub metrics: Vec<MetricBatch>,
    /// Alerts that are to be handed on.
    pub alerts: Vec<Alert>,
    /// The group whose rules were evaluated, by its file and its name; none where it was not gone through.
    pub group: Option<GroupName>,
    /// The group is not evaluated again before this is dropped, so that what it says is handed on in its order.
    pub ends: Option<Ends>,
}

/// That an evaluation goes on. It ends when this is dropped, if only by a panic.
#[derive(Debug)]
pub struct Ends {
    loaded: Arc<Mutex<Loaded>>,
    ticket: Ticket,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.members.iter_mut().for_each(|member| member.schedule.end(self.ticket));
    }
}

/// When a group is due, by its file and its name: `None` while it is evaluated or waits for an answer.
pub type Due = (Arc<str>, Arc<str>, Option<Duration>);

impl Rules {
    /// No rules yet. Batches name their series in `table`.
    ///
    /// # Errors
    /// Never: the names of its metrics are constants that a test registers.
    pub fn new(table: Arc<SeriesTable>, resource: Arc<Resource>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            journal: Mutex::default(),
            is_journal_failing: AtomicBool::new(false),
            loaded: Arc::default(),
            batches: Batches { table, resource },
            metrics: RuleMetrics::new()?,
            troubles: Troubles::default(),
        })
    }

    /// Their metrics.
    pub fn metrics(&self) -> &RuleMetrics {
        &self.metrics
    }

    /// Reads what an earlier process left, and keeps the state of alerts there from the first load on. Returns what is to be
    /// told. Where the disk does not have it alerts begin without, and are written down with the first evaluation that can.
    pub fn restore(&self, place: Place) -> Vec<String> {
        let mut journal = self.journal();
        let complaints = journal.restore(place, &self.metrics);
        self.is_journal_failing.store(journal.is_failing(), Ordering::Relaxed);
        complaints
    }

    /// What the monotonic clock says when something is to be done next; `None` where nothing is.
    pub fn next_due(&self) -> Option<Duration> {
        let loaded = self.loaded();
        let timeline = loaded.timeline.as_ref()?;
        let groups = loaded.members.iter().filter_map(|member| member.schedule.due()).map(|due| timeline.running(due));
        groups.chain(loaded.leaving.iter().map(|leaving| leaving.due)).min()
    }

    /// When each group is due.
    pub fn due(&self) -> Vec<Due> {
        let loaded = self.loaded();
        let running = |at| loaded.timeline.as_ref().map(|timeline| timeline.running(at));
        let due = |member: &Member| (member.file.clone(), member.name.clone(), member.schedule.due().and_then(running));
        loaded.members.iter().map(due).collect()
    }

    /// Begins what has been due for the longest; `None` where nothing is due. A group that has to know first what somebody
    /// else answers asks for that.
    pub fn begin(&self, clock: &dyn Clock, store: &dyn Store) -> Option<Begun> {
        let now = clock.now();
        let mut loaded = self.loaded();
        loaded.follow_clock(now);
        if let Some(leaving) = loaded.leaving.iter().position(|leaving| leaving.due <= now.running) {
            let leaving = loaded.leaving.swap_remove(leaving);
            return Some(Begun::Evaluation(Evaluation(Work::Leaving(leaving, now))));
        }
        let timeline = loaded.timeline?;
        let due = loaded.members.iter().enumerate();
        let due = due.filter_map(|(number, member)| Some((member.schedule.due()?, number))).min();
        let number = due.filter(|(due, _)| timeline.running(*due) <= now.running)?.1;
        loaded.tickets += 1;
        let ticket = Ticket(loaded.tickets);
        let (settings, recorded, settling) = (loaded.settings.clone(), loaded.recorded.clone(), loaded.settling);
        let Member { file, name, schedule, group } = &mut loaded.members[number];
        let turn = schedule.begin(ticket, now);
        let mut held = group.hold();
        let before = held.tally;
        held.tally.iterations += turn.came;
        held.tally.missed += turn.missed;
        self.metrics.evaluated(&held, before);
        if turn.answers.is_none() {
            let queries = held.queries_elsewhere(store);
            if !queries.is_empty() {
                schedule.ask(ticket, &turn);
                let (at, limits) = (held.query_at(turn.at, &settings), settings.limits.clone());
                return Some(Begun::Asks(Questions { ticket, at, queries, limits }));
            }
        }
        if held.evaluation.is_some() {
            // The one before ended by a panic.
            held.interrupt();
        }
        held.evaluation = Some(ticket);
        let (file, name, group) = (file.clone(), name.clone(), group.clone());
        let steady = timeline.steady(turn.at);
        let ends = Ends { loaded: self.loaded.clone(), ticket };
        let of_group = OfGroup { file, name, group, ticket, turn, steady, settings, recorded, settling, ends };
        Some(Begun::Evaluation(Evaluation(Work::Group(Box::new(of_group)))))
    }

    /// Does what has begun. What it says is journalled when this returns. With `stop` it is ended before it is through, and
    /// what is left of it is due once more.
    pub fn evaluate(&self, evaluation: Evaluation, clock: &dyn Clock, store: &dyn Store, stop: &Stop) -> Evaluated {
        match evaluation.0 {
            Work::Leaving(Leaving { at, series, .. }, now) => Evaluated {
                metrics: self.end(series, at, now.wall, store).into_iter().collect(),
                ..Evaluated::default()
            },
            Work::Group(of_group) => self.evaluate_group(*of_group, clock, store, stop),
        }
    }

    fn evaluate_group(&self, of_group: OfGroup, clock: &dyn Clock, store: &dyn Store, stop: &Stop) -> Evaluated {
        let OfGroup { file, name, group, ticket, turn, steady, settings, recorded, settling, ends } = of_group;
        let before = group.hold().tally;
        let answered = turn.answers.as_ref().map(|answers| Answered { store, answers });
        let around = Surroundings {
            clock,
            store: answered.as_ref().map_or(store, |answered| answered),
            settings: &settings,
            batches: &self.batches,
            recorded: &recorded,
            stop,
            settling,
        };
        let (made, end) = group.walk(ticket, (turn.at, steady), &around);
        let mut evaluated = Evaluated { metrics: made.metrics, alerts: made.alerts, group: None, ends: Some(ends) };
        let Some(mut held) = group.hold_for(ticket) else {
            // Whoever took it away has them handed on once more.
            evaluated.alerts.clear();
            return evaluated;
        };
        held.tally.at = Some(turn.began.wall);
        held.tally.took = clock.now().running.saturating_sub(turn.began.running);
        self.metrics.evaluated(&held, before);
        let query_at = held.query_at(turn.at, &settings);
        let retired = if end == End::Through { std::mem::take(&mut held.retired) } else { Vec::new() };
        let name = (file, name);
        self.troubles.look(&name, &held);
        drop(held);
        match end {
            End::Through => evaluated.group = Some(name),
            End::Stopped => self.loaded().put_back(ticket),
            End::Gone => {}
        }
        evaluated.metrics.extend(self.end(retired, query_at, clock.now().wall, store));
        self.write_down(&group, Since { wall: turn.at, steady });
        if let Some(mut held) = group.hold_for(ticket) {
            self.metrics.count(&mut held);
            held.evaluation = None;
        }
        evaluated
    }

    /// What somebody else has answered: the group that asked is due. Where it does not wait for that any more, it is
    /// forgotten.
    pub fn answer(&self, ticket: Ticket, answers: Answers) {
        let mut loaded = self.loaded();
        let asked = loaded.members.iter_mut().filter_map(|member| member.schedule.asked.as_mut());
        if let Some(asked) = asked.into_iter().find(|asked| asked.ticket == ticket) {
            asked.answers = Some(answers);
        }
    }

    /// An evaluation of a group panicked: nobody hears of what that has handed on.
    pub fn panicked(&self, group: GroupName) {
        self.troubles.panicked(group);
    }

    /// What is wrong with the rules, in words: those that fail again and again, and a journal that cannot be written. It waits
    /// for no evaluation.
    pub fn trouble(&self) -> Option<String> {
        let journal = self.is_journal_failing.load(Ordering::Relaxed).then(|| {
            "the journal of alerts cannot be written, for a reason that the log tells; a restart would forget what changed"
                .to_owned()
        });
        let all: Vec<String> = self.troubles.words().into_iter().chain(journal).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The groups, by file and name.
    pub fn groups(&self) -> Vec<GroupStatus> {
        let mut groups: Vec<_> = self.shared().iter().map(|group| status::group(&group.hold())).collect();
        groups.sort_by(|a, b| (&a.file, &a.name).cmp(&(&b.file, &b.name)));
        groups
    }

    /// The alerts that are pending or fire.
    pub fn alerts(&self) -> Vec<AlertStatus> {
        let of_group = |group: &Arc<Shared>| group.hold().rules.iter().flat_map(status::alerts).collect::<Vec<_>>();
        self.shared().iter().flat_map(of_group).collect()
    }

    /// The groups in the order in which they are loaded.
    fn shared(&self) -> Vec<Arc<Shared>> {
        self.loaded().shared()
    }

    fn journal(&self) -> MutexGuard<'_, Journalling> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends series that no rule writes.
    fn end(
        &self,
        mut series: Vec<Arc<[u8]>>,
        at: UnixMillis,
        now: UnixNanos,
        store: &dyn Store,
    ) -> Option<MetricBatch> {
        if series.is_empty() {
            return None;
        }
        for group in self.shared() {
            let group = group.hold();
            series.retain(|series| !group.rules.iter().any(|rule| rule.series.series.contains(series)));
        }
        group::end(series, at, now.into(), store, &self.batches)
    }

    /// Journals what the evaluation of a group has changed.
    fn write_down(&self, group: &Arc<Shared>, at: Since) {
        let mut journal = self.journal();
        let groups = self.shared();
        // Where others were loaded meanwhile, they have its state, and it is written down with theirs.
        let Some(number) = groups.iter().position(|known| Arc::ptr_eq(known, group)) else { return };
        journal.write(&groups, Some(Taken { number, at }), &self.metrics);
        self.is_journal_failing.store(journal.is_failing(), Ordering::Relaxed);
    }
}

impl Loaded {
    fn shared(&self) -> Vec<Arc<Shared>> {
        self.members.iter().map(|member| member.group.clone()).collect()
    }

    fn put_back(&mut self, ticket: Ticket) {
        self.members.iter_mut().for_each(|member| member.schedule.put_back(ticket));
    }

    fn follow_clock(&mut self, now: Moment) {
        let Some(timeline) = &mut self.timeline else { return };
        let Some(step) = timeline.look(now) else { return };
        for member in &mut self.members {
            member.schedule.follow_step(now.wall);
            member.group.hold().rules.iter_mut().for_each(|rule| rule.resumed = None);
        }
        if step.abs() >= STEP {
            tracing::warn!("the wall clock was stepped by {} seconds", step / 1_000_000_000);
            self.settle(if step > 0 { Sight::After(now.wall) } else { Sight::Nothing }, now, true);
        }
    }

    /// For a while from now on, that nothing is seen says nothing.
    fn settle(&mut self, sight: Sight, now: Moment, is_step: bool) {
        let Some(timeline) = &self.timeline else { return };
        if self.settings.missing_input == MissingInput::Hold {
            self.settling = Some(Settling { sight, from: timeline.steady(now.wall), is_step });
        }
    }
}

#[cfg(test)]
mod tests;
