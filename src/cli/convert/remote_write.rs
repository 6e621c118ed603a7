//! `remote_write`: each entry becomes a sink of its own.

use super::secrets::{LOGINS, Owner, sounds_secret};
use super::{Conversion, SOURCE, Yaml, component, entries, scalar};
use crate::formats::yaml::{Entry, Node, Value};
use crate::options::HttpClientOptions;
use crate::options::joined::keys_of;

/// Most requests at once that the sink makes.
const MOST_SHARDS: usize = 64;

impl Conversion<'_> {
    /// The sinks.
    pub(super) fn sinks(&mut self, node: &Node) -> Vec<(String, Yaml)> {
        let Value::List(items) = &node.value else { return Vec::new() };
        let mut sinks: Vec<(String, Yaml)> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let written =
                entries(item).iter().find(|entry| &*entry.key == "name").and_then(|entry| scalar(&entry.node));
            let mut name = component(written.unwrap_or(""));
            if name.is_empty() || sinks.iter().any(|(known, _)| known.ends_with(&format!("/{name}"))) {
                name = format!("remote-{}", index + 1);
            }
            let sink = self.sink(item, &name);
            sinks.push((format!("prometheus_remote_write/{name}"), Yaml::Map(sink)));
        }
        sinks
    }

    fn sink(&mut self, node: &Node, name: &str) -> Vec<(String, Yaml)> {
        let mut sink = vec![("inputs".to_owned(), Yaml::List(vec![Yaml::plain(SOURCE)]))];
        let owner = Owner::new("sink", name);
        let (mut version, mut exemplars) = ("1.0", false);
        let mut secret_headers = Vec::new();
        let login = self.login(&owner, entries(node));
        for entry in entries(node) {
            let key = &*entry.key;
            match key {
                "name" => {}
                "url" => {
                    let url = login.as_ref().map_or_else(|| self.copied(entry), |login| login.url.clone());
                    sink.push((key.to_owned(), url));
                }
                key if login.is_some() && LOGINS.contains(&key) => {}
                "headers" => {
                    let (secret, plain): (Vec<_>, Vec<_>) =
                        entries(&entry.node).iter().partition(|header| sounds_secret(&header.key));
                    for header in secret {
                        let Some(value) = scalar(&header.node) else { continue };
                        let value = self.reference(&owner, &header.key, value, &header.node);
                        let secrets = Yaml::Map(vec![("secrets".into(), Yaml::List(vec![value]))]);
                        secret_headers.push((header.key.to_string(), secrets));
                    }
                    let plain = plain.into_iter().map(|header| (header.key.to_string(), Yaml::of(&header.node)));
                    sink.push((key.to_owned(), Yaml::Map(plain.collect())));
                }
                "write_relabel_configs" => sink.push((key.to_owned(), self.copied(entry))),
                "remote_timeout" => sink.push(("timeout".into(), Yaml::of(&entry.node))),
                "send_exemplars" => exemplars = scalar(&entry.node) == Some("true"),
                "send_native_histograms" => {
                    if scalar(&entry.node) == Some("false") {
                        self.changed(entry.key_span, "native histograms are always sent, where they are scraped");
                    }
                }
                "protobuf_message" => match scalar(&entry.node) {
                    Some("io.prometheus.write.v2.Request") => version = "2.0",
                    _ => version = "1.0",
                },
                "queue_config" => self.queue(entry, &mut sink),
                "metadata_config" => self.metadata(entry, &mut sink),
                key if keys_of::<HttpClientOptions>().contains(&key) => {
                    let value = self.copied(entry);
                    let value = self.without_secrets(&owner, key, &entry.node, value);
                    sink.extend(value.map(|value| (key.to_owned(), value)));
                }
                key => {
                    let why = match key {
                        "sigv4" | "azuread" | "google_iam" => {
                            "use `basic_auth`, `authorization` or `oauth2`, or a proxy that signs"
                        }
                        "round_robin_dns" => "every connection asks the DNS and takes what it says first",
                        _ => "Prometheus has no such key",
                    };
                    self.lost(entry.key_span, format!("`remote_write.{key}` is left out: {why}"));
                }
            }
        }
        sink.extend(login.map(|login| ("basic_auth".into(), login.basic_auth)));
        with_headers(secret_headers, &mut sink);
        // What Prometheus does unless it is told otherwise is not what this agent does.
        sink.push(("version".into(), Yaml::text(version)));
        sink.push(("send_exemplars".into(), Yaml::plain(if exemplars { "true" } else { "false" })));
        sink
    }

    fn queue(&mut self, queue: &Entry, sink: &mut Vec<(String, Yaml)>) {
        let mut shards = Vec::new();
        for entry in entries(&queue.node) {
            let key = &*entry.key;
            match key {
                "min_shards" | "max_shards" => {
                    let Some(written) = scalar(&entry.node).and_then(|text| text.parse::<usize>().ok()) else {
                        continue;
                    };
                    let power = written.clamp(1, MOST_SHARDS);
                    let power = if power.is_power_of_two() { power } else { power.next_power_of_two() / 2 };
                    if power != written {
                        let text = format!("`queue_config.{key}: {written}` becomes {power}: a power of two up to 64");
                        self.changed(entry.key_span, text);
                    }
                    shards.push((key.trim_end_matches("_shards").to_owned(), Yaml::Scalar(power.to_string())));
                }
                "batch_send_deadline" => {
                    let linger = Yaml::Map(vec![("linger".into(), Yaml::of(&entry.node))]);
                    sink.push(("batch".into(), linger));
                }
                "retry_on_http_429" => {
                    if scalar(&entry.node) != Some("true") {
                        self.lost(
                            entry.key_span,
                            "`queue_config.retry_on_http_429` is left out: 429 is always retried",
                        );
                    }
                }
                key => {
                    let why = match key {
                        "capacity" => "the queue is bounded in bytes by `buffer`",
                        "max_samples_per_send" => "requests are bounded in bytes by `batch.max_bytes`",
                        "min_backoff" | "max_backoff" => {
                            "the pause before a retry grows by itself, and Retry-After is \
                                                          honoured"
                        }
                        "sample_age_limit" => "nothing is dropped for its age",
                        _ => "Prometheus has no such key",
                    };
                    self.lost(entry.key_span, format!("`queue_config.{key}` is left out: {why}"));
                }
            }
        }
        // The least is at most the most, which is 8 unless it is written.
        let of = |key: &str| {
            shards.iter().find(|(known, _)| known == key).and_then(|(_, value)| match value {
                Yaml::Scalar(text) => text.parse::<usize>().ok(),
                _ => None,
            })
        };
        if let (Some(min), None) = (of("min"), of("max"))
            && min > 8
        {
            shards.push(("max".into(), Yaml::Scalar(MOST_SHARDS.to_string())));
        }
        if !shards.is_empty() {
            sink.push(("shards".into(), Yaml::Map(shards)));
        }
    }

    fn metadata(&mut self, metadata: &Entry, sink: &mut Vec<(String, Yaml)>) {
        for entry in entries(&metadata.node) {
            match &*entry.key {
                "send" => sink.push(("send_metadata".into(), Yaml::of(&entry.node))),
                key => {
                    let why = "metadata goes with the samples in 2.0, and once a minute in 1.0";
                    self.lost(entry.key_span, format!("`metadata_config.{key}` is left out: {why}"));
                }
            }
        }
    }
}

/// Adds headers to those of the HTTP client.
fn with_headers(headers: Vec<(String, Yaml)>, sink: &mut Vec<(String, Yaml)>) {
    if headers.is_empty() {
        return;
    }
    sink.retain(|(key, value)| key != "headers" || *value != Yaml::Map(Vec::new()));
    match sink.iter_mut().find(|(key, _)| key == "http_headers") {
        Some((_, Yaml::Map(known))) => known.extend(headers),
        _ => sink.push(("http_headers".into(), Yaml::Map(headers))),
    }
}
