//! From a checked graph to components that are ready to start. Pure: nothing exclusive is taken, so that a
//! whole new graph can be prepared beside the running one.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use super::component::{
    Outputs, PrepareContext, PrepareTransform, PreparedTransform, Sink, Source, TransformFactory, TransformTask,
};
use super::graph::{Component, ComponentId, Graph, OutputId, Role};
use super::lasting::Lasting;
use super::outlet::{Chain, Reader};
use crate::data::names::Interest;
use crate::data::{MemoryBudget, Names, SeriesTable};
use crate::delivery::queue::EdgeSender;
use crate::kubernetes::Pods;
use crate::options::Identity;
use crate::telemetry::Telemetry;

/// What all components of a process share.
#[derive(Clone)]
pub struct Common {
    /// Metrics and health.
    pub telemetry: Arc<Telemetry>,
    /// The paths that configurations name.
    pub names: Arc<Names>,
    /// The metric series that the process knows.
    pub series: Arc<SeriesTable>,
    /// The memory that sources wait for.
    pub memory: Arc<MemoryBudget>,
    /// Where durable files go.
    pub data_dir: Arc<Path>,
    /// Who this agent is.
    pub identity: Arc<Identity>,
    /// The pods of its node.
    pub pods: Arc<Pods>,
    /// What outlives the graph.
    pub lasting: Arc<Lasting>,
    /// Threads that read and transform.
    pub workers: usize,
}

/// A component that could not be prepared.
#[derive(Debug, thiserror::Error)]
#[error("{component}: {reason}")]
pub struct BuildError {
    /// Its name.
    pub component: ComponentId,
    /// Why, and what to do.
    pub reason: String,
}

/// A component that becomes a task.
pub(super) enum Unit {
    Source(Box<dyn Source>),
    Task(Box<dyn TransformTask>),
    Sink(Box<dyn Sink>),
}

/// A graph whose components are all ready: fused transforms to be instantiated, the others to be started,
/// each by its index in the graph.
pub struct Prepared {
    pub(super) graph: Graph,
    pub(super) fused: BTreeMap<usize, Arc<dyn TransformFactory>>,
    pub(super) units: BTreeMap<usize, Unit>,
    /// Sinks and tasks that are no destinations.
    pub(super) onlookers: BTreeSet<usize>,
}

impl Common {
    pub(super) fn context(&self, component: &Component) -> PrepareContext {
        PrepareContext {
            id: component.id.clone(),
            metrics: self.telemetry.component(component.role.kind(), &component.id.0),
            telemetry: self.telemetry.clone(),
            names: self.names.clone(),
            series: self.series.clone(),
            memory: self.memory.clone(),
            data_dir: self.data_dir.clone(),
            identity: self.identity.clone(),
            pods: self.pods.clone(),
            lasting: self.lasting.clone(),
            workers: self.workers,
        }
    }
}

/// Prepares every component of the graph. All errors are found, not only the first.
pub fn prepare(graph: Graph, common: &Common) -> Result<Prepared, Vec<BuildError>> {
    let (mut fused, mut units, mut errors) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut onlookers = BTreeSet::new();
    let interests = match interests(&graph, &common.names) {
        Ok(interests) => interests,
        Err(error) => return Err(vec![error]),
    };
    for (index, component) in graph.components.iter().enumerate() {
        let cx = common.context(component);
        let unit = match &component.role {
            Role::Source(plan) => plan.prepare(&cx).map(Unit::Source),
            Role::Sink(plan) => {
                if let Some(disk) = component.buffer.disk {
                    cx.metrics.disk_queue().limit_bytes.set(i64::try_from(disk.size).unwrap_or(i64::MAX));
                }
                if !plan.is_destination() {
                    onlookers.insert(index);
                }
                plan.prepare(&cx).map(Unit::Sink)
            }
            Role::Transform(plan) => {
                let downstream = wanted_from(&graph, index, &interests);
                let signal = component.input_signal.expect("the plan gives every transform an input");
                match plan.prepare(&PrepareTransform { common: &cx, signal, downstream: &downstream }) {
                    Ok(PreparedTransform::Carries(factory)) => {
                        fused.insert(index, factory);
                        continue;
                    }
                    Ok(PreparedTransform::Task(task)) => {
                        if task.absorbs() {
                            onlookers.insert(index);
                        }
                        Ok(Unit::Task(task))
                    }
                    Err(error) => Err(error),
                }
            }
        };
        match unit {
            Ok(unit) => {
                units.insert(index, unit);
            }
            Err(error) => errors.push(BuildError { component: component.id.clone(), reason: error.to_string() }),
        }
    }
    if errors.is_empty() { Ok(Prepared { graph, fused, units, onlookers }) } else { Err(errors) }
}

