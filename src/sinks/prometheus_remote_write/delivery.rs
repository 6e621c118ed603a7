//! One parcel on its way: sent until every sample is settled, in parts where the receiver refuses the whole.
//!
//! What may have been sent before (a restart, an answer that never came) and is refused because of its order is
//! stored already. A receiver that writes nothing of a request in which one sample is refused does not
//! say which it has, so that is found by halves: within one batch and one shard, what was sent before is the
//! samples up to some place. Where no series has samples on both sides of a cut, the half behind it is asked about
//! first: refused, it says that all before it is stored, so few requests find the place. Where one has, its later
//! samples must not arrive before its earlier ones, which would then be refused as if they were stored: there the
//! half in front goes first, at up to two requests a sample that is stored.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::answer::{self, Meaning};
use super::parcel::{Parcel, Slice};
use super::shared::Shared;
use crate::delivery::Outcome;
use crate::delivery::journey::Leg;
use crate::delivery::sender::{Attempted, Work};
use crate::formats::prometheus::remote_write::{Body, Compressor, Counts, Version};
use crate::net::Answer;
use crate::telemetry::ComponentMetrics;

/// Refusals in a row after which the receiver is given time between requests.
///
/// A request is taken apart until every sample that is refused for good was asked about by itself: a good sample
/// must not be lost for its neighbours, however many of them are bad. Halving takes two requests a halving for each
/// bad sample, and never more than two a sample of the request; a shard has only one in flight. What remains is
/// that a receiver which refuses everything would be asked without a pause, so it gets one: as long as its last
/// answer took, which leaves it half of the time, whether it is fast or slow.
const FRUITLESS: u32 = 40;

/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A parcel being delivered.
#[derive(Debug)]
pub(super) struct Delivery {
    shared: Arc<Shared>,
    parcel: Parcel,
    /// What is still to be sent, the next last.
    groups: Vec<Group>,
    /// Whether some of it may have been sent before.
    maybe_stored: bool,
    /// Refusals in a row.
    fruitless: u32,
    /// Whether the receiver has settled anything of it.
    answered: bool,
}

/// Samples that are sent together.
#[derive(Debug)]
struct Group {
    slices: Vec<Slice>,
    /// The body; without one it is to be written.
    body: Option<Written>,
    /// In a search for what is stored: what precedes this in the same batch and shard, none of whose series is in
    /// it. Both together were refused.
    before: Option<Slice>,
}

/// A finished body.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub bytes: Bytes,
    pub counts: Counts,
    pub version: Version,
}

impl Delivery {
    /// `maybe_stored` says that some of it may have been sent before.
    pub fn new(shared: Arc<Shared>, parcel: Parcel, slices: Vec<Slice>, body: Written, maybe_stored: bool) -> Self {
        let groups = vec![Group { slices, body: Some(body), before: None }];
        Self { shared, parcel, groups, maybe_stored, fruitless: 0, answered: false }
    }

    /// Sends one group and does what follows from the answer without a wait.
    async fn step(&mut self, mut group: Group) -> Result<(), Attempted> {
        let version = self.shared.version();
        let body = match group.body.take().filter(|body| body.version == version) {
            Some(body) => body,
            None => self.write(&mut group, version),
        };
        if body.counts.all_samples() == 0 {
            // Relabelling has dropped these.
            self.search_before(&group);
            return Ok(());
        }
        let shared = self.shared.clone();
        let started = Instant::now();
        let (answer, forgotten) = self.unless_withdrawn(shared.server.send(version, body.bytes.clone())).await;
        let took = started.elapsed();
        shared.used.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        shared.metrics.bytes_out.inc_by(body.bytes.len() as u64);
        let (url, counts) = (shared.server.shown(), body.counts);
        // A body that has what was withdrawn meanwhile is not sent again: its sender sends that itself.
        group.body = (!forgotten).then_some(body);
        let answer = match answer {
            None => {
                self.maybe_stored = true;
                self.groups.push(group);
                return Ok(());
            }
            Some(Err(error)) => {
                self.maybe_stored |= error.outcome_unknown();
                self.groups.push(group);
                let reason = format!("the receiver at {url}: {error}");
                return Err(Attempted::Retry { reason, after: None, progress: false });
            }
            Some(Ok(answer)) => answer,
        };
        let status = answer.status.as_u16();
        let words = || format!("the receiver at {url} answered {status}: {}", answer::words(&answer.body));
        match answer::read(version, status, &answer.headers, counts) {
            Meaning::Taken => self.taken(&group),
            Meaning::TakenInPart(written) => {
                let missing = counts.all_samples().saturating_sub(written.all_samples());
                let stored = if self.maybe_stored { answer::stored(&answer.body, missing) } else { 0 };
                self.taken_in_part(&group, missing - stored, &words());
            }
            Meaning::OnlyV1 => {
                // It may have taken the samples all the same, and a proxy have cut off the headers that say so.
                self.maybe_stored |= answer.status.is_success();
                shared.fall_back(&words());
                self.groups.push(group);
            }
            Meaning::Later => {
                // An answer of a proxy says nothing about what the receiver did.
                self.maybe_stored |= status == 408 || status >= 500;
                self.groups.push(group);
                return Err(Attempted::Retry { reason: words(), after: answer.retry_after, progress: false });
            }
            Meaning::Blocked => {
                self.groups.push(group);
                let reason = format!("{}{}", words(), hint(status));
                return Err(Attempted::Blocked { reason });
            }
            Meaning::TooLarge => self.too_large(group, &words()),
            Meaning::Refused => {
                self.refused(group, &answer, &words());
                if self.fruitless > FRUITLESS {
                    self.unless_withdrawn(tokio::time::sleep(took.min(LONGEST_PAUSE))).await;
                }
            }
        }
        Ok(())
    }

