//! The structural scan: one pass that proves that an object's bytes may be spliced into another document,
//! and locates the members that something reads.
//!
//! Spliceable is an object whose text can never alter the document around it, whoever reads that: its
//! brackets match, kinds included, and close only at the last byte; its strings end; no byte is below
//! 0x20; it is UTF-8; keys, colons, commas and values stand where JSON wants them, and outside strings
//! nothing else stands. What is left unseen (a number's own grammar, a duplicate key) costs
//! that one document at the server, never another.

use std::ops::Range;

use super::strict;
use super::text::{unescape, unescaped_eq, unescaped_prefix};
use super::walk::{kind, members, skip_blank};
use crate::data::names::Interest;
use crate::data::{Field, FieldEdit, JsonKind, NameId, Names, Overlay, Severity, Slice};

/// Why a text is not spliced as an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    /// It does not begin with a brace.
    #[error("the text is not a JSON object")]
    Other,
    /// It is a valid object that only white space below 0x20 keeps from being spliced: [`strict::compact`]
    /// it and scan again.
    #[error("the object has line breaks or tabs between its members")]
    Blank,
    /// It begins like an object but is broken, or nested deeper than [`strict::MAX_DEPTH`].
    #[error("the text begins with a brace but is not one valid JSON object")]
    Broken,
}

/// A member that something reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The path it was located by; `None` where only a reserved key asked for it.
    pub name: Option<NameId>,
    /// Whether it stands inside another member's value.
    pub nested: bool,
    /// What its value is.
    pub kind: JsonKind,
    /// Where its key stands, with quotes, relative to the object.
    pub key: (u32, u32),
    /// Where its value stands, relative to the object.
    pub value: (u32, u32),
}

/// Scans objects for what one [`Interest`] wants. Its buffers are reused from record to record; use one
/// a worker.
#[derive(Clone, Debug)]
pub struct Scanner {
    wanted: Vec<Wanted>,
    reserved: Vec<&'static str>,
    severity_keys: bool,
    located: Vec<Located>,
    severity: Severity,
    scratch: Vec<u8>,
}

/// A key that begins or continues a wanted path.
#[derive(Clone, Debug)]
struct Wanted {
    key: Box<str>,
    name: Option<NameId>,
    children: Vec<Wanted>,
}

/// The keys that severity is taken from, the most trusted first.
const SEVERITY_KEYS: [&str; 3] = ["severity", "level", "lvl"];

impl Scanner {
    /// A scanner that locates what `interest` names.
    pub fn new(names: &Names, interest: &Interest) -> Self {
        let mut wanted = Vec::new();
        for &id in &interest.paths {
            plant(&mut wanted, &names.path(id), id);
        }
        Self {
            wanted,
            reserved: interest.reserved.clone(),
            severity_keys: interest.severity,
            located: Vec::new(),
            severity: Severity::UNSPECIFIED,
            scratch: Vec::new(),
        }
    }

    /// Proves that `text`, white space around it apart, is one spliceable object, and locates its wanted
    /// members. Returns where in `text` the object stands. An object without members is accepted; whoever
    /// writes it learns from [`super::MemberWriter`] that nothing was written.
    pub fn scan(&mut self, text: &[u8]) -> Result<Range<usize>, NotAnObject> {
        self.located.clear();
        self.severity = Severity::UNSPECIFIED;
        let object = trim(text);
        let text = &text[object.clone()];
        if text.first() != Some(&b'{') || u32::try_from(text.len()).is_err() {
            return Err(NotAnObject::Other);
        }
        self.scratch.clear();
        if !strict::compact(text, &mut self.scratch) {
            return Err(NotAnObject::Broken);
        }
        if text.iter().any(|&b| b < 0x20) {
            return Err(NotAnObject::Blank);
        }
        self.locate(text);
        Ok(object)
    }

    /// The members that the last successful scan located, in the order of the text; a member before what
    /// is nested in it.
    pub fn located(&self) -> &[Located] {
        &self.located
    }

