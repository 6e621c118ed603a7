//! The tail as a whole, on real files and a virtual clock: rotations, truncations, restarts, rewinds.

mod fairness;
mod model;
mod scenarios;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::catalog::{Catalog, Parts};
use super::inbox::Inbox;
use super::worker::Worker;
use super::*;
use crate::data::{Batch, MemoryBudget, Resource, Signal, SlabPool, Value};
use crate::delivery::checkpoint::Checkpoint;
use crate::delivery::queue::{EdgeReceiver, WhenFull, edge};
use crate::delivery::{Outcome, Path as Way};
use crate::pipeline::outlet::{Chain, Gate, Reader};
use crate::telemetry::{ComponentMetrics, Telemetry};

/// A record as its destination saw it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    body: String,
    log: String,
    start: (u64, u64),
    end: (u64, u64),
    again: bool,
}

/// What the destination does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Deliver,
    /// Drop it without a word.
    Abandon,
    /// Keep it unsettled.
    Hold,
}

#[derive(Clone)]
struct Destination {
    seen: Arc<Mutex<Vec<Seen>>>,
    mode: Arc<Mutex<Mode>>,
}

impl Destination {
    fn set(&self, mode: Mode) {
        *self.mode.lock().expect("not poisoned") = mode;
    }

    fn bodies(&self) -> Vec<String> {
        self.seen.lock().expect("not poisoned").iter().map(|seen| seen.body.clone()).collect()
    }

    async fn run(self, mut input: EdgeReceiver) {
        let mut held = Vec::new();
        while let Some(message) = input.recv().await {
            let Batch::Logs(batch) = &message.batch else { panic!("logs") };
            let mode = *self.mode.lock().expect("not poisoned");
            if mode == Mode::Abandon {
                continue;
            }
            let again = message.first_attempt.is_some();
            let seen = batch.iter().map(|view| Seen {
                body: String::from_utf8_lossy(view.body()).into_owned(),
                log: view
                    .attributes()
                    .iter()
                    .find_map(|attribute| match attribute.value {
                        Value::Text(text) if view.bytes(attribute.key) == b"log.file.path" => {
                            Some(String::from_utf8_lossy(view.bytes(text)).into_owned())
                        }
                        _ => None,
                    })
                    .unwrap_or_default(),
                start: (batch.start_generation(view.record).expect("has one").id, view.record.start),
                end: (batch.end_generation(view.record).expect("has one").id, view.record.end),
                again,
            });
            self.seen.lock().expect("not poisoned").extend(seen);
            let records = batch.selection.count() as u64;
            match mode {
                Mode::Hold => held.push(message),
                _ => message.ack.settle(Outcome::Delivered, records),
            }
        }
    }
}

/// Lists the `*.log` files, links included, of one folder.
struct Folder(PathBuf);

impl Discover for Folder {
    fn list(&mut self, found: &mut Vec<Found>) -> Result<(), String> {
        for entry in fs::read_dir(&self.0).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.extension().is_some_and(|extension| extension == "log")
                && let Ok(target) = path.canonicalize()
            {
                found.push(Found { path, target, ended: false });
            }
        }
        Ok(())
    }

    fn folders(&self) -> Vec<PathBuf> {
        vec![self.0.clone()]
    }

    fn resource(&self, _: &Found) -> Resource {
        Resource::default()
    }

    fn shown_path(&self, found: &Found) -> Option<String> {
        Some(found.path.file_name().expect("has one").to_string_lossy().into_owned())
    }
}

/// A folder of logs, and an agent that may be killed and started again.
struct Node {
    root: tempfile::TempDir,
    settings: Settings,
    to: Destination,
    /// Bytes that fit into the edge before the destination.
    edge: u64,
    running: Option<Running>,
    metrics: Arc<ComponentMetrics>,
}

