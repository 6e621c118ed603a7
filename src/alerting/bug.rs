//! What panics is a bug of the agent's own. It costs what it happened in, a rule or a text of a page, and nothing beside it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A panic that went no further, and its words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a bug of Tailwater, please report it: {0}")]
pub(super) struct Bug(String);

/// Does a part of some work, whose panic ends that part alone. Whoever calls this sees to it that nothing is left half done.
pub(super) fn caught<T>(part: impl FnOnce() -> T) -> Result<T, Bug> {
    catch_unwind(AssertUnwindSafe(part)).map_err(|panic| Bug(words(&*panic)))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked without a word".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_words() {
        let told = |panics: &dyn Fn()| caught(panics).map_err(|bug| bug.to_string());
        assert_eq!(told(&|| ()), Ok(()));
        let expected = |words: &str| Err(format!("a bug of Tailwater, please report it: {words}"));
        assert_eq!(told(&|| panic!("plain")), expected("plain"));
        assert_eq!(told(&|| panic!("number {}", 7)), expected("number 7"));
        assert_eq!(told(&|| std::panic::panic_any(7)), expected("it panicked without a word"));
    }
}
