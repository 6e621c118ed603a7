//! `kubernetes_sd_configs`: targets from the objects of a cluster. What they become is in
//! [`crate::kubernetes::targets`]; here are the options.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{Discover, Publisher};
use crate::kubernetes::client::{Access, connect, own_namespace};
use crate::kubernetes::targets::{self, Attach, Role, Settings, Update};
use crate::kubernetes::watch::Selector;
use crate::options::problem::Code;
use crate::options::suggest;
use crate::options::{HttpClientOptions, Joined, Problem, Span, Spanned};

/// Options that do not go together.
const BAD_ACCESS: Code = Code("TW0756");

/// A role that is none.
const BAD_ROLE: Code = Code("TW0757");

/// A selector that cannot be.
const BAD_SELECTOR: Code = Code("TW0758");

/// How long to wait before the cluster is looked for again.
const AGAIN: Duration = Duration::from_secs(10);

/// Targets from the objects of a cluster.
pub type KubernetesSdConfig = Joined<KubernetesSd, HttpClientOptions>;

/// Which objects. The keys of HTTP clients, such as `authorization` and `tls_config`, stand beside these where
/// `api_server` is given.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubernetesSd {
    /// What becomes a target: `node`, `service`, `pod`, `endpoints`, `endpointslice` or `ingress`. In a job with
    /// `scope: node` the API server sends the agent's own node and its pods alone; of Endpoints, EndpointSlices and
    /// services it sends all, since it cannot select them by node, and the agent drops what is elsewhere as it
    /// reads it. In a large cluster prefer `pod`, or narrow them with `namespaces` and `selectors`.
    pub role: Spanned<String>,
    /// The address of the API server. Default: the cluster that the agent is a pod of, by its service account.
    #[serde(default)]
    pub api_server: Option<Spanned<String>>,
    /// A kubeconfig, whose current context says how the API server is reached. Excludes `api_server`.
    #[serde(default)]
    pub kubeconfig_file: Option<Spanned<PathBuf>>,
    /// Which namespaces. Default: all.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// Selectors that narrow what the API server sends. Each set of selectors is a watch of its own.
    #[serde(default)]
    pub selectors: Vec<Spanned<SelectorConfig>>,
    /// Metadata of other objects that targets are given. Each needs the right to list and watch those objects.
    #[serde(default)]
    pub attach_metadata: AttachMetadata,
}

/// Which namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Namespaces {
    /// Whether the agent's own namespace is one of them. Default: `false`.
    pub own_namespace: Spanned<bool>,
    /// Their names.
    pub names: Vec<String>,
}

/// A selector of the objects of one role.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectorConfig {
    /// Of which objects.
    pub role: String,
    /// By labels: `app=web,tier in (a, b)`.
    #[serde(default)]
    pub label: String,
    /// By fields: `metadata.name=web`.
    #[serde(default)]
    pub field: String,
}

/// Metadata of other objects that targets are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AttachMetadata {
    /// Name, labels and annotations of the node: roles `pod`, `endpoints`, `endpointslice`. Default: `false`.
    pub node: bool,
    /// Labels and annotations of the namespace: every role but `node`. Default: `false`.
    pub namespace: bool,
    /// The name of the Deployment that a pod belongs to. Default: `false`.
    pub deployment: bool,
    /// The name of the Job that a pod belongs to. Default: `false`.
    pub job: bool,
    /// The name of the CronJob that a pod belongs to. Default: `false`.
    pub cronjob: bool,
}

/// The role of this name.
pub fn role(name: &str) -> Option<Role> {
    Role::ALL.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
}

/// Whether what becomes a target in this role runs on nodes, so that each node can find its own.
pub fn is_of_nodes(name: &str) -> bool {
    matches!(role(name), Some(Role::Node | Role::Pod | Role::Endpoints | Role::EndpointSlice))
}

/// Roles whose objects may be selected.
fn selectable(of: Role) -> &'static [Role] {
    match of {
        Role::Pod => &[Role::Pod, Role::Node],
        Role::Service => &[Role::Service],
        Role::EndpointSlice => &[Role::Pod, Role::Service, Role::EndpointSlice],
        Role::Endpoints => &[Role::Pod, Role::Service, Role::Endpoints],
        Role::Node => &[Role::Node],
        Role::Ingress => &[Role::Ingress],
    }
}

/// What is wrong beyond the shape.
pub fn problems(config: &KubernetesSdConfig, problems: &mut Vec<Problem>) {
    access_problems(config, problems);
    let names: Vec<&str> = Role::ALL.iter().map(|(name, _)| *name).collect();
    match role(&config.role) {
        None => {
            let problem = Problem::new(BAD_ROLE, config.role.span, format!("there is no role `{}`", config.role.value));
            let help = match suggest::nearest(&config.role, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write one of {}", names.join(", ")),
            };
            problems.push(problem.help(help));
        }
        Some(role) => selector_problems(config, role, problems),
    }
    problems.extend(config.shared.problems(config.role.span));
}

