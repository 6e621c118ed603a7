//! Where scraped batches go: into the graph, without ever waiting for it.
//!
//! Every target belongs to one worker, so that samples of a series stay in order and what transforms remember
//! of a series is remembered once. What the memory budget or a worker has no room for is dropped and counted.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::data::{Batch, Budget, MetricBatch, Permit};
use crate::delivery::{Message, Settle, Verdict};
use crate::pipeline::Outlet;
use crate::pipeline::outlet::NotNow;
use crate::telemetry::ComponentMetrics;

/// Batches that wait for one worker; it only ever waits for a reload.
const WAITING: usize = 4096;

/// Hands batches of one target to its worker.
#[derive(Clone, Debug)]
pub(super) struct Output {
    worker: mpsc::Sender<(MetricBatch, Held)>,
    budget: Arc<Budget>,
    metrics: Arc<ComponentMetrics>,
}

impl Output {
    /// Sends a batch, or drops and counts it where there is no room.
    pub fn send(&self, batch: MetricBatch) {
        let (samples, bytes) = (batch.selection.count() as u64, batch.payload_bytes());
        self.metrics.records_in.inc_by(samples);
        let Some(permit) = self.budget.try_acquire(bytes) else {
            self.metrics.records_dropped.inc_by(samples);
            self.metrics.error(
                "samples are dropped: the memory for metrics is used up; see which sink is behind, or give the agent more memory",
            );
            return;
        };
        let held = Held { permit: Mutex::new(Some(permit)), samples, metrics: self.metrics.clone() };
        if let Err(TrySendError::Full((_, held))) = self.worker.try_send((batch, held)) {
            held.let_go();
            self.metrics.records_dropped.inc_by(samples);
            self.metrics.error(format!(
                "samples are dropped: {WAITING} batches wait for one worker; a reload holds it up, or it has too little \
                 CPU for the transforms behind this source"
            ));
        }
    }
}

impl Output {
    /// The output of whoever has these labels, always the same one: samples of a series stay in their order.
    pub fn of(outputs: &[Self], labels: u64) -> &Self {
        &outputs[(labels % outputs.len() as u64) as usize]
    }

    /// Tells what is wrong, in the log and on the status page.
    pub fn tell(&self, words: &str) {
        tracing::warn!(component = &*self.metrics.name, "{words}");
        self.error(words);
    }

    /// Tells what is wrong on the status page, where the log has it already.
    pub fn error(&self, words: &str) {
        self.metrics.error(words);
    }

    /// Counts samples that are refused.
    pub fn refused(&self, samples: u64, words: &str) {
        self.metrics.records_refused.inc_by(samples);
        self.metrics.error(words);
    }
}

/// Starts `count` workers, each with an outlet of its own. They end when all outputs are gone.
pub(super) fn start(
    outlet: &Outlet,
    count: usize,
    budget: &Arc<Budget>,
    metrics: &Arc<ComponentMetrics>,
) -> (Vec<Output>, Vec<tokio::task::JoinHandle<()>>) {
    (0..count.max(1))
        .map(|_| {
            let (sender, receiver) = mpsc::channel(WAITING);
            let output = Output { worker: sender, budget: budget.clone(), metrics: metrics.clone() };
            (output, tokio::spawn(work(receiver, outlet.clone())))
        })
        .unzip()
}

async fn work(mut batches: mpsc::Receiver<(MetricBatch, Held)>, mut outlet: Outlet) {
    while let Some((batch, held)) = batches.recv().await {
        // Waits only while a reload changes what is behind the output.
        let Ok(ack) = outlet.ack(Arc::new(held), 0, false).await else { return };
        match outlet.offer(Message::new(Batch::Metrics(batch), ack)) {
            Ok(()) | Err(NotNow::Closed) => {}
            Err(NotNow::Gone(_)) => return,
        }
    }
}

/// A batch on its way to a worker and in the graph: the memory that it was given, until it is settled. One that is
/// never settled, as when its worker has ended before, is lost.
#[derive(Debug)]
struct Held {
    permit: Mutex<Option<Permit>>,
    samples: u64,
    metrics: Arc<ComponentMetrics>,
}

impl Settle for Held {
    fn settled(&self, _: u64, verdict: Verdict) {
        self.let_go();
        if verdict.abandoned {
            // A scrape cannot be repeated.
            self.metrics.records_lost.inc_by(self.samples);
        }
    }
}

impl Held {
    /// Gives the memory back; returns whether it was held till now.
    fn let_go(&self) -> bool {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.let_go() {
            self.metrics.records_lost.inc_by(self.samples);
            self.metrics.error("samples are lost: what is behind this source has ended and takes nothing any more");
        }
    }
}
