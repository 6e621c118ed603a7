//! Samples on their way into bodies. One task does it for all shards: a batch is written once, each of its samples
//! into the open body of its shard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::RemoteWrite;
use super::delivery::{Delivery, Written};
use super::parcel::{Parcel, Slice};
use super::pool::BodyPool;
use super::shards::{Count, WINDOW, Watched};
use super::shared::Shared;
use crate::data::Batch;
use crate::delivery::complaints::Complaints;
use crate::delivery::queue::EdgeReceiver;
use crate::delivery::refusals::Refusals;
use crate::delivery::sender::Sender;
use crate::delivery::{Message, Outcome};
use crate::formats::prometheus::remote_write::{Body, Compressor, Encoder, Part, Version};
use crate::pipeline::{SinkContext, TaskError};

/// Bodies that wait for a shard's request in flight.
const WAITING: usize = 1;

/// How often metadata goes out in 1.0.
const METADATA: Duration = Duration::from_secs(60);

/// Samples being gathered, and the shards that send them.
struct Gather {
    shared: Arc<Shared>,
    sender: Arc<Sender>,
    encoder: Encoder,
    compressor: Compressor,
    linger: Duration,
    bodies: Vec<Body>,
    open: Vec<Open>,
    shards: Vec<mpsc::Sender<Delivery>>,
    tasks: JoinSet<()>,
    count: Count,
    watched: Watched,
    window: Instant,
    told: Instant,
    /// When what is open is sent at the latest.
    due: Option<Instant>,
}

/// What an open body was written from.
#[derive(Default)]
struct Open {
    parcel: Parcel,
    slices: Vec<Slice>,
    maybe_stored: bool,
}

/// Runs the sink until its input ends and all of it is settled, or it is told to stop.
pub(super) async fn run(sink: RemoteWrite, cx: SinkContext) -> Result<(), TaskError> {
    let RemoteWrite { options, server, identity } = sink;
    let own = &options.own;
    let complaints = Arc::new(Complaints::new(cx.metrics.clone()));
    let limits = own.shards.value;
    let sender = Sender::new(cx.metrics.clone(), complaints, limits.max, fastrand::Rng::new());
    let external: BTreeMap<_, _> = match own.external_labels {
        true => identity.external_labels.clone(),
        false => BTreeMap::new(),
    };
    let rules = own.rules().map_err(|_| TaskError("`write_relabel_configs` are wrong".into()))?;
    let version = Version::from(own.version);
    let shared = Arc::new(Shared {
        server,
        metrics: cx.metrics.clone(),
        refusals: Refusals::new(cx.metrics.clone()),
        bodies: BodyPool::default(),
        max_bytes: usize::try_from(own.batch.max_bytes.0).unwrap_or(usize::MAX),
        most_shards: limits.max,
        external: external.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
        rules,
        exemplars: own.send_exemplars,
        metadata: own.send_metadata,
        v2: AtomicBool::new(version == Version::V2),
        used: AtomicU64::new(0),
        taken: AtomicU64::new(0),
    });
    let mut gather = Gather {
        encoder: shared.encoder(version, shared.metadata),
        shared,
        sender: Arc::new(sender),
        compressor: Compressor::default(),
        linger: own.batch.linger.0,
        bodies: Vec::new(),
        open: Vec::new(),
        shards: Vec::new(),
        tasks: JoinSet::new(),
        count: Count::new(limits),
        watched: Watched::default(),
        window: Instant::now(),
        told: Instant::now(),
        due: None,
    };
    gather.spread();
    tokio::select! {
        biased;
        () = cx.shutdown.cancelled() => Ok(()),
        ended = gather.run(cx.input) => ended,
    }
}

