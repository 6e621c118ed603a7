//! Targets of scrapes from the objects of a cluster, with the labels that Prometheus gives them
//! (`kubernetes_sd_configs`): one watch for every kind of object that the labels of a role come from.
//!
//! Nothing is reported before all watches have listed what is there, so that no target ever lacks a label for
//! want of time. From then on every change is one group.

mod endpoints;
mod ingress;
mod labels;
mod node;
mod pod;
mod service;
mod world;

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Endpoints, Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::watch::{Closed, Event, Key, Selector, follow};
use crate::data::{LabelSet, TargetGroup};
pub use world::Attach;
use world::{Change, Fact, Part, Subject, World};

/// Events that wait between the watches and the world.
const WAITING: usize = 64;

/// What becomes a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The kubelet of every node.
    Node,
    /// Every port of every service.
    Service,
    /// Every port of every container of every pod.
    Pod,
    /// Every address of every service's endpoints.
    Endpoints,
    /// The same, from EndpointSlices.
    EndpointSlice,
    /// Every path of every ingress.
    Ingress,
}

impl Role {
    /// All roles, as configurations write them.
    pub const ALL: [(&'static str, Self); 6] = [
        ("node", Self::Node),
        ("service", Self::Service),
        ("pod", Self::Pod),
        ("endpoints", Self::Endpoints),
        ("endpointslice", Self::EndpointSlice),
        ("ingress", Self::Ingress),
    ];
}

/// Which targets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What becomes a target.
    pub role: Role,
    /// Only these namespaces; empty for all.
    pub namespaces: Vec<String>,
    /// Selectors of the objects of a role.
    pub selectors: Vec<(Role, Selector)>,
    /// Metadata that targets are given.
    pub attach: Attach,
    /// Only what runs on this node: roles node, pod, endpoints and endpointslice.
    pub node: Option<String>,
}

/// What changed.
#[derive(Debug)]
pub enum Update {
    /// A group is new or changed; without targets it is gone.
    Set(TargetGroup),
    /// The group of this source is gone.
    Gone(Box<str>),
    /// Everything that was there is reported.
    Complete,
    /// The server cannot be asked, or refuses; in words, with what to do. It is asked again.
    Failed(String),
    /// The server answers, for all that is asked.
    Works,
}

/// Follows the cluster until the future is dropped.
pub async fn run(client: Client, settings: Settings, mut report: impl FnMut(Update)) {
    let (sender, mut events) = mpsc::channel(WAITING);
    let mut watches =
        Watches { client, settings: Arc::new(settings), sender, tasks: JoinSet::new(), scopes: Vec::new() };
    watches.start();
    let Watches { settings, tasks, scopes, sender, .. } = watches;
    drop(sender);
    let only_local = settings.node.is_some() && matches!(settings.role, Role::Endpoints | Role::EndpointSlice);
    let plain = scopes.iter().all(|scope| scope.part == Part::Subjects);
    let world = World::new(settings.attach, only_local, plain);
    let mut following = Following { world, scopes, failed: HashMap::new(), listed: HashSet::new(), complete: false };
    while let Some((watch, event)) = events.recv().await {
        following.take(watch, event, &mut report);
    }
    drop(tasks);
}

/// Which objects a watch covers.
struct Scope {
    part: Part,
    /// Empty for all.
    namespace: String,
    /// While a list comes in: what was in it so far.
    listing: Option<HashSet<Key>>,
}

/// What came of the watches so far.
struct Following {
    world: World,
    scopes: Vec<Scope>,
    failed: HashMap<usize, String>,
    /// Watches that have listed what is there.
    listed: HashSet<usize>,
    complete: bool,
}

