//! Secrets that a prometheus.yml has inline: outside of Prometheus's own blocks a configuration of this agent
//! only says where they are.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Secrets that were met, to be written beside the result.
pub(super) struct Secrets {
    /// Where they are kept, if the result has a file.
    folder: Option<PathBuf>,
    met: Vec<(PathBuf, String)>,
    names: Vec<String>,
}

impl Secrets {
    /// Those of a result in this file.
    pub fn new(output: Option<&Path>) -> Self {
        let folder = output.and_then(|output| {
            let mut name = output.file_name()?.to_owned();
            name.push(".secrets");
            std::path::absolute(output.with_file_name(name)).ok()
        });
        Self { folder, met: Vec::new(), names: Vec::new() }
    }

    /// The reference that stands for a secret, and what to do about it.
    pub fn refer(&mut self, name: &str, value: &str) -> (String, String) {
        let same = self.names.iter().filter(|known| *known == name).count();
        self.names.push(name.to_owned());
        let name = if same == 0 { name.to_owned() } else { format!("{name}-{}", same + 1) };
        match &self.folder {
            Some(folder) => {
                let path = folder.join(&name);
                let said = format!("is written to {}", path.display());
                let reference = format!("${{file:{}}}", path.display());
                self.met.push((path, value.to_owned()));
                (reference, said)
            }
            None => {
                let variable = name.replace('-', "_").to_uppercase();
                (format!("${{env:{variable}}}"), format!("is read from the variable {variable}: set it"))
            }
        }
    }

    /// Writes them, for their owner alone.
    pub fn write(&self) -> Result<(), String> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let (Some(folder), false) = (&self.folder, self.met.is_empty()) else { return Ok(()) };
        let failed = |path: &Path, error: std::io::Error| format!("cannot write {}: {error}", path.display());
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(folder, error))?;
        for (path, value) in &self.met {
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
            file.and_then(|mut file| file.write_all(value.as_bytes())).map_err(|error| failed(path, error))?;
        }
        Ok(())
    }
}
