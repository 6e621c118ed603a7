//! YAML as a tree of nodes that know where they were written.
//!
//! The tree is all that readers of configurations and of rule files see: nothing is interpreted here but YAML 1.2
//! itself. Aliases share the node they name, merge keys (`<<`) are resolved, and whatever could make a small
//! file large (aliases of aliases, nesting) is bounded.

use std::collections::hash_map::{Entry as Slot, HashMap};
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use crate::options::{Code, Problem, Span};

/// A text is no YAML.
pub const SYNTAX: Code = Code("TW0002");

/// A key is written twice.
pub const DUPLICATE_KEY: Code = Code("TW0003");

/// A text stands for too much.
pub const TOO_LARGE: Code = Code("TW0004");

/// YAML that means nothing here.
pub const UNSUPPORTED_YAML: Code = Code("TW0005");

/// Deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 64;

/// Most nodes of one configuration's file, those that aliases repeat counted each time.
const MAX_NODES: usize = 200_000;

/// Most nodes of a file that a program wrote: rule files of tens of thousands of rules.
const MAX_NODES_OF_MANY: usize = 4_000_000;

/// A value and its place.
#[derive(Debug)]
pub struct Node {
    /// Where it was written.
    pub span: Span,
    /// What was written.
    pub value: Value,
}

/// What a node is.
#[derive(Debug)]
pub enum Value {
    /// Text, a number, true, false or nothing: the option's type decides.
    Scalar(Scalar),
    /// A list.
    List(Vec<Arc<Node>>),
    /// A mapping, in the order of writing.
    Map(Vec<Entry>),
}

/// A scalar after YAML's own unescaping.
#[derive(Debug)]
pub struct Scalar {
    /// Its text.
    pub text: Box<str>,
    /// Whether it was written without quotes, so that it may be a number, a truth value or nothing.
    pub plain: bool,
}

/// One key of a mapping and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key was written.
    pub key_span: Span,
    /// The value.
    pub node: Arc<Node>,
}

impl Node {
    /// Whether nothing was written: `~`, `null` or an empty place.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { text, plain: true }) if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What the node is, in words.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(_) if self.is_null() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Number of nodes in the tree under and including this one.
    fn size(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 1,
            Value::List(items) => items.iter().fold(1, |sum, item| sum + item.size()),
            Value::Map(entries) => entries.iter().fold(1, |sum, entry| sum + entry.node.size()),
        }
    }
}

/// Reads the text of file number `file`; `None` if there is nothing in it. A syntax error is alone;
/// double keys are told all at once. A second document is an error.
pub fn parse(file: u32, text: &str) -> Result<Option<Arc<Node>>, Vec<Problem>> {
    let build = Build { file, text, most_nodes: MAX_NODES, ..Build::default() };
    build.read().map(|first| first.root)
}

/// The first document of a text.
#[derive(Debug)]
pub struct First {
    /// What is in it, if anything is.
    pub root: Option<Arc<Node>>,
    /// Where a second document starts. It and what follows were not read.
    pub second: Option<Span>,
}

/// Reads the first document of a text, which may be larger than a configuration.
pub fn parse_first(file: u32, text: &str) -> Result<First, Vec<Problem>> {
    let build = Build { file, text, most_nodes: MAX_NODES_OF_MANY, only_first: true, ..Build::default() };
    build.read()
}

#[derive(Default)]
struct Build<'t> {
    file: u32,
    text: &'t str,
    most_nodes: usize,
    /// Whether a second document ends the reading instead of being an error.
    only_first: bool,
    root: Option<Arc<Node>>,
    documents: usize,
    /// Whether the end of a document has been seen.
    ended: bool,
    second: Option<Span>,
    open: Vec<Open>,
    /// Anchored nodes by number, with their sizes.
    anchors: HashMap<usize, (Arc<Node>, usize)>,
    nodes: usize,
    problems: Vec<Problem>,
}

/// A collection whose end has not been seen.
struct Open {
    start: Span,
    anchor: usize,
    value: Collection,
}

enum Collection {
    List(Vec<Arc<Node>>),
    Map { entries: Vec<Entry>, key: Option<(Arc<str>, Span, bool)>, seen: HashMap<Arc<str>, Span>, merged: Vec<Entry> },
}

