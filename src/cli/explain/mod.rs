//! `tailwater explain`: what the codes of errors and warnings mean. `docs/reference/error-codes.md` is made
//! from the same tables, and a test holds that every code of the source is in it.

mod alerting;
mod configuration;
mod graph;
mod http;
mod receivers;
mod rules;
mod scraping;
mod sinks;
mod sources;
mod transforms;

use std::fmt;

/// What a code means.
pub struct Explanation {
    /// The code, never given to anything else.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// When it comes up, and what to do.
    pub text: &'static str,
}

/// A code that is not in the table.
#[derive(Debug, thiserror::Error)]
#[error("there is no code `{0}`; they have the form TW0305, and `tailwater explain` lists them")]
pub struct UnknownCode(String);

/// The explanation of one code, or of all.
pub fn explain(code: Option<&str>) -> Result<String, UnknownCode> {
    let Some(code) = code else {
        return Ok(codes().map(|known| format!("{}  {}\n", known.code, known.title)).collect());
    };
    let known = codes().find(|known| known.code.eq_ignore_ascii_case(code));
    known.map(ToString::to_string).ok_or_else(|| UnknownCode(code.to_owned()))
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n\n{}", self.code, self.title, self.text)
    }
}

const fn code(code: &'static str, title: &'static str, text: &'static str) -> Explanation {
    Explanation { code, title, text }
}

/// The codes by area, in the order of their numbers. A code stands in the table of whatever it is about, so that
/// who looks for one kind of error reads one file.
const AREAS: [&[Explanation]; 10] = [
    configuration::CODES,
    transforms::CODES,
    sources::CODES,
    sinks::CODES,
    http::CODES,
    scraping::CODES,
    graph::CODES,
    alerting::CODES,
    receivers::CODES,
    rules::CODES,
];

/// All codes, in the order of their numbers.
pub fn codes() -> impl Iterator<Item = &'static Explanation> {
    AREAS.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_explained() {
        assert!(codes().is_sorted_by(|a, b| a.code < b.code), "no code stands twice");
        assert!(explain(Some("tw0305")).is_ok_and(|text| text.starts_with("TW0305: an input leads nowhere\n")));
        assert!(explain(Some("TW9999")).is_err());
        assert_eq!(explain(None).map(|text| text.lines().count()).ok(), Some(codes().count()));
    }
}
