//! `tailwater explain`: what the codes of errors and warnings mean. `docs/reference/error-codes.md` is made
//! from the same table, and a test holds that every code of the source is in it.

use std::fmt;

/// What a code means.
pub struct Explanation {
    /// The code, never given to anything else.
    pub code: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// When it comes up, and what to do.
    pub text: &'static str,
}

/// A code that is not in the table.
#[derive(Debug, thiserror::Error)]
#[error("there is no code `{0}`; they have the form TW0305, and `tailwater explain` lists them")]
pub struct UnknownCode(String);

/// The explanation of one code, or of all.
pub fn explain(code: Option<&str>) -> Result<String, UnknownCode> {
    let Some(code) = code else {
        return Ok(CODES.iter().map(|known| format!("{}  {}\n", known.code, known.title)).collect());
    };
    let known = CODES.iter().find(|known| known.code.eq_ignore_ascii_case(code));
    known.map(ToString::to_string).ok_or_else(|| UnknownCode(code.to_owned()))
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n\n{}", self.code, self.title, self.text)
    }
}

const fn code(code: &'static str, title: &'static str, text: &'static str) -> Explanation {
    Explanation { code, title, text }
}

/// All codes in the order of their numbers. TW00 is about files and YAML, TW01 about `${…}` and secrets,
/// TW02 about keys and values, TW03 about names and inputs, TW04 about expressions, steps and routes, TW05 about
/// options of sources, TW06 about options of sinks, TW07 about `tests`, HTTP clients,
/// relabelling and scraping; TW080 are warnings, TW081 about buffers and disk queues; TW09 comes from parts that
/// cannot be prepared.
pub const CODES: &[Explanation] = &[
    code(
        "TW0001",
        "a file or folder cannot be read",
        "The path given with `--config`, or a file of that folder, is missing, is larger than 4 MiB, is not UTF-8, or \
         this user may not read it. Correct the path or the permissions.",
    ),
    code(
        "TW0002",
        "this is not YAML",
        "The file does not follow YAML 1.2. A tab used as indentation, a missing space behind a colon and an open \
         quote are the usual reasons. Nothing else in the file can be checked before this is right, so it is told \
         alone.",
    ),
    code(
        "TW0003",
        "a key is written twice",
        "One mapping has the same key twice. YAML forbids it, and one of the values would be lost. Keep one.",
    ),
    code(
        "TW0004",
        "the configuration is too large",
        "A file nests lists and mappings deeper than 64, stands for more than 200,000 values (aliases counted each \
         time they are used), or a list of steps becomes longer than 10,000 by its fragments. Split it, or use \
         fewer aliases.",
    ),
    code(
        "TW0005",
        "this part of YAML is not supported",
        "A second document in one file, a tag of your own (`!name`), a key that is not plain text, or an alias that \
         stands in its own value. Write it another way.",
    ),
    code(
        "TW0006",
        "a folder holds no configuration",
        "A folder given with `--config` holds no file that ends in .yaml or .yml. Names that begin with a dot do not \
         count.",
    ),
    code(
        "TW0007",
        "one thing is in two files",
        "A component, a fragment or a root key stands in two files of the configuration; the error names both. Keep \
         it in one of them.",
    ),
    code(
        "TW0101",
        "a variable is not set",
        "`${env:NAME}` names a variable that the agent's environment does not have. Set it, or give a default with \
         `${env:NAME:-default}`.",
    ),
    code(
        "TW0102",
        "a file named by a value cannot be read",
        "The file of `${file:/path}` is missing, is larger than 1 MiB, is not UTF-8, or this user may not read it. \
         Mount the file, or correct the path.",
    ),
    code(
        "TW0103",
        "a reference is not complete",
        "`${env:…}` or `${file:…}` has no closing brace, names no variable, or has a path that is not absolute. For \
         the text itself write `$${env:`.",
    ),
    code(
        "TW0104",
        "a secret is written into the configuration",
        "Options that hold secrets take one reference and nothing else: `\"${file:/path}\"` or `\"${env:NAME}\"`. \
         A file is read again when it changes, without a restart.",
    ),
    code(
        "TW0201",
        "a key is not known here",
        "The key is misspelt, indented to the wrong place, or belongs to another component. The error names the \
         nearest known key; the reference lists all.",
    ),
    code(
        "TW0202",
        "a value is of the wrong type",
        "A list stands where a single value is expected, a text where a number is, or a duration or size has no \
         unit. The error says what the option takes.",
    ),
    code("TW0203", "a key is missing", "The option has no default. Write it; the reference says what it takes."),
    code(
        "TW0204",
        "a word is not one of those known here",
        "The option takes one of a few words. The error names the nearest, or all of them.",
    ),
    code(
        "TW0205",
        "a value cannot be used",
        "The value has the right type, but cannot be used as it is. The error says why and what to write instead.",
    ),
    code(
        "TW0206",
        "this is not available in this version",
        "The option is planned, and this version does not have it. Leave it out.",
    ),
    code(
        "TW0301",
        "this is not a component's name",
        "Components are called `type/name`, such as `elasticsearch/logs`. Both parts consist of a-z, 0-9, `_` and \
         `-`.",
    ),
    code(
        "TW0302",
        "there is no such type of component",
        "The part before the slash names no source, transform or sink of this version; sources, transforms and sinks \
         stand under keys of their own.",
    ),
    code(
        "TW0303",
        "a name is used twice",
        "A source, a transform and a sink may not have the same name either. Change the part behind the slash.",
    ),
    code(
        "TW0304",
        "a component has no inputs",
        "A transform or a sink without `inputs` would get no records. Name a source or a transform.",
    ),
    code(
        "TW0305",
        "an input leads nowhere",
        "`inputs` names a component or an output that does not exist, or a pattern that fits none, or a sink, which \
         sends nothing on.",
    ),
    code(
        "TW0306",
        "components feed each other in a circle",
        "Records would never leave. The error shows the circle; take one of the components out of the other's \
         `inputs`.",
    ),
    code(
        "TW0307",
        "a signal does not fit",
        "The input carries logs, metrics or traces that the component cannot take, or inputs carry different \
         signals. Give each signal a component that takes it.",
    ),
    code(
        "TW0308",
        "an output must be named",
        "The component has several outputs, so `inputs` must say which: `route/teams.shop`, or `route/teams.*` for \
         all.",
    ),
    code(
        "TW0309",
        "there is nothing to run",
        "The configuration has neither sources nor sinks. Write at least one of each.",
    ),
    code(
        "TW0401",
        "an expression is wrong",
        "A condition, a field, an assignment or a regular expression cannot be read, or does not fit the signal. The \
         caret stands under the character that is meant.",
    ),
    code(
        "TW0402",
        "fragments use each other in a circle",
        "The list of steps would never end. The error shows the circle.",
    ),
    code(
        "TW0403",
        "`use` is written wrongly",
        "`use` takes the name of a fragment and stands alone in its entry; an `if:` belongs to the steps of the \
         fragment.",
    ),
    code(
        "TW0404",
        "there is no such fragment",
        "`use` names a fragment that is not under `fragments`. The error names the nearest.",
    ),
    code(
        "TW0411",
        "a route cannot be",
        "`route` needs 1 to 64 routes, each with a name of its own in lower-case letters, digits, `_` and `-`. \
         `unmatched` is taken: it is the output of what no route takes.",
    ),
    code(
        "TW0440",
        "a step does not exist for this signal",
        "`parse_json`, `parse_regex` and `redact` are for logs. Steps on metrics are `set`, `rename` and `delete` for \
         the name and labels, `keep` and `drop` for samples.",
    ),
    code(
        "TW0441",
        "an edit of a series depends on a value",
        "What a series is called cannot change with its value: it would be another series from sample to sample. The \
         `if:` of `set`, `rename` and `delete` asks for `name`, labels and the resource; `keep` and `drop` may ask for \
         `value` too.",
    ),
    code(
        "TW0450",
        "a name of a metric or a label made of logs is wrong",
        "Names follow Prometheus's conventions: letters, digits and `_` (and `:` in metrics), not a digit first. A \
         counter ends in `_total` and nothing else does; labels that begin with `__`, and `le` of histograms, are \
         taken.",
    ),
    code(
        "TW0451",
        "a metric made of logs is described wrongly",
        "Every metric has a name of its own. Gauges and histograms need a `value`; a `unit` is a suffix of the name; \
         `buckets` are ascending numbers and belong to histograms.",
    ),
    code(
        "TW0452",
        "a pace or a limit of `log_metrics` makes no sense",
        "`interval` is at least 1s, `expiry` at least `interval`, `limit` at least 1.",
    ),
    code(
        "TW0501",
        "records would be too short or too long",
        "`max_record_size` of a source is a size from 1KiB to 16MiB.",
    ),
    code(
        "TW0511",
        "this is no pattern of files",
        "`include` and `exclude` of the source `file` take absolute paths with `*`, `?`, `**`, `[a-z]` and `{a,b}`, and \
         `include` at least one.",
    ),
    code(
        "TW0512",
        "this is no pattern of names",
        "Lists of namespaces, pods and containers take names, and patterns with `*`, `?`, `[a-z]` and `{a,b}`.",
    ),
    code(
        "TW0540",
        "this is no path",
        "`path` of the source `prometheus_remote_write` begins with a slash and has no query: `/api/v1/write`.",
    ),
    code(
        "TW0541",
        "answers would come too soon or too late",
        "`answer_within` of the source `prometheus_remote_write` is a time from 100ms to 5m, below the timeout of those \
         that send.",
    ),
    code(
        "TW0542",
        "series would have too few or too many labels",
        "`max_labels` of the source `prometheus_remote_write` is a number from 2 to 10000.",
    ),
    code("TW0560", "the pace of `internal` makes no sense", "`interval` of the source `internal` is at least 1s."),
    code("TW0601", "the sink `file` has no path", "`path` is empty. Name the file to write."),
    code("TW0602", "a file would be rotated too often", "`max_size` of the sink `file` is below 4KiB."),
    code("TW0603", "no file would be kept", "`max_files` of the sink `file` is 0."),
    code("TW0611", "no endpoint is named", "`endpoints` of the sink `elasticsearch` is empty."),
    code(
        "TW0612",
        "this is not an address",
        "An endpoint has a scheme (http or https), a host and perhaps a port and a path; credentials, a query or a \
         fragment do not belong into it.",
    ),
    code(
        "TW0613",
        "an index and a data stream exclude each other",
        "Documents go either to `index` or to `data_stream`. Keep one.",
    ),
    code(
        "TW0614",
        "Elasticsearch takes no such index",
        "Names of indices are lower case, at most 255 bytes, do not begin with `-`, `_` or `+`, and have no blanks or \
         wildcards.",
    ),
    code(
        "TW0615",
        "Elasticsearch takes no such data stream",
        "`dataset` and `namespace` follow the rules for indices and have no `-`, which separates them.",
    ),
    code("TW0616", "there is no such level of compression", "gzip has the levels 1 (fastest) to 9 (smallest)."),
    code(
        "TW0617",
        "two ways to log in",
        "`api_key` and `basic` exclude each other. Keep the one that the cluster expects.",
    ),
    code("TW0618", "this is not a header", "The name or the value of a header has characters that HTTP forbids."),
    code("TW0619", "requests would be too small or too large", "`batch.max_bytes` is a size from 64KiB to 64MiB."),
    code("TW0620", "no answer could be that fast", "`timeout` of a request is at least 100ms."),
    code("TW0621", "too few or too many requests at once", "`concurrency` is a number from 1 to 64."),
    code(
        "TW0622",
        "a certificate without its key",
        "`tls.cert_file` and `tls.key_file` go together. Give both, or neither.",
    ),
    code(
        "TW0640",
        "this is not an address",
        "`url` of the sink `prometheus_remote_write` has a scheme (http or https), a host and the receiver's path, such \
         as http://prometheus:9090/api/v1/write.",
    ),
    code(
        "TW0641",
        "this header cannot be given",
        "The name or the value of a header has characters that HTTP forbids, or the header is one that the sink sets \
         itself. Credentials have options of their own.",
    ),
    code("TW0642", "requests would be too small or too large", "`batch.max_bytes` is a size from 16KiB to 64MiB."),
    code("TW0643", "no answer could be that fast", "`timeout` of a request is at least 100ms."),
    code(
        "TW0644",
        "this is no number of shards",
        "`shards.min` and `shards.max` are powers of two from 1 to 64, so that each shard splits into two when their \
         number doubles; `min` is not above `max`.",
    ),
    code("TW0670", "nothing would be exposed", "`expiry` and `limit` of the sink `prometheus_exposition` are above 0."),
    code(
        "TW0701",
        "a test is at no transform",
        "`at` of a test names the transform that the input enters and whose output is compared.",
    ),
    code(
        "TW0702",
        "a test's input is two things",
        "A record is either `raw`, a line as the runtime wrote it, or fields such as `body` and `attributes`. Both may \
         have a `resource`.",
    ),
    code(
        "TW0703",
        "a test is at no output",
        "The transform has several outputs, so `at` must say which is compared: `route/teams.shop`.",
    ),
    code(
        "TW0704",
        "two ways to log in to an HTTP server",
        "At most one of `basic_auth`, `authorization`, `oauth2`, `bearer_token` and `bearer_token_file` can be given, as \
         in Prometheus. Keep the one that the server expects.",
    ),
    code(
        "TW0705",
        "a value and a file for the same",
        "A value and the file that it could come from exclude each other: `password` and `password_file`, for example.",
    ),
    code(
        "TW0706",
        "basic authentication has a key of its own",
        "The type of `authorization` cannot be `Basic`. Write `basic_auth: { username: …, password_file: … }`.",
    ),
    code(
        "TW0707",
        "a token cannot be asked for",
        "`oauth2` needs a `client_id` and a `token_url` that begins with http:// or https://.",
    ),
    code(
        "TW0708",
        "a certificate without its key",
        "In `tls_config` a certificate (`cert` or `cert_file`) and its key (`key` or `key_file`) go together.",
    ),
    code(
        "TW0709",
        "there is no such version of TLS",
        "`min_version` and `max_version` are `TLS12` or `TLS13`, and the first is not newer than the second.",
    ),
    code(
        "TW0710",
        "the proxy is not clear",
        "`proxy_url` is http://host:port or https://host:port; it excludes `proxy_from_environment`, and `no_proxy` and \
         `proxy_connect_header` need a proxy.",
    ),
    code(
        "TW0711",
        "this header cannot be given",
        "The name or the value has characters that HTTP forbids, or it is one of the headers that the agent sets itself, \
         such as `Host`, `Content-Type` and `Authorization`.",
    ),
    code(
        "TW0712",
        "this exists in Prometheus and not here",
        "The key, or its value, is right for Prometheus, and this agent cannot do it: SOCKS proxies, TLS 1.0 and 1.1, \
         tokens by signed assertions.",
    ),
    code(
        "TW0713",
        "a secret can be read in the configuration",
        "A warning. In a block in Prometheus's own words a secret may be written inline, as Prometheus allows it. \
         Whoever may read the file knows it: `\"${file:/path}\"` or the key that ends in `_file` keeps it elsewhere.",
    ),
    code(
        "TW0714",
        "a receiver's limit is too small or too large",
        "`max_body` and `max_inflated` are sizes from 1KiB to 1GiB, `max_connections` is a number from 1 to 65536.",
    ),
    code(
        "TW0715",
        "a receiver's login is not clear",
        "`login` is either `bearer_token`, or `username` and `password`.",
    ),
    code(
        "TW0721",
        "a relabelling rule is not complete",
        "`replace`, `hashmod`, `lowercase`, `uppercase`, `keepequal` and `dropequal` need `target_label`; `hashmod` \
         needs `modulus` too, 1 or more.",
    ),
    code(
        "TW0722",
        "a rule's regular expression is wrong",
        "`regex` takes RE2's syntax, as Prometheus does, and must match the whole value. Look-around and references to \
         groups are not part of it. The caret stands under what is meant.",
    ),
    code(
        "TW0723",
        "a rule makes a name that no label can have",
        "Names are not empty; under `metric_name_validation_scheme: legacy` they consist of letters, digits and `_` and \
         do not begin with a digit. `target_label` of `replace` and `replacement` of `labelmap` may hold groups: `$1`.",
    ),
    code(
        "TW0724",
        "a rule has a key that its action does not look at",
        "`keepequal` and `dropequal` take only `source_labels` and `target_label`, `labeldrop` and `labelkeep` only \
         `regex`, `lowercase` and `uppercase` no `replacement`. Prometheus refuses the same.",
    ),
    code(
        "TW0731",
        "a key of Prometheus is not supported here",
        "Prometheus knows the key and this agent does not do what it says, so leaving it in would promise something. The \
         error says what to write instead; other kinds of service discovery can feed `file_sd_configs` and \
         `http_sd_configs`.",
    ),
    code(
        "TW0732",
        "two jobs have one name",
        "`job_name` becomes the label `job` and tells the targets of one job from those of another. Give each its own.",
    ),
    code(
        "TW0733",
        "a scrape may last longer than the time until the next",
        "`scrape_timeout` is at most `scrape_interval`, in `global` and in each job. Left out it is 10 s, or the \
         interval where that is shorter.",
    ),
    code("TW0734", "a job has no name", "`job_name` is empty. Give the job a name: it becomes the label `job`."),
    code(
        "TW0735",
        "every node would scrape the same targets",
        "With `identity.role: node` an agent runs on every node, and a job whose targets are not the node's would be \
         scraped once by each of them. Write `scope: node` where every node has such a target of its own \
         (`localhost:9100`), or move the job to an agent of which there is one.",
    ),
    code(
        "TW0736",
        "a share of targets that does not exist",
        "A job with `scope: shard` needs `shard: { index, count }` beside `scrape_configs`; `index` counts from 0 and is \
         below `count`.",
    ),
    code(
        "TW0737",
        "formats are not listed as they must be",
        "`scrape_protocols` names at least one format, and each only once. Left out, targets are asked for what \
         Prometheus asks for.",
    ),
    code(
        "TW0738",
        "names are asked for that are then refused",
        "`metric_name_escaping_scheme: allow-utf-8` asks targets for names in UTF-8, which \
         `metric_name_validation_scheme: legacy` refuses. Change one of them.",
    ),
    code(
        "TW0739",
        "an external label cannot be",
        "The label has no name, or one that the scheme for names refuses, or its value has a dollar: Prometheus puts \
         variables of its environment in there, this agent `${env:NAME}`. A dollar itself is written `$$`.",
    ),
    code(
        "TW0750",
        "a target is not a host and a port",
        "`targets` holds addresses such as `web-1:9100`. Whether it is HTTP or HTTPS, and the path, are the job's \
         options `scheme` and `metrics_path`, or the labels `__scheme__` and `__metrics_path__`.",
    ),
    code(
        "TW0751",
        "a label has no name",
        "The key of an entry of `labels` is empty. Give the label a name, or leave it out.",
    ),
    code(
        "TW0752",
        "these are no files of targets",
        "`files` of `file_sd_configs` holds paths that end in .json, .yml or .yaml. Wildcards (`*`, `?`, `[a-z]`) may \
         stand in the last name only: which folder to watch must be known.",
    ),
    code("TW0753", "an interval is no time at all", "`refresh_interval` says how often to look and is longer than 0."),
    code(
        "TW0754",
        "the DNS cannot be asked this",
        "`dns_sd_configs` needs at least one name that the DNS can have, a type among SRV, A, AAAA, MX and NS, and, for \
         every type but SRV, the `port` of the targets.",
    ),
    code(
        "TW0755",
        "targets cannot be fetched from there",
        "`url` of `http_sd_configs` is an address that begins with http:// or https:// and names a host.",
    ),
    code(
        "TW0756",
        "the ways to the API server do not go together",
        "`kubernetes_sd_configs` reaches the cluster that the agent is a pod of, or the one of `api_server`, with the \
         options of HTTP clients beside it, or the one of a `kubeconfig_file`, which has its own. Only in the first \
         case there is an own namespace.",
    ),
    code(
        "TW0757",
        "there is no such role",
        "`role` of `kubernetes_sd_configs` is node, service, pod, endpoints, endpointslice or ingress: what becomes a \
         target.",
    ),
    code(
        "TW0758",
        "these objects cannot be selected so",
        "A selector of `kubernetes_sd_configs` is of objects that the role looks at, stands once for each kind, and \
         its `field` compares: `metadata.name=web`.",
    ),
    code(
        "TW0801",
        "nothing reads an output",
        "A warning. What this component sends goes nowhere and counts as filtered. Name the output in the `inputs` \
         of a sink or a transform, or leave the component out.",
    ),
    code(
        "TW0802",
        "a fragment is not used",
        "A warning. The steps of a fragment are checked where it is used, so mistakes in this one are not found.",
    ),
    code(
        "TW0811",
        "only a sink can have a disk queue",
        "`buffer.disk` was given to a transform. What a transform holds is settled with what it sends on, so a queue \
         before it would only delay. Give the disk queue to the sinks behind it.",
    ),
    code(
        "TW0812",
        "a disk queue is too small",
        "`buffer.disk` is below 16 MiB, which holds less than the memory before it. Write a size that holds the outage \
         that you want to survive: what comes in a second, compressed about to a fourth, times its seconds.",
    ),
    code(
        "TW0813",
        "`fsync` is out of its range",
        "`buffer.fsync` says for how long a record may wait in the disk queue before it is forced to stable storage, and \
         so for how long its source waits: from 1ms to 10s, or `always`.",
    ),
    code(
        "TW0901",
        "a component cannot be prepared",
        "The configuration is well-formed, but a part cannot be built from it here: a certificate cannot be read, for \
         example. The error says which part, why and what to do.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_explained() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code), "no code stands twice");
        assert!(explain(Some("tw0305")).is_ok_and(|text| text.starts_with("TW0305: an input leads nowhere\n")));
        assert!(explain(Some("TW9999")).is_err());
        assert_eq!(explain(None).map(|text| text.lines().count()).ok(), Some(CODES.len()));
    }
}