impl Build<'_> {
    fn read(mut self) -> Result<First, Vec<Problem>> {
        let options = granit_parser::options! { block_nesting_limit: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH };
        for event in Parser::new_from_str_with_options(self.text, options) {
            let taken = match event {
                Ok((event, span)) => self.event(event, self.span(&span)),
                // Whatever is wrong behind the first document is not of it.
                Err(_) if self.only_first && self.ended => break,
                Err(error) => Err(self.syntax(&error)),
            };
            if let Err(problem) = taken {
                return Err(vec![problem]);
            }
            if self.second.is_some() {
                break;
            }
        }
        if self.problems.is_empty() { Ok(First { root: self.root, second: self.second }) } else { Err(self.problems) }
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let range = span.byte_range().unwrap_or_default();
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { file: self.file, start: offset(range.start), end: offset(range.end) }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let at = error.marker().byte_offset().unwrap_or(usize::MAX).min(self.text.len());
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let span = Span { file: self.file, start: at, end: at };
        let problem = Problem::new(SYNTAX, span, format!("this is not YAML: {}", error.info()));
        let said = |words: &str| error.info().contains(words);
        match () {
            () if said("tabs") => problem.help("indent with blanks: YAML allows no tabs there"),
            () if said("mapping values are not allowed") => {
                problem.help("look for a colon without a blank behind it before here, or a wrong indentation")
            }
            () if said("quote") => problem.help("close the quote; within quotes of its kind write it twice"),
            () => problem,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 && self.only_first {
                    self.second = Some(span);
                } else if self.documents > 1 {
                    let message = "a second document starts here; a file holds one";
                    let help = "move it to a file of its own and name the folder";
                    return Err(Problem::new(UNSUPPORTED_YAML, span, message).help(help));
                }
                Ok(())
            }
            Event::DocumentEnd => {
                self.ended = true;
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = match self.tag(tag.as_deref(), span)? {
                    Some("str") => false,
                    Some(_) => true,
                    None => style == ScalarStyle::Plain,
                };
                let scalar = Scalar { text: text.into(), plain };
                self.node(Node { span, value: Value::Scalar(scalar) }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span)?;
                self.open(Open { start: span, anchor, value: Collection::List(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span)?;
                let value =
                    Collection::Map { entries: Vec::new(), key: None, seen: HashMap::new(), merged: Vec::new() };
                self.open(Open { start: span, anchor, value })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    let message = "this alias names the value it stands in";
                    return Err(Problem::new(UNSUPPORTED_YAML, span, message));
                };
                let (node, size) = (node.clone(), *size);
                self.count(size, span)?;
                self.place(node, span)
            }
            _ => Ok(()),
        }
    }

    /// The core schema's tag, if one is written.
    fn tag<'t>(&self, tag: Option<&'t Tag>, span: Span) -> Result<Option<&'t str>, Problem> {
        let Some(tag) = tag else { return Ok(None) };
        match tag.core_suffix() {
            Some(core) => Ok(Some(core)),
            None => {
                let message = format!("the tag `{}` means nothing here", tag.original());
                Err(Problem::new(UNSUPPORTED_YAML, span, message).help("leave it out"))
            }
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > self.most_nodes {
            let message =
                format!("the file stands for more than {} values, aliases counted each time", self.most_nodes);
            return Err(Problem::new(TOO_LARGE, span, message).help("use fewer aliases, or several files"));
        }
        Ok(())
    }

    fn open(&mut self, open: Open) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("lists and mappings are nested deeper than {MAX_DEPTH}");
            return Err(Problem::new(TOO_LARGE, open.start, message));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Problem> {
        let Some(Open { start, anchor, value }) = self.open.pop() else { return Ok(()) };
        let mut span = Span { end: end.end.max(start.end), ..start };
        let value = match value {
            Collection::List(items) => {
                if let (true, Some(last)) = (start.start == start.end, items.last()) {
                    span.end = last.span.end.max(start.end);
                }
                Value::List(items)
            }
            Collection::Map { mut entries, mut seen, merged, .. } => {
                if let (true, Some(last)) = (start.start == start.end, entries.last()) {
                    span.end = last.node.span.end.max(last.key_span.end);
                }
                entries.extend(
                    merged.into_iter().filter(|entry| seen.insert(entry.key.clone(), entry.key_span).is_none()),
                );
                Value::Map(entries)
            }
        };
        self.node(Node { span, value }, anchor)
    }

    fn node(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        let span = node.span;
        self.count(1, span)?;
        let node = Arc::new(node);
        if anchor > 0 {
            let size = node.size();
            self.anchors.insert(anchor, (node.clone(), size));
        }
        self.place(node, span)
    }

    /// Puts a finished node where it belongs. `span` is where it is used: an alias is elsewhere than its
    /// node.
    fn place(&mut self, node: Arc<Node>, span: Span) -> Result<(), Problem> {
        let Some(open) = self.open.last_mut() else {
            self.root = (!node.is_null()).then_some(node);
            return Ok(());
        };
        match &mut open.value {
            Collection::List(items) => items.push(node),
            Collection::Map { key: slot @ None, .. } => {
                let Value::Scalar(Scalar { text, plain }) = &node.value else {
                    return Err(Problem::new(UNSUPPORTED_YAML, span, "a key must be plain text"));
                };
                *slot = Some((text.as_ref().into(), span, *plain));
            }
            Collection::Map { entries, key, seen, merged } => {
                let Some((key, key_span, plain)) = key.take() else { return Ok(()) };
                if plain && &*key == "<<" {
                    return merge(merged, &node, span);
                }
                match seen.entry(key.clone()) {
                    Slot::Occupied(first) => {
                        let line =
                            1 + memchr::memchr_iter(b'\n', &self.text.as_bytes()[..first.get().start as usize]).count();
                        let message = format!("`{key}` is written twice in this mapping; the first is in line {line}");
                        let problem = Problem::new(DUPLICATE_KEY, key_span, message);
                        self.problems.push(problem.help("keep one of them"));
                    }
                    Slot::Vacant(slot) => {
                        slot.insert(key_span);
                        entries.push(Entry { key, key_span, node });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Takes over what `<<` names: a mapping or a list of mappings, of which the first wins (when the mapping
/// that merges them ends).
fn merge(merged: &mut Vec<Entry>, node: &Node, span: Span) -> Result<(), Problem> {
    match &node.value {
        Value::Map(entries) => {
            merged.extend(entries.iter().cloned());
            Ok(())
        }
        Value::List(items) if items.iter().all(|item| matches!(item.value, Value::Map(_))) => {
            items.iter().try_for_each(|item| merge(merged, item, span))
        }
        _ => Err(Problem::new(UNSUPPORTED_YAML, span, "`<<` takes a mapping, or a list of mappings")),
    }
}
