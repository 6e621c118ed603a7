//! `remote_write`: each entry becomes a sink of its own.

use super::{Conversion, SOURCE, Yaml, entries, scalar};
use crate::config::raw::{Entry, Node, Value};
use crate::options::HttpClientOptions;
use crate::options::joined::keys_of;

/// Most requests at once that the sink makes.
const MOST_SHARDS: usize = 64;

/// Keys whose value is a secret.
const SECRETS: [&str; 5] = ["password", "credentials", "bearer_token", "client_secret", "key"];

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
        let (mut version, mut exemplars) = ("1.0", false);
        for entry in entries(node) {
            let key = &*entry.key;
            match key {
                "name" => {}
                "url" | "headers" | "write_relabel_configs" => sink.push((key.to_owned(), self.copied(entry))),
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
                    let value = self.without_secrets(key, &entry.node, value, name, false);
                    sink.push((key.to_owned(), value));
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

    /// The same value with references instead of secrets. `listed` is within a list of secrets.
    fn without_secrets(&mut self, key: &str, node: &Node, value: Yaml, name: &str, listed: bool) -> Yaml {
        match (&node.value, value) {
            (Value::Map(entries), Yaml::Map(values)) => {
                let values = entries.iter().zip(values).map(|(entry, (known, value))| {
                    let listed = key == "proxy_connect_header" || &*entry.key == "secrets";
                    (known, self.without_secrets(&entry.key, &entry.node, value, name, listed))
                });
                Yaml::Map(values.collect())
            }
            (Value::List(items), Yaml::List(values)) => {
                let values = items.iter().zip(values);
                Yaml::List(values.map(|(item, value)| self.without_secrets(key, item, value, name, listed)).collect())
            }
            (Value::Scalar(scalar), value) => {
                let secret = listed || SECRETS.contains(&key);
                if !secret || scalar.text.is_empty() {
                    return value;
                }
                let file = format!("{name}-{}", component(key));
                let (reference, said) = self.secrets.refer(&file, &scalar.text);
                self.changed(node.span, format!("`{key}` of the sink `{name}` {said}"));
                Yaml::text(&reference)
            }
            (_, value) => value,
        }
    }
}

/// A name as components have it: lower case, digits, `_` and `-`.
fn component(name: &str) -> String {
    let letter = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' => c,
        _ => '-',
    };
    name.chars().map(letter).collect::<String>().trim_matches('-').to_owned()
}
