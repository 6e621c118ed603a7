//! Spans that wait for the other end of their call, bounded in time and in bytes. What one leaves behind is used by the
//! next, so that in the steady state a span that waits allocates nothing.

use std::time::Duration;

use hashbrown::HashTable;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// What the two ends of a call have in common: the trace, and the client's span, which is the server's parent.
pub(super) type Key = [u8; 24];

/// Which end of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// One end of a call.
#[derive(Clone, Debug)]
pub(super) struct Half {
    pub key: Key,
    pub side: Side,
    /// Whether it is of a producer or a consumer.
    pub messaging: bool,
    pub failed: bool,
    /// How many spans it stands for.
    pub count: f64,
    pub seconds: f64,
    /// Its service, its dimensions and its peer, as values of a key.
    pub text: Vec<u8>,
}

impl Half {
    /// Nothing of no call.
    pub const fn empty() -> Self {
        let key = [0; 24];
        Self { key, side: Side::Client, messaging: false, failed: false, count: 0.0, seconds: 0.0, text: Vec::new() }
    }
}

/// Room for text that a place keeps when it is free.
const KEPT_TEXT: usize = 128;

/// Bytes that a half takes besides longer text: itself, its place in the index and in the list of the free.
const FIXED: usize = size_of::<Slot>() + 16 + KEPT_TEXT;

/// The end of the list.
const NONE: u32 = u32::MAX;

/// A place for a half; those that wait are linked by age.
#[derive(Debug)]
struct Slot {
    half: Half,
    until: Instant,
    older: u32,
    newer: u32,
}

/// Halves that wait.
#[derive(Debug)]
pub(super) struct Pending {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    bytes: usize,
    most: usize,
    wait: Duration,
    /// The half that was taken last.
    taken: Half,
}

impl Pending {
    /// None yet; at most so many bytes, each for at most so long.
    pub fn new(most: usize, wait: Duration) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            bytes: 0,
            most,
            wait,
            taken: Half::empty(),
        }
    }

    /// When the oldest has waited long enough.
    pub fn due(&self) -> Option<Instant> {
        self.slots.get(self.oldest as usize).map(|slot| slot.until)
    }

    /// Takes the half of a key, if it is of this side.
    pub fn pair(&mut self, key: &Key, side: Side) -> Option<&Half> {
        let at = self.find(key).filter(|at| self.slots[*at as usize].half.side == side)?;
        Some(self.take(at))
    }

    /// Takes the oldest if it has waited long enough.
    pub fn overdue(&mut self, now: Instant) -> Option<&Half> {
        self.due().filter(|due| *due <= now)?;
        Some(self.take(self.oldest))
    }

    /// Takes the oldest.
    pub fn oldest(&mut self) -> Option<&Half> {
        if self.oldest == NONE { None } else { Some(self.take(self.oldest)) }
    }

    /// Takes the oldest if there are too many bytes.
    pub fn beyond(&mut self) -> Option<&Half> {
        if self.bytes > self.most { self.oldest() } else { None }
    }

    /// Lets a half wait, instead of one of the same key, which is returned.
    pub fn insert(&mut self, half: &Half, now: Instant) -> Option<&Half> {
        let known = self.find(&half.key);
        if let Some(known) = known {
            self.take(known);
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { half: Half::empty(), until: now, older: NONE, newer: NONE });
            self.slots.len() as u32 - 1
        });
        let newest = std::mem::replace(&mut self.newest, at);
        match self.slots.get_mut(newest as usize) {
            Some(before) => before.newer = at,
            None => self.oldest = at,
        }
        let slot = &mut self.slots[at as usize];
        (slot.older, slot.newer, slot.until) = (newest, NONE, now + self.wait);
        let mut text = std::mem::take(&mut slot.half.text);
        text.clear();
        text.extend_from_slice(&half.text);
        slot.half = Half { text, ..*half };
        self.bytes += weight(&slot.half);
        let Self { index, slots, .. } = self;
        index.insert_unique(xxh3_64(&half.key), at, |at| xxh3_64(&slots[*at as usize].half.key));
        known.map(|_| &self.taken)
    }

    fn find(&self, key: &Key) -> Option<u32> {
        self.index.find(xxh3_64(key), |at| self.slots[*at as usize].half.key == *key).copied()
    }

    fn take(&mut self, at: u32) -> &Half {
        let Slot { older, newer, .. } = self.slots[at as usize];
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        let half = &mut self.slots[at as usize].half;
        self.bytes -= weight(half);
        if let Ok(entry) = self.index.find_entry(xxh3_64(&half.key), |found| *found == at) {
            entry.remove();
        }
        std::mem::swap(half, &mut self.taken);
        if half.text.capacity() > KEPT_TEXT {
            half.text = Vec::new();
        }
        self.free.push(at);
        &self.taken
    }
}

/// Bytes that a half counts for.
fn weight(half: &Half) -> usize {
    FIXED + half.text.capacity().saturating_sub(KEPT_TEXT)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn half(number: u8, side: Side, length: usize) -> Half {
        Half { key: [number; 24], side, text: vec![number; length], ..Half::empty() }
    }

    proptest! {
        /// Against a list in the order of age.
        #[test]
        fn halves_are_found_until_they_are_taken(steps in proptest::collection::vec((0u8..4, 0u8..12, any::<bool>(), 0usize..300), 0..200)) {
            let start = Instant::now();
            let mut pending = Pending::new(usize::MAX, Duration::from_secs(5));
            let mut model: Vec<(u8, Side, Instant)> = Vec::new();
            for (second, (action, number, client, length)) in steps.into_iter().enumerate() {
                let side = if client { Side::Client } else { Side::Server };
                let now = start + Duration::from_secs(second as u64);
                match action {
                    0 | 1 => {
                        pending.insert(&half(number, side, length), now);
                        model.retain(|(known, ..)| *known != number);
                        model.push((number, side, now + Duration::from_secs(5)));
                    }
                    2 => {
                        let expected = model.iter().position(|(known, of, _)| *known == number && *of == side);
                        let found = pending.pair(&[number; 24], side);
                        prop_assert_eq!(found.is_some(), expected.is_some());
                        prop_assert!(found.is_none_or(|half| half.text.iter().all(|byte| *byte == number)));
                        expected.map(|at| model.remove(at));
                    }
                    _ => {
                        let expected = model.first().filter(|(_, _, until)| *until <= now).copied();
                        prop_assert_eq!(pending.overdue(now).map(|half| half.key[0]), expected.map(|(number, ..)| number));
                        if expected.is_some() {
                            model.remove(0);
                        }
                    }
                }
                prop_assert_eq!(pending.due(), model.first().map(|(_, _, until)| *until));
                prop_assert!(pending.bytes >= model.len() * FIXED && pending.bytes <= model.len() * (FIXED + 600));
            }
            while let Some(half) = pending.oldest() {
                prop_assert_eq!(half.key[0], model.remove(0).0);
            }
            prop_assert_eq!((pending.bytes, model.len()), (0, 0));
        }
    }

    #[test]
    fn beyond_the_bytes_the_oldest_goes() {
        let now = Instant::now();
        let mut pending = Pending::new(3 * FIXED, Duration::from_secs(5));
        for number in 0..10 {
            pending.insert(&half(number, Side::Client, 4), now);
            let gone = pending.beyond().map(|half| half.key[0]);
            assert_eq!(gone, number.checked_sub(3));
        }
        assert_eq!(pending.slots.len(), 4, "places are used again");
    }
}
