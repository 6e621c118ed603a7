//! Where the chance of a test comes from, so that a failure can be had again.

/// The seed of a test: that of `TAILWATER_TEST_SEED` or a new one, printed either way.
pub fn seed() -> u64 {
    let given = std::env::var("TAILWATER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("TAILWATER_TEST_SEED={seed}");
    seed
}
