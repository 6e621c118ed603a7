//! One parcel on its way: encoded once, sent until every item is settled, split where the cluster refuses
//! a request as a whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use reqwest::Method;

use super::earlier;
use super::parcel::{Item, Parcel};
use super::server::{Call, Trouble, shown};
use super::shared::Shared;
use crate::data::UnixNanos;
use crate::delivery::Outcome;
use crate::delivery::dead_letter::Kept;
use crate::delivery::sender::{Attempted, StatusClass, Work};
use crate::formats::compression::BodyWriter;
use crate::formats::document::{DocumentEncoder, Form};
use crate::formats::elasticsearch::answer::{FILTER_PATH, whole_error};
use crate::formats::elasticsearch::{BulkAnswer, ItemAnswer, bulk};
use crate::formats::json::text;

/// Bytes that an answer may have for each item, errors included, and beside them.
const ANSWER_PER_ITEM: usize = 4096;

/// A parcel being delivered.
#[derive(Debug)]
pub(super) struct Delivery {
    shared: Arc<Shared>,
    encoder: DocumentEncoder,
    parcel: Parcel,
    /// What is still to be sent, the next last.
    groups: Vec<Group>,
    /// Refused for good and not yet in the dead letter.
    dead: Vec<(Item, Box<str>)>,
    /// Whether messages were withdrawn since the groups were last cleared of them.
    stale: bool,
}

/// Items that are sent together.
#[derive(Debug)]
struct Group {
    items: Vec<Item>,
    /// If some of them may be stored already: since when that is possible.
    maybe_stored_since: Option<UnixNanos>,
    /// The encoded body, kept for the next attempt.
    body: Option<Body>,
}

#[derive(Clone, Debug)]
struct Body {
    bytes: Bytes,
    uncompressed: usize,
}

impl Delivery {
    pub fn new(shared: Arc<Shared>, parcel: Parcel, items: Vec<Item>, maybe_stored_since: Option<UnixNanos>) -> Self {
        let encoder = shared.encoder.clone();
        let groups = vec![Group { items, maybe_stored_since, body: None }];
        Self { shared, encoder, parcel, groups, dead: Vec::new(), stale: false }
    }

