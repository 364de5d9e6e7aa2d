//! Mutations of the commit conditions in both stores, and of the handling of service answers.

use super::edit;
use crate::{Mutation, Suite};

const AWS_CRATE: &Suite = &Suite { arguments: &["-p", "stockline-aws", "--lib"], sources: "common/aws/src" };
const CORE_CRATE: &Suite = &Suite { arguments: &["-p", "stockline-core", "--lib"], sources: "common/core/src" };
const SQLITE_CRATE: &Suite = &Suite { arguments: &["-p", "stockline-sqlite", "--lib"], sources: "common/sqlite/src" };

const DOMAIN: &Suite =
    &Suite { arguments: &["-p", "stockline-core", "--test", "domain"], sources: "common/core/tests/domain" };

const BIT_ROT: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "faults"], sources: "tests/tests/faults" };

const CONTRACT: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "contract"], sources: "tests/src/contract/store" };

const COMMIT: &str = "common/aws/src/dynamodb/commit.rs";
const CALL: &str = "common/aws/src/dynamodb/call.rs";
const CANCEL: &str = "common/aws/src/dynamodb/cancel.rs";
const PACE: &str = "common/sqlite/src/queue_db/pace.rs";
const LOAD: &str = "common/aws/src/dynamodb/load.rs";

