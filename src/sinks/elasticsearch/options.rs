//! The options of the sink, and what is wrong with them.

use std::collections::BTreeMap;
use std::time::Duration as StdDuration;

use http::header::{HeaderName, HeaderValue};
use url::Url;

use crate::data::Signal;
use crate::delivery::dead_letter::DeadLetterOptions;
use crate::formats::compression::Compression;
use crate::formats::document::Layout;
use crate::formats::elasticsearch::bulk::DocumentId;
use crate::options::{ByteSize, ClientTls, Code, Duration, Problem, Secret, Span, Spanned};

/// Options of the sink `elasticsearch`.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Addresses of the cluster, such as `https://es.logging:9200`. Requests go round; one that does not
    /// answer is left alone for a while.
    pub endpoints: Spanned<Vec<Spanned<String>>>,
    /// The index, or the alias of one, that documents go to. Write either this or `data_stream`.
    #[serde(default)]
    pub index: Option<Spanned<String>>,
    /// The data streams that documents go to: records to `logs-<dataset>-<namespace>`, spans to
    /// `traces-<dataset>-<namespace>`. Default, where `index` is absent too: `logs-generic-default` and
    /// `traces-generic-default`.
    #[serde(default)]
    pub data_stream: Option<Spanned<DataStream>>,
    /// Where the fields of a record stand: `otel` or `ecs`. Default: `otel`. Spans have `otel` alone.
    #[serde(default)]
    pub mapping: Layout,
    /// How bodies are compressed: `gzip` or `none`. Default: `gzip`. With `none` the agent needs less
    /// processor and the network carries about four times as much.
    #[serde(default)]
    pub compression: CompressionKind,
    /// Level of gzip, from 1 (fastest) to 9 (smallest). Default: `1`.
    #[serde(default = "level")]
    pub compression_level: Spanned<u32>,
    /// An API key in its encoded form, `${file:…}` or `${env:…}`. Read again after a 401 or 403, and when its
    /// file changes.
    #[serde(default)]
    pub api_key: Option<Spanned<Secret>>,
    /// User and password, where there is no API key.
    #[serde(default)]
    pub basic: Option<Basic>,
    /// TLS towards the cluster.
    #[serde(default)]
    pub tls: ClientTls,
    /// Further headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    /// Where `_id` comes from: `position` or `auto`. Default: `position`, which makes a line or a span that had to be
    /// sent twice one document.
    #[serde(default)]
    pub document_id: DocumentId,
    /// Whether the index template `tailwater-<name>` is installed (or brought up to date) before the first
    /// document. A template of that name that is not this agent's is never touched. Default: `install`.
    #[serde(default)]
    pub template: Template,
    /// How documents are gathered into requests.
    #[serde(default)]
    pub batch: Batch,
    /// Time for one request. After it the request counts as unanswered and is sent again. Default: `30s`.
    #[serde(default = "timeout")]
    pub timeout: Spanned<Duration>,
    /// Most requests in flight; fewer while the cluster says that it is busy. Each takes about twice
    /// `batch.max_bytes` of memory. Default: `4`.
    #[serde(default = "concurrency")]
    pub concurrency: Spanned<u32>,
    /// Where documents go that the cluster refuses for good.
    #[serde(default)]
    pub dead_letter: DeadLetterOptions,
}

/// A data stream by the parts of its name: `<type>-<dataset>-<namespace>`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DataStream {
    /// What the data is: `logs` or `traces`. Default: what the input is; where it is given, it must be that.
    #[serde(rename = "type")]
    pub kind: Option<StreamType>,
    /// Where it comes from. Default: `generic`.
    pub dataset: String,
    /// Whose it is: a team, an environment. Default: `default`.
    pub namespace: String,
}

/// The type of a data stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StreamType {
    /// Log records.
    Logs,
    /// Spans.
    Traces,
}

impl StreamType {
    const fn signal(self) -> Signal {
        match self {
            Self::Logs => Signal::Logs,
            Self::Traces => Signal::Traces,
        }
    }
}

impl Default for DataStream {
    fn default() -> Self {
        Self { kind: None, dataset: "generic".into(), namespace: "default".into() }
    }
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum CompressionKind {
    /// Not at all.
    None,
    /// RFC 1952.
    #[default]
    Gzip,
}

/// User and password.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Basic {
    /// The user.
    pub user: String,
    /// The password, `${file:…}` or `${env:…}`. Read again after a 401 or 403, and when its file changes.
    pub password: Secret,
}

