//! A node's containers: logs in the layout of the kubelet, written and rotated as runtimes do.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tailwater::data::UnixNanos;

/// Containers, each with its log and a link to it.
pub struct Node {
    /// The folder of everything.
    pub root: tempfile::TempDir,
    containers: Vec<Container>,
}

struct Container {
    log: PathBuf,
    file: File,
}

impl Node {
    /// A node with that many containers.
    pub fn new(containers: usize) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(root.path().join("containers")).expect("creates");
        let containers = (0..containers)
            .map(|n| {
                let folder = root.path().join(format!("pods/shop_web-{n}_uid-{n}/web"));
                fs::create_dir_all(&folder).expect("creates");
                let log = folder.join("0.log");
                let file = File::create(&log).expect("creates");
                let link = root.path().join(format!("containers/web-{n}_shop_web-{n:064}.log"));
                std::os::unix::fs::symlink(&log, link).expect("links");
                Container { log, file }
            })
            .collect();
        Self { root, containers }
    }

    /// A path below the folder of everything, as text.
    pub fn path(&self, name: &str) -> String {
        self.root.path().join(name).display().to_string()
    }

    /// A line as the runtime writes it.
    pub fn write(&mut self, container: usize, tag: char, text: &str) {
        let mut line = Vec::new();
        UnixNanos::now().write_rfc3339(&mut line);
        writeln!(line, " stdout {tag} {text}").expect("writes");
        self.containers[container].file.write_all(&line).expect("writes");
    }

    /// The kubelet's rotation. Returns the rotated file.
    pub fn rotate(&mut self, container: usize) -> PathBuf {
        let container = &mut self.containers[container];
        let stamp = UnixNanos::from(SystemTime::now()).0;
        let to = PathBuf::from(format!("{}.20261123-{stamp}", container.log.display()));
        fs::rename(&container.log, &to).expect("renames");
        container.file = OpenOptions::new().create_new(true).append(true).open(&container.log).expect("creates");
        to
    }

    /// Writes a configuration file.
    pub fn configure(&self, text: &str) -> PathBuf {
        let path = self.root.path().join("tailwater.yaml");
        fs::write(&path, text).expect("writes");
        path
    }
}

/// Number of lines in a file.
pub fn lines(path: &Path) -> u64 {
    let text = fs::read(path).unwrap_or_default();
    memchr::memchr_iter(b'\n', &text).count() as u64
}
