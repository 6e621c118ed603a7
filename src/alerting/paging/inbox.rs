//! Alerts on their way to the dispatcher: whoever speaks of them never waits, and what is said twice takes place once.

use std::collections::HashMap;

use crate::alerting::dispatch::{Fingerprint, Kept};
use crate::data::UnixMillis;

/// Alerts that somebody spoke of since the dispatcher looked last.
#[derive(Debug)]
pub(super) struct Inbox {
    alerts: Vec<Kept>,
    at: HashMap<Fingerprint, usize>,
    most: usize,
    refused: u64,
}

impl Inbox {
    pub fn new(most: usize) -> Self {
        Self { alerts: Vec::new(), at: HashMap::new(), most, refused: 0 }
    }

    pub fn put(&mut self, kept: Kept, now: UnixMillis) {
        if let Some(at) = self.at.get(&kept.fingerprint) {
            let before = &mut self.alerts[*at];
            *before = before.then(kept, now);
        } else if self.alerts.len() < self.most {
            self.at.insert(kept.fingerprint, self.alerts.len());
            self.alerts.push(kept);
        } else {
            self.refused += 1;
        }
    }

    /// What came, and how many found no place.
    pub fn take(&mut self) -> (Vec<Kept>, u64) {
        self.at.clear();
        (std::mem::take(&mut self.alerts), std::mem::take(&mut self.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::dispatch::testing::kept;

    #[test]
    fn the_last_word_counts_and_there_is_a_limit() {
        let mut inbox = Inbox::new(2);
        for (name, ends) in [("a", 100), ("b", 100), ("c", 100), ("a", 200)] {
            inbox.put(kept(&[("i", name)], 0, ends), UnixMillis(0));
        }
        let (alerts, refused) = inbox.take();
        let seen: Vec<_> = alerts.iter().map(|kept| (kept.alert.labels.get("i"), kept.alert.ends_at.0)).collect();
        assert_eq!((seen, refused), (vec![("a", 200), ("b", 100)], 1));
        assert_eq!(inbox.take().0.len(), 0);
    }
}
