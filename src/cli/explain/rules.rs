//! Rules, and the section `alerting` as a whole, TW106.

use super::{Explanation, code};

pub(super) const CODES: &[Explanation] = &[
    code(
        "TW1061",
        "a rule file cannot be used",
        "Rule files are Prometheus's, as they are. The error names file, line and rule; `tailwater rules check` tells more. A \
         pattern in `rule_files` that fits no file is none.",
    ),
    code(
        "TW1062",
        "a file of templates cannot be used",
        "`templates` names files of Go templates, as Alertmanager reads them, with their `define`s.",
    ),
    code(
        "TW1063",
        "alerts have two ways to people",
        "The way of alerts is written once: as `route`, `receivers` and what belongs to them, or as an Alertmanager's \
         configuration under `alertmanager` or in the file that `alertmanager_config` names.",
    ),
    code(
        "TW1064",
        "an option of rules makes no sense",
        "The error says which: an interval that is no time, a selector that is none, two receivers of one name, a receiver \
         that is not there.",
    ),
    code(
        "TW1065",
        "alerts need the name of the cluster",
        "What identifies an incident is the cluster and the labels of the alert: without `identity.cluster`, the same alert \
         of two clusters would be one incident, and the first to resolve would end both.",
    ),
    code(
        "TW1066",
        "a rule needs the series of all nodes",
        "An agent whose `identity.role` is `node` or `sidecar` sees its own node alone, and the rule puts together what \
         several nodes have: its result would be another one on each node. Group by a label that names the node, evaluate \
         the rule on an aggregator or by `alerting.remote`, or write `allow_across_nodes: true` where the result of one node \
         is what is meant.",
    ),
    code(
        "TW1067",
        "there are no rules",
        "A warning. A pattern in `rule_files` fits no file, or no file has a rule. Patterns are Go's: `*` matches no `/`, and \
         a relative one begins at the working directory.",
    ),
    code(
        "TW1068",
        "a rule reads further back than samples are kept",
        "A warning. The rule's ranges and offsets go back further than `alerting.store.retention`, so that it sees a part of \
         what it asks for. Raise that, or name a server that has more in `alerting.remote`.",
    ),
    code(
        "TW1069",
        "links in pages lead nowhere",
        "A warning. Links to the query of an alert begin with `alerting.external_url`, which is not written. It is the address \
         at which people reach the agent's `admin`, or a Prometheus or Grafana that has its metrics.",
    ),
];
