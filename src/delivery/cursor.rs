//! Turns acknowledgements that come in any order into one safe position.

use std::collections::VecDeque;

/// Positions of batches handed on, in the order of the origin. The safe position moves over a batch only
/// when it and all before it are settled.
#[derive(Debug)]
pub struct Cursor<P> {
    safe: P,
    first: u64,
    pending: VecDeque<Pending<P>>,
}

#[derive(Debug)]
struct Pending<P> {
    safe_after: P,
    settled: bool,
}

impl<P: Clone> Cursor<P> {
    /// A cursor at `safe` with nothing handed on.
    pub fn new(safe: P) -> Self {
        Self { safe, first: 0, pending: VecDeque::new() }
    }

    /// The position from which to read again after a crash: nothing before it is unsettled.
    pub fn safe(&self) -> &P {
        &self.safe
    }

    /// Number of batches from the oldest unsettled one on.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Whether the batch with this token is unsettled; false for one from before the last
    /// [`Cursor::rewind`].
    pub fn is_pending(&self, token: u64) -> bool {
        let index = token.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        index.and_then(|index| self.pending.get(index)).is_some_and(|pending| !pending.settled)
    }

    /// Notes a batch; `safe_after` is safe once it and everything before it are settled. Returns the
    /// token to settle it by.
    pub fn push(&mut self, safe_after: P) -> u64 {
        self.pending.push_back(Pending { safe_after, settled: false });
        self.first + self.pending.len() as u64 - 1
    }

    /// A batch is settled. Returns the new safe position if that moved it. A token from before the last
    /// [`Cursor::rewind`] is ignored.
    pub fn settle(&mut self, token: u64) -> Option<&P> {
        let index = usize::try_from(token.checked_sub(self.first)?).ok()?;
        self.pending.get_mut(index)?.settled = true;
        let mut moved = false;
        while let Some(front) = self.pending.pop_front_if(|front| front.settled) {
            self.safe = front.safe_after;
            self.first += 1;
            moved = true;
        }
        moved.then_some(&self.safe)
    }

    /// Forgets everything unsettled; the origin reads again from the position returned.
    pub fn rewind(&mut self) -> &P {
        self.first += self.pending.len() as u64;
        self.pending.clear();
        &self.safe
    }

    /// Moves the safe position where no batch was needed (nothing but blank or filtered input). Behind
    /// unsettled batches it takes effect after them.
    pub fn skip_to(&mut self, position: P) {
        match self.pending.back_mut() {
            Some(last) => last.safe_after = position,
            None => self.safe = position,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn never_moves_over_an_unsettled_batch(order in proptest::collection::vec(0usize..40, 0..80), cut in 0usize..80) {
            let mut cursor = Cursor::new(0u64);
            let tokens: Vec<u64> = (1..=40).map(|position| cursor.push(position)).collect();
            let mut settled = [false; 40];
            for (step, &index) in order.iter().enumerate() {
                if step == cut {
                    let safe = *cursor.rewind();
                    proptest::prop_assert!(cursor.settle(tokens[39]).is_none(), "an old token moved the cursor");
                    proptest::prop_assert_eq!(*cursor.safe(), safe);
                    break;
                }
                settled[index] = true;
                cursor.settle(tokens[index]);
                let expected = settled.iter().take_while(|&&s| s).count() as u64;
                proptest::prop_assert_eq!(*cursor.safe(), expected);
            }
        }
    }
}
