//! What may stand in a scalar: `${env:NAME}`, `${env:NAME:-default}` and `${file:/path}`.
//!
//! Only these are looked at, so that `${1}` and `$labels` of Prometheus need no escape; `$${env:` and
//! `$${file:` are the text itself. It happens on parsed scalars, so that no value can change the shape of
//! the document.

use std::path::{Path, PathBuf};

use super::codes;
use crate::options::{Code, whole_file};

/// Largest file that a value is read from.
const MAX_FILE: u64 = 1 << 20;

/// Where variables come from.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A scalar that named something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpolated {
    /// The text with everything put in.
    pub text: String,
    /// Which bytes of the text came from which bytes of the scalar.
    pub pieces: Vec<Piece>,
    /// Whether the scalar is one reference and nothing else.
    pub whole: bool,
    /// Whether a default was taken.
    pub defaulted: bool,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

/// One reference: bytes of the result and of the scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of the result.
    pub to: std::ops::Range<usize>,
    /// Bytes of the scalar.
    pub from: std::ops::Range<usize>,
}

/// Why it cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code.
    pub code: Code,
    /// Which bytes of the scalar.
    pub within: (usize, usize),
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl Interpolated {
    /// The byte of the scalar that byte `at` of the text stands for: the start of the reference, if it
    /// came out of one.
    pub fn origin(&self, at: usize) -> usize {
        let mut shift = (0, 0);
        for piece in &self.pieces {
            if at < piece.to.start {
                break;
            }
            if at < piece.to.end {
                return piece.from.start;
            }
            shift = (piece.to.end, piece.from.end);
        }
        at - shift.0 + shift.1
    }
}

/// Puts in what the scalar names; `None` if it names nothing.
pub fn interpolate(scalar: &str, environment: Environment<'_>) -> Result<Option<Interpolated>, Fault> {
    if !scalar.contains("${env:") && !scalar.contains("${file:") {
        return Ok(None);
    }
    let mut done =
        Interpolated { text: String::new(), pieces: Vec::new(), whole: false, defaulted: false, files: Vec::new() };
    let mut at = 0;
    while let Some(dollar) = scalar[at..].find('$').map(|n| at + n) {
        done.text.push_str(&scalar[at..dollar]);
        let rest = &scalar[dollar..];
        if rest.starts_with("$${env:") || rest.starts_with("$${file:") {
            let start = done.text.len();
            done.text.push_str("${");
            done.pieces.push(Piece { to: start..start + 2, from: dollar..dollar + 3 });
            at = dollar + 3;
        } else if rest.starts_with("${env:") || rest.starts_with("${file:") {
            let Some(end) = rest.find('}').map(|n| dollar + n + 1) else {
                return Err(Fault {
                    code: codes::BAD_REFERENCE,
                    within: (dollar, scalar.len()),
                    message: "this reference has no closing `}`".into(),
                    help: "close it, or write `$$` for the text itself".into(),
                });
            };
            let start = done.text.len();
            resolve(&scalar[dollar..end], dollar, environment, &mut done)?;
            done.pieces.push(Piece { to: start..done.text.len(), from: dollar..end });
            done.whole = dollar == 0 && end == scalar.len();
            at = end;
        } else {
            done.text.push('$');
            at = dollar + 1;
        }
    }
    done.text.push_str(&scalar[at..]);
    Ok(Some(done))
}

