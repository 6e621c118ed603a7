//! The ways to the backends of a sink, a lane each: what is on its way and what waits for it. Where requests fail over,
//! there is one lane for all endpoints; where traces are routed, one for every member, and members come and go.
//!
//! A message is split by selection, so its parts share its spans' bytes. When a member is gone, what waited for it, and
//! what it had not taken, is routed once more among those that are left.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::members;
use super::part::Part;
use super::rendezvous::Rendezvous;
use super::request::{Delivery, Shared};
use super::server::Target;
use super::weigh;
use crate::data::{Batch, Selection, Signal};
use crate::delivery::Message;
use crate::delivery::batcher::Batcher;
use crate::delivery::complaints::Complaints;
use crate::delivery::sender::Sender;
use crate::net::Endpoints;
use crate::pipeline::TaskError;

/// Bytes of batches that may wait for members that are busy or away before nothing more is taken.
const MOST_WAITING: u64 = 16 << 20;

/// How messages find their backend.
pub(super) enum Routing {
    /// Any of the endpoints will do.
    Failover(Endpoints),
    /// By their traces, to the members that are told.
    ByTrace(watch::Receiver<Vec<Url>>),
}

/// What all lanes have.
pub(super) struct Limits {
    /// Most bytes of a request.
    pub max_bytes: u64,
    /// Most requests in flight in a lane.
    pub concurrency: usize,
}

/// The lanes of a sink.
pub(super) struct Lanes {
    shared: Arc<Shared>,
    complaints: Arc<Complaints>,
    limits: Limits,
    lanes: Vec<Lane>,
    /// Where traces are routed.
    members: Option<(watch::Receiver<Vec<Url>>, Rendezvous)>,
    requests: JoinSet<Ended>,
}

struct Lane {
    target: Arc<Target>,
    sender: Arc<Sender>,
    flying: usize,
    /// Each with the bytes that it takes in a request.
    waiting: VecDeque<(Message, u64)>,
    /// Bytes that they keep in memory.
    waiting_bytes: u64,
    /// Whether what it sends must arrive in its order: samples of a series.
    in_order: bool,
}

/// A delivery that has ended.
struct Ended {
    target: Arc<Target>,
    /// What it could not deliver because its member is gone.
    left: Vec<Message>,
}

impl Lanes {
    pub fn new(shared: Arc<Shared>, complaints: Arc<Complaints>, limits: Limits, routing: Routing) -> Self {
        let mut new = Self { shared, complaints, limits, lanes: Vec::new(), members: None, requests: JoinSet::new() };
        match routing {
            Routing::Failover(endpoints) => {
                let lane = new.lane(Target::of(endpoints, String::new()));
                new.lanes.push(lane);
            }
            Routing::ByTrace(members) => new.members = Some((members, Rendezvous::new([]))),
        }
        new
    }

