//! The series part of a line, `name{label="value"}` or, for names beyond the old alphabet,
//! `{"my.name","my.label"="value"}`: how far it reaches, and the labels in it.
//!
//! A scrape recognises most series by their bytes; their labels are read once in their life.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::error::Fault;
use super::number;
use crate::data::labels::METRIC_NAME;
use crate::data::{LabelSet, MetricKind};

/// Most labels of one series. Prometheus has no such limit of its own.
pub const MAX_LABELS: usize = 1000;

/// How the two text formats differ within a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Prometheus's text formats 0.0.4 and 1.0.0: blanks anywhere, newlines in quotes, commas optional.
    Text,
    /// OpenMetrics: none of these.
    OpenMetrics,
}

/// A part of a series, escaped as it stands.
enum Part<'a> {
    Name(&'a [u8]),
    Label(&'a [u8], &'a [u8]),
}

/// Passes a series; its bytes without the blanks behind it.
pub(super) fn pass<'a>(cursor: &mut Cursor<'a>, syntax: Syntax) -> Result<&'a [u8], Fault> {
    let start = cursor.at;
    walk(cursor, syntax, &mut |_| Ok(()))?;
    Ok(&cursor.body[start..cursor.at])
}

/// Passes the labels of an exemplar, from brace to brace.
pub(super) fn pass_exemplar<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], Fault> {
    let start = cursor.at;
    braces(cursor, Syntax::OpenMetrics, None, &mut |_| Ok(()))?;
    Ok(&cursor.body[start..cursor.at])
}

/// Reads the labels of a series into `into`, which is cleared first; the metric's name becomes `__name__`. In
/// a family of `kind` histogram or summary, `le` and `quantile` are written as OpenMetrics writes numbers,
/// which is how Prometheus stores them.
pub fn read_series(series: &[u8], syntax: Syntax, kind: MetricKind, into: &mut LabelSet) -> Result<(), Fault> {
    into.clear();
    let mut cursor = Cursor::new(series);
    walk(&mut cursor, syntax, &mut |part| match part {
        Part::Name(name) => set(into, METRIC_NAME, &text(name)?),
        Part::Label(name, value) => {
            let (name, value) = (text(name)?, text(value)?);
            match canonical(kind, &name, &value) {
                Some(value) => set(into, &name, &value),
                None => set(into, &name, &value),
            }
        }
    })?;
    if cursor.rest().is_empty() { Ok(()) } else { Err(Fault::LineEnd) }
}

/// Reads the labels of an exemplar, `{label="value"}`, into `into`, which is cleared first.
pub fn read_exemplar(labels: &[u8], into: &mut LabelSet) -> Result<(), Fault> {
    into.clear();
    braces(&mut Cursor::new(labels), Syntax::OpenMetrics, None, &mut |part| match part {
        Part::Name(_) => Err(Fault::Label),
        Part::Label(name, value) => set(into, &text(name)?, &text(value)?),
    })
}

/// Whether the name of a series ends in `_created`, by which OpenMetrics says when a counter, a histogram or a
/// summary began.
pub fn is_created(series: &[u8], kind: MetricKind) -> bool {
    let mut created = false;
    let counts = matches!(kind, MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary);
    let passed = counts.then(|| {
        walk(&mut Cursor::new(series), Syntax::OpenMetrics, &mut |part| {
            created |= matches!(part, Part::Name(name) if name.ends_with(b"_created"));
            Ok(())
        })
    });
    created && passed.is_some_and(|passed| passed.is_ok())
}

/// Text of a quoted name, a label's value or a help: `\\`, `\"` and `\n` stand for a backslash, a quote and a
/// newline; any other backslash for itself. (A help of Prometheus's own text formats knows no `\"`: there it
/// stands for both characters; see [`unescape_help`].)
pub fn unescape(escaped: &[u8]) -> Result<Cow<'_, str>, Fault> {
    text(escaped)
}

/// As [`unescape`], for the help of Prometheus's text formats.
pub fn unescape_help(escaped: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let text = std::str::from_utf8(escaped).map_err(|_| Fault::Utf8)?;
    Ok(replace(text, false))
}

fn text(escaped: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let text = std::str::from_utf8(escaped).map_err(|_| Fault::Utf8)?;
    Ok(replace(text, true))
}

