//! The traits that every source, transform and sink implements, and the descriptor by which the registry
//! knows it.
//!
//! A component lives in three steps. Its *plan* is its options, read and checked: pure data. `prepare`
//! turns the plan into something that can run; it may read files and fail, but takes nothing exclusive, so
//! that a reload can prepare a whole graph beside the running one. `start` takes over listeners, folders
//! and positions and returns the task that runs until its shutdown token says otherwise.

use std::any::Any;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::graph::{Buffer, ComponentId};
use super::lasting::Lasting;
use super::outlet::{Outlet, Ports};
use crate::data::names::Interest;
use crate::data::resource::ResourceValue;
use crate::data::{MemoryBudget, Names, Resource, SeriesTable, Signal};
use crate::delivery::Message;
use crate::delivery::queue::EdgeReceiver;
use crate::kubernetes::Pods;
use crate::options::{Identity, Problem, Span, Spanned};
use crate::telemetry::{ComponentMetrics, Telemetry};

/// How the registry knows a kind of component: one constant beside each implementation.
pub struct Descriptor<P: ?Sized + 'static> {
    /// The type as configurations write it: `elasticsearch` in `elasticsearch/logs`.
    pub name: &'static str,
    /// One sentence for the reference.
    pub summary: &'static str,
    /// Reads the options of one component (without `inputs` and `buffer`, which belong to the graph).
    /// What is wrong in a way that the type system of options cannot say is in [`Plan::problems`].
    pub plan: fn(&mut dyn erased_serde::Deserializer<'_>) -> Result<Box<P>, erased_serde::Error>,
    /// The JSON Schema of the options; the reference is made from it.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

/// What all plans have in common. Whoever knows a plan's type gets at it by way of [`Any`].
pub trait Plan: Any + Send + Sync {
    /// Everything that is wrong with the options beyond their shape, each with its place.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// What is unusual in the options, but no error, each with its place.
    fn unusual(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// What it holds besides itself, in words: for whoever checks a configuration.
    fn contents(&self) -> Option<String> {
        None
    }

    /// Files beside the configuration that it is made of, such as rule files: where one of them changes it is another plan.
    /// Folders stand for the files that may come into them.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The addresses that it listens on, each with its place.
    fn listeners(&self) -> Vec<Spanned<SocketAddr>> {
        Vec::new()
    }

    /// What does not belong into an agent of this identity although it is well-formed, each with its place.
    fn misplaced(&self, _identity: &Identity) -> Vec<Problem> {
        Vec::new()
    }
}

/// What a component sends out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// One output, called by the component's own name.
    One(Signal),
    /// Several, each called `component.name`.
    Named(Vec<(Box<str>, Signal)>),
}

impl Outputs {
    /// Number of outputs.
    pub fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Named(outputs) => outputs.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A source's options, checked.
pub trait SourcePlan: Plan {
    /// What it sends.
    fn outputs(&self) -> Outputs;

    /// Whether it can read its input again from a safe position. What is withdrawn from a source that
    /// cannot is handed to the new path as batches.
    fn replayable(&self) -> bool;

    /// Prepares it to run.
    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError>;
}

/// A source ready to run.
pub trait Source: Send {
    /// Takes over what is exclusive and returns the task.
    fn start(self: Box<Self>, cx: SourceContext) -> Task;
}

/// A transform's options, checked.
pub trait TransformPlan: Plan {
    /// What it sends when its input is `signal`; an error in words where it cannot take that signal.
    fn outputs(&self, signal: Signal) -> Result<Outputs, String>;

    /// Everything that is wrong with its options for an input of `signal`; `None` where that is not known because
    /// something before it is wrong.
    fn problems_with(&self, _signal: Option<Signal>) -> Vec<Problem> {
        Vec::new()
    }

    /// What must be located in the records that reach it, given what everything behind it wants.
    fn interest(&self, signal: Signal, names: &Names, downstream: &Interest) -> Result<Interest, PrepareError>;

    /// Whether it takes secrets out of records.
    fn redacts(&self) -> bool {
        false
    }

    /// Where it is told to show what records say to people who get pages, if it is.
    fn shows_records(&self) -> Option<Span> {
        None
    }

    /// The buffer before it, where it is a task and the configuration says nothing else. One that holds its input may
    /// have a disk queue.
    fn default_buffer(&self) -> Buffer {
        Buffer::default()
    }

    /// Prepares it to run.
    fn prepare(&self, cx: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError>;
}

/// A transform ready to run, by what it does with acknowledgements.
pub enum PreparedTransform {
    /// It carries them: fused into the worker of whoever feeds it.
    Carries(Arc<dyn TransformFactory>),
    /// It absorbs its input or holds it: a task behind an edge.
    Task(Box<dyn TransformTask>),
}

/// Makes an instance of a carrying transform for each worker, so that state needs no lock.
pub trait TransformFactory: Send + Sync {
    /// A fresh instance.
    fn worker(&self) -> Box<dyn Transform>;
}

/// A transform that carries acknowledgements.
pub trait Transform: Send {
    /// Passes on what is left of the message, through any of its outputs. Whatever it takes out of the
    /// batch it counts on the message's ack; a message that it does not pass on, it settles.
    fn process(&mut self, message: Message, out: &mut Ports<'_>);
}

/// A transform that absorbs or holds.
pub trait TransformTask: Send {
    /// Whether all its input is settled once it is counted (absorbs) rather than when its output is
    /// (holds).
    fn absorbs(&self) -> bool;

    /// The task; ends when the input does, after passing on what it holds.
    fn start(self: Box<Self>, cx: TaskContext) -> Task;
}

/// A sink's options, checked.
pub trait SinkPlan: Plan {
    /// Whether it can take this signal.
    fn accepts(&self, signal: Signal) -> bool;

    /// Everything that is wrong with its options for an input of `signal`; `None` where that is not known because
    /// something before it is wrong.
    fn problems_with(&self, _signal: Option<Signal>) -> Vec<Problem> {
        Vec::new()
    }

    /// What it must see located in records.
    fn interest(&self, _names: &Names) -> Result<Interest, PrepareError> {
        Ok(Interest::default())
    }

    /// The buffer before it where the configuration says nothing else.
    fn default_buffer(&self) -> Buffer {
        Buffer::default()
    }

    /// Whether a record is somewhere once it is here: what a sender is told is about destinations, unless there are
    /// none.
    fn is_destination(&self) -> bool {
        true
    }

    /// Prepares it to run.
    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError>;
}

/// A sink ready to run.
pub trait Sink: Send {
    /// Takes over what is exclusive and returns the task, which ends when the input ends and all of it
    /// is settled.
    fn start(self: Box<Self>, cx: SinkContext) -> Task;
}

/// What runs a component. An error, like a panic, is told under the component's name; the runner starts
/// the component again after a pause.
pub type Task = BoxFuture<'static, Result<(), TaskError>>;

/// Why a component could not be prepared, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PrepareError(pub String);

/// Why a component stopped, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TaskError(pub String);

/// What every component may use to prepare.
#[derive(Clone)]
pub struct PrepareContext {
    /// The component's name.
    pub id: ComponentId,
    /// Its metrics and health.
    pub metrics: Arc<ComponentMetrics>,
    /// All metrics of the process.
    pub telemetry: Arc<Telemetry>,
    /// The paths that configurations name.
    pub names: Arc<Names>,
    /// The metric series that the process knows.
    pub series: Arc<SeriesTable>,
    /// The memory that sources wait for.
    pub memory: Arc<MemoryBudget>,
    /// Where durable files go.
    pub data_dir: Arc<std::path::Path>,
    /// Who this agent is.
    pub identity: Arc<Identity>,
    /// The pods of its node.
    pub pods: Arc<Pods>,
    /// What outlives the graph.
    pub lasting: Arc<Lasting>,
    /// Threads that read and transform.
    pub workers: usize,
}

impl PrepareContext {
    /// A copy of the resource with the agent's identity on it, as [`identify`] makes it.
    pub fn identify(&self, resource: &Resource) -> Resource {
        identify(&self.identity, resource)
    }
}

/// A copy of the resource with the agent's identity on it: cluster and node by OpenTelemetry's names, and
/// the external labels, where they replace nothing.
pub fn identify(identity: &Identity, resource: &Resource) -> Resource {
    let named = [("k8s.cluster.name", &identity.cluster), ("k8s.node.name", &identity.node)];
    let named = named.into_iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value)));
    let labels = identity.external_labels.iter().map(|(key, value)| (key.as_str(), value));
    let fresh = named.chain(labels).filter(|(key, _)| resource.get(key).is_none());
    resource.with(fresh.map(|(key, value)| (key.into(), ResourceValue::Text(value.as_str().into()))))
}

/// What a transform may use to prepare.
pub struct PrepareTransform<'a> {
    /// What every component may use.
    pub common: &'a PrepareContext,
    /// The signal of its input.
    pub signal: Signal,
    /// What everything behind it wants located.
    pub downstream: &'a Interest,
}

