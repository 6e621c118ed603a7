//! The kubelet's folder of pod logs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::data::Resource;
use crate::data::resource::ResourceValue;
use crate::options::Spanned;
use crate::tail::folders::Folders;
use crate::tail::{Discover, Found};

/// Lists the logs of containers.
pub struct Pods {
    root: PathBuf,
    namespaces: Option<GlobSet>,
    /// Of namespaces, pods, containers.
    exclude: [GlobSet; 3],
    own: Option<Own>,
    folders: Folders,
    /// The folders of pods, to be watched for containers.
    pods: Vec<PathBuf>,
}

/// Which pod the agent runs in, as far as it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    uid: Option<String>,
    pod: Option<String>,
    namespace: Option<String>,
}

/// Who wrote a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity<'a> {
    namespace: &'a str,
    pod: &'a str,
    uid: &'a str,
}

/// Patterns of names.
pub fn names(patterns: &[Spanned<String>]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(|error| error.kind().to_string())?);
    }
    set.build().map_err(|error| error.to_string())
}

impl Own {
    /// What the downward API, or the host name in a pod, says.
    pub fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let namespace = variable("POD_NAMESPACE").or_else(|| {
            let file = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
            std::fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
        });
        // Outside a cluster the host name says nothing about pods.
        let in_cluster = variable("KUBERNETES_SERVICE_HOST").is_some();
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        let pod = variable("POD_NAME").or_else(|| host().filter(|_| in_cluster));
        Self { uid: variable("POD_UID"), pod, namespace }
    }

    fn is(&self, identity: Identity<'_>) -> bool {
        if let Some(uid) = &self.uid {
            return uid == identity.uid;
        }
        let namespace = self.namespace.as_deref().is_none_or(|namespace| namespace == identity.namespace);
        namespace && self.pod.as_deref() == Some(identity.pod)
    }
}

impl Pods {
    /// Lists the containers of pods below `root`.
    pub fn new(root: PathBuf, namespaces: Option<GlobSet>, exclude: [GlobSet; 3], own: Option<Own>) -> Self {
        Self { root, namespaces, exclude, own, folders: Folders::default(), pods: Vec::new() }
    }

    fn wants(&self, identity: Identity<'_>) -> bool {
        self.namespaces.as_ref().is_none_or(|wanted| wanted.is_match(identity.namespace))
            && !self.exclude[0].is_match(identity.namespace)
            && !self.exclude[1].is_match(identity.pod)
            && !self.own.as_ref().is_some_and(|own| own.is(identity))
    }

    fn list_container(&mut self, folder: &Path, found: &mut Vec<Found>) -> std::io::Result<()> {
        let names = self.folders.names(folder)?;
        let newest = names.iter().filter_map(|name| restarts(name)).max();
        for name in names.iter() {
            let Some(number) = restarts(name) else { continue };
            let path = folder.join(name);
            if let Some(target) = self.folders.target(&path) {
                found.push(Found { path, target, ended: Some(number) < newest });
            }
        }
        Ok(())
    }
}

impl Discover for Pods {
    fn list(&mut self, found: &mut Vec<Found>) -> Result<(), String> {
        let root = self.root.clone();
        let cannot = |folder: &Path, error: std::io::Error| {
            format!("the folder {} cannot be read: {error}; let the agent's user read it", folder.display())
        };
        if !root.is_dir() {
            return Err(format!(
                "there is no folder {}; mount the node's /var/log there, or set `path`",
                root.display()
            ));
        }
        let names = self.folders.names(&root).map_err(|error| cannot(&root, error))?;
        let mut trouble = Ok(());
        self.pods.clear();
        for name in names.iter() {
            let Some(identity) = Identity::of(name) else { continue };
            if !self.wants(identity) {
                continue;
            }
            let pod = root.join(name);
            match self.folders.names(&pod) {
                Ok(containers) => {
                    for container in containers.iter() {
                        if self.exclude[2].is_match(container) {
                            continue;
                        }
                        let folder = pod.join(container);
                        if let Err(error) = self.list_container(&folder, found) {
                            trouble = trouble.and(Err(cannot(&folder, error)));
                        }
                    }
                }
                Err(error) => trouble = trouble.and(Err(cannot(&pod, error))),
            }
            self.pods.push(pod);
        }
        self.folders.end_look();
        trouble
    }

    fn folders(&self) -> Vec<PathBuf> {
        [self.root.clone()].into_iter().chain(self.pods.iter().cloned()).collect()
    }

    fn resource(&self, found: &Found) -> Resource {
        let name = |path: &Path| path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
        let container = found.path.parent().map(name).unwrap_or_default();
        let pod = found.path.parent().and_then(Path::parent).and_then(Path::file_name);
        let Some(identity) = pod.and_then(Identity::of) else { return Resource::default() };
        let restarts = found.path.file_name().and_then(restarts).unwrap_or_default();
        Resource::new([
            ("k8s.namespace.name".into(), identity.namespace.into()),
            ("k8s.pod.name".into(), identity.pod.into()),
            ("k8s.pod.uid".into(), identity.uid.into()),
            ("k8s.container.name".into(), container.into()),
            ("k8s.container.restart_count".into(), ResourceValue::Int(i64::from(restarts))),
        ])
    }

    fn shown_path(&self, _found: &Found) -> Option<String> {
        None
    }
}

impl<'a> Identity<'a> {
    /// Reads `<namespace>_<pod>_<uid>`; names of namespaces and pods contain no underscore.
    fn of(folder: &'a OsStr) -> Option<Self> {
        let mut parts = folder.to_str()?.split('_');
        let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = parts.next().is_none() && ![namespace, pod, uid].contains(&"");
        whole.then_some(Self { namespace, pod, uid })
    }
}

/// The number in `3.log`.
fn restarts(name: &OsStr) -> Option<u32> {
    name.to_str()?.strip_suffix(".log")?.parse().ok()
}
