//! What is being evaluated: a few groups at a time, each on a thread that may block, so that one whose query takes its time
//! delays no other; and groups that wait for what somebody else answers, which have no thread meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinHandle;

use super::super::reader::Reader;
use crate::alerting::{Answers, Begun, Evaluated, GroupName, Running, Store, Ticket};
use crate::promql::Stop;

/// How long what is under way has to end by itself where nobody wants anything new. Most evaluations take less.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is under way.
pub(super) struct UnderWay {
    running: Arc<Running>,
    /// What rules read and write.
    store: Arc<dyn Store + Send + Sync>,
    /// By which somebody else is asked.
    reader: Arc<Reader>,
    most: usize,
    evaluating: FuturesUnordered<BoxFuture<'static, Option<Evaluated>>>,
    /// A group asks once at a time, so that there are no more of them than groups.
    asking: FuturesUnordered<BoxFuture<'static, (Ticket, Answers)>>,
    stop: Stop,
}

impl UnderWay {
    /// Nothing yet. At most `most` groups are evaluated at a time.
    pub fn new(running: Arc<Running>, store: Arc<dyn Store + Send + Sync>, reader: Arc<Reader>, most: usize) -> Self {
        Self {
            running,
            store,
            reader,
            most,
            evaluating: FuturesUnordered::new(),
            asking: FuturesUnordered::new(),
            stop: Stop::default(),
        }
    }

    /// Whether another group can be evaluated now.
    pub fn has_room(&self) -> bool {
        self.evaluating.len() < self.most
    }

    /// Begins what is due, as far as there is room.
    pub fn begin(&mut self) {
        while self.has_room()
            && let Some(begun) = self.running.rules().begin(self.running.clock(), &*self.store)
        {
            match begun {
                Begun::Asks(questions) => self.asking.push(Box::pin(self.reader.clone().answer(questions))),
                Begun::Evaluation(evaluation) => {
                    let (running, store, stop) = (self.running.clone(), self.store.clone(), self.stop.clone());
                    let group = evaluation.group();
                    let evaluating = tokio::task::spawn_blocking(move || {
                        running.rules().evaluate(evaluation, running.clock(), &*store, &stop)
                    });
                    self.evaluating.push(Box::pin(told(self.running.clone(), group, evaluating)));
                }
            }
        }
    }

    /// Waits until something has ended or was answered; `None` where that leaves nothing to hand on.
    pub async fn ended(&mut self) -> Option<Evaluated> {
        tokio::select! {
            Some(evaluated) = self.evaluating.next() => evaluated,
            Some((ticket, answers)) = self.asking.next() => {
                self.running.rules().answer(ticket, answers);
                None
            }
            else => std::future::pending().await,
        }
    }

    /// Ends what is under way, and returns what it made. What is not through is due once more.
    pub async fn end(&mut self) -> Vec<Evaluated> {
        let mut done = Vec::new();
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                biased;
                ended = self.evaluating.next() => match ended {
                    Some(ended) => done.extend(ended),
                    None => return done,
                },
                () = &mut patience, if !self.stop.is_stopped() => self.stop.stop(),
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // What nobody waits for any more does not go on beside whoever comes next.
        self.stop.stop();
    }
}

/// What an evaluation has made; none where it panicked, which is told.
pub(super) async fn told(
    running: Arc<Running>,
    group: Option<GroupName>,
    evaluating: JoinHandle<Evaluated>,
) -> Option<Evaluated> {
    let error = match evaluating.await {
        Ok(evaluated) => return Some(evaluated),
        Err(error) => error,
    };
    match group {
        Some((file, name)) => {
            tracing::error!("the group `{name}` of {file} could not be evaluated: {error}");
            running.rules().panicked((file, name));
        }
        None => tracing::error!("series of a group that is no more could not be ended: {error}"),
    }
    None
}
