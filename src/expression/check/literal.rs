//! Texts that are read as what they are compared with: times, ids, durations and words.

use super::super::ExpressionError;
use super::super::parse::Term;
use super::super::subject::Kind;
use super::{CheckedTerm, Literal};
use crate::data::UnixNanos;
use crate::options::Duration;
use crate::options::suggest::nearest;

/// Reads a text as what it is compared with.
pub(super) fn convert(term: &mut CheckedTerm, source: &Term, to: Kind) -> Result<(), ExpressionError> {
    let CheckedTerm::Literal(Literal::Text(text)) = &*term else { return Ok(()) };
    let literal = match to {
        Kind::Time => {
            let nanos = text.parse::<jiff::Timestamp>().ok().and_then(|t| u64::try_from(t.as_nanosecond()).ok());
            let bad =
                || ExpressionError::new(source.place, "this is no time").help("write it as \"2026-11-23T01:02:03Z\"");
            Literal::Time(UnixNanos(nanos.ok_or_else(bad)?))
        }
        Kind::Id(bytes) => {
            let bad = || {
                ExpressionError::new(source.place, "this is no such id")
                    .help(format!("write {} hexadecimal digits", bytes * 2))
            };
            Literal::Id(hex(text).filter(|id| id.len() == bytes).ok_or_else(bad)?)
        }
        Kind::Duration => {
            let nanos = Duration::parse(text).and_then(|duration| i64::try_from(duration.0.as_nanos()).ok());
            let bad =
                || ExpressionError::new(source.place, "this is no duration").help("write it as \"250ms\" or \"1m30s\"");
            Literal::Duration(nanos.ok_or_else(bad)?)
        }
        _ => return Ok(()),
    };
    *term = CheckedTerm::Literal(literal);
    Ok(())
}

/// Reads a text as one of the words that it is compared with.
pub(super) fn word(term: &mut CheckedTerm, source: &Term, to: Kind) -> Result<(), ExpressionError> {
    let (CheckedTerm::Literal(Literal::Text(text)), Kind::Word(words)) = (&*term, to) else { return Ok(()) };
    let Some(word) = words.find(text) else {
        let error = ExpressionError::new(source.place, format!("{text:?} is none of the words that stand here"));
        return Err(error.help(match nearest(&text.to_uppercase(), words.words.iter().copied()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("write one of {}", words.words.join(", ")),
        }));
    };
    *term = CheckedTerm::Literal(Literal::Text(word.into()));
    Ok(())
}

fn hex(text: &str) -> Option<Box<[u8]>> {
    let digit = |b: u8| (b as char).to_digit(16);
    let pair = |pair: &[u8]| Some((digit(pair[0])? * 16 + digit(*pair.get(1)?)?) as u8);
    text.as_bytes().chunks(2).map(pair).collect()
}
