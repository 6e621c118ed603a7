//! The whole way: in virtual time with a simulated disk and a model of a receiver ([`faults`]), as it runs ([`running`]),
//! and with receivers that a reload changes ([`reload`]).

mod faults;
mod reload;
mod running;

use std::sync::Arc;
use std::time::Duration;

use super::Paging;
use crate::alerting::dispatch::Limits;
use crate::alerting::outbox::OutboxOptions;
use crate::alerting::route::RoutingOptions;

/// Everything of a group `g` goes to the receiver `r`.
fn paging(wait: &str, interval: &str) -> Paging {
    paging_to("r", wait, interval)
}

/// Everything of a group `g` goes to one receiver, `r` or `s`.
fn paging_to(receiver: &str, wait: &str, interval: &str) -> Paging {
    let route = format!(
        r#"{{ "route": {{ "receiver": "{receiver}", "group_by": ["g"], "group_wait": "{wait}", "group_interval": "{interval}" }} }}"#
    );
    let options: RoutingOptions = serde_json::from_str(&route).expect("its shape");
    let routing = options.read(&["r", "s"], Duration::from_secs(300)).expect("a tree");
    Paging { routing: Arc::new(routing), limits: Limits::default(), outbox: OutboxOptions::default().settings() }
}
