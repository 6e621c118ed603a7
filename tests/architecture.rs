//! Holds the code to its floors: reads every path of every source file that starts at the crate's root and
//! fails where one leads up, sideways, or into another component of the same kind. A convention that no test
//! reads is gone after a month.

use std::fmt;
use std::path::{Path, PathBuf};

/// The floors from the ground up. A module imports only from floors strictly below its own.
const FLOORS: &[&[&str]] = &[
    &["data", "options"],
    &["formats", "telemetry"],
    &["net", "expression", "relabel"],
    &["delivery", "kubernetes"],
    &["series"],
    &["pipeline", "promql"],
    &["tail", "alerting"],
    &["notifiers"],
    &["sources", "transforms", "sinks", "admin", "config"],
    &["registry"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Folders whose children are components of one kind and never import each other.
const KINDS: &[&str] = &["sources", "transforms", "sinks", "notifiers"];

/// Most lines of a file, tests not counted: one idea a file. The aim is 400.
const MOST_LINES: usize = 600;

#[test]
fn every_import_leads_down() {
    let violations: Vec<_> = sources().iter().flat_map(|file| violations(&file.module, &file.text)).collect();
    assert!(violations.is_empty(), "\n{}", lines(&violations));
}

#[test]
fn every_module_has_a_floor_and_every_floor_a_module() {
    let mut modules: Vec<_> = sources().into_iter().map(|file| file.module[0].clone()).collect();
    modules.sort();
    modules.dedup();
    modules.retain(|name| name != "lib");
    let mut floors: Vec<_> = FLOORS.concat();
    floors.sort_unstable();
    assert_eq!(modules, floors, "FLOORS and the modules of src/ differ");
}

#[test]
fn every_file_opens_with_why_it_exists() {
    let mut files = rust_files("src");
    files.extend(rust_files("tests"));
    files.extend(rust_files("benches"));
    files.retain(|path| !read(path).starts_with("//! "));
    assert!(files.is_empty(), "these files do not open with `//!`: {files:#?}");
}

#[test]
fn no_file_holds_more_than_one_idea() {
    let long: Vec<_> = sources()
        .iter()
        .filter(|file| file.module.last().is_none_or(|name| name != "tests"))
        .map(|file| (file.path.clone(), lines_without_tests(&file.text)))
        .filter(|(_, count)| *count > MOST_LINES)
        .collect();
    assert!(long.is_empty(), "split these files by idea: {long:#?}");
}

/// One file of `src/`.
struct Source {
    path: PathBuf,
    /// `["sources", "file", "glob"]` for `src/sources/file/glob.rs`; `mod.rs` stands for its folder.
    module: Vec<String>,
    text: String,
}

fn sources() -> Vec<Source> {
    let files: Vec<_> = rust_files("src")
        .into_iter()
        .map(|path| Source { module: module_of(&path), text: read(&path), path })
        .collect();
    assert!(files.len() > 20, "the test must run in the package's folder");
    files
}

fn module_of(path: &Path) -> Vec<String> {
    let relative = path.strip_prefix("src").expect("a file of src/").with_extension("");
    let mut module: Vec<_> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.len() > 1 && module.last().is_some_and(|name| name == "mod") {
        module.pop();
    }
    module
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("{violation}\n")).collect()
}

/// Lines up to the last `#[cfg(test)]` that opens an inline module.
fn lines_without_tests(text: &str) -> usize {
    let end = text.rfind("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().count()
}

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    module: String,
    line: usize,
    path: String,
    rule: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: `{}` {}", self.module, self.line, self.path, self.rule)
    }
}

const UNKNOWN: &str = "is on no floor";
const UP: &str = "does not lead to a lower floor";
const SIBLING: &str = "leads from one component to another of its kind; what they share belongs a floor down";
const WHOLE: &str = "names the whole crate, which hides what is imported";

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn violations(module: &[String], text: &str) -> Vec<Violation> {
    let own = module[0].as_str();
    if own == "lib" {
        return Vec::new();
    }
    let broken = |path: &[String]| {
        let Some(target) = path.first() else { return Some(WHOLE) };
        match (floor(own), floor(target)) {
            _ if own == target => sibling(module, path),
            (Some(here), Some(there)) if there < here => None,
            (Some(_), Some(_)) => Some(UP),
            _ => Some(UNKNOWN),
        }
    };
    let imports = Reader::new(module, text).imports();
    let found = imports.into_iter().filter_map(|(line, path)| {
        let rule = broken(&path)?;
        Some(Violation { module: module.join("::"), line, path: format!("crate::{}", path.join("::")), rule })
    });
    found.collect()
}