fn replace(text: &str, quotes: bool) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let (character, known) = match after.as_bytes().first() {
            Some(b'n') => ('\n', true),
            Some(b'\\') => ('\\', true),
            Some(b'"') if quotes => ('"', true),
            _ => ('\\', false),
        };
        plain.push(character);
        rest = &after[usize::from(known)..];
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn set(into: &mut LabelSet, name: &str, value: &str) -> Result<(), Fault> {
    if into.has(name) {
        return Err(Fault::Twice(name.into()));
    }
    into.set(name, value);
    Ok(())
}

/// The value of `le` or `quantile` as OpenMetrics writes it, where it is to be changed.
fn canonical(kind: MetricKind, name: &str, value: &str) -> Option<String> {
    let number = match (kind, name) {
        (MetricKind::Histogram, "le") | (MetricKind::Summary, "quantile") => number::parse(value.as_bytes())?,
        _ => return None,
    };
    let mut canonical = Vec::with_capacity(24);
    number::push_canonical(number, &mut canonical);
    String::from_utf8(canonical).ok()
}

fn walk<'a>(
    cursor: &mut Cursor<'a>,
    syntax: Syntax,
    visit: &mut impl FnMut(Part<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let name = cursor.metric_name();
    let mut named = !name.is_empty();
    if named {
        visit(Part::Name(name))?;
        let end = cursor.at;
        if syntax == Syntax::Text {
            cursor.skip_blanks();
        }
        if cursor.peek() != Some(b'{') {
            cursor.at = end;
            return Ok(());
        }
    }
    if cursor.peek() != Some(b'{') {
        return Err(Fault::Start);
    }
    braces(cursor, syntax, Some(&mut named), visit)?;
    if named { Ok(()) } else { Err(Fault::NoName) }
}

