//! Plays failures that were found, shrunk and kept: see `tests/sim/README.md`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use stockline_sim::kept::Kept;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kept").join(name).with_extension("json")
}

/// Checks that all promises hold. If the run was kept for a rule, they must not hold without it.
fn holds(name: &str) {
    let kept = Kept::read(&file(name));
    assert_eq!(kept.play(true, false).faults, Vec::<String>::new(), "{name} found once: {}", kept.found);
    if let Some(rule) = kept.without {
        assert!(!kept.play(false, false).faults.is_empty(), "{name} no longer notices that {rule:?} is missing");
    }
}

macro_rules! kept {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })*
    };
}

kept! {
    a_new_level_judged_by_the_threshold_of_before
    a_new_level_judged_while_the_threshold_changes
    judged_again_for_a_command_that_changed_nothing
    without_ack_first
    without_alert_claim_unconditional
    without_alerts_forgotten
    without_back_at_once
    without_chunk_outside
    without_claim_taken_for_mail
    without_claim_unconditional
    without_conflict_refused
    without_discard_leaves_open
    without_discard_unconditional
    without_failed_entries_ignored
    without_group_unlocked
    without_group_unordered
    without_ids_unconditional
    without_item_first
    without_item_unconditional
    without_level_unconditional
    without_mark_alert_forgotten
    without_mark_unconditional
    without_marked_before_mail
    without_no_proof
    without_not_atomic
    without_panic_takes_neighbours
    without_publish_unchecked
    without_rejection_outside
    without_resubmitted_unconditional
    without_resubmitted_unmarked
    without_retry_unconditional
    without_sent_claimed_again
    without_stale_reads
    without_threshold_unchecked
    without_unprocessed_ignored
}

#[test]
fn every_kept_run_is_a_test() {
    let files = std::fs::read_dir(file("any").parent().unwrap()).unwrap();
    let mut found: Vec<String> =
        files.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    found.sort_unstable();
    let mut named = NAMES.to_vec();
    named.sort_unstable();
    assert_eq!(found, named);
}
