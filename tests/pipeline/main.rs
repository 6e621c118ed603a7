//! The pipeline with components of every kind and signal that only tests have: what the traits promise is
//! held here before real metrics and traces arrive.

mod components;
mod disk_queue;
mod flow;
mod redaction;
mod reload;
mod shutdown;
