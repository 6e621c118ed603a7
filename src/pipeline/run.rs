//! Runs a graph: starts it from its sinks to its sources, replaces parts of it on a reload, drains it.
//!
//! What is unchanged, with everything behind it, goes on untouched. For the rest, the old path of each
//! origin is drained before the new one starts; what is unsettled when the time is over is withdrawn, and
//! the origin reads it again from its safe position.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::build::{Common, Prepared, Unit, behind, chains, signature};
use super::component::{SinkContext, SourceContext, Task, TaskContext};
use super::graph::{Buffer, ComponentId, Graph, Role};
use super::outlet::{Gate, Outlet};
use super::supervise::{Ended, supervise};
use crate::delivery::queue::{EdgeReceiver, EdgeSender, disk_edge, edge};
use crate::delivery::{Message, Path, disk};

/// How long a component may take to notice that its work was withdrawn, before it is ended.
const GRACE: Duration = Duration::from_secs(5);

/// How often a drain looks whether everything has come to rest and the destinations still answer.
const LOOK: Duration = Duration::from_millis(20);

/// A running graph.
pub struct Runner {
    common: Common,
    graph: Graph,
    running: BTreeMap<ComponentId, Running>,
    ended: mpsc::UnboundedSender<Ended>,
    starts: u64,
    hurry: CancellationToken,
}

/// One component that is a task.
struct Running {
    hash: u64,
    signature: u64,
    start: u64,
    /// Whether it can read again what is withdrawn; true for what is no source.
    replayable: bool,
    shutdown: CancellationToken,
    /// Tells a source that it has no successor.
    removed: CancellationToken,
    task: JoinHandle<()>,
    /// One gate an output, and the path that the unsettled messages sent through them are on.
    gates: Vec<Arc<Gate>>,
    path: Arc<Path>,
    /// The edge before it; a source has none.
    edge: Option<EdgeSender>,
}

impl Running {
    /// Whether nothing it sent is unsettled and, if it was told to stop, it has.
    fn at_rest(&self) -> bool {
        self.path.outstanding() == 0 && (!self.shutdown.is_cancelled() || self.task.is_finished())
    }

    fn stop_if_source(&self) {
        if self.edge.is_none() {
            self.shutdown.cancel();
        }
    }
}

impl Runner {
    /// Starts a prepared graph. The receiver tells of every component that ends.
    pub fn start(prepared: Prepared, common: Common) -> (Self, mpsc::UnboundedReceiver<Ended>) {
        let (ended, events) = mpsc::unbounded_channel();
        let (graph, running, hurry) = (Graph::default(), BTreeMap::new(), CancellationToken::new());
        let mut runner = Self { common, graph, running, ended, starts: 0, hurry };
        runner.start_missing(prepared, &BTreeSet::new(), Vec::new());
        (runner, events)
    }

    /// The graph that runs.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Cancelled by whoever is about to shut the runner down: a replacement that is under way then withdraws
    /// at once what has not come to rest, so that the shutdown need not wait for two drains.
    pub fn hurry(&self) -> CancellationToken {
        self.hurry.clone()
    }

    /// Whether it is what runs under that name now that has ended, not a predecessor of it.
    pub fn is_current(&self, ended: &Ended) -> bool {
        self.running.get(&ended.id).is_some_and(|running| running.start == ended.start)
    }

    /// Whether every source has ended by itself.
    pub fn sources_ended(&self) -> bool {
        self.running.values().filter(|running| running.edge.is_none()).all(|running| running.task.is_finished())
    }

    /// Replaces what differs between the running graph and `prepared`, and everything in `restart`. What
    /// has to stop for that gets `limit` to come to rest.
    pub async fn replace(
        &mut self,
        prepared: Prepared,
        common: Common,
        restart: &BTreeSet<ComponentId>,
        limit: Duration,
    ) {
        let next = &prepared.graph;
        let mut gone = BTreeSet::new();
        let mut rerouted = BTreeSet::new();
        for (id, running) in &self.running {
            match next.position(id) {
                Some(index) if next.components[index].hash == running.hash && !restart.contains(id) => {
                    if signature(next, index) != running.signature || !behind(next, index).is_disjoint(restart) {
                        rerouted.insert(id.clone());
                    }
                }
                _ => {
                    gone.insert(id.clone());
                }
            }
        }
        for id in &rerouted {
            self.running[id].gates.iter().for_each(|gate| gate.close());
        }
        for id in &gone {
            if next.position(id).is_none() {
                self.running[id].removed.cancel();
            }
            self.running[id].stop_if_source();
        }
        let handed_on = self.drain(gone.union(&rerouted), limit, &self.hurry).await;
        self.stop(&gone, None).await;
        for id in gone.iter().filter(|id| next.position(id).is_none()) {
            common.telemetry.remove(&id.0);
        }
        self.common = common;
        self.start_missing(prepared, &rerouted, handed_on);
    }