struct Running {
    catalog: Catalog,
    worker: tokio::task::JoinHandle<()>,
    sink: tokio::task::JoinHandle<()>,
    shutdown: CancellationToken,
    memory: Arc<MemoryBudget>,
}

impl Node {
    fn new(format: Format) -> Self {
        let settings = Settings { format, most_record: 1 << 20, held_files: 1 << 30, start: Start::Beginning };
        let to = Destination { seen: Arc::default(), mode: Arc::new(Mutex::new(Mode::Deliver)) };
        let metrics = Telemetry::new().component("source", "file/test");
        let root = tempfile::tempdir().expect("a folder");
        fs::create_dir(root.path().join("logs")).expect("creates");
        Self { root, settings, to, edge: 16 << 20, running: None, metrics }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("logs").join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut options = fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(self.path(name)).expect("opens");
        file.write_all(text.as_ref()).expect("writes");
    }

    /// Starts the agent.
    fn start(&mut self) {
        let memory = Arc::new(MemoryBudget::new(64 << 20));
        let pool = SlabPool::new(memory.share(Signal::Logs), 4);
        let (sender, receiver) = edge(self.edge, WhenFull::Block, self.metrics.clone());
        let chain = Chain { readers: vec![Reader::edge(sender, "file/test")] };
        let (_gate, outlet) = Gate::open(chain, Way::new(), self.metrics.clone());
        let inbox = Arc::<Inbox>::default();
        let metrics = self.metrics.clone();
        let lost: super::worker::Lost = Arc::new(move |_, _, bytes| metrics.bytes_lost.inc_by(bytes));
        let shutdown = CancellationToken::new();
        let worker = Worker::new(inbox.clone(), outlet, pool, self.metrics.clone(), lost.clone(), shutdown.clone());
        let catalog = Catalog::restore(Parts {
            discover: Box::new(Folder(self.root.path().join("logs"))),
            identify: Box::new(|resource| resource.with([])),
            settings: self.settings,
            checkpoint: Checkpoint::new(&self.root.path().join("data"), "file/test"),
            metrics: self.metrics.clone(),
            lost,
            workers: vec![inbox],
        })
        .expect("readable");
        let worker = tokio::spawn(async move {
            worker.run().await.expect("no failure");
        });
        let sink = tokio::spawn(self.to.clone().run(receiver));
        self.running = Some(Running { catalog, worker, sink, shutdown, memory });
    }

    /// A look at the files.
    fn look(&mut self) {
        self.running.as_mut().expect("runs").catalog.look();
    }

    /// Looks once a second, that often.
    async fn run(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.look();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Ends the agent as SIGKILL would: nothing more is saved.
    async fn kill(&mut self) {
        let running = self.running.take().expect("runs");
        running.worker.abort();
        running.sink.abort();
        let _ = running.worker.await;
        let _ = running.sink.await;
    }

    /// Ends the agent as SIGTERM would.
    async fn stop(&mut self) {
        let running = self.running.take().expect("runs");
        running.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(60), running.worker).await;
        ended.expect("ends once everything is settled").expect("no panic");
        running.catalog.close();
        running.sink.abort();
        let _ = running.sink.await;
        assert_eq!(running.memory.used(), 0, "everything is given back");
    }

    fn lost(&self) -> u64 {
        self.metrics.bytes_lost.get()
    }

    fn bodies(&self) -> Vec<String> {
        self.to.bodies()
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renames");
    }
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(|n| format!("line {n}\n")).collect()
}

fn expected(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}

fn cri(tag: &str, text: &str) -> String {
    format!("2026-11-23T00:00:00.000000000Z stdout {tag} {text}\n")
}

fn compress(path: &Path) {
    let text = fs::read(path).expect("reads");
    let to = fs::File::create(format!("{}.gz", path.display())).expect("creates");
    let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::fast());
    encoder.write_all(&text).expect("writes");
    encoder.finish().expect("finishes");
    fs::remove_file(path).expect("removes");
}
