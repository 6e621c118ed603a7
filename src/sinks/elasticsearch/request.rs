//! One parcel on its way: encoded once, sent until every item is settled. What the cluster refuses is
//! handled in [`super::refused`].

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::Method;

use super::documents::{Documents, id_of};
use super::earlier;
use super::parcel::{Item, Parcel};
use super::server::{Call, Trouble};
use super::shared::Shared;
use crate::data::UnixNanos;
use crate::delivery::journey::Leg;
use crate::delivery::sender::{Attempted, StatusClass, Work};
use crate::formats::compression::BodyWriter;
use crate::formats::elasticsearch::answer::{FILTER_PATH, whole_error};
use crate::formats::elasticsearch::bulk::DocumentId;
use crate::formats::elasticsearch::{BulkAnswer, ItemAnswer};
use crate::net::shown;
use crate::telemetry::ComponentMetrics;

/// Bytes that an answer may have for each item, beside the value that an error quotes: all of a body at
/// most.
const ANSWER_PER_ITEM: usize = 4096;

/// A parcel being delivered.
#[derive(Debug)]
pub(super) struct Delivery {
    pub shared: Arc<Shared>,
    pub documents: Documents,
    pub parcel: Parcel,
    /// What is still to be sent, the next last.
    pub groups: Vec<Group>,
    /// Refused for good and not yet in the dead letter.
    pub dead: Vec<(Item, Box<str>)>,
    /// Whether messages were withdrawn since the groups were last cleared of them.
    stale: bool,
    /// Whether the cluster has settled anything of it.
    answered: bool,
}

/// Items that are sent together.
#[derive(Debug)]
pub(super) struct Group {
    pub items: Vec<Item>,
    /// If some of them may be stored already: since when that is possible.
    pub maybe_stored_since: Option<UnixNanos>,
    /// The encoded body, kept for the next attempt.
    pub body: Option<Body>,
}

#[derive(Clone, Debug)]
pub(super) struct Body {
    bytes: Bytes,
    uncompressed: usize,
}

impl Delivery {
    pub fn new(shared: Arc<Shared>, parcel: Parcel, items: Vec<Item>, maybe_stored_since: Option<UnixNanos>) -> Self {
        let documents = shared.documents.clone();
        let groups = vec![Group { items, maybe_stored_since, body: None }];
        Self { shared, documents, parcel, groups, dead: Vec::new(), stale: false, answered: false }
    }

    /// One request and everything that follows from its answer without a wait.
    async fn step(&mut self, mut group: Group) -> Result<(), Attempted> {
        let started = UnixNanos::now();
        if let Some(since) = group.maybe_stored_since {
            let ids = match self.shared.document_id {
                DocumentId::Position => self.ids(&group.items),
                // The cluster made them up: nobody can ask for them.
                DocumentId::Auto => Vec::new(),
            };
            let shared = self.shared.clone();
            match self.unless_withdrawn(earlier::stored(&shared, &ids, since)).await {
                None => return self.again(group, Ok(())),
                Some(Err(attempted)) => return self.again(group, Err(attempted)),
                Some(Ok(stored)) => {
                    group.maybe_stored_since = None;
                    self.take_stored(&mut group, &stored);
                    if group.items.is_empty() {
                        return Ok(());
                    }
                }
            }
        }
        if self.stale {
            let sent = group.items.len();
            group.items.retain(|item| self.parcel.get(item).is_some());
            if group.items.len() < sent {
                group.body = None;
            }
        }
        if group.items.is_empty() {
            return Ok(());
        }
        let body = match &group.body {
            Some(body) => body.clone(),
            None => self.encode(&mut group),
        };
        let shared = self.shared.clone();
        let call = Call {
            method: Method::POST,
            path: &[&shared.target, "_bulk"],
            query: &[("filter_path", FILTER_PATH)],
            content_type: Some("application/x-ndjson"),
            gzip: shared.gzip(),
            body: body.bytes.clone(),
            most_answer: (1 << 20) + group.items.len() * ANSWER_PER_ITEM + body.uncompressed,
        };
        let sent = call.body.len() as u64;
        let answer = self.unless_withdrawn(shared.server.call(call)).await;
        shared.metrics.bytes_out.inc_by(sent);
        let (answer, endpoint) = match answer {
            None => {
                group.maybe_stored_since.get_or_insert(started);
                return self.again(group, Ok(()));
            }
            Some(Err(trouble)) => return self.again_after(group, trouble, started),
            Some(Ok(answer)) => answer,
        };
        match StatusClass::of(answer.status.as_u16()) {
            StatusClass::Done => match BulkAnswer::parse(&answer.body) {
                Ok(read) if read.len() == group.items.len() => self.settle(group, read, started, &shown(endpoint)),
                other => {
                    let why = match other {
                        Ok(read) => format!("{} items where {} were sent", read.len(), group.items.len()),
                        Err(error) => error.to_string(),
                    };
                    let reason = format!("elasticsearch at {} answered {why}", shown(endpoint));
                    let attempted = Attempted::Retry { reason, after: None, progress: false };
                    self.again_after(group, Trouble { attempted, outcome_unknown: true }, started)
                }
            },
            class @ (StatusClass::TooLarge | StatusClass::Refused)
                if !(class == StatusClass::Refused && whole_error(&answer.body).is_about_target()) =>
            {
                let status = answer.status.as_u16();
                self.refused_whole(group, class, whole_error(&answer.body).words(status), body.uncompressed);
                Ok(())
            }
            StatusClass::Refused => {
                let words = whole_error(&answer.body).words(answer.status.as_u16());
                let reason = format!("elasticsearch at {} answered {words}; check `index`", shown(endpoint));
                self.again(group, Err(Attempted::Blocked { reason }))
            }
            _ => {
                let trouble = shared.server.trouble(&answer, endpoint).await;
                self.again_after(group, trouble, started)
            }
        }
    }

