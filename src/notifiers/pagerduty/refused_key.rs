//! A routing key that PagerDuty refuses. Every page would be refused with it, so that of all that wait one at a time asks, and
//! that seldom, until the key is another one.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::alerting::sending::Fault;

/// How often it is tried with a key that was refused: it may be one that PagerDuty does not know yet.
const ASK_EVERY: Duration = Duration::from_secs(30);

/// The key that was refused last, if any.
#[derive(Default)]
pub struct RefusedKey(Mutex<Option<Refused>>);

struct Refused {
    key: Arc<str>,
    why: String,
    /// From then on it may be tried again.
    ask_from: Instant,
}

impl RefusedKey {
    /// Why nothing is to be sent with this key now. Where there is no reason, whoever asks may send, and nobody else for a while
    /// if the key was refused before.
    pub fn holds(&self, key: &str, now: Instant) -> Option<String> {
        let mut refused = self.lock();
        let refused = refused.as_mut().filter(|refused| *refused.key == *key)?;
        if now < refused.ask_from {
            return Some(refused.why.clone());
        }
        refused.ask_from = now + ASK_EVERY;
        None
    }

    /// PagerDuty refuses this key.
    pub fn is(&self, key: &Arc<str>, why: &str, now: Instant) {
        *self.lock() = Some(Refused { key: key.clone(), why: why.to_owned(), ask_from: now + ASK_EVERY });
    }

    /// PagerDuty takes this key.
    pub fn is_not(&self, key: &str) {
        let mut refused = self.lock();
        if refused.as_ref().is_some_and(|refused| *refused.key == *key) {
            *refused = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RefusedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RefusedKey").field(&self.lock().is_some()).finish()
    }
}

/// PagerDuty has no status for a key that is none: it answers 400 as to a bad event, and names the key
/// (`Length of 'routing_key' is incorrect (should be 32 characters)`, `Invalid routing key`).
pub fn fault(status: u16, body: &[u8]) -> Option<Fault> {
    let said = || String::from_utf8_lossy(body).to_ascii_lowercase();
    let names_key = status == 400 && ["routing_key", "routing key"].iter().any(|name| said().contains(name));
    names_key.then_some(Fault::Key("check `routing_key` of the receiver"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_each_half_minute_with_a_key_that_was_refused_and_all_with_another() {
        let (refused, start) = (RefusedKey::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let [old, new]: [Arc<str>; 2] = ["old".into(), "new".into()];
        assert_eq!(refused.holds(&old, start), None);
        refused.is(&old, "no", start);
        let held = [0, 29, 30, 31, 59, 60, 61].map(|seconds| refused.holds(&old, at(seconds)).is_some());
        assert_eq!(held, [true, true, false, true, true, false, true]);
        assert_eq!(refused.holds(&new, at(61)), None, "another one is tried at once");
        refused.is_not(&new);
        assert!(refused.holds(&old, at(61)).is_some(), "which says nothing of the old one");
        assert!(!format!("{refused:?}").contains("old"));
        refused.is_not(&old);
        assert_eq!([61, 62].map(|seconds| refused.holds(&old, at(seconds))), [None, None]);
    }

    #[test]
    fn only_a_400_that_names_the_key_is_about_the_key() {
        for said in ["Length of 'routing_key' is incorrect (should be 32 characters)", "Invalid Routing Key"] {
            assert!(matches!(fault(400, said.as_bytes()), Some(Fault::Key(_))), "{said}");
            assert_eq!(fault(413, said.as_bytes()), None);
        }
        assert_eq!(fault(400, b"'payload.severity' is invalid"), None);
    }
}
