//! Options of the outbox.

use std::time::Duration as StdDuration;

use schemars::JsonSchema;

use super::Settings;
use crate::options::{ByteSize, Code, Duration, Problem, Spanned};

/// A limit that makes no sense.
const LIMITS: Code = Code("TW1013");

/// How pages are sent.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Outbox")]
pub struct OutboxOptions {
    /// Most requests of one integration at once, from 1 to 64. Pages of one key never overlap. Default: `4`.
    pub concurrency: Spanned<usize>,
    /// Longest time for one request, from 100ms to 5m. One that takes longer counts as unanswered and is made again.
    /// Default: `30s`.
    pub timeout: Spanned<Duration>,
    /// How long after its first attempt a page may be sent again of which a crash of the agent left unknown whether it
    /// arrived. What is older and still so is told anew. Default: `1h`.
    pub resend_within: Duration,
    /// How long a page is tried that says that something is over. Behind that it is given up, counted and told in the log.
    /// Default: `24h`.
    pub resolve_within: Duration,
    /// Shortest time between two pages of one key that say that something fires; of those that come closer the newest goes
    /// out. Default: `0`, no limit.
    pub key_interval: Duration,
    /// Most bytes of pages that wait, from 1MiB. Where they are reached, groups are told later. Default: `64MiB`.
    pub max_bytes: Spanned<ByteSize>,
}

impl Default for OutboxOptions {
    fn default() -> Self {
        let seconds = |seconds| Duration(StdDuration::from_secs(seconds));
        Self {
            concurrency: Spanned::unknown(4),
            timeout: Spanned::unknown(seconds(30)),
            resend_within: seconds(3600),
            resolve_within: seconds(86_400),
            key_interval: seconds(0),
            max_bytes: Spanned::unknown(ByteSize(64 << 20)),
        }
    }
}

impl OutboxOptions {
    /// What the options mean.
    pub fn settings(&self) -> Settings {
        Settings {
            concurrency: self.concurrency.value,
            timeout: self.timeout.value.0,
            resend_within: self.resend_within.0,
            resolve_within: self.resolve_within.0,
            key_interval: self.key_interval.0,
            bytes: usize::try_from(self.max_bytes.value.0).unwrap_or(usize::MAX),
        }
    }

    /// Everything that is wrong.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |span, what: String, help: &str| problems.push(Problem::new(LIMITS, span, what).help(help));
        if !(1..=64).contains(&self.concurrency.value) {
            let what = format!("`concurrency` is {}", self.concurrency.value);
            wrong(self.concurrency.span, what, "write a number from 1 to 64, such as 4");
        }
        if !(StdDuration::from_millis(100)..=StdDuration::from_secs(300)).contains(&self.timeout.value.0) {
            let what = format!("`timeout` is {}", self.timeout.value);
            wrong(self.timeout.span, what, "write a time from 100ms to 5m, such as 30s");
        }
        if self.max_bytes.value.0 < 1 << 20 {
            wrong(self.max_bytes.span, format!("`max_bytes` is {}", self.max_bytes.value), "write a size from 1MiB");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_limits() {
        let read = |json| serde_json::from_str::<OutboxOptions>(json).expect("its shape");
        assert_eq!(read("{}").problems(), []);
        let wrong = read(r#"{ "concurrency": 0, "timeout": "1ms", "max_bytes": "1KiB" }"#).problems();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
    }
}
