//! Tailwater observes a Kubernetes node: it tails container logs, runs them through a zero-copy graph and
//! delivers them, losing nothing.
//!
//! The modules are floors. A module imports only from floors below its own, and components of one kind
//! never import each other (`tests/architecture.rs` reads the imports). From the ground up:

pub mod data;
pub mod options;

pub mod formats;
pub mod telemetry;

pub mod expression;
pub mod net;
pub mod relabel;

pub mod delivery;
pub mod kubernetes;

pub mod series;

pub mod pipeline;
pub mod promql;

pub mod alerting;
pub mod tail;

pub mod notifiers;

pub mod admin;
pub mod config;
pub mod sinks;
pub mod sources;
pub mod transforms;

pub mod registry;

pub mod app;

pub mod cli;
