//! Where a source or a task hands its messages on: through the fused transforms behind it, into the edges
//! at their end.
//!
//! Every worker has an outlet of its own, with its own instances of the transforms. A reload closes the
//! gate, drains or withdraws what is on the old [`Path`], puts a new [`Chain`] in place and opens the gate;
//! the source notices nothing but a pause.

use std::sync::Arc;

use opentelemetry::trace::SpanKind;
use tokio::sync::watch;

use super::component::{Transform, TransformFactory};
use crate::data::Batch;
use crate::delivery::queue::EdgeSender;
use crate::delivery::{Ack, Message, Outcome, Path, Settle, journey};
use crate::telemetry::ComponentMetrics;

/// What lies behind one output, ready to be instantiated by each worker.
#[derive(Clone, Default)]
pub struct Chain {
    /// Everything that reads the output, in the order of the configuration.
    pub readers: Vec<Reader>,
}

/// One reader of an output.
#[derive(Clone)]
pub enum Reader {
    /// A fused transform and the chains behind its outputs.
    Fused {
        /// Makes the transform.
        factory: Arc<dyn TransformFactory>,
        /// Its metrics.
        metrics: Arc<ComponentMetrics>,
        /// Behind each of its outputs.
        outputs: Vec<Chain>,
    },
    /// An edge into a sink or a task.
    Edge {
        /// The queue.
        sender: EdgeSender,
        /// Name of the output that the edge reads.
        input: Arc<str>,
        /// Whether a record is somewhere once it is there. Who only counts records or shows them looks on.
        is_destination: bool,
    },
}

impl Chain {
    fn leads_to_destination(&self) -> bool {
        self.readers.iter().any(Reader::leads_to_destination)
    }
}

impl Reader {
    /// An edge into a destination.
    pub fn edge(sender: EdgeSender, input: &str) -> Self {
        Self::Edge { sender, input: input.into(), is_destination: true }
    }

    fn leads_to_destination(&self) -> bool {
        match self {
            Self::Fused { outputs, .. } => outputs.iter().any(Chain::leads_to_destination),
            Self::Edge { is_destination, .. } => *is_destination,
        }
    }
}

/// One version of what lies behind an output.
struct Version {
    chain: Chain,
    path: Arc<Path>,
}

/// The part of an outlet that the runner keeps: the gate and the version in force.
pub struct Gate {
    version: watch::Sender<Option<Arc<Version>>>,
    metrics: Arc<ComponentMetrics>,
}

/// Hands messages on. Clone one for each worker.
pub struct Outlet {
    gate: Arc<Gate>,
    version: watch::Receiver<Option<Arc<Version>>>,
    current: Option<Instance>,
}

struct Instance {
    version: Arc<Version>,
    output: Port,
    pending: Vec<(EdgeSender, Message)>,
}

/// Instances of everything behind one output.
struct Port(Vec<Branch>);

/// One reader of an output.
struct Branch {
    stage: Stage,
    /// Whether no destination is behind it while there is one behind another branch: the verdict is about that.
    looks_on: bool,
}

enum Stage {
    Fused { transform: Box<dyn Transform>, metrics: Arc<ComponentMetrics>, outputs: Vec<Port> },
    Edge { sender: EdgeSender, input: Arc<str> },
}

/// The outputs of a transform while it processes a message.
pub struct Ports<'a> {
    outputs: &'a mut [Port],
    pending: &'a mut Vec<(EdgeSender, Message)>,
    metrics: &'a ComponentMetrics,
}

impl Gate {
    /// An open gate before `chain`, and the first outlet through it. `metrics` are those of the source or
    /// task that owns the output.
    pub fn open(chain: Chain, path: Arc<Path>, metrics: Arc<ComponentMetrics>) -> (Arc<Self>, Outlet) {
        let first = Arc::new(Version { chain, path });
        let gate = Arc::new(Self { version: watch::Sender::new(Some(first)), metrics });
        let outlet = Outlet { version: gate.version.subscribe(), gate: gate.clone(), current: None };
        (gate, outlet)
    }

    /// Lets nothing more through until [`Gate::reopen`].
    pub fn close(&self) {
        self.version.send_replace(None);
    }

    /// Counts a message that sets out here, and follows it if it is chosen.
    fn count_out(&self, message: &Message) {
        self.metrics.records_out.inc_by(message.batch.count() as u64);
        self.metrics.bytes_out.inc_by(message.batch.bytes());
        if message.ack.way().is_none() {
            let verb = if self.metrics.kind == "source" { "read" } else { "emit" };
            if let Some(way) = journey::begin(verb, &self.metrics, &message.batch) {
                message.ack.follow(way);
            }
        }
    }

    /// Opens the gate before a new chain.
    pub fn reopen(&self, chain: Chain, path: Arc<Path>) {
        self.version.send_replace(Some(Arc::new(Version { chain, path })));
    }
}

