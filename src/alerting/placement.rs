//! Where a rule can be evaluated: by the agent of each node, which has the series of its node alone, or by one that has
//! those of all nodes.

use super::rule_file::{Place, Rule, RuleFile};
use crate::promql::NodeLabels;

/// Labels by which series of different nodes differ.
pub const NODE_LABELS: NodeLabels<'static> = NodeLabels {
    of_node: &[
        "instance",
        "node",
        "nodename",
        "node_name",
        "host",
        "hostname",
        "host_name",
        "host_ip",
        "kubernetes_node",
        "k8s_node_name",
        "exported_instance",
    ],
    within: &["pod", "pod_name", "k8s_pod_name", "kubernetes_pod_name", "pod_ip", "pod_uid", "uid", "container_id"],
};

/// A rule that needs the series of all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Across {
    /// Its group.
    pub group: Box<str>,
    /// Its name.
    pub rule: Box<str>,
    /// Where in the file the rule begins.
    pub place: Place,
    /// What in its query brings series of several nodes together, in words.
    pub because: Vec<String>,
}

/// The rules of a file that need the series of all nodes: evaluated on a node they would say what holds there alone.
pub fn across_nodes(file: &RuleFile) -> Vec<Across> {
    let rules = file.groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let across = rules.map(|(group, rule)| Across {
        group: group.name.clone(),
        rule: rule.name().into(),
        place: rule.place,
        because: because(rule),
    });
    across.filter(|across| !across.because.is_empty()).collect()
}

/// Why a rule needs the series of all nodes; nothing where each node's agent can evaluate it.
pub fn because(rule: &Rule) -> Vec<String> {
    rule.query.across(NODE_LABELS)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::alerting::rule_file::Reading;

    #[test]
    fn rules_that_need_all_nodes_are_told_with_the_reason() {
        let text = "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0}\n  - {record: 'job:x', expr: sum by (job) (x)}\n";
        let file = RuleFile::parse(Path::new("r.yml"), text, Reading::default()).expect("a rule file");
        let across = across_nodes(&file);
        assert_eq!(across.len(), 1);
        assert_eq!((&*across[0].group, &*across[0].rule), ("g", "job:x"));
        assert_eq!(across[0].place.to_string(), "5:5");
        assert_eq!(across[0].because, ["`sum by (job)` takes series of all nodes together"]);
    }
}
