//! When a group is evaluated, and what it waits for. It stands apart from the group's rules, so that nobody who asks what is
//! due waits for an evaluation, and it never has two evaluations of a group go on at once.

use super::super::elsewhere::{Answers, Asked, Ticket};
use super::super::moment::Moment;
use super::Slots;
use crate::data::UnixNanos;

/// The times of a group, and where it is among them.
#[derive(Debug)]
pub(in super::super) struct Schedule {
    slots: Slots,
    /// The next time.
    next: UnixNanos,
    /// Whether that came before, for an evaluation that was not gone through.
    is_again: bool,
    /// What it has asked somebody else, until it is evaluated with the answers.
    pub asked: Option<Asked>,
    under_way: Option<UnderWay>,
}

/// An evaluation that has begun and not ended.
#[derive(Debug)]
struct UnderWay {
    ticket: Ticket,
    /// The time that is due once more if it is not gone through; none where that was given back, or where the clock was
    /// stepped: it may lie far ahead now.
    at: Option<UnixNanos>,
}

/// What is to be evaluated.
#[derive(Debug)]
pub(in super::super) struct Turn {
    /// The time of the evaluation.
    pub at: UnixNanos,
    /// What the clocks said when it began, or when the group asked for it.
    pub began: Moment,
    /// What somebody else has answered, if he was asked.
    pub answers: Option<Answers>,
    /// Times that came with it; none where they were counted before.
    pub came: u64,
    /// Those at which the group was not evaluated, because an evaluation before took too long.
    pub missed: u64,
}

impl Schedule {
    /// From the next of the times on.
    pub fn new(slots: Slots, now: UnixNanos) -> Self {
        Self { slots, next: slots.after(slots.before(now)), is_again: false, asked: None, under_way: None }
    }

    /// When something is to be done; `None` while it is evaluated, or waits for answers.
    pub fn due(&self) -> Option<UnixNanos> {
        match (&self.under_way, &self.asked) {
            (Some(_), _) | (_, Some(Asked { answers: None, .. })) => None,
            (None, None) => Some(self.next),
            (None, Some(Asked { at, .. })) => Some(*at),
        }
    }

    /// Begins what is due: at the last time that is not later than now, or at the one for which it asked.
    pub fn begin(&mut self, ticket: Ticket, now: Moment) -> Turn {
        let turn = match self.asked.take() {
            Some(Asked { at, began, answers, .. }) => Turn { at, began, answers, came: 0, missed: 0 },
            None => {
                // A clock that is slewed may be a bit behind the one that said that it is time.
                let missed = self.slots.between(self.next, now.wall);
                let at = self.slots.later(self.next, missed);
                self.next = self.slots.after(at);
                let came = missed + u64::from(!std::mem::take(&mut self.is_again));
                Turn { at, began: now, answers: None, came, missed }
            }
        };
        self.under_way = Some(UnderWay { ticket, at: Some(turn.at) });
        turn
    }

    /// What has begun has to know first what somebody else answers.
    pub fn ask(&mut self, ticket: Ticket, turn: &Turn) {
        self.under_way = None;
        self.asked = Some(Asked { ticket, at: turn.at, began: turn.began, answers: None });
    }

    /// The evaluation has ended.
    pub fn end(&mut self, ticket: Ticket) {
        self.under_way.take_if(|under_way| under_way.ticket == ticket);
    }

    /// The evaluation was stopped before it was through: what is left of it is due once more when it has ended.
    pub fn put_back(&mut self, ticket: Ticket) {
        let under_way = self.under_way.as_mut().filter(|under_way| under_way.ticket == ticket);
        if let Some(at) = under_way.and_then(|under_way| under_way.at.take()) {
            (self.next, self.is_again) = (at, true);
        }
    }

    /// Whoever evaluated it or was asked may not be there to end or answer any more: the time of that is due once more.
    /// Returns whether it was evaluated.
    pub fn interrupt(&mut self) -> bool {
        let (asked, under_way) = (self.asked.take(), self.under_way.take());
        let was_evaluated = under_way.is_some();
        let asked = asked.map(|asked| asked.at);
        if let Some(at) = under_way.and_then(|under_way| under_way.at).or(asked) {
            (self.next, self.is_again) = (at, true);
        }
        was_evaluated
    }