/// Passes `{…}`. `named` says whether the series has a name already; an exemplar has none.
fn braces<'a>(
    cursor: &mut Cursor<'a>,
    syntax: Syntax,
    mut named: Option<&mut bool>,
    visit: &mut impl FnMut(Part<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let blanks = |cursor: &mut Cursor<'a>| {
        if syntax == Syntax::Text {
            cursor.skip_blanks();
        }
    };
    cursor.eat(b'{');
    for _ in 0..=MAX_LABELS {
        blanks(cursor);
        if cursor.eat(b'}') {
            return Ok(());
        }
        let quoted = cursor.peek() == Some(b'"');
        let start = cursor.at;
        let name = if quoted {
            cursor.quoted(syntax == Syntax::Text || named.is_some())?
        } else {
            Some(cursor.label_name()).filter(|name| !name.is_empty()).ok_or(Fault::Label)?
        };
        blanks(cursor);
        if quoted && matches!(cursor.peek(), Some(b',' | b'}')) {
            let Some(named) = named.as_deref_mut() else {
                cursor.at = start;
                return Err(Fault::Label);
            };
            if std::mem::replace(named, true) {
                cursor.at = start;
                return Err(Fault::TwoNames);
            }
            visit(Part::Name(name))?;
        } else {
            if !cursor.eat(b'=') {
                return Err(Fault::Equals);
            }
            blanks(cursor);
            let value = cursor.quoted(syntax == Syntax::Text)?;
            if std::str::from_utf8(value).is_err() {
                return Err(Fault::Utf8);
            }
            visit(Part::Label(name, value))?;
            blanks(cursor);
        }
        if !cursor.eat(b',') && cursor.peek() != Some(b'}') && syntax == Syntax::OpenMetrics {
            return Err(Fault::Comma);
        }
    }
    Err(Fault::TooManyLabels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(series: &str, syntax: Syntax, kind: MetricKind) -> Result<Vec<(String, String)>, Fault> {
        let mut set = LabelSet::new();
        read_series(series.as_bytes(), syntax, kind, &mut set)?;
        Ok(set.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn of(labels: &[(&str, &str)]) -> Vec<(String, String)> {
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const BOTH: [Syntax; 2] = [Syntax::Text, Syntax::OpenMetrics];

    #[test]
    fn labels_are_read_with_their_escapes() {
        for syntax in BOTH {
            let read = |series| labels(series, syntax, MetricKind::Unknown).expect(series);
            assert_eq!(read("up"), of(&[("__name__", "up")]));
            assert_eq!(read("up{}"), of(&[("__name__", "up")]));
            assert_eq!(
                read(r#"a:b{z="\"q\" \\ \n \x",a="ü",}"#),
                of(&[("__name__", "a:b"), ("a", "ü"), ("z", "\"q\" \\ \n \\x")]),
            );
            assert_eq!(
                read(r#"{"my.metric","l\"1"="v",le="1"}"#),
                of(&[("__name__", "my.metric"), ("l\"1", "v"), ("le", "1")]),
            );
            assert_eq!(read(r#"{a="v","my.metric"}"#), of(&[("__name__", "my.metric"), ("a", "v")]));
            assert_eq!(read(r#"up{empty=""}"#), of(&[("__name__", "up")]));
        }
        let loose = labels("up { a = \"1\"\tb=\"2\nx\" , }", Syntax::Text, MetricKind::Unknown);
        assert_eq!(loose, Ok(of(&[("__name__", "up"), ("a", "1"), ("b", "2\nx")])));
    }

    #[test]
    fn bounds_of_buckets_and_quantiles_are_written_one_way() {
        let le = |text: &str, kind| {
            let series = format!("h_bucket{{le=\"{text}\"}}");
            labels(&series, Syntax::Text, kind).expect("labels")[1].1.clone()
        };
        let cases =
            [("1", "1.0"), ("+Inf", "+Inf"), ("inf", "+Inf"), ("1e6", "1e+06"), ("1000000", "1e+06"), ("x", "x")];
        for (text, canonical) in cases {
            assert_eq!(le(text, MetricKind::Histogram), canonical);
            assert_eq!(le(text, MetricKind::Summary), text);
        }
        let quantile = labels("s{quantile=\"1\"}", Syntax::Text, MetricKind::Summary).expect("labels");
        assert_eq!(quantile[1].1, "1.0");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let cases = [
            (r#"{a="b"}"#, Fault::NoName),
            (r#"up{"other"}"#, Fault::TwoNames),
            (r#"{"one","two"}"#, Fault::TwoNames),
            (r#"up{,}"#, Fault::Label),
            (r#"up{a="1",,}"#, Fault::Label),
            (r#"up{1="1"}"#, Fault::Label),
            (r#"up{a}"#, Fault::Equals),
            (r#"up{a=1}"#, Fault::Quote),
            (r#"up{a="1}"#, Fault::Unclosed),
            (r#"up{a="1\"#, Fault::Unclosed),
            (r#"up{a="1",a="2"}"#, Fault::Twice("a".into())),
            (r#"up{__name__="other"}"#, Fault::Twice("__name__".into())),
            ("up{a=\"1\"", Fault::Label),
            ("1up", Fault::Start),
        ];
        for (series, fault) in cases {
            assert_eq!(labels(series, Syntax::Text, MetricKind::Unknown), Err(fault), "{series}");
        }
        let strict = |series| labels(series, Syntax::OpenMetrics, MetricKind::Unknown);
        assert_eq!(strict(r#"up{a="1"b="2"}"#), Err(Fault::Comma));
        assert_eq!(strict(r#"up{ a="1"}"#), Err(Fault::Label));
        assert_eq!(strict("up{a=\"1\n\"}"), Err(Fault::Unclosed));
        let many: String = (0..=MAX_LABELS).map(|index| format!("l{index}=\"1\",")).collect();
        assert_eq!(labels(&format!("up{{{many}}}"), Syntax::Text, MetricKind::Unknown), Err(Fault::TooManyLabels));
    }

    #[test]
    fn created_series_are_known_by_name_and_kind() {
        assert!(is_created(b"a_created{b=\"c\"}", MetricKind::Counter));
        assert!(is_created(br#"{b="c","a.b_created"}"#, MetricKind::Summary));
        assert!(!is_created(b"a_created", MetricKind::Gauge));
        assert!(!is_created(b"a_total{b=\"_created\"}", MetricKind::Counter));
    }

    #[test]
    fn helps_know_fewer_escapes_in_the_text_formats() {
        let escaped = br#"a\\b\nc\"d"#;
        assert_eq!(unescape(escaped).expect("text"), "a\\b\nc\"d");
        assert_eq!(unescape_help(escaped).expect("text"), "a\\b\nc\\\"d");
    }
}
