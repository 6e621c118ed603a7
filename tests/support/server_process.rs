//! A real server as a child process, started by a script of `tests/servers`. It runs until its standard input
//! ends, which the end of this process brings about however it comes, so no test can leave it behind.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Longest wait for a server; a loaded machine is no failure.
const LIMIT: Duration = Duration::from_secs(120);

/// A running server; asked to end, and waited for, when dropped.
pub struct ServerProcess {
    name: String,
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Runs `tests/servers/NAME/start` with these arguments. What it says goes to `log`.
    pub fn start(name: &str, arguments: &[String], log: &Path) -> Self {
        let output = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let child = Command::new(script(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a descriptor"))
            .stderr(output)
            .spawn()
            .expect("the server's script runs");
        Self { name: name.into(), child, log: log.into() }
    }

    /// Waits until `ready` says so; fails if the server ends or two minutes pass.
    pub async fn wait_ready<F: Future<Output = bool>>(&mut self, mut ready: impl FnMut() -> F) {
        let wait = async {
            while !ready().await {
                let ended = self.child.try_wait().expect("it can be waited for");
                assert!(ended.is_none(), "{} did not start ({ended:?}): {}", self.name, self.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(LIMIT, wait).await;
        assert!(waited.is_ok(), "{} is not ready after two minutes: {}", self.name, self.log());
    }

    /// What it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end and waits until it has.
    pub fn stop(mut self) -> ExitStatus {
        self.end()
    }

    fn end(&mut self) -> ExitStatus {
        // The pipe is the request.
        drop(self.child.stdin.take());
        self.child.wait().expect("it can be waited for")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// The script that starts a server.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name).join("start")
}

/// Loopback ports that were free a moment ago, all different.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // Held until all are known: a port that is given back may be given out again.
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.each_ref().map(|listener| listener.local_addr().expect("bound").port())
}

/// A new folder for what a server keeps; the server deletes it when it ends.
pub fn new_folder(name: &str) -> PathBuf {
    tempfile::Builder::new().prefix(&format!("tailwater-{name}-")).tempdir().expect("a folder").keep()
}
