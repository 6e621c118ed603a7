//! The files that a glob names, as Go's `filepath.Glob` finds them: `*`, `?` and `[a-z]` in any part of the path, none of
//! which matches a `/`.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// A text is no glob.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{glob:?} is no glob: {why}; it may have `*`, `?` and `[a-z]`, and `\\` before what is meant literally")]
pub struct BadGlob {
    /// The text.
    pub glob: String,
    /// What is wrong with it.
    pub why: String,
}

/// The paths that match, sorted. A name that is not there matches nothing.
///
/// # Errors
/// Where `glob` is none.
pub fn find(glob: &Path) -> Result<Vec<PathBuf>, BadGlob> {
    let mut found = vec![PathBuf::new()];
    for component in glob.components() {
        let part = match component {
            Component::Normal(part) => part.to_string_lossy(),
            other => {
                found.iter_mut().for_each(|path| path.push(other));
                continue;
            }
        };
        found = match matcher(&part)? {
            None => found.into_iter().map(|path| path.join(&*part)).collect(),
            Some(matcher) => found.iter().flat_map(|folder| matching(folder, &matcher)).collect(),
        };
    }
    found.retain(|path| path.exists());
    found.sort();
    Ok(found)
}

/// How a part of a path is compared; `None` where it is a plain name.
fn matcher(part: &str) -> Result<Option<GlobMatcher>, BadGlob> {
    if !part.contains(['*', '?', '[', '\\']) {
        return Ok(None);
    }
    // Braces, and two stars, mean nothing to Prometheus.
    let part = part.replace('{', "[{]").replace('}', "[}]");
    let mut plain = part.clone();
    while plain.contains("**") {
        plain = plain.replace("**", "*");
    }
    let built = GlobBuilder::new(&plain).literal_separator(true).backslash_escape(true).build();
    built
        .map(|glob| Some(glob.compile_matcher()))
        .map_err(|error| BadGlob { glob: part.clone(), why: error.kind().to_string() })
}

fn matching(folder: &Path, matcher: &GlobMatcher) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(here) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name());
    names.filter(|name| matcher.is_match(name)).map(|name| folder.join(name)).collect()
}
