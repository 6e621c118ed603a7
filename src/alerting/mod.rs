//! Floor 6: alert rules, the state of their alerts, and the way of an alert to a person.
//!
//! Rules make [`Alert`]s; the dispatcher groups and routes them as Alertmanager does; a [`Notifier`] writes pages and sends
//! them, one kind a folder of `notifiers`.

mod alert;
pub mod dead_mans_switch;
mod notifier;
pub mod rule_file;
pub mod sending;
pub mod template;

pub use alert::{Alert, Occurrence};
pub use notifier::{Notification, Notifier, Page, PageKind, Refusal, WriteError};
