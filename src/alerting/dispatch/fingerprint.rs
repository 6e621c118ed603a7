//! The identity of labels as Alertmanager has it: FNV-1a of 64 bits over names and values in the order of the names.

use std::fmt;

use crate::data::labels::LabelSet;

/// A hash of labels, stable across replicas and restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// That of some labels.
    pub fn of(labels: &LabelSet) -> Self {
        const BASIS: u64 = 14_695_981_039_346_656_037;
        const PRIME: u64 = 1_099_511_628_211;
        let mut hash = BASIS;
        for (name, value) in labels.iter() {
            for byte in name.bytes().chain([0xff]).chain(value.bytes()).chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            }
        }
        Self(hash)
    }
}

/// Sixteen hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_prometheus() {
        let of = |pairs: &[(&str, &str)]| Fingerprint::of(&pairs.iter().copied().collect()).to_string();
        assert_eq!(of(&[]), "cbf29ce484222325");
        assert_eq!(of(&[("alertname", "Down"), ("severity", "page")]), "b8f0273cee3e6d28");
    }
}
