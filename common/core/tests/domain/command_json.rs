//! Any command serialises to JSON that parses to the same command, alone, in a message and in a record.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use stockline_core::domain::{
    Action, Barcode, Catalogue, CataloguePatch, Command, CommandId, CommandKey, Cost, Fingerprint, ItemId, Json,
    LocationId, MAX_LEAD_TIME_DAYS, MovementDetails, ParseContext, Percent, Planning, PlanningPatch, Quantity, Queued,
    Reason, ShortagePolicy, Timestamp, parse_command,
};
use uuid::Uuid;

const MAX: i64 = 9_999_999_999;

fn text(max: usize) -> impl Strategy<Value = String> {
    vec(any::<char>().prop_filter("no control", |c| !c.is_control()), 1..=max.min(12))
        .prop_map(|chars| chars.into_iter().collect::<String>())
        .prop_filter("not blank", |text| !text.trim().is_empty())
}

/// Texts of which most are ids: plain codes, and codes with any character beside.
fn printable(chars_max: usize) -> impl Strategy<Value = String> {
    let code = "[A-Za-z0-9][A-Za-z0-9._-]{0,30}";
    let any = (code, any::<char>(), "[ -~]{0,8}")
        .prop_map(move |(code, char, end)| format!("{code}{char}{end}").chars().take(chars_max).collect::<String>());
    prop_oneof![code, any]
}

fn location() -> impl Strategy<Value = LocationId> {
    printable(LocationId::MAX_LEN).prop_filter_map("an id", |text| text.parse().ok())
}

fn item() -> impl Strategy<Value = ItemId> {
    printable(ItemId::MAX_LEN).prop_filter_map("an id", |text| text.parse().ok())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..=253_402_300_799_999_i64).prop_map(Timestamp::from_millis)
}

fn positive() -> impl Strategy<Value = Quantity> {
    (1..=MAX).prop_map(Quantity::from_raw)
}

fn threshold() -> impl Strategy<Value = Quantity> {
    (0..=MAX).prop_map(Quantity::from_raw)
}

fn cost() -> impl Strategy<Value = Cost> {
    (0..=MAX).prop_map(Cost::from_raw)
}

fn policy() -> impl Strategy<Value = ShortagePolicy> {
    prop_oneof![Just(ShortagePolicy::Allow), Just(ShortagePolicy::Reject)]
}

fn barcodes() -> impl Strategy<Value = Vec<Barcode>> {
    let quantity = prop_oneof![Just(1_000), 1..=MAX].prop_map(Quantity::from_raw);
    let codes = prop::collection::btree_map(text(64), quantity, 0..5);
    codes.prop_map(|codes| codes.into_iter().map(|(code, quantity)| Barcode { code, quantity }).collect())
}

fn planning() -> impl Strategy<Value = Planning> {
    (
        weighted(0.5, text(64)),
        weighted(0.5, 0..=MAX_LEAD_TIME_DAYS),
        weighted(0.5, positive()),
        weighted(0.5, threshold()),
        weighted(0.5, (500..=999_i64).prop_map(Percent::from_raw)),
    )
        .prop_map(|(supplier, lead_time_days, order_multiple, order_minimum, service_level)| Planning {
            supplier,
            lead_time_days,
            order_multiple,
            order_minimum,
            service_level,
        })
}

/// Keeps some fields of a planning, and sets or clears the others.
fn planning_patch() -> impl Strategy<Value = PlanningPatch> {
    (planning(), any::<[bool; 5]>()).prop_map(|(new, sets)| PlanningPatch {
        supplier: sets[0].then_some(new.supplier),
        lead_time_days: sets[1].then_some(new.lead_time_days),
        order_multiple: sets[2].then_some(new.order_multiple),
        order_minimum: sets[3].then_some(new.order_minimum),
        service_level: sets[4].then_some(new.service_level),
    })
}

fn catalogue() -> impl Strategy<Value = Catalogue> {
    (
        text(200),
        text(16),
        0..=3_u8,
        barcodes(),
        weighted(0.5, text(64)),
        weighted(0.5, threshold()),
        policy(),
        weighted(0.5, cost()),
        planning(),
    )
        .prop_map(
            |(name, unit, decimals, barcodes, category, low_stock_threshold, shortage_policy, unit_cost, planning)| {
                Catalogue {
                    name,
                    unit,
                    decimals,
                    barcodes,
                    category,
                    low_stock_threshold,
                    shortage_policy,
                    unit_cost,
                    planning,
                }
            },
        )
}

fn patch() -> impl Strategy<Value = CataloguePatch> {
    (
        weighted(0.5, text(200)),
        weighted(0.5, text(16)),
        weighted(0.5, 0..=3_u8),
        weighted(0.5, barcodes()),
        weighted(0.5, weighted(0.5, text(64))),
        weighted(0.5, weighted(0.5, threshold())),
        weighted(0.5, policy()),
        weighted(0.5, weighted(0.5, cost())),
        planning_patch(),
    )
        .prop_map(
            |(name, unit, decimals, barcodes, category, low_stock_threshold, shortage_policy, unit_cost, planning)| {
                CataloguePatch {
                    name,
                    unit,
                    decimals,
                    barcodes,
                    category,
                    low_stock_threshold,
                    shortage_policy,
                    unit_cost,
                    planning,
                }
            },
        )
        .prop_filter("a change", |patch| *patch != CataloguePatch::default())
}

