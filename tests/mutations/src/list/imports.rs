//! What is imported and exported: no guess, no formula, nothing of other shops, nothing twice.

use super::edit;
use crate::{Mutation, Suite};

const IMPORT: &Suite = &Suite { arguments: &["-p", "stockline-import", "--lib"], sources: "common/import/src" };
const LIBRARY: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--lib"], sources: "ingress/src" };
const API: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--test", "api"], sources: "ingress/tests/api" };

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a-number-that-could-be-a-thousand-is-guessed",
        edits: &[edit(
            "common/import/src/number.rs",
            "None if has_thousands(&value, '.') ||",
            "None if value.is_empty() &&",
        )],
        suite: IMPORT,
        killed_by: "number::tests::a_number_that_could_be_a_thousand_is_refused_until_it_is_said",
    },
    Mutation {
        name: "a-shortened-barcode-is-taken",
        edits: &[edit("common/import/src/judge/items.rs", "if number::is_exponent(code) {", "if code.is_empty() {")],
        suite: IMPORT,
        killed_by: "tests::every_fault_is_named_with_its_line_column_and_value",
    },
    Mutation {
        name: "a-planning-that-does-not-differ-is-sent",
        edits: &[edit(
            "common/import/src/judge/items.rs",
            "let new = new.filter(|new| new != now)?;",
            "let new = new?;",
        )],
        suite: IMPORT,
        killed_by: "tests::items_have_a_planning_and_locations_what_they_have_instead_and_only_differences_are_sent",
    },
    Mutation {
        name: "stock-that-has-moved-is-opened-again",
        edits: &[edit(
            "common/import/src/judge/levels.rs",
            ".filter(|level| level.seq > 0);",
            ".filter(|level| level.seq == 0);",
        )],
        suite: IMPORT,
        killed_by: "tests::stock_that_has_moved_is_left_if_this_opened_it_and_refused_else",
    },
    Mutation {
        name: "an-unknown-column-is-left-out-without-consent",
        edits: &[edit(
            "common/import/src/columns.rs",
            "None if vendor.is_some() || options.ignore_unknown =>",
            "None if vendor.is_some() || !options.ignore_unknown =>",
        )],
        suite: IMPORT,
        killed_by: "tests::unknown_columns_need_consent_and_what_may_not_be_done_is_a_fault",
    },
    Mutation {
        name: "an-export-runs-a-formula",
        edits: &[edit("ingress/src/exports.rs", "        if marked {", "        if marked && text.is_empty() {")],
        suite: LIBRARY,
        killed_by: "exports::tests::a_text_that_a_spreadsheet_would_run_is_marked_as_text",
    },
    Mutation {
        name: "staff-export-costs",
        edits: &[edit(
            "ingress/src/exports/rows.rs",
            "        if viewer.costs {\n            line.option(catalogue.unit_cost);\n        }",
            "        line.option(catalogue.unit_cost);",
        )],
        suite: API,
        killed_by: "exports::staff_export_no_cost_and_only_their_shop",
    },
    Mutation {
        name: "a-manager-of-one-shop-learns-of-the-others",
        edits: &[edit(
            "ingress/src/imports/judge.rs",
            "item.levels.retain(|level| viewer.sees(&level.location_id));",
            "item.levels.retain(|_| viewer.costs);",
        )],
        suite: API,
        killed_by: "imports::a_manager_of_one_shop_imports_and_learns_only_of_it",
    },
    Mutation {
        name: "a-file-with-faults-is-applied-in-part",
        edits: &[edit(
            "ingress/src/imports/apply.rs",
            "(state.totals.faulty > 0 && !skip_faulty)",
            "(state.totals.faulty > 0 && state.totals.lines == 0)",
        )],
        suite: API,
        killed_by: "imports::a_file_is_judged_corrected_and_applied_once",
    },
];
