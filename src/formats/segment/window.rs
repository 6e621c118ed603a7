//! What the writer and the reader of a segment remember alike, so that neither needs more memory the longer the
//! segment is.

use std::collections::VecDeque;

/// The newest of the things that a segment has defined, as many as fit into so many bytes, and the newest of all
/// whatever its size. Numbers begin at 1.
#[derive(Debug)]
pub struct Window<T> {
    kept: VecDeque<(T, usize)>,
    /// Things that were defined and are forgotten.
    forgotten: u64,
    bytes: usize,
    most: usize,
}

impl<T> Window<T> {
    /// Nothing is defined yet; things of `most` bytes are remembered.
    pub fn new(most: usize) -> Self {
        Self { kept: VecDeque::new(), forgotten: 0, bytes: 0, most }
    }

    /// Remembers a thing that takes so many bytes under the next number, which it returns. Each that is forgotten
    /// for it goes to `forget`.
    pub fn push(&mut self, thing: T, bytes: usize, mut forget: impl FnMut(T)) -> u64 {
        self.kept.push_back((thing, bytes));
        self.bytes += bytes;
        while self.bytes > self.most && self.kept.len() > 1 {
            let Some((old, bytes)) = self.kept.pop_front() else { break };
            self.bytes -= bytes;
            self.forgotten += 1;
            forget(old);
        }
        self.defined()
    }

    /// How many things were defined, forgotten ones among them.
    pub fn defined(&self) -> u64 {
        self.forgotten + self.kept.len() as u64
    }

    /// The thing of a number, if it is remembered.
    pub fn get(&self, number: u64) -> Option<&T> {
        let index = number.checked_sub(self.forgotten + 1)?;
        self.kept.get(usize::try_from(index).ok()?).map(|(thing, _)| thing)
    }

    /// The last thing of which `is_before` is true, where it is true of all up to that one.
    pub fn last_where(&self, is_before: impl Fn(&T) -> bool) -> Option<&T> {
        let behind = self.kept.partition_point(|(thing, _)| is_before(thing));
        self.kept.get(behind.checked_sub(1)?).map(|(thing, _)| thing)
    }

    /// The oldest that is remembered.
    pub fn oldest(&self) -> Option<&T> {
        self.kept.front().map(|(thing, _)| thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_under_their_numbers() {
        let (mut window, mut forgotten) = (Window::new(10), Vec::new());
        for (thing, bytes) in [("a", 4), ("b", 4), ("c", 4), ("d", 11), ("e", 1), ("f", 1)] {
            window.push(thing, bytes, |old| forgotten.push(old));
        }
        assert_eq!(forgotten, ["a", "b", "c", "d"]);
        let kept: Vec<_> = (0..8).filter_map(|number| Some((number, *window.get(number)?))).collect();
        assert_eq!((kept, window.defined()), (vec![(5, "e"), (6, "f")], 6));
        assert_eq!(window.last_where(|thing| *thing < "f"), Some(&"e"));
        assert_eq!(window.last_where(|thing| *thing < "e"), None);
    }
}
