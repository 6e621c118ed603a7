//! A sink that records what it gets, or refuses to answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tailwater::data::Signal;
use tailwater::delivery::Outcome;
use tailwater::pipeline::component::{Plan, PrepareContext, Sink};
use tailwater::pipeline::{PrepareError, SinkContext, SinkPlan, Task};
use tokio::sync::Notify;

use super::texts;

/// A sink that records what it gets, once it is not hung.
#[derive(Clone, Default)]
pub struct Record(pub Arc<RecordState>);

#[derive(Default)]
pub struct RecordState {
    pub texts: Mutex<Vec<String>>,
    pub hung: AtomicBool,
    pub panics: AtomicBool,
    pub wake: Notify,
}

impl Record {
    pub fn texts(&self) -> Vec<String> {
        self.0.texts.lock().expect("not poisoned").clone()
    }

    /// Stops, or lets go on, every answer.
    pub fn hang(&self, hung: bool) {
        self.0.hung.store(hung, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    /// Waits until this many texts have arrived.
    pub async fn reached(&self, count: usize) {
        while self.texts().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Plan for Record {}

impl SinkPlan for Record {
    fn accepts(&self, _: Signal) -> bool {
        true
    }

    fn prepare(&self, _: &PrepareContext) -> Result<Box<dyn Sink>, PrepareError> {
        Ok(Box::new(self.clone()))
    }
}

impl Sink for Record {
    fn start(self: Box<Self>, mut cx: SinkContext) -> Task {
        Box::pin(async move {
            while let Some(Some(message)) = cx.shutdown.run_until_cancelled(cx.input.recv()).await {
                assert!(!self.0.panics.swap(false, Ordering::SeqCst), "the test asked for a panic");
                loop {
                    let wake = self.0.wake.notified();
                    tokio::pin!(wake);
                    wake.as_mut().enable();
                    if !self.0.hung.load(Ordering::SeqCst) {
                        let texts = texts(&message.batch);
                        let records = texts.len() as u64;
                        self.0.texts.lock().expect("not poisoned").extend(texts);
                        message.ack.settle(Outcome::Delivered, records);
                        break;
                    }
                    let path = message.ack.path().clone();
                    tokio::select! {
                        () = wake => {}
                        () = path.revoked() => break,
                        () = cx.shutdown.cancelled() => return Ok(()),
                    }
                }
            }
            Ok(())
        })
    }
}
