//! What is known of the cluster, and which targets depend on what.

use std::collections::{BTreeSet, HashMap};

use super::endpoints::Endpoints;
use super::ingress::Ingress;
use super::pod::Pod;
use super::service::{Facts, Service};
use crate::data::{LabelSet, TargetGroup};
use crate::kubernetes::watch::Key;

/// Metadata of other objects that targets are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attach {
    /// Of the node that a target is on.
    pub node: bool,
    /// Of the namespace that it is in.
    pub namespace: bool,
    /// The Deployment behind the ReplicaSet behind the pod.
    pub deployment: bool,
    /// The Job behind the pod.
    pub job: bool,
    /// The CronJob behind the Job behind the pod.
    pub cronjob: bool,
}

impl Attach {
    /// Whether something of this kind is looked at.
    pub fn wants(self, dependency: &Dependency) -> bool {
        match dependency {
            Dependency::Pod(_) | Dependency::Service(_) => true,
            Dependency::Node(_) => self.node,
            Dependency::Namespace(_) => self.namespace,
            Dependency::Owner(Owner::ReplicaSet(_)) => self.deployment,
            Dependency::Owner(Owner::Job(_)) => self.cronjob,
        }
    }
}

/// What made a pod and was itself made by something.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    ReplicaSet(Key),
    Job(Key),
}

/// An object that the labels of others come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dependency {
    Pod(Key),
    Service(Key),
    Node(Box<str>),
    Namespace(Box<str>),
    Owner(Owner),
}

/// An object that becomes a group of targets.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A pod.
    Pod(Pod),
    /// A node: what is attached to it comes from itself.
    Node(TargetGroup),
    Service(Service),
    Ingress(Ingress),
    Endpoints(Endpoints),
}

impl Subject {
    fn dependencies(&self, world: &World) -> Vec<Dependency> {
        match self {
            Self::Pod(pod) => pod.dependencies(world),
            Self::Node(_) => Vec::new(),
            Self::Service(service) => service.dependencies(world),
            Self::Ingress(ingress) => ingress.dependencies(world),
            Self::Endpoints(endpoints) => endpoints.dependencies(world),
        }
    }

    fn group(&self, world: &World) -> TargetGroup {
        match self {
            Self::Pod(pod) => pod.group(world),
            Self::Node(group) => group.clone(),
            Self::Service(service) => service.group(world),
            Self::Ingress(ingress) => ingress.group(world),
            Self::Endpoints(endpoints) => endpoints.group(world),
        }
    }
}

/// What is kept of an object, by what it is for.
#[derive(Clone, Debug)]
pub enum Fact {
    /// It becomes a group.
    Subject(Box<Subject>),
    /// It stands behind endpoints.
    Pod(Box<Pod>),
    /// Endpoints belong to it.
    Service(Box<Facts>),
    /// It is attached.
    Node(LabelSet),
    /// It is attached.
    Namespace(LabelSet),
    /// The Deployment that a ReplicaSet belongs to.
    Deployment(Box<str>),
    /// The CronJob that a Job belongs to.
    CronJob(Box<str>),
}

/// Which of the world's parts a watch fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Subjects,
    Pods,
    Services,
    Nodes,
    Namespaces,
    ReplicaSets,
    Jobs,
}

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct World {
    /// What is attached.
    pub attach: Attach,
    /// Whether only pods of this node are known, so that what refers to another pod is elsewhere.
    pub only_local: bool,
    /// Whether nothing but the subjects themselves is known: then their groups are all that is kept of them.
    pub plain: bool,
    pub pods: HashMap<Key, Pod>,
    pub services: HashMap<Key, Facts>,
    pub nodes: HashMap<Box<str>, LabelSet>,
    pub namespaces: HashMap<Box<str>, LabelSet>,
    /// Deployments by their ReplicaSets.
    pub replica_sets: HashMap<Key, Box<str>>,
    /// CronJobs by their Jobs.
    pub jobs: HashMap<Key, Box<str>>,
    /// What each is, unless the world is plain, and the source of its group.
    subjects: HashMap<Key, (Option<Subject>, Box<str>)>,
    dependents: HashMap<Dependency, BTreeSet<Key>>,
}

/// A group that is new or changed, or the source of one that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Set(TargetGroup),
    Gone(Box<str>),
}

impl World {
    /// A world of which nothing is known yet.
    pub fn new(attach: Attach, only_local: bool, plain: bool) -> Self {
        Self { attach, only_local, plain, ..Self::default() }
    }

