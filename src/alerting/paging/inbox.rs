//! Alerts on their way to the dispatcher: whoever speaks of them never waits, and what is said twice takes place once.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::alerting::dispatch::{Fingerprint, Kept};
use crate::data::UnixMillis;

/// Alerts that somebody spoke of since the dispatcher looked last.
#[derive(Debug)]
pub(super) struct Inbox {
    alerts: Vec<Kept>,
    at: HashMap<Fingerprint, usize>,
    most: usize,
    bytes: usize,
    most_bytes: usize,
    refused: u64,
    /// Whoever waits for what they posted to be kept.
    posts: Vec<Post>,
    is_closed: bool,
}

/// Alerts that somebody posted, who waits to hear whether they are kept.
#[derive(Debug)]
pub(super) struct Post {
    /// Those that found a place here.
    pub alerts: Vec<Fingerprint>,
    /// How many found none.
    pub refused: usize,
    pub answer: oneshot::Sender<Result<(), PostError>>,
}

/// Why alerts that were posted do not count as taken. Whoever posted them should do so again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// There are too many.
    #[error(
        "{0} of the alerts found no place: as many alerts, or bytes of them, are kept as may be; post them again when \
         others are over"
    )]
    NoPlace(usize),
    /// They are known, and on no disk.
    #[error("the alerts are not on disk, and would be lost by a crash; post them again: {0}")]
    NotKept(String),
    /// There is nobody who keeps them.
    #[error("the agent ends, or what sends pages has failed; post them again")]
    Ended,
}

impl Inbox {
    /// One that keeps so many alerts at most, and so many bytes of them, about.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            alerts: Vec::new(),
            at: HashMap::new(),
            most,
            bytes: 0,
            most_bytes,
            refused: 0,
            posts: Vec::new(),
            is_closed: false,
        }
    }

    /// So much is kept at most from now on.
    pub fn set_limits(&mut self, most: usize, most_bytes: usize) {
        (self.most, self.most_bytes) = (most, most_bytes);
    }

    /// Returns whether it found a place.
    pub fn put(&mut self, kept: Kept, now: UnixMillis) -> bool {
        if let Some(at) = self.at.get(&kept.fingerprint) {
            let before = &mut self.alerts[*at];
            let kept = if self.bytes >= self.most_bytes && kept.bytes() > before.bytes() {
                self.refused += 1;
                kept.in_words_of(before)
            } else {
                kept
            };
            self.bytes -= before.bytes();
            *before = before.then(kept, now);
            self.bytes += before.bytes();
        } else if self.alerts.len() < self.most && self.bytes < self.most_bytes {
            self.bytes += kept.bytes();
            self.at.insert(kept.fingerprint, self.alerts.len());
            self.alerts.push(kept);
        } else {
            self.refused += 1;
            return false;
        }
        true
    }

    /// Whoever posted what was put here last waits, unless nobody looks here any more.
    pub fn wait(&mut self, post: Post) {
        if !self.is_closed {
            self.posts.push(post);
        }
    }

    /// Nobody looks here any more: whoever waits is told so.
    pub fn close(&mut self) {
        self.is_closed = true;
        self.posts.clear();
    }

    /// Who waits for what is taken together with this.
    pub fn take_posts(&mut self) -> Vec<Post> {
        std::mem::take(&mut self.posts)
    }

    /// So many more found no place elsewhere.
    pub fn refuse(&mut self, alerts: u64) {
        self.refused += alerts;
    }

    /// What came, and how many found no place.
    pub fn take(&mut self) -> (Vec<Kept>, u64) {
        self.at.clear();
        self.bytes = 0;
        (std::mem::take(&mut self.alerts), std::mem::take(&mut self.refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::dispatch::testing::kept;

    #[test]
    fn the_last_word_counts_and_there_is_a_limit() {
        let mut inbox = Inbox::new(2, 1 << 20);
        for (name, ends) in [("a", 100), ("b", 100), ("c", 100), ("a", 200)] {
            inbox.put(kept(&[("i", name)], 0, ends), UnixMillis(0));
        }
        let (alerts, refused) = inbox.take();
        let seen: Vec<_> = alerts.iter().map(|kept| (kept.alert.labels.get("i"), kept.alert.ends_at.0)).collect();
        assert_eq!((seen, refused), (vec![("a", 200), ("b", 100)], 1));
        assert_eq!(inbox.take().0.len(), 0);
        let mut inbox = Inbox::new(100, 1000);
        for number in 0..100 {
            inbox.put(kept(&[("i", &number.to_string())], 0, 100), UnixMillis(0));
        }
        let (alerts, refused) = inbox.take();
        assert_eq!((alerts.len(), refused), (4, 96), "bytes are limited too");
        let mut inbox = Inbox::new(100, 1000);
        for number in 0..100 {
            let mut grown = kept(&[("i", &(number % 4).to_string())], 0, 100 + number);
            grown.alert.generator_url = "g".repeat(300 * number as usize / 4);
            inbox.put(grown, UnixMillis(0));
        }
        let bytes: usize = inbox.alerts.iter().map(Kept::bytes).sum();
        assert!(bytes < 2000, "nor does what is known grow: {bytes}");
        assert_eq!(inbox.take().0.iter().map(|kept| kept.alert.ends_at.0).max(), Some(198), "it is heard all the same");
    }
}
