//! The source `prometheus_scrape`: metrics fetched from targets, in Prometheus's words.

pub mod config;
pub mod discovery;
