//! What a rule's regular expression matches, without the machinery of regular expressions where plain
//! comparison does the same: `(.*)`, `true`, `prod|staging`.

use regex::{CaptureLocations, Regex};

use super::compiled;
use super::dialect::{self, BadPattern};

/// The default of `regex`.
pub(super) const ANYTHING: &str = "(.*)";

/// A fully anchored regular expression.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    test: Test,
    /// Whether group 1 is the whole, for tests other than an expression.
    captured: bool,
}

#[derive(Clone, Debug)]
enum Test {
    /// `.*`
    Anything,
    /// `.+`
    Something,
    /// One of these words, sorted.
    Words(Box<[Box<str>]>),
    Expression(Regex),
}

/// The groups of a match.
pub(super) enum Groups<'a> {
    /// The whole, and group 1 where it is the whole too.
    Whole { captured: bool },
    /// As found.
    Found(&'a CaptureLocations),
}

impl Groups<'_> {
    /// What group `index` holds of the text that was matched.
    pub fn get<'t>(&self, index: usize, text: &'t str) -> &'t str {
        match self {
            Groups::Whole { captured } if index == 0 || (index == 1 && *captured) => text,
            Groups::Whole { .. } => "",
            Groups::Found(locations) => locations.get(index).map_or("", |(from, to)| &text[from..to]),
        }
    }
}

impl Matcher {
    /// Reads a pattern.
    pub fn new(pattern: &str) -> Result<Self, BadPattern> {
        let (inner, captured) = match pattern.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            Some(inner) if !inner.starts_with('?') => (inner, true),
            _ => (pattern, false),
        };
        let test = match inner {
            ".*" => Some(Test::Anything),
            ".+" => Some(Test::Something),
            inner => words(inner).map(Test::Words),
        };
        let (test, captured) = match test {
            Some(test) => (test, captured),
            None => {
                let translated = dialect::anchored(pattern)?;
                let regex = Regex::new(&translated)
                    .map_err(|error| BadPattern { message: compiled::reason(&error), at: (0, pattern.len()) })?;
                (Test::Expression(regex), false)
            }
        };
        Ok(Self { test, captured })
    }

    /// Whether the whole text matches.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.test {
            Test::Anything => true,
            Test::Something => !text.is_empty(),
            Test::Words(words) => words.binary_search_by(|word| (**word).cmp(text)).is_ok(),
            Test::Expression(regex) => regex.is_match(text),
        }
    }

    /// The groups, if the whole text matches. `locations` are those of [`Matcher::locations`].
    pub fn groups<'a>(&self, text: &str, locations: &'a mut Option<CaptureLocations>) -> Option<Groups<'a>> {
        match (&self.test, locations) {
            (Test::Expression(regex), Some(locations)) => {
                regex.captures_read(locations, text).map(|_| Groups::Found(locations))
            }
            _ => self.is_match(text).then_some(Groups::Whole { captured: self.captured }),
        }
    }

    /// Where an expression's groups are kept while a text is matched.
    pub fn locations(&self) -> Option<CaptureLocations> {
        match &self.test {
            Test::Expression(regex) => Some(regex.capture_locations()),
            _ => None,
        }
    }

    /// Number of the group with this name.
    pub fn named(&self, name: &str) -> Option<usize> {
        match &self.test {
            Test::Expression(regex) => regex.capture_names().position(|known| known == Some(name)),
            _ => None,
        }
    }
}

/// The words of `one|two\.three`, sorted, if it is nothing else.
fn words(pattern: &str) -> Option<Box<[Box<str>]>> {
    let mut words = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let plain = match c {
            '|' => {
                words.push(String::new());
                continue;
            }
            '\\' => chars.next().filter(|c| c.is_ascii_punctuation())?,
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => c,
        };
        words.last_mut()?.push(plain);
    }
    let mut words: Vec<Box<str>> = words.into_iter().map(Into::into).collect();
    words.sort_unstable();
    words.dedup();
    Some(words.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_words_need_no_expression() {
        for pattern in ["true", "a|b", "(prod|staging)", r"a\.b", "", "(.*)", ".+", "8080"] {
            let matcher = Matcher::new(pattern).expect("a pattern");
            assert!(!matches!(matcher.test, Test::Expression(_)), "{pattern}");
        }
        for pattern in ["a.b", "(a)(b)", "a|(b)", "(?i)a", "(?:a|b)", "^a$", r"\d"] {
            let matcher = Matcher::new(pattern).expect("a pattern");
            assert!(matches!(matcher.test, Test::Expression(_)), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn comparison_says_what_the_expression_says(
            pattern in r"\(?([ab.]|\\.){0,3}(\|[ab]{0,2}){0,2}\)?|\(?\.[*+]\)?",
            text in "[ab.\n]{0,3}",
        ) {
            let (Ok(matcher), Ok(translated)) = (Matcher::new(&pattern), dialect::anchored(&pattern)) else {
                return Ok(());
            };
            let expression = Regex::new(&translated).expect("a pattern");
            prop_assert_eq!(matcher.is_match(&text), expression.is_match(&text));
            let mut locations = matcher.locations();
            let groups = matcher.groups(&text, &mut locations);
            let expected = expression.captures(&text);
            prop_assert_eq!(groups.is_some(), expected.is_some());
            if let (Some(groups), Some(expected)) = (groups, expected) {
                for index in 0..3 {
                    let group = expected.get(index).map_or("", |group| group.as_str());
                    prop_assert_eq!(groups.get(index, &text), group, "group {}", index);
                }
            }
        }
    }
}
