//! Any reloads and restarts, with alerts that come and go and attempts that are under way.

use super::*;

/// Whatever reloads do, an incident ends where it began, and no other.
#[test]
fn no_reload_sends_an_end_to_another_target() {
    let mut resolves = 0;
    for seed in 0..150u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new("r", &["a", "b"]);
        let (mut name, mut keys, mut fires) = ("r", vec!["a", "b"], NONE);
        let mut under_way: Vec<(Attempt, String)> = Vec::new();
        for _ in 0..120 {
            world.now += random.i64(SECOND..40 * SECOND);
            match random.u8(..12) {
                0 => random.shuffle(&mut keys),
                1 => keys.truncate(random.usize(1..=keys.len())),
                2 => keys.insert(random.usize(..=keys.len()), ["a", "b", "c", "d"][random.usize(..4)]),
                3 => name = if name == "r" { "s" } else { "r" },
                4..8 => {
                    let index = random.usize(..ALERTS);
                    fires[index] = !fires[index];
                }
                _ => {}
            }
            if random.u8(..3) == 0 {
                world.reload(name, &keys);
            } else if random.u8(..20) == 0 && under_way.is_empty() {
                // Another process, with the same configuration.
                world.reload(name, &keys);
                world.calm(&fires);
                world.restart(name, &keys);
            }
            world.say(&fires);
            for attempt in world.step() {
                let target = world.target_of(&attempt);
                under_way.push((attempt, target));
            }
            while !under_way.is_empty() && random.u8(..4) > 0 {
                let (attempt, target) = under_way.swap_remove(random.usize(..under_way.len()));
                let result = if random.u8(..3) == 0 {
                    Err(Refusal::ForNow { why: "503".into(), after: None })
                } else {
                    world.arrive(&target, &attempt.page);
                    Ok(())
                };
                world.core.done(&attempt, result, UnixMillis(world.now));
            }
        }
        for (attempt, target) in under_way {
            world.arrive(&target, &attempt.page);
            world.core.done(&attempt, Ok(()), UnixMillis(world.now));
        }
        world.reload(name, &keys);
        for _ in 0..20 {
            world.calm(&fires);
        }
        let should: BTreeSet<String> = (0..ALERTS).filter(|at| fires[*at]).map(|at| at.to_string()).collect();
        for key in ["a", "b", "c", "d"] {
            let expected = if keys.contains(&key) { should.clone() } else { BTreeSet::new() };
            assert_eq!(world.open_at(key), expected, "seed {seed}: the service {key} of {keys:?}");
        }
        assert_eq!(world.left_open(), Vec::<String>::new(), "seed {seed}");
        resolves += world.resolves;
    }
    assert!(resolves > 1000, "{resolves}: the test has to do something");
}
