//! The deserializer over a node: it interpolates, gives the option's type to whole scalars, answers the
//! protocols of places and secrets, and tells every complaint at the place it belongs to.
//!
//! Complaints do not travel as errors, because on the way through an erased deserializer they would lose
//! their places: they are noted in the [`Context`], and the error that goes up only says so. In one
//! component all unknown keys are told, and the first wrong value.

mod access;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use access::{ApartParts, Before, Entries, Items, Parts, SpannedParts, Variant, Word};
use serde::de::{self, Deserializer, Visitor};

use super::codes;
use super::fault::{self, Fault};
use super::interpolate::{self, Environment, Interpolated};
use super::scalar::{self, Resolved};
use crate::formats::yaml::{Entry, Node, Scalar, Value};
use crate::options::each::APART;
use crate::options::joined::JOINED;
use crate::options::secret::{SECRET, SECRET_ADDRESS, TOKEN_ADDRESS, holds_token};
use crate::options::spanned::SPANNED;
use crate::options::tls::{UNCHECKED_IF_FALSE, UNCHECKED_IF_TRUE};
use crate::options::verbatim::VERBATIM;
use crate::options::{Problem, Span};

/// What is noted while the nodes of one part of the configuration are read.
pub struct Context<'a> {
    environment: Environment<'a>,
    notes: RefCell<Notes>,
}

/// The notes.
#[derive(Default)]
pub struct Notes {
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
    /// What is unusual, but no error.
    pub warnings: Vec<Problem>,
    /// A wrong value was told: what fails behind it fails because of it.
    told: bool,
    /// Number of problems before the part that is being read.
    before: usize,
    /// Number of problems in values that are read apart: what else there is can be looked at without them.
    set_aside: usize,
    /// Scalars that are secrets.
    pub secrets: BTreeSet<Span>,
    /// Scalars that are addresses of which no more than the host is shown.
    pub addresses: BTreeSet<Span>,
    /// Scalars that named something, with what came of them.
    pub interpolated: BTreeMap<Span, Interpolated>,
    /// Files that secrets come from.
    pub secret_files: BTreeSet<PathBuf>,
    /// Files that other values come from.
    pub value_files: BTreeSet<PathBuf>,
}

impl<'a> Context<'a> {
    /// Nothing noted yet.
    pub fn new(environment: Environment<'a>) -> Self {
        Self { environment, notes: RefCell::default() }
    }

