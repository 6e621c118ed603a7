//! One transform on its own: what goes in comes out, through the code that the running pipeline uses, with
//! queues of unlimited size where its readers would be.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::build::prepare_transform;
use super::component::{PreparedTransform, TaskContext};
use super::graph::{Graph, OutputId};
use super::outlet::{Chain, Gate, Reader};
use super::{BuildError, Common, TaskError};
use crate::data::Batch;
use crate::delivery::queue::{EdgeReceiver, WhenFull, edge};
use crate::delivery::{Ack, Message, Path};

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The transform cannot be prepared.
    #[error(transparent)]
    Prepare(#[from] BuildError),
    /// It failed on the input.
    #[error(transparent)]
    Failed(#[from] TaskError),
    /// It is a source or a sink.
    #[error("`{0}` is no transform")]
    NoTransform(String),
}

/// Hands the batches to the transform that owns `output` and returns what leaves it there.
pub async fn run(
    graph: &Graph,
    output: &OutputId,
    common: &Common,
    input: Vec<Batch>,
) -> Result<Vec<Batch>, TrialError> {
    let component = &graph.components[output.component];
    let prepared = prepare_transform(graph, output.component, common)?;
    let prepared = prepared.ok_or_else(|| TrialError::NoTransform(component.id.to_string()))?;
    let metrics = common.telemetry.component(component.role.kind(), &component.id.0);
    let (chains, mut ends): (Vec<Chain>, Vec<EdgeReceiver>) = (0..component.outputs.len())
        .map(|output| {
            let (sender, receiver) = edge(u64::MAX, WhenFull::Block, metrics.clone());
            let input = Arc::from(component.output_name(output));
            (Chain { readers: vec![Reader::Edge { sender, input, is_destination: true }] }, receiver)
        })
        .unzip();
    match prepared {
        PreparedTransform::Carries(factory) => {
            let reader = Reader::Fused { factory, metrics: metrics.clone(), outputs: chains };
            let (_gate, mut outlet) = Gate::open(Chain { readers: vec![reader] }, Path::new(), metrics);
            for batch in input {
                let open = "the gate stays open while its trial runs";
                let ack = outlet.ack(Arc::new(Unheard), 0, false).await.expect(open);
                outlet.send(Message::new(batch, ack)).await.expect(open);
            }
        }
        PreparedTransform::Task(task) => {
            let gates = chains.into_iter().map(|chain| Gate::open(chain, Path::new(), metrics.clone()));
            let (_gates, outlets): (Vec<_>, Vec<_>) = gates.unzip();
            let (sender, input_end) = edge(u64::MAX, WhenFull::Block, metrics.clone());
            for batch in input {
                // The receiver is held below, so the queue takes what it is given.
                let _ = sender.send(Message::new(batch, Ack::detached())).await;
            }
            drop(sender);
            let shutdown = CancellationToken::new();
            task.start(TaskContext { input: input_end, outlets, metrics, shutdown }).await?;
        }
    }
    let mut batches = Vec::new();
    while let Some(message) = ends[output.output].try_recv() {
        message.ack.done();
        batches.push(message.batch);
    }
    Ok(batches)
}

/// Nobody waits for the verdicts of a trial.
struct Unheard;

impl crate::delivery::Settle for Unheard {
    fn settled(&self, _: u64, _: crate::delivery::Verdict) {}
}
