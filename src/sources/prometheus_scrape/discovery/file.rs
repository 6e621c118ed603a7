//! `file_sd_configs`: targets that others write into files. A file that cannot be read or is broken keeps the
//! targets that it had; one that is gone has none.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use globset::{GlobBuilder, GlobMatcher};
use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Discover, Publisher, TargetGroup, document};
use crate::options::problem::Code;
use crate::options::{Duration, Problem, Span, Spanned};

/// Patterns that name no files.
const BAD_FILES: Code = Code("TW0752");

/// Largest file that is read.
const MOST: u64 = 64 << 20;

/// After an event, how long to wait for more: a file is rarely written in one go.
const SETTLED_AFTER: std::time::Duration = std::time::Duration::from_millis(50);

/// Targets from files.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSdConfig {
    /// Paths that end in `.json`, `.yml` or `.yaml`. The last name may have wildcards: `*`, `?`, `[a-z]`. A
    /// relative path begins at the agent's working directory.
    pub files: Spanned<Vec<Spanned<String>>>,
    /// How often the files are read again although nothing told of a change. Default: `5m`.
    #[serde(default = "refresh_interval")]
    pub refresh_interval: Spanned<Duration>,
}

fn refresh_interval() -> Spanned<Duration> {
    Spanned::unknown(Duration(std::time::Duration::from_secs(300)))
}

impl FileSdConfig {
    /// What is wrong beyond the shape.
    pub fn problems(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |span: Span, message: String| {
            let help = "write a path such as `/etc/targets/*.json`, with wildcards in its last name only";
            problems.push(Problem::new(BAD_FILES, span, message).help(help));
        };
        if self.files.is_empty() {
            wrong(self.files.span, "`files` names no files".into());
        }
        for file in &self.files.value {
            if let Err(words) = Pattern::new(file) {
                wrong(file.span, format!("`{}` names no files for targets: {words}", file.value));
            }
        }
        super::refresh::problems(&self.refresh_interval, problems);
    }
}

/// A path whose last name may have wildcards.
#[derive(Clone, Debug)]
struct Pattern {
    folder: PathBuf,
    name: String,
    /// `None` where the name has no wildcard.
    matcher: Option<GlobMatcher>,
}

impl Pattern {
    fn new(text: &str) -> Result<Self, String> {
        let path = Path::new(text);
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !["json", "yml", "yaml", "JSON", "YML", "YAML"].contains(&extension) {
            return Err("it does not end in .json, .yml or .yaml".into());
        }
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("it has no name")?.to_owned();
        let folder = path.parent().unwrap_or(Path::new(""));
        if folder.to_string_lossy().contains('*') {
            return Err("only its last name may have wildcards".into());
        }
        let matcher = match name.contains(['*', '?', '[']) {
            true => {
                // Braces are letters in these patterns.
                let escaped = name.replace('{', "\\{").replace('}', "\\}");
                let glob = GlobBuilder::new(&escaped).literal_separator(true).backslash_escape(true).build();
                Some(glob.map_err(|error| error.kind().to_string())?.compile_matcher())
            }
            false => None,
        };
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() };
        Ok(Self { folder, name, matcher })
    }

    /// The path as Prometheus shows it: of a pattern without a folder, the name alone.
    fn path(&self, name: &str) -> PathBuf {
        if self.folder == Path::new(".") { name.into() } else { self.folder.join(name) }
    }

    /// The paths that match now.
    fn list(&self) -> std::io::Result<Vec<PathBuf>> {
        let Some(matcher) = &self.matcher else {
            return self
                .path(&self.name)
                .try_exists()
                .map(|there| there.then(|| self.path(&self.name)).into_iter().collect());
        };
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            // As in a shell, a leading dot must be written: a ConfigMap keeps its versions behind one.
            if matcher.is_match(name) && name.starts_with('.') == self.name.starts_with('.') {
                paths.push(self.path(name));
            }
        }
        paths.sort();
        Ok(paths)
    }
}

/// A `file_sd_configs` entry, ready to run.
pub struct File {
    patterns: Vec<Pattern>,
    refresh_interval: std::time::Duration,
}

impl File {
    /// Prepares it; in words what is wrong with a pattern.
    pub fn new(config: &FileSdConfig) -> Result<Self, String> {
        let patterns = config.files.iter().map(|file| Pattern::new(file)).collect::<Result<_, _>>()?;
        Ok(Self { patterns, refresh_interval: config.refresh_interval.0 })
    }
}