    /// The group is sent again, now or when the sender says so.
    fn again(&mut self, group: Group, attempted: Result<(), Attempted>) -> Result<(), Attempted> {
        self.groups.push(group);
        attempted
    }

    fn again_after(&mut self, mut group: Group, trouble: Trouble, started: UnixNanos) -> Result<(), Attempted> {
        if trouble.outcome_unknown {
            group.maybe_stored_since.get_or_insert(started);
        }
        self.again(group, Err(trouble.attempted))
    }

    /// Reads the answer item by item.
    fn settle(
        &mut self,
        group: Group,
        answer: BulkAnswer,
        started: UnixNanos,
        endpoint: &str,
    ) -> Result<(), Attempted> {
        let answers = match answer {
            BulkAnswer::AllDone(_) => {
                self.count_delivered(&group.items);
                return Ok(());
            }
            BulkAnswer::Items(answers) => answers,
        };
        let (mut later, mut as_text, mut done) = (Vec::new(), Vec::new(), Vec::new());
        let mut why: Option<(bool, Box<str>)> = None;
        for (item, answer) in group.items.into_iter().zip(answers) {
            match answer {
                ItemAnswer::Done => done.push(item),
                ItemAnswer::Retry(words) => {
                    later.push(item);
                    why.get_or_insert((false, words));
                }
                ItemAnswer::Blocked(words) => {
                    later.push(item);
                    if !matches!(why, Some((true, _))) {
                        why = Some((true, words));
                    }
                }
                ItemAnswer::Refused(words) => self.refused(item, words, &mut as_text),
            }
        }
        let progress = !done.is_empty() || !as_text.is_empty();
        self.count_delivered(&done);
        if !later.is_empty() {
            // A shard that did not answer the node may have stored what it was given.
            self.groups.push(Group { items: later, maybe_stored_since: Some(started), body: None });
        }
        if !as_text.is_empty() {
            self.groups.push(Group { items: as_text, maybe_stored_since: None, body: None });
        }
        let Some((blocked, words)) = why else { return Ok(()) };
        let reason = format!("elasticsearch at {endpoint} answered for single documents: {words}");
        Err(match blocked {
            true => Attempted::Blocked { reason },
            false => Attempted::Retry { reason, after: None, progress },
        })
    }

