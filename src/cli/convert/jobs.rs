//! `global` and `scrape_configs`: carried over as they are, but for what this agent does not do.

use super::alerting::Rules;
use super::secrets::Owner;
use super::{Conversion, Yaml, entries, scalar};
use crate::formats::yaml::{Entry, Node, Value};
use crate::options::HttpClientOptions;
use crate::options::joined::keys_of;
use crate::sources::prometheus_scrape::config::{Global, JobConfig, Unsupported, UnsupportedGlobal};

/// Makes native histograms of classic ones.
const NHCB: &str = "convert_classic_histograms_to_nhcb";
const AS_EXPOSED: &str = "classic histograms are scraped as they are exposed";

impl Conversion<'_> {
    /// `global`, and what of it belongs into `identity` and to the rules.
    pub(super) fn global<'a>(
        &mut self,
        node: &'a Node,
        identity: &mut Vec<(String, Yaml)>,
        rules: &mut Rules<'a>,
    ) -> Option<Yaml> {
        let mut global = Vec::new();
        for entry in entries(node) {
            match &*entry.key {
                "external_labels" => {
                    let labels = entries(&entry.node).iter().map(|label| (label.key.to_string(), self.external(label)));
                    identity.push(("external_labels".into(), Yaml::Map(labels.collect())));
                }
                NHCB if is_true(entry) => {
                    self.lost(entry.key_span, format!("`global.{NHCB}` is left out: {AS_EXPOSED}"))
                }
                "evaluation_interval" | "rule_query_offset" => rules.global.push(entry),
                key if keys_of::<Global>().contains(&key) => global.push((key.to_owned(), self.copied(entry))),
                key => {
                    let why = match key {
                        "scrape_failure_log_file" => "why a scrape failed is in the agent's log",
                        key if keys_of::<UnsupportedGlobal>().contains(&key) => {
                            "`admin.query` says what a query may take"
                        }
                        _ => "Prometheus has no such key",
                    };
                    self.lost(entry.key_span, format!("`global.{key}` is left out: {why}"));
                }
            }
        }
        (!global.is_empty()).then_some(Yaml::Map(global))
    }

    /// An external label, with Prometheus's variables as this agent writes them.
    fn external(&mut self, label: &Entry) -> Yaml {
        let Some(text) = scalar(&label.node) else { return Yaml::of(&label.node) };
        let written = variables(text);
        if written == text { Yaml::of(&label.node) } else { Yaml::text(&written) }
    }

    /// The jobs.
    pub(super) fn jobs(&mut self, node: &Node) -> Yaml {
        let Value::List(jobs) = &node.value else { return Yaml::of(node) };
        Yaml::List(jobs.iter().map(|job| self.job(job)).collect())
    }

    fn job(&mut self, node: &Node) -> Yaml {
        let name = entries(node).iter().find(|entry| &*entry.key == "job_name").and_then(|entry| scalar(&entry.node));
        let name = name.unwrap_or("without a name").to_owned();
        let owner = Owner::new("job", &name);
        let (mut job, mut kubernetes) = (Vec::new(), false);
        for entry in entries(node) {
            let key = &*entry.key;
            let known = [keys_of::<JobConfig>(), keys_of::<HttpClientOptions>()].concat();
            if known.contains(&key) && !(key == NHCB && is_true(entry)) {
                kubernetes |= key == "kubernetes_sd_configs";
                let value = self.copied(entry);
                let value = self.without_secrets(&owner, key, &entry.node, value);
                job.extend(value.map(|value| (key.to_owned(), value)));
                continue;
            }
            let why = match key {
                NHCB => AS_EXPOSED,
                "scrape_failure_log_file" => "why a scrape failed is in the agent's log and under `/api/v1/targets`",
                "sigv4" => "use `basic_auth`, `authorization` or `oauth2`, or a proxy that signs",
                key if key.ends_with("_sd_configs") && keys_of::<Unsupported>().contains(&key) => {
                    "let the service write its targets to a file for `file_sd_configs`, or serve them to \
                     `http_sd_configs`"
                }
                _ => "Prometheus has no such key",
            };
            self.lost(entry.key_span, format!("`{key}` of the job `{name}` is left out: {why}"));
        }
        if kubernetes && !job.iter().any(|(key, _)| key == "scope") {
            let behind_name = job.iter().position(|(key, _)| key == "job_name").map_or(0, |at| at + 1);
            job.insert(behind_name, ("scope".into(), Yaml::plain("cluster")));
            let text = format!(
                "the job `{name}` gets `scope: cluster`, as Prometheus scrapes all of its targets; with an agent on \
                 every node take it out"
            );
            self.changed(node.span, text);
        }
        Yaml::Map(job)
    }

    /// A value as it is, with paths that begin at the file's folder written out.
    pub(super) fn copied(&mut self, entry: &Entry) -> Yaml {
        self.with_paths(&entry.key, &entry.node)
    }

    fn with_paths(&self, key: &str, node: &Node) -> Yaml {
        match &node.value {
            Value::Map(entries) => Yaml::Map(
                entries.iter().map(|entry| (entry.key.to_string(), self.with_paths(&entry.key, &entry.node))).collect(),
            ),
            Value::List(items) => Yaml::List(items.iter().map(|item| self.with_paths(key, item)).collect()),
            Value::Scalar(scalar) if (key.ends_with("_file") || key == "files") && !scalar.text.is_empty() => {
                Yaml::text(&self.folder.join(&*scalar.text).to_string_lossy())
            }
            Value::Scalar(_) => Yaml::of(node),
        }
    }
}

fn is_true(entry: &Entry) -> bool {
    scalar(&entry.node) == Some("true")
}

/// `$NAME` and `${NAME}` as `${env:NAME:-}`, `$$` as `$`: Prometheus takes a variable that is not set for empty.
fn variables(text: &str) -> String {
    let word = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let inner = after.strip_prefix('{');
        let from = inner.unwrap_or(after);
        let (name, behind) = from.split_at(from.find(|c| !word(c)).unwrap_or(from.len()));
        match (inner, behind.strip_prefix('}')) {
            (Some(_), Some(behind)) if !name.is_empty() => {
                out.push_str(&format!("${{env:{name}:-}}"));
                rest = behind;
            }
            (None, _) if !name.is_empty() => {
                out.push_str(&format!("${{env:{name}:-}}"));
                rest = behind;
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::variables;

    #[test]
    fn variables_are_written_as_this_agent_reads_them() {
        for (text, written) in [
            ("$HOSTNAME", "${env:HOSTNAME:-}"),
            ("a-${HOSTNAME}-b", "a-${env:HOSTNAME:-}-b"),
            ("5$$", "5$"),
            ("$", "$"),
            ("${}", "${}"),
            ("plain", "plain"),
        ] {
            assert_eq!(variables(text), written, "{text}");
        }
    }
}
