//! Everything that is wrong with a configuration, put before the user: each problem with its file, line,
//! column, the offending line and what to write instead.

use std::fmt::{self, Write};
use std::path::PathBuf;

use super::de::Notes;
use super::interpolate::Interpolated;
use super::receivers::Sure;
use super::{codes, mask, receivers, scalar};
use crate::options::{Problem, Span};

/// A file of the configuration, as it was read.
#[derive(Debug)]
pub struct SourceFile {
    /// Its path.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A problem whose place has been looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The problem.
    pub problem: Problem,
    /// File, line and column (from 1, in characters), if the place is known.
    pub place: Option<Place>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The whole line; secrets written inline are masked.
    pub text: String,
    /// How many characters of the line are meant.
    pub width: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.path.display(), self.line, self.column)
    }
}

/// All that is wrong, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors(pub Vec<Located>);

impl Errors {
    /// Looks up the places and sorts.
    pub fn locate(problems: Vec<Problem>, files: &[SourceFile], notes: &Notes) -> Self {
        let mut located: Vec<_> = problems.into_iter().map(|problem| locate(problem, files, notes)).collect();
        located.sort_by(|a, b| {
            let key =
                |l: &Located| (l.place.is_none(), l.problem.span.file, l.place.as_ref().map(|p| (p.line, p.column)));
            key(a).cmp(&key(b)).then_with(|| a.problem.code.cmp(&b.problem.code))
        });
        located.dedup();
        Self(located)
    }

    /// The problems for people, each under the given word: `error` or `warning`.
    pub fn render(&self, word: &str) -> String {
        let mut out = String::new();
        for located in &self.0 {
            // Writing to a string cannot fail.
            let _ = write_one(&mut out, word, located);
        }
        out
    }

    /// The problems for machines: a list of objects.
    pub fn to_json(&self) -> serde_json::Value {
        let one = |located: &Located| {
            let place = located.place.as_ref();
            serde_json::json!({
                "code": located.problem.code.0,
                "message": located.problem.message,
                "help": located.problem.help,
                "file": place.map(|place| place.path.display().to_string()),
                "line": place.map(|place| place.line),
                "column": place.map(|place| place.column),
                "text": place.map(|place| &place.text),
            })
        };
        self.0.iter().map(one).collect()
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render("error").trim_end())
    }
}

impl std::error::Error for Errors {}

fn write_one(out: &mut String, word: &str, Located { problem, place }: &Located) -> fmt::Result {
    writeln!(out, "{word}[{}]: {}", problem.code.0, problem.message)?;
    if let Some(place) = place {
        let gutter = place.line.to_string().len();
        writeln!(out, "{:gutter$}--> {place}", "")?;
        writeln!(out, "{:gutter$} |", "")?;
        writeln!(out, "{} | {}", place.line, place.text.trim_end())?;
        // Tabs before the caret stay tabs, so that it stands where the reader sees the text.
        let lead = place.text.chars().take(place.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' });
        writeln!(out, "{:gutter$} | {}{}", "", lead.collect::<String>(), "^".repeat(place.width.max(1)))?;
        if let Some(help) = &problem.help {
            writeln!(out, "{:gutter$} = help: {help}", "")?;
        }
    } else if let Some(help) = &problem.help {
        writeln!(out, "  = help: {help}")?;
    }
    writeln!(out)
}

fn locate(mut problem: Problem, files: &[SourceFile], notes: &Notes) -> Located {
    let interpolated = notes.interpolated.get(&problem.span);
    if let Some(done) = interpolated {
        hide(&mut problem.message, done);
        problem.help.iter_mut().for_each(|help| hide(help, done));
    }
    mask::logins(&mut problem.message);
    problem.help.iter_mut().for_each(mask::logins);
    let file = (problem.span.file as usize).checked_sub(1).and_then(|file| files.get(file));
    let place = file.map(|file| place(&problem, file, interpolated, notes));
    Located { problem, place }
}

/// What a variable or a file holds may be a secret: messages speak of the reference instead.
fn hide(text: &mut String, done: &Interpolated) {
    if done.text.chars().count() > 2 && text.contains(&done.text) {
        *text = text.replace(&done.text, "***");
    }
}

/// Looks up one place.
pub fn look_up(span: Span, files: &[SourceFile], notes: &Notes) -> Option<Place> {
    locate(Problem::new(super::codes::REFUSED, span, ""), files, notes).place
}

fn place(problem: &Problem, file: &SourceFile, interpolated: Option<&Interpolated>, notes: &Notes) -> Place {
    let text = &file.text;
    let clamp = |at: u32| {
        let mut at = (at as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (mut start, mut end) = (clamp(problem.span.start), clamp(problem.span.end));
    if let Some((from, to)) = problem.within {
        let written = &text[start..end.max(start)];
        let origin = |at| interpolated.map_or(at, |done| done.origin(at));
        let (from, to) = (origin(from), origin(to.max(from)));
        // The value as YAML reads it leads from its bytes to the bytes written.
        if let Some(value) = value_of(written, problem.span) {
            let begin = start;
            start = begin + scalar::offset(written, &value, from);
            end = begin + scalar::offset(written, &value, to);
        }
    }
    let line_start = text[..start].rfind('\n').map_or(0, |n| n + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |n| start + n);
    let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..start]).count() + 1;
    let width = text[start..end.clamp(start, line_end)].chars().count().max(1);
    let mut shown = text[line_start..line_end].trim_end_matches('\r').to_owned();
    let secrets: Vec<_> = notes.secrets.union(&notes.addresses).filter(|of| of.file == problem.span.file).collect();
    for secret in secrets.into_iter().rev() {
        let (from, to) = (clamp(secret.start).max(line_start), clamp(secret.end).min(line_end));
        if from < to && !notes.interpolated.contains_key(secret) && !text[from..to].contains("${") {
            shown.replace_range(
                from - line_start..(to - line_start).min(shown.len()),
                &"*".repeat(text[from..to].chars().count()),
            );
        }
    }
    let sure = match problem.code {
        codes::SYNTAX | codes::TOO_LARGE | codes::UNSUPPORTED_YAML => Sure::Nothing,
        codes::DUPLICATE_KEY | codes::UNKNOWN_KEY => Sure::Lines,
        _ => Sure::Keys,
    };
    receivers::mask(&mut shown, text, line_start..line_end, sure);
    mask::line(&mut shown);
    let column = text[line_start..start].chars().count() + 1;
    Place { path: file.path.clone(), line, column, text: shown, width }
}

/// The value of a scalar, read from what was written.
fn value_of(written: &str, span: Span) -> Option<String> {
    let node = crate::formats::yaml::parse(span.file, written).ok()??;
    match &node.value {
        crate::formats::yaml::Value::Scalar(scalar) => Some(scalar.text.to_string()),
        _ => Some(written.to_owned()),
    }
}
