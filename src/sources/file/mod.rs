//! The source `file`: logs that match patterns, as lines of text or as container runtimes write them.

mod glob;

use std::path::PathBuf;

use schemars::JsonSchema;

use crate::data::{Resource, Signal};
use crate::options::{ByteSize, Problem, Spanned, problem::Code};
use crate::pipeline::component::{Plan, PrepareContext, Source};
use crate::pipeline::{Descriptor, Outputs, PrepareError, SourcePlan};
use crate::tail::folders::Folders;
use crate::tail::{Discover, Format, Found, Settings, Start, Tail};
use glob::Glob;

/// The registry's entry.
pub const DESCRIPTOR: Descriptor<dyn SourcePlan> = Descriptor {
    name: "file",
    summary: "Tails log files: lines of text, or what container runtimes write.",
    plan: |options| Ok(Box::new(erased_serde::deserialize::<Options>(options)?)),
    schema: |generator| Options::json_schema(generator),
};

/// A pattern that is none.
const BAD_GLOB: Code = Code("TW0511");

/// Options of the source `file`.
#[derive(Clone, Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Patterns of absolute paths: `*` and `?` within a name, `**` for folders at any depth, `[a-z]`,
    /// `{a,b}`. Links are followed; a file that several patterns or links lead to is read once.
    include: Vec<Spanned<String>>,
    /// Patterns of paths that are left out although `include` matches them.
    #[serde(default)]
    exclude: Vec<Spanned<String>>,
    /// `text`: a record a line. `container`: lines of a container runtime, CRI or Docker, found out for each
    /// file; lines that it split are joined. Default: `text`.
    #[serde(default = "text")]
    format: Format,
    /// Where to begin in files that are older than the agent and were never read: `beginning` or `end`.
    /// Files that appear later are always read from their beginning. Default: `beginning`.
    #[serde(default)]
    start_at: StartAt,
    /// Most bytes of a record. A longer line is cut into several records, at the same places whenever it
    /// is read. Between `1KiB` and `16MiB`. Default: `1MiB`.
    #[serde(default = "max_record_size")]
    max_record_size: Spanned<ByteSize>,
    /// Most bytes of deleted files that are kept open because they are not read to their end, while a
    /// destination is slow. Beyond, the oldest are given up and what was not read is counted as lost.
    /// Raise it where the disk has room and destinations may be gone for long. Default: `1GiB`.
    #[serde(default = "held_files")]
    held_files: ByteSize,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum StartAt {
    /// At the first line.
    #[default]
    Beginning,
    /// Behind the last line.
    End,
}

fn text() -> Format {
    Format::Text
}

fn max_record_size() -> Spanned<ByteSize> {
    Spanned::unknown(ByteSize(1 << 20))
}

fn held_files() -> ByteSize {
    ByteSize(1 << 30)
}

impl Plan for Options {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for pattern in self.include.iter().chain(&self.exclude) {
            if let Err(words) = Glob::new(pattern) {
                let problem =
                    Problem::new(BAD_GLOB, pattern.span, format!("`{}` is no pattern: {words}", pattern.value));
                problems.push(problem.help("write an absolute path such as `/var/log/app/*.log`"));
            }
        }
        if self.include.is_empty() {
            let problem = Problem::new(BAD_GLOB, crate::options::Span::UNKNOWN, "`include` names no files");
            problems.push(problem.help("write at least one pattern such as `/var/log/app/*.log`"));
        }
        problems.extend(crate::tail::run::record_size_problem(&self.max_record_size));
        problems
    }
}

impl SourcePlan for Options {
    fn outputs(&self) -> Outputs {
        Outputs::One(Signal::Logs)
    }

    fn replayable(&self) -> bool {
        true
    }

    fn prepare(&self, cx: &PrepareContext) -> Result<Box<dyn Source>, PrepareError> {
        let globs = |patterns: &[Spanned<String>]| {
            patterns.iter().map(|pattern| Glob::new(pattern).map_err(PrepareError)).collect::<Result<Vec<_>, _>>()
        };
        let files =
            Files { include: globs(&self.include)?, exclude: globs(&self.exclude)?, folders: Folders::default() };
        let start = match self.start_at {
            StartAt::Beginning => Start::Beginning,
            StartAt::End => Start::End,
        };
        let settings = Settings {
            format: self.format,
            most_record: self.max_record_size.0 as usize,
            held_files: self.held_files.0,
            start,
        };
        Ok(Box::new(Tail { discover: Box::new(files), settings, prepared: cx.clone() }))
    }
}

/// Lists the files that match.
struct Files {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
    folders: Folders,
}

impl Discover for Files {
    fn list(&mut self, found: &mut Vec<Found>) -> Result<(), String> {
        let mut trouble = Ok(());
        for glob in &self.include {
            let mut matching = Vec::new();
            let listed = glob.list(&mut self.folders, &mut |path| matching.push(path));
            trouble = trouble.and(listed);
            for path in matching {
                if !self.exclude.iter().any(|glob| glob.matches(&path))
                    && let Some(target) = self.folders.target(&path)
                {
                    found.push(Found { path, target, ended: false });
                }
            }
        }
        self.folders.end_look();
        trouble
    }

    fn folders(&self) -> Vec<PathBuf> {
        self.include.iter().map(Glob::root).collect()
    }

    fn resource(&self, _found: &Found) -> Resource {
        Resource::default()
    }

    fn shown_path(&self, found: &Found) -> Option<String> {
        Some(found.path.to_string_lossy().into_owned())
    }
}
