//! Transforms: one that carries acks, one that absorbs its input and one that holds it.

use std::sync::Arc;
use std::time::Duration;

use tailwater::data::names::Interest;
use tailwater::data::{Batch, Names, Signal};
use tailwater::delivery::{Ack, Message, Outcome};
use tailwater::pipeline::component::{Plan, PrepareTransform, Transform, TransformFactory, TransformTask};
use tailwater::pipeline::outlet::Ports;
use tailwater::pipeline::{Outputs, PrepareError, PreparedTransform, Task, TaskContext, TransformPlan};
use tokio::sync::Notify;

use super::sample;

/// A carrying transform that drops lines of one text.
pub struct DropLines(pub &'static str);

struct DropLinesWorker(&'static str);

impl Plan for DropLines {}

impl TransformPlan for DropLines {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        Ok(Outputs::One(signal))
    }

    fn interest(&self, _: Signal, _: &Names, downstream: &Interest) -> Result<Interest, PrepareError> {
        Ok(downstream.clone())
    }

    fn prepare(&self, _: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        struct Factory(&'static str);
        impl TransformFactory for Factory {
            fn worker(&self) -> Box<dyn Transform> {
                Box::new(DropLinesWorker(self.0))
            }
        }
        Ok(PreparedTransform::Carries(Arc::new(Factory(self.0))))
    }
}

impl Transform for DropLinesWorker {
    fn process(&mut self, mut message: Message, out: &mut Ports<'_>) {
        let mut dropped = 0;
        if let Batch::Logs(batch) = &mut message.batch {
            for index in 0..batch.records().len() {
                if batch.selection.contains(index) && batch.view(index).body() == self.0.as_bytes() {
                    batch.selection.remove(index);
                    dropped += 1;
                }
            }
        }
        out.filtered(&message, dropped);
        out.push(0, message);
    }
}

/// An absorbing transform: counts lines and emits the count as a sample every ten seconds.
pub struct CountLines;

impl Plan for CountLines {}

impl TransformPlan for CountLines {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        match signal {
            Signal::Logs => Ok(Outputs::One(Signal::Metrics)),
            other => Err(format!("cannot count {}", other.name())),
        }
    }

    fn interest(&self, _: Signal, _: &Names, _: &Interest) -> Result<Interest, PrepareError> {
        Ok(Interest::default())
    }

    fn prepare(&self, _: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        Ok(PreparedTransform::Task(Box::new(Self)))
    }
}

impl TransformTask for CountLines {
    fn absorbs(&self) -> bool {
        true
    }

    fn start(self: Box<Self>, mut cx: TaskContext) -> Task {
        Box::pin(async move {
            let mut count = 0usize;
            let mut timer = tokio::time::interval(Duration::from_secs(10));
            timer.tick().await;
            loop {
                tokio::select! {
                    message = cx.input.recv() => {
                        let Some(message) = message else { return Ok(()) };
                        let records = message.batch.count();
                        count += records;
                        message.ack.settle(Outcome::Filtered, records as u64);
                    }
                    _ = timer.tick() => {
                        // A pipeline that is gone wants no counts.
                        let _ = cx.outlets[0].send(Message::new(sample(count as f64), Ack::detached())).await;
                    }
                }
            }
        })
    }
}

/// A holding transform: keeps messages until the test releases them or the input ends.
pub struct HoldLines(pub Arc<Notify>);

impl Plan for HoldLines {}

impl TransformPlan for HoldLines {
    fn outputs(&self, signal: Signal) -> Result<Outputs, String> {
        Ok(Outputs::One(signal))
    }

    fn interest(&self, _: Signal, _: &Names, downstream: &Interest) -> Result<Interest, PrepareError> {
        Ok(downstream.clone())
    }

    fn prepare(&self, _: &PrepareTransform<'_>) -> Result<PreparedTransform, PrepareError> {
        Ok(PreparedTransform::Task(Box::new(Self(self.0.clone()))))
    }
}

impl TransformTask for HoldLines {
    fn absorbs(&self) -> bool {
        false
    }

    fn start(self: Box<Self>, mut cx: TaskContext) -> Task {
        Box::pin(async move {
            let mut held = Vec::new();
            loop {
                let ended = tokio::select! {
                    message = cx.input.recv() => match message {
                        Some(message) => { held.push(message); continue }
                        None => true,
                    },
                    () = self.0.notified() => false,
                };
                for message in held.drain(..) {
                    // A pipeline that is gone abandons what was held.
                    let _ = cx.outlets[0].send(message).await;
                }
                if ended {
                    return Ok(());
                }
            }
        })
    }
}
