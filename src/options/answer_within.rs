//! How long whoever pushes data waits for an answer. What it does is in `pipeline::pushed`.

use std::time::Duration as StdDuration;

use super::{Code, Duration, Problem, Spanned};

/// 5 s: below what senders wait for, as a rule.
pub fn default() -> Spanned<Duration> {
    Spanned::unknown(Duration(StdDuration::from_secs(5)))
}

/// What is wrong with a written one.
pub fn problem(written: &Spanned<Duration>) -> Option<Problem> {
    if (StdDuration::from_millis(100)..=StdDuration::from_secs(300)).contains(&written.0) {
        return None;
    }
    let problem = Problem::new(Code("TW0541"), written.span, format!("`answer_within` is {}", written.value));
    Some(problem.help("write a time from 100ms to 5m, such as 5s"))
}
