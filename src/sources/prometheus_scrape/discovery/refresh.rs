//! Discoveries that ask again every so often.

use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::options::problem::Code;
use crate::options::{Duration, Problem, Spanned};

/// An interval that is none.
const BAD_INTERVAL: Code = Code("TW0753");

/// Says where an interval is none.
pub fn problems(every: &Spanned<Duration>, problems: &mut Vec<Problem>) {
    if every.0.is_zero() {
        let problem = Problem::new(BAD_INTERVAL, every.span, "`refresh_interval` is no time at all");
        problems.push(problem.help("write how often to look, such as `30s`"));
    }
}

/// Ticks at once and then after every interval. A look that takes longer than the interval delays the next.
pub fn ticks(every: std::time::Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