/// What is done about the index template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Template {
    /// It is installed, or brought up to date.
    #[default]
    Install,
    /// Nothing: somebody else takes care of mappings.
    Off,
}

/// How documents are gathered into requests.
#[derive(Clone, Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Batch {
    /// Most bytes of a request's body before compression; a single document may be larger. Default: `2MiB`.
    pub max_bytes: Spanned<ByteSize>,
    /// Longest time that a record waits for others. Default: `1s`.
    pub linger: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self { max_bytes: Spanned::unknown(ByteSize(2 << 20)), linger: Duration(StdDuration::from_secs(1)) }
    }
}

fn level() -> Spanned<u32> {
    Spanned::unknown(1)
}

fn timeout() -> Spanned<Duration> {
    Spanned::unknown(Duration(StdDuration::from_secs(30)))
}

fn concurrency() -> Spanned<u32> {
    Spanned::unknown(4)
}

impl Options {
    /// The addresses, as far as they are valid.
    pub fn urls(&self) -> Vec<Url> {
        self.endpoints.iter().filter_map(|endpoint| parse_endpoint(endpoint).ok()).collect()
    }

    /// The data stream, where documents go to one.
    pub fn stream(&self) -> Option<DataStream> {
        match (&self.index, &self.data_stream) {
            (_, Some(stream)) => Some(stream.value.clone()),
            (None, None) => Some(DataStream::default()),
            (Some(_), None) => None,
        }
    }

    /// What is wrong where the input is of this signal.
    pub fn problems_with(&self, signal: Option<Signal>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let stream = self.data_stream.as_ref().and_then(|stream| Some((stream.kind?, stream.span)));
        if let (Some(signal @ (Signal::Logs | Signal::Traces)), Some((kind, span))) = (signal, stream)
            && kind.signal() != signal
        {
            let message = format!("the input is {}, the stream's type is `{}`", signal.name(), kind.signal().name());
            let problem = Problem::new(Code("TW0623"), span, message);
            problems.push(problem.help("leave `type` out, or give each signal a sink of its own"));
        }
        if signal == Some(Signal::Traces) && self.mapping == Layout::Ecs {
            // A word has no place of its own: it is told at the component.
            let problem = Problem::new(Code("TW0624"), Span::UNKNOWN, "spans have no `mapping: ecs`");
            problems.push(problem.help("take `mapping: otel` for them"));
        }
        problems
    }

    /// Name of the index, alias or data stream that documents of a signal go to.
    pub fn target(&self, signal: Signal) -> String {
        match (self.stream(), &self.index) {
            (Some(stream), _) => format!("{}-{}-{}", signal.name(), stream.dataset, stream.namespace),
            (None, Some(index)) => index.value.clone(),
            (None, None) => String::new(),
        }
    }

