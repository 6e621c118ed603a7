//! Sources: of samples on a timer, of lines that are pushed and answered, and of numbers that are read again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tailwater::data::{MemoryBudget, Signal};
use tailwater::delivery::{Ack, Cursor, Message, Settle, Verdict};
use tailwater::pipeline::component::{Plan, PrepareContext, Source};
use tailwater::pipeline::pushed::{Became, Intake};
use tailwater::pipeline::{Outputs, PrepareError, SourceContext, SourcePlan, Task};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::{logs, sample};

/// A source of samples driven by the clock: 0, 1, 2, … one a second.
pub struct Ticks;

impl Plan for Ticks {}

impl SourcePlan for Ticks {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Metrics)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Self))
    }
}

impl Source for Ticks {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut value = 0.0;
            while cx.shutdown.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some() {
                let message = Message::new(sample(value), Ack::detached());
                if cx.outlets[0].send(message).await.is_err() {
                    break;
                }
                value += 1.0;
            }
            Ok(())
        })
    }
}

/// A pushed source: the test hands in lines and is answered with the verdict.
pub struct Pushed(pub Arc<tokio::sync::Mutex<mpsc::Receiver<Push>>>);

/// Lines and where to answer.
pub type Push = (Vec<&'static str>, oneshot::Sender<Verdict>);

struct Answer(Mutex<Option<oneshot::Sender<Verdict>>>);

impl Settle for Answer {
    fn settled(&self, _: u64, verdict: Verdict) {
        let waiting = self.0.lock().expect("not poisoned").take();
        // The one who pushed may have gone.
        let _ = waiting.expect("settled once").send(verdict);
    }
}

impl Plan for Pushed {}

impl SourcePlan for Pushed {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl Source for Pushed {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut pushes = self.0.lock().await;
            while let Some(Some((lines, answer))) = cx.shutdown.run_until_cancelled(pushes.recv()).await {
                let settle = Arc::new(Answer(Mutex::new(Some(answer))));
                let Ok(ack) = cx.outlets[0].ack(settle, 0, true).await else { break };
                if cx.outlets[0].send(Message::new(logs(&lines), ack)).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }
}

/// A source of requests, each answered by what became of it in time.
pub struct Requests(pub Arc<tokio::sync::Mutex<mpsc::Receiver<Request>>>);

/// Lines and where to answer.
pub type Request = (Vec<&'static str>, oneshot::Sender<Became>);

/// Time in which a request is answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl Plan for Requests {}

impl SourcePlan for Requests {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        false
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl Source for Requests {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut requests = self.0.lock().await;
            let intake = Intake::new(cx.outlets.remove(0), cx.metrics.clone());
            let budget = MemoryBudget::new(1 << 20).share(Signal::Logs);
            while let Some(Some((lines, answer))) = cx.shutdown.run_until_cancelled(requests.recv()).await {
                let (intake, paid) = (intake.clone(), budget.acquire(1).await);
                tokio::spawn(async move {
                    let became = intake.hand_on(vec![logs(&lines)], paid, Instant::now() + ANSWER_WITHIN).await;
                    // The one who asked may have gone.
                    let _ = answer.send(became);
                });
            }
            Ok(())
        })
    }
}

/// A replayable source of numbered lines, paced by the test; reads again from its safe position what was
/// abandoned. The position outlives the source, like a checkpoint.
#[derive(Clone, Default)]
pub struct Numbers(pub Arc<NumbersState>);

#[derive(Default)]
pub struct NumbersState {
    pub safe: AtomicUsize,
    pub allowed: AtomicUsize,
    pub wake: Notify,
}

struct Position {
    cursor: Mutex<Cursor<usize>>,
    state: Arc<NumbersState>,
    abandoned: AtomicBool,
    unsettled: AtomicUsize,
}

impl Settle for Position {
    fn settled(&self, token: u64, verdict: Verdict) {
        if verdict.abandoned {
            self.abandoned.store(true, Ordering::SeqCst);
        } else if let Some(&safe) = self.cursor.lock().expect("not poisoned").settle(token) {
            self.state.safe.store(safe, Ordering::SeqCst);
        }
        self.unsettled.fetch_sub(1, Ordering::SeqCst);
        self.state.wake.notify_one();
    }
}

impl Numbers {
    /// Lets the source read up to this number.
    pub fn allow(&self, upto: usize) {
        self.0.allowed.store(upto, Ordering::SeqCst);
        self.0.wake.notify_one();
    }

    /// Waits until everything before `position` is settled.
    pub async fn settled(&self, position: usize) {
        while self.0.safe.load(Ordering::SeqCst) < position {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Plan for Numbers {}

impl SourcePlan for Numbers {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        true
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        Ok(Box::new(self.clone()))
    }
}

impl Source for Numbers {
    fn start(self: Box<Self>, mut cx: SourceContext) -> Task {
        Box::pin(async move {
            let mut next = self.0.safe.load(Ordering::SeqCst);
            let position = Arc::new(Position {
                cursor: Mutex::new(Cursor::new(next)),
                state: self.0.clone(),
                abandoned: AtomicBool::new(false),
                unsettled: AtomicUsize::new(0),
            });
            loop {
                let idle = position.unsettled.load(Ordering::SeqCst) == 0;
                if cx.shutdown.is_cancelled() && idle {
                    return Ok(());
                }
                if position.abandoned.load(Ordering::SeqCst) {
                    if idle {
                        next = *position.cursor.lock().expect("not poisoned").rewind();
                        position.abandoned.store(false, Ordering::SeqCst);
                        continue;
                    }
                } else if !cx.shutdown.is_cancelled() && next < self.0.allowed.load(Ordering::SeqCst) {
                    let sent = cx.shutdown.run_until_cancelled(async {
                        let token = position.cursor.lock().expect("not poisoned").push(next + 1);
                        position.unsettled.fetch_add(1, Ordering::SeqCst);
                        match cx.outlets[0].ack(position.clone(), token, false).await {
                            Ok(ack) => {
                                let line = next.to_string();
                                let sent = cx.outlets[0].send(Message::new(logs(&[&line]), ack)).await;
                                sent.is_ok()
                            }
                            Err(_) => false,
                        }
                    });
                    match sent.await {
                        Some(true) => next += 1,
                        Some(false) => return Ok(()),
                        // Stopped while the gate was closed: the batch never got an ack.
                        None => {
                            let mut cursor = position.cursor.lock().expect("not poisoned");
                            cursor.rewind();
                            position.unsettled.store(0, Ordering::SeqCst);
                            return Ok(());
                        }
                    }
                    continue;
                }
                tokio::select! {
                    () = self.0.wake.notified() => {}
                    () = cx.shutdown.cancelled(), if !cx.shutdown.is_cancelled() => {}
                }
            }
        })
    }
}
