//! The pods of this node, for every component of the process that asks which of them a sender is: one watch, selected by
//! the node's name. It begins when the first component asks, outlives reloads, and ends once nobody has asked for a while.

mod options;
mod pod;
mod sender;
mod table;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use k8s_openapi::api::core::v1 as core;
use kube::Api;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::client::{Access, connect, in_pod};
use super::watch::{Event, Selector, follow};
use crate::options::Identity;
use crate::telemetry::Telemetry;
pub use options::{Options, SECTION};
use pod::Pod;
use sender::{How, Said};
use table::{MOST_BYTES, Table};

/// How long after the watch began what is received waits for the first list, at the most.
const FIRST_LIST: Duration = Duration::from_secs(2);

/// How long the watch goes on for nobody: a component that a reload or a failure restarts finds it as it was.
const UNASKED: Duration = Duration::from_secs(60);

/// Events that wait between the watch and the table.
const WAITING: usize = 64;

/// Time between two looks for what is known long enough.
const SWEEP: Duration = Duration::from_secs(30);

/// How long to wait before the cluster is looked for again.
const AGAIN: Duration = Duration::from_secs(10);

/// Which pods, and what of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    kubeconfig: Option<PathBuf>,
    node: Option<String>,
    labels: Arc<[Box<str>]>,
}

impl Settings {
    /// What the configuration says.
    pub fn new(options: &Options, identity: &Identity) -> Self {
        let labels = options.pod_labels.as_slice().into();
        Self { kubeconfig: options.kubeconfig_file.clone(), node: identity.node.clone(), labels }
    }
}

/// The pods of this node.
pub struct Pods {
    table: RwLock<Table>,
    settings: watch::Sender<Settings>,
    followers: watch::Sender<usize>,
    task: Mutex<Option<JoinHandle<()>>>,
    first: watch::Sender<First>,
    trouble: watch::Sender<Option<Arc<str>>>,
    found: [IntCounter; How::ALL.len()],
    family: IntCounterVec,
}

/// Whether the first list is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Idle,
    /// It is waited for until then.
    Due(Instant),
    There,
}

/// Whoever holds it keeps the watch going.
pub struct Follower(Arc<Pods>);

impl Default for Pods {
    fn default() -> Self {
        let words = "Resources received, by what the pod that sent them was found by, or why none was.";
        let options = Opts::new("tailwater_kubernetes_senders_total", words);
        let family = IntCounterVec::new(options, &["found_by"]).expect("the name and the label are valid");
        Self {
            table: RwLock::new(Table::new(MOST_BYTES)),
            settings: watch::Sender::default(),
            followers: watch::Sender::default(),
            task: Mutex::default(),
            first: watch::Sender::new(First::Idle),
            trouble: watch::Sender::default(),
            found: How::ALL.map(|how| family.with_label_values(&[how.name()])),
            family,
        }
    }
}

impl Pods {
    /// None yet; their metrics are registered.
    ///
    /// # Errors
    /// When the registry has them already.
    pub fn register(telemetry: &Telemetry) -> Result<Arc<Self>, prometheus::Error> {
        let pods = Arc::new(Self::default());
        telemetry.registry().register(Box::new(Gauges::new(pods.clone())?))?;
        Ok(pods)
    }

    /// Goes by these settings from now on. What is known stays until it is known anew.
    pub fn configure(&self, settings: Settings) {
        self.settings.send_if_modified(|known| {
            let changed = *known != settings;
            *known = settings;
            changed
        });
    }

    /// Whether there is a way to ask the API server.
    pub fn can_be_asked(&self) -> bool {
        self.settings.borrow().kubeconfig.is_some() || in_pod()
    }

