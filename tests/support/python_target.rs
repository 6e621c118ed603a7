//! A program instrumented with the real Python client of Prometheus. Every scrape moves its metrics, by a seed, and
//! it tells afterwards what it exposed.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::Deserialize;

use crate::server_process::{free_ports, script};

/// What one scrape was given.
#[derive(Clone, Debug, Deserialize)]
pub struct Exposed {
    /// The format that was negotiated.
    pub content_type: String,
    /// Every sample, in the order of the exposition.
    pub samples: Vec<ExposedSample>,
}

/// A sample as the client library names it: not yet escaped for scrapers that know old names alone.
#[derive(Clone, Debug, Deserialize)]
pub struct ExposedSample {
    /// The metric's name with its suffix.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value in the words of the text format: `1.0`, `NaN`, `+Inf`.
    pub value: String,
}

/// A running program; it ends when it is dropped.
pub struct PythonTarget {
    address: SocketAddr,
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl PythonTarget {
    /// Starts it on a free port.
    pub fn start(seed: u64) -> Self {
        let [port] = free_ports();
        let mut child = Command::new(script("python"))
            .args([port.to_string(), seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        assert_eq!(line(&mut answers), "READY\n", "the program did not start; what it said is above");
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), child, answers }
    }

    /// Where it listens; it answers on every path.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on scrapes move nothing, so that several scrapers see the same.
    pub fn hold(&mut self) {
        assert_eq!(self.ask("hold"), "held\n");
    }

    /// What it exposed so far, one entry a scrape.
    pub fn exposed(&mut self) -> Vec<Exposed> {
        serde_json::from_str(&self.ask("exposed")).expect("JSON")
    }

    fn ask(&mut self, command: &str) -> String {
        let input = self.child.stdin.as_mut().expect("piped");
        writeln!(input, "{command}").expect("the program listens");
        line(&mut self.answers)
    }
}

impl Drop for PythonTarget {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn line(answers: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    answers.read_line(&mut line).expect("UTF-8");
    line
}