    /// Sends what comes until the input has ended and all of it is settled, or until it is told to stop.
    pub async fn run(mut self, mut batcher: Batcher, shutdown: CancellationToken) -> Result<(), TaskError> {
        let most = self.limits.max_bytes;
        let mut ended = false;
        loop {
            self.set_out();
            let waits = self.lanes.iter().any(|lane| !lane.waiting.is_empty());
            if ended && self.requests.is_empty() && !waits {
                return Ok(());
            }
            let takes = !ended && self.takes();
            // As much as makes a whole request for each of them.
            let parcel = most.saturating_mul(self.lanes.len().max(1) as u64);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                Some(done) = self.requests.join_next() => {
                    let done = done.map_err(|error| TaskError(format!("a request failed to run: {error}")))?;
                    self.arrived(done);
                }
                () = changed(&mut self.members) => self.change(),
                messages = batcher.next(parcel, |message| weigh(message, parcel)), if takes => match messages {
                    Some(messages) => self.route(messages),
                    None => ended = true,
                },
            }
        }
    }

    /// Whether more is taken from the input.
    fn takes(&self) -> bool {
        let waiting: u64 = self.lanes.iter().map(|lane| lane.waiting_bytes).sum();
        waiting < self.most_waiting() && self.lanes.iter().any(Lane::has_room)
    }

    fn most_waiting(&self) -> u64 {
        // Where there is one lane, what waits does so in the batcher, which makes whole requests of it.
        if self.members.is_some() { MOST_WAITING } else { 1 }
    }

    fn lane(&self, target: Target) -> Lane {
        let Limits { concurrency, .. } = self.limits;
        let metrics = self.shared.metrics.clone();
        let mut sender = Sender::new(metrics, self.complaints.clone(), concurrency, fastrand::Rng::new());
        if !target.name.is_empty() {
            sender = sender.towards(&target.name);
        }
        Lane {
            target: Arc::new(target),
            sender: Arc::new(sender),
            flying: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            in_order: false,
        }
    }

    /// Has every lane send what it has room for.
    fn set_out(&mut self) {
        for lane in &mut self.lanes {
            while lane.has_room() {
                let messages = lane.next(self.limits.max_bytes);
                if messages.is_empty() {
                    break;
                }
                lane.flying += 1;
                let (parcel, parts) = Part::all(messages);
                let target = lane.target.clone();
                let mut delivery = Delivery::new(self.shared.clone(), target.clone(), parcel, parts);
                let sender = lane.sender.clone();
                // Boxed, so that the runtime moves a pointer and not all that a request needs.
                self.requests.spawn(Box::pin(async move {
                    sender.run(&mut delivery).await;
                    Ended { target, left: delivery.left() }
                }));
            }
        }
    }

    fn arrived(&mut self, ended: Ended) {
        match self.lanes.iter_mut().find(|lane| Arc::ptr_eq(&lane.target, &ended.target)) {
            Some(lane) => lane.flying -= 1,
            // Its last words are about nobody.
            None => self.complaints.over(&Sender::topic(&ended.target.name)),
        }
        self.route(ended.left);
    }

    /// Goes by the members as they are now.
    fn change(&mut self) {
        let Some((members, rendezvous)) = &mut self.members else { return };
        let urls = members.borrow_and_update().clone();
        let names: Vec<_> = urls.iter().map(members::name).collect();
        *rendezvous = Rendezvous::new(names.iter().map(String::as_str));
        let mut before = std::mem::take(&mut self.lanes);
        let mut waiting = Vec::new();
        let mut count = [0, 0];
        for (url, name) in urls.into_iter().zip(names) {
            let lane = match before.iter().position(|lane| lane.target.name == name) {
                Some(known) => before.swap_remove(known),
                None => {
                    count[0] += 1;
                    self.lane(Target::of(Endpoints::new(vec![url]), name))
                }
            };
            self.lanes.push(lane);
        }
        for lane in &before {
            count[1] += 1;
            lane.target.gone.cancel();
            self.complaints.over(&Sender::topic(&lane.target.name));
        }
        // A trace that belongs to another now is better with what follows of it.
        before.iter_mut().chain(&mut self.lanes).for_each(|lane| {
            waiting.extend(lane.waiting.drain(..).map(|(message, _)| message));
            lane.waiting_bytes = 0;
        });
        let [new, gone] = count;
        let component = &*self.shared.metrics.name;
        tracing::info!(component, members = self.lanes.len(), new, gone, "the backends are others");
        self.route(waiting);
    }

    /// Gives messages to the lanes that they belong to.
    fn route(&mut self, messages: Vec<Message>) {
        for message in messages {
            if message.ack.is_revoked() {
                message.ack.done();
                continue;
            }
            match &self.members {
                // The batcher has made a request of them.
                None => self.lanes[0].push(message, 0),
                Some((_, rendezvous)) => {
                    for (owner, part) in split(message, rendezvous, self.lanes.len()) {
                        let bytes = weigh(&part, self.limits.max_bytes);
                        self.lanes[owner].push(part, bytes);
                    }
                }
            }
        }
    }
}

impl Lane {
    fn has_room(&self) -> bool {
        self.flying < if self.in_order { 1 } else { self.sender.allowed() }
    }

    fn push(&mut self, message: Message, bytes: u64) {
        self.in_order |= message.batch.signal() == Signal::Metrics;
        self.waiting_bytes += message.batch.bytes();
        self.waiting.push_back((message, bytes));
    }

    /// Messages for one request.
    fn next(&mut self, max_bytes: u64) -> Vec<Message> {
        let (mut messages, mut left) = (Vec::new(), max_bytes);
        while let Some((message, bytes)) = self.waiting.pop_front_if(|(_, bytes)| *bytes <= left || left == max_bytes) {
            left = left.saturating_sub(bytes.max(1));
            self.waiting_bytes -= message.batch.bytes();
            messages.push(message);
        }
        messages
    }
}

/// Waits until members change; for ever where none do.
async fn changed(members: &mut Option<(watch::Receiver<Vec<Url>>, Rendezvous)>) {
    if let Some((members, _)) = members
        && members.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// A message by the owners of its traces, each with the spans that are its own.
fn split(message: Message, rendezvous: &Rendezvous, owners: usize) -> Vec<(usize, Message)> {
    // The plan accepts spans alone.
    let Batch::Traces(batch) = &message.batch else { return vec![(0, message)] };
    let mut selections: Vec<Option<Selection>> = vec![None; owners];
    let mut last = None;
    for at in batch.selection.iter() {
        let trace_id = &batch.spans()[at].trace_id;
        let owner = match last {
            // Spans of a trace stand together as a rule.
            Some((known, owner)) if known == trace_id => owner,
            _ => rendezvous.owner(trace_id),
        };
        last = Some((trace_id, owner));
        selections[owner].get_or_insert_with(|| Selection::none(batch.selection.len())).insert(at);
    }
    let mut parts = selections.into_iter().enumerate().filter_map(|(owner, selection)| Some((owner, selection?)));
    let Some((first, selection)) = parts.next() else {
        message.ack.done();
        return Vec::new();
    };
    if selection.count() == batch.selection.count() {
        return vec![(first, message)];
    }
    let part = |(owner, selection)| {
        let mut part = message.fork();
        if let Batch::Traces(batch) = &mut part.batch {
            batch.selection = selection;
        }
        (owner, part)
    };
    let parts: Vec<_> = std::iter::once((first, selection)).chain(parts).map(part).collect();
    message.ack.done();
    parts
}
