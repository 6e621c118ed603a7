//! Patterns of paths, walked name by name: a folder is read only if its own name matches.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::tail::folders::Folders;

/// Folders below a `**` are followed this deep: links can make circles.
const DEEPEST: usize = 24;

/// An absolute pattern.
#[derive(Clone, Debug)]
pub struct Glob {
    root: PathBuf,
    names: Vec<Name>,
    whole: GlobMatcher,
}

#[derive(Clone, Debug)]
enum Name {
    Exact(String),
    Pattern(GlobMatcher),
    AnyDepth,
}

impl Glob {
    /// Reads a pattern; in words what is wrong with it.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let path = Path::new(pattern);
        if !path.is_absolute() {
            return Err("it does not begin with a slash".into());
        }
        let build = |text: &str| {
            let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
            glob.map(|glob| glob.compile_matcher()).map_err(|error| error.kind().to_string())
        };
        let whole = build(pattern)?;
        let (mut root, mut names) = (PathBuf::from("/"), Vec::new());
        for component in path.components() {
            let text = match component {
                Component::RootDir => continue,
                Component::Normal(text) => text.to_str().ok_or("it is not text")?,
                _ => return Err("it contains `.` or `..`".into()),
            };
            let plain = !text.contains(['*', '?', '[', ']', '{', '}', '\\']);
            match text {
                "**" => names.push(Name::AnyDepth),
                _ if plain && names.is_empty() => root.push(text),
                _ if plain => names.push(Name::Exact(text.into())),
                _ => names.push(Name::Pattern(build(text)?)),
            }
        }
        Ok(Self { root, names, whole })
    }

    /// The deepest folder that everything matching lies in. Of a pattern without wildcards: the file's folder.
    pub fn root(&self) -> PathBuf {
        match self.names.is_empty() {
            true => self.root.parent().unwrap_or(&self.root).to_owned(),
            false => self.root.clone(),
        }
    }

    /// Whether a path matches.
    pub fn matches(&self, path: &Path) -> bool {
        self.whole.is_match(path)
    }

    /// Calls `each` with every path that matches. One whose last name has no wildcard need not exist.
    ///
    /// # Errors
    /// In words, where a folder cannot be read; the others are walked all the same.
    pub fn list(&self, folders: &mut Folders, each: &mut impl FnMut(PathBuf)) -> Result<(), String> {
        let mut trouble = None;
        walk(&self.root, &self.names, DEEPEST, folders, each, &mut trouble);
        trouble.map_or(Ok(()), Err)
    }
}

fn walk(
    at: &Path,
    names: &[Name],
    depth: usize,
    folders: &mut Folders,
    each: &mut impl FnMut(PathBuf),
    trouble: &mut Option<String>,
) {
    let Some((name, rest)) = names.split_first() else {
        return each(at.to_owned());
    };
    if let Name::Exact(name) = name {
        return walk(&at.join(name), rest, depth, folders, each, trouble);
    }
    let entries = match folders.names(at) {
        Ok(entries) => entries,
        Err(error) => {
            trouble.get_or_insert(format!("the folder {} cannot be read: {error}", at.display()));
            return;
        }
    };
    if let Name::AnyDepth = name {
        walk(at, rest, depth, folders, each, trouble);
    }
    for entry in entries.iter() {
        let path = at.join(entry);
        match name {
            Name::Pattern(pattern) if pattern.is_match(entry) => walk(&path, rest, depth, folders, each, trouble),
            Name::AnyDepth if depth > 0 && path.is_dir() => walk(&path, names, depth - 1, folders, each, trouble),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_are_walked_name_by_name() {
        let root = tempfile::tempdir().expect("a folder");
        for path in ["a/x.log", "a/y.txt", "b/deep/er/z.log", "top.log"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("has a folder")).expect("creates");
            fs::write(path, "").expect("writes");
        }
        let list = |pattern: &str| {
            let glob = Glob::new(&format!("{}/{pattern}", root.path().display())).expect("a pattern");
            let mut found = Vec::new();
            glob.list(&mut Folders::default(), &mut |path| {
                assert!(glob.matches(&path), "{path:?}");
                found.push(path.strip_prefix(root.path()).expect("inside").to_string_lossy().into_owned());
            })
            .expect("readable");
            found.sort();
            found
        };
        assert_eq!(list("*/*.log"), ["a/x.log"]);
        assert_eq!(list("**/*.log"), ["a/x.log", "b/deep/er/z.log", "top.log"]);
        assert_eq!(list("{a,b}/?.{log,txt}"), ["a/x.log", "a/y.txt"]);
        assert_eq!(list("top.log"), ["top.log"]);
        assert!(list("none/*.log").is_empty());
        assert_eq!(list("absent.log"), ["absent.log"]);
        assert!(Glob::new("relative/*.log").is_err());
        assert!(Glob::new("/a/[").is_err());
    }
}
