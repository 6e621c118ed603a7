//! What is wrong with a component right now, by topic: several things can be at once, and each is over by
//! itself.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::ComponentMetrics;

/// The open complaints of one component. Its health shows the first of them.
#[derive(Debug)]
pub struct Complaints {
    metrics: Arc<ComponentMetrics>,
    open: Mutex<Vec<(Cow<'static, str>, String)>>,
}

impl Complaints {
    /// No complaints.
    pub fn new(metrics: Arc<ComponentMetrics>) -> Self {
        Self { metrics, open: Mutex::default() }
    }

    /// Something is wrong. Logged when the topic is new, so that a long outage is one line.
    pub fn raise(&self, topic: impl Into<Cow<'static, str>>, words: String) {
        let topic = topic.into();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, known)) => *known = words,
            None => {
                tracing::warn!(component = %self.metrics.name, "{words}");
                open.push((topic, words));
            }
        }
        self.metrics.health.unhealthy(open[0].1.clone());
    }

    /// Whether there is no complaint about the topic.
    pub fn is_over(&self, topic: &str) -> bool {
        !self.open.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|(known, _)| *known == topic)
    }

    /// It is over.
    pub fn over(&self, topic: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let before = open.len();
        open.retain(|(known, _)| *known != topic);
        if open.len() == before {
            return;
        }
        match open.first() {
            Some((_, words)) => {
                self.metrics.health.unhealthy(words.clone());
            }
            None => {
                self.metrics.health.healthy();
                tracing::info!(component = %self.metrics.name, "works again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    #[test]
    fn healthy_only_when_everything_is_over() {
        let metrics = Telemetry::new().component("sink", "elasticsearch/logs");
        let complaints = Complaints::new(metrics.clone());
        let unhealthy = || metrics.health.status().unhealthy;
        complaints.raise("sending", "no answer".into());
        complaints.raise("dead letter", "full".into());
        complaints.over("sending");
        assert_eq!(unhealthy().as_deref(), Some("full"));
        complaints.over("dead letter");
        assert_eq!(unhealthy(), None);
    }
}
