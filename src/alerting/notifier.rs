//! What a notifier does: it writes pages, and sends them. When, how often and in which order is the outbox's business, so
//! that no kind of page is lost where another is not.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::alert::Alert;
use super::sending::Target;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// What a receiver is told of a group of alerts: Alertmanager's template data.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Name of the receiver.
    pub receiver: Box<str>,
    /// Which group it is, as Alertmanager writes it: `{}/{severity="page"}:{alertname="Down"}`.
    pub group_key: String,
    /// Labels by which the alerts are grouped.
    pub group_labels: LabelSet,
    /// When this is said.
    pub now: UnixMillis,
    /// Firing alerts, and those that resolved since the receiver was told last.
    pub alerts: Vec<Alert>,
}

/// What a page says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageKind {
    /// Something began, or goes on.
    Trigger,
    /// Somebody takes care of it.
    Acknowledge,
    /// It ended.
    Resolve,
}

/// One request to be made, as it is journalled. Pages of one key go out one after the other in the order they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What it is about: a dedup key that is the same on every replica and after every restart.
    pub key: String,
    /// What it says.
    pub kind: PageKind,
    /// Names of the alerts that it speaks of, for whoever reads that it did not arrive.
    pub about: String,
    /// The request's body, or whatever the notifier needs to make it; secrets are not in it.
    pub body: Bytes,
}

/// Most bytes of one page: far more than any receiver takes.
pub const MOST_PAGE: usize = 4 << 20;

/// Most names of alerts that are told of one page, and most bytes of them.
const MOST_NAMES: (usize, usize) = (3, 200);

impl Notification {
    /// The names of its alerts, each once; of many the first.
    pub fn names(&self) -> String {
        let mut names: Vec<&str> = self.alerts.iter().map(Alert::name).collect();
        names.sort_unstable();
        names.dedup();
        let more = if names.len() > MOST_NAMES.0 { ", …" } else { "" };
        names.truncate(MOST_NAMES.0);
        named(&format!("{}{more}", names.join(", ")))
    }
}

/// A name of alerts, no longer than is told.
pub fn named(name: &str) -> String {
    let cut = (0..=name.len().min(MOST_NAMES.1)).rev().find(|at| name.is_char_boundary(*at));
    name[..cut.unwrap_or(0)].to_owned()
}

/// A notification could not be written: a template that fails.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(pub String);

/// A page was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refusal {
    /// It never will be: the page is given up, counted and told.
    #[error("{0}")]
    ForGood(String),
    /// It may be with another key, which may come at any time, so that it is looked at again soon. Whoever sends it asks the
    /// receiver less often than that.
    #[error("{0}")]
    OfKey(String),
    /// It may be later: after `after` at the earliest, where the receiver says so.
    #[error("{why}")]
    ForNow {
        /// What the receiver said, or what failed.
        why: String,
        /// How long to wait at least.
        after: Option<Duration>,
    },
}

/// A kind of receiver, configured.
pub trait Notifier: Send + Sync + 'static {
    /// The kind as Alertmanager's configuration writes it, without `_configs`: `pagerduty`.
    fn kind(&self) -> &'static str;

    /// Whom it sends to. What was told there goes on under this name, wherever in the configuration it is written.
    fn target(&self) -> Target;

    /// The configuration has it no more: it goes on with the secrets that it has, and does not look for newer ones.
    fn freeze(&self) {}

    /// Whether it wants to hear of alerts that resolved.
    fn send_resolved(&self) -> bool;

    /// Whether what it is told stays open until it is told that it is over, as an incident does. It is then told so also
    /// while the alert is silenced, inhibited or muted, so that nothing stays open that is over.
    fn keeps_open(&self) -> bool {
        false
    }

    /// The pages that say what the notification says; most kinds write one, PagerDuty one an alert.
    ///
    /// # Errors
    /// Where a template fails.
    fn write(&self, notification: &Notification) -> Result<Vec<Page>, WriteError>;

    /// The page that says that somebody takes care of an alert, where the kind has such a thing.
    fn acknowledge(&self, _alert: &Alert) -> Option<Page> {
        None
    }

    /// How often it must hear of what goes on, for a receiver that takes what it does not hear of for resolved, however long
    /// `repeat_interval` is.
    fn resend_every(&self) -> Option<Duration> {
        None
    }

    /// Sends a page; ready once the receiver has it. May be called again with the same page after a crash or a refusal for
    /// now: a receiver can tell by the page's key or idempotency id.
    fn send<'a>(&'a self, page: &'a Page) -> BoxFuture<'a, Result<(), Refusal>>;
}
