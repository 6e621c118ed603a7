//! Floor 1: how the agent watches itself. Counters by component, health in words, structured logs.

pub mod component;
pub mod registry;

pub use component::{ComponentMetrics, Health, Status};
pub use registry::Telemetry;