    /// Reads one part (a component, a section, a root key): `None` if anything in it is wrong, which is
    /// then noted. `key` is what the part is called.
    pub fn read<T, E: std::fmt::Display>(
        &self,
        node: &Node,
        key: Option<Span>,
        read: impl FnOnce(NodeDeserializer<'_>) -> Result<T, E>,
    ) -> Option<T> {
        let before = self.notes.borrow().problems.len();
        self.notes.borrow_mut().told = false;
        self.notes.borrow_mut().before = before;
        let de =
            NodeDeserializer { context: self, node, key, literal: false, verbatim: false, part: false, beside: &[] };
        match read(de) {
            Ok(value) => (self.notes.borrow().problems.len() == before).then_some(value),
            Err(error) => {
                self.tell(Fault::Words(error.to_string()), de);
                None
            }
        }
    }

    /// The same, and whether nothing in it is wrong. It is there also where something is, if that is left out of it.
    pub fn read_in_part<T, E: std::fmt::Display>(
        &self,
        node: &Node,
        key: Option<Span>,
        read: impl FnOnce(NodeDeserializer<'_>) -> Result<T, E>,
    ) -> (Option<T>, bool) {
        let before = {
            let notes = self.notes.borrow();
            notes.problems.len() - notes.set_aside
        };
        let mut kept = None;
        let whole = self.read(node, key, |de| read(de).map(|value| kept = Some(value)));
        let notes = self.notes.borrow();
        (kept.filter(|_| notes.problems.len() - notes.set_aside == before), whole.is_some())
    }

    /// How things stand before a value that is read apart, which has complaints of its own.
    fn begin_apart(&self) -> Before {
        let mut notes = self.notes.borrow_mut();
        let told = std::mem::take(&mut notes.told);
        Before { told, problems: notes.problems.len(), set_aside: notes.set_aside }
    }

    /// A value that is read apart was read: whether nothing in it is wrong, but for what is apart in it in turn.
    fn apart(&self, before: Before) -> bool {
        let mut notes = self.notes.borrow_mut();
        let problems = notes.problems.len() - before.problems;
        let is_right = problems == notes.set_aside - before.set_aside;
        notes.set_aside = before.set_aside + problems;
        notes.told = before.told;
        is_right
    }

    /// Reads one part of type `T`.
    pub fn typed<T: de::DeserializeOwned>(&self, node: &Node, key: Option<Span>) -> Option<T> {
        self.read(node, key, |de| T::deserialize(de))
    }

    /// Notes a problem.
    pub fn note(&self, problem: Problem) {
        self.notes.borrow_mut().problems.push(problem);
    }

    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// Looks at the notes so far.
    pub fn with_notes<T>(&self, look: impl FnOnce(&Notes) -> T) -> T {
        look(&self.notes.borrow())
    }

    /// Notes what is unusual.
    pub fn warn(&self, warnings: impl IntoIterator<Item = Problem>) {
        self.notes.borrow_mut().warnings.extend(warnings);
    }

    /// All notes.
    pub fn into_notes(self) -> Notes {
        self.notes.into_inner()
    }

    fn tell(&self, fault: Fault, at: NodeDeserializer<'_>) -> Fault {
        if self.notes.borrow().told {
            return Fault::Told;
        }
        let span = match &fault {
            Fault::Told => return Fault::Told,
            Fault::Missing(_) => at.key.unwrap_or(at.node.span),
            _ => at.node.span,
        };
        let listless = matches!(&fault, Fault::Type { expected, .. } if expected == "a list");
        let missing = if let Fault::Missing(key) = &fault { Some(*key) } else { None };
        let (code, mut message, mut help) = fault.explain();
        let mut notes = self.notes.borrow_mut();
        if let (Value::Scalar(scalar), Some(done)) = (&at.node.value, notes.interpolated.get(&span)) {
            // What a variable or a file holds may be a secret.
            if !done.text.is_empty() {
                message = message.replace(&done.text, &format!("what {} stands for", scalar.text));
            }
        }
        if let (true, Value::Scalar(scalar), false) = (listless, &at.node.value, at.node.is_null()) {
            help = Some(format!("write `[{}]`", scalar.text));
        }
        notes.told = true;
        let misspelt = |key: &str| {
            let meant = fault::meant(key);
            notes.problems[notes.before..].iter().any(|known| known.help.as_deref() == Some(&*meant))
        };
        // It is there under a wrong name, which was told.
        if !missing.is_some_and(misspelt) {
            notes.problems.push(Problem { code, span, within: None, message, help });
        }
        Fault::Told
    }

    fn scalar<'n>(&self, node: &'n Node, scalar: &'n Scalar) -> Result<Text<'n>, Fault> {
        match interpolate::interpolate(&scalar.text, self.environment) {
            Ok(None) => Ok(Text { text: std::borrow::Cow::Borrowed(&scalar.text), plain: scalar.plain }),
            Ok(Some(done)) => {
                let text = Text { text: done.text.clone().into(), plain: scalar.plain || done.whole };
                let mut notes = self.notes.borrow_mut();
                notes.value_files.extend(done.files.iter().cloned());
                notes.interpolated.insert(node.span, done);
                Ok(text)
            }
            Err(fault) => Err(self.refuse(node, fault)),
        }
    }

    fn refuse(&self, node: &Node, fault: interpolate::Fault) -> Fault {
        let mut notes = self.notes.borrow_mut();
        if !notes.told {
            notes.told = true;
            let problem = Problem::new(fault.code, node.span, fault.message).help(fault.help);
            notes.problems.push(problem.within(fault.within.0, fault.within.1));
        }
        Fault::Told
    }

    /// Warns where certificates are not checked: where the node is `when`.
    fn unchecked(&self, node: &Node, when: bool) {
        let Value::Scalar(scalar) = &node.value else { return };
        if !scalar.plain || scalar::resolve(&scalar.text) != Resolved::Bool(when) {
            return;
        }
        let message = "certificates are not checked: anybody on the way can read and change what is sent";
        let help = "trust the authority that signed the server's, with `ca_file`; leave it so only for a test";
        self.notes.borrow_mut().warnings.push(Problem::new(codes::UNCHECKED, node.span, message).help(help));
    }

    /// A secret: the file it comes from, or nothing, and its value.
    fn secret(&self, node: &Node, verbatim: bool) -> Result<(String, String), Fault> {
        let help = "write `\"${file:/path}\"` or `\"${env:NAME}\"` and keep the secret there";
        let refuse = |message: &str| {
            let mut notes = self.notes.borrow_mut();
            notes.secrets.insert(node.span);
            if !notes.told {
                notes.told = true;
                notes.problems.push(Problem::new(codes::SECRET_INLINE, node.span, message).help(help));
            }
            Err(Fault::Told)
        };
        let Value::Scalar(scalar) = &node.value else { return refuse("a secret is one reference, nothing else") };
        match interpolate::interpolate(&scalar.text, self.environment) {
            Ok(Some(done)) if done.whole && !done.defaulted => {
                let mut notes = self.notes.borrow_mut();
                notes.secrets.insert(node.span);
                notes.secret_files.extend(done.files.iter().cloned());
                let file = done.files.first().map(|path| path.display().to_string()).unwrap_or_default();
                Ok((file, done.text))
            }
            Ok(None) if node.is_null() => refuse("the secret is missing"),
            Ok(done) if verbatim => {
                let mut notes = self.notes.borrow_mut();
                notes.secrets.insert(node.span);
                if done.is_none() && !scalar.text.is_empty() {
                    let message = "a secret is written into the configuration";
                    notes.warnings.push(Problem::new(codes::SECRET_VISIBLE, node.span, message).help(help));
                }
                Ok((String::new(), done.map_or_else(|| scalar.text.to_string(), |done| done.text)))
            }
            Ok(None) => refuse("a secret must not be written into the configuration"),
            Ok(Some(_)) => refuse("a secret is one reference, with no text around it and no default"),
            Err(fault) => Err(self.refuse(node, fault)),
        }
    }
}

struct Text<'n> {
    text: std::borrow::Cow<'n, str>,
    plain: bool,
}

/// A deserializer over one node.
#[derive(Clone, Copy)]
pub struct NodeDeserializer<'a> {
    context: &'a Context<'a>,
    node: &'a Node,
    key: Option<Span>,
    /// Keys are not interpolated.
    literal: bool,
    /// It is within a block in Prometheus's own words.
    verbatim: bool,
    /// It is one of two structs in the mapping: unknown keys have been told.
    part: bool,
    /// Keys that were taken out of the mapping before, for suggestions.
    beside: &'static [&'static str],
}