impl Discover for File {
    fn run(&self, found: Publisher, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        async move {
            shutdown.run_until_cancelled(self.watch(found)).await;
        }
        .boxed()
    }
}

impl File {
    async fn watch(&self, found: Publisher) {
        let hint = Arc::new(Notify::new());
        let mut watcher = watcher(hint.clone(), self.refresh_interval);
        let mut folders: Vec<PathBuf> = self.patterns.iter().map(|pattern| pattern.folder.clone()).collect();
        folders.sort();
        folders.dedup();
        let patterns: Arc<[Pattern]> = self.patterns.as_slice().into();
        let mut known = Known::default();
        loop {
            if let Some(watcher) = &mut watcher {
                // Told again before every look: a folder may have been made, or made anew.
                folders.iter().for_each(|folder| drop(watcher.watch(folder, RecursiveMode::NonRecursive)));
            }
            let next = Instant::now() + self.refresh_interval;
            let patterns = patterns.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let trouble = known.look(&patterns);
                (known, trouble)
            });
            let (seen, trouble) = match looked.await {
                Ok(looked) => looked,
                // A bug: whoever runs this tells of it and begins anew; what was found stays.
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The agent ends.
                Err(_) => return,
            };
            known = seen;
            found.replace(known.groups());
            match trouble {
                Some(words) => found.failed(&words),
                None => found.works(),
            }
            tokio::select! {
                () = sleep_until(next) => {}
                () = hint.notified() => tokio::time::sleep(SETTLED_AFTER).await,
            }
        }
    }
}

fn watcher(hint: Arc<Notify>, every: std::time::Duration) -> Option<RecommendedWatcher> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading is no change: else every look would bring about the next.
        let read =
            |kind: &EventKind| kind.is_access() && *kind != EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.is_ok_and(|event| !read(&event.kind)) {
            hint.notify_one();
        }
    });
    watcher
        .inspect_err(
            |error| tracing::warn!(%error, "no events of the file system: files of targets are read every {every:?}"),
        )
        .ok()
}

/// What the files held when they could be read last.
#[derive(Default)]
struct Known(BTreeMap<PathBuf, Vec<TargetGroup>>);

impl Known {
    /// Reads all files. In words what is wrong.
    fn look(&mut self, patterns: &[Pattern]) -> Option<String> {
        let mut troubles = Vec::new();
        let mut before = std::mem::take(&mut self.0);
        for pattern in patterns {
            let paths = match pattern.list() {
                Ok(paths) => paths,
                Err(error) => {
                    troubles.push(format!("the folder {} cannot be read: {error}", pattern.folder.display()));
                    // Which of its files are gone is not known.
                    let kept = before.extract_if(.., |path, _| path.parent() == Some(&*pattern.folder));
                    self.0.extend(kept);
                    continue;
                }
            };
            for path in paths {
                if self.0.contains_key(&path) {
                    continue;
                }
                let groups = match read(&path) {
                    Ok(groups) => groups,
                    Err(Unreadable::Gone) => continue,
                    Err(Unreadable::Broken(words)) => {
                        troubles.push(format!("{}: {words}; its targets stay as they were", path.display()));
                        before.remove(&path).unwrap_or_default()
                    }
                };
                self.0.insert(path, groups);
            }
        }
        let more = troubles.len().saturating_sub(1);
        let first = troubles.into_iter().next()?;
        Some(if more == 0 { first } else { format!("{first}; and {more} more") })
    }

    fn groups(&self) -> Vec<TargetGroup> {
        self.0.values().flatten().cloned().collect()
    }
}

enum Unreadable {
    Gone,
    Broken(String),
}

fn read(path: &Path) -> Result<Vec<TargetGroup>, Unreadable> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Gone,
        _ => Unreadable::Broken(format!("cannot be read: {error}")),
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST {
        return Err(Unreadable::Broken(format!("is larger than {} MiB", MOST >> 20)));
    }
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let groups = if json { document::json(&bytes) } else { document::yaml(&bytes) };
    let groups = groups.map_err(|words| Unreadable::Broken(format!("is not a list of target groups: {words}")))?;
    Ok(groups.with_origin("__meta_filepath", &path.to_string_lossy()))
}

#[cfg(test)]
mod tests;
