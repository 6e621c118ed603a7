//! Floor 1: how the agent watches itself. Counters by component, health in words, structured logs.

pub mod agent;
pub mod component;
pub mod logging;
pub mod options;
pub mod own_traces;
mod process;
pub mod rates;
pub mod registry;
mod repeats;
pub mod series;
pub mod targets;
#[cfg(test)]
pub(crate) mod testing;

pub use agent::{AgentStatus, Phase, Reload};
pub use component::{ComponentMetrics, DiskQueueGauges, FileLag, Files, Health, Status};
pub use own_traces::{Exit, OwnTraces};
pub use rates::{Flow, Rates};
pub use registry::Telemetry;
pub use series::{SeriesStatus, SeriesWatch};
pub use targets::{DroppedTargets, Pool, Target, TargetCounts, TargetHealth, TargetState, Targets};
