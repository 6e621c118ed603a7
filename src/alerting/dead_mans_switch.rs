//! The dead man's switch: a signal that is sent as long as alerts are evaluated and dispatched, so that somebody else notices
//! when they are not. Its silence is the alarm, so that it must never be sent out of habit: whoever does the work reports it,
//! and where a report is late, nothing is sent.
//!
//! This is the decision alone; `notifiers` sends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Whose work the switch watches. Each reports to it by a [`Pulse`] of its own.
#[derive(Debug)]
pub struct DeadMansSwitch {
    interval: Duration,
    /// Reports may be late by so many of their own intervals.
    patience: u32,
    watched: Mutex<Vec<Arc<Watched>>>,
}

#[derive(Debug)]
struct Watched {
    /// What an alarm names: `rule evaluation`.
    name: Box<str>,
    /// How often it works.
    every: Duration,
    reported: Mutex<Instant>,
}

/// By which work is reported. Once it is dropped its work is watched no more.
#[derive(Debug)]
pub struct Pulse(Arc<Watched>);

/// What is to be done when the signal is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All that is watched works: send it.
    Alive,
    /// Something does not: send nothing.
    Stuck {
        /// What does not work, longest first.
        what: Box<str>,
        /// For how long it has not reported.
        since: Duration,
    },
}

impl Pulse {
    /// The work was done at `now`.
    pub fn beat(&self, now: Instant) {
        *self.0.reported.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

/// The pulses of groups of rules, each watched by its own interval: one that is evaluated rarely hides none that is
/// evaluated often.
#[derive(Debug)]
pub struct Pulses {
    /// That of whoever evaluates, should there be no group.
    all: Pulse,
    groups: HashMap<(String, String), Pulse>,
}

impl Pulses {
    /// Groups by file and name, each with its interval; `every` is how often anything is to be done at least.
    pub fn new(switch: &DeadMansSwitch, groups: &[(String, String, Duration)], every: Duration) -> Self {
        let now = Instant::now();
        let of = |(file, name, interval): &(String, String, Duration)| {
            let pulse = switch.watch(&format!("the evaluation of the group `{name}` of {file}"), *interval, now);
            ((file.clone(), name.clone()), pulse)
        };
        let all = switch.watch("the evaluation of rules", every, now);
        Self { all, groups: groups.iter().map(of).collect() }
    }

    /// Groups report that are not due yet at `running`: what was due before is done.
    pub fn beat<'a>(
        &self,
        due: impl Iterator<Item = (&'a str, &'a str, Option<Duration>)>,
        running: Duration,
        now: Instant,
    ) {
        self.all.beat(now);
        for (file, name, due) in due {
            if due.is_some_and(|due| due > running)
                && let Some(pulse) = self.groups.get(&(file.to_owned(), name.to_owned()))
            {
                pulse.beat(now);
            }
        }
    }

    /// A group was evaluated. One with a short interval is due whenever somebody looks, and reports by this alone.
    pub fn evaluated(&self, (file, name): (&str, &str), now: Instant) {
        self.all.beat(now);
        if let Some(pulse) = self.groups.get(&(file.to_owned(), name.to_owned())) {
            pulse.beat(now);
        }
    }
}

impl DeadMansSwitch {
    /// A switch that signals so often, and takes for stuck what is late by `patience` of its own intervals.
    pub fn new(interval: Duration, patience: u32) -> Self {
        Self { interval, patience, watched: Mutex::new(Vec::new()) }
    }

    /// How often it signals.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Watches work that is done every so often, from `now` on.
    pub fn watch(&self, name: &str, every: Duration, now: Instant) -> Pulse {
        let watched = Arc::new(Watched { name: name.into(), every, reported: Mutex::new(now) });
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).push(watched.clone());
        Pulse(watched)
    }