impl Gather {
    async fn run(&mut self, mut input: EdgeReceiver) -> Result<(), TaskError> {
        loop {
            let message = match input.try_recv() {
                Some(message) => Some(message),
                None => {
                    if self.hurries() {
                        self.flush().await?;
                    }
                    let due = self.due.unwrap_or_else(|| Instant::now() + WINDOW);
                    match tokio::time::timeout_at(due, input.recv()).await {
                        Ok(message) => message,
                        Err(_) => {
                            self.flush().await?;
                            self.look().await?;
                            continue;
                        }
                    }
                }
            };
            let Some(message) = message else { break };
            input.metrics().count_in(&message.batch);
            self.write(message).await?;
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.flush().await?;
            }
            self.look().await?;
        }
        self.flush().await?;
        self.drain().await
    }

    /// Whether somebody waits for a verdict about what is open.
    fn hurries(&self) -> bool {
        self.open.iter().any(|open| open.parcel.waited_for())
    }

    /// Writes the samples of a message into the open bodies, sending those that become full.
    async fn write(&mut self, message: Message) -> Result<(), TaskError> {
        let Message { batch, ack, first_attempt, .. } = message;
        let Batch::Metrics(batch) = batch else {
            // The plan accepts metrics alone, so the graph sends nothing else.
            ack.done();
            return Ok(());
        };
        if ack.is_revoked() {
            ack.done();
            return Ok(());
        }
        let mut part = Part::whole(&batch, self.bodies.len(), self.shared.max_bytes);
        while part.from < part.to {
            if self.encoder.version() != self.shared.version() {
                self.flush().await?;
                self.encoder = self.shared.encoder(self.shared.version(), self.shared.metadata);
            }
            let before: Vec<u64> = self.bodies.iter().map(|body| body.counts().all_samples()).collect();
            let encoded = {
                let series = batch.series().table().read();
                self.encoder.encode(&batch, &series, &part, &mut self.compressor, &mut self.bodies)
            };
            if encoded.dropped > 0 {
                ack.count(Outcome::Filtered, encoded.dropped);
                self.shared.metrics.records_filtered.inc_by(encoded.dropped);
            }
            for (shard, before) in before.into_iter().enumerate() {
                let samples = self.bodies[shard].counts().all_samples() - before;
                if samples > 0 {
                    let open = &mut self.open[shard];
                    let of = open.parcel.push(batch.clone(), ack.fork(), samples);
                    let shard = (shard, self.bodies.len());
                    open.slices.push(Slice { of, from: part.from, to: encoded.next, shard, samples });
                    open.maybe_stored |= first_attempt.is_some();
                    self.due.get_or_insert_with(|| Instant::now() + self.linger);
                }
            }
            part.from = encoded.next;
            for shard in 0..self.bodies.len() {
                if self.bodies[shard].len() >= self.shared.max_bytes {
                    self.send(shard).await?;
                }
            }
        }
        ack.done();
        Ok(())
    }

    /// Sends everything that is open.
    async fn flush(&mut self) -> Result<(), TaskError> {
        self.due = None;
        for shard in 0..self.bodies.len() {
            if !self.bodies[shard].is_empty() {
                self.send(shard).await?;
            }
        }
        if self.encoder.is_worn() {
            self.encoder.renew();
        }
        Ok(())
    }

    /// Finishes the open body of a shard and hands it on, waiting for room.
    async fn send(&mut self, shard: usize) -> Result<(), TaskError> {
        let version = self.encoder.version();
        let request = self.bodies[shard].finish(&mut self.compressor, self.shared.bodies.take());
        let counts = request.counts;
        let body = Written { bytes: self.shared.bodies.lend(request), counts, version };
        let Open { parcel, slices, maybe_stored } = std::mem::take(&mut self.open[shard]);
        let delivery = Delivery::new(self.shared.clone(), parcel, slices, body, maybe_stored);
        let asked = Instant::now();
        let sent = self.shards[shard].send(delivery).await;
        self.watched.waited += asked.elapsed();
        sent.map_err(|_| TaskError("a shard ended before its input did".into()))
    }

    /// Looks, once a window, whether the number of shards is to change.
    async fn look(&mut self) -> Result<(), TaskError> {
        if self.told.elapsed() >= METADATA {
            self.told = Instant::now();
            self.encoder.repeat_metadata();
        }
        if self.window.elapsed() < WINDOW {
            return Ok(());
        }
        self.window = Instant::now();
        let mut watched = std::mem::take(&mut self.watched);
        watched.used = Duration::from_nanos(self.shared.used.swap(0, Ordering::Relaxed));
        watched.taken = self.shared.taken.swap(0, Ordering::Relaxed);
        if let Some(shards) = self.count.after(watched) {
            let component = &*self.shared.metrics.name;
            tracing::info!(component, shards, "the number of shards changes");
            self.flush().await?;
            self.drain().await?;
            self.spread();
        }
        Ok(())
    }

    /// Waits until every shard has sent what it has, and ends them.
    async fn drain(&mut self) -> Result<(), TaskError> {
        self.shards.clear();
        while let Some(ended) = self.tasks.join_next().await {
            ended.map_err(|error| TaskError(format!("a request failed to run: {error}")))?;
        }
        Ok(())
    }

    /// Starts as many shards as there are to be.
    fn spread(&mut self) {
        let shards = self.count.now();
        self.bodies.resize_with(shards, Body::new);
        self.bodies.truncate(shards);
        self.open = (0..shards).map(|_| Open::default()).collect();
        for _ in 0..shards {
            let (sender, mut deliveries) = mpsc::channel::<Delivery>(WAITING);
            self.shards.push(sender);
            let sender = self.sender.clone();
            self.tasks.spawn(async move {
                while let Some(mut delivery) = deliveries.recv().await {
                    sender.run(&mut delivery).await;
                }
            });
        }
    }
}