fn resolve(reference: &str, at: usize, environment: Environment<'_>, done: &mut Interpolated) -> Result<(), Fault> {
    let fault = |code, message: String, help: &str| {
        let within = (at, at + reference.len());
        Err(Fault { code, within, message, help: help.into() })
    };
    let inner = &reference[2..reference.len() - 1];
    if let Some(path) = inner.strip_prefix("file:") {
        if !path.starts_with('/') {
            let message = format!("`{reference}` needs the absolute path of a file");
            return fault(codes::BAD_REFERENCE, message, "write it as `${file:/path}`");
        }
        return match read(path) {
            Ok(text) => {
                done.text.push_str(&text);
                done.files.push(path.into());
                Ok(())
            }
            Err(why) => {
                let message = format!("the file of `{reference}` cannot be read: {why}");
                fault(codes::FILE_UNREADABLE, message, "mount the file, or correct the path")
            }
        };
    }
    let variable = inner.strip_prefix("env:").unwrap_or(inner);
    let (name, default) = match variable.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (variable, None),
    };
    let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(word) {
        let message = format!("`{reference}` names no variable");
        return fault(codes::BAD_REFERENCE, message, "write `${env:NAME}` or `${env:NAME:-default}`");
    }
    match (environment(name), default) {
        (Some(value), None) => done.text.push_str(&value),
        (Some(value), Some(_)) if !value.is_empty() => done.text.push_str(&value),
        (_, Some(default)) => {
            done.defaulted = true;
            done.text.push_str(default);
        }
        (None, None) => {
            let message = format!("the variable `{name}` is not set");
            return fault(codes::ENV_UNSET, message, &format!("set it, or give a default: `${{env:{name}:-default}}`"));
        }
    }
    Ok(())
}

fn read(path: &str) -> Result<String, String> {
    let text = whole_file::text(Path::new(path), MAX_FILE).map_err(|error| error.to_string())?;
    Ok(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(scalar: &str) -> Result<Option<Interpolated>, Fault> {
        interpolate(scalar, &|name| match name {
            "NODE" => Some("n1".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    fn text(scalar: &str) -> String {
        with(scalar).expect("no fault").map_or(scalar.into(), |done| done.text)
    }

    #[test]
    fn only_our_references_are_touched() {
        assert_eq!(text("${env:NODE}"), "n1");
        assert_eq!(text("a-${env:NODE}-${env:NODE}-z"), "a-n1-n1-z");
        assert_eq!(text("${env:NONE:-x y}"), "x y");
        assert_eq!(text("${env:EMPTY:-x}"), "x");
        assert_eq!(text("${env:EMPTY}"), "");
        assert_eq!(text("$${env:NODE} ${env:NODE}"), "${env:NODE} n1");
        for literal in ["${1}", "$labels", "$", "$$", "${NODE}", "${env}", "{{ $value }}"] {
            assert_eq!(with(literal), Ok(None), "{literal}");
        }
    }

    #[test]
    fn what_is_put_in_is_not_read_again() {
        let done = interpolate("${env:X}", &|_| Some("${env:X}".into())).expect("no fault").expect("a reference");
        assert_eq!(done.text, "${env:X}");
    }

    #[test]
    fn faults_say_where() {
        let fault = with("a ${env:NONE} b").expect_err("not set");
        assert_eq!((fault.code, fault.within), (codes::ENV_UNSET, (2, 13)));
        let fault = with("a ${env:NODE").expect_err("not closed");
        assert_eq!((fault.code, fault.within), (codes::BAD_REFERENCE, (2, 12)));
        for bad in ["${env:}", "${env:1X}", "${env:A-B}", "${file:relative}"] {
            assert_eq!(with(bad).expect_err(bad).code, codes::BAD_REFERENCE, "{bad}");
        }
        assert_eq!(with("${file:/no/such/file}").expect_err("missing").code, codes::FILE_UNREADABLE);
    }

    #[test]
    fn files_lose_one_newline() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, "secret\n\n").expect("written");
        let done = with(&format!("${{file:{}}}", path.display())).expect("no fault").expect("a reference");
        assert_eq!((done.text.as_str(), done.whole, done.files.as_slice()), ("secret\n", true, &[path][..]));
    }

    #[test]
    fn offsets_lead_back_to_the_scalar() {
        let done = with("ab ${env:NODE} cd $${env:x").expect("no fault").expect("a reference");
        assert_eq!(done.text, "ab n1 cd ${env:x");
        assert_eq!((done.origin(1), done.origin(3), done.origin(4)), (1, 3, 3));
        assert_eq!(done.origin(6), 15);
        assert_eq!(done.origin(11), "ab ${env:NODE} cd $${".len());
    }
}