    fn taken(&mut self, group: &Group) {
        self.fruitless = 0;
        self.shared.taken.fetch_add(1, Ordering::Relaxed);
        self.shared.refusals.none();
        self.settle(&group.slices, None);
        self.search_before(group);
    }

    /// The receiver has some and refuses so many; it does not say which.
    fn taken_in_part(&mut self, group: &Group, refused: u64, words: &str) {
        self.fruitless = 0;
        self.shared.taken.fetch_add(1, Ordering::Relaxed);
        self.search_before(group);
        if refused == 0 {
            return self.settle(&group.slices, None);
        }
        self.shared.refusals.refused(refused, words);
        // Which batch a sample was of that is not written nobody knows: the counts are right, their places a guess.
        let mut left = refused;
        for slice in &group.slices {
            let refused = left.min(slice.samples);
            left -= refused;
            self.refuse(slice.of, refused, words);
            self.deliver(slice.of, slice.samples - refused);
        }
    }

    fn too_large(&mut self, group: Group, words: &str) {
        match self.halves(&group.slices) {
            Some([front, behind]) => {
                self.push(behind, None);
                self.push(front, group.before);
            }
            None => {
                self.settle(&group.slices, Some(words));
                self.search_before(&group);
            }
        }
    }

    fn refused(&mut self, group: Group, answer: &Answer, words: &str) {
        self.fruitless += 1;
        if self.maybe_stored && answer::is_about_order(&answer::words(&answer.body)) {
            return self.refused_as_stored(group);
        }
        match self.halves(&group.slices) {
            Some(halves) => {
                self.shared.metrics.retries.inc();
                self.push_in_order(halves);
            }
            None => self.settle(&group.slices, Some(words)),
        }
        self.search_before(&group);
    }

    /// Some of it is stored already.
    fn refused_as_stored(&mut self, group: Group) {
        self.shared.metrics.retries.inc();
        if let Some(before) = group.before {
            // What was sent before this was sent before.
            self.settle(&[before], None);
        }
        match group.slices.as_slice() {
            [slice] => {
                let apart = self.by_shard(slice);
                match apart.as_slice() {
                    [] | [_] => self.search(*slice),
                    _ => apart.into_iter().rev().for_each(|slice| self.push(vec![slice], None)),
                }
            }
            slices => {
                let (front, behind) = slices.split_at(slices.len() / 2);
                self.push(behind.to_vec(), None);
                self.push(front.to_vec(), None);
            }
        }
    }

    /// Some samples of a slice, up to one, are stored.
    fn search(&mut self, slice: Slice) {
        if let Some([front, behind]) = slice.apart(&self.parcel) {
            self.push(vec![behind], Some(front));
        } else if let Some(halves) = slice.halves(&self.parcel) {
            self.push_in_order(halves.map(|half| vec![half]));
        } else {
            self.settle(&[slice], None);
        }
    }

    /// What is known of a group does not say where in front of it the last stored sample is.
    fn search_before(&mut self, group: &Group) {
        if let Some(before) = group.before {
            self.search(before);
        }
    }

    /// A slice by the most shards that can have been; itself where it is as small.
    fn by_shard(&self, slice: &Slice) -> Vec<Slice> {
        let (shard, shards) = slice.shard;
        let each = self.shared.most_shards / shards.max(1);
        if each <= 1 {
            return vec![*slice];
        }
        let of = |part| (shard * each + part, self.shared.most_shards);
        (0..each).map(|part| Slice { shard: of(part), samples: 0, ..*slice }).collect()
    }