pub(super) const DYNAMODB: &[Mutation] = &[
    Mutation {
        name: "a-separator-in-an-id-is-not-escaped-in-keys",
        edits: &[edit(
            "common/core/src/domain/segment.rs",
            "if !text.contains(['#', ':', '%']) {",
            "if !text.is_empty() {",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::ids_that_a_shop_writes_are_kept_apart",
    },
    Mutation {
        name: "the-item-of-a-hashed-group-is-taken-from-any-message",
        edits: &[edit("common/core/src/domain/message.rs", ".find(|item_id| item_id.carried() == group)", ".next()")],
        suite: DOMAIN,
        killed_by: "wire::a_hashed_group_leads_to_its_item_only",
    },
    Mutation {
        name: "dynamodb-a-change-of-the-catalogue-is-not-listed-with-its-item",
        edits: &[edit(
            "common/aws/src/dynamodb/row.rs",
            "    if changes {\n        row.insert(CHANGES.partition.into(),",
            "    if changes && outcome.accepted_at > outcome.settled_at {\n        row.insert(CHANGES.partition.into(),",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::changes_of_the_catalogue_are_listed_newest_first_by_every_filter",
    },
    Mutation {
        name: "sqlite-an-applied-command-is-in-no-list",
        edits: &[edit(
            "common/sqlite/src/stock/write.rs",
            "        if record.outcome.status == Status::Applied {\n            command_lists::put",
            "        if record.outcome.status == Status::Rejected {\n            command_lists::put",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::movements_of_all_items_page_newest_first_by_every_filter_or_are_not_kept",
    },
    Mutation {
        name: "sqlite-a-migrated-folder-has-empty-lists",
        edits: &[edit(
            "common/sqlite/src/stock/command_lists.rs",
            "    let filled = fill(connection, &mut LocationNames::default())\n",
            "    let filled = Ok::<(), Fault>(())\n",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::migration::a_folder_of_version_4_is_migrated_with_its_movements_and_changes_and_without_what_can_not_be_read",
    },
    Mutation {
        name: "dynamodb-ids-are-put-without-a-condition",
        edits: &[edit(
            COMMIT,
            "\"attribute_not_exists(#pk) OR #dead < :retry\"",
            "\"attribute_not_exists(#pk) OR attribute_exists(#pk) OR #dead < :retry\"",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::a_redelivered_sale_takes_stock_once_and_answers_as_the_first_did",
    },
    Mutation {
        name: "dynamodb-a-level-is-put-over-any-version",
        edits: &[edit(COMMIT, "\"#version = :version\"", "\"#version = :version OR attribute_exists(#version)\"")],
        suite: CONTRACT,
        killed_by: "store_dynamodb::a_stale_level_or_item_is_a_conflict",
    },
    Mutation {
        name: "dynamodb-an-item-is-put-over-any-version",
        edits: &[edit(
            COMMIT,
            "                conditions.push(AT_VERSION);\n                values.push((\":version\", row::number(version)));",
            "                let _ = version;\n                conditions.push(\"attribute_exists(#pk)\");",
        )],
        suite: AWS_CRATE,
        killed_by: "dynamodb::tests::commits::an_item_is_put_only_over_the_version_that_was_loaded",
    },
    Mutation {
        name: "dynamodb-a-level-is-re-judged-by-an-old-threshold",
        edits: &[edit(COMMIT, "None => actions.check_threshold(commit, table)?,", "None => {}")],
        suite: CONTRACT,
        killed_by: "store_dynamodb::a_level_is_rejudged_once_and_only_by_the_threshold_that_holds",
    },
    Mutation {
        name: "dynamodb-another-items-claim-is-taken",
        edits: &[edit(
            COMMIT,
            "\"attribute_not_exists(#pk) OR #item_id = :me\"",
            "\"attribute_not_exists(#pk) OR attribute_exists(#pk) OR #item_id = :me\"",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::a_claim_is_taken_when_absent_or_mine_and_given_up_when_mine",
    },
    Mutation {
        name: "dynamodb-a-chunk-is-overwritten",
        edits: &[edit(
            COMMIT,
            "row::of_chunk(&commit.item_id, chunk), ABSENT, &[], table)?;",
            "row::of_chunk(&commit.item_id, chunk), \"attribute_not_exists(#pk) OR attribute_exists(#pk)\", &[], table)?;",
        )],
        suite: AWS_CRATE,
        killed_by: "dynamodb::tests::commits::a_chunk_is_never_overwritten",
    },
    Mutation {
        name: "dynamodb-a-duplicate-counts-as-a-conflict",
        edits: &[edit(
            CANCEL,
            "if stored.decides(*retry) { decided.push(stored) } else { conflict = true }",
            "let _ = (stored.decides(*retry), &mut decided as &mut Vec<crate::domain::Record>);\n                    conflict = true;",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::a_duplicate_is_named_whatever_else_failed_and_nothing_is_written",
    },
    Mutation {
        name: "dynamodb-a-transaction-conflict-counts-as-an-outcome",
        edits: &[edit(
            CANCEL,
            "Some(code) => transient = Some(describe(code, reason)),",
            "Some(code) => refused = Some(describe(code, reason)),",
        )],
        suite: AWS_CRATE,
        killed_by: "dynamodb::tests::answers::a_transaction_with_a_conflict_may_pass_and_no_answer_is_taken_for_an_outcome",
    },
    Mutation {
        name: "dynamodb-unprocessed-keys-count-as-absent",
        edits: &[edit(
            CALL,
            "waiting = left.map(|left| left.keys).unwrap_or_default();",
            "waiting = left.map(|_| Vec::new()).unwrap_or_default();",
        )],
        suite: AWS_CRATE,
        killed_by: "dynamodb::tests::answers::what_was_left_unprocessed_is_asked_for_again_until_it_comes",
    },
    Mutation {
        name: "dynamodb-one-items-unprocessed-key-is-an-outage",
        edits: &[edit(CALL, "StoreError::Busy(why);", "StoreError::Unavailable(why);")],
        suite: AWS_CRATE,
        killed_by: "dynamodb::tests::answers::items_whose_keys_stay_unprocessed_are_busy_unless_all_of_several_are",
    },
    Mutation {
        name: "dynamodb-a-late-end-of-a-claim-ends-a-newer-one",
        edits: &[edit(
            "common/aws/src/dynamodb/alert_book.rs",
            "\"#claim = :claim AND #lease_until = :until\"",
            "\"#claim = :claim AND #lease_until >= :until\"",
        )],
        suite: AWS_CRATE,
        killed_by: "dynamodb::tests::alerts::a_late_end_of_a_claim_ends_no_newer_one",
    },
    Mutation {
        name: "dynamodb-keys-still-unprocessed-after-retries-count-as-absent",
        edits: &[edit(CALL, "                    found.failed.extend(left);", "                    drop(left);")],
        suite: AWS_CRATE,
        killed_by: "dynamodb::tests::answers::a_key_that_stays_unprocessed_fails_alone",
    },
    Mutation {
        name: "sqlite-the-claim-of-an-ended-process-still-holds",
        edits: &[edit(
            "common/sqlite/src/stock/alert_book.rs",
            "if live.contains(&lease_until) && self.is_anothers(name, lease) => {",
            "if live.contains(&lease_until) => {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::alerts::a_claim_of_an_ended_process_blocks_nobody",
    },
    Mutation {
        name: "sqlite-a-damaged-header-of-the-queue-is-an-outage",
        edits: &[edit(
            "common/sqlite/src/queue_db/file.rs",
            "        if let Some(what) = damage.of_file {",
            "        if let Some(what) = damage.of_file.filter(|_| false) {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "queue_db::file::tests::a_header_that_stops_every_write_refuses_the_file",
    },
    Mutation {
        name: "sqlite-messages-that-a-page-hides-are-forgotten",
        edits: &[edit(
            "common/sqlite/src/queue_db/recover.rs",
            "    let mut is_whole = !hides_rows;",
            "    let mut is_whole = true;",
        )],
        suite: SQLITE_CRATE,
        killed_by: "queue_db::file::tests::messages_that_a_page_hides_are_set_aside_and_the_others_go_on",
    },
    Mutation {
        name: "sqlite-a-claim-that-was-given-up-still-holds",
        edits: &[edit(
            "common/sqlite/src/stock/alert_book.rs",
            "if self.0.get(name) == Some(lease) {",
            "if self.0.get(name) == Some(lease) && false {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::alerts::a_claim_that_was_given_up_blocks_nobody",
    },
    Mutation {
        name: "sqlite-sends-run-ahead-of-the-worker",
        edits: &[edit(
            PACE,
            "if !worker_runs || waiting + state.sending <= free {",
            "if !worker_runs || waiting + state.sending < usize::MAX {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "queue_db::tests::once_many_messages_wait_a_send_is_delayed_until_acknowledgements_earn_it",
    },
    Mutation {
        name: "dynamodb-the-write-path-accepts-stale-reads",
        edits: &[edit(
            LOAD,
            "future::join(self.get_many(named, true), side_by_side(whole)).await;",
            "future::join(self.get_many(named, false), side_by_side(whole)).await;",
        )],
        suite: AWS_CRATE,
        killed_by: "dynamodb::tests::answers::the_levels_are_read_before_the_item_and_all_of_it_consistently",
    },
    Mutation {
        name: "sqs-a-failed-entry-counts-as-sent",
        edits: &[edit(
            "common/aws/src/sqs/entries.rs",
            "(entry.id(), Err(queue_error(entry.code(), entry.message().unwrap_or_default())))",
            "(entry.id(), { let _ = queue_error(entry.code(), \"\"); Ok(()) })",
        )],
        suite: AWS_CRATE,
        killed_by: "sqs::entries::tests::each_entry_has_its_own_result_and_an_unnamed_entry_has_failed",
    },
    Mutation {
        name: "an-entry-missing-from-the-answer-counts-as-done",
        edits: &[edit(
            "common/aws/src/batch.rs",
            "let mut results = vec![Err(unnamed); count];",
            "let _ = unnamed;\n    let mut results = vec![Ok(()); count];",
        )],
        suite: AWS_CRATE,
        killed_by: "batch::tests::an_entry_that_the_answer_does_not_name_has_failed",
    },
    Mutation {
        name: "a-receipt-of-any-key-is-accepted",
        edits: &[edit(
            "common/core/src/domain/receipt.rs",
            "verify_truncated_left(tag).is_ok();",
            "verify_truncated_left(tag).is_ok() || true;",
        )],
        suite: CORE_CRATE,
        killed_by: "domain::receipt::tests::a_receipt_holds_for_its_own_command_only",
    },
];

const POWER: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "powerloss"], sources: "tests/tests/powerloss" };

const SQLITE_COMMIT: &str = "common/sqlite/src/stock/commit.rs";
const MESSAGES: &str = "common/sqlite/src/queue_db/messages.rs";

const STOCK: &str = "common/sqlite/src/stock/mod.rs";
const LEVEL_LIST: &str = "common/sqlite/src/stock/level_list.rs";
const PAGE_BUDGET: &str = "common/sqlite/src/stock/page_budget.rs";

/// Reads beside writes.
pub(super) const READS: &[Mutation] = &[
    Mutation {
        name: "sqlite-lists-hold-the-connections-of-the-write-path",
        edits: &[edit(
            STOCK,
            "            _background: background,\n        };",
            "            _background: background,\n        };
        let lanes = Lanes { write_path: Arc::clone(&lanes.lists), ..lanes };",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::reads::lists_hold_no_connection_that_the_write_path_or_a_single_read_needs",
    },
    Mutation {
        name: "sqlite-lists-hold-the-connections-of-single-reads",
        edits: &[edit(
            STOCK,
            "            _background: background,\n        };",
            "            _background: background,\n        };
        let lanes = Lanes { points: Arc::clone(&lanes.lists), ..lanes };",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::reads::lists_hold_no_connection_that_the_write_path_or_a_single_read_needs",
    },
    Mutation {
        name: "sqlite-lists-do-not-see-a-load-or-commit",
        edits: &[edit(
            PAGE_BUDGET,
            "        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += 1;",
            "        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += 0;",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::reads::lists_see_that_a_load_or_a_commit_is_in_progress",
    },
    Mutation {
        name: "sqlite-lists-give-no-way-to-writes",
        edits: &[edit(
            PAGE_BUDGET,
            "        if *calls == 0 || most.is_zero() {",
            "        if *calls == 0 || !most.is_zero() {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::page_budget::tests::a_page_waits_for_the_write_path_but_not_for_ever",
    },
    Mutation {
        name: "sqlite-a-page-of-levels-examines-the-whole-store",
        edits: &[edit(LEVEL_LIST, "item_id.is_some() && budget.is_spent()", "item_id.is_none() && budget.is_spent()")],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::reads::a_page_costs_no_more_in_a_store_four_times_as_large",
    },
    Mutation {
        name: "sqlite-levels-of-a-location-are-sorted",
        edits: &[edit(
            LEVEL_LIST,
            "USING (item_no, location_no) WHERE place.location_no = ?2 AND place.item_id >= ?1 ORDER BY place.item_id",
            "USING (item_no, location_no) WHERE place.location_no = ?2 AND place.item_id >= ?1 ORDER BY place.item_no",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::reads::no_read_scans_a_table_that_grows_or_sorts_one",
    },
    Mutation {
        name: "a-damaged-cursor-is-read",
        edits: &[edit(
            "common/core/src/ports/cursor.rs",
            "of == list && sum == checksum(list, key.get());",
            "of == list && (sum == checksum(list, key.get()) || sum > 0);",
        )],
        suite: CORE_CRATE,
        killed_by: "ports::cursor::tests::a_cursor_with_any_other_character_is_an_error",
    },
];

pub(super) const SQLITE: &[Mutation] = &[
    Mutation {
        name: "a-reader-of-an-undone-past-goes-on",
        edits: &[edit(
            "common/sqlite/src/stock/change_list.rs",
            "self.mark.key.0 > until",
            "self.mark.key.0 > i64::MAX - 1 + until.signum()",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::changes::a_reader_of_a_past_that_a_restore_has_undone_begins_anew",
    },
    Mutation {
        name: "a-renamed-item-does-not-change-its-levels",
        edits: &[edit(
            "common/sqlite/src/stock/write.rs",
            "    change_list::change_levels(connection, item_no, change_no)?;",
            "",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::archived_items_and_renamed_ones_are_among_the_changes",
    },
    Mutation {
        name: "a-level-that-moves-keeps-its-place-among-the-changes",
        edits: &[edit(
            "common/sqlite/src/stock/write.rs",
            "counted_seq = ?16, change_no = ?17 WHERE",
            "counted_seq = ?16, change_no = min(change_no, ?17) WHERE",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::a_reader_that_follows_the_changes_ends_with_the_state_of_the_store",
    },
    Mutation {
        name: "sqlite-ids-are-put-without-a-condition",
        edits: &[edit(
            SQLITE_COMMIT,
            "Some((_, stored)) if stored.decides(record.retry) => decided.push(stored),",
            "Some((_, stored)) if stored.decides(record.retry) && false => decided.push(stored),",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::a_redelivered_sale_takes_stock_once_and_answers_as_the_first_did",
    },
    Mutation {
        name: "sqlite-a-level-is-put-over-any-version",
        edits: &[edit(
            SQLITE_COMMIT,
            "if stored.map(|stored| stored.version) != put.loaded_version {",
            "if stored.map(|stored| stored.version) != put.loaded_version && false {",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::a_stale_level_or_item_is_a_conflict",
    },
    Mutation {
        name: "sqlite-an-item-is-put-over-any-version",
        edits: &[edit(
            SQLITE_COMMIT,
            "commit.item.as_ref().is_none_or(|put| put.loaded_version == summary.and_then(|summary| summary.version))",
            "commit.item.as_ref().is_none_or(|put| put.loaded_version == summary.and_then(|summary| summary.version) || true)",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::a_stale_level_or_item_is_a_conflict",
    },
    Mutation {
        name: "sqlite-a-level-is-re-judged-by-an-old-threshold",
        edits: &[edit(
            SQLITE_COMMIT,
            "summary.version.is_some() && summary.threshold_version == version",
            "summary.version.is_some() && (summary.threshold_version == version || true)",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::a_level_is_rejudged_once_and_only_by_the_threshold_that_holds",
    },
    Mutation {
        name: "sqlite-another-items-claim-is-taken",
        edits: &[edit(SQLITE_COMMIT, "(holder, _) => holder == mine,", "(holder, _) => holder == mine || true,")],
        suite: CONTRACT,
        killed_by: "store_sqlite::a_claim_is_taken_when_absent_or_mine_and_given_up_when_mine",
    },
    Mutation {
        name: "sqlite-a-group-is-delivered-while-it-is-in-flight",
        edits: &[edit(
            MESSAGES,
            "        item.in_flight = item.delivered.len();\n    }\n\n    fn taken_before",
            "        item.in_flight = item.delivered.len();
        if !item.waiting.is_empty() {
            self.ready.push_back(Arc::clone(name));
        }
    }\n\n    fn taken_before",
        )],
        suite: SQLITE_CRATE,
        killed_by: "queue_db::tests::a_group_is_locked_while_any_of_its_messages_is_in_flight",
    },
    Mutation {
        name: "sqlite-an-expired-handle-acknowledges",
        edits: &[edit(
            MESSAGES,
            "    pub(super) fn ack(&mut self, now: Instant, delivery: DeliveryNo) -> Option<i64> {\n        self.expire(now);",
            "    pub(super) fn ack(&mut self, _now: Instant, delivery: DeliveryNo) -> Option<i64> {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "queue_db::tests::an_expired_handle_neither_acknowledges_nor_extends",
    },
    Mutation {
        name: "sqlite-accepted-commands-are-not-synced",
        edits: &[
            edit(
                "common/sqlite/src/schema.rs",
                "if options.synchronous_off { \"OFF\" } else { \"FULL\" })?;",
                "if options.synchronous_off { \"OFF\" } else { \"OFF\" })?;",
            ),
            edit(
                "common/sqlite/src/queue_db/batches.rs",
                "\"synchronous\", if durable { \"FULL\" } else { \"NORMAL\" })?;",
                "\"synchronous\", if durable { \"OFF\" } else { \"OFF\" })?;",
            ),
        ],
        suite: POWER,
        killed_by: "promises::an_accepted_command_survives_a_power_cut_and_without_syncs_it_does_not",
    },
    Mutation {
        name: "sqlite-a-missing-key-is-taken-as-absent",
        edits: &[edit(
            "common/sqlite/src/stock/key_chain.rs",
            "        if self.link == link(self.key, to) {",
            "        if true || self.link == link(self.key, to) {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::record_index::tests::a_damaged_index_never_says_that_a_key_is_absent_and_is_made_anew_from_the_records",
    },
    Mutation {
        name: "sqlite-the-log-of-keys-may-end-early",
        edits: &[edit(
            "common/sqlite/src/stock/record_index.rs",
            "    if last != last_record_no {",
            "    if last < 0 {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::record_index::tests::a_damaged_index_never_says_that_a_key_is_absent_and_is_made_anew_from_the_records",
    },
    Mutation {
        name: "sqlite-a-level-that-is-not-found-begins-anew",
        edits: &[edit("common/sqlite/src/stock/load.rs", "    if has == found {", "    if has >= 0 {")],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::durability::what_is_there_and_not_found_is_noticed_and_never_begins_anew",
    },
    Mutation {
        name: "sqlite-a-changed-level-is-read",
        edits: &[edit(
            "common/sqlite/src/stock/sealed.rs",
            "        _ => Err(()),",
            "        _ => Ok(bytes.get(SEAL_BYTES..).unwrap_or_default()),",
        )],
        suite: BIT_ROT,
        killed_by: "bit_rot::a_flipped_bit_is_harmless_or_noticed_and_harms_no_other_item",
    },
    Mutation {
        name: "core-a-version-is-believed-without-its-checksum",
        edits: &[edit(
            "common/core/src/domain/codec/bytes.rs",
            "    if found == 0 || u32::from_le_bytes(*checksum) != sum(sealed, key) {",
            "    if found == 0 || (found <= known && u32::from_le_bytes(*checksum) != sum(sealed, key)) {",
        )],
        suite: CORE_CRATE,
        killed_by: "domain::codec::entries::tests::a_version_is_believed_only_with_the_right_checksum",
    },
    Mutation {
        name: "core-a-record-is-read-under-the-key-of-another",
        edits: &[edit("common/core/src/domain/codec/bytes.rs", "    for part in key {", "    for part in &key[..0] {")],
        suite: DOMAIN,
        killed_by: "wire::every_flipped_bit_and_every_cut_of_a_record_is_noticed",
    },
    Mutation {
        name: "core-an-effect-forgets-when-it-was-recorded",
        edits: &[edit(
            "common/core/src/domain/codec/record.rs",
            "    let when_settled = effect.recorded_at == settled_at;",
            "    let when_settled = effect.recorded_at <= settled_at;",
        )],
        suite: DOMAIN,
        killed_by: "wire::any_record_reads_back",
    },
    Mutation {
        name: "sqlite-lists-are-read-before-sales",
        edits: &[edit(
            "common/sqlite/src/stock/background.rs",
            "rustix::process::nice(NICE)",
            "rustix::process::nice(0)",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::reads::lists_and_exports_are_read_at_a_lower_priority_than_what_a_till_waits_for",
    },
    Mutation {
        name: "sqlite-a-conflict-leaves-what-is-kept",
        edits: &[edit(
            "common/sqlite/src/stock/group_commit.rs",
            "                _ => state.hot.forget(&prepared.commit.item_id),",
            "                _ => {}",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::hot::a_commit_that_meets_other_rows_forgets_its_item_so_that_the_next_load_reads_them",
    },
    Mutation {
        name: "sqlite-a-changed-location-stays-as-it-was-kept",
        edits: &[edit(
            "common/sqlite/src/stock/ports.rs",
            "            state.rows_changed = true;",
            "            state.rows_changed = false;",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::hot::kept_rows_are_those_of_the_file_after_any_history_and_with_any_room",
    },
    Mutation {
        name: "sqlite-a-load-keeps-an-item-that-has-changed-meanwhile",
        edits: &[edit(
            "common/sqlite/src/stock/hot_rows.rs",
            "        if state.changes != changes {",
            "        if state.changes < changes {",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::hot::a_load_that_a_change_of_an_item_or_a_location_overtakes_keeps_nothing",
    },
    Mutation {
        name: "sqlite-a-commit-does-not-renew-what-is-kept",
        edits: &[edit(
            "common/sqlite/src/stock/hot_rows.rs",
            "            prepared.levels.iter().for_each(|level| hot.put(Arc::clone(level)));",
            "            let is_new = hot.levels.is_empty();\n            prepared.levels.iter().filter(|_| is_new).for_each(|level| hot.put(Arc::clone(level)));",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::hot::kept_rows_are_those_of_the_file_after_any_history_and_with_any_room",
    },
    Mutation {
        name: "sqlite-a-damaged-record-of-an-earlier-program-is-dropped",
        edits: &[edit(
            "common/sqlite/src/stock/record_upgrade.rs",
            "coalesce(?2, CAST(body AS BLOB))",
            "coalesce(?2, x'')",
        )],
        suite: SQLITE_CRATE,
        killed_by: "stock::tests::migration::the_records_of_a_folder_of_version_8_are_made_compact_and_one_that_can_not_be_read_stays_as_it_is",
    },
    Mutation {
        name: "core-a-command-whose-bytes-have-changed-is-applied",
        edits: &[edit(
            "common/core/src/domain/message.rs",
            "    if seal_of(raw) == Seal::Wrong {",
            "    if seal_of(raw) == Seal::Wrong && raw.is_empty() {",
        )],
        suite: DOMAIN,
        killed_by: "small_rules::each_flipped_bit_of_a_message_harms_one_command_at_most_two",
    },
    Mutation {
        name: "sqlite-a-message-keeps-the-place-that-a-flipped-bit-gave-it",
        edits: &[edit(
            "common/sqlite/src/queue_db/recover.rs",
            "    numbers.chain(ids).chain(groups).find(fits)",
            "    ids.chain(groups).chain(numbers.take(0)).find(fits)",
        )],
        suite: SQLITE_CRATE,
        killed_by: "queue_db::recover::tests::each_flipped_bit_of_a_rows_key_is_found_again",
    },
];
