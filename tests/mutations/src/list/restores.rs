//! Mutations of the repair after a restore, of the audit's ranges, and of the kept keys of the issuer.

use super::edit;
use crate::{Mutation, Suite};

const FAULTS: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "faults"], sources: "tests/tests/faults" };
const WORKER: &Suite = &Suite { arguments: &["-p", "stockline-worker", "--lib"], sources: "worker/src" };
const INGRESS: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--lib"], sources: "ingress/src" };

const PLAN: &str = "common/aws/src/dynamodb/repair/plan.rs";
const REMADE: &str = "common/aws/src/dynamodb/repair/remade.rs";
const EVIDENCE: &str = "common/aws/src/dynamodb/repair/evidence.rs";
const SCAN: &str = "common/aws/src/dynamodb/repair/scan.rs";
const KEPT: &str = "ingress/src/auth/kept.rs";

const TORN: &str =
    "torn_restore::any_subset_of_the_rows_of_the_last_transactions_is_mended_and_sending_all_again_sells_nothing_twice";

pub(super) const REPAIR: &[Mutation] = &[
    Mutation {
        name: "repair-keeps-half-a-transfer",
        edits: &[edit(EVIDENCE, "of_it.len() + old >= wanted && of_it.iter()", "of_it.iter()")],
        suite: FAULTS,
        killed_by: TORN,
    },
    Mutation {
        name: "repair-makes-no-outcome-of-an-entry",
        edits: &[edit(PLAN, "            self.records.insert(*command_id, record);\n", "            drop(record);\n")],
        suite: FAULTS,
        killed_by: TORN,
    },
    Mutation {
        name: "repair-forgets-what-only-an-outcome-proves",
        edits: &[edit(EVIDENCE, "of_ledgers.chain(of_records)", "of_ledgers.chain(of_records.take(0))")],
        suite: FAULTS,
        killed_by: TORN,
    },
    Mutation {
        name: "repair-lets-a-shortage-refuse-what-was-sold",
        edits: &[edit(
            REMADE,
            "        *on_shortage = Some(ShortagePolicy::Allow);",
            "        *on_shortage = Some(ShortagePolicy::Reject);",
        )],
        suite: FAULTS,
        killed_by: TORN,
    },
    Mutation {
        name: "repair-leaves-a-mark-of-a-lost-reversal",
        edits: &[edit(
            PLAN,
            "            if record.outcome.reversed_by != by {",
            "            if by.is_some() && record.outcome.reversed_by != by {",
        )],
        suite: FAULTS,
        killed_by: TORN,
    },
    Mutation {
        name: "repair-does-not-see-chunks-beyond-their-level",
        edits: &[edit(
            SCAN,
            "            if last.is_some_and(|at| at >= window.from) {",
            "            if last.is_some_and(|at| at >= window.until) {",
        )],
        suite: FAULTS,
        killed_by: TORN,
    },
];

pub(super) const AUDIT: &[Mutation] = &[
    Mutation {
        name: "an-audit-ends-with-its-first-range",
        edits: &[edit(
            "worker/src/audit.rs",
            "        if next.is_none() {\n            break;",
            "        if next.is_some() || next.is_none() {\n            break;",
        )],
        suite: WORKER,
        killed_by: "tests::audit::each_damage_is_found_and_named",
    },
    Mutation {
        name: "a-resumed-audit-speaks-for-all-items",
        edits: &[edit("worker/src/audit.rs", "self.after.as_ref().is_none_or(|after| item_id > after)", "true")],
        suite: WORKER,
        killed_by: "tests::audit::an_audit_goes_on_at_its_checkpoint_and_says_nothing_of_the_items_before_it",
    },
];

pub(super) const KEPT_KEYS: &[Mutation] = &[
    Mutation {
        name: "kept-keys-are-believed-without-a-seal",
        edits: &[edit(
            KEPT,
            "v != VERSION || !self.seals.iter().any(|key| hmac::verify(key, &message, &tag).is_ok())",
            "v != VERSION && message.is_empty() && tag.is_empty()",
        )],
        suite: INGRESS,
        killed_by: "auth::tests::kept::a_poisoned_or_unreadable_row_makes_nobody_valid",
    },
    Mutation {
        name: "kept-keys-are-of-any-age",
        edits: &[edit(KEPT, "!(-CLOCK_SKEW_MAX_MS..=KEYS_KEPT_S * 1_000).contains(&age_ms)", "age_ms == i64::MAX")],
        suite: INGRESS,
        killed_by: "auth::tests::kept::kept_keys_are_never_older_than_a_day",
    },
    Mutation {
        name: "keys-of-others-are-used-for-ever",
        edits: &[edit("ingress/src/auth/remote.rs", "if is_old && !is_ours {", "if is_old && is_ours {")],
        suite: INGRESS,
        killed_by: "auth::tests::kept::kept_keys_are_never_older_than_a_day",
    },
];
