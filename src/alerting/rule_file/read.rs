//! From the YAML tree to values of the right kinds. Scalars are taken as Prometheus's YAML library takes them: whatever is
//! written may be a text, and nothing written is the absent value.

use std::sync::Arc;
use std::time::Duration;

use super::fault::Fault;
use super::{Place, Reading};
use crate::formats::yaml::{self, Entry, Node, Value};
use crate::options::{Problem, Span, prometheus_duration};

/// A file as it was written.
pub(super) struct Written {
    pub groups: Vec<WrittenGroup>,
    /// Where a second document starts.
    pub second_document: Option<Place>,
}

pub(super) struct WrittenGroup {
    pub place: Place,
    pub name: Placed<String>,
    pub interval: Duration,
    pub query_offset: Option<Duration>,
    pub limit: i64,
    pub labels: Vec<WrittenLabel>,
    pub rules: Vec<WrittenRule>,
}

pub(super) struct WrittenRule {
    pub place: Place,
    pub record: Placed<String>,
    pub alert: Placed<String>,
    pub expr: Placed<String>,
    pub for_: Placed<Duration>,
    pub keep_firing_for: Placed<Duration>,
    pub labels: Vec<WrittenLabel>,
    pub annotations: Vec<WrittenLabel>,
    pub annotations_place: Place,
}

pub(super) struct WrittenLabel {
    pub name: String,
    pub name_place: Place,
    pub value: String,
    pub value_place: Place,
}

/// A value, and where it was written; what it belongs to where it was not.
#[derive(Default)]
pub(super) struct Placed<T> {
    pub value: T,
    pub place: Place,
}

/// Reads the first document of a text.
pub(super) fn read(text: &str, reading: Reading) -> Result<Written, Vec<Fault>> {
    let lines = Lines::of(text);
    let first = yaml::parse_first(1, text)
        .map_err(|problems| problems.into_iter().map(|problem| lines.fault(problem)).collect::<Vec<_>>())?;
    let mut reader = Reader { lines, reading, faults: Vec::new() };
    let groups = first.root.map(|root| reader.root(&root)).unwrap_or_default();
    let second_document = first.second.map(|span| reader.lines.place(span));
    if reader.faults.is_empty() { Ok(Written { groups, second_document }) } else { Err(reader.faults) }
}

/// Finds lines and columns.
struct Lines<'t> {
    text: &'t str,
    /// Offset of the first byte of each line.
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        Self { text, starts }
    }

    fn place(&self, span: Span) -> Place {
        let mut at = (span.start as usize).min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.starts.partition_point(|start| *start <= at);
        let column = self.text[self.starts[line - 1]..at].chars().count() + 1;
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Place { line: number(line), column: number(column) }
    }

    fn fault(&self, problem: Problem) -> Fault {
        let help = problem.help.map(|help| format!("; {help}")).unwrap_or_default();
        Fault::at(self.place(problem.span), problem.message + &help)
    }
}