impl Clone for Outlet {
    fn clone(&self) -> Self {
        Self { gate: self.gate.clone(), version: self.version.clone(), current: None }
    }
}

/// Nothing takes messages any more: the pipeline is being torn down.
#[derive(Debug, thiserror::Error)]
#[error("the pipeline behind this output is gone")]
pub struct Gone;

impl Outlet {
    /// Whether anything reads the output. While the gate is closed it may be that something will.
    pub fn is_read(&self) -> bool {
        self.version.borrow().as_ref().is_none_or(|version| !version.chain.readers.is_empty())
    }

    /// Waits until the gate is open and returns an ack on the path that [`Outlet::send`] will use for it.
    /// Between the two the caller must not wait for anything else.
    pub async fn ack(&mut self, settle: Arc<dyn Settle>, token: u64, waited_for: bool) -> Result<Ack, Gone> {
        let instance = Instance::in_force(&mut self.version, &mut self.current).await?;
        Ok(Ack::new(settle, token, instance.version.path.clone(), waited_for))
    }

    /// Runs the message through everything fused behind this output, then hands what is left to the
    /// edges, waiting where one is full. When it returns, the message is owned by the graph.
    pub async fn send(&mut self, message: Message) -> Result<(), Gone> {
        let Self { gate, version, current } = self;
        let instance = match current.take() {
            // The ack was made on this version's path: it goes the way that its path stands for, also
            // while the gate is closed, because the drain waits for it.
            Some(instance) if message.ack.path().is_of(&instance.version.path) => current.insert(instance),
            other => {
                *current = other;
                Instance::in_force(version, current).await?
            }
        };
        gate.count_out(&message);
        instance.output.push(message, &mut instance.pending);
        for (sender, message) in instance.pending.drain(..) {
            // A closed edge belongs to a sink that died; dropping the message abandons it, and the
            // source reads it again. So does withdrawing the path while an edge is full.
            tokio::select! {
                biased;
                _ = sender.send(message) => {}
                () = instance.version.path.revoked() => {}
            }
        }
        Ok(())
    }

    /// As [`Outlet::ack`], without waiting for a gate to open.
    pub fn try_ack(&mut self, settle: Arc<dyn Settle>, token: u64, waited_for: bool) -> Result<Ack, NotNow> {
        let instance = Instance::in_force_now(&mut self.version, &mut self.current)?;
        Ok(Ack::new(settle, token, instance.version.path.clone(), waited_for))
    }

    /// As [`Outlet::send`], without ever waiting: for sources that are driven by time. Where an edge is full,
    /// the oldest that came this way is dropped and counted ([`EdgeSender::offer`]). With an ack of
    /// [`Outlet::try_ack`] the gate is never found closed; with one of another path, a message that comes
    /// while it is closed is dropped, which abandons it.
    pub fn offer(&mut self, message: Message) -> Result<(), NotNow> {
        let Self { gate, version, current } = self;
        let instance = match current.take() {
            Some(instance) if message.ack.path().is_of(&instance.version.path) => current.insert(instance),
            other => {
                *current = other;
                Instance::in_force_now(version, current)?
            }
        };
        gate.count_out(&message);
        instance.output.push(message, &mut instance.pending);
        for (sender, message) in instance.pending.drain(..) {
            // A closed edge belongs to a sink that died; dropping the message abandons it.
            let _ = sender.offer(message);
        }
        Ok(())
    }
}

/// Why [`Outlet::try_ack`] or [`Outlet::offer`] could not at once.
#[derive(Debug, thiserror::Error)]
pub enum NotNow {
    /// The gate is closed: a reload changes what is behind the output. It opens again.
    #[error("what is behind this output is being replaced")]
    Closed,
    /// Nothing takes messages any more.
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl Instance {
    /// The instance of the version in force, kept in `current`; waits while the gate is closed.
    async fn in_force<'a>(
        version: &mut watch::Receiver<Option<Arc<Version>>>,
        current: &'a mut Option<Self>,
    ) -> Result<&'a mut Self, Gone> {
        let open = version.wait_for(Option::is_some).await.map_err(|_| Gone)?;
        let version = open.as_ref().ok_or(Gone)?;
        Ok(Self::of(version, current))
    }

    /// The same without waiting.
    fn in_force_now<'a>(
        version: &mut watch::Receiver<Option<Arc<Version>>>,
        current: &'a mut Option<Self>,
    ) -> Result<&'a mut Self, NotNow> {
        // An error says that the gate is gone.
        version.has_changed().map_err(|_| Gone)?;
        let open = version.borrow_and_update();
        let version = open.as_ref().ok_or(NotNow::Closed)?;
        Ok(Self::of(version, current))
    }

    fn of<'a>(version: &Arc<Version>, current: &'a mut Option<Self>) -> &'a mut Self {
        let instance = match current.take() {
            Some(instance) if Arc::ptr_eq(&instance.version, version) => instance,
            _ => Self { output: Port::of(&version.chain), version: version.clone(), pending: Vec::new() },
        };
        current.insert(instance)
    }
}

