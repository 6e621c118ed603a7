//! The pods of a node, by what senders are found by. Whoever is not found for certain is not found.
//!
//! An address belongs to the pods that run with it: one, or it finds none. A UID and the id of a container are never given
//! out again, so those of pods that are gone, and of containers that were replaced, are known for a while: what they sent
//! last arrives after them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pod::Pod;
use crate::kubernetes::watch::{Event, Key};

/// How long what is gone is known.
pub const LATE: Duration = Duration::from_secs(600);

/// Most bytes of what is known.
pub const MOST_BYTES: usize = 16 << 20;

/// How long addresses are believed while the API server cannot be asked: another pod may have got them since.
pub const BELIEVED: Duration = Duration::from_secs(60);

/// The pods of a node.
#[derive(Debug)]
pub struct Table {
    most_bytes: usize,
    bytes: usize,
    pods: HashMap<Key, Arc<Pod>>,
    by_uid: HashMap<Box<str>, Arc<Pod>>,
    by_container: HashMap<Box<str>, Arc<Pod>>,
    by_ip: HashMap<IpAddr, Vec<Arc<Pod>>>,
    /// What pods were, and until when it is known.
    late: VecDeque<(Instant, Arc<Pod>)>,
    /// While a list comes in: what was in it so far.
    listing: Option<HashSet<Key>>,
    /// Since when the API server cannot be asked.
    failed: Option<Instant>,
    refused: u64,
}

/// What an address finds.
#[derive(Clone, Copy, Debug)]
pub enum ByIp<'a> {
    One(&'a Arc<Pod>),
    None,
    /// More than one pod has it, or which one has it now is not known.
    Unsure,
}

impl Table {
    /// An empty one of so many bytes at the most.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            bytes: 0,
            pods: HashMap::new(),
            by_uid: HashMap::new(),
            by_container: HashMap::new(),
            by_ip: HashMap::new(),
            late: VecDeque::new(),
            listing: None,
            failed: None,
            refused: 0,
        }
    }

    /// Takes what a watch tells.
    pub fn take(&mut self, event: Event<Pod>, now: Instant) {
        self.sweep(now);
        match event {
            Event::Listing => self.listing = Some(HashSet::new()),
            Event::Set(key, pod) => {
                if let Some(listing) = &mut self.listing {
                    listing.insert(key.clone());
                }
                self.set(key, pod, now);
            }
            Event::Gone(key) => self.remove(&key, now),
            Event::Listed => {
                let Some(listing) = self.listing.take() else { return };
                let gone: Vec<Key> = self.pods.keys().filter(|key| !listing.contains(*key)).cloned().collect();
                gone.iter().for_each(|key| self.remove(key, now));
            }
            Event::Failed(_) => self.failed = self.failed.or(Some(now)),
            Event::Works => self.failed = None,
        }
    }

    /// Forgets what is known long enough.
    pub fn sweep(&mut self, now: Instant) {
        while self.late.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    /// The pod of a UID.
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<Pod>> {
        self.by_uid.get(uid)
    }

    /// The pod of a container.
    pub fn by_container(&self, id: &str) -> Option<&Arc<Pod>> {
        self.by_container.get(id)
    }

    /// The pod that has an address.
    pub fn by_ip(&self, ip: IpAddr, now: Instant) -> ByIp<'_> {
        match self.by_ip.get(&ip).map(Vec::as_slice) {
            None | Some([]) => ByIp::None,
            Some([_]) if self.failed.is_some_and(|since| now.duration_since(since) > BELIEVED) => ByIp::Unsure,
            Some([pod]) => ByIp::One(pod),
            Some(_) => ByIp::Unsure,
        }
    }

    /// Pods that are there.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Bytes of memory that all that is known takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Pods that there was no room for, each time one was told of.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn set(&mut self, key: Key, pod: Pod, now: Instant) {
        let pod = Arc::new(pod);
        self.remove(&key, now);
        let bytes = pod.bytes();
        while self.bytes + bytes > self.most_bytes && !self.late.is_empty() {
            self.forget_oldest();
        }
        if self.bytes + bytes > self.most_bytes {
            self.refused += 1;
            return;
        }
        self.bytes += bytes;
        for uid in &pod.uids {
            self.by_uid.insert(uid.clone(), pod.clone());
        }
        for container in &pod.containers {
            self.by_container.insert(container.id.clone(), pod.clone());
        }
        for ip in &pod.ips {
            self.by_ip.entry(*ip).or_default().push(pod.clone());
        }
        self.pods.insert(key, pod);
        // Most changes of a pod change nothing that it is found by.
        if let Some((_, before)) = self.late.back()
            && !self.is_found(before)
            && let Some((_, before)) = self.late.pop_back()
        {
            self.bytes -= before.bytes();
        }
    }

    /// A pod gives its addresses back at once.
    fn remove(&mut self, key: &Key, now: Instant) {
        let Some(pod) = self.pods.remove(key) else { return };
        for ip in &pod.ips {
            if let Some(holders) = self.by_ip.get_mut(ip) {
                holders.retain(|holder| !Arc::ptr_eq(holder, &pod));
                if holders.is_empty() {
                    self.by_ip.remove(ip);
                }
            }
        }
        self.late.push_back((now + LATE, pod));
    }

    fn is_found(&self, pod: &Arc<Pod>) -> bool {
        let same = |found: Option<&Arc<Pod>>| found.is_some_and(|found| Arc::ptr_eq(found, pod));
        pod.uids.iter().any(|uid| same(self.by_uid.get(uid)))
            || pod.containers.iter().any(|container| same(self.by_container.get(&container.id)))
    }

    fn forget_oldest(&mut self) {
        let Some((_, pod)) = self.late.pop_front() else { return };
        self.bytes -= pod.bytes();
        for uid in &pod.uids {
            if self.by_uid.get(uid).is_some_and(|found| Arc::ptr_eq(found, &pod)) {
                self.by_uid.remove(uid);
            }
        }
        for container in &pod.containers {
            if self.by_container.get(&container.id).is_some_and(|found| Arc::ptr_eq(found, &pod)) {
                self.by_container.remove(&container.id);
            }
        }
    }
}
