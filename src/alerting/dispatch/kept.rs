//! An alert as it is known here, and what becomes of it when somebody speaks of it again.

use std::cmp::Ordering;

use super::Fingerprint;
use crate::alerting::Alert;
use crate::data::UnixMillis;
use crate::data::labels::LabelSet;

/// An alert that is known.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What was said of it.
    pub alert: Alert,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// When it was said.
    pub updated_at: UnixMillis,
    /// Whether its end was not said, but is that of what nobody speaks of again.
    pub ends_by_timeout: bool,
    /// Whether somebody spoke of it since the process began. One that is only remembered is told to nobody as firing.
    pub is_confirmed: bool,
    /// Whether it was posted by others: no rule of here remembers it.
    pub is_posted: bool,
}

impl Kept {
    /// An alert of which something is said now.
    pub fn new(alert: Alert, ends_by_timeout: bool, now: UnixMillis) -> Self {
        Self {
            fingerprint: Fingerprint::of(&alert.labels),
            alert,
            updated_at: now,
            ends_by_timeout,
            is_confirmed: true,
            is_posted: false,
        }
    }

    /// The same, as others posted it.
    #[must_use]
    pub fn posted(self) -> Self {
        Self { is_posted: true, ..self }
    }

    /// What holds once `newer` is said of the same alert: where the two overlap it began when the earlier did, and ends
    /// when the later said so, unless the earlier said of a later end itself.
    #[must_use]
    pub fn then(&self, mut newer: Self, now: UnixMillis) -> Self {
        newer.is_posted |= self.is_posted;
        let (old, new) = (&self.alert, &mut newer.alert);
        let within = |time: UnixMillis| time > old.starts_at && time < old.ends_at;
        if !within(new.ends_at) && !within(new.starts_at) {
            return newer;
        }
        new.starts_at = new.starts_at.min(old.starts_at);
        let later = old.ends_at > new.ends_at;
        let keeps = if new.is_resolved(now) { old.is_resolved(now) } else { !self.ends_by_timeout };
        if later && keeps {
            new.ends_at = old.ends_at;
        }
        newer
    }

    /// The same, in the words that were said of it before: there is no room for others.
    #[must_use]
    pub fn in_words_of(mut self, before: &Self) -> Self {
        self.alert.annotations.clone_from(&before.alert.annotations);
        self.alert.generator_url.clone_from(&before.alert.generator_url);
        self.alert.occurrences.clone_from(&before.alert.occurrences);
        self
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        let labels = |set: &LabelSet| set.iter().map(|(name, value)| name.len() + value.len() + 32).sum::<usize>();
        let lines: usize = self.alert.occurrences.iter().map(|one| one.line.len() + 128).sum();
        labels(&self.alert.labels) + labels(&self.alert.annotations) + self.alert.generator_url.len() + lines + 256
    }
}

/// The order of alerts in a notification: by `job`, by `instance`, then by all labels, of which fewer come first.
pub(super) fn in_order(a: &LabelSet, b: &LabelSet) -> Ordering {
    ["job", "instance"]
        .into_iter()
        .map(|name| match (a.has(name), b.has(name)) {
            (true, true) => a.get(name).cmp(b.get(name)),
            (a, b) => b.cmp(&a),
        })
        .find(|order| order.is_ne())
        .unwrap_or_else(|| labels_in_order(a, b))
}

/// The order of sets of labels, of which fewer come first; of as many, at the first name that is not in both or has two
/// values.
pub(super) fn labels_in_order(a: &LabelSet, b: &LabelSet) -> Ordering {
    let pairs = || {
        a.iter().zip(b.iter()).map(|((a_name, a_value), (b_name, b_value))| match a_name.cmp(b_name) {
            Ordering::Equal => a_value.cmp(b_value),
            // The lower name is missing in the other, which comes first.
            order => order.reverse(),
        })
    };
    a.len().cmp(&b.len()).then_with(|| pairs().find(|order| order.is_ne()).unwrap_or(Ordering::Equal))
}

#[cfg(test)]
mod tests {
    use super::super::testing::kept;
    use super::*;

    fn said(starts: i64, ends: i64, at: i64, ends_by_timeout: bool) -> Kept {
        Kept { updated_at: UnixMillis(at), ends_by_timeout, ..kept(&[("a", "b")], starts, ends) }
    }

    #[test]
    fn what_is_said_later_holds_and_the_beginning_stays() {
        for (before, after, expected) in [
            // It goes on: the beginning is that of the first, the end that of the last.
            (said(0, 100, 10, false), said(0, 130, 40, false), (0, 130)),
            (said(0, 100, 10, false), said(20, 130, 40, false), (0, 130)),
            // An end that was said before rules over an earlier one, one that only timed out does not.
            (said(0, 200, 10, false), said(20, 130, 40, false), (0, 200)),
            (said(0, 200, 10, true), said(20, 130, 40, false), (0, 130)),
            // It is over.
            (said(0, 200, 10, false), said(0, 40, 40, false), (0, 40)),
            (said(0, 35, 10, false), said(0, 30, 40, false), (0, 35)),
            // It was over, and is another one now.
            (said(0, 30, 10, false), said(40, 130, 40, false), (40, 130)),
        ] {
            let result = before.then(after, UnixMillis(40)).alert;
            assert_eq!((result.starts_at.0, result.ends_at.0), expected, "{before:?}");
        }
    }

    #[test]
    fn alerts_have_an_order() {
        let set = |pairs: &[(&str, &str)]| -> LabelSet { pairs.iter().copied().collect() };
        let ordered = [
            set(&[("job", "a"), ("z", "1"), ("y", "1"), ("instance", "1")]),
            set(&[("job", "a"), ("instance", "2")]),
            set(&[("job", "a")]),
            set(&[("job", "b"), ("instance", "1")]),
            set(&[("instance", "1")]),
            set(&[("b", "1")]),
            set(&[("b", "2")]),
            set(&[("a", "3")]),
            set(&[("a", "1"), ("b", "1")]),
        ];
        for pair in ordered.windows(2) {
            assert_eq!(in_order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(in_order(&pair[1], &pair[0]), Ordering::Greater, "{pair:?}");
        }
    }
}