    /// What the last scanned object says of its severity (keys `severity`, `level`, `lvl`: names and the numbers
    /// of pino and bunyan). Unspecified unless something reads the severity.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// Scans `text`, the bytes that `body` names, and on success makes it the object of record `index`:
    /// its fields are the located members, its severity is the object's if it has one that something
    /// reads. The record's body is left as it is.
    pub fn parse_into(
        &mut self,
        body: Slice,
        text: &[u8],
        overlay: &mut Overlay,
        index: usize,
    ) -> Result<(), NotAnObject> {
        let at = self.scan(text)?;
        let object = body.sub(at.start as u32, at.end as u32);
        overlay.states[index].reset_object(object);
        for located in &self.located {
            let field = Field {
                name: located.name,
                kind: located.kind,
                edit: FieldEdit::Original,
                nested: located.nested,
                key: object.sub(located.key.0, located.key.1),
                value: object.sub(located.value.0, located.value.1),
                member: (located.key.0, located.value.1),
            };
            overlay.push_field(index, field);
        }
        if self.severity.is_some() {
            overlay.states[index].severity = self.severity;
        }
        Ok(())
    }

    fn locate(&mut self, text: &[u8]) {
        let mut rank = usize::MAX;
        for member in members(text, 0) {
            let key = &text[member.key.start + 1..member.key.end - 1];
            let found = self.wanted.iter().find(|wanted| unescaped_eq(key, wanted.key.as_bytes()));
            let name = found.and_then(|wanted| wanted.name);
            if name.is_some() || self.reserved.iter().any(|reserved| is_reserved(key, reserved)) {
                self.located.push(located(text, name, false, &member));
            }
            if let Some(found) = found
                && text[member.value.start] == b'{'
            {
                locate_nested(text, &found.children, member.value.start, &mut self.located);
            }
            if self.severity_keys
                && let Some(at) = SEVERITY_KEYS.iter().position(|name| unescaped_eq(key, name.as_bytes()))
                && at <= rank
                && let Some(severity) = read_severity(&text[member.value.clone()])
            {
                (self.severity, rank) = (severity, at);
            }
        }
    }
}

fn plant(wanted: &mut Vec<Wanted>, path: &[Box<str>], id: NameId) {
    let Some((key, rest)) = path.split_first() else { return };
    let at = wanted.iter().position(|known| known.key == *key).unwrap_or_else(|| {
        wanted.push(Wanted { key: key.clone(), name: None, children: Vec::new() });
        wanted.len() - 1
    });
    match rest {
        [] => wanted[at].name = Some(id),
        _ => plant(&mut wanted[at].children, rest, id),
    }
}

fn trim(text: &[u8]) -> Range<usize> {
    let start = skip_blank(text, 0);
    let mut end = text.len();
    while end > start && matches!(text[end - 1], b' ' | b'\t' | b'\n' | b'\r') {
        end -= 1;
    }
    start..end
}

fn located(text: &[u8], name: Option<NameId>, nested: bool, member: &super::walk::Member) -> Located {
    let span = |range: &Range<usize>| (range.start as u32, range.end as u32);
    Located { name, nested, kind: kind(text[member.value.start]), key: span(&member.key), value: span(&member.value) }
}

/// Locates wanted paths inside the object that begins at `at`. Recurses as deep as a path is long.
fn locate_nested(text: &[u8], wanted: &[Wanted], at: usize, out: &mut Vec<Located>) {
    if wanted.is_empty() {
        return;
    }
    for member in members(text, at) {
        let key = &text[member.key.start + 1..member.key.end - 1];
        let Some(found) = wanted.iter().find(|wanted| unescaped_eq(key, wanted.key.as_bytes())) else { continue };
        if found.name.is_some() {
            out.push(located(text, found.name, true, &member));
        }
        if text[member.value.start] == b'{' {
            locate_nested(text, &found.children, member.value.start, out);
        }
    }
}

/// Whether the escaped key is `reserved` or begins with it and a dot.
fn is_reserved(key: &[u8], reserved: &str) -> bool {
    let rest = unescaped_prefix(key, reserved.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || unescaped_prefix(rest, b".").is_some())
}

fn read_severity(value: &[u8]) -> Option<Severity> {
    let Some(name) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Severity::from_pino(std::str::from_utf8(value).ok()?.parse().ok()?);
    };
    if name.contains(&b'\\') {
        let mut plain = Vec::new();
        unescape(name, &mut plain);
        return Severity::from_name(&plain);
    }
    Severity::from_name(name)
}

#[cfg(test)]
mod tests;
