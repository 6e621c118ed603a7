//! One alert of a rule: an element of its result, from when it is first there until a while after it resolved.

use std::sync::Arc;
use std::time::Duration;

use super::super::missing_input::Lost;
use super::super::moment::Steady;
use crate::data::{LabelSet, UnixNanos};

/// An alert. Its labels are the key under which its rule has it.
#[derive(Clone, Debug)]
pub(in super::super) struct Instance {
    /// Annotations, expanded at the last evaluation that had its series.
    pub annotations: LabelSet,
    /// Labels of the series in the rule's result, without the metric's name.
    pub element: LabelSet,
    /// The value at the last evaluation that had its series.
    pub value: f64,
    /// What it is.
    pub phase: Phase,
    /// When it became active.
    pub active_at: UnixNanos,
    /// From when its `for` counts: when it became active, later by what does not count.
    pub counts_from: Steady,
    /// Since when it only goes on firing because of `keep_firing_for`.
    pub keeps_firing: Option<Since>,
    /// Since when it is held, and why.
    pub held: Option<Held>,
    /// When it was handed on last.
    pub sent: Option<Steady>,
    /// The same as the journal has it: what was handed on is journalled behind that.
    pub sent_journalled: Option<Steady>,
    /// Whether the journal has it otherwise.
    pub changed: bool,
    /// Labels of the series that it writes, once it has.
    pub writes: Option<Writes>,
}

/// Labels of the series that an alert writes.
#[derive(Clone, Debug)]
pub(in super::super) struct Writes {
    /// Of `ALERTS`.
    pub state: Arc<[u8]>,
    /// Whether that says that it fires.
    pub fires: bool,
    /// Of `ALERTS_FOR_STATE`.
    pub since: Arc<[u8]>,
}

/// What an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Phase {
    /// Its `for` is not over.
    Pending,
    /// It fires.
    Firing {
        /// Since when.
        fired: UnixNanos,
    },
    /// It fired, and its series is gone.
    Resolved {
        /// Since when it fired.
        fired: UnixNanos,
        /// Since when it does not.
        resolved: Since,
    },
}

/// A time on both lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Since {
    /// For whoever looks at it.
    pub wall: UnixNanos,
    /// For counting.
    pub steady: Steady,
}

/// That an alert is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Held {
    /// Since when.
    pub since: Since,
    /// Why.
    pub why: Lost,
}

impl Instance {
    /// Whether it is pending or firing.
    pub fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Resolved { .. })
    }

    /// Becomes something else.
    pub fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.changed = true;
    }

    /// Its evidence is there again: what it was held for is not part of its `for`.
    pub fn let_go(&mut self, now: Steady) {
        if let Some(held) = self.held.take() {
            self.counts_from = self.counts_from.plus(now.since(held.since.steady));
            self.changed = true;
        }
    }

    /// Is held, from `since` on if it was not before.
    pub fn hold(&mut self, since: Since, why: Lost) {
        match &mut self.held {
            Some(held) if held.why == why => {}
            Some(held) => held.why = why,
            none => {
                *none = Some(Held { since, why });
                self.changed = true;
            }
        }
    }

    /// Whether it is to be handed on at `now`: it fires and was not for longer than `resend`, or it resolved since.
    pub fn is_due(&self, now: Steady, resend: Duration) -> bool {
        let sent = match (&self.phase, self.sent) {
            (Phase::Pending, _) => return false,
            (_, None) => return true,
            (_, Some(sent)) => sent,
        };
        match &self.phase {
            Phase::Resolved { resolved, .. } if resolved.steady > sent => true,
            _ => sent.plus(resend) < now,
        }
    }
}