    fn push(&mut self, slices: Vec<Slice>, before: Option<Slice>) {
        self.groups.push(Group { slices, body: None, before });
    }

    fn push_in_order(&mut self, [front, behind]: [Vec<Slice>; 2]) {
        self.push(behind, None);
        self.push(front, None);
    }

    /// Two halves of slices in their order; `None` where there is only one sample.
    fn halves(&self, slices: &[Slice]) -> Option<[Vec<Slice>; 2]> {
        match slices {
            [] => None,
            [slice] => slice.halves(&self.parcel).map(|halves| halves.map(|half| vec![half])),
            _ => {
                let (front, behind) = slices.split_at(slices.len() / 2);
                Some([front.to_vec(), behind.to_vec()])
            }
        }
    }

    /// Writes a group, as much as a body may hold; the rest becomes a group behind it.
    fn write(&mut self, group: &mut Group, version: Version) -> Written {
        let mut encoder = self.shared.encoder(version, self.shared.metadata && version == Version::V2);
        let (mut compressor, mut body, mut full) = (Compressor::default(), Body::new(), None);
        for (place, slice) in group.slices.iter_mut().enumerate() {
            let Some(batch) = self.parcel.batch(slice.of) else {
                slice.samples = 0;
                continue;
            };
            let before = body.counts().all_samples();
            let part = slice.part(self.shared.max_bytes);
            let series = batch.series().table().read();
            let encoded = encoder.encode(batch, &series, &part, &mut compressor, std::slice::from_mut(&mut body));
            slice.samples = body.counts().all_samples() - before;
            if encoded.next < slice.to || body.len() >= self.shared.max_bytes {
                full = Some((place, encoded.next));
                break;
            }
        }
        if let Some((place, next)) = full {
            let mut rest = group.slices.split_off(place + 1);
            if let Some(slice) = group.slices.last_mut().filter(|slice| next < slice.to) {
                rest.insert(0, Slice { from: next, samples: 0, ..*slice });
                slice.to = next;
            }
            if !rest.is_empty() {
                // Whoever searches goes on with what was just split off.
                self.push(rest, None);
            }
        }
        let request = body.finish(&mut compressor, self.shared.bodies.take());
        let counts = request.counts;
        Written { bytes: self.shared.bodies.lend(request), counts, version }
    }

    /// Settles slices: delivered, or refused with a reason.
    fn settle(&mut self, slices: &[Slice], refused: Option<&str>) {
        let samples: Vec<u64> = slices.iter().map(|slice| self.samples(slice)).collect();
        if let Some(words) = refused {
            self.shared.refusals.refused(samples.iter().sum(), words);
        }
        for (slice, samples) in slices.iter().zip(samples) {
            match refused {
                Some(words) => self.refuse(slice.of, samples, words),
                None => self.deliver(slice.of, samples),
            }
        }
    }

    /// Samples of a slice as they are sent. Halves of slices are counted by writing them.
    fn samples(&self, slice: &Slice) -> u64 {
        if slice.samples > 0 {
            return slice.samples;
        }
        let Some(batch) = self.parcel.batch(slice.of) else { return 0 };
        let (mut encoder, mut body) = (self.shared.encoder(Version::V1, false), Body::new());
        let series = batch.series().table().read();
        let part = slice.part(usize::MAX);
        encoder.encode(batch, &series, &part, &mut Compressor::default(), std::slice::from_mut(&mut body));
        body.counts().all_samples()
    }

    fn deliver(&mut self, of: usize, samples: u64) {
        self.answered = true;
        let settled = self.parcel.settle(of, Outcome::Delivered, samples, None);
        self.shared.metrics.records_out.inc_by(settled);
    }

    fn refuse(&mut self, of: usize, samples: u64, words: &str) {
        self.answered = true;
        let settled = self.parcel.settle(of, Outcome::Refused, samples, Some(words));
        self.shared.metrics.records_refused.inc_by(settled);
    }

    /// Waits for `work`, unless everything in the parcel is withdrawn meanwhile: then `None`. What is withdrawn is
    /// let go at once, so that nobody waits for it. Says also whether anything was.
    async fn unless_withdrawn<T>(&mut self, work: impl Future<Output = T>) -> (Option<T>, bool) {
        let (done, forgot) = self.parcel.unless_withdrawn(work).await;
        if forgot {
            self.forget_bodies();
        }
        (done, forgot)
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
        self.parcel.withdrawn()
    }
}

/// What to check.
fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "; check the credentials of the sink",
        404 => "; check the path of `url`",
        407 => "; the proxy on the way wants credentials",
        300..=399 => "; `url` must name the receiver itself",
        _ => "",
    }
}