    /// How bodies are compressed.
    pub fn body_compression(&self) -> Compression {
        match self.compression {
            CompressionKind::None => Compression::None,
            CompressionKind::Gzip => Compression::Gzip(self.compression_level.value),
        }
    }

    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |code, span, message: String, help: &str| {
            problems.push(Problem::new(Code(code), span, message).help(help));
        };
        if self.endpoints.is_empty() {
            let help = "write at least one address, such as [\"https://es.logging:9200\"]";
            wrong("TW0611", self.endpoints.span, "`endpoints` is empty".into(), help);
        }
        for endpoint in self.endpoints.iter() {
            if let Err(why) = parse_endpoint(endpoint) {
                let help = "write scheme, host and port, such as https://es.logging:9200";
                wrong("TW0612", endpoint.span, format!("`{}` is not an address: {why}", endpoint.value), help);
            }
        }
        if let (Some(index), Some(_)) = (&self.index, &self.data_stream) {
            let help = "keep `data_stream` for logs that roll over, or `index` for one index or alias";
            wrong("TW0613", index.span, "`index` and `data_stream` exclude each other".into(), help);
        }
        if let Some(index) = &self.index
            && let Err(why) = check_name(&index.value)
        {
            let help = "use lower-case letters, digits, `-`, `_` and `.`";
            wrong("TW0614", index.span, format!("Elasticsearch takes no index named `{}`: {why}", index.value), help);
        }
        if let Some(stream) = &self.data_stream {
            for (option, part) in [("dataset", &stream.dataset), ("namespace", &stream.namespace)] {
                if let Err(why) = check_name(part).and_then(|()| no_dash(part)) {
                    let help = "use lower-case letters, digits, `_` and `.`";
                    wrong("TW0615", stream.span, format!("`{option}` cannot be `{part}`: {why}"), help);
                }
            }
        }
        if !(1..=9).contains(&self.compression_level.value) {
            let message = format!("`compression_level` is {}", self.compression_level.value);
            wrong("TW0616", self.compression_level.span, message, "write a level from 1 (fastest) to 9 (smallest)");
        }
        if let (Some(key), Some(_)) = (&self.api_key, &self.basic) {
            let help = "keep the one that the cluster expects";
            wrong("TW0617", key.span, "`api_key` and `basic` exclude each other".into(), help);
        }
        for (name, value) in &self.headers {
            let valid = HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok();
            if !valid {
                wrong("TW0618", value.span, format!("`{name}` with this value is not a header"), "see RFC 9110");
            }
        }
        if !(64 << 10..=64 << 20).contains(&self.batch.max_bytes.0) {
            let message = format!("`batch.max_bytes` is {}", self.batch.max_bytes.value);
            wrong("TW0619", self.batch.max_bytes.span, message, "write a size from 64KiB to 64MiB, such as 2MiB");
        }
        if self.timeout.0 < StdDuration::from_millis(100) {
            let message = format!("`timeout` is {}", self.timeout.value);
            wrong("TW0620", self.timeout.span, message, "write a time that a slow answer needs, such as 30s");
        }
        if !(1..=64).contains(&self.concurrency.value) {
            let message = format!("`concurrency` is {}", self.concurrency.value);
            wrong("TW0621", self.concurrency.span, message, "write a number from 1 to 64, such as 4");
        }
        if self.tls.cert_file.is_some() != self.tls.key_file.is_some() {
            let message = "`tls.cert_file` and `tls.key_file` go together".into();
            wrong("TW0622", Span::UNKNOWN, message, "give both, or neither");
        }
        problems
    }
}

fn parse_endpoint(endpoint: &Spanned<String>) -> Result<Url, String> {
    let url = Url::parse(&endpoint.value).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme is `{}`, not http or https", url.scheme()));
    }
    if url.host_str().is_none() {
        return Err("it has no host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials belong into `basic` or `api_key`".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it has a query or a fragment".into());
    }
    Ok(url)
}

/// The rules of Elasticsearch for names of indices.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > 255 {
        return Err("a name has 1 to 255 bytes");
    }
    if name.starts_with(['-', '_', '+']) || name == "." || name == ".." {
        return Err("it begins with `-`, `_` or `+`, or is only dots");
    }
    if name.chars().any(char::is_uppercase) {
        return Err("it has upper-case letters");
    }
    if name.contains(['\\', '/', '*', '?', '"', '<', '>', '|', ' ', ',', '#', ':']) || name.contains(char::is_control) {
        return Err(r##"it has one of \ / * ? " < > | , # : or a blank"##);
    }
    Ok(())
}

fn no_dash(part: &str) -> Result<(), &'static str> {
    if part.contains('-') { Err("a dash separates the parts of a data stream's name") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(json: serde_json::Value) -> Vec<&'static str> {
        let options: Options = serde_json::from_value(json).expect("the shape is right");
        options.problems().into_iter().map(|problem| problem.code.0).collect()
    }

    #[test]
    fn tells_everything_that_is_wrong_at_once() {
        let good = serde_json::json!({ "endpoints": ["http://127.0.0.1:9200"], "index": "logs", "mapping": "ecs", "compression": "none" });
        assert!(codes(good).is_empty());
        let bad = serde_json::json!({
            "endpoints": ["es:9200", "http://user:pw@es"], "index": "Logs", "data_stream": { "dataset": "a-b" },
            "compression_level": 0, "concurrency": 0, "timeout": "1ms", "batch": { "max_bytes": "1KiB" },
            "tls": { "cert_file": "/x" }
        });
        let expected =
            ["TW0612", "TW0612", "TW0613", "TW0614", "TW0615", "TW0616", "TW0619", "TW0620", "TW0621", "TW0622"];
        assert_eq!(codes(bad), expected);
    }

    #[test]
    fn without_a_target_documents_go_to_the_generic_data_stream() {
        let options = serde_json::json!({ "endpoints": ["http://127.0.0.1:9200"] });
        let options: Options = serde_json::from_value(options).expect("the shape is right");
        assert_eq!(options.target(Signal::Logs), "logs-generic-default");
        assert_eq!(options.target(Signal::Traces), "traces-generic-default");
    }
}
