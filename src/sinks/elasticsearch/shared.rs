//! What the requests of one sink share.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prometheus::core::{Collector, Desc};
use prometheus::{IntCounter, Opts};

use super::documents::Documents;
use super::server::Server;
use crate::delivery::dead_letter::DeadLetter;
use crate::formats::compression::Compression;
use crate::formats::elasticsearch::bulk::DocumentId;
use crate::telemetry::{ComponentMetrics, Telemetry};

/// One sink's connections, settings and counters.
#[derive(Debug)]
pub(super) struct Shared {
    /// The sink's name in the configuration.
    pub name: Arc<str>,
    /// Index, alias or data stream.
    pub target: Box<str>,
    pub server: Arc<Server>,
    /// Cloned for each request.
    pub documents: Documents,
    pub document_id: DocumentId,
    pub compression: Compression,
    /// Most uncompressed bytes of a body as configured.
    pub most_bytes: u64,
    /// The same as the cluster takes it.
    pub max_bytes: AtomicU64,
    pub bodies: BodyPool,
    pub dead_letter: Arc<DeadLetter>,
    /// The index template while it is still to be installed.
    pub template: tokio::sync::Mutex<Option<serde_json::Value>>,
    /// Whether the cluster said last that these credentials may not ask what is stored.
    pub may_not_look: AtomicBool,
    pub metrics: Arc<ComponentMetrics>,
    pub renamed: Arc<Renamed>,
}

impl Shared {
    pub fn gzip(&self) -> bool {
        self.compression != Compression::None
    }
}

/// Buffers of bodies: the last reference to a body brings its buffer back.
#[derive(Clone, Debug)]
pub(super) struct BodyPool(Arc<PoolInner>);

#[derive(Debug)]
struct PoolInner {
    free: Mutex<Vec<Vec<u8>>>,
    capacity: usize,
    keep: usize,
}

impl BodyPool {
    /// Buffers of `capacity`, of which at most `keep` wait unused.
    pub fn new(capacity: usize, keep: usize) -> Self {
        Self(Arc::new(PoolInner { free: Mutex::default(), capacity, keep }))
    }

    /// A buffer.
    pub fn take(&self) -> Vec<u8> {
        let free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.unwrap_or_else(|| Vec::with_capacity(self.0.capacity))
    }

    /// Makes a body of a buffer.
    pub fn lend(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { bytes, pool: self.0.clone() })
    }
}

struct Lent {
    bytes: Vec<u8>,
    pool: Arc<PoolInner>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        // One huge body must not be kept for the small ones that follow.
        let usual = bytes.capacity() >= self.pool.capacity && bytes.capacity() <= 2 * self.pool.capacity;
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if usual && free.len() < self.pool.keep {
            free.push(bytes);
        }
    }
}

/// Counts members of objects that were renamed because their names are the sink's own.
#[derive(Debug)]
pub(super) struct Renamed {
    counter: IntCounter,
    telemetry: Option<Arc<Telemetry>>,
}

impl Renamed {
    /// The counter of one sink, in the registry as long as the sink runs.
    pub fn new(telemetry: &Arc<Telemetry>, component: &str) -> Self {
        let help = "Members of records' objects written with `original.` before their key.";
        let options = Opts::new("tailwater_members_renamed_total", help).const_label("component", component);
        let counter = IntCounter::with_opts(options).expect("the name is a constant, a label takes any text");
        let registered = telemetry.registry().register(Box::new(counter.clone())).is_ok();
        Self { counter, telemetry: registered.then(|| telemetry.clone()) }
    }

    pub fn inc_by(&self, members: u64) {
        self.counter.inc_by(members);
    }
}

/// What a sink counts for itself alone, as long as it runs.
pub fn described() -> Vec<Desc> {
    Renamed::new(&Arc::new(Telemetry::new()), "").counter.desc().into_iter().cloned().collect()
}

impl Drop for Renamed {
    fn drop(&mut self) {
        if let Some(telemetry) = &self.telemetry {
            // It was registered above, so it is there.
            let _ = telemetry.registry().unregister(Box::new(self.counter.clone()));
        }
    }
}
