//! `rule_files` and `alerting`: the rules stay where they are, and alerts go to the same Alertmanagers.

use std::sync::Arc;

use super::secrets::Owner;
use super::{Conversion, SOURCE, Yaml, entries, scalar};
use crate::formats::yaml::{Entry, Node, Value};
use crate::options::HttpClientOptions;
use crate::options::joined::keys_of;

/// External labels that commonly name the cluster.
const CLUSTERS: [&str; 3] = ["cluster", "k8s_cluster", "cluster_name"];

/// The name of the receiver that stands for the Alertmanagers.
const RECEIVER: &str = "alertmanager";

/// What Prometheus's file says of rules, as it is found.
#[derive(Default)]
pub(super) struct Rules<'a> {
    pub files: Option<&'a Entry>,
    pub alerting: Option<&'a Entry>,
    /// `evaluation_interval` and `rule_query_offset` of `global`.
    pub global: Vec<&'a Entry>,
}

impl Conversion<'_> {
    /// The block `alerting`; none where there are no rules.
    pub(super) fn alerting(&mut self, rules: &Rules<'_>, identity: &mut Vec<(String, Yaml)>) -> Option<Yaml> {
        let Some(files) = rules.files.filter(|files| !items(&files.node).is_empty()) else {
            for entry in rules.global.iter().chain(&rules.alerting) {
                self.lost(entry.key_span, format!("`{}` is left out: there are no `rule_files`", entry.key));
            }
            return None;
        };
        // A name that was made up would be that of another cluster too.
        let named = rules_cluster(identity);
        if let Some(named) = named {
            identity.insert(0, ("cluster".into(), named));
        }
        let patterns = items(&files.node).iter().map(|pattern| match scalar(pattern) {
            Some(text) => Yaml::text(&self.folder.join(text).to_string_lossy()),
            None => Yaml::of(pattern),
        });
        let mut block = vec![
            ("inputs".to_owned(), Yaml::List(vec![Yaml::plain(SOURCE)])),
            ("rule_files".to_owned(), Yaml::List(patterns.collect())),
        ];
        block.extend(rules.global.iter().map(|entry| (entry.key.to_string(), Yaml::of(&entry.node))));
        let receivers = rules.alerting.map(|alerting| self.alertmanagers(alerting)).unwrap_or_default();
        if !receivers.is_empty() {
            // An Alertmanager groups and waits itself.
            let route = [
                ("receiver", Yaml::plain(RECEIVER)),
                ("group_by", Yaml::List(vec![Yaml::plain("alertname")])),
                ("group_wait", Yaml::plain("1s")),
                ("group_interval", Yaml::plain("5s")),
            ];
            block.push(("route".into(), Yaml::Map(route.map(|(key, value)| (key.to_owned(), value)).into())));
            let receiver = vec![
                ("name".to_owned(), Yaml::plain(RECEIVER)),
                ("alertmanager_configs".to_owned(), Yaml::List(receivers)),
            ];
            block.push(("receivers".into(), Yaml::List(vec![Yaml::Map(receiver)])));
        }
        Some(Yaml::Map(block))
    }

    fn alertmanagers(&mut self, alerting: &Entry) -> Vec<Yaml> {
        let (mut relabel, mut found) = (Vec::new(), Vec::new());
        for entry in entries(&alerting.node) {
            match &*entry.key {
                "alert_relabel_configs" => relabel = items(&entry.node).iter().map(|rule| Yaml::of(rule)).collect(),
                "alertmanagers" => found = items(&entry.node).iter().collect(),
                key => self.lost(entry.key_span, format!("`alerting.{key}` is left out: Prometheus has no such key")),
            }
        }
        let each = found.into_iter().enumerate();
        each.filter_map(|(place, node)| self.alertmanager(place, node, &relabel)).collect()
    }

    fn alertmanager(&mut self, place: usize, node: &Node, relabel: &[Yaml]) -> Option<Yaml> {
        let owner = Owner::new("receiver", &format!("{RECEIVER}-{}", place + 1));
        let named =
            |key: &str| entries(node).iter().find(|entry| &*entry.key == key).and_then(|entry| scalar(&entry.node));
        let scheme = named("scheme").unwrap_or("http");
        let prefix = named("path_prefix").unwrap_or_default().trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        let (mut urls, mut dns, mut http, mut rest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut relabel = relabel.to_vec();
        for entry in entries(node) {
            match &*entry.key {
                "scheme" | "path_prefix" | "api_version" => {}
                "timeout" => rest.push(("timeout".to_owned(), Yaml::of(&entry.node))),
                "alert_relabel_configs" => relabel.extend(items(&entry.node).iter().map(|rule| Yaml::of(rule))),
                "static_configs" => {
                    let targets = items(&entry.node)
                        .iter()
                        .flat_map(|node| entries(node))
                        .filter(|entry| &*entry.key == "targets");
                    let hosts = targets.flat_map(|targets| items(&targets.node)).filter_map(|node| scalar(node));
                    urls.extend(hosts.map(|host| Yaml::text(&format!("{scheme}://{host}{prefix}"))));
                }
                "dns_sd_configs" => {
                    dns.extend(items(&entry.node).iter().flat_map(|config| names(config, scheme, &prefix)));
                }
                key if keys_of::<HttpClientOptions>().contains(&key) => {
                    let value = self.copied(entry);
                    let value = self.without_secrets(&owner, key, &entry.node, value);
                    http.extend(value.map(|value| (key.to_owned(), value)));
                }
                key => {
                    let why = match key {
                        "relabel_configs" => "Alertmanagers are named by `urls` and `dns`, and not relabelled",
                        "sigv4" => "use `basic_auth`, `authorization` or `oauth2`, or a proxy that signs",
                        key if key.ends_with("_sd_configs") => {
                            "name the Alertmanagers by `urls`, or the service's name in the DNS by `dns`"
                        }
                        _ => "Prometheus has no such key",
                    };
                    self.lost(entry.key_span, format!("`{key}` of the Alertmanagers is left out: {why}"));
                }
            }
        }
        if urls.is_empty() && dns.is_empty() {
            self.lost(node.span, "these Alertmanagers are left out: nothing says where they are");
            return None;
        }
        let mut config = Vec::new();
        for (key, list) in [("urls", urls), ("dns", dns), ("alert_relabel_configs", relabel)] {
            if !list.is_empty() {
                config.push((key.to_owned(), Yaml::List(list)));
            }
        }
        if !http.is_empty() {
            config.push(("http_config".into(), Yaml::Map(http)));
        }
        config.extend(rest);
        Some(Yaml::Map(config))
    }
}

