//! Starts the binary, reads its log and talks to its listeners.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for anything; a loaded machine is no failure.
const LIMIT: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn tailwater() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    command.env_remove("NODE_NAME");
    command
}

/// Runs a verb to its end.
pub fn run(args: &[&str]) -> Output {
    tailwater().args(args).stdin(Stdio::null()).output().expect("the binary starts")
}

/// What a verb printed.
pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// A running agent. Its log is JSON; its `admin` and `health` listen on free ports.
pub struct Agent {
    child: Child,
    stdin: Option<ChildStdin>,
    log: Receiver<String>,
    seen: Vec<String>,
}

impl Agent {
    /// Starts `run` with this configuration, whose log must be JSON.
    pub fn start(config: &Path) -> Self {
        let mut child = tailwater()
            .arg("run")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (lines, log) = channel();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    return;
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, log, seen: Vec::new() }
    }

    /// Waits for a new line of the log that has all of these words.
    pub fn logged(&mut self, words: &[&str]) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            match self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if words.iter().all(|word| line.contains(word)) {
                        return line;
                    }
                }
                Err(_) => panic!("nothing with {words:?} was logged:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Waits until both listeners are there; the addresses of `admin` and `health`.
    pub fn listening(&mut self) -> (String, String) {
        let address = |line: &str| {
            let json: serde_json::Value = serde_json::from_str(line).expect("the log is JSON");
            json["address"].as_str().expect("it says where").to_owned()
        };
        let health = address(&self.logged(&["health listens"]));
        let admin = address(&self.logged(&["admin listens"]));
        (admin, health)
    }

    /// Writes a line to the agent's standard input.
    pub fn feed(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("the agent reads");
        stdin.flush().expect("the agent reads");
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.expect("kill is there").success(), "{name} is sent");
    }

    /// Ends standard input and waits for the agent's end.
    pub fn finish(mut self) -> (ExitStatus, String) {
        drop(self.stdin.take());
        self.ended()
    }

    /// Waits for the agent's end; its status and what it logged.
    pub fn ended(mut self) -> (ExitStatus, String) {
        // The log ends with the process, so that nobody has to ask again and again.
        let end = Instant::now() + LIMIT;
        while let Ok(line) = self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.push(line);
        }
        if Instant::now() >= end {
            panic!("the agent did not end:\n{}", self.seen.join("\n"));
        }
        (self.child.wait().expect("it can be waited for"), self.seen.join("\n"))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status and the body of an HTTP answer.
pub fn http(method: &str, address: &str, path: &str) -> (u16, String) {
    http_as("", method, address, path)
}

/// The same for a client with a token.
pub fn http_as(token: &str, method: &str, address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("the listener is there");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let token = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{token}Connection: close\r\nContent-Length: 0\r\n");
    write!(stream, "{head}\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// Waits until something holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Waits until the file has this many lines; returns it.
pub fn lines_of(path: &Path, count: usize) -> String {
    let read = || std::fs::read_to_string(path).unwrap_or_default();
    until(&format!("{} has {count} lines", path.display()), || read().lines().count() >= count);
    read()
}
