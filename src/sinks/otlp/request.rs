//! One parcel on its way: written, sent, and settled by the receiver's answer. What a receiver refuses as a whole is
//! sent in halves, so that one bad span costs itself.

use std::sync::Arc;

use super::answer::Meaning;
use super::part::Part;
use super::server::{Body, Server, Target};
use super::write::Writer;
use crate::data::{Batch, Selection, Signal, UnixNanos};
use crate::delivery::journey::Leg;
use crate::delivery::parts::Parcel;
use crate::delivery::refusals::Refusals;
use crate::delivery::sender::{Attempted, Work};
use crate::delivery::{Message, Outcome};
use crate::telemetry::ComponentMetrics;

/// Answers that say that the receiver failed, after which that counts as a refusal.
const FAILURES: u32 = 5;

/// What the requests of one sink share.
#[derive(Debug)]
pub(super) struct Shared {
    pub server: Server,
    pub metrics: Arc<ComponentMetrics>,
    pub refusals: Refusals,
    /// Cloned for each parcel.
    pub writer: Writer,
}

/// A parcel being delivered.
#[derive(Debug)]
pub(super) struct Delivery {
    shared: Arc<Shared>,
    target: Arc<Target>,
    parcel: Parcel,
    /// What is still to be sent, the next last.
    groups: Vec<Group>,
    /// Whether anything was settled since the last wait.
    progress: bool,
    /// Whether the receiver has settled anything of it.
    answered: bool,
    writer: Writer,
}

/// Parts that are sent together.
#[derive(Debug)]
struct Group {
    parts: Vec<Part>,
    /// The body; without one it is to be written.
    body: Option<Body>,
    /// Data points in it, or as many as it may have where it is to be written.
    points: u64,
    /// How often the receiver said that it failed on it, or on what it is a part of.
    failures: u32,
}

impl Group {
    fn of(parts: Vec<Part>) -> Self {
        Self { parts, body: None, points: u64::MAX, failures: 0 }
    }

    /// A part of this one, to be written.
    fn part(&self, parts: Vec<Part>) -> Self {
        Self { failures: self.failures, ..Self::of(parts) }
    }

    /// Parts by their signals: a request is of one.
    fn all(parts: Vec<Part>, parcel: &Parcel) -> Vec<Self> {
        let mut groups: Vec<(Option<Signal>, Self)> = Vec::new();
        for part in parts {
            let signal = parcel.batch(part.message()).map(|held| held.batch.signal());
            match groups.iter_mut().find(|(known, _)| *known == signal) {
                Some((_, group)) => group.parts.push(part),
                None => groups.push((signal, Self::of(vec![part]))),
            }
        }
        // The next is the last.
        groups.into_iter().map(|(_, group)| group).rev().collect()
    }
}

impl Delivery {
    pub fn new(shared: Arc<Shared>, target: Arc<Target>, parcel: Parcel, parts: Vec<Part>) -> Self {
        let writer = shared.writer.arriving(UnixNanos::now());
        let groups = Group::all(parts, &parcel);
        Self { shared, target, parcel, groups, progress: false, answered: false, writer }
    }

    /// What of log records and spans is not settled.
    pub fn left(mut self) -> Vec<Message> {
        let parts: Vec<_> = self.groups.drain(..).flat_map(|group| group.parts).collect();
        let mut left: Vec<(usize, Selection)> = Vec::new();
        for part in parts {
            let (Some(held), Part::Run(run)) = (self.parcel.batch(part.message()), part) else { continue };
            let selection = held.batch.selection();
            let at = left.iter().position(|(known, _)| *known == run.message).unwrap_or_else(|| {
                left.push((run.message, Selection::none(selection.len())));
                left.len() - 1
            });
            selection.iter_range(run.from..run.to).for_each(|record| left[at].1.insert(record));
        }
        let message = |(message, selection)| {
            let (mut held, ack) = self.parcel.take(message)?;
            match &mut held.batch {
                Batch::Logs(batch) => batch.selection = selection,
                Batch::Metrics(batch) => batch.selection = selection,
                Batch::Traces(batch) => batch.selection = selection,
            }
            Some(Message { input: held.input, ..Message::new(held.batch, ack) })
        };
        left.into_iter().filter_map(message).collect()
    }

    /// Sends one group and does what follows from the answer without a wait.
    async fn step(&mut self, mut group: Group) -> Result<(), Attempted> {
        group.parts.retain(|part| self.parcel.batch(part.message()).is_some());
        let first = group.parts.first().and_then(|part| self.parcel.batch(part.message()));
        let Some(signal) = first.map(|held| held.batch.signal()) else { return Ok(()) };
        let body = match &group.body {
            Some(body) => body.clone(),
            None => match self.write(&mut group) {
                Some(body) => body,
                None => return Ok(()),
            },
        };
        let (shared, target) = (self.shared.clone(), self.target.clone());
        shared.metrics.bytes_out.inc_by(body.payload.len() as u64);
        let (sent, forgot) = self.parcel.unless_withdrawn(shared.server.send(&target, signal, body)).await;
        if forgot {
            // The bodies have what its sender brings again.
            group.body = None;
            self.forget_bodies();
        }
        let Some(sent) = sent else {
            self.groups.push(group);
            return Ok(());
        };
        match sent.meaning {
            Meaning::Taken { rejected, says } => self.taken(&group, rejected, says.then_some(&*sent.words)),
            Meaning::Unanswered => return self.again(group, sent.words, None),
            Meaning::Later { after } => return self.again(group, sent.words, after),
            Meaning::Failed if group.failures < FAILURES => {
                group.failures += 1;
                return self.again(group, sent.words, None);
            }
            Meaning::Blocked => {
                self.groups.push(group);
                return Err(Attempted::Blocked { reason: sent.words });
            }
            Meaning::TooLarge | Meaning::Failed | Meaning::Refused => match self.halves(&group) {
                Some(halves) => {
                    shared.metrics.retries.inc();
                    self.groups.extend(halves.into_iter().rev());
                }
                None => self.refuse(&group.parts, &sent.words),
            },
        }
        Ok(())
    }

