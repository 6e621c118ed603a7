//! The pages of one key: how they stand behind each other, and for how long each means something.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Presence;
use crate::alerting::notifier::{Page, PageKind};
use crate::alerting::outbox::Settings;
use crate::data::UnixMillis;
use crate::delivery::retry::Backoff;

/// The pages of one key, in their order.
#[derive(Debug, Default)]
pub struct Queue {
    pub waiting: VecDeque<Waiting>,
    /// Whether the first of them is being sent.
    pub is_under_way: bool,
    /// Others that are being sent: by lanes that this one took over. It goes on when all are answered.
    pub beside: Vec<u64>,
    /// Whether something may be open at the receiver: a trigger was attempted, and no resolve delivered since.
    pub is_open: bool,
    /// The pause behind a refusal ends then.
    pub not_before: UnixMillis,
    /// By when it stands in the order of what is due.
    pub due: UnixMillis,
    pub backoff: Option<Backoff>,
    pub last_trigger: Option<UnixMillis>,
}

/// A page as it was written.
#[derive(Clone, Debug)]
pub struct Written {
    pub id: u64,
    /// The id of the first page that was written with it.
    pub batch: u64,
    pub origin: Arc<str>,
    /// Whether it says more than that something fires, so that a newer one says not all that it says.
    pub is_lasting: bool,
    pub page: Page,
    pub written_at: UnixMillis,
}

/// A page that waits or is being sent.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub written: Written,
    /// When it was attempted first.
    pub begun_at: Option<UnixMillis>,
    /// Whether that was before a crash, which left unknown whether it arrived.
    pub is_unanswered: bool,
}

impl Queue {
    /// Whether what waits behind the first page makes that needless.
    pub fn says_more(&self) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|first| self.waiting.iter().skip(1).any(|other| first.written.yields_to(&other.written)))
    }

    /// When something is to be done about it; `None` where nothing is.
    pub fn due(&self, presence: Presence, settings: &Settings, now: UnixMillis) -> Option<UnixMillis> {
        // Until then the next trigger has to wait.
        let free = self.last_trigger.map_or(now, |last| last.plus(settings.key_interval));
        let Some(first) = self.waiting.front() else { return (free > now).then_some(free) };
        Some(match (presence, first.written.page.kind) {
            (Presence::Gone, _) => first.written.patience_ends(settings),
            (_, PageKind::Trigger) => self.not_before.max(free),
            _ => self.not_before.max(now),
        })
    }
}

impl Written {
    pub fn is_resolve(&self) -> bool {
        self.page.kind == PageKind::Resolve
    }

    /// Whether what comes behind it in `other` makes it needless.
    pub fn yields_to(&self, other: &Self) -> bool {
        !self.is_resolve() && !self.is_lasting && self.batch != other.batch && other.page.kind != PageKind::Acknowledge
    }

    /// When it has waited too long, where that is possible.
    pub fn patience_ends(&self, settings: &Settings) -> UnixMillis {
        let is_of_ends = self.is_resolve() || self.is_lasting;
        self.written_at.plus(if is_of_ends { settings.resolve_within } else { settings.resend_within })
    }

    pub fn bytes(&self) -> usize {
        self.page.body.len() + self.page.key.len() + 256
    }
}

impl Waiting {
    pub fn new(written: Written) -> Self {
        Self { written, begun_at: None, is_unanswered: false }
    }

    /// Whether it must not be sent any more.
    pub fn is_stale(&self, settings: &Settings, now: UnixMillis) -> bool {
        let written = &self.written;
        if written.is_resolve() || written.is_lasting {
            return written.patience_ends(settings) <= now;
        }
        let begun = self.begun_at.filter(|_| self.is_unanswered);
        begun.is_some_and(|begun| begun.plus(settings.resend_within) <= now)
    }
}
