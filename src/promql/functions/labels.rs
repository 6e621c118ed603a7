//! `label_replace` and `label_join`.

use regex::Regex;

use crate::data::labels::LabelSet;

/// Most bytes of a label's value that a query makes: calls within calls would multiply it without end.
pub const MOST_VALUE: usize = 1 << 20;

/// What a call of `label_replace` says.
#[derive(Clone, Debug)]
pub struct Replace {
    destination: Box<str>,
    /// The template in parts that refer to one group at most.
    parts: Box<[Box<str>]>,
    source: Box<str>,
    pattern: Regex,
    text: String,
}

impl Replace {
    /// Reads what a call says.
    ///
    /// # Errors
    /// If the pattern is none, or the destination's name is.
    pub fn new(destination: &str, replacement: &str, source: &str, pattern: &str) -> Result<Self, String> {
        let compiled = Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|_| format!("invalid regular expression in label_replace(): {pattern}"))?;
        if destination.is_empty() {
            return Err(format!("invalid destination label name in label_replace(): {destination}"));
        }
        Ok(Self {
            destination: destination.into(),
            parts: parts(replacement).map(Into::into).collect(),
            source: source.into(),
            pattern: compiled,
            text: String::new(),
        })
    }

    /// The label that is set.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Sets the label if the pattern matches; whether it did.
    ///
    /// # Errors
    /// If the value were longer than 1 MiB.
    pub fn apply(&mut self, labels: &mut LabelSet) -> Result<bool, String> {
        let Some(groups) = self.pattern.captures(labels.get(&self.source)) else { return Ok(false) };
        self.text.clear();
        for part in &self.parts {
            groups.expand(part, &mut self.text);
            check_length("label_replace", &self.destination, self.text.len())?;
        }
        labels.set(&self.destination, &self.text);
        Ok(true)
    }
}

/// A template cut before each reference to a group.
fn parts(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        // A second dollar belongs to the first, and so does everything up to the brace that closes.
        let begins = match rest.as_bytes() {
            [b'$', b'$', ..] => 2,
            [b'$', b'{', ..] => rest.find('}').unwrap_or(1),
            [] => return None,
            [b'$', ..] => 1,
            _ => 0,
        };
        let end = rest[begins..].find('$').map_or(rest.len(), |more| begins + more);
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

fn check_length(function: &str, label: &str, length: usize) -> Result<(), String> {
    if length <= MOST_VALUE {
        return Ok(());
    }
    Err(format!("{function}() makes a value of more than {MOST_VALUE} bytes for label {label:?}"))
}

/// What a call of `label_join` says.
#[derive(Clone, Debug)]
pub struct Join {
    destination: Box<str>,
    separator: Box<str>,
    sources: Box<[Box<str>]>,
    text: String,
}

impl Join {
    /// Reads what a call says.
    ///
    /// # Errors
    /// If a label's name is none.
    pub fn new(destination: &str, separator: &str, sources: &[&str]) -> Result<Self, String> {
        if let Some(source) = sources.iter().find(|source| source.is_empty()) {
            return Err(format!("invalid source label name in label_join(): {source}"));
        }
        if destination.is_empty() {
            return Err(format!("invalid destination label name in label_join(): {destination}"));
        }
        Ok(Self {
            destination: destination.into(),
            separator: separator.into(),
            sources: sources.iter().map(|source| (*source).into()).collect(),
            text: String::new(),
        })
    }

    /// The label that is set.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Sets the label.
    ///
    /// # Errors
    /// If the value were longer than 1 MiB.
    pub fn apply(&mut self, labels: &mut LabelSet) -> Result<(), String> {
        let separators = self.separator.len().saturating_mul(self.sources.len().saturating_sub(1));
        let texts = self.sources.iter().map(|source| labels.get(source).len());
        check_length("label_join", &self.destination, texts.fold(separators, usize::saturating_add))?;
        self.text.clear();
        for (place, source) in self.sources.iter().enumerate() {
            if place > 0 {
                self.text.push_str(&self.separator);
            }
            self.text.push_str(labels.get(source));
        }
        labels.set(&self.destination, &self.text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> LabelSet {
        [("__name__", "up"), ("instance", "db-3:9100"), ("job", "node")].into_iter().collect()
    }

    #[test]
    fn a_label_is_made_of_what_a_pattern_matched() {
        let mut labels = labels();
        let mut replace = Replace::new("host", "${1}_$2x", "instance", "(\\w+)-(?P<n>\\d+):.*").expect("a pattern");
        assert_eq!(replace.apply(&mut labels), Ok(true));
        // `$2x` names a group that there is not.
        assert_eq!(labels.get("host"), "db_");
        assert_eq!(Replace::new("host", "no", "instance", "db").expect("a pattern").apply(&mut labels), Ok(false));
        assert_eq!(Replace::new("host", "", "none", "").expect("a pattern").apply(&mut labels), Ok(true));
        assert!(!labels.has("host"));
        assert!(Replace::new("host", "", "a", "(").is_err_and(|why| why.contains("label_replace")));
        assert!(Replace::new("", "", "a", "b").is_err());
    }

    #[test]
    fn labels_are_joined_absent_ones_as_empty() {
        let mut labels = labels();
        Join::new("all", "/", &["job", "none", "instance"]).expect("names").apply(&mut labels).expect("short");
        assert_eq!(labels.get("all"), "node//db-3:9100");
        Join::new("job", "", &[]).expect("names").apply(&mut labels).expect("short");
        assert!(!labels.has("job"));
        assert!(Join::new("a", "", &["b", ""]).is_err() && Join::new("", "", &["b"]).is_err());
    }

    #[test]
    fn a_value_that_is_too_long_is_not_made() {
        let long = "x".repeat(MOST_VALUE / 4);
        let mut labels: LabelSet = [("a", long.as_str())].into_iter().collect();
        Join::new("b", "", &["a"; 4]).expect("names").apply(&mut labels).expect("short enough");
        assert!(Join::new("b", "-", &["a"; 4]).expect("names").apply(&mut labels).is_err());
        assert!(Join::new("b", &long, &["none"; 6]).expect("names").apply(&mut labels).is_err());
        assert_eq!(labels.get("b").len(), MOST_VALUE);
        let mut replace = Replace::new("b", &"$1".repeat(100_000), "a", "(.*)").expect("a pattern");
        assert!(replace.apply(&mut labels).is_err_and(|why| why.contains("label_replace() makes")));
        assert!(replace.text.len() <= 2 * MOST_VALUE);
    }

    proptest::proptest! {
        #[test]
        fn a_template_in_parts_says_the_same(template in "[$${}12 aé]{0,12}") {
            let pattern = Regex::new("(?P<a>x)(y)").expect("a pattern");
            let groups = pattern.captures("xy").expect("it matches");
            let (mut whole, mut joined) = (String::new(), String::new());
            groups.expand(&template, &mut whole);
            parts(&template).for_each(|part| groups.expand(part, &mut joined));
            proptest::prop_assert_eq!(whole, joined);
        }
    }
}