    /// What to do now that the signal is due.
    pub fn verdict(&self, now: Instant) -> Verdict {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // Whose pulse is gone ended on purpose, such as rules that a reload took away.
        watched.retain(|watched| Arc::strong_count(watched) > 1);
        let late = watched.iter().filter_map(|watched| {
            let reported = *watched.reported.lock().unwrap_or_else(PoisonError::into_inner);
            let since = now.saturating_duration_since(reported);
            (since > watched.every.saturating_mul(self.patience)).then_some((since, &watched.name))
        });
        match late.max_by_key(|(since, _)| *since) {
            Some((since, name)) => Verdict::Stuck { what: name.clone(), since },
            None => Verdict::Alive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn stuck(what: &str, seconds: u64) -> Verdict {
        Verdict::Stuck { what: what.into(), since: SECOND * seconds as u32 }
    }

    #[test]
    fn it_signals_as_long_as_everybody_reports() {
        let (start, switch) = (Instant::now(), DeadMansSwitch::new(SECOND * 60, 3));
        assert_eq!(switch.verdict(start), Verdict::Alive, "nothing is watched yet");
        let rules = switch.watch("rule evaluation", SECOND * 15, start);
        let dispatch = switch.watch("dispatch", SECOND * 60, start);
        assert_eq!(switch.verdict(start + SECOND * 45), Verdict::Alive, "late by three intervals, not by more");
        assert_eq!(switch.verdict(start + SECOND * 46), stuck("rule evaluation", 46));
        rules.beat(start + SECOND * 46);
        assert_eq!(switch.verdict(start + SECOND * 90), Verdict::Alive, "it came back");
        rules.beat(start + SECOND * 200);
        assert_eq!(switch.verdict(start + SECOND * 200), stuck("dispatch", 200));
        dispatch.beat(start + SECOND * 200);
        assert_eq!(switch.verdict(start + SECOND * 300), stuck("rule evaluation", 100));
        drop(rules);
        assert_eq!(switch.verdict(start + SECOND * 300), Verdict::Alive, "what ended on purpose is not missed");
    }

    #[test]
    fn a_group_that_is_late_is_named_though_others_are_not() {
        let (start, switch) = (Instant::now(), DeadMansSwitch::new(SECOND * 60, 3));
        let group = |name: &str, seconds| ("r.yml".to_owned(), name.to_owned(), SECOND * seconds);
        let pulses = Pulses::new(&switch, &[group("often", 15), group("rare", 600)], SECOND * 600);
        // The one has been due since 10 s and is not evaluated, the other will be due.
        for second in 1..100u32 {
            let due = [("r.yml", "often", Some(SECOND * 10)), ("r.yml", "rare", Some(SECOND * 600))];
            pulses.beat(due.into_iter(), SECOND * second, start + SECOND * second);
        }
        let Verdict::Stuck { what, since } = switch.verdict(start + SECOND * 99) else { panic!("it is late") };
        assert_eq!(&*what, "the evaluation of the group `often` of r.yml");
        assert!(since > SECOND * 89, "{since:?}");
        // So is one that waits for an answer that does not come.
        pulses.beat([("r.yml", "often", None)].into_iter(), SECOND * 100, start + SECOND * 100);
        assert!(matches!(switch.verdict(start + SECOND * 100), Verdict::Stuck { .. }));
        pulses.beat([("r.yml", "often", Some(SECOND * 115))].into_iter(), SECOND * 101, start + SECOND * 101);
        assert_eq!(switch.verdict(start + SECOND * 101), Verdict::Alive);
    }

    #[test]
    fn the_one_that_is_stuck_longest_is_named() {
        let (start, switch) = (Instant::now(), DeadMansSwitch::new(SECOND, 1));
        let first = switch.watch("a", SECOND, start);
        let _second = switch.watch("b", SECOND, start);
        first.beat(start + SECOND * 5);
        assert_eq!(switch.verdict(start + SECOND * 100), stuck("b", 100));
    }
}
