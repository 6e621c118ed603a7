//! What an evaluation may hold and how long it may take.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::super::query::{EvalError, Limits, Stop};

/// Checks of the deadline for each look at the clock.
const CHECKS: u32 = 64;

/// Samples that are gone through for each look at the clock, where many belong to one series.
const WORK: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Budget {
    samples: Cell<u64>,
    bytes: Cell<u64>,
    most_samples: u64,
    most_bytes: u64,
    deadline: Option<Instant>,
    stop: Option<Stop>,
    checks: Cell<u32>,
    work: Cell<usize>,
}

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self {
            samples: Cell::new(0),
            bytes: Cell::new(0),
            most_samples: limits.samples,
            most_bytes: limits.bytes,
            deadline: limits.deadline,
            stop: limits.stop.clone(),
            checks: Cell::new(0),
            work: Cell::new(0),
        }
    }

    /// Holds more, until it is given back.
    pub fn take(&self, samples: u64, bytes: u64) -> Result<(), EvalError> {
        let (samples, bytes) = (self.samples.get() + samples, self.bytes.get() + bytes);
        if samples > self.most_samples {
            return Err(EvalError::TooManySamples);
        }
        if bytes > self.most_bytes {
            return Err(EvalError::TooManyBytes(self.most_bytes));
        }
        self.samples.set(samples);
        self.bytes.set(bytes);
        self.check()
    }

    pub fn give_back(&self, samples: u64, bytes: u64) {
        self.samples.set(self.samples.get().saturating_sub(samples));
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }

    /// Looks now and then at the clock, and whether anybody wants the result.
    pub fn check(&self) -> Result<(), EvalError> {
        self.checks.set(self.checks.get().wrapping_add(1));
        if self.checks.get() % CHECKS == 1 { self.look() } else { Ok(()) }
    }

    /// Has gone through so many samples more; looks likewise.
    pub fn work(&self, samples: usize) -> Result<(), EvalError> {
        self.work.set(self.work.get().saturating_add(samples));
        if self.work.get() < WORK {
            return Ok(());
        }
        self.work.set(0);
        self.look()
    }

    fn look(&self) -> Result<(), EvalError> {
        if self.stop.as_ref().is_some_and(Stop::is_stopped) {
            return Err(EvalError::Stopped);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(EvalError::Timeout),
            _ => Ok(()),
        }
    }

    /// Holds bytes beside those of rows, until the room is dropped.
    pub fn room(self: &Rc<Self>, bytes: usize) -> Result<Room, EvalError> {
        let mut room = Room { budget: Rc::clone(self), bytes: 0 };
        room.take(bytes)?;
        Ok(room)
    }
}

/// What is held while something is computed, and is no row.
#[derive(Debug)]
pub(super) struct Room {
    budget: Rc<Budget>,
    bytes: u64,
}

impl Room {
    /// Holds more.
    pub fn take(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.budget.take(0, bytes as u64)?;
        self.bytes += bytes as u64;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.budget.give_back(0, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_looked_at_within_one_series() {
        let budget = Budget::new(&Limits { deadline: Some(Instant::now()), ..Limits::default() });
        assert!((1..WORK).all(|_| budget.work(1).is_ok()));
        assert!(matches!(budget.work(1), Err(EvalError::Timeout)));
    }

    #[test]
    fn what_nobody_wants_any_more_is_given_up_within_one_series() {
        let stop = Stop::default();
        let budget = Budget::new(&Limits { stop: Some(stop.clone()), ..Limits::default() });
        assert!(budget.work(WORK).is_ok());
        stop.stop();
        assert!((1..WORK).all(|_| budget.work(1).is_ok()));
        assert!(matches!(budget.work(1), Err(EvalError::Stopped)));
    }

    #[test]
    fn a_room_is_given_back() {
        let budget = Rc::new(Budget::new(&Limits { bytes: 100, ..Limits::default() }));
        let mut room = budget.room(60).expect("room");
        assert!(room.take(41).is_err() && room.take(40).is_ok() && budget.room(1).is_err());
        drop(room);
        assert!(budget.room(100).is_ok());
    }
}