    /// One request and everything that follows from its answer without a wait.
    async fn step(&mut self, mut group: Group) -> Result<(), Attempted> {
        let started = UnixNanos::now();
        if let Some(since) = group.maybe_stored_since {
            let ids = self.ids(&group.items);
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
        let body = match &group.body {
            Some(body) => body.clone(),
            None => group.body.insert(self.encode(&group.items)).clone(),
        };
        if body.bytes.is_empty() {
            return Ok(());
        }
        let shared = self.shared.clone();
        let call = Call {
            method: Method::POST,
            path: &[&shared.target, "_bulk"],
            query: &[("filter_path", FILTER_PATH)],
            content_type: Some("application/x-ndjson"),
            gzip: shared.gzip(),
            body: body.bytes.clone(),
            most_answer: (1 << 20) + group.items.len() * ANSWER_PER_ITEM,
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
                Ok(read) if read.len() == group.items.len() => self.settle(group, read, started, shown(endpoint)),
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

    /// One document was refused: once more as text if that can help, else for good.
    fn refused(&mut self, item: Item, words: Box<str>, as_text: &mut Vec<Item>) {
        let Some((batch, _)) = self.parcel.get(&item) else { return };
        let view = batch.view(item.record as usize);
        let members = !view.object().is_empty() || !view.fields().is_empty();
        if item.form == Form::Spliced && members {
            as_text.push(Item { form: Form::Text, ..item });
        } else {
            self.dead.push((item, words));
        }
    }

    /// A request was refused as a whole: halves of it, until the one document that is to blame stands alone.
    fn refused_whole(&mut self, group: Group, class: StatusClass, words: Box<str>, uncompressed: usize) {
        if let [item] = group.items.as_slice() {
            let (item, mut as_text) = (*item, Vec::new());
            if class == StatusClass::TooLarge {
                self.dead.push((item, words));
            } else {
                self.refused(item, words, &mut as_text);
            }
            if !as_text.is_empty() {
                self.groups.push(Group { items: as_text, maybe_stored_since: None, body: None });
            }
            return;
        }
        if class == StatusClass::TooLarge {
            self.shared.shrink_parcels(uncompressed as u64 / 2);
        }
        self.shared.metrics.retries.inc();
        let Group { mut items, maybe_stored_since, .. } = group;
        let behind = items.split_off(items.len() / 2);
        self.groups.push(Group { items: behind, maybe_stored_since, body: None });
        self.groups.push(Group { items, maybe_stored_since, body: None });
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
        let delivered = self.parcel.delivered(items);
        self.shared.metrics.records_out.inc_by(delivered);
    }

    fn encode(&mut self, items: &[Item]) -> Body {
        let mut body = BodyWriter::new(self.shared.compression, self.shared.bodies.take());
        let mut renamed = 0;
        let mut begun = None;
        for item in items {
            let Some((batch, input)) = self.parcel.get(item) else { continue };
            if begun != Some(item.message) {
                self.encoder.begin(batch, self.parcel.arrival);
                begun = Some(item.message);
            }
            let view = batch.view(item.record as usize);
            let ids = self.shared.document_id;
            renamed += u64::from(bulk::write_item(ids, &mut self.encoder, &view, input, item.form, body.text()));
            body.written();
        }
        self.shared.renamed.inc_by(renamed);
        let uncompressed = body.len();
        Body { bytes: self.shared.bodies.lend(body.finish()), uncompressed }
    }

    /// The ids of items, empty where a record has none.
    fn ids(&self, items: &[Item]) -> Vec<String> {
        let id = |item: &Item| {
            let (batch, input) = self.parcel.get(item)?;
            let mut id = Vec::new();
            bulk::write_id(&batch.view(item.record as usize), input, &mut id).then_some(id)
        };
        // They are the content of JSON strings, so they are text.
        items
            .iter()
            .map(|item| id(item).map(|id| String::from_utf8_lossy(&id).into_owned()).unwrap_or_default())
            .collect()
    }

    /// Puts what was refused for good into the dead letter.
    async fn bury(&mut self) -> Result<(), Attempted> {
        if self.dead.is_empty() {
            return Ok(());
        }
        let mut entries = Vec::new();
        for (item, reason) in &self.dead {
            let Some((batch, _)) = self.parcel.get(item) else { continue };
            self.encoder.begin(batch, self.parcel.arrival);
            entries.extend_from_slice(b"{\"time\":\"");
            UnixNanos::now().write_rfc3339(&mut entries);
            entries.extend_from_slice(b"\",\"component\":");
            text::write_string(self.shared.name.as_bytes(), &mut entries);
            entries.extend_from_slice(b",\"reason\":");
            text::write_string(reason.as_bytes(), &mut entries);
            entries.extend_from_slice(b",\"document\":");
            self.encoder.write(&batch.view(item.record as usize), Form::Text, &mut entries);
            entries.extend_from_slice(b"}\n");
        }
        let letters = self.shared.dead_letter.clone();
        let kept = tokio::task::spawn_blocking(move || letters.keep(&entries)).await;
        let outcome = match kept {
            Ok(Kept::Durable) => Outcome::DeadLettered,
            Ok(Kept::Lost(_)) => Outcome::Refused,
            Ok(Kept::Full(reason)) => return Err(Attempted::Retry { reason, after: None, progress: false }),
            Err(error) => {
                let reason = format!("writing the dead letter failed: {error}");
                return Err(Attempted::Retry { reason, after: None, progress: false });
            }
        };
        let metrics = &self.shared.metrics;
        if let Some((_, reason)) = self.dead.first() {
            metrics.error(format!("refused for good: {reason}"));
        }
        for (item, reason) in self.dead.drain(..) {
            let settled = self.parcel.settle(item.message, outcome, 1, Some(&reason));
            metrics.records_refused.inc_by(settled);
            if outcome == Outcome::DeadLettered {
                metrics.records_dead_lettered.inc_by(settled);
            }
        }
        Ok(())
    }

    /// Waits for `work`, unless everything in the parcel is withdrawn meanwhile: then `None`. What is
    /// withdrawn is let go at once, so that nobody waits for it.
    async fn unless_withdrawn<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                () = self.parcel.withdrawn() => {}
            }
            self.stale |= self.parcel.forget_withdrawn();
            if self.parcel.is_empty() {
                return None;
            }
        }
    }
}

impl Work for Delivery {
    async fn attempt(&mut self) -> Attempted {
        loop {
            if self.parcel.forget_withdrawn() || self.stale {
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
            if self.parcel.is_empty() {
                return Attempted::Done;
            }
            if !self.groups.is_empty() {
                let shared = self.shared.clone();
                if let Some(Err(attempted)) = self.unless_withdrawn(shared.install_template()).await {
                    return attempted;
                }
            }
            let Some(group) = self.groups.pop() else { return Attempted::Done };
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

    fn withdrawn(&self) -> impl Future<Output = ()> + Send {
        self.parcel.withdrawn()
    }
}

impl Shared {
    /// Answers that say that a body is too large make the next parcels smaller, to a limit.
    fn shrink_parcels(&self, to: u64) {
        let least = self.most_bytes / 16;
        let before = self.max_bytes.fetch_min(to.max(least), Ordering::Relaxed);
        if before > to.max(least) {
            let name = &self.name;
            tracing::warn!(component = %name, "the cluster takes no bodies of {} bytes: smaller ones from now on", to * 2);
        }
    }
}
