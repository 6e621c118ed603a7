//! Floor 5: the graph and what runs it.
//!
//! A component's *plan* comes from the configuration and is pure: it can be checked, compared and thrown
//! away. [`build`] prepares everything that can fail without taking anything exclusive; [`run`] starts it,
//! sinks first. A linear run of transforms is fused: it runs to completion on the worker that read the
//! batch ([`outlet`]). Queues exist only where the graph enters a sink or a task.

pub mod aggregate;
pub mod build;
pub mod component;
pub mod graph;
mod lasting;
pub mod outlet;
pub mod pushed;
pub mod run;
pub mod senders;
mod supervise;
pub mod trial;

pub use build::{BuildError, Common, prepare};
#[cfg(test)]
pub(crate) mod testing;

pub use component::{
    Descriptor, Outputs, PrepareError, PreparedTransform, SinkContext, SinkPlan, SourceContext, SourcePlan, Task,
    TaskContext, TaskError, TransformPlan,
};
pub use graph::{ComponentId, Graph};
pub use lasting::Lasting;
pub use outlet::Outlet;
pub use run::Runner;
pub use senders::Senders;
pub use supervise::{Ended, caught};
