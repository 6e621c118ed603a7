//! The component as it runs: one loop takes samples into the store, another has the groups of rules evaluated that are due.
//! Neither waits for a destination: what rules write is offered, and what a full edge has no room for is counted.

mod evaluating;
mod force;
mod under_way;
mod waiting;

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::evaluating::Evaluating;
use self::force::Begun;
use self::under_way::UnderWay;
use super::files::Read;
use super::options::Options;
use crate::alerting::paging::Receivers;
use crate::alerting::remote::Remote;
use crate::alerting::route::Routing;
use crate::alerting::running::Evaluation;
use crate::alerting::{Running, Settings};
use crate::data::{Batch, UnixMillis};
use crate::delivery::{Message, Outcome};
use crate::pipeline::component::TransformTask;
use crate::pipeline::{Task, TaskContext, TaskError};
use crate::series::Matcher;
use crate::telemetry::{ComponentMetrics, Telemetry};

/// The component, ready to run.
pub(super) struct Alerting {
    pub running: Arc<Running>,
    pub read: Arc<Read>,
    pub routing: Option<Routing>,
    pub receivers: Receivers,
    pub settings: Settings,
    pub selectors: Vec<Vec<Matcher>>,
    pub options: Options,
    pub remote: Option<Remote>,
    pub telemetry: Arc<Telemetry>,
    pub data_dir: Arc<Path>,
    /// Groups that are evaluated at a time.
    pub at_a_time: usize,
}

impl TransformTask for Alerting {
    fn absorbs(&self) -> bool {
        true
    }

    fn start(self: Box<Self>, cx: TaskContext) -> Task {
        Box::pin(self.run(cx))
    }
}

impl Alerting {
    async fn run(self: Box<Self>, cx: TaskContext) -> Result<(), TaskError> {
        let TaskContext { mut input, outlets, metrics, shutdown } = cx;
        let outlet = outlets.into_iter().next().ok_or_else(|| TaskError("it has no output".into()))?;
        // The one before it, of a configuration that is no more, ends first.
        let turn = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            turn = self.running.turn() => turn,
        };
        let running = self.running.clone();
        // Whoever hands on alerts meanwhile is to try again.
        running.set_alerts_wait(self.routing.as_ref().map(|_| "`alerting` begins".into()));
        let at_a_time = self.at_a_time;
        running.set_evaluation(Evaluation::Begins);
        let failed = |error: &TaskError| {
            running.set_alerts_wait(Some(format!("`alerting` failed: {}", error.0)));
            running.set_evaluation(Evaluation::Failed(error.0.clone()));
        };
        let (begun, mut turn) = blocking(move || self.begin(turn)).await.inspect_err(failed)?;
        let Begun { reader, switch, door } = begun.inspect_err(failed)?;
        running.set_evaluation(Evaluation::Runs);
        let stop = CancellationToken::new();
        // Nothing goes on where this is given up.
        let _given_up = stop.clone().drop_guard();
        // Held here too: where the loop of the rules is gone, its silence has to be noticed.
        let pulses = switch.as_ref().map(|(_, pulses_of)| Arc::new(pulses_of()));
        let heartbeat = switch.map(|(heartbeat, _)| tokio::spawn(heartbeat.run(UnixMillis::now, stop.clone())));
        let evaluating = Evaluating {
            running: running.clone(),
            under_way: UnderWay::new(running.clone(), reader.clone(), reader, at_a_time),
            outlet,
            metrics: metrics.clone(),
            pulses: pulses.clone(),
            door,
            looked: None,
            // What the one before it said is no more.
            is_unwell: true,
            stop: stop.clone(),
        };
        let mut evaluating = tokio::spawn(evaluating.run());
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                ended = &mut evaluating => {
                    stop.cancel();
                    let why = ended.err().map_or_else(String::new, |error| format!(": {error}"));
                    return Err(TaskError(format!("the evaluation of rules ended by itself{why}"))).inspect_err(failed);
                }
                message = input.recv() => match message {
                    Some(message) => take(&running, message, &metrics),
                    None => break,
                },
            }
        }
        stop.cancel();
        let evaluated = evaluating.await;
        if let Some(heartbeat) = heartbeat {
            // It was told to stop, and has nothing that would have to be kept.
            let _ = heartbeat.await;
        }
        turn.opening = evaluated.map_err(|error| TaskError(format!("the evaluation of rules failed: {error}")))?;
        drop(turn);
        Ok(())
    }
}

/// Takes samples into the store.
fn take(running: &Running, message: Message, metrics: &ComponentMetrics) {
    metrics.count_in(&message.batch);
    let samples = message.batch.count() as u64;
    if let Batch::Metrics(batch) = &message.batch {
        running.store().append(batch, UnixMillis::now());
    }
    message.ack.settle(Outcome::Filtered, samples);
}

/// Does what blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, TaskError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| TaskError(error.to_string()))
}

#[cfg(test)]
mod tests;