/// An entry of `dns` for each name of a `dns_sd_configs`.
fn names(config: &Node, scheme: &str, prefix: &str) -> Vec<Yaml> {
    let of = |key: &str| entries(config).iter().find(|entry| &*entry.key == key).map(|entry| &*entry.node);
    let each = of("names").map(items).unwrap_or_default().iter().filter_map(|node| scalar(node));
    each.map(|name| {
        let mut entry = vec![("name".to_owned(), Yaml::text(name))];
        entry.extend(["type", "port"].iter().filter_map(|key| Some(((*key).to_owned(), Yaml::of(of(key)?)))));
        if scheme != "http" {
            entry.push(("scheme".into(), Yaml::plain(scheme)));
        }
        if !prefix.is_empty() {
            entry.push(("path_prefix".into(), Yaml::text(prefix)));
        }
        Yaml::Map(entry)
    })
    .collect()
}

/// The external label that names the cluster.
fn rules_cluster(identity: &[(String, Yaml)]) -> Option<Yaml> {
    let labels = identity.iter().find(|(key, _)| key == "external_labels");
    let Some((_, Yaml::Map(labels))) = labels else { return None };
    CLUSTERS.iter().find_map(|name| labels.iter().find(|(key, _)| key == name)).map(|(_, value)| value.clone())
}

fn items(node: &Node) -> &[Arc<Node>] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}
