//! The binary, started with a configuration and ended in any way.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running agent; killed when dropped.
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// Starts it; its log is appended to a file beside the configuration.
    pub fn start(config: &Path) -> Self {
        let log = config.with_extension("log");
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("opens");
        let child = Command::new(env!("CARGO_BIN_EXE_tailwater"))
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        Self { child, log }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill is there").success());
    }

    /// SIGTERM; it must end by itself and well.
    pub fn stop(mut self) {
        self.signal("TERM");
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                assert!(status.success(), "{status}: {}", self.log());
                return;
            }
            std::thread::yield_now();
        }
        panic!("it does not end: {}", self.log());
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10
    }

    /// Whether it has this file open.
    pub fn has_open(&self, path: &Path) -> bool {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == path))
    }

    /// Number of open descriptors, and bytes of deleted files among them.
    pub fn descriptors(&self) -> (usize, u64) {
        let folder = format!("/proc/{}/fd", self.child.id());
        let Ok(entries) = std::fs::read_dir(folder) else { return (0, 0) };
        let (mut count, mut deleted) = (0, 0);
        for entry in entries.flatten() {
            count += 1;
            let gone = std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().ends_with(" (deleted)"));
            if gone && let Ok(metadata) = std::fs::metadata(entry.path()) {
                deleted += metadata.len();
            }
        }
        (count, deleted)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the agent logged:\n{}", self.log());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
