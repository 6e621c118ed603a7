//! Targets as service discovery finds them: groups that share labels and are replaced as a whole.

use super::LabelSet;

/// The label that says where a target is: host and port, or whatever relabelling makes a host and port of.
pub const ADDRESS: &str = "__address__";

/// What one object of a discovery stands for: a pod, an entry of a file, a name of the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroup {
    /// What the group is found again by; unique in its discovery.
    pub source: Box<str>,
    /// One set a target; each has [`ADDRESS`]. Without targets the group is gone.
    pub targets: Vec<LabelSet>,
    /// Labels of every target, as far as the target has none of the same name.
    pub labels: LabelSet,
}
