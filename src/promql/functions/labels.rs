//! `label_replace` and `label_join`.

use regex::Regex;

use crate::data::labels::LabelSet;

/// What a call of `label_replace` says.
#[derive(Clone, Debug)]
pub struct Replace {
    destination: Box<str>,
    template: Box<str>,
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
            template: replacement.into(),
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
    pub fn apply(&mut self, labels: &mut LabelSet) -> bool {
        let Some(groups) = self.pattern.captures(labels.get(&self.source)) else { return false };
        self.text.clear();
        groups.expand(&self.template, &mut self.text);
        labels.set(&self.destination, &self.text);
        true
    }
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
    pub fn apply(&mut self, labels: &mut LabelSet) {
        self.text.clear();
        for (place, source) in self.sources.iter().enumerate() {
            if place > 0 {
                self.text.push_str(&self.separator);
            }
            self.text.push_str(labels.get(source));
        }
        labels.set(&self.destination, &self.text);
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
        assert!(replace.apply(&mut labels));
        // `$2x` names a group that there is not.
        assert_eq!(labels.get("host"), "db_");
        assert!(!Replace::new("host", "no", "instance", "db").expect("a pattern").apply(&mut labels));
        assert!(Replace::new("host", "", "none", "").expect("a pattern").apply(&mut labels));
        assert!(!labels.has("host"));
        assert!(Replace::new("host", "", "a", "(").is_err_and(|why| why.contains("label_replace")));
        assert!(Replace::new("", "", "a", "b").is_err());
    }

    #[test]
    fn labels_are_joined_absent_ones_as_empty() {
        let mut labels = labels();
        Join::new("all", "/", &["job", "none", "instance"]).expect("names").apply(&mut labels);
        assert_eq!(labels.get("all"), "node//db-3:9100");
        Join::new("job", "", &[]).expect("names").apply(&mut labels);
        assert!(!labels.has("job"));
        assert!(Join::new("a", "", &["b", ""]).is_err() && Join::new("", "", &["b"]).is_err());
    }
}
