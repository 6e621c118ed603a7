//! What is told of pages on their way: what happens to them, how often, and how each integration is doing.

use std::sync::Arc;

use super::LaneName;
use crate::alerting::notifier::PageKind;
use crate::data::UnixMillis;

/// Something that somebody should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A page waits for another attempt, for a reason that was not told yet.
    Waits {
        /// By whom it was not taken.
        lane: LaneName,
        /// Names of the alerts.
        about: String,
        /// Its words, or what failed.
        why: String,
        /// When it is tried again.
        next: UnixMillis,
    },
    /// Pages arrive again.
    Arrives {
        /// Where.
        lane: LaneName,
        /// Names of the alerts of the page that did not.
        about: String,
    },
    /// A page was refused for good.
    Refused {
        /// By whom.
        lane: LaneName,
        /// About what.
        key: Arc<str>,
        /// Names of the alerts.
        about: String,
        /// Its words.
        why: String,
    },
    /// A page is not sent any more, since it waited too long.
    GivenUp {
        /// To whom.
        lane: LaneName,
        /// About what.
        key: Arc<str>,
        /// Names of the alerts.
        about: String,
        /// What it was.
        kind: PageKind,
        /// The group that it came from.
        origin: Arc<str>,
    },
    /// What was told stays open, since there is no way to its receiver any more.
    LeftOpen {
        /// To whom.
        lane: LaneName,
        /// Names of the alerts.
        about: String,
    },
    /// A trigger and its resolve are not sent, since it was over before the first attempt.
    OverUnsent {
        /// To whom.
        lane: LaneName,
        /// About what.
        key: Arc<str>,
        /// Names of the alerts.
        about: String,
    },
}

/// What happened so far to the pages of one integration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pages that came.
    pub put: u64,
    /// Pages that newer ones took the place of.
    pub superseded: u64,
    /// Triggers and resolves that were over before anybody heard of them.
    pub over_unsent: u64,
    /// Pages that the receiver has.
    pub delivered: u64,
    /// Attempts that were refused for now.
    pub retries: u64,
    /// Pages that were refused for good.
    pub refused: u64,
    /// Pages that were given up.
    pub given_up: u64,
    /// Pages that found no place.
    pub full: u64,
}

/// How one integration is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// Which one.
    pub lane: LaneName,
    /// Pages that wait or are under way.
    pub waiting: usize,
    /// Requests under way.
    pub under_way: usize,
    /// When the oldest page that waits was written.
    pub oldest: Option<UnixMillis>,
    /// What is wrong, in words: what its receiver said last, or what failed.
    pub complaint: Option<String>,
    /// What happened so far.
    pub counts: Counts,
}
