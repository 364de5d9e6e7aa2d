//! Mutations of the domain rules.

use super::edit;
use crate::{Mutation, Suite};

const DOMAIN: &Suite =
    &Suite { arguments: &["-p", "stockline-core", "--test", "domain"], sources: "common/core/tests/domain" };

const FOLD: &str = "common/core/src/domain/fold.rs";
const DRAFT: &str = "common/core/src/domain/fold/draft.rs";
const MOVEMENTS: &str = "common/core/src/domain/fold/movements.rs";
const OCCURRENCE: &str = "common/core/src/domain/occurrence.rs";
const LEVEL: &str = "common/core/src/domain/level.rs";
const RECORD: &str = "common/core/src/domain/record.rs";
const BARCODE: &str = "common/core/src/domain/barcode.rs";
const RECORDS: &str = "common/core/src/domain/catalogue.rs";
const VALUES: &str = "common/core/src/domain/parse/values.rs";
const CATALOGUE: &str = "common/core/src/domain/fold/catalogue_commands.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-fold-is-netted-instead-of-judged-entry-by-entry",
        edits: &[
            edit(
                MOVEMENTS,
                "let alert = draft.level.judge(item, recorded_at, queued.command.command_id);",
                "let alert: Option<Alert> = None;",
            ),
            edit(DRAFT, "fn into_commit(self,", "fn into_commit(mut self,"),
            edit(
                DRAFT,
                "            let mut level = draft.level;\n            level.version += 1;",
                "            let mut level = draft.level;\n            level.version += 1;
            if let (Some(item), Some(last)) = (self.loaded.item.as_ref(), self.records.last_mut()) {
                let alert = level.judge(item, level.updated_at, last.outcome.command_id);
                last.alerts.extend(alert);
            }",
            ),
        ],
        suite: DOMAIN,
        killed_by: "alert_tables::no_crossing_hides_inside_a_batch",
    },
    Mutation {
        name: "a-cleared-planning-of-a-location-stays",
        edits: &[edit(
            CATALOGUE,
            "        if !planning.is_empty() {\n            item.overrides.insert",
            "        {\n            item.overrides.insert",
        )],
        suite: DOMAIN,
        killed_by: "catalogue_tables::a_planning_is_set_field_by_field_and_cleared_at_a_location_it_is_the_items",
    },
    Mutation {
        name: "overrides-have-no-bound",
        edits: &[edit(
            CATALOGUE,
            "if !planning.is_empty() && item.overrides.len() >= MAX_OVERRIDES {",
            "if item.overrides.len() > 10 * MAX_OVERRIDES {",
        )],
        suite: DOMAIN,
        killed_by: "catalogue_tables::so_many_locations_of_an_item_have_a_planning_of_their_own_and_no_more",
    },
    Mutation {
        name: "the-decimals-of-a-locations-multiple-are-taken-away",
        edits: &[edit(
            CATALOGUE,
            "for (location_id, planning) in &item.overrides {",
            "for (location_id, planning) in item.overrides.iter().take(0) {",
        )],
        suite: DOMAIN,
        killed_by: "catalogue_tables::decimals_in_use_stay",
    },
    Mutation {
        name: "a-fold-forgets-the-bytes-of-overrides",
        edits: &[edit(
            "common/core/src/domain/fold/room.rs",
            "actions * ACTION_MAX_BYTES + self.overrides_bytes(slot) + self.letter_bytes",
            "actions * ACTION_MAX_BYTES + 0 * self.overrides_bytes(slot) + self.letter_bytes",
        )],
        suite: DOMAIN,
        killed_by: "limits::an_item_with_all_its_overrides_fits_and_a_fold_ends_before_it_would_not",
    },
    Mutation {
        name: "opening-stock-is-not-judged",
        edits: &[edit(DRAFT, "        if self.level.seq == 0 {\n            self.level.open();\n        }\n", "")],
        suite: DOMAIN,
        killed_by: "alert_tables::opening_stock_below_the_threshold_is_a_crossing_marked_as_an_opening",
    },
    Mutation {
        name: "a-level-is-judged-before-its-opening-stock-is-in",
        edits: &[edit(LEVEL, "            state: StockState::Out,", "            state: StockState::Normal,")],
        suite: DOMAIN,
        killed_by: "alert_tables::a_new_level_is_not_judged_until_its_opening_stock_is_in",
    },
    Mutation {
        name: "an-opening-is-not-marked",
        edits: &[edit(MOVEMENTS, "let opening = is_first &&", "let opening = false && is_first &&")],
        suite: DOMAIN,
        killed_by: "alert_tables::opening_stock_below_the_threshold_is_a_crossing_marked_as_an_opening",
    },
    Mutation {
        name: "a-first-sale-counts-as-opening-stock",
        edits: &[edit(
            MOVEMENTS,
            "let opening = is_first && !draft.level.on_hand.is_negative();",
            "let opening = is_first;",
        )],
        suite: DOMAIN,
        killed_by: "alert_tables::a_first_entry_that_takes_stock_is_judged_at_once_and_opens_nothing",
    },
    Mutation {
        name: "a-fold-judges-its-commands-in-reverse-order",
        edits: &[edit(
            FOLD,
            "    for slot in slots {\n        let id",
            "    for slot in slots.iter().rev() {\n        let id",
        )],
        suite: DOMAIN,
        killed_by: "properties::any_sequence_however_it_is_cut_ends_as_the_model_says",
    },
    Mutation {
        name: "a-repeated-id-in-one-fold-counts-twice",
        edits: &[
            edit(
                FOLD,
                "let earlier = draft.record(id).or_else(|| decided.get(&id));",
                "let earlier = decided.get(&id);",
            ),
            edit(
                FOLD,
                "if draft.rewrites_own_row(slot) || !draft.has_room(slot, limits) {",
                "if !draft.has_room(slot, limits) {",
            ),
        ],
        suite: DOMAIN,
        killed_by: "properties::any_sequence_however_it_is_cut_ends_as_the_model_says",
    },
    Mutation {
        name: "a-stored-outcome-is-ignored",
        edits: &[edit(
            FOLD,
            "let earlier = draft.record(id).or_else(|| decided.get(&id));",
            "let earlier = draft.record(id).or_else(|| decided.get(&id).filter(|_| false));",
        )],
        suite: DOMAIN,
        killed_by: "movement_tables::the_same_id_counts_once_wherever_it_comes_again",
    },
    Mutation {
        name: "a-chunk-loses-the-first-entry-of-the-tail",
        edits: &[edit(
            DRAFT,
            "entries: std::mem::take(&mut level.tail) });",
            "entries: std::mem::take(&mut level.tail).split_off(1) });",
        )],
        suite: DOMAIN,
        killed_by: "properties::any_sequence_however_it_is_cut_ends_as_the_model_says",
    },
    Mutation {
        name: "a-chunk-leaves-its-last-entry-in-the-tail",
        edits: &[edit(
            DRAFT,
            "commit.chunks.push(Chunk { location_id, entries: std::mem::take(&mut level.tail) });",
            "commit.chunks.push(Chunk { location_id, entries: level.tail.clone() });
                level.tail.drain(..level.tail.len() - 1);",
        )],
        suite: DOMAIN,
        killed_by: "properties::any_sequence_however_it_is_cut_ends_as_the_model_says",
    },
    Mutation {
        name: "alert-ids-are-reused",
        edits: &[edit(LEVEL, "self.alert_no += 1;", "self.alert_no = 1;")],
        suite: DOMAIN,
        killed_by: "alert_tables::alert_numbers_count_up_without_the_ledger_moving",
    },
    Mutation {
        name: "alert-ids-use-the-ledgers-seq",
        edits: &[edit(LEVEL, "self.alert_no += 1;", "self.alert_no = self.seq;")],
        suite: DOMAIN,
        killed_by: "alert_tables::alert_numbers_count_up_without_the_ledger_moving",
    },
    Mutation {
        name: "an-episode-never-ends",
        edits: &[edit(LEVEL, "if state == StockState::Normal {", "if false {")],
        suite: DOMAIN,
        killed_by: "alert_tables::a_worsening_alerts_once_per_kind_and_episode",
    },
    Mutation {
        name: "a-kind-alerts-repeatedly-in-an-episode",
        edits: &[edit(LEVEL, "self.alerted |= kind.bit();", "")],
        suite: DOMAIN,
        killed_by: "alert_tables::a_worsening_alerts_once_per_kind_and_episode",
    },
    Mutation {
        name: "an-archived-item-alerts",
        edits: &[edit(LEVEL, "item.is_archived() || state <= was", "state <= was")],
        suite: DOMAIN,
        killed_by: "alert_tables::an_archived_item_alerts_nothing_and_starts_over_when_restored",
    },
    Mutation {
        name: "a-default-threshold-does-not-end-its-fold",
        edits: &[edit(
            FOLD,
            "                    rejudge = Some(id);\n                    break;",
            "                    rejudge = None;",
        )],
        suite: DOMAIN,
        killed_by: "catalogue_tables::a_default_threshold_ends_its_fold_and_only_a_change_does",
    },
    Mutation {
        name: "a-location-threshold-does-not-judge-the-level",
        edits: &[edit(
            CATALOGUE,
            "let alerts = draft.level.judge(item, raised_at, queued.command.command_id).into_iter().collect();",
            "let _ = raised_at;\n        let alerts = Vec::new();",
        )],
        suite: DOMAIN,
        killed_by: "alert_tables::setting_a_threshold_judges_the_level_anew",
    },
    Mutation {
        name: "no-movement-is-late",
        edits: &[edit(MOVEMENTS, "let late = at.explicit\n", "let late = false && at.explicit\n")],
        suite: DOMAIN,
        killed_by: "time_tables::what_the_last_count_saw_is_late_and_moves_nothing",
    },
    Mutation {
        name: "a-movement-at-the-moment-of-a-count-is-not-late",
        edits: &[edit(
            MOVEMENTS,
            "Change::By(_) => at.occurred_at <= counted_at,",
            "Change::By(_) => at.occurred_at < counted_at,",
        )],
        suite: DOMAIN,
        killed_by: "time_tables::what_the_last_count_saw_is_late_and_moves_nothing",
    },
    Mutation {
        name: "a-movement-without-its-own-time-can-be-late",
        edits: &[edit(MOVEMENTS, "let late = at.explicit\n        && counted_at", "let late = counted_at")],
        suite: DOMAIN,
        killed_by: "time_tables::what_the_last_count_saw_is_late_and_moves_nothing",
    },
    Mutation {
        name: "the-fold-judges-a-resubmission-by-its-own-acceptance",
        edits: &[edit(
            "common/core/src/domain/occurrence.rs",
            "queued.first_accepted_at.unwrap_or(queued.accepted_at)",
            "queued.accepted_at",
        )],
        suite: DOMAIN,
        killed_by: "protocol_tables::however_late_a_refused_command_is_corrected_its_age_is_judged_by_when_it_first_came",
    },
    Mutation {
        name: "a-late-count-undoes-later-movements",
        edits: &[edit(
            MOVEMENTS,
            "try_fold(Quantity::ZERO, |sum, entry| sum.checked_add(entry.delta))",
            "try_fold(Quantity::ZERO, |sum, _| Some(sum))",
        )],
        suite: DOMAIN,
        killed_by: "time_tables::a_count_that_arrives_late_keeps_what_occurred_after_it",
    },
    Mutation {
        name: "the-clients-clock-is-not-corrected",
        edits: &[edit(OCCURRENCE, "claimed.plus_millis(correction)", "claimed.plus_millis(correction * 0)")],
        suite: DOMAIN,
        killed_by: "time_tables::the_clock_of_the_client_is_corrected_by_when_it_sent",
    },
    Mutation {
        name: "the-clients-clock-is-corrected-in-the-wrong-direction",
        edits: &[edit(OCCURRENCE, "accepted_at.millis_since(sent_at)", "sent_at.millis_since(accepted_at)")],
        suite: DOMAIN,
        killed_by: "time_tables::the_clock_of_the_client_is_corrected_by_when_it_sent",
    },
    Mutation {
        name: "a-future-time-is-not-clamped",
        edits: &[edit(OCCURRENCE, "occurred_at: corrected.min(accepted_at)", "occurred_at: corrected")],
        suite: DOMAIN,
        killed_by: "time_tables::the_clock_of_the_client_is_corrected_by_when_it_sent",
    },
    Mutation {
        name: "the-legs-of-a-transfer-have-their-own-times",
        edits: &[edit(
            MOVEMENTS,
            "self.apply(queued, item, at, (leg, judged, priced), recorded_at, &mut applied);",
            "let own = self.recorded_at(queued, std::slice::from_ref(leg)).min(recorded_at);\n            self.apply(queued, item, at, (leg, judged, priced), own, &mut applied);",
        )],
        suite: DOMAIN,
        killed_by: "time_tables::both_legs_of_a_transfer_have_one_time",
    },
    Mutation {
        name: "an-earlier-count-with-a-later-time-rules",
        edits: &[edit(
            MOVEMENTS,
            "draft.level.counted_at = Some(at.occurred_at);",
            "draft.level.counted_at = draft.level.counted_at.max(Some(at.occurred_at));",
        )],
        suite: DOMAIN,
        killed_by: "time_tables::a_later_count_always_mends",
    },
    Mutation {
        name: "a-count-by-a-wrong-clock-makes-sales-late",
        edits: &[edit(MOVEMENTS, ".filter(|counted_at| at.can_follow(*counted_at))", "")],
        suite: DOMAIN,
        killed_by: "time_tables::what_a_wrong_clock_wrote_never_outranks_the_queue",
    },
    Mutation {
        name: "a-count-by-a-wrong-clock-rules-again-later",
        edits: &[edit(MOVEMENTS, "draft.level.counted_at = None;", "")],
        suite: DOMAIN,
        killed_by: "time_tables::a_clock_that_went_back_makes_nothing_late",
    },
    Mutation {
        name: "a-late-count-keeps-what-a-wrong-clock-put-after-it",
        edits: &[edit(MOVEMENTS, " && at.can_follow(entry.occurred_at))", ")")],
        suite: DOMAIN,
        killed_by: "time_tables::a_later_count_always_mends",
    },
    Mutation {
        name: "a-clamped-time-can-be-late",
        edits: &[edit(OCCURRENCE, "explicit: !clock_ahead", "explicit: true")],
        suite: DOMAIN,
        killed_by: "time_tables::a_clock_that_went_back_makes_nothing_late",
    },
    Mutation {
        name: "a-retry-shows-that-a-count-was-wrong",
        edits: &[edit(OCCURRENCE, "(queued.retry == 0).then(", "(queued.retry < u32::MAX).then(")],
        suite: DOMAIN,
        killed_by: "time_tables::what_a_wrong_clock_wrote_never_outranks_the_queue",
    },
    Mutation {
        name: "a-resubmission-grows-old-by-a-clock-ahead",
        edits: &[edit(
            OCCURRENCE,
            "unwrap_or(queued.accepted_at).min(queued.accepted_at)",
            "unwrap_or(queued.accepted_at)",
        )],
        suite: DOMAIN,
        killed_by: "time_tables::a_resubmission_is_no_older_because_it_was_first_accepted_by_a_clock_ahead",
    },
    Mutation {
        name: "an-archived-item-sells-after-a-wrong-clock",
        edits: &[edit(MOVEMENTS, " || !at.can_follow(archived_at))", ")")],
        suite: DOMAIN,
        killed_by: "time_tables::an_archived_item_refuses_by_its_place_if_the_clock_was_wrong",
    },
    Mutation {
        name: "recorded-at-precedes-the-previous-entry",
        edits: &[edit(
            MOVEMENTS,
            "latest.max(self.level(leg.location_id).level.updated_at)",
            "latest.max(self.level(leg.location_id).level.updated_at.min(latest))",
        )],
        suite: DOMAIN,
        killed_by: "time_tables::recorded_at_never_runs_behind_acceptance_or_the_entry_before",
    },
    Mutation {
        name: "a-shortage-is-never-refused",
        edits: &[edit(MOVEMENTS, "if leg.reject_shortage && delta.is_negative()", "if false && delta.is_negative()")],
        suite: DOMAIN,
        killed_by: "movement_tables::one_hundred_and_twenty_buyers_of_four_units_leave_none_and_116_refusals",
    },
    Mutation {
        name: "a-precondition-is-not-judged",
        edits: &[edit(MOVEMENTS, "if found == expected {", "if found == expected || true {")],
        suite: DOMAIN,
        killed_by: "movement_tables::a_precondition_is_judged_when_applied",
    },
    Mutation {
        name: "a-dead-letter-blocks-its-own-retry",
        edits: &[edit(
            RECORD,
            "!(open_dead_letter && self.retry < retry)",
            "!(open_dead_letter && self.retry < retry && false)",
        )],
        suite: DOMAIN,
        killed_by: "protocol_tables::a_record_decides_by_status_tries_and_finality",
    },
    Mutation {
        name: "a-new-level-is-not-bound-to-the-threshold",
        edits: &[edit(
            DRAFT,
            "if commit.item.is_none() && commit.levels.iter().any(|put| put.loaded_version.is_none()) {",
            "if commit.item.is_none() && commit.levels.iter().any(|put| put.loaded_version.is_none() && false) {",
        )],
        suite: DOMAIN,
        killed_by: "protocol_tables::a_new_level_is_bound_to_the_threshold_that_it_was_judged_by",
    },
    Mutation {
        name: "a-gtin-in-another-spelling-is-another-code",
        edits: &[edit(
            BARCODE,
            "    if !is_gtin(code) {\n        return Cow::Borrowed(code);\n    }\n",
            "    if !code.is_empty() {\n        return Cow::Borrowed(code);\n    }\n",
        )],
        suite: DOMAIN,
        killed_by: "catalogue_tables::a_gtin_is_held_once_in_its_shortest_form_whatever_its_spelling",
    },
    Mutation {
        name: "only-the-canonical-spelling-of-a-barcode-is-looked-for",
        edits: &[edit(
            RECORDS,
            "barcode::spellings(code).into_iter().map(Self::Barcode)",
            "barcode::spellings(code).into_iter().take(1).map(Self::Barcode)",
        )],
        suite: DOMAIN,
        killed_by: "catalogue_tables::a_code_that_an_item_of_before_holds_in_another_spelling_is_taken",
    },
    Mutation {
        name: "the-quantity-of-a-barcode-needs-no-decimals",
        edits: &[edit(CATALOGUE, "        check_packs(item)?;\n", "")],
        suite: DOMAIN,
        killed_by: "catalogue_tables::the_quantity_of_a_barcode_fits_the_decimals",
    },
    Mutation {
        name: "check-digits-are-not-checked",
        edits: &[edit(
            VALUES,
            "Err(error) if !self.context.accepted => {",
            "Err(error) if !self.context.accepted && false => {",
        )],
        suite: DOMAIN,
        killed_by: "parse_tables::a_barcode_is_a_code_or_a_pack_and_a_ruined_one_is_refused",
    },
    Mutation {
        name: "what-was-accepted-is-judged-by-the-rules-for-new-codes",
        edits: &[edit(VALUES, "Err(error) if !self.context.accepted => {", "Err(error) => {")],
        suite: DOMAIN,
        killed_by: "parse_tables::a_barcode_is_a_code_or_a_pack_and_a_ruined_one_is_refused",
    },
    Mutation {
        name: "another-items-barcode-is-accepted",
        edits: &[edit(CATALOGUE, "self.check_barcodes(&catalogue.barcodes)?;", "")],
        suite: DOMAIN,
        killed_by: "catalogue_tables::ids_that_differ_only_in_case_are_one_and_barcodes_move_between_items",
    },
];
