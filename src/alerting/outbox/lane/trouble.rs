//! What is wrong with a way, told once: not with every attempt, and not again where one key arrives and others do not.

use std::collections::BTreeSet;

/// Most reasons of one trouble that are told. Whatever has a number in its words would be told with every attempt.
const MOST_TOLD: usize = 8;

/// Pages of a way do not arrive.
#[derive(Debug, Default)]
pub struct Trouble {
    /// What its receiver said last, or what failed.
    pub why: String,
    /// Names of the alerts of the page that it said it of.
    pub about: String,
    told: BTreeSet<String>,
}

impl Trouble {
    /// A page did not arrive. Returns whether the reason is news.
    pub fn say(&mut self, why: &str, about: &str) -> bool {
        (self.why, self.about) = (why.to_owned(), about.to_owned());
        self.told.len() < MOST_TOLD && self.told.insert(self.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_and_not_without_end() {
        let mut trouble = Trouble::default();
        let told = ["503", "503", "429", "503"].map(|why| trouble.say(why, "Down"));
        assert_eq!(told, [true, false, true, false]);
        let told = (0..100).filter(|number| trouble.say(&format!("closed {number}"), "Down")).count();
        assert_eq!((told, &*trouble.why), (MOST_TOLD - 2, "closed 99"));
    }
}
