//! What the lists of the API may be asked for.

use super::alerts::is_suppressed;
use crate::alerting::dispatch::AlertView;
use crate::alerting::matcher::{self, Matcher, Op};

/// The parameters of an address. Of one that is not there everything is wanted.
#[derive(Debug)]
pub(super) struct Parameters {
    pub active: bool,
    pub silenced: bool,
    pub inhibited: bool,
    pub muted: bool,
    pub pending: bool,
    pub expired: bool,
    pub filter: Vec<Matcher>,
    receiver: Option<Matcher>,
    receiver_matchers: Vec<Matcher>,
}

impl Parameters {
    /// Reads the query of an address.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn read(query: &str) -> Result<Self, String> {
        let mut read = Self {
            active: true,
            silenced: true,
            inhibited: true,
            muted: true,
            pending: true,
            expired: true,
            filter: Vec::new(),
            receiver: None,
            receiver_matchers: Vec::new(),
        };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let one =
                |value: &str| matcher::parse_one(value).map_err(|error| format!("bad matcher `{value}`: {error}"));
            let flag = match &*name {
                "active" => &mut read.active,
                "silenced" => &mut read.silenced,
                "inhibited" => &mut read.inhibited,
                "muted" => &mut read.muted,
                "pending" => &mut read.pending,
                "expired" => &mut read.expired,
                "filter" => {
                    read.filter.push(one(&value)?);
                    continue;
                }
                "receiver_matchers" => {
                    read.receiver_matchers.push(one(&value)?);
                    continue;
                }
                "receiver" => {
                    let pattern = Matcher::new(Op::Matches, "name", &value);
                    read.receiver = Some(pattern.map_err(|error| format!("failed to parse receiver param: {error}"))?);
                    continue;
                }
                _ => continue,
            };
            *flag = match &*value.to_ascii_lowercase() {
                "true" | "1" | "t" | "yes" | "on" => true,
                "false" | "0" | "f" | "no" | "off" => false,
                _ => return Err(format!("`{name}` is `{value}`; write true or false")),
            };
        }
        Ok(read)
    }

    /// Whether an alert is wanted, by its labels and by what keeps it from being told.
    pub fn wants(&self, view: &AlertView) -> bool {
        let labels = &view.kept.alert.labels;
        self.filter.iter().all(|matcher| matcher.matches(labels.get(matcher.name())))
            && (self.active || is_suppressed(view))
            && (self.silenced || view.silenced_by.is_empty())
            && (self.inhibited || view.inhibited_by.is_none())
    }

    /// Whether what is of this receiver is wanted. Its only label is its name.
    pub fn wants_receiver(&self, name: &str) -> bool {
        let value = |of: &Matcher| if of.name() == "name" { name } else { "" };
        self.receiver.iter().chain(&self.receiver_matchers).all(|matcher| matcher.matches(value(matcher)))
    }

    /// Whether what is of one of these receivers is wanted.
    pub fn wants_some_receiver(&self, names: &[Box<str>]) -> bool {
        names.iter().any(|name| self.wants_receiver(name))
    }
}
