//! Which series are kept: those that a rule reads, or a configured selector. Most selectors name their metric, so a series is
//! only tried against those that name its own, and against those that name none.

use std::collections::HashMap;

use super::select::{MatchOp, Matcher};
use crate::data::labels::{Labels, METRIC_NAME};

/// Selectors, by the metrics that they name.
#[derive(Debug, Default)]
pub struct Selection {
    named: HashMap<Box<str>, Vec<Box<[Matcher]>>>,
    others: Vec<Box<[Matcher]>>,
}

impl Selection {
    /// What any of the selectors selects.
    pub fn new(selectors: &[Vec<Matcher>]) -> Self {
        let mut selection = Self::default();
        for selector in selectors {
            let names = |matcher: &&Matcher| {
                &*matcher.name == METRIC_NAME && matches!(matcher.op, MatchOp::Equal) && !matcher.value.is_empty()
            };
            let name = selector.iter().find(names).map(|matcher| &matcher.value);
            let same = match name {
                Some(name) => selection.named.entry(name.clone()).or_default(),
                None => &mut selection.others,
            };
            same.push(selector.clone().into());
        }
        selection
    }

    /// Whether a series is one of them.
    pub fn has(&self, labels: Labels<'_>) -> bool {
        let fits = |selector: &[Matcher]| {
            selector.iter().all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
        };
        self.others.iter().any(|selector| fits(selector))
            || self
                .named
                .get(labels.metric_name())
                .is_some_and(|selectors| selectors.iter().any(|selector| fits(selector)))
    }
}
