//! Conditions on the labels of alerts, as routes, silences and inhibition rules have them. They mean what Alertmanager's
//! mean: a label that is absent has the empty value, and patterns are anchored at both ends.

mod parse;

use std::fmt;

pub use parse::{BadMatcher, parse, parse_one};

use crate::data::labels::LabelSet;
use crate::formats::go::Quoted;
use crate::relabel::compiled::{self, Compiled};
use crate::relabel::dialect;
use crate::series::{self, MatchOp};

/// How large a pattern's automaton may be, tried one after the other, so that what is held for a pattern is known by the
/// limit that it keeps to.
const SIZES: [usize; 6] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20];

/// Searches at once whose caches count as held.
const SEARCHES: usize = 2;

/// One condition on a label.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// It is tested as those of queries are; what a pattern means there and here is said where it is compiled.
    condition: series::Matcher,
    /// What the pattern holds.
    pattern_bytes: usize,
}

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches,
    /// `!~`
    MatchesNot,
}

impl Op {
    /// The operator of a JSON matcher.
    pub fn of_flags(is_equal: bool, is_regex: bool) -> Self {
        match (is_equal, is_regex) {
            (true, false) => Self::Equal,
            (false, false) => Self::NotEqual,
            (true, true) => Self::Matches,
            (false, true) => Self::MatchesNot,
        }
    }

    /// Whether what it compares with is a pattern.
    pub fn is_regex(self) -> bool {
        matches!(self, Self::Matches | Self::MatchesNot)
    }

    /// Whether it is not negated.
    pub fn is_equal(self) -> bool {
        matches!(self, Self::Equal | Self::Matches)
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::MatchesNot => "!~",
        }
    }
}

/// A pattern that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no regular expression: {why}")]
pub struct BadPattern {
    pattern: String,
    why: String,
}

impl Matcher {
    /// A condition.
    ///
    /// # Errors
    /// Where the value has to be a pattern and is none.
    pub fn new(op: Op, name: &str, value: &str) -> Result<Self, BadPattern> {
        let mut pattern_bytes = 0;
        let mut pattern = || {
            let bad = |why: String| BadPattern { pattern: value.to_owned(), why };
            let translated = dialect::anchored_in_line(value).map_err(|error| bad(error.message))?;
            let compiled = Compiled::within(&SIZES, &translated).map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    bad("compiled it is larger than 4 MiB; repeat less, or write several matchers".to_owned())
                }
                error => bad(compiled::reason(&error)),
            })?;
            pattern_bytes = compiled.held_bytes(SEARCHES);
            Ok(compiled.regex)
        };
        let op = match op {
            Op::Equal => MatchOp::Equal,
            Op::NotEqual => MatchOp::NotEqual,
            Op::Matches => MatchOp::Matches(pattern()?),
            Op::MatchesNot => MatchOp::MatchesNot(pattern()?),
        };
        let condition = series::Matcher { name: name.into(), op, value: value.into() };
        Ok(Self { condition, pattern_bytes })
    }

    /// Most bytes that it holds, about: its texts, and its pattern with the caches of two searches at once.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.name().len() + self.value().len() + self.pattern_bytes
    }

    /// Name of the label.
    pub fn name(&self) -> &str {
        &self.condition.name
    }

    /// What it is compared with: the value, or the pattern as it was written.
    pub fn value(&self) -> &str {
        &self.condition.value
    }

    /// How it is compared.
    pub fn op(&self) -> Op {
        match self.condition.op {
            MatchOp::Equal => Op::Equal,
            MatchOp::NotEqual => Op::NotEqual,
            MatchOp::Matches(_) => Op::Matches,
            MatchOp::MatchesNot(_) => Op::MatchesNot,
        }
    }

    /// Whether a label of this value, empty where there is none, fits.
    pub fn matches(&self, value: &str) -> bool {
        self.condition.matches(value)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op(), self.name(), self.value()) == (other.op(), other.name(), other.value())
    }
}

