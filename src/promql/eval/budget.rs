//! What an evaluation may hold and how long it may take.

use std::cell::Cell;
use std::time::Instant;

use super::super::query::{EvalError, Limits};

/// Checks of the deadline for each look at the clock.
const CHECKS: u32 = 64;

#[derive(Debug)]
pub(super) struct Budget {
    samples: Cell<u64>,
    bytes: Cell<u64>,
    most_samples: u64,
    most_bytes: u64,
    deadline: Option<Instant>,
    checks: Cell<u32>,
}

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self {
            samples: Cell::new(0),
            bytes: Cell::new(0),
            most_samples: limits.samples,
            most_bytes: limits.bytes,
            deadline: limits.deadline,
            checks: Cell::new(0),
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

    /// Looks at the clock now and then.
    pub fn check(&self) -> Result<(), EvalError> {
        let Some(deadline) = self.deadline else { return Ok(()) };
        self.checks.set(self.checks.get().wrapping_add(1));
        if self.checks.get() % CHECKS == 1 && Instant::now() >= deadline {
            return Err(EvalError::Timeout);
        }
        Ok(())
    }
}