    fn again(&mut self, group: Group, reason: String, after: Option<std::time::Duration>) -> Result<(), Attempted> {
        self.groups.push(group);
        Err(Attempted::Retry { reason, after, progress: std::mem::take(&mut self.progress) })
    }

    /// Writes a group, as much as a request may hold; the rest becomes a group behind it. `None` where nothing of it can be
    /// sent.
    fn write(&mut self, group: &mut Group) -> Option<Body> {
        let written = self.writer.write(&self.parcel, std::mem::take(&mut group.parts), group.points);
        if !written.rest.is_empty() {
            // Smaller ones were asked for, so it is to be as small.
            self.groups.push(Group { points: group.points, ..group.part(written.rest) });
        }
        (group.parts, group.points) = (written.parts, written.points);
        group.body.clone_from(&written.body);
        for (message, why, samples) in written.unsendable {
            let words = why.to_string();
            self.refused(message, samples, &words);
        }
        written.body
    }

    /// A group in two; `None` where it is only one record, or one data point.
    fn halves(&self, group: &Group) -> Option<Vec<Group>> {
        match group.parts.as_slice() {
            [] => None,
            // The second half is what is left where it is written.
            [part] if group.points > 1 => {
                Some(vec![Group { points: group.points.div_ceil(2), ..group.part(vec![part.clone()]) }])
            }
            [part] => part.halves(&self.parcel).map(|halves| halves.map(|half| group.part(vec![half])).into()),
            parts => {
                let (front, behind) = parts.split_at(parts.len() / 2);
                Some([front, behind].map(|parts| group.part(parts.to_vec())).into())
            }
        }
    }

    fn taken(&mut self, group: &Group, rejected: u64, says: Option<&str>) {
        self.settled();
        let records: u64 = group.parts.iter().map(|part| part.records(&self.parcel)).sum();
        let rejected = match group.points {
            0 => rejected.min(records),
            // They are data points, which have several samples each where they are histograms.
            points => (u128::from(rejected) * u128::from(records)).div_ceil(points.into()).min(records.into()) as u64,
        };
        match (rejected, says) {
            (0, Some(words)) => tracing::warn!(component = &*self.shared.metrics.name, "{words}"),
            (0, None) => self.shared.refusals.none(),
            _ => {}
        }
        let words = says.unwrap_or("the receiver refuses it and does not say why");
        // Which records are refused nobody says: the counts are right, their places a guess.
        let mut left = rejected;
        for part in &group.parts {
            let records = part.records(&self.parcel);
            let refused = left.min(records);
            left -= refused;
            self.refused(part.message(), refused, words);
            let settled = self.parcel.settle(part.message(), Outcome::Delivered, records - refused, None);
            self.shared.metrics.records_out.inc_by(settled);
        }
    }

    fn refuse(&mut self, parts: &[Part], words: &str) {
        self.settled();
        for part in parts {
            self.refused(part.message(), part.records(&self.parcel), words);
        }
    }

    /// Records of a message are refused for good.
    fn refused(&mut self, message: usize, records: u64, words: &str) {
        if records > 0 {
            let settled = self.parcel.settle(message, Outcome::Refused, records, Some(words));
            self.shared.metrics.records_refused.inc_by(settled);
            self.shared.refusals.refused(settled, words);
        }
    }

    /// Something is settled.
    fn settled(&mut self) {
        (self.answered, self.progress) = (true, true);
    }

    fn forget_bodies(&mut self) {
        self.groups.iter_mut().for_each(|group| group.body = None);
    }
}

impl Work for Delivery {
    async fn attempt(&mut self) -> Attempted {
        loop {
            if self.parcel.forget_withdrawn() {
                self.forget_bodies();
            }
            if self.parcel.is_empty() {
                return if self.answered { Attempted::Done } else { Attempted::Withdrawn };
            }
            if self.target.gone.is_cancelled() {
                // What is left is for others.
                return Attempted::Withdrawn;
            }
            let Some(group) = self.groups.pop() else { return Attempted::Done };
            if let Err(attempted) = self.step(group).await {
                return attempted;
            }
        }
    }

    fn legs(&self, metrics: &ComponentMetrics) -> Vec<Leg> {
        self.parcel.legs(metrics)
    }

    fn withdrawn(&self) -> impl Future<Output = ()> + Send {
        let (withdrawn, gone) = (self.parcel.withdrawn(), self.target.gone.clone().cancelled_owned());
        async move {
            tokio::select! {
                () = withdrawn => {}
                () = gone => {}
            }
        }
    }
}
