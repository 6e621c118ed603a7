//! The files beside the configuration: rules and templates, found by their patterns and read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::options::{Options, Telling};
use crate::alerting::rule_file::{self, Reading, RuleFile};
use crate::alerting::sending::{Speaker, templates_with};
use crate::options::{Code, Identity, Problem, Span, Spanned, whole_file};
use crate::promql::Query;
use crate::series::Matcher;

/// A rule file cannot be read, or is wrong.
pub const RULE_FILE: Code = Code("TW1061");
/// A file of templates cannot be read, or is wrong.
pub const TEMPLATES: Code = Code("TW1062");

/// Largest file of templates.
const MOST_TEMPLATES: u64 = 4 << 20;

/// The rule files that the patterns find, read once for all that asks for them.
#[derive(Clone, Debug, Default)]
pub struct ReadOnce(OnceLock<Arc<Read>>);

/// What became of the patterns.
#[derive(Debug, Default)]
pub struct Read {
    /// Every rule file that is right.
    pub files: Vec<RuleFile>,
    /// The pattern that found it, for each.
    pub spans: Vec<Span>,
    /// Everything that is wrong with any of them, each at the pattern that found it.
    pub problems: Vec<Problem>,
    /// Patterns that find nothing.
    pub empty: Vec<Spanned<String>>,
}

impl ReadOnce {
    /// The files of the patterns, as they were when they were asked for first.
    pub fn get(&self, patterns: &[Spanned<String>]) -> &Arc<Read> {
        self.0.get_or_init(|| Arc::new(read(patterns)))
    }
}

fn read(patterns: &[Spanned<String>]) -> Read {
    let mut read = Read::default();
    for pattern in patterns {
        let mut wrong = |message: String, help: &str| {
            read.problems.push(Problem::new(RULE_FILE, pattern.span, message).help(help));
        };
        let found = match rule_file::find(Path::new(&pattern.value)) {
            Ok(found) => found,
            Err(error) => {
                wrong(error.to_string(), "write a file, or a pattern such as /etc/tailwater/rules/*.yaml");
                continue;
            }
        };
        if found.is_empty() {
            if is_pattern(&pattern.value) {
                read.empty.push(pattern.clone());
            } else {
                wrong(format!("there is no rule file `{}`", pattern.value), "write the file, or leave its name out");
            }
        }
        for path in found {
            if read.files.iter().any(|file| file.path == path) {
                continue;
            }
            match RuleFile::read(&path, Reading::default()) {
                Ok(file) => {
                    read.files.push(file);
                    read.spans.push(pattern.span);
                }
                Err(error) => read.problems.push(
                    Problem::new(RULE_FILE, pattern.span, error.to_string()).help("`tailwater rules check` tells more"),
                ),
            }
        }
    }
    read
}

/// Files and folders that the patterns are about.
pub fn watched<'a>(patterns: impl Iterator<Item = &'a str>) -> Vec<PathBuf> {
    let mut watched = Vec::new();
    for pattern in patterns {
        watched.extend(rule_file::find(Path::new(pattern)).unwrap_or_default());
        if is_pattern(pattern) {
            watched.extend(Path::new(pattern).parent().map(Path::to_owned));
        }
    }
    watched.sort();
    watched.dedup();
    watched
}

/// Whoever speaks to receivers, with the templates of the files.
///
/// # Errors
/// With everything that is wrong with the files.
pub fn speaker(options: &Options, telling: &Telling, identity: &Identity) -> Result<Speaker, Vec<Problem>> {
    let (mut texts, mut problems) = (Vec::new(), Vec::new());
    for pattern in &telling.templates {
        let mut wrong = |message: String| {
            let problem = Problem::new(TEMPLATES, pattern.span, message);
            problems.push(problem.help("name files that can be read, with templates as Alertmanager has them"));
        };
        match rule_file::find(Path::new(&pattern.value)) {
            Ok(found) => {
                for path in found {
                    match whole_file::text(&path, MOST_TEMPLATES) {
                        Ok(text) => texts.push((path.display().to_string(), text)),
                        Err(error) => wrong(format!("{}: {error}", path.display())),
                    }
                }
            }
            Err(error) => wrong(error.to_string()),
        }
    }
    let templates = match templates_with(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))) {
        Ok(templates) if problems.is_empty() => templates,
        Ok(_) => return Err(problems),
        Err(error) => {
            let span = telling.templates.first().map(|first| first.span).unwrap_or_default();
            problems.push(Problem::new(TEMPLATES, span, error.to_string()));
            return Err(problems);
        }
    };
    Ok(Speaker {
        cluster: identity.cluster.as_deref().map(Arc::from),
        replica_labels: options.replica_labels.clone().into(),
        external_url: options.external_url.as_str().into(),
        templates,
    })
}

/// How far back the rules read.
pub fn reach(files: &[RuleFile]) -> Duration {
    queries(files).flat_map(Query::selectors).map(|selector| selector.back).max().unwrap_or_default()
}

/// What the rules read, and `up`, which tells why a series is missing.
pub fn selection(files: &[RuleFile], more: &[Vec<Matcher>]) -> Vec<Vec<Matcher>> {
    let read = queries(files).flat_map(Query::selectors).map(|selector| selector.matchers.to_vec());
    let up =
        Query::parse("up").into_iter().flat_map(|up| up.selectors().map(|up| up.matchers.to_vec()).collect::<Vec<_>>());
    read.chain(up).chain(more.iter().cloned()).collect()
}

fn queries(files: &[RuleFile]) -> impl Iterator<Item = &Query> {
    files.iter().flat_map(|file| &file.groups).flat_map(|group| &group.rules).map(|rule| &rule.query)
}

fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}
