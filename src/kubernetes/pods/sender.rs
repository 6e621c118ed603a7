//! Which pod sent a resource: what it says of itself, in this order, and where it came from if it says nothing.
//!
//! What is found must fit with everything that the resource says. A resource that names a pod, if one that is not known
//! here, is never taken for the pod that its connection comes from: that may have passed it on.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::pod::{Pod, without_runtime};
use super::table::{ByIp, Table};
use crate::formats::otlp::span::{RESOURCE_ATTRIBUTES, attributes};
use crate::formats::otlp::value::AnyValue;

/// What a resource says of the pod that it is of; empty for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said<'a> {
    uid: &'a str,
    ip: &'a str,
    container: &'a str,
    namespace: &'a str,
    name: &'a str,
    node: &'a str,
}

/// By what a pod was found, or why none was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `k8s.pod.uid`.
    Uid,
    /// `k8s.pod.ip`.
    Ip,
    /// `container.id`.
    Container,
    /// The address that the connection comes from.
    Connection,
    /// Nothing that is known of it is known here.
    Unknown,
    /// More than one pod has the address, or it is not known which one has it now.
    Unsure,
    /// What was found does not fit with what the resource says.
    Unfit,
}

impl How {
    pub const ALL: [Self; 7] =
        [Self::Uid, Self::Ip, Self::Container, Self::Connection, Self::Unknown, Self::Unsure, Self::Unfit];

    /// As the agent's own metrics say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uid => "k8s.pod.uid",
            Self::Ip => "k8s.pod.ip",
            Self::Container => "container.id",
            Self::Connection => "connection",
            Self::Unknown => "unknown",
            Self::Unsure => "unsure",
            Self::Unfit => "unfit",
        }
    }
}

impl<'a> Said<'a> {
    /// Reads the message `Resource`.
    pub fn of(resource: &'a [u8]) -> Self {
        let mut said = Self::default();
        for (key, any) in attributes(resource, RESOURCE_ATTRIBUTES) {
            let place = match key {
                b"k8s.pod.uid" => &mut said.uid,
                b"k8s.pod.ip" => &mut said.ip,
                b"container.id" => &mut said.container,
                b"k8s.namespace.name" => &mut said.namespace,
                b"k8s.pod.name" => &mut said.name,
                b"k8s.node.name" => &mut said.node,
                _ => continue,
            };
            if let Ok(AnyValue::Text(text)) = AnyValue::read(any) {
                *place = std::str::from_utf8(text).unwrap_or_default();
            }
        }
        said.container = without_runtime(said.container);
        said
    }

    /// The pod in `table` that it is of. `connection` is where it came from, if that is whoever sent it first.
    pub fn find<'t>(
        &self,
        table: &'t Table,
        connection: Option<IpAddr>,
        now: Instant,
    ) -> Result<(How, &'t Arc<Pod>), How> {
        let (how, pod) = self.candidate(table, connection, now)?;
        if self.fits(pod, table) { Ok((how, pod)) } else { Err(How::Unfit) }
    }

    fn candidate<'t>(
        &self,
        table: &'t Table,
        connection: Option<IpAddr>,
        now: Instant,
    ) -> Result<(How, &'t Arc<Pod>), How> {
        if let Some(pod) = table.by_uid(self.uid) {
            return Ok((How::Uid, pod));
        }
        let by_ip = |ip: IpAddr, how: How| match table.by_ip(ip.to_canonical(), now) {
            ByIp::One(pod) => Ok(Some((how, pod))),
            ByIp::None => Ok(None),
            ByIp::Unsure => Err(How::Unsure),
        };
        let said_ip = self.ip.parse().ok().map(|ip| by_ip(ip, How::Ip)).transpose();
        if let Ok(Some(Some(found))) = said_ip {
            return Ok(found);
        }
        if let Some(pod) = table.by_container(self.container) {
            // What it was when it had this container may be over.
            let now = pod.uids.first().and_then(|uid| table.by_uid(uid));
            return Ok((How::Container, now.unwrap_or(pod)));
        }
        said_ip?;
        let says_nothing = [self.uid, self.ip, self.container].iter().all(|said| said.is_empty());
        let connection = connection.filter(|_| says_nothing);
        connection.and_then(|ip| by_ip(ip, How::Connection).transpose()).unwrap_or(Err(How::Unknown))
    }

    fn fits(&self, pod: &Arc<Pod>, table: &Table) -> bool {
        let fits = |said: &str, known: &str| said.is_empty() || said == known;
        let uid = self.uid.is_empty() || pod.uids.iter().any(|uid| **uid == *self.uid);
        let of_another = |other: &Arc<Pod>| !other.uids.iter().any(|uid| pod.uids.contains(uid));
        uid && fits(self.namespace, &pod.namespace)
            && fits(self.name, &pod.name)
            && fits(self.node, &pod.node)
            && !table.by_container(self.container).is_some_and(of_another)
    }

    /// Appends the attributes that the resource has not, of the pod that was found in `table`.
    pub fn complete(&self, pod: &Pod, table: &Table, resource: &[u8], more: &mut Vec<u8>) {
        pod.attributes.missing(resource, more);
        let container = table.by_container(self.container).and_then(|pod| pod.container(self.container));
        if let Some(container) = container {
            container.attributes.missing(resource, more);
        }
    }
}
