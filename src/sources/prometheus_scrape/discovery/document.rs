//! Lists of target groups as files and HTTP servers give them.

use std::collections::BTreeMap;

use super::{ADDRESS, TargetGroup};
use crate::data::LabelSet;

/// One group as it is written.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    targets: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// Reads JSON: a list of groups, or `null` for none. In words what is wrong.
pub fn json(bytes: &[u8]) -> Result<Groups, String> {
    serde_json::from_slice::<Option<Vec<Written>>>(bytes).map(Groups::of).map_err(|error| error.to_string())
}

/// Reads YAML: a list of groups, or nothing. In words what is wrong.
pub fn yaml(bytes: &[u8]) -> Result<Groups, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to()))?;
    let options = serde_saphyr::options! { with_snippet: false };
    let read = serde_saphyr::from_str_with_options::<Option<Vec<Written>>>(text, options);
    read.map(Groups::of).map_err(|error| error.to_string())
}

/// Groups that are not named yet.
#[derive(Debug)]
pub struct Groups(Vec<Written>);

impl Groups {
    fn of(written: Option<Vec<Written>>) -> Self {
        Self(written.unwrap_or_default())
    }

    /// Names the groups `<origin>:<number>`, as Prometheus does, and gives each the label `meta` with the
    /// origin.
    pub fn with_origin(self, meta: &str, origin: &str) -> Vec<TargetGroup> {
        let group = |(index, written): (usize, Written)| {
            let targets = written.targets.unwrap_or_default();
            let mut labels: LabelSet = written.labels.unwrap_or_default().into_iter().collect();
            labels.set(meta, origin);
            TargetGroup {
                source: format!("{origin}:{index}").into(),
                targets: targets.iter().map(|target| [(ADDRESS, target)].into_iter().collect()).collect(),
                labels,
            }
        };
        self.0.into_iter().enumerate().map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(groups: Result<Groups, String>) -> Vec<TargetGroup> {
        groups.expect("readable").with_origin("__meta_from", "x")
    }

    #[test]
    fn both_formats_say_the_same() {
        let in_json = br#"[{"targets": ["a:1", "b:2"], "labels": {"env": "prod", "port": "8080"}}, {"targets": null}]"#;
        let in_yaml = b"# two\n- targets: [a:1, 'b:2']\n  labels: { env: prod, port: 8080 }\n- labels:\n  targets:\n";
        let groups = read(json(in_json));
        assert_eq!(groups, read(yaml(in_yaml)));
        assert_eq!(groups.iter().map(|group| &*group.source).collect::<Vec<_>>(), ["x:0", "x:1"]);
        let labels: Vec<_> = groups[0].labels.iter().collect();
        assert_eq!(labels, [("__meta_from", "x"), ("env", "prod"), ("port", "8080")]);
        assert!(read(json(b"null")).is_empty() && read(json(b"[]")).is_empty());
        assert!(read(yaml(b"")).is_empty() && read(yaml(b"# nothing\n")).is_empty() && read(yaml(b"[]")).is_empty());
    }

    #[test]
    fn text_of_yaml_is_kept_as_it_is_written() {
        let groups = read(yaml(b"- targets: [1234]\n  labels: { a: 0x1F, b: true, c: 1.50, d: '' }\n"));
        assert_eq!(groups[0].targets[0].get(ADDRESS), "1234");
        let labels: Vec<_> = groups[0].labels.iter().skip(1).collect();
        assert_eq!(labels, [("a", "0x1F"), ("b", "true"), ("c", "1.50")]);
    }

    #[test]
    fn what_is_not_a_list_of_groups_is_refused() {
        for bad in ["{}", "[1]", "[null]", r#"[{"target": []}]"#, r#"[{"targets": [1]}]"#, "[", "", "[] []"] {
            assert!(json(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["a: b", "- x", "- target: []", "- targets: a", "- targets: []\n  targets: []", "- {", "\u{0}"] {
            assert!(yaml(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(yaml(b"\xff").is_err());
    }
}
