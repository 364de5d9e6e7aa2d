//! Mutations of money and of reversals.

use super::edit;
use crate::{Mutation, Suite};

const DOMAIN: &Suite =
    &Suite { arguments: &["-p", "stockline-core", "--test", "domain"], sources: "common/core/tests/domain" };
const CORE_CRATE: &Suite = &Suite { arguments: &["-p", "stockline-core", "--lib"], sources: "common/core/src" };
const API: &Suite = &Suite { arguments: &["-p", "stockline-ingress", "--test", "api"], sources: "ingress/tests/api" };
const CONTRACT: &Suite =
    &Suite { arguments: &["-p", "stockline-tests", "--test", "contract"], sources: "tests/src/contract" };

const VALUATION: &str = "common/core/src/domain/valuation.rs";
const COSTS: &str = "common/core/src/domain/fold/costs.rs";
const REVERSAL: &str = "common/core/src/domain/fold/reversal.rs";

pub(super) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "money-a-half-is-rounded-up",
        edits: &[edit(VALUATION, "Equal => quotient % 2 != 0,", "Equal => true,")],
        suite: DOMAIN,
        killed_by: "money::the_costs_in_less_those_out_are_the_value_of_any_sequence",
    },
    Mutation {
        name: "money-the-rest-of-a-division-is-lost",
        edits: &[edit(
            VALUATION,
            "            share(before, quantity, self.on_hand)?",
            "            of_units(average, quantity)?",
        )],
        suite: DOMAIN,
        killed_by: "money::the_last_unit_takes_what_rounding_has_left",
    },
    Mutation {
        name: "money-what-was-sold-below-zero-keeps-its-cost",
        edits: &[edit(
            VALUATION,
            "if self.average_cost.is_none() || !self.on_hand.is_positive() {",
            "if self.average_cost.is_none() {",
        )],
        suite: DOMAIN,
        killed_by: "money::the_worked_example_of_the_architecture_holds",
    },
    Mutation {
        name: "money-an-unknown-cost-is-zero",
        edits: &[edit(
            VALUATION,
            "(self.average_cost.is_none() && basis == Basis::Average)",
            "(self.average_cost.is_none() && basis == Basis::Average && delta.is_negative())",
        )],
        suite: DOMAIN,
        killed_by: "money::a_cost_that_is_not_known_is_not_zero",
    },
    Mutation {
        name: "money-the-catalogue-outbids-an-average",
        edits: &[edit(
            COSTS,
            "(None, Some(unit)) => (Basis::UnitCost(unit), Some(unit)),",
            "(_, Some(unit)) => (Basis::UnitCost(unit), Some(unit)),",
        )],
        suite: DOMAIN,
        killed_by: "money::a_level_without_an_average_takes_the_catalogues_cost_and_one_with_an_average_does_not",
    },
    Mutation {
        name: "money-a-transfer-leaves-its-cost-behind",
        edits: &[edit(
            COSTS,
            "            if let Some((total, unit)) = carried {",
            "            if let Some((total, unit)) = carried.filter(|_| false) {",
        )],
        suite: DOMAIN,
        killed_by: "money::the_worked_example_of_the_architecture_holds",
    },
    Mutation {
        name: "money-a-reversal-moves-at-the-average",
        edits: &[edit(
            COSTS,
            "return (Basis::Total(absolute(cost), None), None)",
            "return (if cost.is_zero() { Basis::Total(absolute(cost), None) } else { Basis::Average }, stock.average_cost)",
        )],
        suite: DOMAIN,
        killed_by: "money::a_reversal_moves_at_the_cost_that_the_movement_moved_at",
    },
    Mutation {
        name: "money-stock-is-worth-less-than-nothing",
        edits: &[edit(VALUATION, "if on_hand.is_positive() && !left.is_negative() {", "if on_hand.is_positive() {")],
        suite: DOMAIN,
        killed_by: "money::a_reversal_leaves_no_stock_below_zero_worth",
    },
    Mutation {
        name: "money-an-earlier-version-may-have-money",
        edits: &[edit(
            "common/core/src/domain/codec/entries.rs",
            "if version <= VERSION_WITHOUT_MONEY { FLAGS_WITHOUT_MONEY } else { ALL_FLAGS }",
            "if version < 1 { FLAGS_WITHOUT_MONEY } else { ALL_FLAGS }",
        )],
        suite: CORE_CRATE,
        killed_by: "domain::codec::entries::tests::earlier_versions_have_no_money",
    },
    Mutation {
        name: "money-staff-see-the-value-of-a-level",
        edits: &[edit(
            "ingress/src/view/levels.rs",
            "value: viewer.costs.then_some(level.average_cost.map(|_| level.value)),",
            "value: Some(level.average_cost.map(|_| level.value)),",
        )],
        suite: API,
        killed_by: "reversals::every_answer_with_money_hides_costs_from_staff",
    },
    Mutation {
        name: "reversal-a-movement-is-taken-back-twice",
        edits: &[edit(
            REVERSAL,
            "            return match outcome.reversed_by {",
            "            return match outcome.reversed_by.filter(|_| false) {",
        )],
        suite: DOMAIN,
        killed_by: "reversal_tables::what_cant_be_taken_back_is_refused_with_the_reason",
    },
    Mutation {
        name: "reversal-a-count-since-is-not-seen",
        edits: &[edit(
            REVERSAL,
            "let late = effect.late || counted_since(level, effect);",
            "let late = effect.late || (level.seq == 0 && counted_since(level, effect));",
        )],
        suite: DOMAIN,
        killed_by: "reversal_tables::a_reversal_occurred_when_the_movement_did_and_a_count_since_has_seen_it",
    },
    Mutation {
        name: "reversal-staff-take-back-what-others-did",
        edits: &[edit(
            REVERSAL,
            "if outcome.submitted_by != by.submitted_by {",
            "if outcome.submitted_by.is_empty() {",
        )],
        suite: API,
        killed_by: "reversals::staff_take_back_their_own_within_the_time_and_a_bound_token_only_what_is_there",
    },
    Mutation {
        name: "reversal-a-bound-token-takes-back-everywhere",
        edits: &[edit(
            "ingress/src/auth/rights.rs",
            "let locations = self.locations.as_ref().map(",
            "let locations = self.locations.as_ref().filter(|_| false).map(",
        )],
        suite: API,
        killed_by: "reversals::staff_take_back_their_own_within_the_time_and_a_bound_token_only_what_is_there",
    },
    Mutation {
        name: "reversal-one-fold-writes-a-record-twice",
        edits: &[edit(
            "common/core/src/domain/fold/room.rs",
            "replaces_own || takes_back_own || claims",
            "replaces_own || (takes_back_own && self.records.is_empty()) || claims",
        )],
        suite: DOMAIN,
        killed_by: "reversal_tables::a_reversal_takes_all_legs_back",
    },
    Mutation {
        name: "reversal-a-repeated-movement-is-folded-with-its-reversal",
        edits: &[edit(
            "common/core/src/domain/fold/room.rs",
            "self.resubmitted.iter().any(is_old) || is_taken_back {",
            "self.resubmitted.iter().any(is_old) || (is_taken_back && self.records.is_empty()) {",
        )],
        suite: DOMAIN,
        killed_by: "reversal_tables::a_reversal_takes_all_legs_back",
    },
    Mutation {
        name: "reversal-sqlite-marks-without-a-condition",
        edits: &[edit(
            "common/sqlite/src/stock/commit.rs",
            "record.outcome.status == Status::Applied && record.outcome.reversed_by.is_none()",
            "record.outcome.status == Status::Applied",
        )],
        suite: CONTRACT,
        killed_by: "store_sqlite::a_reversal_is_written_only_while_no_other_took_the_movement_back",
    },
    Mutation {
        name: "reversal-dynamodb-marks-without-a-condition",
        edits: &[edit(
            "common/aws/src/dynamodb/commit.rs",
            "attribute_not_exists(#refused) AND attribute_not_exists(#reversed_by)",
            "attribute_not_exists(#refused)",
        )],
        suite: CONTRACT,
        killed_by: "store_dynamodb::a_reversal_is_written_only_while_no_other_took_the_movement_back",
    },
];
