//! Whether an alert that is not in the result of its rule is held, and whether one that is there begins.

use super::super::missing_input::{Inquiry, Lost, MissingInput};
use super::{Evaluating, Instance, Sight, Since};
use crate::data::LabelSet;
use crate::promql::Query;

/// How alerts of a rule are held, under `hold`.
pub(super) struct Hold<'a> {
    query: Query,
    inquiry: Inquiry<'a>,
    settling: Option<Sight>,
}

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
        self.inquiry.lost(&self.query, &alert.element, held.is_some()).unwrap_or(Some(Lost::Evaluation))
    }

    /// Whether an element of the result begins an alert. Before anything was seen again, what is found may say only that
    /// something was not.
    pub fn begins(&self, element: &LabelSet, sight: Option<Sight>) -> bool {
        sight.is_none_or(|sight| self.is_new(element, sight))
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
