//! Whether an alert that is not in the result of its rule is held, and whether one that is there begins.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::super::missing_input::{Inquiry, Lost, MissingInput};
use super::{Evaluating, Instance, Sight, Since};
use crate::data::LabelSet;
use crate::data::labels::METRIC_NAME;
use crate::promql::Query;
use crate::series::MatchOp;

/// How alerts of a rule are held, under `hold`.
pub(super) struct Hold<'a> {
    query: Query,
    inquiry: Inquiry<'a>,
    settling: Option<Sight>,
    /// Whether ranges that the rule reads may hold samples of before a step of the wall clock.
    is_stepped: bool,
}

/// After a step of the wall clock a rule begins no alerts for as long as its longest range, but not for longer than this:
/// what looks back over days would page nobody for days, and an hour less in such a range changes little.
const MOST_QUIET: Duration = Duration::from_hours(1);

impl<'a> Hold<'a> {
    /// Not where somebody else answers the query: what that answer does not have is gone, whatever this agent sees itself.
    pub fn new(cx: &Evaluating<'a>, query: &Query) -> Option<Self> {
        let holds = cx.settings.missing_input == MissingInput::Hold && !cx.store.is_elsewhere(query);
        holds.then(|| Self {
            query: query.clone(),
            inquiry: Inquiry {
                store: cx.store,
                at: cx.query_at,
                lookback: cx.settings.limits.lookback,
                hold_for: cx.settings.hold_for,
                recorded: cx.recorded,
                since: match cx.settling {
                    Some(Sight::After(since)) => Some(since.into()),
                    _ => None,
                },
                read: Default::default(),
            },
            settling: cx.settling,
            is_stepped: cx.stepped.is_some_and(|stepped| {
                let ranges = longest_range(query, cx.recorded).min(MOST_QUIET);
                !ranges.is_zero() && stepped < ranges + cx.interval
            }),
        })
    }

    /// Why an alert that is not in the result is held; `None` where it is not.
    pub fn lost(&self, alert: &Instance, now: Since) -> Option<Lost> {
        let held = alert.held.as_ref().map(|held| now.steady.since(held.since.steady));
        match self.settling {
            Some(Sight::Nothing) => return Some(Lost::ClockSetBack),
            None if held.is_some_and(|held| held >= self.inquiry.hold_for) => return None,
            _ => {}
        }
        // Where the samples cannot be had, nothing is known of them.
        let lost = self.inquiry.lost(&self.query, &alert.element, held.is_some()).unwrap_or(Some(Lost::Evaluation));
        lost.or(self.is_stepped.then_some(Lost::ClockStepped))
    }

    /// Whether an element of the result begins an alert. After a step of the clock, and before anything was seen again, what
    /// is found may say only that something was not.
    pub fn begins(&self, element: &LabelSet, sight: Option<Sight>) -> bool {
        !self.is_stepped && sight.is_none_or(|sight| self.is_new(element, sight))
    }

    /// Whether something new was seen of what an element of the result is made of.
    fn is_new(&self, element: &LabelSet, sight: Sight) -> bool {
        // What is made of no sample says nothing of any that may be missing.
        if self.query.selectors().next().is_none() {
            return true;
        }
        match sight {
            Sight::After(since) => self.inquiry.has_since(&self.query, element, since.into()).unwrap_or(false),
            Sight::Nothing => false,
        }
    }
}

/// The longest range that a query reads, itself or through recording rules.
fn longest_range(query: &Query, recorded: &HashMap<Box<str>, Vec<Query>>) -> Duration {
    let (mut longest, mut followed, mut left) = (Duration::ZERO, HashSet::new(), vec![query]);
    while let Some(query) = left.pop() {
        for selector in query.selectors().filter(|selector| selector.pinned.is_none()) {
            if selector.is_range {
                longest = longest.max(selector.back);
            }
            let names =
                selector.matchers.iter().filter(|one| &*one.name == METRIC_NAME && matches!(one.op, MatchOp::Equal));
            for (name, queries) in names.filter_map(|name| recorded.get_key_value(&*name.value)) {
                if followed.insert(name) {
                    left.extend(queries);
                }
            }
        }
    }
    longest
}
