/// The buckets of every `*_seconds` histogram, in seconds. The last ones are for commands that waited through an outage.
pub(crate) const SECONDS_BUCKETS: [f64; 19] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0, 900.0, 3_600.0,
    21_600.0, 86_400.0,
];

/// The buckets of every other histogram, for example commands per fold.
pub(crate) const COUNT_BUCKETS: [f64; 16] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0,
    100_000.0,
];

/// Returns the upper bounds of a histogram's buckets.
pub(crate) fn buckets(name: &str) -> &'static [f64] {
    if name.ends_with("_seconds") { &SECONDS_BUCKETS } else { &COUNT_BUCKETS }
}