/// What a running source holds.
pub struct SourceContext {
    /// The component's name.
    pub id: ComponentId,
    /// One outlet an output, in the order of [`SourcePlan::outputs`]. Clone one for each worker.
    pub outlets: Vec<Outlet>,
    /// Its metrics and health.
    pub metrics: Arc<ComponentMetrics>,
    /// When cancelled: stop reading, wait until what was handed on is settled, save the position, return.
    pub shutdown: CancellationToken,
    /// Cancelled before `shutdown` where the configuration has no such source any more: it has no successor.
    pub removed: CancellationToken,
}

/// What a running absorbing or holding transform holds.
pub struct TaskContext {
    /// Its input.
    pub input: EdgeReceiver,
    /// One outlet an output.
    pub outlets: Vec<Outlet>,
    /// Its metrics and health.
    pub metrics: Arc<ComponentMetrics>,
    /// When cancelled: what cannot be passed on now is dropped, which abandons it.
    pub shutdown: CancellationToken,
}

/// What a running sink holds.
pub struct SinkContext {
    /// Its input; ends when everything before it has stopped.
    pub input: EdgeReceiver,
    /// Its metrics and health.
    pub metrics: Arc<ComponentMetrics>,
    /// When cancelled: stop at once; what is unsettled is dropped, which abandons it.
    pub shutdown: CancellationToken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_labels_never_replace_an_attribute() {
        let telemetry = Arc::new(Telemetry::new());
        let labels = [("region", "eu"), ("k8s.pod.name", "no")];
        let cx = PrepareContext {
            id: ComponentId("file/x".into()),
            metrics: telemetry.component("source", "file/x"),
            telemetry,
            names: Arc::default(),
            series: SeriesTable::new(1),
            memory: Arc::new(MemoryBudget::new(1)),
            data_dir: std::path::Path::new("").into(),
            identity: Arc::new(Identity {
                cluster: Some("prod".into()),
                external_labels: labels.map(|(key, value)| (key.into(), value.into())).into(),
                ..Identity::default()
            }),
            pods: Arc::default(),
            lasting: Default::default(),
            workers: 1,
        };
        let resource = cx.identify(&Resource::new([("k8s.pod.name".into(), "web-1".into())]));
        assert_eq!(resource.get("k8s.pod.name"), Some(&"web-1".into()));
        assert_eq!(resource.get("k8s.cluster.name"), Some(&"prod".into()));
        assert_eq!(resource.get("region"), Some(&"eu".into()));
    }
}