    /// The wall clock was stepped: the next time is the next one of the new time.
    pub fn follow_step(&mut self, now: UnixNanos) {
        // An answer is of a time that may be ahead now.
        self.asked = None;
        let next = self.slots.after(self.slots.before(now));
        if self.next > next || self.slots.between(self.next, now) > 0 {
            (self.next, self.is_again) = (next, false);
            if let Some(under_way) = &mut self.under_way {
                under_way.at = None;
            }
        }
    }

    /// The state is that of another process, which evaluated the group `before` and may have ended within the evaluation
    /// behind that: nobody heard of that one, so it is made up for.
    pub fn resume(&mut self, before: Option<UnixNanos>, now: UnixNanos) {
        let last = self.slots.before(now);
        if before.is_some_and(|before| before < last && self.slots.after(before) >= last) {
            self.next = last;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn moment(seconds: u64) -> Moment {
        Moment { wall: UnixNanos(seconds * SECOND), running: Duration::from_secs(seconds) }
    }

    fn schedule() -> (Schedule, u64) {
        let slots = Slots::new("rules.yml", "node", Duration::from_secs(15));
        let schedule = Schedule::new(slots, moment(1000).wall);
        let first = schedule.due().expect("due").0.div_ceil(SECOND);
        (schedule, first)
    }

    #[test]
    fn a_group_is_never_due_while_it_is_evaluated_and_what_went_by_is_missed() {
        let (mut schedule, first) = schedule();
        let turn = schedule.begin(Ticket(1), moment(first));
        assert_eq!((turn.came, turn.missed, schedule.due()), (1, 0, None));
        schedule.end(Ticket(7));
        assert_eq!(schedule.due(), None, "another one ended");
        schedule.end(Ticket(1));
        let turn = schedule.begin(Ticket(2), moment(first + 47));
        assert_eq!((turn.came, turn.missed), (3, 2));
        assert!(moment(first + 47).wall.0 - turn.at.0 < 15 * SECOND);
    }

    #[test]
    fn what_was_not_gone_through_is_due_once_more() {
        let (mut schedule, first) = schedule();
        let at = schedule.begin(Ticket(1), moment(first)).at;
        schedule.put_back(Ticket(1));
        assert_eq!(schedule.due(), None, "what it has made is not handed on yet");
        schedule.end(Ticket(1));
        assert_eq!(schedule.due(), Some(at));
        assert_eq!(schedule.begin(Ticket(2), moment(first)).came, 0, "it was counted");
        assert!(schedule.interrupt());
        assert_eq!(schedule.due(), Some(at));
        schedule.begin(Ticket(3), moment(first));
        schedule.put_back(Ticket(2));
        assert_eq!(schedule.due(), None, "that one is not under way");
    }

    #[test]
    fn a_time_that_waits_for_an_answer_at_a_reload_is_due_once_more() {
        let (mut schedule, first) = schedule();
        let turn = schedule.begin(Ticket(1), moment(first));
        schedule.ask(Ticket(1), &turn);
        assert_eq!(schedule.due(), None);
        assert!(!schedule.interrupt(), "nothing was evaluated");
        assert_eq!(schedule.due(), Some(turn.at));
        assert_eq!(schedule.begin(Ticket(2), moment(first)).came, 0, "it was counted");
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_no_time_far_ahead_of_what_is_stopped_then() {
        let stops: [fn(&mut Schedule); 2] = [
            |schedule| {
                schedule.put_back(Ticket(1));
                schedule.end(Ticket(1));
            },
            |schedule| assert!(schedule.interrupt()),
        ];
        for stop in stops {
            let (mut schedule, first) = schedule();
            schedule.begin(Ticket(1), moment(first));
            schedule.follow_step(moment(first - 600).wall);
            stop(&mut schedule);
            let due = schedule.due().expect("it is not under way");
            assert!(due > moment(first - 600).wall && due <= moment(first - 585).wall, "{due:?}");
        }
    }
}
