//! What is being evaluated: a few groups at a time, each on a thread that may block, so that one whose query takes its time
//! delays no other; and groups that wait for what somebody else answers, which have no thread meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::{JoinError, JoinHandle};

use super::super::reader::Reader;
use crate::alerting::{Answers, Begun, Evaluated, Running, Store, Ticket};
use crate::promql::Stop;

/// Fewest groups at a time: with one, whoever takes long would have all others wait.
const FEWEST: usize = 2;

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
    evaluating: FuturesUnordered<JoinHandle<Done>>,
    /// A group asks once at a time, so that there are no more of them than groups.
    asking: FuturesUnordered<BoxFuture<'static, (Ticket, Answers)>>,
    stop: Stop,
}

/// An evaluation that was done.
pub(super) struct Done {
    pub evaluated: Evaluated,
    /// What was wrong with the rules then.
    pub trouble: Option<String>,
}

impl UnderWay {
    /// Nothing yet. `cores` groups are evaluated at a time, but for the fewest.
    pub fn new(running: Arc<Running>, store: Arc<dyn Store + Send + Sync>, reader: Arc<Reader>, cores: usize) -> Self {
        Self {
            running,
            store,
            reader,
            most: cores.max(FEWEST),
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
                    self.evaluating.push(tokio::task::spawn_blocking(move || {
                        let rules = running.rules();
                        let evaluated = rules.evaluate(evaluation, running.clock(), &*store, &stop);
                        Done { evaluated, trouble: rules.trouble() }
                    }));
                }
            }
        }
    }

    /// Waits until something has ended or was answered; `None` where that leaves nothing to hand on.
    pub async fn ended(&mut self) -> Option<Done> {
        tokio::select! {
            Some(done) = self.evaluating.next() => told(done),
            Some((ticket, answers)) = self.asking.next() => {
                self.running.rules().answer(ticket, answers);
                None
            }
            else => std::future::pending().await,
        }
    }

    /// Ends what is under way, and returns what it made. What is not through is due once more.
    pub async fn end(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                biased;
                ended = self.evaluating.next() => match ended {
                    Some(ended) => done.extend(told(ended)),
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

fn told(done: Result<Done, JoinError>) -> Option<Done> {
    done.inspect_err(|error| tracing::error!("a group of rules could not be evaluated: {error}")).ok()
}
