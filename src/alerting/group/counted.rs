//! The alerts of a group in numbers, kept with it so that an evaluation counts those of its own group alone.

use super::super::rule::{Phase, Rule};

/// How many alerts of a group are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Counted {
    /// Those that are pending.
    pub pending: i64,
    /// Those that fire.
    pub firing: i64,
    /// Those of both that are held.
    pub held: i64,
}

impl Counted {
    /// Counts the alerts of these rules.
    pub fn of(rules: &[Rule]) -> Self {
        let mut counted = Self::default();
        for alert in
            rules.iter().filter_map(|rule| rule.alerting.as_ref()).flat_map(|alerting| alerting.alerts.values())
        {
            match alert.phase {
                Phase::Pending => counted.pending += 1,
                Phase::Firing { .. } => counted.firing += 1,
                Phase::Resolved { .. } => continue,
            }
            counted.held += i64::from(alert.held.is_some());
        }
        counted
    }
}