impl Eq for Matcher {}

/// As Alertmanager writes it: `severity=~"page|ticket"`, and with a quoted name where that has a reserved character.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name().contains(parse::is_reserved) {
            return write!(f, "{}{}{}", Quoted(self.name()), self.op().sign(), Quoted(self.value()));
        }
        write!(f, "{}{}\"", self.name(), self.op().sign())?;
        for c in self.value().chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' => f.write_str("\\\"")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        f.write_str("\"")
    }
}

/// Conditions that must all be fulfilled; none at all are fulfilled by everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matchers(Box<[Matcher]>);

impl Matchers {
    /// In the order of their names, values and operators, which is part of the key of a route.
    pub fn sorted(mut matchers: Vec<Matcher>) -> Self {
        matchers.sort_by(|a, b| (a.name(), a.value(), a.op()).cmp(&(b.name(), b.value(), b.op())));
        Self(matchers.into())
    }

    /// In the order in which they were given.
    pub fn as_given(matchers: Vec<Matcher>) -> Self {
        Self(matchers.into())
    }

    /// Whether the labels fulfil all of them.
    pub fn match_all(&self, labels: &LabelSet) -> bool {
        self.0.iter().all(|matcher| matcher.matches(labels.get(matcher.name())))
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Matcher> {
        self.0.iter()
    }

    /// Whether none of them needs a label to be there. One with a negative operator counts as needing one, as in
    /// Alertmanager: it means more than nothing.
    pub fn is_met_by_absence(&self) -> bool {
        self.0.iter().all(|matcher| matcher.op().is_equal() && matcher.matches(""))
    }
}

/// `{a="1",b=~"2|3"}`.
impl fmt::Display for Matchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, matcher) in self.0.iter().enumerate() {
            write!(f, "{}{matcher}", if index == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(text: &str) -> Matcher {
        parse_one(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_absent_label_is_empty_and_patterns_are_anchored() {
        for (text, value, fits) in [
            ("a=b", "b", true),
            ("a=b", "", false),
            ("a!=b", "", true),
            ("a=\"\"", "", true),
            ("a=~\"b|c\"", "c", true),
            ("a=~\"b|c\"", "cc", false),
            ("a!~\"b.\"", "bb", false),
            ("a=~\"b.*\"", "b\n", false),
            (r#"a=~"\\d+""#, "١", false),
        ] {
            assert_eq!(matcher(text).matches(value), fits, "{text} {value:?}");
        }
    }

    #[test]
    fn they_are_written_as_they_are_read() {
        for text in [r#"a="b""#, r#"a=~"b\\.c""#, r#"a!="say \"hi\"\n""#, r#""a b"!~"é""#, r#"é="ü""#] {
            assert_eq!(matcher(text).to_string(), text);
        }
        let list = parse(r#"{b="2", a=~"x|y", a="x"}"#).expect("matchers");
        assert_eq!(Matchers::sorted(list).to_string(), r#"{a="x",a=~"x|y",b="2"}"#);
    }

    #[test]
    fn a_pattern_holds_what_it_needs_and_not_without_end() {
        let held = |pattern: &str| Matcher::new(Op::Matches, "a", pattern).map(|matcher| matcher.held_bytes());
        assert!(held("web-(1|2|3)").is_ok_and(|held| held < 32 << 10));
        assert!(held(r"(\pL{30}x){3}").is_ok_and(|held| held > 1 << 20));
        assert!(held(r"(\pL{200}x){9}").is_err_and(|error| error.to_string().contains("larger than 4 MiB")));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_reads_back(name in "[a-c é\"\\\\{},=!~]{1,4}", value in "(?s).{0,8}", equal: bool) {
            let written = Matcher::new(Op::of_flags(equal, false), &name, &value).expect("no pattern");
            let read = parse_one(&written.to_string()).map_err(|error| error.to_string());
            proptest::prop_assert_eq!(read, Ok(written));
        }
    }
}