/// Prepares one transform of the graph alone, as it would be in the whole, but that a record's severity is
/// located whether anything reads it or not.
pub(super) fn prepare_transform(
    graph: &Graph,
    index: usize,
    common: &Common,
) -> Result<Option<PreparedTransform>, BuildError> {
    let component = &graph.components[index];
    let (Role::Transform(plan), Some(signal)) = (&component.role, component.input_signal) else { return Ok(None) };
    let mut downstream = wanted_from(graph, index, &interests(graph, &common.names)?);
    downstream.severity = true;
    let cx = common.context(component);
    let prepared = plan.prepare(&PrepareTransform { common: &cx, signal, downstream: &downstream });
    prepared.map(Some).map_err(|error| BuildError { component: component.id.clone(), reason: error.to_string() })
}

/// What each component wants located in the records that reach it. Readers stand behind what they read,
/// so one walk from the end is enough.
fn interests(graph: &Graph, names: &Names) -> Result<Vec<Interest>, BuildError> {
    let mut interests = vec![Interest::default(); graph.components.len()];
    for (index, component) in graph.components.iter().enumerate().rev() {
        let wanted = match &component.role {
            Role::Source(_) => Ok(Interest::default()),
            Role::Sink(plan) => plan.interest(names),
            Role::Transform(plan) => {
                let signal = component.input_signal.expect("the plan gives every transform an input");
                plan.interest(signal, names, &wanted_from(graph, index, &interests))
            }
        };
        interests[index] =
            wanted.map_err(|error| BuildError { component: component.id.clone(), reason: error.to_string() })?;
    }
    Ok(interests)
}

/// What everything behind a component wants.
fn wanted_from(graph: &Graph, component: usize, interests: &[Interest]) -> Interest {
    let mut wanted = Interest::default();
    for output in 0..graph.components[component].outputs.len() {
        for reader in graph.readers(&OutputId { component, output }) {
            wanted.merge(&interests[reader]);
        }
    }
    wanted
}

/// Chains behind each output of a component, ending in the given edges.
pub(super) fn chains(
    prepared: &Prepared,
    component: usize,
    edges: &BTreeMap<ComponentId, EdgeSender>,
    common: &Common,
) -> Vec<Chain> {
    let graph = &prepared.graph;
    let chain = |output: usize| {
        let readers = graph.readers(&OutputId { component, output }).into_iter().map(|reader| {
            let behind = &graph.components[reader];
            let input = graph.components[component].output_name(output).into();
            match prepared.fused.get(&reader) {
                Some(factory) => Reader::Fused {
                    factory: factory.clone(),
                    metrics: common.telemetry.component(behind.role.kind(), &behind.id.0),
                    outputs: chains(prepared, reader, edges, common),
                },
                None => {
                    let is_destination = !prepared.onlookers.contains(&reader);
                    Reader::Edge { sender: edges[&behind.id].clone(), input, is_destination }
                }
            }
        });
        Chain { readers: readers.collect() }
    };
    (0..graph.components[component].outputs.len()).map(chain).collect()
}

/// A number that changes when anything changes about a component or about what lies behind it.
pub(super) fn signature(graph: &Graph, component: usize) -> u64 {
    fn add(graph: &Graph, index: usize, hasher: &mut DefaultHasher) {
        let component = &graph.components[index];
        (&component.id, component.hash).hash(hasher);
        if let Outputs::Named(outputs) = &component.outputs {
            outputs.hash(hasher);
        }
        for output in 0..component.outputs.len() {
            output.hash(hasher);
            for reader in graph.readers(&OutputId { component: index, output }) {
                add(graph, reader, hasher);
            }
        }
    }
    let mut hasher = DefaultHasher::new();
    add(graph, component, &mut hasher);
    hasher.finish()
}

/// Names of everything behind a component, itself included.
pub(super) fn behind(graph: &Graph, component: usize) -> BTreeSet<ComponentId> {
    let mut found = BTreeSet::new();
    let mut open = vec![component];
    while let Some(index) = open.pop() {
        let here = &graph.components[index];
        if found.insert(here.id.clone()) {
            open.extend(
                (0..here.outputs.len()).flat_map(|output| graph.readers(&OutputId { component: index, output })),
            );
        }
    }
    found
}