    /// Stops reading, gives everything `limit` to come to rest, and ends it.
    pub async fn shutdown(mut self, limit: Duration) {
        let components = self.graph.components.iter().map(|c| self.common.telemetry.component(c.role.kind(), &c.id.0));
        let lost_before: Vec<_> = components.map(|metrics| (metrics.records_lost.get(), metrics)).collect();
        self.running.values().for_each(Running::stop_if_source);
        let all: BTreeSet<_> = self.running.keys().cloned().collect();
        let deadline = Instant::now() + limit;
        drop(self.drain(all.iter(), limit, &CancellationToken::new()).await);
        self.stop(&all, Some(deadline)).await;
        for (before, metrics) in lost_before {
            let records = metrics.records_lost.get() - before;
            if records > 0 {
                tracing::warn!(
                    component = %metrics.name, records,
                    "{records} records are lost to a destination that has not taken them in time, and nothing brings them \
                     again; a disk queue before the sink (`buffer: {{ disk }}`) would have kept them"
                );
            }
        }
    }

    /// Waits until these components are at rest: for `limit` at most, no longer once `hurry` is cancelled,
    /// and not at all for one whose destination is unhealthy. Then withdraws what is left. Messages of sources that cannot read them
    /// again are returned with the name of the component that they waited for.
    async fn drain(
        &self,
        ids: impl Iterator<Item = &ComponentId>,
        limit: Duration,
        hurry: &CancellationToken,
    ) -> Vec<(ComponentId, Message)> {
        let deadline = Instant::now() + limit;
        let drains = ids.map(|id| async move {
            let running = &self.running[id];
            while !running.at_rest() {
                if Instant::now() >= deadline || hurry.is_cancelled() || self.is_stuck(id) {
                    return self.withdraw(id, running).await;
                }
                sleep(LOOK).await;
            }
            Vec::new()
        });
        join_all(drains).await.into_iter().flatten().collect()
    }

    async fn withdraw(&self, id: &ComponentId, running: &Running) -> Vec<(ComponentId, Message)> {
        tracing::info!(component = %id, batches = running.path.outstanding(), "withdrawing what is not settled");
        let mut handed_on = Vec::new();
        if running.replayable {
            running.path.revoke();
        } else {
            for (to, receiver) in &self.running {
                let waiting = receiver.edge.iter().flat_map(|edge| edge.withdraw(&running.path));
                handed_on.extend(waiting.map(|message| (to.clone(), message)));
            }
        }
        let deadline = Instant::now() + GRACE;
        while running.replayable && !running.at_rest() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        handed_on
    }

    fn is_stuck(&self, id: &ComponentId) -> bool {
        let Some(index) = self.graph.position(id) else { return false };
        let unhealthy = |id: &ComponentId| {
            let component = self.graph.position(id).map(|i| &self.graph.components[i]);
            component.is_some_and(|c| {
                // What waits for a sink with a disk queue waits for its disk alone.
                matches!(c.role, Role::Sink(_))
                    && !self
                        .running
                        .get(id)
                        .and_then(|running| running.edge.as_ref())
                        .is_some_and(EdgeSender::is_durable)
                    && self.common.telemetry.component(c.role.kind(), &id.0).health.status().unhealthy.is_some()
            })
        };
        behind(&self.graph, index).iter().any(unhealthy)
    }

    /// Ends components, those that feed others first; what does not end in time is aborted. A sink with a disk
    /// queue gets what is in it until the deadline while it is healthy; without one, only ends what it has begun.
    async fn stop(&mut self, ids: &BTreeSet<ComponentId>, deadline: Option<Instant>) {
        let order: Vec<_> = self.graph.components.iter().map(|c| c.id.clone()).filter(|id| ids.contains(id)).collect();
        for id in order {
            let Some(mut running) = self.running.remove(&id) else { continue };
            if let Some(edge) = &running.edge {
                edge.close();
                if edge.is_durable() {
                    let kind = self.graph.position(&id).map_or("sink", |at| self.graph.components[at].role.kind());
                    let metrics = self.common.telemetry.component(kind, &id.0);
                    while !running.task.is_finished()
                        && deadline.is_some_and(|deadline| Instant::now() < deadline)
                        && metrics.health.status().unhealthy.is_none()
                    {
                        sleep(LOOK).await;
                    }
                    edge.finish();
                    // What it works on is on disk; only where there is time for it is it waited for.
                    let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
                    if late || metrics.health.status().unhealthy.is_some() {
                        edge.withdraw_handed();
                    }
                }
            }
            if timeout(GRACE, &mut running.task).await.is_err() {
                if let Some(edge) = &running.edge {
                    edge.withdraw_handed();
                }
                running.shutdown.cancel();
                if timeout(GRACE, &mut running.task).await.is_err() {
                    tracing::warn!(component = %id, "did not stop in time and is aborted");
                    running.task.abort();
                }
            }
            if let Some(edge) = &running.edge
                && timeout(GRACE, edge.ended()).await.is_err()
            {
                tracing::warn!(component = %id, "the disk takes its time: what is not written yet may be lost");
            }
        }
    }

