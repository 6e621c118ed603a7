//! The binary itself, as people and init systems meet it: its verbs, their output and exit codes, and a
//! running agent that is told of another configuration.

mod agent;
mod metrics;
mod reload;
mod verbs;
