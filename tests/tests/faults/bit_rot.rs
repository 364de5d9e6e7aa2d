//! One flipped bit in the files of a shop (see [`stockline_tests::bit_rot`]).

use std::collections::BTreeMap;

use stockline_tests::bit_rot::{Effect, Original};

/// The flips of a normal run. `STOCKLINE_BIT_FLIPS=5000` makes more, for a night.
const FLIPS: u64 = 200;

#[expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "settings and figures of the test run")]
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_harmless_or_noticed_and_harms_no_other_item() {
    let flips = std::env::var("STOCKLINE_BIT_FLIPS").map_or(FLIPS, |text| text.parse().unwrap());
    let first = std::env::var("STOCKLINE_BIT_FLIPS_FROM").map_or(0, |text| text.parse().unwrap());
    let original = Original::new().await;
    let mut effects: BTreeMap<Effect, u64> = BTreeMap::new();
    let mut broken = Vec::new();
    for seed in first..first + flips {
        match original.flip(seed).await {
            Ok(effect) => *effects.entry(effect).or_default() += 1,
            Err(what) => broken.push(what),
        }
    }
    println!("{flips} flips over {} pages: {effects:?}", original.pages());
    assert!(broken.is_empty(), "{} of {flips} flips:\n{}", broken.len(), broken.join("\n"));
}