impl Port {
    fn of(chain: &Chain) -> Self {
        let is_somewhere = chain.leads_to_destination();
        let branch = |reader: &Reader| {
            let looks_on = is_somewhere && !reader.leads_to_destination();
            Branch { stage: Stage::of(reader), looks_on }
        };
        Self(chain.readers.iter().map(branch).collect())
    }

    fn push(&mut self, message: Message, pending: &mut Vec<(EdgeSender, Message)>) {
        let Some((last, others)) = self.0.split_last_mut() else {
            let records = message.batch.count() as u64;
            return message.ack.settle(Outcome::Filtered, records);
        };
        for branch in others {
            branch.push(message.fork(), pending);
        }
        last.push(message, pending);
    }
}

impl Branch {
    fn push(&mut self, mut message: Message, pending: &mut Vec<(EdgeSender, Message)>) {
        if self.looks_on {
            message.ack.look_on();
        }
        self.stage.push(message, pending);
    }
}

impl Stage {
    fn of(reader: &Reader) -> Self {
        match reader {
            Reader::Fused { factory, metrics, outputs } => {
                let outputs = outputs.iter().map(Port::of).collect();
                Self::Fused { transform: factory.worker(), metrics: metrics.clone(), outputs }
            }
            Reader::Edge { sender, input, .. } => Self::Edge { sender: sender.clone(), input: input.clone() },
        }
    }

    fn push(&mut self, mut message: Message, pending: &mut Vec<(EdgeSender, Message)>) {
        match self {
            Self::Fused { transform, metrics, outputs } => {
                metrics.records_in.inc_by(message.batch.count() as u64);
                metrics.bytes_in.inc_by(message.batch.bytes());
                let _leg =
                    message.ack.way().map(|way| way.part("process", metrics, SpanKind::Internal).with(&message.batch));
                transform.process(message, &mut Ports { outputs, pending, metrics });
            }
            Self::Edge { sender, input } => {
                message.input = input.clone();
                if let Batch::Logs(batch) = message.batch {
                    message.batch = Batch::Logs(batch.compacted());
                }
                pending.push((sender.clone(), message));
            }
        }
    }
}

impl Ports<'_> {
    /// Passes a message on through one output. An empty batch is settled here, and one that nothing reads is
    /// counted as filtered.
    pub fn push(&mut self, output: usize, message: Message) {
        let records = message.batch.count() as u64;
        if records == 0 {
            return message.ack.done();
        }
        if self.outputs[output].0.is_empty() {
            self.filtered(&message, records);
            return message.ack.done();
        }
        self.metrics.records_out.inc_by(records);
        self.metrics.bytes_out.inc_by(message.batch.bytes());
        self.outputs[output].push(message, self.pending);
    }

    /// Counts records that the transform took out of a message.
    pub fn filtered(&mut self, message: &Message, records: u64) {
        if records > 0 {
            self.metrics.records_filtered.inc_by(records);
            message.ack.count(Outcome::Filtered, records);
        }
    }

    /// The transform's metrics.
    pub fn metrics(&self) -> &ComponentMetrics {
        self.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::Verdict;
    use crate::delivery::queue::{WhenFull, edge};
    use crate::pipeline::testing::batch;
    use crate::telemetry::Telemetry;

    struct Unheard;

    impl Settle for Unheard {
        fn settled(&self, _: u64, _: Verdict) {}
    }

    #[test]
    fn an_offer_waits_neither_for_a_full_edge_nor_for_a_closed_gate() {
        let metrics = Telemetry::new().component("sink", "x");
        let (sender, mut receiver) = edge(1, WhenFull::Block, metrics.clone());
        let chain = Chain { readers: vec![Reader::edge(sender, "in/x")] };
        let (gate, mut outlet) = Gate::open(chain.clone(), Path::new(), metrics.clone());
        for line in ["first", "second"] {
            let ack = outlet.try_ack(Arc::new(Unheard), 0, false).expect("open");
            gate.close();
            outlet.offer(Message::new(Batch::Logs(batch(&[line])), ack)).expect("goes the way of its ack");
            assert!(matches!(outlet.try_ack(Arc::new(Unheard), 0, false), Err(NotNow::Closed)));
            gate.reopen(chain.clone(), Path::new());
        }
        assert_eq!(metrics.records_dropped.get(), 1);
        let left = receiver.try_recv().expect("the second took the first one's place");
        let Batch::Logs(logs) = &left.batch else { panic!("logs went in") };
        assert_eq!(logs.view(0).body(), b"second");
        left.ack.done();
    }
}
