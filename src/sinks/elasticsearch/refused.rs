//! What the cluster will not take: a document once more as text, a request by halves, the rest into the
//! dead letter with the reason.

use std::sync::atomic::Ordering;

use super::documents::has_other_form;
use super::parcel::Item;
use super::request::{Delivery, Group};
use super::shared::Shared;
use crate::data::UnixNanos;
use crate::delivery::Outcome;
use crate::delivery::dead_letter::Kept;
use crate::delivery::sender::{Attempted, StatusClass};
use crate::formats::document::Form;
use crate::formats::json::text;

impl Delivery {
    /// One document was refused: once more as text if that can help, else for good.
    pub fn refused(&mut self, item: Item, words: Box<str>, as_text: &mut Vec<Item>) {
        let Some((batch, _)) = self.parcel.get(&item) else { return };
        if has_other_form(batch, &item) {
            as_text.push(Item { form: Form::Text, ..item });
        } else {
            self.dead.push((item, words));
        }
    }

    /// A request was refused as a whole: halves of it, until the one document that is to blame stands alone.
    pub fn refused_whole(&mut self, group: Group, class: StatusClass, words: Box<str>, uncompressed: usize) {
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

    /// Puts what was refused for good into the dead letter, a portion at a time.
    pub async fn bury(&mut self) -> Result<(), Attempted> {
        if let Some((_, reason)) = self.dead.first() {
            self.shared.metrics.error(format!("refused for good: {reason}"));
        }
        while !self.dead.is_empty() {
            let (entries, count) = self.entries();
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
            for (item, reason) in self.dead.drain(..count) {
                let settled = self.parcel.messages.settle(item.message as usize, outcome, 1, Some(&reason));
                metrics.records_refused.inc_by(settled);
                if outcome == Outcome::DeadLettered {
                    metrics.records_dead_lettered.inc_by(settled);
                }
            }
        }
        Ok(())
    }

    /// Entries for the first of what was refused for good, and how many it are.
    fn entries(&mut self) -> (Vec<u8>, usize) {
        let (mut entries, mut count) = (Vec::new(), 0);
        for (item, reason) in &self.dead {
            if entries.len() >= self.shared.dead_letter.portion() {
                break;
            }
            count += 1;
            let Some((batch, _)) = self.parcel.get(item) else { continue };
            self.documents.begin(batch, self.parcel.arrival);
            entries.extend_from_slice(b"{\"time\":\"");
            UnixNanos::now().write_rfc3339(&mut entries);
            entries.extend_from_slice(b"\",\"component\":");
            text::write_string(self.shared.name.as_bytes(), &mut entries);
            entries.extend_from_slice(b",\"reason\":");
            text::write_string(reason.as_bytes(), &mut entries);
            entries.extend_from_slice(b",\"document\":");
            self.documents.write_dead(batch, item, &mut entries);
            entries.extend_from_slice(b"}\n");
        }
        (entries, count)
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
