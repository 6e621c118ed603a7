//! Floor 6: alert rules, the state of their alerts, and the way of an alert to a person.
//!
//! Rules make [`Alert`]s; the dispatcher groups and routes them as Alertmanager does; a [`Notifier`] writes pages and sends
//! them, one kind a folder of `notifiers`.
//!
//! To read it from the rule to the person:
//!
//! - [`rule_file`] reads rules, `engine` evaluates them group by group (`group`, `rule`, with texts by [`template`]) and keeps
//!   what their alerts are (`state`); [`missing_input`] tells an alert that ended from one whose series is not there.
//!   [`placement`] says which rules need the series of all nodes, `elsewhere` and [`remote`] are for queries that somebody else
//!   answers, [`unit_test`] runs the tests of rule files.
//! - [`dispatch`] groups alerts by the tree of [`route`]s and asks [`silence`] and [`inhibit`], which tell alerts by [`matcher`]s,
//!   and [`mute`], which knows times. [`sending`] is what all receivers share, [`outbox`] has the pages that are on their way.
//! - [`paging`] drives dispatcher and outbox on a thread of their own; [`running`] is all that outlives a reload.

mod alert;
mod bug;
pub mod dead_mans_switch;
pub mod dispatch;
mod elsewhere;
mod engine;
mod group;
pub mod inhibit;
pub mod matcher;
pub mod missing_input;
mod moment;
pub mod mute;
mod notifier;
pub mod outbox;
pub mod paging;
pub mod placement;
mod record;
pub mod remote;
mod results;
pub mod route;
mod rule;
pub mod rule_file;
pub mod running;
pub mod sending;
pub mod silence;
mod state;
mod status;
pub mod template;
#[cfg(test)]
mod testing;
pub mod unit_test;

pub use alert::{Alert, Occurrence};
pub use elsewhere::{Answers, Questions, Ticket};
pub use engine::{Begun, Due, Evaluated, Evaluation, GroupName, RuleMetrics, Rules};
pub use missing_input::MissingInput;
pub use moment::{Clock, Moment, SystemClock};
pub use notifier::{Notification, Notifier, Page, PageKind, Refusal, WriteError, named};
pub use results::{Row, Store, Wanted};
pub use rule::Settings;
pub use running::Running;
pub use state::KIND;
pub use status::{AlertStatus, AlertingStatus, GroupStatus, Map, OutcomeStatus, RecordingStatus, RuleStatus, Time};
