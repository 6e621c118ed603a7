//! Which backend a trace belongs to: rendezvous hashing (D. G. Thaler, C. V. Ravishankar, "Using name-based mappings to
//! increase hit rates", 1998). Every backend draws a number for the trace, and the highest has it: whoever leaves takes
//! no trace of another with it, and whoever comes takes only traces that are its own from then on.
//!
//! Agents agree because they hash the same bytes: XXH3-64 of the trace id, seeded with that of `host:port`.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The backends of traces.
#[derive(Clone, Debug)]
pub(super) struct Rendezvous(Vec<u64>);

impl Rendezvous {
    /// Between backends of these names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(|name| xxh3_64(name.as_bytes())).collect())
    }

    /// The index of the backend that a trace belongs to; 0 where there is none.
    pub fn owner(&self, trace_id: &[u8; 16]) -> usize {
        let draw = |seed: u64| (xxh3_64_with_seed(trace_id, seed), seed);
        self.0.iter().enumerate().max_by_key(|(_, seed)| draw(**seed)).map_or(0, |(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<[u8; 16]> {
        let mut random = fastrand::Rng::with_seed(7);
        (0..count).map(|_| random.u128(..).to_be_bytes()).collect()
    }

    /// Names of the owners.
    fn owners<'a>(names: &[&'a str], ids: &[[u8; 16]]) -> Vec<&'a str> {
        let rendezvous = Rendezvous::new(names.iter().copied());
        ids.iter().map(|id| names[rendezvous.owner(id)]).collect()
    }

    const NAMES: [&str; 5] =
        ["10.0.0.1:4317", "10.0.0.2:4317", "10.0.0.3:4317", "gateway-3.gateway:4317", "[fd00::1]:4317"];

    #[test]
    fn only_the_traces_of_who_leaves_move_and_who_comes_takes_only_its_own() {
        let ids = ids(20_000);
        let all = owners(&NAMES, &ids);
        for gone in NAMES {
            let rest: Vec<_> = NAMES.into_iter().filter(|name| *name != gone).collect();
            let mut moved = [0; NAMES.len()];
            for (before, after) in all.iter().zip(owners(&rest, &ids)) {
                if *before == gone {
                    moved[NAMES.iter().position(|name| *name == after).expect("a name")] += 1;
                } else {
                    assert_eq!(*before, after, "a trace of another moved when {gone} left");
                }
            }
            // What it had goes to all the others alike: about 1000 each.
            assert!(moved.iter().filter(|count| (800..1200).contains(*count)).count() == rest.len(), "{moved:?}");
        }
    }

    #[test]
    fn traces_are_spread_evenly_and_the_order_of_names_does_not_matter() {
        let ids = ids(50_000);
        let all = owners(&NAMES, &ids);
        for name in NAMES {
            let count = all.iter().filter(|owner| **owner == name).count();
            assert!((9_500..10_500).contains(&count), "{name} has {count} of 50000");
        }
        let mut turned = NAMES;
        turned.reverse();
        assert_eq!(owners(&turned, &ids), all);
    }

    #[test]
    fn agents_of_every_version_agree() {
        let ids: Vec<[u8; 16]> = (1..=8_u128).map(u128::to_be_bytes).collect();
        let [first, _, _, fourth, fifth] = NAMES;
        let expected = [fifth, fourth, first, fourth, first, first, fifth, fifth];
        assert_eq!(owners(&NAMES, &ids), expected);
    }
}
