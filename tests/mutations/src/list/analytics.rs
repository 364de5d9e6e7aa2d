//! Mutations of the reports.

use super::edit;
use crate::{Mutation, Suite};

const CORE: &Suite = &Suite { arguments: &["-p", "stockline-core", "--lib"], sources: "common/core/src" };
const CONTRACT: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "contract"], sources: "tests/src/contract" };
const CONTRACT_OF_DYNAMODB: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "contract"], sources: "tests/tests/contract" };
const AWS: &Suite = &Suite { arguments: &["-p", "stockline-aws", "--lib"], sources: "common/aws/src" };
const API: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--test", "api"], sources: "ingress/tests/api" };

const ORDER: &str = "common/core/src/domain/analytics/report/order.rs";
const TERMS: &str = "domain::analytics::report::tests::the_terms_of_an_order_are_as_asked_else_of_the_location_else_of_the_item_else_the_default";
const TOTALS: &str = "common/core/src/domain/analytics/totals.rs";
const TALLY: &str = "common/core/src/domain/analytics/tally.rs";
const DAY_LIST: &str = "common/sqlite/src/stock/day_list.rs";
const DAYS_OF_SQLITE: &str =
    "store_sqlite::the_days_of_a_level_are_those_of_its_whole_ledger_in_the_zone_of_its_location";

