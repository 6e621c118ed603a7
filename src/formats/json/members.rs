//! Writing the members of a record's object with everything that edits did to them: the object's own
//! bytes between the edits, and nothing rebuilt. An object without edits is one copy.

use super::walk::skip_blank;
use crate::data::logs::LogView;
use crate::data::{Field, FieldEdit, Slice};

/// What becomes of a member at the top level as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emit {
    /// It is written.
    Keep,
    /// It is left out.
    Skip,
    /// It is written under a key with this in front. The prefix must need no escapes.
    Prefixed(&'static str),
}

/// Writes members; holds the buffer that sorts the edits of one record, for the next to use again.
#[derive(Clone, Debug, Default)]
pub struct MemberWriter {
    edits: Vec<Edit>,
}

/// A run of the object's bytes for which others are written.
#[derive(Clone, Copy, Debug)]
struct Edit {
    from: u32,
    to: u32,
    with: With,
}

#[derive(Clone, Copy, Debug)]
enum With {
    Bytes(Slice),
    Member { prefix: &'static str, key: Slice, value: Slice },
    KeyPrefix(&'static str),
    Nothing,
}

impl MemberWriter {
    /// Appends the members of the record's object as edited, without the braces around them; returns
    /// whether there were any. `emit` decides about each located member at the top level that is still
    /// there, whatever its key: a sink takes out or renames those whose names it writes itself.
    pub fn write(&mut self, view: &LogView<'_>, emit: impl FnMut(&Field) -> Emit, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let object = view.object();
        self.collect(view, emit);
        if self.edits.is_empty() {
            if let [b'{', content @ .., b'}'] = object {
                out.extend_from_slice(content);
            }
        } else {
            self.splice(view, object, start, out);
        }
        if out[start..].iter().all(|&b| b == b' ') {
            out.truncate(start);
        }
        out.len() > start
    }

    /// Appends the edited object itself, `{}` where no member is left.
    pub fn write_object(&mut self, view: &LogView<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
        self.write(view, |_| Emit::Keep, out);
        out.push(b'}');
    }

    /// Gathers the edits in the order of their places; additions come last, in the order they were made.
    fn collect(&mut self, view: &LogView<'_>, mut emit: impl FnMut(&Field) -> Emit) {
        self.edits.clear();
        let cuts = view.cuts().iter();
        self.edits.extend(cuts.map(|cut| Edit { from: cut.from, to: cut.to, with: With::Bytes(cut.with) }));
        for (ordinal, field) in (0..).zip(view.fields()) {
            // A deletion of what was only added leaves nothing; the object's own first byte is its brace.
            let added = field.member == (0, 0);
            if field.edit == FieldEdit::Deleted && added {
                continue;
            }
            let emit = match field.edit {
                FieldEdit::Deleted => Emit::Skip,
                _ if field.nested => Emit::Keep,
                _ => emit(field),
            };
            let (from, to) = if added { (u32::MAX, u32::MAX - ordinal) } else { field.member };
            let original = field.edit == FieldEdit::Original;
            let edit = match emit {
                Emit::Keep if original => continue,
                Emit::Skip if added => continue,
                Emit::Skip => Edit { from, to, with: With::Nothing },
                Emit::Prefixed(prefix) if original => Edit { from, to: from + 1, with: With::KeyPrefix(prefix) },
                Emit::Keep => Edit { from, to, with: With::Member { prefix: "", key: field.key, value: field.value } },
                Emit::Prefixed(prefix) => {
                    Edit { from, to, with: With::Member { prefix, key: field.key, value: field.value } }
                }
            };
            self.edits.push(edit);
        }
        let place = |edit: &Edit| (edit.from, std::cmp::Reverse(edit.to));
        if !self.edits.is_sorted_by_key(place) {
            self.edits.sort_unstable_by_key(place);
        }
    }

    fn splice(&self, view: &LogView<'_>, object: &[u8], start: usize, out: &mut Vec<u8>) {
        let end = object.len().saturating_sub(1);
        let mut at = end.min(1);
        for edit in &self.edits {
            let from = edit.from as usize;
            if edit.from == u32::MAX {
                out.extend_from_slice(&object[at..end]);
                at = end;
                if out[start..].iter().any(|&b| b != b' ') {
                    out.push(b',');
                }
            } else if from < at {
                // It stands inside a member that is gone or replaced as a whole.
                continue;
            } else {
                out.extend_from_slice(&object[at..from]);
                at = edit.to as usize;
            }
            match edit.with {
                With::Bytes(bytes) => out.extend_from_slice(view.bytes(bytes)),
                With::KeyPrefix(prefix) => {
                    out.push(b'"');
                    out.extend_from_slice(prefix.as_bytes());
                }
                With::Member { prefix, key, value } => {
                    out.push(b'"');
                    out.extend_from_slice(prefix.as_bytes());
                    out.extend_from_slice(view.bytes(key).get(1..).unwrap_or_default());
                    out.push(b':');
                    out.extend_from_slice(view.bytes(value));
                }
                With::Nothing => at = delete(object, at, start, out),
            }
        }
        out.extend_from_slice(&object[at..end]);
    }
}

/// Leaves out one comma with the member that ended before `at`: the one behind it or, where it was the
/// last of its object, the one that was written before it. Returns where to go on.
fn delete(object: &[u8], at: usize, start: usize, out: &mut Vec<u8>) -> usize {
    let behind = skip_blank(object, at);
    if object.get(behind) == Some(&b',') {
        return skip_blank(object, behind + 1);
    }
    let blank = out[start..].iter().rev().take_while(|&&b| b == b' ').count();
    let last = out.len() - blank;
    if last > start && out[last - 1] == b',' {
        out.truncate(last - 1);
    }
    at
}

#[cfg(test)]
mod tests;
