//! One line by the grammar (section "ABNF" of the specification).

use std::borrow::Cow;

use super::super::super::cursor::Cursor;
use super::super::super::{number, series};
use super::rule::{MAX_EXEMPLAR, Rule};
use super::time::Time;
use super::{Broken, Fault};

/// A line.
pub(super) enum Line<'a> {
    Eof,
    Metadata(Metadata<'a>),
    Sample(Sample<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Type,
    Unit,
    Help,
}

pub(super) struct Metadata<'a> {
    pub word: Word,
    pub name: &'a str,
    pub text: &'a str,
    /// Where in the line the text begins.
    pub text_at: usize,
}

pub(super) struct Sample<'a> {
    pub name: &'a str,
    /// In the order of their names.
    pub labels: Labels<'a>,
    pub value: f64,
    /// Where in the line the value begins.
    pub value_at: usize,
    pub time: Option<Time<'a>>,
    /// Where in the line the timestamp begins.
    pub time_at: usize,
    pub exemplar: Option<Exemplar>,
}

pub(super) type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

pub(super) struct Exemplar {
    pub value: f64,
    /// Where in the line it begins.
    pub at: usize,
}

/// Reads a line without its newline.
pub(super) fn read(line: &str) -> Result<Line<'_>, Broken> {
    if line.is_empty() {
        return Err((0, Rule::BlankLine));
    }
    if line.ends_with('\r') {
        return Err((line.len() - 1, Rule::CarriageReturn));
    }
    match line.strip_prefix('#') {
        Some(" EOF") => Ok(Line::Eof),
        Some(rest) => metadata(line, rest).map(Line::Metadata),
        None => Reader::new(line).sample().map(Line::Sample),
    }
}

fn metadata<'a>(line: &'a str, rest: &str) -> Result<Metadata<'a>, Broken> {
    let word = match rest.get(..6) {
        Some(" TYPE ") => Word::Type,
        Some(" UNIT ") => Word::Unit,
        Some(" HELP ") => Word::Help,
        _ => return Err((0, Rule::Comment)),
    };
    let mut reader = Reader::new(line);
    reader.cursor.at = "# TYPE ".len();
    let name = reader.name()?;
    if !reader.cursor.eat(b' ') {
        return Err((reader.cursor.at, Rule::NoText));
    }
    let text_at = reader.cursor.at;
    Ok(Metadata { word, name, text: &line[text_at..], text_at })
}

struct Reader<'a> {
    line: &'a str,
    cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    fn new(line: &'a str) -> Self {
        Self { line, cursor: Cursor::new(line.as_bytes()) }
    }

    fn here<T>(&self, rule: Rule) -> Result<T, Broken> {
        Err((self.cursor.at, rule))
    }

    fn sample(&mut self) -> Result<Sample<'a>, Broken> {
        let name = self.name()?;
        let labels = if self.cursor.peek() == Some(b'{') { self.labels()? } else { Labels::new() };
        let (value_at, value) = self.value()?;
        let mut sample = Sample { name, labels, value, value_at, time: None, time_at: 0, exemplar: None };
        if self.cursor.peek() == Some(b' ') && !self.cursor.rest().starts_with(b" #") {
            (sample.time_at, sample.time) = self.time()?;
        }
        if self.cursor.peek() == Some(b' ') {
            sample.exemplar = Some(self.exemplar()?);
        }
        if self.cursor.rest().is_empty() { Ok(sample) } else { self.here(Rule::LineEnd) }
    }

    fn name(&mut self) -> Result<&'a str, Broken> {
        let start = self.cursor.at;
        let length = self.cursor.metric_name().len();
        match &self.line[start..start + length] {
            "" => self.here(Rule::Name),
            name if name.starts_with('_') => Err((start, Rule::Reserved)),
            name => Ok(name),
        }
    }

    /// Labels from brace to brace, in the order of their names.
    fn labels(&mut self) -> Result<Labels<'a>, Broken> {
        let mut labels = Labels::new();
        self.cursor.eat(b'{');
        if self.cursor.eat(b'}') {
            return Ok(labels);
        }
        loop {
            let start = self.cursor.at;
            let length = self.cursor.label_name().len();
            let name = &self.line[start..start + length];
            if name.is_empty() {
                return self.here(Rule::LabelName);
            }
            if name.starts_with('_') {
                return Err((start, Rule::Reserved));
            }
            if !self.cursor.eat(b'=') {
                return self.here(Fault::Equals.into());
            }
            let value = self.cursor.quoted(false).map_err(|fault| (self.cursor.at, fault.into()))?;
            let value = series::unescape(value).map_err(|fault| (start, fault.into()))?;
            match labels.binary_search_by_key(&name, |(known, _)| known) {
                Ok(_) => return Err((start, Fault::Twice(name.into()).into())),
                Err(index) => labels.insert(index, (name, value)),
            }
            if self.cursor.eat(b'}') {
                return Ok(labels);
            }
            if !self.cursor.eat(b',') {
                return self.here(Fault::Comma.into());
            }
            if labels.len() >= series::MAX_LABELS {
                return self.here(Fault::TooManyLabels.into());
            }
        }
    }

    /// What stands behind one space, up to the next.
    fn word(&mut self, otherwise: Rule) -> Result<(usize, &'a str), Broken> {
        if !self.cursor.eat(b' ') {
            return self.here(otherwise);
        }
        let start = self.cursor.at;
        let length = self.cursor.until(|byte| byte == b' ').len();
        if length == 0 { self.here(otherwise) } else { Ok((start, &self.line[start..start + length])) }
    }

    fn value(&mut self) -> Result<(usize, f64), Broken> {
        let (at, word) = self.word(Rule::NoValue)?;
        number::parse(word.as_bytes()).map(|value| (at, value)).ok_or((at, Rule::Number))
    }

    fn time(&mut self) -> Result<(usize, Option<Time<'a>>), Broken> {
        let (at, word) = self.word(Rule::Timestamp)?;
        Time::parse(word).map(|time| (at, Some(time))).ok_or((at, Rule::Timestamp))
    }

    fn exemplar(&mut self) -> Result<Exemplar, Broken> {
        let at = self.cursor.at;
        if !self.cursor.rest().starts_with(b" # {") {
            return self.here(Rule::Exemplar);
        }
        self.cursor.at += b" # ".len();
        let labels = self.labels()?;
        let length: usize = labels.iter().map(|(name, value)| name.len() + value.chars().count()).sum();
        if length > MAX_EXEMPLAR {
            return Err((at, Rule::LongExemplar));
        }
        let (_, value) = self.value()?;
        if self.cursor.peek() == Some(b' ') {
            self.time()?;
        }
        Ok(Exemplar { value, at })
    }
}