const DAYS_OF_DYNAMODB: &str = "days_dynamodb::days_are_those_of_the_ledger_whatever_the_index_of_chunks_shows";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "reports-a-gap-in-the-index-of-chunks-is-taken-for-the-begin",
        edits: &[edit(
            "common/aws/src/dynamodb/days.rs",
            "self.first == 1 || self.entries.front().is_some_and(early)",
            "self.first > 0 || self.entries.front().is_some_and(early)",
        )],
        suite: CONTRACT_OF_DYNAMODB,
        killed_by: DAYS_OF_DYNAMODB,
    },
    Mutation {
        name: "reports-a-chunk-is-listed-in-the-month-of-its-first-entry",
        edits: &[edit(
            "common/aws/src/dynamodb/row.rs",
            "let last = entries.last().map_or(Timestamp::EPOCH",
            "let last = entries.first().map_or(Timestamp::EPOCH",
        )],
        suite: AWS,
        killed_by: "dynamodb::days::tests::a_chunk_is_listed_in_the_month_of_its_last_entry",
    },
    Mutation {
        name: "reports-the-value-before-a-period-is-the-present-one",
        edits: &[edit(TALLY, "value = value.saturating_sub(entry.value());", "")],
        suite: CONTRACT,
        killed_by: "store_dynamodb::days_from_a_moment_on_are_those_of_the_whole_ledger",
    },
    Mutation {
        name: "reports-kept-ones-are-shown-to-callers-of-other-locations",
        edits: &[edit(
            "ingress/src/routes/reports.rs",
            "{:?} {sort:?}\", places.location_id, places.known);",
            "{:?} {sort:?}\", places.location_id, ());",
        )],
        suite: API,
        killed_by: "analytics::a_report_that_costs_reads_is_kept_for_five_minutes_for_those_who_see_the_same",
    },
    Mutation {
        name: "reports-a-count-keeps-what-late-sales-explain",
        edits: &[edit(TOTALS, "if entry.late && entry.kind != EntryKind::Count {", "if false {")],
        suite: CORE,
        killed_by: "domain::analytics::totals::tests::a_late_sale_is_sold_and_explains_what_the_count_found_missing",
    },
    Mutation {
        name: "reports-a-reversal-counts-again",
        edits: &[edit(
            TOTALS,
            "if entry.reverses.is_some() { entry.quantity.raw().saturating_neg() } else { entry.quantity.raw() };",
            "entry.quantity.raw();",
        )],
        suite: CORE,
        killed_by: "domain::analytics::totals::tests::a_reversal_takes_the_same_figures_back_on_the_day_of_the_movement",
    },
    Mutation {
        name: "reports-a-day-has-always-24-hours",
        edits: &[edit(
            "common/core/src/domain/analytics/day.rs",
            "let begin = day.date().to_zoned(self.zone.clone()).and_then(|zoned| zoned.start_of_day());",
            "let begin = day.date().to_zoned(TimeZone::UTC).and_then(|zoned| zoned.start_of_day());",
        )],
        suite: CORE,
        killed_by: "domain::analytics::day::tests::a_day_has_23_or_25_hours_where_the_clock_is_changed",
    },
    Mutation {
        name: "reports-weeks-out-of-stock-show-demand",
        edits: &[edit(
            "common/core/src/domain/analytics/demand.rs",
            "let kept = whole.iter().filter(|week| takes_all || week.out_ms < DAY_MS);",
            "let kept = whole.iter();",
        )],
        suite: CORE,
        killed_by: "domain::analytics::report::tests::weeks_out_of_stock_show_no_demand",
    },
    Mutation {
        name: "reports-an-order-depends-on-the-filter",
        edits: &[edit(
            "common/core/src/domain/analytics/report/mod.rs",
            "if let Some(demand) = weeks.as_ref().and_then(super::DemandWeeks::demand) {",
            "if let Some(demand) = weeks.as_ref().and_then(super::DemandWeeks::demand).filter(|_| stocked.is_asked_for(question)) {",
        )],
        suite: CORE,
        killed_by: "domain::analytics::report::tests::an_order_does_not_depend_on_which_items_are_asked_for",
    },
    Mutation {
        name: "reports-a-location-orders-as-the-item",
        edits: &[edit(
            ORDER,
            "(item.overrides.get(location_id), &item.catalogue.planning)",
            "(item.overrides.get(location_id).filter(|_| false), &item.catalogue.planning)",
        )],
        suite: CORE,
        killed_by: TERMS,
    },
    Mutation {
        name: "reports-what-is-asked-for-does-not-hold",
        edits: &[edit(
            ORDER,
            "let found = asked.map(|value| (value, Source::Asked));",
            "let found = asked.filter(|_| false).map(|value| (value, Source::Asked));",
        )],
        suite: CORE,
        killed_by: TERMS,
    },
    Mutation {
        name: "reports-an-order-is-not-in-multiples",
        edits: &[edit(ORDER, "let multiple = self.multiple.value.raw().max(1);", "let multiple = ONE.raw();")],
        suite: CORE,
        killed_by: "domain::analytics::report::order::tests::an_order_is_whole_multiples_and_at_least_the_minimum",
    },
    Mutation {
        name: "reports-an-order-is-below-the-minimum",
        edits: &[edit(ORDER, "let least = missing.max(self.minimum.value).raw();", "let least = missing.raw();")],
        suite: CORE,
        killed_by: "domain::analytics::report::order::tests::an_order_is_whole_multiples_and_at_least_the_minimum",
    },
    Mutation {
        name: "reports-another-supplier-is-not-left-out",
        edits: &[edit(
            "common/core/src/domain/analytics/report/gather.rs",
            "question.supplier.as_ref().is_none_or(|only| self.supplier() == Some(only))",
            "question.supplier.as_ref().is_none_or(|_| self.supplier().is_some())",
        )],
        suite: CORE,
        killed_by: "domain::analytics::report::tests::a_supplier_is_a_filter_and_a_group_and_the_groups_add_up_to_the_whole",
    },
    Mutation {
        name: "reports-days-are-kept-though-something-moved",
        edits: &[edit(DAY_LIST, "(found.seq == seq && *found.zone == *zone)", "(*found.zone == *zone)")],
        suite: CONTRACT,
        killed_by: DAYS_OF_SQLITE,
    },
    Mutation {
        name: "reports-days-of-another-zone-are-kept",
        edits: &[edit(DAY_LIST, "(found.seq == seq && *found.zone == *zone)", "(found.seq == seq)")],
        suite: CONTRACT,
        killed_by: DAYS_OF_SQLITE,
    },
    Mutation {
        name: "reports-staff-read-them",
        edits: &[edit(
            "ingress/src/routes/analytics.rs",
            "    caller.may_read_analytics()?;\n    let report",
            "    caller.may_read()?;\n    let report",
        )],
        suite: API,
        killed_by: "analytics::what_can_not_be_asked_for_is_refused_by_name",
    },
];