fn action() -> impl Strategy<Value = Action> {
    let signed = prop_oneof![-MAX..=-1_i64, 1..=MAX].prop_map(Quantity::from_raw);
    prop_oneof![
        catalogue().prop_map(Action::RegisterItem),
        patch().prop_map(Action::UpdateItem),
        Just(Action::ArchiveItem),
        Just(Action::RestoreItem),
        (weighted(0.5, location()), weighted(0.5, threshold()))
            .prop_map(|(location_id, low_stock_threshold)| Action::SetThreshold { location_id, low_stock_threshold }),
        (location(), planning_patch().prop_filter("a change", |patch| !patch.is_empty()))
            .prop_map(|(location_id, planning)| Action::SetPlanning { location_id, planning }),
        (location(), positive(), weighted(0.5, cost()))
            .prop_map(|(location_id, quantity, unit_cost)| Action::Receive { location_id, quantity, unit_cost }),
        (location(), positive(), weighted(0.5, policy()), weighted(0.5, cost())).prop_map(
            |(location_id, quantity, on_shortage, amount)| Action::Sell { location_id, quantity, on_shortage, amount }
        ),
        (location(), positive(), weighted(0.5, cost())).prop_map(|(location_id, quantity, amount)| Action::Return {
            location_id,
            quantity,
            amount
        }),
        (location(), signed).prop_map(|(location_id, quantity)| Action::Adjust { location_id, quantity }),
        (location(), threshold()).prop_map(|(location_id, counted)| Action::Count { location_id, counted }),
        any::<u128>().prop_map(|id| Action::Reverse { reverses: CommandId(Uuid::from_u128(id)) }),
        (location(), location(), positive()).prop_filter("two places", |(from, to, _)| from != to).prop_map(
            |(from_location_id, to_location_id, quantity)| Action::Transfer {
                from_location_id,
                to_location_id,
                quantity,
            }
        ),
    ]
}

fn details() -> impl Strategy<Value = MovementDetails> {
    let reason = prop::sample::select(Reason::ALL.to_vec());
    let note = text(500).prop_map(|note| format!("{note}\r\n\t{note}"));
    (
        weighted(0.5, time()),
        weighted(0.5, any::<i64>().prop_map(Quantity::from_raw)),
        weighted(0.5, reason),
        weighted(0.5, note),
        weighted(0.5, text(200)),
        weighted(0.5, text(64)),
        weighted(0.5, text(64)),
    )
        .prop_map(|(occurred_at, expected_on_hand, reason, note, reference, device_id, operator)| {
            MovementDetails {
                occurred_at,
                sent_at: None,
                expected_on_hand,
                reason,
                note,
                reference,
                device_id,
                operator,
            }
        })
}

pub fn command() -> impl Strategy<Value = Command> {
    (any::<u128>(), item(), action(), details(), weighted(0.5, time()))
        .prop_map(|(id, item_id, action, details, sent_at)| {
            let mut details = if action.kind().is_movement() { details } else { MovementDetails::default() };
            if matches!(action, Action::Adjust { .. }) {
                details.reason = details.reason.or(Some(Reason::Other));
            }
            if matches!(action, Action::Reverse { .. }) {
                details.occurred_at = None;
            }
            Command {
                command_id: CommandId(Uuid::from_u128(id)),
                item_id,
                action,
                details: MovementDetails { sent_at, ..details },
            }
        })
        .prop_filter("a reversal of another command", |command| command.action.reverses() != Some(command.command_id))
}

pub fn queued() -> impl Strategy<Value = Queued> {
    let resubmits = (item(), any::<u128>())
        .prop_map(|(item_id, id)| CommandKey { item_id, command_id: CommandId(Uuid::from_u128(id)) });
    (command(), time(), ".{0,20}", 0..3_u32, weighted(0.2, (resubmits, time()))).prop_map(
        |(command, accepted_at, by, retry, replaced)| {
            let (resubmits, first_accepted_at) = replaced.unzip();
            Queued {
                command,
                accepted_at,
                submitted_by: by.into(),
                retry,
                resubmits,
                first_accepted_at,
                reach: None,
                trace: None,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_command_reads_back_from_its_json(command in command()) {
        let text = serde_json::to_string(&command).unwrap();
        let json: Json<'_> = serde_json::from_str(&text).unwrap();
        let context = ParseContext { default_location: None, ..ParseContext::stored() };
        let parsed = parse_command(&json, &context);
        prop_assert_eq!(parsed.as_ref(), Ok(&command));
        prop_assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), command.clone());
        prop_assert_eq!(Fingerprint::of(&parsed.unwrap()), Fingerprint::of(&command));
    }

    #[test]
    fn the_clock_at_sending_and_the_ids_are_no_part_of_the_fingerprint(command in command(), other in command()) {
        let mut resent = command.clone();
        (resent.details.sent_at, resent.command_id) = (other.details.sent_at, other.command_id);
        prop_assert_eq!(Fingerprint::of(&resent), Fingerprint::of(&command));
        let same = (&resent.action, &command.details.occurred_at) == (&other.action, &other.details.occurred_at);
        prop_assert!(same || Fingerprint::of(&other) != Fingerprint::of(&command));
    }
}