/// Within a kind's folder a component reaches only itself; the folder's own `mod.rs` may name them all.
fn sibling(module: &[String], path: &[String]) -> Option<&'static str> {
    let component = module.get(1)?;
    let apart = KINDS.contains(&module[0].as_str()) && path.get(1) != Some(component);
    apart.then_some(SIBLING)
}

/// Finds every path that starts at `crate`, `self` or `super` (or `tailwater`, in the binary) and resolves it
/// to a path from the crate's root.
struct Reader<'a> {
    module: &'a [String],
    tokens: Vec<(usize, &'a str)>,
    at: usize,
    found: Vec<(usize, Vec<String>)>,
}

impl<'a> Reader<'a> {
    fn new(module: &'a [String], text: &'a str) -> Self {
        Self { module, tokens: tokens(text), at: 0, found: Vec::new() }
    }

    fn imports(mut self) -> Vec<(usize, Vec<String>)> {
        // Inline modules around the current place, each with the brace depth at which it opened.
        let mut inline: Vec<(String, usize)> = Vec::new();
        let mut depth = 0;
        while let Some(&(line, token)) = self.tokens.get(self.at) {
            let after_colons = self.at > 0 && self.tokens[self.at - 1].1 == "::";
            self.at += 1;
            match token {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    inline.pop_if(|(_, opened)| *opened == depth);
                }
                "mod" if self.token(1) == "{" => inline.push((self.token(0).to_owned(), depth)),
                _ if after_colons || self.token(0) != "::" => {}
                "crate" => self.tree(line, Vec::new()),
                "tailwater" if self.module == ["main"] => self.tree(line, Vec::new()),
                "self" | "super" => {
                    let mut base = self.module.to_vec();
                    base.extend(inline.iter().map(|(name, _)| name.clone()));
                    if token == "super" {
                        base.pop();
                    }
                    self.tree(line, base);
                }
                _ => {}
            }
        }
        self.found
    }

    fn token(&self, ahead: usize) -> &'a str {
        self.tokens.get(self.at + ahead).map_or("", |(_, token)| token)
    }

    /// Reads on behind a path's first part, at its `::`.
    fn tree(&mut self, line: usize, mut path: Vec<String>) {
        while self.token(0) == "::" {
            self.at += 1;
            match self.token(0) {
                "{" => return self.group(path),
                "super" => {
                    path.pop();
                }
                "self" => {}
                "<" | "*" => break,
                part => path.push(part.to_owned()),
            }
            self.at += 1;
        }
        self.found.push((line, path));
    }

    /// Reads `{a, b::{c, d}}`, each part behind `path`.
    fn group(&mut self, path: Vec<String>) {
        self.at += 1;
        while !matches!(self.token(0), "}" | "") {
            let (line, part) = self.tokens[self.at];
            self.at += 1;
            match part {
                "," => continue,
                "*" | "self" => self.found.push((line, path.clone())),
                "as" => self.at += 1,
                part => {
                    let mut path = path.clone();
                    if part == "super" {
                        path.pop();
                    } else {
                        path.push(part.to_owned());
                    }
                    self.tree(line, path);
                }
            }
        }
        self.at += 1;
    }
}

