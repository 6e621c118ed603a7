//! The plan of a whole pipeline: a typed graph without cycles. `config` fills it; a graph that exists has
//! been checked.

use std::fmt;
use std::sync::Arc;

use super::component::{Outputs, Plan, SinkPlan, SourcePlan, TransformPlan};
use crate::data::Signal;
use crate::delivery::disk::DiskBuffer;
use crate::delivery::queue::WhenFull;

/// A component's name in the configuration: `type/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId(pub Arc<str>);

impl ComponentId {
    /// The part before the slash.
    pub fn type_name(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One output of one component, as `inputs` name it: `steps/main`, `route/r.errors`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutputId {
    /// Index of the component in the graph.
    pub component: usize,
    /// Index of the output among the component's outputs.
    pub output: usize,
}

/// A component's plan, by kind.
#[derive(Clone)]
pub enum Role {
    /// Brings data in.
    Source(Arc<dyn SourcePlan>),
    /// Changes, routes, absorbs or holds data.
    Transform(Arc<dyn TransformPlan>),
    /// Delivers data.
    Sink(Arc<dyn SinkPlan>),
}

impl Role {
    /// What all plans have in common.
    pub fn plan(&self) -> &dyn Plan {
        match self {
            Self::Source(plan) => &**plan,
            Self::Transform(plan) => &**plan,
            Self::Sink(plan) => &**plan,
        }
    }

    /// The word used in metrics and messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Transform(_) => "transform",
            Self::Sink(_) => "sink",
        }
    }
}

/// The buffer before a sink or a task: `buffer: { memory, disk, when_full, fsync, min_free }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Most bytes held in memory.
    pub memory: u64,
    /// What happens beyond.
    pub when_full: WhenFull,
    /// The disk queue behind the memory; only a sink has one.
    pub disk: Option<DiskBuffer>,
}

impl Buffer {
    /// The default with a disk queue of so many bytes.
    pub fn on_disk(size: u64) -> Self {
        Self { disk: Some(DiskBuffer { size, ..DiskBuffer::default() }), ..Self::default() }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self { memory: 16 << 20, when_full: WhenFull::Block, disk: None }
    }
}

/// One component of the graph.
#[derive(Clone)]
pub struct Component {
    /// Its name.
    pub id: ComponentId,
    /// Its plan.
    pub role: Role,
    /// What it sends; nothing for a sink.
    pub outputs: Outputs,
    /// The outputs that feed it.
    pub inputs: Vec<OutputId>,
    /// Signal of its inputs; `None` for a source.
    pub input_signal: Option<Signal>,
    /// The buffer before it, for sinks and tasks.
    pub buffer: Buffer,
    /// Hash of its options as configured, interpolated: a reload keeps what has the same hash.
    pub hash: u64,
}

impl Component {
    /// The full name of one of its outputs.
    pub fn output_name(&self, output: usize) -> String {
        match &self.outputs {
            Outputs::One(_) => self.id.to_string(),
            Outputs::Named(names) => format!("{}.{}", self.id, names[output].0),
        }
    }
}

/// The components in an order in which every one stands behind its inputs.
#[derive(Clone, Default)]
pub struct Graph {
    /// The components.
    pub components: Vec<Component>,
}

impl Graph {
    /// Components that read one output.
    pub fn readers(&self, output: &OutputId) -> Vec<usize> {
        self.components.iter().enumerate().filter(|(_, c)| c.inputs.contains(output)).map(|(i, _)| i).collect()
    }

    /// An output by the name that `inputs` use: `steps/main`, `route/r.errors`.
    pub fn output(&self, name: &str) -> Option<OutputId> {
        let outputs = self.components.iter().enumerate().flat_map(|(component, c)| {
            (0..c.outputs.len()).map(move |output| (OutputId { component, output }, c.output_name(output)))
        });
        outputs.into_iter().find(|(_, full)| full == name).map(|(id, _)| id)
    }

    /// Index of a component by name.
    pub fn position(&self, id: &ComponentId) -> Option<usize> {
        self.components.iter().position(|c| c.id == *id)
    }
}
