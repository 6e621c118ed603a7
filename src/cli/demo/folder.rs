//! Where a demo lives: the node's logs, the configuration, the agent's state and the results, in one folder
//! that is left behind to look at.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

/// The configuration, with places for what differs from run to run.
const TEMPLATE: &str = include_str!("demo.yaml");

/// The rules.
const RULES: &str = include_str!("rules.yaml");

/// What a demo makes in its folder; deleted when the next begins in the same.
const MADE: [&str; 3] = ["node", "state", "out"];

/// A demo's folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    /// Where the admin listener answers.
    pub admin: String,
    /// Where the checkout exposes its metrics, and the web server.
    pub exposed: [String; 2],
    /// Where the agent takes spans.
    pub otlp: String,
    /// Where pages go.
    pub pager: String,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something else is in it.
    #[error("{} is not empty and no demo was in it: name another folder with --data", .0.display())]
    NotOurs(PathBuf),
    /// The system said so.
    #[error("cannot use {} for the demo: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

impl Folder {
    /// Prepares a folder: the one named, or a fresh one for temporary files. What an earlier demo left in it
    /// goes.
    pub fn prepare(named: Option<PathBuf>) -> Result<Self, FolderError> {
        let root =
            named.unwrap_or_else(|| std::env::temp_dir().join(format!("tailwater-demo-{:08x}", fastrand::u32(..))));
        let root = std::path::absolute(&root).unwrap_or(root);
        match Self::made(&root) {
            Ok(true) => {}
            Ok(false) => return Err(FolderError::NotOurs(root)),
            Err(error) => return Err(FolderError::Io { path: root, error }),
        }
        let admin = free_port().map_or_else(|_| "off".to_owned(), |port| format!("127.0.0.1:{port}"));
        let address = || match free_port() {
            Ok(port) => Ok(format!("127.0.0.1:{port}")),
            Err(error) => Err(FolderError::Io { path: root.clone(), error }),
        };
        let (exposed, otlp, pager) = ([address()?, address()?], address()?, address()?);
        let folder = Self { root, admin, exposed, otlp, pager };
        let write = |path: PathBuf, text: &str| {
            fs::write(&path, text).map_err(|error| FolderError::Io { path: path.clone(), error })
        };
        write(folder.config(), &folder.text())?;
        write(folder.rules(), RULES)?;
        // No secret of anybody: the demo's pager takes every key that is one.
        write(folder.pager_key(), "0123456789abcdef0123456789abcdef\n")?;
        Ok(folder)
    }

    fn made(root: &Path) -> io::Result<bool> {
        fs::create_dir_all(root)?;
        let ours = root.join(CONFIG).is_file() && root.join(MADE[0]).is_dir();
        if !ours {
            if fs::read_dir(root)?.next().is_some() {
                return Ok(false);
            }
        } else {
            for name in MADE {
                match fs::remove_dir_all(root.join(name)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        for name in MADE {
            fs::create_dir(root.join(name))?;
        }
        Ok(true)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Stands for `/` of the node.
    pub fn node(&self) -> PathBuf {
        self.root.join(MADE[0])
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join(CONFIG)
    }

    /// The rules.
    pub fn rules(&self) -> PathBuf {
        self.root.join("rules.yaml")
    }

    fn pager_key(&self) -> PathBuf {
        self.root.join(MADE[1]).join("pager_key")
    }

    /// What the sink of the samples writes.
    pub fn samples(&self) -> PathBuf {
        self.root.join(MADE[2]).join("samples.ndjson")
    }

    /// What the sink of the spans writes.
    pub fn spans(&self) -> PathBuf {
        self.root.join(MADE[2]).join("spans.jsonl")
    }

    /// What the two sinks of the records write.
    pub fn results(&self) -> [PathBuf; 2] {
        ["records.ndjson", "errors.ndjson"].map(|name| self.root.join(MADE[2]).join(name))
    }

    fn text(&self) -> String {
        let [records, errors] = self.results();
        let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
        TEMPLATE
            .replace("{state}", &quoted(&self.root.join(MADE[1])))
            .replace("{pods}", &quoted(&self.node().join("var/log/pods")))
            .replace("{records}", &quoted(&records))
            .replace("{errors}", &quoted(&errors))
            .replace("{samples}", &quoted(&self.samples()))
            .replace("{spans}", &quoted(&self.spans()))
            .replace("{rules}", &quoted(&self.rules()))
            .replace("{pager_key}", &quoted(&self.pager_key()))
            .replace("{pager}", &self.pager)
            .replace("{otlp}", &self.otlp)
            .replace("{checkout}", &self.exposed[0])
            .replace("{web}", &self.exposed[1])
            .replace("{admin}", &self.admin)
    }
}

const CONFIG: &str = "tailwater.yaml";

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_demos_is_left_alone() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("thesis.txt"), "all of it").expect("writes");
        let refused = Folder::prepare(Some(root.path().to_owned()));
        assert!(matches!(refused, Err(FolderError::NotOurs(_))), "{refused:?}");
        assert!(root.path().join("thesis.txt").exists());
    }

    #[test]
    fn a_second_demo_starts_anew() {
        let root = tempfile::tempdir().expect("a folder");
        let first = Folder::prepare(Some(root.path().join("d"))).expect("prepared");
        fs::write(&first.results()[0], "old").expect("writes");
        let second = Folder::prepare(Some(root.path().join("d"))).expect("prepared");
        assert!(!second.results()[0].exists());
        let text = fs::read_to_string(second.config()).expect("reads");
        assert!(!text.contains("{state}") && !text.contains("{admin}"), "{text}");
        assert!(text.contains(&format!("path: \"{}\"", second.results()[0].display())), "{text}");
    }
}
