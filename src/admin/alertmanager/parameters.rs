//! What the lists of the API may be asked for.

use super::alerts::is_suppressed;
use crate::alerting::dispatch::AlertView;
use crate::alerting::matcher::{self, Matcher, Op};

/// Most bytes that the matchers of one request may hold, and most matchers.
const MOST_HELD: usize = 32 << 20;
const MOST_MATCHERS: usize = 1000;

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
        let (mut held, mut count) = (0, 0);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            // What is replaced counts too: it was compiled.
            let mut counted = |matcher: Matcher| {
                (held, count) = (held + matcher.held_bytes(), count + 1);
                let has_room = held <= MOST_HELD && count <= MOST_MATCHERS;
                has_room.then_some(matcher).ok_or_else(|| {
                    format!(
                        "the matchers of one request are more than {MOST_MATCHERS}, or take more than {} MiB as patterns do; \
                         write fewer or simpler ones",
                        MOST_HELD >> 20
                    )
                })
            };
            let mut one = |value: &str| {
                let read = matcher::parse_one(value).map_err(|error| format!("bad matcher `{value}`: {error}"));
                read.and_then(&mut counted)
            };
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
                    let pattern = pattern.map_err(|error| format!("failed to parse receiver param: {error}"))?;
                    read.receiver = Some(counted(pattern)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_take_no_more_memory_than_those_of_a_request_may() {
        assert!(Parameters::read(&"filter=a%3D~%22b.*%22&".repeat(100)).is_ok());
        let refused = |query: String| Parameters::read(&query).is_err_and(|why| why.contains("write fewer or simpler"));
        // A megabyte and more each.
        for heavy in [
            "filter=a%3D~%22%5C%5CpL%7B90%7D%22&",
            "receiver_matchers=a%3D~%22%5C%5CpL%7B90%7D%22&",
            "receiver=%5CpL%7B90%7D&",
        ] {
            assert!(Parameters::read(heavy).is_ok(), "{heavy}");
            assert!(refused(heavy.repeat(1000)), "{heavy}");
        }
        assert!(refused("filter=a%3Db&".repeat(MOST_MATCHERS + 1)));
    }
}
