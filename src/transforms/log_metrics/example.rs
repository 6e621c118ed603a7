//! What of a record is shown as an example of what was counted: the ids of its trace and span, and its line where that is
//! asked for.

use super::count::append;
use crate::data::logs::LogView;
use crate::expression::{Operand, ValueRef};
use crate::formats::json::text::hex_digits;

/// Where it is read.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The first that is an id counts.
    trace_id: Vec<Operand>,
    span_id: Vec<Operand>,
    line: Option<Operand>,
}

impl Shown {
    pub fn new(trace_id: Vec<Operand>, span_id: Vec<Operand>, line: Option<Operand>) -> Self {
        Self { trace_id, span_id, line }
    }

    /// Everything that it reads.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        self.trace_id.iter().chain(&self.span_id).chain(&self.line)
    }

    /// The ids of a record's trace and span, the latter zeros where the record has none; nothing where it has no trace.
    pub fn span(&self, view: &LogView<'_>, text: &mut Vec<u8>) -> Option<([u8; 16], [u8; 8])> {
        let trace = first(&self.trace_id, view, text)?;
        Some((trace, first(&self.span_id, view, text).unwrap_or_default()))
    }

    /// The line of a record, which may be long and anything; empty for none.
    pub fn line<'b>(&'b self, view: &LogView<'b>, text: &mut Vec<u8>, line: &'b mut Vec<u8>) -> &'b [u8] {
        match self.line.as_ref().map_or(ValueRef::Missing, |line| line.read(view)) {
            ValueRef::Missing => b"",
            value @ (ValueRef::Text(_) | ValueRef::Escaped(_)) => value.text(line).unwrap_or_default(),
            value => {
                line.clear();
                append(value, line, text);
                line
            }
        }
    }
}

fn first<const N: usize>(operands: &[Operand], view: &LogView<'_>, text: &mut Vec<u8>) -> Option<[u8; N]> {
    operands.iter().find_map(|operand| id(operand.read(view), text))
}

/// The id that a value is: its bytes, or a text of as many hexadecimal digits as they have, not all of them zero.
fn id<const N: usize>(value: ValueRef<'_>, text: &mut Vec<u8>) -> Option<[u8; N]> {
    let id = match value {
        ValueRef::Id(bytes) => bytes.try_into().ok()?,
        value => {
            let digits = value.text(text).filter(|digits| digits.len() == 2 * N)?;
            let mut id = [0; N];
            for (byte, read) in id.iter_mut().zip(hex_digits(digits)) {
                *byte = read?;
            }
            id
        }
    };
    (id != [0; N]).then_some(id)
}