impl Following {
    fn take(&mut self, watch: usize, event: Event<Fact>, report: &mut impl FnMut(Update)) {
        let changes = match event {
            Event::Listing => {
                self.scopes[watch].listing = Some(HashSet::new());
                Vec::new()
            }
            Event::Set(key, fact) => {
                if let Some(listing) = &mut self.scopes[watch].listing {
                    listing.insert(key.clone());
                }
                self.world.set(key, fact)
            }
            Event::Gone(key) => self.world.remove(self.scopes[watch].part, key),
            Event::Listed => self.listed(watch),
            Event::Failed(words) => {
                self.failed.insert(watch, words.clone());
                return report(Update::Failed(words));
            }
            Event::Works => {
                if self.failed.remove(&watch).is_some() && self.failed.is_empty() {
                    report(Update::Works);
                }
                return;
            }
        };
        // What nothing else has a say in need not wait.
        if self.complete || self.world.plain {
            changes.into_iter().for_each(|change| report(change.into()));
        }
        if !self.complete && self.listed.len() == self.scopes.len() {
            self.complete = true;
            self.world.groups().into_iter().for_each(|group| report(Update::Set(group)));
            report(Update::Complete);
        }
    }

    /// A list is whole: what the watch covers and was not in it is gone.
    fn listed(&mut self, watch: usize) -> Vec<Change> {
        self.listed.insert(watch);
        let scope = &mut self.scopes[watch];
        let Some(listing) = scope.listing.take() else { return Vec::new() };
        let (part, namespace) = (scope.part, scope.namespace.clone());
        let mut gone = self.world.keys(part);
        gone.retain(|key| (namespace.is_empty() || *key.0 == *namespace) && !listing.contains(key));
        gone.into_iter().flat_map(|key| self.world.remove(part, key)).collect()
    }
}

impl From<Change> for Update {
    fn from(change: Change) -> Self {
        match change {
            Change::Set(group) => Self::Set(group),
            Change::Gone(source) => Self::Gone(source),
        }
    }
}

/// The watches being started.
struct Watches {
    client: Client,
    settings: Arc<Settings>,
    sender: mpsc::Sender<(usize, Event<Fact>)>,
    tasks: JoinSet<()>,
    scopes: Vec<Scope>,
}

impl Watches {
    fn start(&mut self) {
        let settings = self.settings.clone();
        let attach = settings.attach;
        let subject = |subject| Some(Fact::Subject(Box::new(subject)));
        let node = settings.node.clone();
        match settings.role {
            Role::Node => {
                let keep = move |node: Node| subject(Subject::Node(node::group(&node)));
                self.in_cluster(Part::Subjects, self.selector(Role::Node), keep);
                return;
            }
            Role::Service => {
                let keep = move |service: Service| subject(Subject::Service(service::Service::keep(&service)));
                self.in_namespaces(Part::Subjects, self.selector(Role::Service), keep);
            }
            Role::Ingress => {
                let keep = move |ingress: Ingress| subject(Subject::Ingress(ingress::Ingress::keep(ingress)));
                self.in_namespaces(Part::Subjects, self.selector(Role::Ingress), keep);
            }
            Role::Pod => {
                let keep = move |pod: Pod| subject(Subject::Pod(pod::Pod::keep(pod)));
                self.in_namespaces(Part::Subjects, self.selector(Role::Pod), keep);
            }
            Role::Endpoints => {
                let keep = move |endpoints: Endpoints| {
                    subject(Subject::Endpoints(endpoints::Endpoints::keep(endpoints, node.as_deref())?))
                };
                self.in_namespaces(Part::Subjects, self.selector(Role::Endpoints), keep);
            }
            Role::EndpointSlice => {
                let keep = move |slice: EndpointSlice| {
                    subject(Subject::Endpoints(endpoints::Endpoints::keep_slice(slice, node.as_deref())?))
                };
                self.in_namespaces(Part::Subjects, self.selector(Role::EndpointSlice), keep);
            }
        }
        let pods = matches!(settings.role, Role::Pod | Role::Endpoints | Role::EndpointSlice);
        if pods && settings.role != Role::Pod {
            let keep = |pod: Pod| Some(Fact::Pod(Box::new(pod::Pod::keep(pod))));
            self.in_namespaces(Part::Pods, self.selector(Role::Pod), keep);
            let keep = |service: Service| Some(Fact::Service(Box::new(service::Facts::keep(&service))));
            self.in_namespaces(Part::Services, self.selector(Role::Service), keep);
        }
        if pods && attach.node {
            let keep = |node: PartialObjectMeta<Node>| Some(Fact::Node(node_labels(&node)));
            self.in_cluster(Part::Nodes, self.selector(Role::Node), keep);
        }
        if attach.namespace {
            let keep = |namespace: PartialObjectMeta<Namespace>| Some(Fact::Namespace(namespace_labels(&namespace)));
            self.in_cluster(Part::Namespaces, Selector::default(), keep);
        }
        if pods && attach.deployment {
            let keep = |set: PartialObjectMeta<ReplicaSet>| made_by(&set, "Deployment").map(Fact::Deployment);
            self.in_namespaces(Part::ReplicaSets, Selector::default(), keep);
        }
        if pods && attach.cronjob {
            let keep = |job: PartialObjectMeta<Job>| made_by(&job, "CronJob").map(Fact::CronJob);
            self.in_namespaces(Part::Jobs, Selector::default(), keep);
        }
    }