fn access_problems(config: &KubernetesSdConfig, problems: &mut Vec<Problem>) {
    let mut wrong = |span: Span, message: &str, help: &str| {
        problems.push(Problem::new(BAD_ACCESS, span, message).help(help));
    };
    let (server, kubeconfig) = (&config.api_server, &config.kubeconfig_file);
    let own = config.namespaces.own_namespace.span;
    if let Some(server) = server {
        if let Err(words) = address(server) {
            wrong(server.span, &words, "write an address such as `https://10.0.0.1:6443`");
        }
        if kubeconfig.is_some() {
            wrong(
                server.span,
                "`api_server` and `kubeconfig_file` both say where the API server is",
                "keep one of them",
            );
        }
    } else if !config.shared.is_default() {
        let message = match kubeconfig {
            Some(_) => "options of the HTTP client do not go with `kubeconfig_file`, which has its own",
            None => "options of the HTTP client are for an `api_server`, and none is given",
        };
        wrong(config.role.span, message, "give `api_server`, or leave the options out");
    }
    if config.namespaces.own_namespace.value && (server.is_some() || kubeconfig.is_some()) {
        wrong(own, "only a pod that reaches its own cluster has an own namespace", "write its name in `names`");
    }
}

fn selector_problems(config: &KubernetesSdConfig, of: Role, problems: &mut Vec<Problem>) {
    let mut wrong = |span: Span, message: String, help: String| {
        problems.push(Problem::new(BAD_SELECTOR, span, message).help(help));
    };
    let name = |role: &Role| Role::ALL.iter().find(|(_, known)| known == role).map_or("", |(name, _)| *name);
    for (index, selector) in config.selectors.iter().enumerate() {
        let allowed = selectable(of);
        if !role(&selector.role).is_some_and(|role| allowed.contains(&role)) {
            let names: Vec<&str> = allowed.iter().map(name).collect();
            let message = format!("the role `{}` looks at no objects of `{}`", config.role.value, selector.role);
            wrong(selector.span, message, format!("select among {}", names.join(", ")));
        }
        if config.selectors[..index].iter().any(|before| before.role == selector.role) {
            let message = format!("objects of `{}` are selected twice", selector.role);
            wrong(selector.span, message, "join the selectors by commas".into());
        }
        // Full rules are the server's; what it would only refuse at run time is said here.
        let bare = |part: &str| !part.trim().is_empty() && !part.contains('=');
        if let Some(part) = selector.field.split(',').find(|part| bare(part)) {
            let message = format!("`{part}` compares no field");
            wrong(selector.span, message, "write `field=value` or `field!=value`".into());
        }
    }
}

fn address(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("`{text}` is no address: {error}"))?;
    let http = matches!(url.scheme(), "http" | "https") && url.has_host();
    if http { Ok(url) } else { Err(format!("`{text}` is no address of http or https with a host")) }
}

/// A `kubernetes_sd_configs` entry, ready to run.
pub struct Kubernetes {
    access: Access,
    own_namespace: bool,
    settings: Settings,
}

impl Kubernetes {
    /// Prepares it; with `node`, for what runs on that node alone. In words why it cannot be.
    pub fn new(config: &KubernetesSdConfig, node: Option<&str>) -> Result<Self, String> {
        let access = match (&config.api_server, &config.kubeconfig_file) {
            (Some(server), _) => Access::Server(address(server)?, Box::new(config.shared.clone())),
            (None, Some(path)) => Access::Kubeconfig(path.value.clone()),
            (None, None) => Access::InCluster,
        };
        let unknown = |name: &str| format!("there is no role `{name}`");
        let selector = |config: &Spanned<SelectorConfig>| {
            let selector = Selector { label: config.label.clone(), field: config.field.clone() };
            Ok((role(&config.role).ok_or_else(|| unknown(&config.role))?, selector))
        };
        let AttachMetadata { node: of_node, namespace, deployment, job, cronjob } = config.attach_metadata;
        Ok(Self {
            access,
            own_namespace: config.namespaces.own_namespace.value,
            settings: Settings {
                role: role(&config.role).ok_or_else(|| unknown(&config.role))?,
                namespaces: config.namespaces.names.clone(),
                selectors: config.selectors.iter().map(selector).collect::<Result<_, String>>()?,
                attach: Attach { node: of_node, namespace, deployment, job, cronjob },
                node: node.map(Into::into),
            },
        })
    }

    async fn follow(&self, found: Publisher) {
        let mut settings = self.settings.clone();
        let client = loop {
            let own = if self.own_namespace { own_namespace().map(Some) } else { Ok(None) };
            let connected =
                async { Ok::<_, crate::kubernetes::client::ConnectError>((own?, connect(&self.access).await?)) };
            match connected.await {
                Ok((own, client)) => {
                    settings.namespaces.extend(own);
                    break client;
                }
                Err(error) => found.failed(&error.to_string()),
            }
            sleep(AGAIN).await;
        };
        targets::run(client, settings, |update| match update {
            Update::Set(group) => found.set(group),
            Update::Gone(source) => found.remove(&source),
            Update::Complete => found.complete(),
            Update::Failed(words) => found.failed(&words),
            Update::Works => found.works(),
        })
        .await;
    }
}

impl Discover for Kubernetes {
    fn run(&self, found: Publisher, shutdown: CancellationToken) -> BoxFuture<'_, ()> {
        async move {
            shutdown.run_until_cancelled(self.follow(found)).await;
        }
        .boxed()
    }
}