    /// An object is there, or changed. Returns what that changes.
    pub fn set(&mut self, key: Key, fact: Fact) -> Vec<Change> {
        let changed = match fact {
            Fact::Subject(subject) => return vec![self.set_subject(key, *subject)],
            Fact::Pod(pod) => {
                let before = self.pods.insert(key.clone(), *pod);
                (before.as_ref() != self.pods.get(&key)).then_some(Dependency::Pod(key))
            }
            Fact::Service(facts) => {
                let before = self.services.insert(key.clone(), *facts);
                (before.as_ref() != self.services.get(&key)).then_some(Dependency::Service(key))
            }
            Fact::Node(labels) => {
                let before = self.nodes.insert(key.1.clone(), labels);
                (before.as_ref() != self.nodes.get(&key.1)).then_some(Dependency::Node(key.1))
            }
            Fact::Namespace(labels) => {
                let before = self.namespaces.insert(key.1.clone(), labels);
                (before.as_ref() != self.namespaces.get(&key.1)).then_some(Dependency::Namespace(key.1))
            }
            Fact::Deployment(name) => {
                let before = self.replica_sets.insert(key.clone(), name);
                (before.as_ref() != self.replica_sets.get(&key)).then_some(Dependency::Owner(Owner::ReplicaSet(key)))
            }
            Fact::CronJob(name) => {
                let before = self.jobs.insert(key.clone(), name);
                (before.as_ref() != self.jobs.get(&key)).then_some(Dependency::Owner(Owner::Job(key)))
            }
        };
        changed.map_or_else(Vec::new, |dependency| self.changes(&dependency))
    }

    /// An object is gone. Returns what that changes.
    pub fn remove(&mut self, part: Part, key: Key) -> Vec<Change> {
        let (known, dependency) = match part {
            Part::Subjects => {
                let gone = self.forget(&key).map(|(_, source)| Change::Gone(source));
                return gone.into_iter().collect();
            }
            Part::Pods => (self.pods.remove(&key).is_some(), Dependency::Pod(key)),
            Part::Services => (self.services.remove(&key).is_some(), Dependency::Service(key)),
            Part::Nodes => (self.nodes.remove(&key.1).is_some(), Dependency::Node(key.1)),
            Part::Namespaces => (self.namespaces.remove(&key.1).is_some(), Dependency::Namespace(key.1)),
            Part::ReplicaSets => (self.replica_sets.remove(&key).is_some(), Dependency::Owner(Owner::ReplicaSet(key))),
            Part::Jobs => (self.jobs.remove(&key).is_some(), Dependency::Owner(Owner::Job(key))),
        };
        if known { self.changes(&dependency) } else { Vec::new() }
    }

    /// The keys of a part.
    pub fn keys(&self, part: Part) -> Vec<Key> {
        let named = |names: &HashMap<Box<str>, LabelSet>| names.keys().map(|name| ("".into(), name.clone())).collect();
        match part {
            Part::Subjects => self.subjects.keys().cloned().collect(),
            Part::Pods => self.pods.keys().cloned().collect(),
            Part::Services => self.services.keys().cloned().collect(),
            Part::Nodes => named(&self.nodes),
            Part::Namespaces => named(&self.namespaces),
            Part::ReplicaSets => self.replica_sets.keys().cloned().collect(),
            Part::Jobs => self.jobs.keys().cloned().collect(),
        }
    }

    /// All groups that can be made anew.
    pub fn groups(&self) -> Vec<TargetGroup> {
        self.subjects.values().filter_map(|(subject, _)| Some(subject.as_ref()?.group(self))).collect()
    }

    fn set_subject(&mut self, key: Key, subject: Subject) -> Change {
        self.forget(&key);
        let dependencies = subject.dependencies(self);
        let group = subject.group(self);
        let kept = (!self.plain).then_some(subject);
        for dependency in dependencies {
            self.dependents.entry(dependency).or_default().insert(key.clone());
        }
        self.subjects.insert(key, (kept, group.source.clone()));
        Change::Set(group)
    }

    fn forget(&mut self, key: &Key) -> Option<(Option<Subject>, Box<str>)> {
        let (subject, source) = self.subjects.remove(key)?;
        for dependency in subject.as_ref().map(|subject| subject.dependencies(self)).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&dependency) {
                dependents.remove(key);
                if dependents.is_empty() {
                    self.dependents.remove(&dependency);
                }
            }
        }
        Some((subject, source))
    }

    /// The groups of everything that depends on an object.
    fn changes(&self, dependency: &Dependency) -> Vec<Change> {
        let mut keys: BTreeSet<&Key> = self.dependents.get(dependency).into_iter().flatten().collect();
        if let Dependency::Owner(owner) = dependency {
            // Of pods that stand behind endpoints.
            let made = self.pods.values().filter(|pod| pod.owner.as_ref() == Some(owner));
            let behind = made.filter_map(|pod| self.dependents.get(&Dependency::Pod(pod.key.clone())));
            keys.extend(behind.flatten());
        }
        let subjects = keys.into_iter().filter_map(|key| self.subjects.get(key)?.0.as_ref());
        subjects.map(|subject| Change::Set(subject.group(self))).collect()
    }
}