    /// The selector of the objects of a role, with what narrows it to this node.
    fn selector(&self, role: Role) -> Selector {
        let given = self.settings.selectors.iter().find(|(of, _)| *of == role);
        let mut selector = given.map(|(_, selector)| selector.clone()).unwrap_or_default();
        let field = match role {
            Role::Node => "metadata.name",
            Role::Pod => "spec.nodeName",
            _ => return selector,
        };
        if let Some(node) = &self.settings.node {
            let comma = if selector.field.is_empty() { "" } else { "," };
            selector.field = format!("{}{comma}{field}={node}", selector.field);
        }
        selector
    }

    fn in_cluster<K>(&mut self, part: Part, selector: Selector, keep: impl FnMut(K) -> Option<Fact> + Send + 'static)
    where
        K: Resource<Scope = ClusterResourceScope, DynamicType: Default>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        let api = Api::all(self.client.clone());
        self.spawn(api, part, String::new(), selector, keep);
    }

    fn in_namespaces<K>(
        &mut self,
        part: Part,
        selector: Selector,
        keep: impl FnMut(K) -> Option<Fact> + Clone + Send + 'static,
    ) where
        K: Resource<Scope = NamespaceResourceScope, DynamicType: Default>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
    {
        if self.settings.namespaces.is_empty() {
            let api = Api::all(self.client.clone());
            return self.spawn(api, part, String::new(), selector, keep);
        }
        for namespace in self.settings.clone().namespaces.clone() {
            let api = Api::namespaced(self.client.clone(), &namespace);
            self.spawn(api, part, namespace, selector.clone(), keep.clone());
        }
    }

    fn spawn<K>(
        &mut self,
        api: Api<K>,
        part: Part,
        namespace: String,
        selector: Selector,
        keep: impl FnMut(K) -> Option<Fact> + Send + 'static,
    ) where
        K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let (watch, sender) = (self.scopes.len(), self.sender.clone());
        self.scopes.push(Scope { part, namespace, listing: None });
        self.tasks.spawn(async move {
            // It ends when the world does.
            let _: Result<(), Closed> = follow(api, &selector, keep, &sender, watch).await;
        });
    }
}

fn node_labels(node: &PartialObjectMeta<Node>) -> LabelSet {
    let mut set = LabelSet::new();
    labels::set_object(&mut set, "node", &node.metadata);
    set
}

/// Without its name, which what is in it has already.
fn namespace_labels(namespace: &PartialObjectMeta<Namespace>) -> LabelSet {
    let mut set = LabelSet::new();
    labels::set_metadata(&mut set, "namespace", &namespace.metadata);
    set
}

fn made_by<K: Resource>(object: &PartialObjectMeta<K>, kind: &str) -> Option<Box<str>> {
    let owner = labels::controller(&object.metadata).filter(|owner| owner.kind == kind)?;
    Some(owner.name.as_str().into())
}
