//! One evaluation of a group: from rule to rule, each of which reads what those before it have written.

use super::super::bug::caught;
use super::super::elsewhere::Ticket;
use super::super::moment::Steady;
use super::super::results::{self, Batches};
use super::super::rule::{Evaluating, Looked, News, Rule, RuleError, Since};
use super::{Made, Shared, Surroundings};
use crate::data::{UnixMillis, UnixNanos};

/// How an evaluation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum End {
    /// Behind the last rule.
    Through,
    /// Before that: nobody wants it any more.
    Stopped,
    /// The state was taken away from it.
    Gone,
}

impl Shared {
    /// Evaluates the rules at a time. Those that were evaluated at this time before, by an evaluation that was stopped, are
    /// passed over.
    pub fn walk(&self, ticket: Ticket, (at, steady): (UnixNanos, Steady), around: &Surroundings<'_>) -> (Made, End) {
        let mut made = Made::default();
        let Some(mut group) = self.hold_for(ticket) else { return (made, End::Gone) };
        group.tally.rows = 0;
        let cx = Evaluating {
            at,
            steady,
            query_at: group.query_at(at, around.settings),
            interval: group.interval,
            limit: group.limit,
            store: around.store,
            settings: around.settings,
            recorded: around.recorded,
            stop: around.stop,
            settling: around.settling.and_then(|settling| settling.at(steady, group.interval)),
            stepped: around.settling.and_then(|settling| settling.stepped(steady)),
        };
        let now = Since { wall: at, steady };
        let mut number = 0;
        while let Some(rule) = group.rules.get_mut(number) {
            if around.stop.is_stopped() {
                return (made, End::Stopped);
            }
            if rule.evaluated == Some(now) {
                // What an evaluation handed on of which nobody hears is handed on by this one.
                let failed = rule.outcome.error.is_some() && rule.outcome.rows == 0;
                rule.due(&cx, failed, &mut made.alerts);
                number += 1;
                continue;
            }
            let look = rule.look();
            drop(group);
            let began = around.clock.now();
            let looked = caught(|| look.look(&cx)).unwrap_or_else(|bug| Err(bug.into()));
            // What was found then may be what was found so far.
            if around.stop.is_stopped() {
                return (made, End::Stopped);
            }
            let Some(held) = self.hold_for(ticket) else { return (made, End::Gone) };
            group = held;
            let rule = &mut group.rules[number];
            let began_at = began.wall.into();
            let mut take = |looked| caught(|| rule.take(&cx, looked, began_at, around.batches, &mut made));
            // Where what was found cannot be followed, it counts as if nothing could be found.
            let taken = take(looked).or_else(|bug| take(Err(bug.into())));
            let failed = taken.unwrap_or_else(|bug| {
                rule.evaluated = Some(now);
                rule.fail(&RuleError::from(bug))
            });
            rule.outcome.at = Some(began.wall);
            rule.outcome.took = around.clock.now().running.saturating_sub(began.running);
            let rows = rule.outcome.rows;
            group.tally.evaluations += 1;
            group.tally.failures += u64::from(failed);
            group.tally.rows += rows;
            number += 1;
        }
        group.evaluated = Some(now);
        (made, End::Through)
    }
}

impl Rule {
    /// Takes what was found, hands on what comes of it and ends what the rule does not write any more. Returns whether it
    /// failed.
    fn take(
        &mut self,
        cx: &Evaluating<'_>,
        looked: Result<Looked, RuleError>,
        began: UnixMillis,
        batches: &Batches,
        out: &mut Made,
    ) -> bool {
        let bug = looked.as_ref().ok().and_then(Looked::bug).map(ToString::to_string);
        let result = self.follow(cx, looked);
        self.due(cx, result.is_err(), &mut out.alerts);
        let mut rows = match result {
            Ok(rows) => rows,
            Err(error) => return self.fail(&error),
        };
        self.outcome.rows = rows.len();
        // As one, so that nobody sees an alert in two states.
        rows.extend(self.series.follow(&rows));
        let refused = cx.store.append(cx.query_at, &rows, began);
        out.metrics.extend(batches.batch(cx.query_at, &rows, &mut self.series));
        self.outcome.error = refused.first().map(|(why, _)| results::words(*why).to_owned()).or(bug);
        self.tell();
        // Prometheus tells the rule's health by it, and does not count it as a failure.
        false
    }

    /// It failed, which is told.
    fn fail(&mut self, error: &RuleError) -> bool {
        self.outcome.rows = 0;
        self.outcome.error = Some(error.to_string());
        self.tell();
        true
    }

    /// Tells in the log what is news of a rule that fails.
    fn tell(&mut self) {
        let (name, error) = (self.written.name(), self.outcome.error.as_deref());
        match self.failing.follow(error) {
            Some(News::Fails) => {
                let (times, error) = (self.failing.times, error.unwrap_or_default());
                tracing::warn!(times, "the rule `{name}` fails: {error}");
            }
            Some(News::Over(times)) => tracing::info!(times, "the rule `{name}` does not fail any more"),
            None => {}
        }
    }
}
