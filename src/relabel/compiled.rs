//! Patterns that are compiled within bounds, so that what they hold is known, and in few words what is wrong with others.

use regex::{Regex, RegexBuilder};

/// A search builds states as it goes, in a cache of this many times the automaton's limit.
const CACHES: usize = 2;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What searches for it.
    pub regex: Regex,
    /// Bytes that its automaton keeps to.
    limit: usize,
}

impl Compiled {
    /// Compiles what [`dialect`](super::dialect) translated, within the first of these limits in bytes, the smallest first,
    /// that is enough.
    ///
    /// # Errors
    /// Where it is no pattern, and [`regex::Error::CompiledTooBig`] where no limit is enough.
    pub fn within(limits: &[usize], translated: &str) -> Result<Self, regex::Error> {
        let mut last = regex::Error::CompiledTooBig(0);
        for &limit in limits {
            match RegexBuilder::new(translated).size_limit(limit).dfa_size_limit(CACHES * limit).build() {
                Ok(regex) => return Ok(Self { regex, limit }),
                Err(error @ regex::Error::CompiledTooBig(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Most bytes that it holds, about, where so many search at once.
    pub fn held_bytes(&self, searches: usize) -> usize {
        self.limit + searches * CACHES * self.limit
    }
}

/// What is wrong with a pattern. The crate draws it over several lines, and the last one says that.
pub fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    last.trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_limit_that_is_enough_counts() {
        let held =
            |pattern: &str| Compiled::within(&[4 << 10, 1 << 20], pattern).map(|compiled| compiled.held_bytes(1));
        assert_eq!(held("a"), Ok(3 * (4 << 10)));
        assert_eq!(held(r"\pL{20}"), Ok(3 * (1 << 20)));
        assert_eq!(held(r"\pL{2000}"), Err(regex::Error::CompiledTooBig(1 << 20)));
        assert_eq!(held("a(").map_err(|error| reason(&error)), Err("unclosed group".to_owned()));
    }
}
