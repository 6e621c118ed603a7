//! The store beside a naive model of it: a map of series to samples by time.

use proptest::prelude::*;

use super::*;

/// A step of what happens to a store.
#[derive(Clone, Debug)]
enum Step {
    /// Some series get a sample so long after the last scrape, or before it.
    Scrape { of: usize, after: i64, value: u8 },
    /// Time passes, and what is too old goes.
    Maintain { after: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let scrape = (0usize..6, prop_oneof![4 => 0i64..40_000, 1 => -400_000i64..0], any::<u8>());
    let scrape = scrape.prop_map(|(of, after, value)| Step::Scrape { of, after, value });
    let maintain = (0i64..600_000).prop_map(|after| Step::Maintain { after });
    proptest::collection::vec(prop_oneof![20 => scrape, 1 => maintain], 1..400)
}

proptest! {
    /// What is kept, refused and read is what a map of maps keeps.
    #[test]
    fn the_store_is_a_map_of_series_to_samples_by_time(steps in steps(), window in prop::sample::select(vec![0u64, 30, 600]), from in 0i64..4_000_000, length in 0i64..2_000_000) {
        let table = SeriesTable::new(1000);
        let store = store(&options(window), &table);
        // Lists that share series.
        let lists: Vec<_> = (0..6).map(|of| list(&table, of..of * 2 + 1)).collect();
        let window = window as i64 * 1000;
        let retention = 3_600_000;
        let mut model: BTreeMap<usize, BTreeMap<i64, u64>> = BTreeMap::new();
        let (mut now, mut expected) = (10_000_000i64, Taken::default());
        let refuse = |expected: &mut Taken, refusal: Refusal| match expected.refused.iter_mut().find(|(other, _)| *other == refusal) {
            Some((_, count)) => *count += 1,
            None => expected.refused.push((refusal, 1)),
        };
        let mut taken = Taken::default();
        for step in &steps {
            match step {
                Step::Scrape { of, after, value } => {
                    let time = now + after;
                    now = now.max(time);
                    let values = (0..lists[*of].len()).map(|at| f64::from(*value) * at as f64 / 10.0);
                    for (number, value) in (*of..of * 2 + 1).zip(values.clone()) {
                        let samples = model.entry(number).or_default();
                        let newest = samples.keys().next_back().copied().unwrap_or(i64::MIN);
                        match samples.get(&time) {
                            Some(there) if time == newest || time >= newest - window => {
                                if *there == value.to_bits() { expected.known += 1 } else { refuse(&mut expected, Refusal::Duplicate) }
                            }
                            _ if time < newest.saturating_sub(window) => {
                                refuse(&mut expected, if window == 0 { Refusal::OutOfOrder } else { Refusal::TooOld });
                            }
                            _ => { samples.insert(time, value.to_bits()); expected.kept += 1; }
                        }
                    }
                    let one = store.append(&batch(&lists[*of], time, values), UnixMillis(now));
                    taken.kept += one.kept;
                    taken.known += one.known;
                    for (refusal, count) in one.refused { (0..count).for_each(|_| refuse(&mut taken, refusal)); }
                }
                Step::Maintain { after } => {
                    now += after;
                    store.maintain(UnixMillis(now));
                    for samples in model.values_mut() {
                        if samples.keys().next_back().is_none_or(|newest| *newest < now - retention) { samples.clear(); }
                    }
                }
            }
        }
        taken.refused.sort_by_key(|(refusal, _)| refusal.reason());
        expected.refused.sort_by_key(|(refusal, _)| refusal.reason());
        prop_assert_eq!(&taken, &expected);
        let name = |number: usize| { let mut encoded = Vec::new(); labels(number).encode(&mut encoded); Labels::of_encoded(&encoded).to_string() };
        let all = |after: i64, until: i64| -> Everything {
            let within = |samples: &BTreeMap<i64, u64>| samples.iter().filter(|(time, _)| **time > after && **time <= until).map(|(time, value)| (*time, *value)).collect::<BTreeMap<_, _>>();
            model.iter().map(|(number, samples)| (name(*number), within(samples))).filter(|(_, samples)| !samples.is_empty()).collect()
        };
        // Chunks go as a whole: what is too old may still be there.
        let kept_from = now - retention;
        let got = read(&store, &[], kept_from, i64::MAX);
        prop_assert_eq!(got, all(kept_from, i64::MAX));
        let (after, until) = (kept_from.max(10_000_000 + from), kept_from.max(10_000_000 + from) + length);
        prop_assert_eq!(read(&store, &[], after, until), all(after, until));
        let one = read(&store, &[like("instance", "node-[135]"), equal("job", "node")], after, until);
        let odd: Everything = all(after, until).into_iter().filter(|(name, _)| ["node-1\"", "node-3\"", "node-5\""].iter().any(|end| name.contains(end))).collect();
        prop_assert_eq!(one, odd);
        let used = store.bytes();
        prop_assert_eq!(used, store.write().counted(), "memory is counted step by step");
    }
}
