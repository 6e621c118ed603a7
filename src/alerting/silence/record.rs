//! A silence as it is journalled, in a journal of the kind `SILENCES`. Behind [version and kind](crate::alerting::record)
//! a record has, with kind 1:
//!
//! ```text
//! id, starts_at, ends_at, updated_at, created_by, comment
//! annotations   labels
//! matchers      their number, then of each: bit 0 whether it is not negated, bit 1 whether it is a pattern; name; value
//! ```
//!
//! A later record of an id stands for the earlier one.

use super::Silence;
use crate::alerting::matcher::{Matcher, Matchers, Op};
use crate::alerting::record::{Reader, Writer};

const SILENCE: u8 = 1;

/// The record of a silence.
pub(super) fn write(silence: &Silence) -> Vec<u8> {
    let mut writer = Writer::new(SILENCE)
        .text(&silence.id)
        .time(silence.starts_at)
        .time(silence.ends_at)
        .time(silence.updated_at)
        .text(&silence.created_by)
        .text(&silence.comment)
        .number(silence.annotations.len() as u64);
    for (name, value) in &silence.annotations {
        writer = writer.text(name).text(value);
    }
    writer = writer.number(silence.matchers.iter().count() as u64);
    for matcher in silence.matchers.iter() {
        let op = matcher.op();
        let bits = u64::from(op.is_equal()) | u64::from(op.is_regex()) << 1;
        writer = writer.number(bits).text(matcher.name()).text(matcher.value());
    }
    writer.finish()
}

/// The silence of a record; `None` where it is none.
pub(super) fn read(record: &[u8]) -> Option<Silence> {
    let (SILENCE, mut reader) = Reader::new(record)? else { return None };
    let id = reader.text()?.into();
    let (starts_at, ends_at, updated_at) = (reader.time()?, reader.time()?, reader.time()?);
    let (created_by, comment) = (reader.text()?.to_owned(), reader.text()?.to_owned());
    let mut annotations = std::collections::BTreeMap::new();
    for _ in 0..reader.number()? {
        annotations.insert(reader.text()?.to_owned(), reader.text()?.to_owned());
    }
    let mut matchers = Vec::new();
    for _ in 0..reader.number()? {
        let bits = reader.number()?;
        let (name, value) = (reader.text()?, reader.text()?);
        matchers.push(Matcher::new(Op::of_flags(bits & 1 != 0, bits & 2 != 0), name, value).ok()?);
    }
    let matchers = Matchers::as_given(matchers);
    Some(Silence { id, matchers, starts_at, ends_at, updated_at, created_by, comment, annotations })
}
