//! Mutations of the data folder: its parts, backups, receipts after a restore, and revoked tokens.

use super::edit;
use crate::{Mutation, Suite};

const LIBRARY: &Suite = &Suite { arguments: &["-p", "stockline", "--lib"], sources: "standalone/src" };
const PROGRAM: &Suite = &Suite { arguments: &["-p", "stockline", "--test", "it"], sources: "standalone/tests/it" };
const INGRESS: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--lib"], sources: "ingress/src" };
const API: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--test", "api"], sources: "ingress/tests/api" };

const ENTRY: &str = "standalone/src/folder/entry.rs";
const ARCHIVE: &str = "standalone/src/archive.rs";
const REVOKED: &str = "ingress/src/auth/revoked.rs";

pub(super) const LIBRARY_MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-lost-part-of-a-folder-is-created-anew",
        edits: &[edit(
            ENTRY,
            "                Held::Missing => \"is missing\",",
            "                Held::Missing => continue,",
        )],
        suite: LIBRARY,
        killed_by: "folder::entry::tests::a_missing_empty_damaged_or_foreign_part_is_refused_and_nothing_changes",
    },
    Mutation {
        name: "a-part-of-another-folder-is-taken",
        edits: &[edit(ENTRY, "Held::Ours(Some(own)) if own == id => continue,", "Held::Ours(Some(_)) => continue,")],
        suite: LIBRARY,
        killed_by: "folder::entry::tests::a_missing_empty_damaged_or_foreign_part_is_refused_and_nothing_changes",
    },
    Mutation {
        name: "a-folder-counts-as-complete-before-its-parts-exist",
        edits: &[edit(
            ENTRY,
            "            manifest.write(folder)?;\n            step(\"manifest\")?;",
            "            let mut early = manifest.clone();\n            early.complete(now);\n            early.write(folder)?;\n            step(\"manifest\")?;",
        )],
        suite: LIBRARY,
        killed_by: "folder::entry::tests::wherever_the_first_start_dies_the_next_one_finishes_it",
    },
    Mutation {
        name: "a-copy-keeps-the-receipt-key-of-the-original",
        edits: &[edit(
            ENTRY,
            "        break_off(folder, manifest, What::Moved, now)?;",
            "        let _ = What::Moved;",
        )],
        suite: LIBRARY,
        killed_by: "folder::entry::tests::a_copy_that_starts_elsewhere_is_noticed_and_knows_what_the_other_copy_accepts",
    },
    Mutation {
        name: "the-digest-of-a-file-in-a-backup-is-ignored",
        edits: &[edit(
            ARCHIVE,
            "is_some_and(|expected| *expected != digest) {",
            "is_some_and(|expected| *expected != digest && false) {",
        )],
        suite: LIBRARY,
        killed_by: "archive::tests::a_damaged_file_is_named",
    },
    Mutation {
        name: "the-seal-of-a-backup-is-ignored",
        edits: &[edit(ARCHIVE, "    if has_digests {\n", "    if has_digests && false {\n")],
        suite: LIBRARY,
        killed_by: "archive::tests::a_flipped_bit_in_any_byte_is_refused",
    },
];

pub(super) const REVOKED_MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "an-empty-or-truncated-list-of-revoked-tokens-is-a-list",
        edits: &[edit(REVOKED, "if sealed { Ok(", "if sealed || true { Ok(")],
        suite: INGRESS,
        killed_by: "auth::revoked::tests::a_list_is_read_as_it_was_written_and_any_other_text_is_none",
    },
    Mutation {
        name: "an-older-list-makes-revoked-tokens-valid-again",
        edits: &[edit(
            REVOKED,
            "self.ids.write().unwrap_or_else(PoisonError::into_inner).extend(ids.into_iter().map(Box::from));",
            "*self.ids.write().unwrap_or_else(PoisonError::into_inner) = ids.into_iter().map(Box::from).collect();",
        )],
        suite: INGRESS,
        killed_by: "auth::revoked::tests::a_token_stays_revoked_when_its_list_is_lost_damaged_or_replaced_by_an_older_one",
    },
    Mutation {
        name: "tokens-are-accepted-while-nobody-knows-which-are-revoked",
        edits: &[edit(
            "ingress/src/auth/authenticator.rs",
            "(Some(revoked), _) if revoked.is_unknown() =>",
            "(Some(revoked), _) if revoked.is_unknown() && false =>",
        )],
        suite: INGRESS,
        killed_by: "auth::tests::attacks::a_known_token_expires_and_can_be_revoked",
    },
    Mutation {
        name: "tokens-are-accepted-while-the-key-file-can-t-be-read",
        edits: &[edit(
            "ingress/src/auth/authenticator.rs",
            "        self.state.keys_known()?;\n        let hash",
            "        let hash",
        )],
        suite: INGRESS,
        killed_by: "auth::tests::rotation::while_the_key_file_can_t_be_read_no_token_is_accepted_and_the_server_is_unready",
    },
    Mutation {
        name: "a-token-revoked-through-the-server-is-good-for-another-second",
        edits: &[edit(
            "ingress/src/auth/authenticator.rs",
            "if self.files.is_due(now) || told.is_some() {",
            "if self.files.is_due(now) {",
        )],
        suite: INGRESS,
        killed_by: "auth::tests::attacks::a_list_that_this_process_has_changed_is_read_before_the_next_request",
    },
];

pub(super) const RECEIPT_MUTATIONS: &[Mutation] = &[Mutation {
    name: "a-receipt-from-before-a-restore-proves-queued",
    edits: &[edit(
        "ingress/src/receipt.rs",
        "not_kept: Some(NotKept { why, .. }) })) = (&found, &proof) {",
        "not_kept: Some(NotKept { why, .. }) })) = (&found, &proof) && false {",
    )],
    suite: API,
    killed_by: "status::after_a_restore_the_receipt_of_a_later_command_without_an_outcome_is_404_and_says_send_again",
}];

pub(super) const PROGRAM_MUTATIONS: &[Mutation] = &[Mutation {
    name: "a-restore-does-not-record-its-moment",
    edits: &[edit(
        "standalone/src/commands/restore.rs",
        "    entry::break_off(&folder, &mut manifest, What::Restored { backup_of: checked.created_at }, now)?;",
        "    let _ = (What::Restored { backup_of: checked.created_at }, entry::break_off);",
    )],
    suite: PROGRAM,
    killed_by: "folder::after_a_restore_the_receipt_of_a_lost_sale_says_send_it_again",
}];
