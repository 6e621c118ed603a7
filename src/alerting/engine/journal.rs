//! What of the rules survives a restart: their journal, into which one evaluation writes at a time.

use std::io;
use std::sync::Arc;

use super::super::group::Shared;
use super::super::rule::{Failing, News, Since};
use super::super::state::{self, Found};
use super::RuleMetrics;
use crate::delivery::journal::{Journal, Place, Restored};

/// The journal, and how it goes.
#[derive(Debug, Default)]
pub(super) struct Journalling {
    pub memory: Memory,
    failing: Failing,
}

/// What survives a restart.
#[derive(Debug, Default)]
pub(super) enum Memory {
    /// Nothing.
    #[default]
    None,
    /// What an earlier process left, until rules are loaded.
    Left(Place, Found),
    /// What an earlier process left could not be read, if it left something: it is given up as soon as it can be.
    Unread(Place),
    /// A generation is to be begun behind another one.
    Closed(Place, Restored),
    /// The journal; with `is_current`, it knows the rules as they are loaded.
    Open { journal: Journal, is_current: bool },
}

/// An evaluation, as the journal takes it.
#[derive(Clone, Copy)]
pub(super) struct Taken {
    /// Where its group stands among all.
    pub number: usize,
    /// Its time.
    pub at: Since,
}

impl Journalling {
    /// Reads what an earlier process left. Returns what is to be told.
    pub fn restore(&mut self, place: Place, metrics: &RuleMetrics) -> Vec<String> {
        match state::restore(&place) {
            Ok(mut found) => {
                let complaints = std::mem::take(&mut found.complaints);
                self.memory = Memory::Left(place, found);
                complaints
            }
            Err(error) => {
                self.memory = Memory::Unread(place);
                self.follow(Err(error), metrics);
                Vec::new()
            }
        }
    }

    /// What an earlier process left, for the first load.
    pub fn left(&mut self) -> Found {
        match std::mem::take(&mut self.memory) {
            Memory::Left(place, mut found) => {
                self.memory = Memory::Closed(place, std::mem::take(&mut found.restored));
                found
            }
            memory => {
                self.memory = memory;
                Found::default()
            }
        }
    }

    /// Writes down what an evaluation has changed; without one, that other groups are loaded.
    pub fn write(&mut self, groups: &[Arc<Shared>], evaluated: Option<Taken>, metrics: &RuleMetrics) {
        if let Memory::Unread(place) = &self.memory {
            match state::restore(place) {
                Ok(Found { restored, .. }) => self.memory = Memory::Closed(place.clone(), restored),
                Err(error) => return self.follow(Err(error), metrics),
            }
        }
        let written = match (&mut self.memory, evaluated) {
            (Memory::None | Memory::Left(..) | Memory::Unread(_), _) => return,
            (Memory::Open { journal, is_current: true }, Some(Taken { number, at })) if !journal.is_long() => {
                state::follow(journal, number, &groups[number], at)
            }
            (Memory::Open { journal, is_current }, _) => {
                *is_current = false;
                let written = state::replace(journal, groups);
                *is_current = written.is_ok();
                written
            }
            (Memory::Closed(place, restored), _) => state::begin(place, restored, groups)
                .map(|journal| self.memory = Memory::Open { journal, is_current: true }),
        };
        self.follow(written, metrics);
    }

    fn follow(&mut self, written: io::Result<()>, metrics: &RuleMetrics) {
        // Alerts go on. What was not written is written with the next generation, which is tried each time.
        metrics.journal_errors.inc_by(u64::from(written.is_err()));
        let error = written.err().map(|error| error.to_string());
        match (self.failing.follow(error.as_deref()), error) {
            (Some(News::Over(times)), _) => tracing::info!(times, "the journal of alerts is written again"),
            (Some(News::Fails), Some(error)) => {
                tracing::error!(
                    "the journal of alerts cannot be written, so a restart would forget what changed: {error}"
                );
            }
            _ => {}
        }
    }

    /// Whether it could not be written the last time.
    pub fn is_failing(&self) -> bool {
        self.failing.times > 0
    }
}