impl<'a> NodeDeserializer<'a> {
    /// The same, with keys that were taken out of the mapping before it was handed over.
    #[must_use]
    pub fn beside(self, beside: &'static [&'static str]) -> Self {
        Self { beside, ..self }
    }

    fn child(self, node: &'a Node, key: Option<Span>) -> Self {
        Self { node, key, part: false, beside: &[], ..self }
    }

    fn told<T>(self, result: Result<T, Fault>) -> Result<T, Fault> {
        result.map_err(|fault| self.context.tell(fault, self))
    }

    fn scalar(self, scalar: &'a Scalar) -> Result<Text<'a>, Fault> {
        if self.literal {
            return Ok(Text { text: std::borrow::Cow::Borrowed(&scalar.text), plain: scalar.plain });
        }
        self.context.scalar(self.node, scalar)
    }

    /// Gives the visitor what stands there, whatever it is.
    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let result = match &self.node.value {
            Value::Scalar(scalar) => {
                let text = self.scalar(scalar)?;
                match if text.plain { scalar::resolve(&text.text) } else { Resolved::Text } {
                    Resolved::Null => visitor.visit_unit(),
                    Resolved::Bool(value) => visitor.visit_bool(value),
                    Resolved::Unsigned(number) => visitor.visit_u64(number),
                    Resolved::Signed(number) => visitor.visit_i64(number),
                    Resolved::Float(number) => visitor.visit_f64(number),
                    Resolved::Text => visitor.visit_str(&text.text),
                }
            }
            Value::List(items) => visitor.visit_seq(Items { de: self, items: items.iter() }),
            Value::Map(entries) => visitor.visit_map(self.entries(entries, None)),
        };
        self.told(result)
    }

    /// Gives the visitor text: what is written, even where it could be a number.
    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Value::Scalar(scalar) = &self.node.value else { return self.any(visitor) };
        let text = self.scalar(scalar)?;
        if self.node.is_null() {
            return self.told(visitor.visit_unit());
        }
        self.told(visitor.visit_str(&text.text))
    }

    fn entries(self, entries: &'a [Entry], known: Option<&'static [&'static str]>) -> Entries<'a> {
        Entries { de: self, entries: entries.iter(), value: None, known }
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.any(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        let result = match name {
            SPANNED => visitor.visit_seq(SpannedParts { de: self, next: 0 }),
            APART => visitor.visit_seq(ApartParts { de: self, next: 0, before: self.context.begin_apart() }),
            SECRET => {
                let (file, value) = self.context.secret(self.node, self.verbatim)?;
                visitor.visit_seq(de::value::SeqDeserializer::new([file, value].into_iter()))
            }
            SECRET_ADDRESS => {
                let (file, value) = match &self.node.value {
                    Value::Scalar(scalar) if !scalar.text.contains(['@', '$']) => {
                        (String::new(), scalar.text.to_string())
                    }
                    _ => self.context.secret(self.node, self.verbatim)?,
                };
                visitor.visit_seq(de::value::SeqDeserializer::new([file, value].into_iter()))
            }
            TOKEN_ADDRESS => {
                let (file, value) = match &self.node.value {
                    Value::Scalar(scalar) if !scalar.text.contains(['@', '$']) && !holds_token(&scalar.text) => {
                        self.context.notes.borrow_mut().addresses.insert(self.node.span);
                        (String::new(), scalar.text.to_string())
                    }
                    _ => self.context.secret(self.node, self.verbatim)?,
                };
                visitor.visit_seq(de::value::SeqDeserializer::new([file, value].into_iter()))
            }
            UNCHECKED_IF_TRUE | UNCHECKED_IF_FALSE => {
                self.context.unchecked(self.node, name == UNCHECKED_IF_TRUE);
                visitor.visit_newtype_struct(self)
            }
            VERBATIM => visitor.visit_newtype_struct(Self { verbatim: true, ..self }),
            _ => visitor.visit_newtype_struct(self),
        };
        self.told(result)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            _ if self.node.is_null() => self.told(visitor.visit_map(self.entries(&[], None))),
            // A derived visitor would take it for the fields in their order.
            Value::List(_) => self.told(Err(Fault::Type { found: "a list".into(), expected: "a mapping".into() })),
            _ => self.any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let entries: &[Entry] = match &self.node.value {
            Value::Map(entries) => entries,
            _ if name == JOINED && self.node.is_null() => &[],
            _ => return self.deserialize_map(visitor),
        };
        let unknown = |entry: &&Entry| !self.part && !fields.contains(&&*entry.key);
        for entry in entries.iter().filter(unknown) {
            let help = fault::instead(&entry.key, &[fields, self.beside].concat(), "keys");
            let message = format!("unknown key `{}`", entry.key);
            self.context.note(Problem::new(codes::UNKNOWN_KEY, entry.key_span, message).help(help));
        }
        if name == JOINED {
            let before = self.context.notes.borrow().problems.len();
            let both = visitor.visit_seq(Parts { de: Self { part: true, ..self }, left: 2 });
            // Where it fails for what is wrong in either, that was noted.
            let mut notes = self.context.notes.borrow_mut();
            notes.told |= both.is_err() && notes.problems.len() > before;
            drop(notes);
            return self.told(both);
        }
        self.told(visitor.visit_map(self.entries(entries, Some(fields))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let result = match &self.node.value {
            Value::Scalar(scalar) if !self.node.is_null() => {
                let text = self.scalar(scalar)?;
                visitor.visit_enum(Word { de: self, text: &text.text })
            }
            Value::Map(entries) if entries.len() == 1 => visitor.visit_enum(Variant { de: self, entry: &entries[0] }),
            _ => {
                Err(Fault::Type { found: self.node.kind().into(), expected: format!("one of {}", fault::list(words)) })
            }
        };
        self.told(result)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct seq tuple tuple_struct
    }
}
