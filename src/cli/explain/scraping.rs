//! Relabelling, scrape jobs and how they find targets: TW072 to TW075.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
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
];