    fn take_stored(&mut self, group: &mut Group, stored: &[bool]) {
        let is_stored = |index: usize| stored.get(index).copied().unwrap_or(false);
        let (mut found, mut left) = (Vec::new(), Vec::new());
        for (index, item) in group.items.iter().enumerate() {
            if is_stored(index) { found.push(*item) } else { left.push(*item) }
        }
        if !found.is_empty() {
            self.count_delivered(&found);
            group.items = left;
            group.body = None;
        }
    }

    fn count_delivered(&mut self, items: &[Item]) {
        self.answered = true;
        let delivered = self.parcel.delivered(items);
        self.shared.metrics.records_out.inc_by(delivered);
    }

    /// Nothing is left to do: because the cluster said so, or because nobody wants it any more.
    fn done(&self) -> Attempted {
        if self.answered { Attempted::Done } else { Attempted::Withdrawn }
    }

    /// Encodes the group's items, as many as a body may hold and at least one; the others become a group of
    /// their own, sent later. How much edits and the resource add is known only here.
    fn encode(&mut self, group: &mut Group) -> Body {
        let most = usize::try_from(self.shared.max_bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let mut body = BodyWriter::new(self.shared.compression, self.shared.bodies.take());
        let mut renamed = 0;
        let mut begun = None;
        let mut fits = group.items.len();
        for (index, item) in group.items.iter().enumerate() {
            let Some((batch, input)) = self.parcel.get(item) else { continue };
            if begun != Some(item.message) {
                self.documents.begin(batch, self.parcel.arrival);
                begun = Some(item.message);
            }
            let ids = self.shared.document_id;
            let before = body.text().len();
            let members = self.documents.write_item(ids, batch, item, input, body.text());
            if index > 0 && body.len() > most {
                body.text().truncate(before);
                fits = index;
                break;
            }
            renamed += u64::from(members);
            body.written();
        }
        self.shared.renamed.inc_by(renamed);
        let others = group.items.split_off(fits);
        if !others.is_empty() {
            let maybe_stored_since = group.maybe_stored_since;
            self.groups.push(Group { items: others, maybe_stored_since, body: None });
        }
        let uncompressed = body.len();
        let body = Body { bytes: self.shared.bodies.lend(body.finish()), uncompressed };
        group.body.insert(body).clone()
    }

    /// The ids of items, empty where one has none.
    fn ids(&self, items: &[Item]) -> Vec<String> {
        let id = |item: &Item| self.parcel.get(item).map(|(batch, input)| id_of(batch, item, input));
        items.iter().map(|item| id(item).unwrap_or_default()).collect()
    }

    /// Waits for `work`, unless everything in the parcel is withdrawn meanwhile: then `None`. What is
    /// withdrawn is let go at once, so that nobody waits for it.
    async fn unless_withdrawn<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let (done, forgot) = self.parcel.messages.unless_withdrawn(work).await;
        self.stale |= forgot;
        done
    }
}

impl Work for Delivery {
    async fn attempt(&mut self) -> Attempted {
        loop {
            if self.parcel.messages.forget_withdrawn() || self.stale {
                self.stale = false;
                let parcel = &self.parcel;
                for group in &mut self.groups {
                    group.items.retain(|item| parcel.get(item).is_some());
                    group.body = None;
                }
                self.dead.retain(|(item, _)| parcel.get(item).is_some());
            }
            if let Err(attempted) = self.bury().await {
                return attempted;
            }
            if self.parcel.messages.is_empty() {
                return self.done();
            }
            if !self.groups.is_empty() {
                let shared = self.shared.clone();
                if let Some(Err(attempted)) = self.unless_withdrawn(shared.install_template()).await {
                    return attempted;
                }
            }
            let Some(group) = self.groups.pop() else { return self.done() };
            if group.items.is_empty() {
                continue;
            }
            if let Err(attempted) = self.step(group).await {
                // What an answer refused for good need not wait for the rest.
                return match self.bury().await {
                    Ok(()) => attempted,
                    Err(full) => full,
                };
            }
        }
    }

    fn legs(&self, metrics: &ComponentMetrics) -> Vec<Leg> {
        self.parcel.messages.legs(metrics)
    }

    fn withdrawn(&self) -> impl Future<Output = ()> + Send {
        self.parcel.messages.withdrawn()
    }
}