/// Words, `::` and single signs with their line; comments, strings and characters left out.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let bytes = text.as_bytes();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
    while at < bytes.len() {
        let rest = &text[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = string(rest) {
            length
        } else if rest.starts_with('\'') {
            character(rest)
        } else if word(&bytes[at]) {
            let length = bytes[at..].iter().take_while(|byte| word(byte)).count();
            tokens.push((line, &rest[..length]));
            length
        } else if rest.starts_with("::") {
            tokens.push((line, "::"));
            2
        } else {
            if !bytes[at].is_ascii_whitespace() {
                tokens.push((line, &rest[..1]));
            }
            1
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    loop {
        let open = rest[at..].find("/*").map_or(usize::MAX, |found| at + found);
        let Some(close) = rest[at..].find("*/").map(|found| at + found) else { return rest.len() };
        if open < close {
            (depth, at) = (depth + 1, open + 2);
        } else {
            (depth, at) = (depth - 1, close + 2);
            if depth == 0 {
                return at;
            }
        }
    }
}

/// Length of the string literal at the start of `rest`, whatever its prefix.
fn string(rest: &str) -> Option<usize> {
    let prefix =
        ["\"", "b\"", "c\"", "r\"", "r#", "br\"", "br#", "cr\"", "cr#"].iter().find(|p| rest.starts_with(**p))?;
    if prefix.contains('r') {
        let start = prefix.find('r').unwrap_or(0) + 1;
        let hashes = rest[start..].bytes().take_while(|byte| *byte == b'#').count();
        if rest.as_bytes().get(start + hashes) != Some(&b'"') {
            return None; // A raw identifier.
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let body = start + hashes + 1;
        return Some(rest[body..].find(&end).map_or(rest.len(), |found| body + found + end.len()));
    }
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(prefix.len()) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Length of the character literal, or of the quote alone where it opens a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[3..].find('\'').map_or(1, |found| found + 4),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
        None => 1,
    }
}

mod the_reader {
    use super::{SIBLING, UNKNOWN, UP, WHOLE, lines_without_tests, module_of, violations};

    fn rules(path: &str, text: &str) -> Vec<(usize, String, &'static str)> {
        let module = module_of(path.as_ref());
        violations(&module, text).into_iter().map(|v| (v.line, v.path, v.rule)).collect()
    }

    #[test]
    fn accepts_imports_from_below_and_from_within() {
        let text = "use crate::{data::{Slice, chunk::Chunk}, delivery::Ack};\nuse super::reader::Reader;\n\
                    pub(crate) fn f<'a>(x: &'a crate::tail::File) -> char { self::glob::g(); '\\'' }";
        assert_eq!(rules("src/sources/file/look.rs", text), []);
        assert_eq!(rules("src/main.rs", "fn main() { tailwater::cli::run() }"), []);
    }

    #[test]
    fn finds_a_planted_import_from_above_wherever_it_hides() {
        let planted = [
            ("use crate::pipeline::Outlet;", 1, "crate::pipeline::Outlet"),
            ("use crate::{\n    data::{Slice, Chunk},\n    pipeline::{self, Outlet},\n};", 3, "crate::pipeline"),
            ("fn f() {\n    crate::cli::run::<u8>();\n}", 2, "crate::cli::run"),
            ("/* crate:: /* \" */ */ const A: char = '\"'; fn f(x: crate::cli::A) {}", 1, "crate::cli::A"),
            ("const A: &[u8] = br#\"quote \" \"#; type B = crate::app::B;", 1, "crate::app::B"),
            ("use super::super::pipeline::Outlet;", 1, "crate::pipeline::Outlet"),
            ("mod tests { mod deep { use super::super::super::super::pipeline::Edge; } }", 1, "crate::pipeline::Edge"),
            ("macro_rules! m { () => { $crate::pipeline::Edge } }", 1, "crate::pipeline::Edge"),
        ];
        for (text, line, path) in planted {
            let found = rules("src/delivery/ack.rs", text);
            assert!(found.contains(&(line, path.to_owned(), UP)), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_floor_is_strictly_lower() {
        assert_eq!(rules("src/data/chunk.rs", "use crate::options::Size;")[0].2, UP);
        assert_eq!(rules("src/sinks/console.rs", "use crate::config::Node;")[0].2, UP);
        assert_eq!(rules("src/cli/run.rs", "use crate::nowhere::X;")[0].2, UNKNOWN);
        assert_eq!(rules("src/app.rs", "use super::cli::run;")[0].2, UP);
        assert_eq!(rules("src/app.rs", "use crate::*;")[0].2, WHOLE);
    }

    #[test]
    fn components_of_one_kind_stay_apart() {
        let text = "use crate::sources::file::Reader;";
        assert_eq!(rules("src/sources/kubernetes_logs/mod.rs", text)[0].2, SIBLING);
        assert_eq!(rules("src/sources/stdin.rs", "use super::file::Reader;")[0].2, SIBLING);
        assert_eq!(rules("src/sources/stdin.rs", "use super::Shared;")[0].2, SIBLING);
        assert_eq!(rules("src/sources/file/reader.rs", text), []);
        assert_eq!(rules("src/sources/mod.rs", text), []);
    }

    #[test]
    fn what_is_only_text_is_not_an_import() {
        let text = "// crate::cli::run\n/* crate::cli */ const A: &str = \"crate::cli \\\" crate::app\"; /// [`crate::app`]\n\
                    const B: &str = r\"\\\"; const C: char = '\"'; // \"";
        assert_eq!(rules("src/data/chunk.rs", text), []);
    }

    #[test]
    fn tests_inside_a_file_do_not_count_as_its_length() {
        assert_eq!(lines_without_tests("//! Why.\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n"), 3);
    }
}