struct Reader<'t> {
    lines: Lines<'t>,
    reading: Reading,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn root(&mut self, root: &Node) -> Vec<WrittenGroup> {
        let mut groups = Vec::new();
        for entry in self.mapping(root, "a rule file", &["groups"]) {
            if &*entry.key == "groups" {
                groups = self.list(&entry.node, "groups").map(|node| self.group(node)).collect();
            }
        }
        groups
    }

    fn group(&mut self, node: &Node) -> WrittenGroup {
        const KEYS: [&str; 6] = ["name", "interval", "query_offset", "limit", "labels", "rules"];
        let place = self.place(node);
        let mut group = WrittenGroup {
            place,
            name: Placed { value: String::new(), place },
            interval: Duration::ZERO,
            query_offset: None,
            limit: 0,
            labels: Vec::new(),
            rules: Vec::new(),
        };
        for Entry { key, node, .. } in self.mapping(node, "a group", &KEYS) {
            match &**key {
                "name" => group.name = self.text(node, key),
                "interval" => group.interval = self.duration(node, key).unwrap_or_default(),
                "query_offset" => group.query_offset = self.duration(node, key),
                "limit" => group.limit = self.whole(node, key),
                "labels" => group.labels = self.labels(node, key),
                "rules" => group.rules = self.list(node, key).map(|node| self.rule(node)).collect(),
                _ => {}
            }
        }
        group
    }

    fn rule(&mut self, node: &Node) -> WrittenRule {
        const KEYS: [&str; 7] = ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];
        let place = self.place(node);
        let nothing = || Placed { value: String::new(), place };
        let mut rule = WrittenRule {
            place,
            record: nothing(),
            alert: nothing(),
            expr: nothing(),
            for_: Placed { value: Duration::ZERO, place },
            keep_firing_for: Placed { value: Duration::ZERO, place },
            labels: Vec::new(),
            annotations: Vec::new(),
            annotations_place: place,
        };
        for Entry { key, key_span, node } in self.mapping(node, "a rule", &KEYS) {
            let key_place = self.lines.place(*key_span);
            match &**key {
                "record" => rule.record = self.text(node, key),
                "alert" => rule.alert = self.text(node, key),
                "expr" => rule.expr = self.text(node, key),
                "for" => rule.for_ = Placed { value: self.duration(node, key).unwrap_or_default(), place: key_place },
                "keep_firing_for" => {
                    let value = self.duration(node, key).unwrap_or_default();
                    rule.keep_firing_for = Placed { value, place: key_place };
                }
                "labels" => rule.labels = self.labels(node, key),
                "annotations" => {
                    rule.annotations_place = key_place;
                    rule.annotations = self.labels(node, key);
                }
                _ => {}
            }
        }
        rule
    }

    fn place(&self, node: &Node) -> Place {
        self.lines.place(node.span)
    }

    fn wrong(&mut self, span: Span, message: String) {
        let place = self.lines.place(span);
        self.faults.push(Fault::at(place, message));
    }

    /// The entries of a mapping; none where nothing is written.
    fn mapping<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> &'n [Entry] {
        match &node.value {
            Value::Map(entries) => {
                for entry in entries.iter().filter(|entry| !keys.contains(&&*entry.key)) {
                    if !self.reading.ignore_unknown_keys {
                        let known = keys.join(", ");
                        let message = format!("unknown key `{}` in {what}; there are: {known}", entry.key);
                        self.wrong(entry.key_span, message);
                    }
                }
                entries
            }
            _ if node.is_null() => &[],
            _ => {
                self.wrong(node.span, format!("{what} is a mapping, found {}", node.kind()));
                &[]
            }
        }
    }

    /// What a list holds; an item that nothing was written for is none.
    fn list<'n>(&mut self, node: &'n Node, key: &str) -> impl Iterator<Item = &'n Arc<Node>> + use<'n> {
        let items: &[Arc<Node>] = match &node.value {
            Value::List(items) => items,
            _ if node.is_null() => &[],
            _ => {
                self.wrong(node.span, format!("`{key}` takes a list, found {}", node.kind()));
                &[]
            }
        };
        items.iter().filter(|item| !item.is_null())
    }

    /// Any scalar, by its text.
    fn scalar<'n>(&mut self, node: &'n Node, key: &str) -> Option<&'n str> {
        match &node.value {
            _ if node.is_null() => None,
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => {
                self.wrong(node.span, format!("`{key}` takes a text, found {}", node.kind()));
                None
            }
        }
    }

    fn text(&mut self, node: &Node, key: &str) -> Placed<String> {
        Placed { value: self.scalar(node, key).unwrap_or_default().to_owned(), place: self.place(node) }
    }

    fn duration(&mut self, node: &Node, key: &str) -> Option<Duration> {
        let text = self.scalar(node, key)?;
        match prometheus_duration::parse(text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.wrong(node.span, format!("`{key}`: {text:?} is no duration; {error}"));
                None
            }
        }
    }

    fn whole(&mut self, node: &Node, key: &str) -> i64 {
        let Some(text) = self.scalar(node, key) else { return 0 };
        let plain = matches!(&node.value, Value::Scalar(scalar) if scalar.plain);
        match whole_number(text).filter(|_| plain) {
            Some(number) => number,
            None => {
                self.wrong(node.span, format!("`{key}`: {text:?} is no whole number"));
                0
            }
        }
    }

    fn labels(&mut self, node: &Node, key: &str) -> Vec<WrittenLabel> {
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                self.wrong(node.span, format!("`{key}` takes a mapping of texts, found {}", node.kind()));
                &[]
            }
        };
        let label = |entry: &Entry| {
            let value = self.text(&entry.node, &entry.key);
            WrittenLabel {
                name: entry.key.to_string(),
                name_place: self.lines.place(entry.key_span),
                value: value.value,
                value_place: value.place,
            }
        };
        entries.iter().map(label).collect()
    }
}

/// Whole numbers of YAML 1.1 and 1.2 as Go's library reads them: decimal, `0x`, `0o`, `0b`, leading zeros octal, `_`
/// between digits, and floats without their fraction.
fn whole_number(text: &str) -> Option<i64> {
    let digits = text.replace('_', "");
    let (negative, magnitude) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(&digits)),
    };
    if magnitude.starts_with(['-', '+']) {
        return None;
    }
    let radix = |prefix: &str, radix| magnitude.strip_prefix(prefix).map(|rest| i64::from_str_radix(rest, radix).ok());
    let octal = magnitude.len() > 1 && magnitude.starts_with('0') && magnitude.bytes().all(|b| b.is_ascii_digit());
    let whole = match radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2)) {
        Some(whole) => whole,
        None if octal => i64::from_str_radix(magnitude, 8).ok(),
        None => magnitude.parse().ok().or_else(|| {
            let float: f64 = magnitude.parse().ok()?;
            (magnitude.starts_with(|c: char| c.is_ascii_digit() || c == '.') && float < i64::MAX as f64)
                .then_some(float as i64)
        }),
    }?;
    Some(if negative { -whole } else { whole })
}