    /// Starts every component that does not run, receivers before what feeds them, and opens the closed
    /// gates of those that do.
    fn start_missing(
        &mut self,
        mut prepared: Prepared,
        rerouted: &BTreeSet<ComponentId>,
        handed_on: Vec<(ComponentId, Message)>,
    ) {
        let mut receivers: BTreeMap<usize, EdgeReceiver> = BTreeMap::new();
        let mut edges: BTreeMap<ComponentId, EdgeSender> = BTreeMap::new();
        for (&index, unit) in &prepared.units {
            if matches!(unit, Unit::Source(_)) {
                continue;
            }
            let component = &prepared.graph.components[index];
            let known = self.running.get(&component.id).and_then(|running| running.edge.clone());
            let sender = known.unwrap_or_else(|| {
                let metrics = self.common.telemetry.component(component.role.kind(), &component.id.0);
                let Buffer { memory, when_full, disk } = component.buffer;
                let (sender, receiver) = match disk {
                    None => edge(memory, when_full, metrics),
                    Some(disk) => {
                        let folder = disk::folder(&self.common.data_dir, &component.id.0);
                        let (names, series) = (self.common.names.clone(), self.common.series.clone());
                        disk_edge(disk::Settings { folder, memory, when_full, disk, names, series }, metrics)
                    }
                };
                receivers.insert(index, receiver);
                sender
            });
            edges.insert(component.id.clone(), sender);
        }
        for (to, message) in handed_on {
            if let Some(edge) = edges.get(&to) {
                // Where the new edge is full or closed the message is dropped, which its source reports.
                let _ = edge.try_send(message);
            }
        }
        while let Some((index, unit)) = prepared.units.pop_last() {
            let chains = chains(&prepared, index, &edges, &self.common);
            let component = &prepared.graph.components[index];
            let signature = signature(&prepared.graph, index);
            if let Some(running) = self.running.get_mut(&component.id) {
                running.signature = signature;
                if rerouted.contains(&component.id) {
                    running.path = Path::new();
                    for (gate, chain) in running.gates.iter().zip(chains) {
                        gate.reopen(chain, running.path.clone());
                    }
                }
                continue;
            }
            let path = Path::new();
            let metrics = self.common.telemetry.component(component.role.kind(), &component.id.0);
            metrics.health.healthy();
            let (gates, outlets) = chains.into_iter().map(|c| Gate::open(c, path.clone(), metrics.clone())).unzip();
            let (shutdown, removed) = (CancellationToken::new(), CancellationToken::new());
            let tokens = (shutdown.clone(), removed.clone());
            let task = self.start_unit(unit, component.id.clone(), receivers.remove(&index), outlets, tokens);
            self.starts += 1;
            let running = Running {
                hash: component.hash,
                signature,
                start: self.starts,
                replayable: !matches!(&component.role, Role::Source(plan) if !plan.replayable()),
                shutdown,
                removed,
                task: tokio::spawn(supervise(task, component.id.clone(), self.starts, self.ended.clone())),
                gates,
                path,
                edge: edges.get(&component.id).cloned(),
            };
            self.running.insert(component.id.clone(), running);
        }
        self.graph = prepared.graph;
        self.tell_leftovers();
    }

    /// Queues of sinks that are no more are kept: what is in them is somebody's.
    fn tell_leftovers(&self) {
        let has_queue = |name: &str| {
            self.graph.components.iter().any(|component| *component.id.0 == *name && component.buffer.disk.is_some())
        };
        for disk::Leftover { name, bytes } in disk::leftovers(&self.common.data_dir, has_queue) {
            tracing::warn!(
                bytes, folder = %disk::folder(&self.common.data_dir, &name).display(),
                "{bytes} bytes of queue for `{name}`, which is not configured with one: they are kept; configure \
                 it again to have them sent, or delete the folder"
            );
        }
    }

    fn start_unit(
        &self,
        unit: Unit,
        id: ComponentId,
        receiver: Option<EdgeReceiver>,
        outlets: Vec<Outlet>,
        (shutdown, removed): (CancellationToken, CancellationToken),
    ) -> Task {
        const FRESH: &str = "an edge is made for each sink and task that does not run yet";
        match unit {
            Unit::Source(source) => {
                let metrics = self.common.telemetry.component("source", &id.0);
                source.start(SourceContext { id, outlets, metrics, shutdown, removed })
            }
            Unit::Task(task) => {
                let (input, metrics) = (receiver.expect(FRESH), self.common.telemetry.component("transform", &id.0));
                task.start(TaskContext { input, outlets, metrics, shutdown })
            }
            Unit::Sink(sink) => {
                let (input, metrics) = (receiver.expect(FRESH), self.common.telemetry.component("sink", &id.0));
                sink.start(SinkContext { input, metrics, shutdown })
            }
        }
    }
}