    /// Begins to watch, unless that is under way. Must be called within a Tokio runtime.
    pub fn follow(self: &Arc<Self>) -> Follower {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        self.followers.send_modify(|followers| *followers += 1);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            self.first.send_replace(First::Due(Instant::now() + FIRST_LIST));
            *task = Some(tokio::spawn(self.clone().run()));
        }
        Follower(self.clone())
    }

    /// Waits for the first list, but no longer than a moment after the watch began.
    pub async fn ready(&self) {
        let First::Due(until) = *self.first.borrow() else { return };
        let mut first = self.first.subscribe();
        // After it, what is known is what there is.
        let _ = timeout_at(until, first.wait_for(|first| *first == First::There)).await;
    }

    /// Appends to `more` what is known of the pod that sent a `Resource` and what this has not. `connection` is the
    /// address that it came from, if that is whoever sent it first.
    pub fn complete(&self, resource: &[u8], connection: Option<IpAddr>, more: &mut Vec<u8>) {
        let (said, now) = (Said::of(resource), Instant::now());
        let how = {
            let table = self.read();
            said.find(&table, connection, now)
                .map(|(how, pod)| {
                    said.complete(pod, &table, resource, more);
                    how
                })
                .unwrap_or_else(|how| how)
        };
        self.found[how as usize].inc();
    }

    /// What is wrong with the watch, in words, as it changes.
    pub fn trouble(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.trouble.subscribe()
    }

    async fn run(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.watch() => {}
                () = self.unasked() => {}
            }
            let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if *self.followers.borrow() == 0 {
                *task = None;
                *self.write() = Table::new(MOST_BYTES);
                self.first.send_replace(First::Idle);
                return;
            }
        }
    }

    async fn unasked(&self) {
        let mut followers = self.followers.subscribe();
        // The sender is here.
        while followers.wait_for(|followers| *followers == 0).await.is_ok() {
            if timeout(UNASKED, followers.wait_for(|followers| *followers > 0)).await.is_err() {
                return;
            }
        }
    }

    /// Watches, anew whenever the settings change.
    async fn watch(&self) {
        let mut settings = self.settings.subscribe();
        loop {
            let current = settings.borrow_and_update().clone();
            tokio::select! {
                () = self.watch_by(current) => {}
                changed = settings.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn watch_by(&self, settings: Settings) {
        let access = settings.kubeconfig.map_or(Access::InCluster, Access::Kubeconfig);
        let client = loop {
            match connect(&access).await {
                Ok(client) => break client,
                Err(error) => self.tell(&error.to_string()),
            }
            sleep(AGAIN).await;
        };
        let Some(node) = settings.node else {
            self.tell("the name of the node is not known: set `identity.node`, or NODE_NAME in the environment");
            return std::future::pending().await;
        };
        let selector = Selector { field: format!("spec.nodeName={node}"), ..Selector::default() };
        let labels = settings.labels;
        let (sender, mut events) = mpsc::channel(WAITING);
        let keep = move |pod: core::Pod| Some(Pod::keep(&pod, &labels));
        let watching = follow(Api::all(client), &selector, keep, &sender, 0);
        let taking = async {
            let mut waiting = Vec::with_capacity(WAITING);
            loop {
                // Without events there is still something to forget.
                let _ = timeout(SWEEP, events.recv_many(&mut waiting, WAITING)).await;
                self.take(waiting.drain(..).map(|(_, event)| event), &node);
            }
        };
        tokio::select! {
            _ = watching => {}
            () = taking => {}
        }
    }

    fn take(&self, events: impl Iterator<Item = Event<Pod>>, node: &str) {
        let now = Instant::now();
        let mut table = self.write();
        table.sweep(now);
        for event in events {
            if let Event::Failed(words) = &event {
                self.tell(words);
                table.take(event, now);
                continue;
            }
            let listed = matches!(event, Event::Listed);
            table.take(event, now);
            if listed {
                self.first.send_replace(First::There);
            }
            if table.len() == 0 && *self.first.borrow() == First::There {
                self.tell(&format!(
                    "the API server knows of no pod on the node `{node}`: set `identity.node`, or NODE_NAME in the \
                     environment, to the name of the node"
                ));
            } else {
                self.trouble.send_if_modified(|trouble| trouble.take().is_some());
            }
        }
    }

    fn tell(&self, words: &str) {
        let changed = self.trouble.send_if_modified(|known| {
            let changed = known.as_deref() != Some(words);
            *known = Some(words.into());
            changed
        });
        if changed {
            tracing::warn!("senders are not known by their pods, or not all of them: {words}");
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.followers.send_modify(|followers| *followers -= 1);
    }
}

/// The table's metrics, looked at when somebody asks.
struct Gauges {
    pods: Arc<Pods>,
    known: IntGauge,
    bytes: IntGauge,
    refused: IntCounter,
}

impl Gauges {
    fn new(pods: Arc<Pods>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            pods,
            known: IntGauge::new("tailwater_kubernetes_pods", "Pods of this node that senders can be found among.")?,
            bytes: IntGauge::new("tailwater_kubernetes_pods_bytes", "Memory that what is known of pods takes.")?,
            refused: IntCounter::new(
                "tailwater_kubernetes_pods_refused_total",
                "Pods that there was no room for, each time the API server told of one.",
            )?,
        })
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        [self.pods.family.desc(), self.known.desc(), self.bytes.desc(), self.refused.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (known, bytes, refused) = {
            let table = self.pods.read();
            (table.len(), table.bytes(), table.refused())
        };
        self.known.set(whole(known));
        self.bytes.set(whole(bytes));
        self.refused.inc_by(refused.saturating_sub(self.refused.get()));
        [self.pods.family.collect(), self.known.collect(), self.bytes.collect(), self.refused.collect()].concat()
    }
}
