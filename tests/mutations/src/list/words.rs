//! Mutations of what people read and of what they decide about refused commands.

use super::edit;
use crate::{Mutation, Suite};

const API: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--test", "api"], sources: "ingress/tests/api" };
const SERVICE: &Suite = &Suite { arguments: &["-p", "stockline-service", "--lib"], sources: "common/service/src" };
const STANDALONE: &Suite = &Suite { arguments: &["-p", "stockline", "--lib"], sources: "standalone/src" };
const CONTRACT: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "contract"], sources: "tests/src/contract/store" };

const OUTPUT: &str = "common/service/src/output.rs";
const BATCH: &str = "ingress/src/routes/batch.rs";
const DISMISS: &str = "ingress/src/routes/dismiss.rs";
const DISMISSED: &str = "store_sqlite::a_dismissed_rejection_leaves_the_list_and_can_still_be_resubmitted";
const IN_A_BATCH: &str = "resubmit::a_batch_may_replace_refused_commands_with_any_correction";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-nightly-list-keeps-what-was-set-since",
        edits: &[edit(
            "standalone/src/commands/load/settings.rs",
            "fields.into_iter().any(|(name, value)| !same(value, &of[name]))",
            "fields.into_iter().any(|(name, value)| !same(value, &of[name]) && false)",
        )],
        suite: STANDALONE,
        killed_by: "commands::load::settings::tests::a_line_differs_where_the_item_is_not_as_it_says",
    },
    Mutation {
        name: "what-moved-names-an-event",
        edits: &[edit(
            "standalone/src/lines/mapping.rs",
            "        !is_mapped || fields.any(",
            "        is_mapped || fields.any(",
        )],
        suite: STANDALONE,
        killed_by: "lines::mapping::tests::an_event_is_named_by_what_is_not_mapped_by_a_time_or_by_a_reference",
    },
    Mutation {
        name: "a-negative-line-stays-a-sale",
        edits: &[edit(
            "standalone/src/lines/kinds.rs",
            "has_quantity(kind) && quantity.starts_with('-')",
            "has_quantity(kind) && quantity.starts_with('+')",
        )],
        suite: STANDALONE,
        killed_by: "lines::kinds::tests::a_cell_or_the_sign_of_the_quantity_says_the_type",
    },
    Mutation {
        name: "control-characters-reach-the-terminal",
        edits: &[edit(OUTPUT, "        c => c.is_control(),", "        c => c == '\\u{1b}',")],
        suite: SERVICE,
        killed_by: "output::tests::no_character_of_a_stranger_steers_the_terminal",
    },
    Mutation {
        name: "a-location-is-registered-beside-its-twin-in-another-case",
        edits: &[edit(
            "ingress/src/routes/locations.rs",
            "    if found.is_none() {",
            "    if found.is_none() && false {",
        )],
        suite: API,
        killed_by: "reads::location_ids_differ_by_more_than_their_case",
    },
    Mutation {
        name: "a-list-of-an-unknown-location-is-empty",
        edits: &[edit(
            "ingress/src/routes/read.rs",
            "Some(location_id) if is_empty(paging, page) => {",
            "Some(location_id) if is_empty(paging, page) && false => {",
        )],
        suite: API,
        killed_by: "reads::a_list_of_what_is_not_registered_is_an_error_and_an_empty_one_is_a_page",
    },
    Mutation {
        name: "a-change-of-a-location-opens-it",
        edits: &[edit("standalone/src/commands/locations.rs", "closed.or_else(|| kept(\"closed\"))", "closed")],
        suite: STANDALONE,
        killed_by: "commands::locations::tests::only_what_is_named_changes",
    },
    Mutation {
        name: "the-last-day-of-a-span-is-left-out",
        edits: &[edit(
            "standalone/src/when.rs",
            "            When::Day(day) => self.begin(day.tomorrow().map_or(when, When::Day)),",
            "            When::Day(_) => self.begin(when),",
        )],
        suite: STANDALONE,
        killed_by: "when::tests::a_day_is_the_local_day_from_its_begin_to_its_end",
    },
    Mutation {
        name: "staff-replace-refused-commands",
        edits: &[edit(
            BATCH,
            "            Err(problem) => Err(problem),\n        };\n        match may {",
            "            Err(_) => Ok(()),\n        };\n        match may {",
        )],
        suite: API,
        killed_by: IN_A_BATCH,
    },
    Mutation {
        name: "a-refused-command-that-a-batch-replaces-stays-open",
        edits: &[edit(
            BATCH,
            "            Ok(()) => drop(replaced.insert(id, record.clone())),",
            "            Ok(()) => drop((&mut replaced, record)),",
        )],
        suite: API,
        killed_by: IN_A_BATCH,
    },
    Mutation {
        name: "a-batch-replaces-what-was-replaced",
        edits: &[edit(
            BATCH,
            "            Ok(()) => may_replace(app, record, command).await,",
            "            Ok(()) => may_replace(app, record, command).await.or(Ok(())),",
        )],
        suite: API,
        killed_by: IN_A_BATCH,
    },
    Mutation {
        name: "a-rejection-is-dismissed-twice",
        edits: &[edit(
            "common/core/src/domain/record.rs",
            "self.outcome.status == Status::Rejected && !self.is_settled_otherwise();",
            "self.outcome.status == Status::Rejected;",
        )],
        suite: CONTRACT,
        killed_by: DISMISSED,
    },
    Mutation {
        name: "a-dismissal-names-nobody",
        edits: &[edit(DISMISS, "because, by: Some(by) };", "because, by: Some(by).filter(|_| false) };")],
        suite: API,
        killed_by: "dismiss::a_dismissed_refusal_says_who_when_and_why_and_can_still_be_resubmitted",
    },
    Mutation {
        name: "staff-dismiss-refusals",
        edits: &[edit(DISMISS, "    caller.may_decide_refused()?;", "    let _ = caller.may_decide_refused();")],
        suite: API,
        killed_by: "matrix::every_cell_of_who_may_do_what_where_is_as_the_table_says",
    },
    Mutation {
        name: "a-manager-dismisses-at-other-locations",
        edits: &[edit(
            DISMISS,
            "    caller.may_submit(command(&record)?, &app.staff_may)?;",
            "    let _ = caller.may_submit(command(&record)?, &app.staff_may);",
        )],
        suite: API,
        killed_by: "matrix::every_cell_of_who_may_do_what_where_is_as_the_table_says",
    },
    Mutation {
        name: "sqlite-registers-twins-of-a-location",
        edits: &[edit(
            "common/sqlite/src/stock/ports.rs",
            "if let Some(other) = rows::twin_of(connection, &location_id)? {",
            "if let Some(other) = rows::twin_of(connection, &location_id)?.filter(|_| false) {",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::of_locations_that_differ_by_case_one_is_registered",
    },
    Mutation {
        name: "dynamodb-registers-twins-of-a-location",
        edits: &[edit(
            "common/aws/src/dynamodb/locations.rs",
            "attribute_not_exists(#pk) OR #location_id = :me",
            "attribute_not_exists(#pk) OR attribute_exists(#location_id) OR #location_id = :me",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::of_locations_that_differ_by_case_one_is_registered",
    },
    Mutation {
        name: "dynamodb-dismisses-what-was-resubmitted",
        edits: &[edit(
            "common/aws/src/dynamodb/commit.rs",
            "begins_with(#refused, :rejected) AND attribute_not_exists(#resubmitted_as) \\",
            "begins_with(#refused, :rejected) AND (attribute_not_exists(#pk) OR attribute_exists(#pk) OR #resubmitted_as = :rejected) \\",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::a_dismissed_rejection_leaves_the_list_and_can_still_be_resubmitted",
    },
];
