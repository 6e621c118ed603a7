//! The scan of an object: the proof that its bytes may be spliced into another document, and where its
//! members stand that something reads.
//!
//! Spliceable is an object whose text can never alter the document around it, whoever reads that:
//! `structure` says what is proven. What is left unseen (a number's own grammar, a
//! bad escape, a duplicate key) costs that one document at the server, never another.

use std::ops::Range;

use super::strict;
use super::structure::{Structure, Verdict};
use super::text::{unescape, unescaped_eq};
use super::walk::{kind, members, skip_blank};
use super::wanted::{WantedKeys, WantedPath};
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

/// Room for keys that is kept from one object to the next, however many one had.
const MOST_KEPT: usize = 16 * 1024;

/// Scans objects for what one [`Interest`] wants. Its buffers are reused from record to record; use one
/// a worker.
#[derive(Clone, Debug)]
pub struct Scanner {
    wanted: WantedKeys,
    structure: Structure,
    located: Vec<Located>,
    severity: Severity,
    /// The place of the severity's key among those that it is taken from.
    trust: usize,
    scratch: Vec<u8>,
    /// Keys that may be wanted: their numbers, and which they may be.
    candidates: Vec<(u32, u8)>,
}

impl Scanner {
    /// A scanner that locates what `interest` names.
    pub fn new(names: &Names, interest: &Interest) -> Self {
        Self {
            wanted: WantedKeys::new(names, interest),
            structure: Structure::default(),
            located: Vec::new(),
            severity: Severity::UNSPECIFIED,
            trust: usize::MAX,
            scratch: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// Proves that `text`, white space around it apart, is one spliceable object, and locates its wanted
    /// members. Returns where in `text` the object stands. An object without members is accepted; whoever
    /// writes it learns from [`super::MemberWriter`] that nothing was written.
    pub fn scan(&mut self, text: &[u8]) -> Result<Range<usize>, NotAnObject> {
        self.located.clear();
        (self.severity, self.trust) = (Severity::UNSPECIFIED, usize::MAX);
        let object = trim(text);
        let text = &text[object.clone()];
        if text.first() != Some(&b'{') || u32::try_from(text.len()).is_err() {
            return Err(NotAnObject::Other);
        }
        match self.structure.prove(text) {
            Verdict::Proven => {
                self.locate(text);
                Ok(object)
            }
            Verdict::Broken => Err(NotAnObject::Broken),
            Verdict::Unproven => self.judge(text).map(|()| object),
        }
    }

    /// Judges an object that has bytes below 0x20 or is nested deeply.
    #[cold]
    fn judge(&mut self, text: &[u8]) -> Result<(), NotAnObject> {
        self.scratch.clear();
        if !strict::compact(text, &mut self.scratch) {
            return Err(NotAnObject::Broken);
        }
        if text.iter().any(|&byte| byte < 0x20) {
            return Err(NotAnObject::Blank);
        }
        self.structure.walk(text);
        self.locate(text);
        Ok(())
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
        let Self { wanted, structure, located, scratch, candidates, .. } = self;
        let (keys, escapes) = (structure.keys(), structure.has_escapes());
        if candidates.len() > MOST_KEPT {
            *candidates = Vec::new();
        }
        if candidates.len() < keys.len() {
            candidates.resize(keys.len(), (0, 0));
        }
        // Where the wanted keys stand is what nobody can guess, so the loop that finds them has no branch.
        let mut count = 0;
        for (number, &key) in (0..).zip(keys) {
            let may_be = wanted.candidates(text, key as usize, escapes);
            candidates[count] = (number, may_be);
            count += usize::from(may_be != 0);
        }
        for &(number, may_be) in &candidates[..count] {
            let (number, key) = (number as usize, keys[number as usize]);
            let Some(hit) = wanted.find(may_be, text, key as usize) else { continue };
            let value = value(text, hit.end, keys.get(number + 1));
            let name = hit.wanted.and_then(|wanted| wanted.name);
            if name.is_some() || hit.reserved {
                located.push(Located::new(text, name, false, (key, hit.end as u32), &value));
            }
            let Some(wanted) = hit.wanted else { continue };
            if !wanted.inside.is_empty() && text[value.start] == b'{' {
                locate_inside(text, &wanted.inside, value.start, located);
            }
            if let Some(trust) = wanted.severity.filter(|&trust| trust <= self.trust)
                && let Some(severity) = read_severity(&text[value], scratch)
            {
                (self.severity, self.trust) = (severity, trust);
            }
        }
    }
}

impl Located {
    fn new(text: &[u8], name: Option<NameId>, nested: bool, key: (u32, u32), value: &Range<usize>) -> Self {
        Self { name, nested, kind: kind(text[value.start]), key, value: (value.start as u32, value.end as u32) }
    }
}

/// Where the value of the key that ends at `key_end` stands, given where the next key begins.
#[inline]
fn value(text: &[u8], key_end: usize, next: Option<&u32>) -> Range<usize> {
    let start = skip_blank(text, skip_blank(text, key_end) + 1);
    let mut end = next.map_or(text.len(), |&next| next as usize);
    // Back over the comma or the brace, and over blanks on both sides of the comma.
    while text[end - 1] == b' ' {
        end -= 1;
    }
    end -= 1;
    while text[end - 1] == b' ' {
        end -= 1;
    }
    start..end
}

fn trim(text: &[u8]) -> Range<usize> {
    let start = skip_blank(text, 0);
    let mut end = text.len();
    while end > start && matches!(text[end - 1], b' ' | b'\t' | b'\n' | b'\r') {
        end -= 1;
    }
    start..end
}

/// Locates wanted paths inside the object that begins at `at`. Recurses as deep as a path is long.
fn locate_inside(text: &[u8], wanted: &[WantedPath], at: usize, out: &mut Vec<Located>) {
    for member in members(text, at) {
        let key = &text[member.key.start + 1..member.key.end - 1];
        let Some(found) = wanted.iter().find(|wanted| unescaped_eq(key, wanted.key.as_bytes())) else { continue };
        if found.name.is_some() {
            let key = (member.key.start as u32, member.key.end as u32);
            out.push(Located::new(text, found.name, true, key, &member.value));
        }
        if !found.inside.is_empty() && text[member.value.start] == b'{' {
            locate_inside(text, &found.inside, member.value.start, out);
        }
    }
}

fn read_severity(value: &[u8], scratch: &mut Vec<u8>) -> Option<Severity> {
    let Some(name) = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Severity::from_pino(std::str::from_utf8(value).ok()?.parse().ok()?);
    };
    if name.contains(&b'\\') {
        scratch.clear();
        unescape(name, scratch);
        return Severity::from_name(scratch);
    }
    Severity::from_name(name)
}

#[cfg(test)]
mod tests;
