use super::super::{Cost, EntryKind, Money, Quantity, Reason};
use super::{LocalDay, Moved};

/// What is added up over a day. Each is a sum, so days, levels and locations can be added in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Units sold, late sales included.
    Sold,
    /// Units that customers brought back.
    Returned,
    /// Units received.
    Received,
    /// Units that came from another location.
    TransferredIn,
    /// Units that left for another location.
    TransferredOut,
    /// Counted units less those of the book.
    Counted,
    /// What late movements would have moved, with the opposite sign: a count has seen them already, so they moved
    /// nothing. Counted + late is what the counts have found missing (or too much).
    Late,
    /// What customers paid for what was sold.
    SoldAmount,
    /// What customers got back.
    ReturnedAmount,
    /// Units sold and returned without an amount.
    Unpriced,
    /// The cost of what was sold.
    SoldCost,
    /// The cost of what was returned.
    ReturnedCost,
    /// Units sold and returned whose cost is not known.
    Uncosted,
    /// The cost of the counted difference.
    CountedCost,
    /// Units of adjustments that added stock.
    AdjustedUp,
    /// The change of the value of the stock.
    Value,
    /// Units adjusted for this reason.
    Adjusted(Reason),
    /// The cost of the units adjusted for this reason.
    AdjustedCost(Reason),
}

const REASONS: usize = Reason::ALL.len();
const PLAIN: usize = 16;
const FIGURES: usize = PLAIN + 2 * REASONS;

impl Figure {
    const fn index(self) -> usize {
        match self {
            Self::Sold => 0,
            Self::Returned => 1,
            Self::Received => 2,
            Self::TransferredIn => 3,
            Self::TransferredOut => 4,
            Self::Counted => 5,
            Self::Late => 6,
            Self::SoldAmount => 7,
            Self::ReturnedAmount => 8,
            Self::Unpriced => 9,
            Self::SoldCost => 10,
            Self::ReturnedCost => 11,
            Self::Uncosted => 12,
            Self::CountedCost => 13,
            Self::AdjustedUp => 14,
            Self::Value => 15,
            Self::Adjusted(reason) => PLAIN + reason as usize,
            Self::AdjustedCost(reason) => PLAIN + REASONS + reason as usize,
        }
    }
}

/// Sums of [`Figure`]s. A sum stops at the bounds of 64 bits, which take 900 million movements of the largest quantity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals(pub(super) [i64; FIGURES]);

impl Totals {
    /// Returns a sum of units.
    pub const fn units(&self, figure: Figure) -> Quantity {
        Quantity::from_raw(self.0[figure.index()])
    }

    /// Returns a sum of money.
    pub const fn money(&self, figure: Figure) -> Cost {
        Cost::from_raw(self.0[figure.index()])
    }

    /// Returns units sold less units returned.
    pub const fn net(&self) -> Quantity {
        Quantity::from_raw(self.units(Figure::Sold).raw().saturating_sub(self.units(Figure::Returned).raw()))
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum = sum.saturating_add(*more);
        }
    }

    pub(super) const fn put(&mut self, figure: Figure, raw: i64) {
        let sum = &mut self.0[figure.index()];
        *sum = sum.saturating_add(raw);
    }

    /// Returns the change of the balance over the days that were added: closing − opening.
    pub fn balance(&self) -> Quantity {
        let adjusted = Reason::ALL.map(|reason| self.units(Figure::Adjusted(reason)).raw());
        let plus = [Figure::Returned, Figure::Received, Figure::TransferredIn, Figure::Counted, Figure::Late];
        let minus = [Figure::Sold, Figure::TransferredOut];
        let sum =
            |figures: &[Figure]| figures.iter().fold(0_i64, |sum, one| sum.saturating_add(self.units(*one).raw()));
        let adjusted = adjusted.into_iter().fold(0_i64, i64::saturating_add);
        Quantity::from_raw(sum(&plus).saturating_sub(sum(&minus)).saturating_add(adjusted))
    }

    /// Adds an entry. A reversal takes the same figures back on the day of the movement; its amount and its cost have the
    /// opposite sign already.
    pub(super) fn add_entry(&mut self, entry: &Moved) {
        let quantity =
            if entry.reverses.is_some() { entry.quantity.raw().saturating_neg() } else { entry.quantity.raw() };
        let out = matches!(entry.kind, EntryKind::Sell | EntryKind::TransferOut);
        let reason = entry.reason.unwrap_or(Reason::Other);
        self.put(
            match entry.kind {
                EntryKind::Receive => Figure::Received,
                EntryKind::Sell => Figure::Sold,
                EntryKind::Return => Figure::Returned,
                EntryKind::Adjust => Figure::Adjusted(reason),
                EntryKind::Count => Figure::Counted,
                EntryKind::TransferOut => Figure::TransferredOut,
                EntryKind::TransferIn => Figure::TransferredIn,
            },
            if entry.kind == EntryKind::Count { entry.delta.raw() } else { quantity },
        );
        if entry.late && entry.kind != EntryKind::Count {
            self.put(Figure::Late, if out { quantity } else { quantity.saturating_neg() });
        }
        let cost = entry.cost.map_or(0, Money::raw);
        self.put(Figure::Value, entry.value());
        match entry.kind {
            EntryKind::Adjust => {
                let up = entry.quantity.is_positive();
                self.put(Figure::AdjustedUp, if up { quantity } else { 0 });
                self.put(Figure::AdjustedCost(reason), cost);
            }
            EntryKind::Count => self.put(Figure::CountedCost, cost),
            EntryKind::Sell | EntryKind::Return => self.add_price(entry, quantity),
            EntryKind::Receive | EntryKind::TransferOut | EntryKind::TransferIn => {}
        }
    }

    /// Adds what customers paid for a sale or got back, and what the goods cost.
    fn add_price(&mut self, entry: &Moved, quantity: i64) {
        let sells = entry.kind == EntryKind::Sell;
        match entry.amount {
            Some(amount) if sells => self.put(Figure::SoldAmount, amount.raw()),
            Some(amount) => self.put(Figure::ReturnedAmount, amount.raw()),
            None => self.put(Figure::Unpriced, quantity),
        }
        match entry.cost {
            Some(cost) if sells => self.put(Figure::SoldCost, cost.raw().saturating_neg()),
            Some(cost) => self.put(Figure::ReturnedCost, cost.raw()),
            None => self.put(Figure::Uncosted, quantity),
        }
    }
}

/// The totals of one level on one local day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayTotals {
    /// The day.
    pub day: LocalDay,
    /// What was added up.
    pub totals: Totals,
    /// Milliseconds at or below zero, from the level's first movement to the end of the day.
    pub out_ms: i64,
    /// The balance at the end of the day, as its movements make it. Movements that the queue brought later belong to the
    /// day on which they occurred, and to the balance of every day from then on.
    pub closing: Quantity,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::{LevelDays, LocalDays};
    use super::*;
    use crate::domain::{CommandId, Entry, Timestamp};

    fn entry(kind: EntryKind, quantity: i64, delta: i64, at: &str) -> Entry {
        Entry {
            seq: 1,
            kind,
            command_id: CommandId(Uuid::nil()),
            quantity: Quantity::from_raw(quantity),
            delta: Quantity::from_raw(delta),
            after: Quantity::ZERO,
            occurred_at: at.parse().unwrap(),
            recorded_at: at.parse().unwrap(),
            late: false,
            clock_ahead: false,
            submitted_by: "till".into(),
            counterpart: None,
            unit_cost: None,
            reason: (kind == EntryKind::Adjust).then_some(Reason::Theft),
            note: None,
            reference: None,
            device_id: None,
            operator: None,
            amount: None,
            cost: None,
            revaluation: Money::ZERO,
            reverses: None,
        }
    }

    fn of(entries: &[Entry], zone: &str) -> Vec<DayTotals> {
        LevelDays::of_ledger(entries, &LocalDays::of_zone(zone)).iter().collect()
    }

    #[test]
    fn a_movement_belongs_to_the_local_day_on_which_it_occurred() {
        let entries = [
            entry(EntryKind::Receive, 10_000, 10_000, "2017-03-12T04:00:00Z"),
            entry(EntryKind::Sell, 4_000, -4_000, "2017-03-12T06:00:00Z"),
            // A till sent it late, after the next day had begun.
            entry(EntryKind::Sell, 1_000, -1_000, "2017-03-12T04:30:00Z"),
        ];
        let days = of(&entries, "America/New_York");
        let told: Vec<_> = days
            .iter()
            .map(|day| (day.day.to_string(), day.totals.units(Figure::Sold).raw(), day.closing.raw()))
            .collect();
        assert_eq!(told, [("2017-03-11".into(), 1_000, 9_000), ("2017-03-12".into(), 4_000, 5_000)]);
        assert_eq!(of(&entries, "UTC").len(), 1);
    }

    #[test]
    fn time_at_or_below_zero_counts_from_the_first_movement_over_days_of_23_and_25_hours() {
        let hours = |days: &[DayTotals]| days.iter().map(|day| day.out_ms / 3_600_000).collect::<Vec<_>>();
        // 2 hours in stock on a day of 23 hours, out until midnight.
        let spring = [
            entry(EntryKind::Receive, 1_000, 1_000, "2017-03-12T05:00:00Z"),
            entry(EntryKind::Sell, 1_000, -1_000, "2017-03-12T07:00:00Z"),
            entry(EntryKind::Sell, 1_000, -1_000, "2017-03-13T06:00:00Z"),
        ];
        assert_eq!(hours(&of(&spring, "America/New_York")), [21, 24]);
        let autumn = [
            entry(EntryKind::Sell, 1_000, -1_000, "2017-11-05T04:00:00Z"),
            entry(EntryKind::Receive, 9_000, 9_000, "2017-11-06T05:00:00Z"),
        ];
        assert_eq!(hours(&of(&autumn, "America/New_York")), [25, 0]);
        let first = [entry(EntryKind::Sell, 1_000, -1_000, "2017-11-05T16:00:00Z")];
        assert_eq!(hours(&of(&first, "UTC")), [8], "before its first movement a level is not out of stock");
    }

    #[test]
    fn a_late_sale_is_sold_and_explains_what_the_count_found_missing() {
        let mut late = entry(EntryKind::Sell, 3_000, 0, "2017-01-02T10:00:00Z");
        late.late = true;
        let entries = [
            entry(EntryKind::Receive, 10_000, 10_000, "2017-01-02T08:00:00Z"),
            entry(EntryKind::Count, 5_000, -5_000, "2017-01-02T12:00:00Z"),
            late,
            entry(EntryKind::Adjust, -1_000, -1_000, "2017-01-02T13:00:00Z"),
            entry(EntryKind::TransferOut, 1_000, -1_000, "2017-01-02T13:00:00Z"),
            entry(EntryKind::TransferIn, 2_000, 2_000, "2017-01-02T13:00:00Z"),
            entry(EntryKind::Return, 500, 500, "2017-01-02T13:00:00Z"),
        ];
        let [day] = of(&entries, "UTC")[..] else { panic!() };
        let units = |figure| day.totals.units(figure).raw();
        assert_eq!((units(Figure::Sold), day.totals.net().raw()), (3_000, 2_500));
        assert_eq!(units(Figure::Counted) + units(Figure::Late), -2_000, "two are missing that nobody sold");
        assert_eq!(units(Figure::Adjusted(Reason::Theft)), -1_000);
        assert_eq!((day.closing.raw(), day.totals.balance().raw()), (5_500, 5_500));
    }

    #[test]
    fn a_reversal_takes_the_same_figures_back_on_the_day_of_the_movement() {
        let mut sale = entry(EntryKind::Sell, 3_000, -3_000, "2017-01-02T10:00:00Z");
        (sale.amount, sale.cost) = (Some(Money::from_raw(60_000)), Some(Money::from_raw(-30_000)));
        let mut theft = entry(EntryKind::Adjust, -2_000, -2_000, "2017-01-02T11:00:00Z");
        (theft.command_id, theft.cost) = (CommandId(Uuid::from_u128(1)), Some(Money::from_raw(-20_000)));
        let receive = Entry {
            cost: Some(Money::from_raw(90_000)),
            revaluation: Money::from_raw(-5),
            ..entry(EntryKind::Receive, 9_000, 9_000, "2017-01-02T09:00:00Z")
        };
        let before = of(&[receive.clone(), sale.clone(), theft.clone()], "UTC")[0];
        let money = |day: &DayTotals, figure| day.totals.money(figure).raw();
        assert_eq!((money(&before, Figure::SoldAmount), money(&before, Figure::SoldCost)), (60_000, 30_000));
        assert_eq!(money(&before, Figure::AdjustedCost(Reason::Theft)), -20_000);
        assert_eq!(money(&before, Figure::Value), 90_000 - 5 - 30_000 - 20_000);
        let back = |of: &Entry| Entry {
            delta: Quantity::from_raw(-of.delta.raw()),
            amount: of.amount.map(|amount| Money::from_raw(-amount.raw())),
            cost: of.cost.map(|cost| Money::from_raw(-cost.raw())),
            reverses: Some(of.command_id),
            command_id: CommandId(Uuid::from_u128(9)),
            reason: None,
            ..of.clone()
        };
        let all = [receive.clone(), sale.clone(), theft.clone(), back(&theft), back(&sale)];
        assert_eq!(of(&all, "UTC"), of(&[receive], "UTC"));
    }

    fn some_entry() -> impl Strategy<Value = Entry> {
        (0..7_usize, 1..50_000_i64, any::<bool>(), 10..400_i64).prop_map(|(kind, quantity, late, at)| {
            let kind = EntryKind::ALL[kind];
            let signed = if matches!(kind, EntryKind::Sell | EntryKind::TransferOut) { -quantity } else { quantity };
            let mut entry = entry(kind, quantity, if late { 0 } else { signed }, "1970-01-01T00:00:00Z");
            (entry.late, entry.occurred_at) = (late, Timestamp::from_millis(at * 86_400_000 + quantity * 1_700));
            entry
        })
    }

    proptest! {
        #[test]
        fn the_days_explain_the_balance_and_are_the_sum_of_the_movements(
            entries in proptest::collection::vec(some_entry(), 0..40),
        ) {
            let days = of(&entries, "America/New_York");
            let mut sum = Totals::default();
            for (at, day) in days.iter().enumerate() {
                sum.add(&day.totals);
                prop_assert_eq!(sum.balance(), day.closing);
                prop_assert!(at == 0 || days[at - 1].day < day.day);
                prop_assert!((0..=25 * 3_600_000).contains(&day.out_ms));
            }
            let expected: i64 = entries.iter().map(|entry| entry.delta.raw()).sum();
            prop_assert_eq!(sum.balance().raw(), expected);
            let sold = entries.iter().filter(|entry| entry.kind == EntryKind::Sell);
            prop_assert_eq!(sum.units(Figure::Sold).raw(), sold.map(|entry| entry.quantity.raw()).sum::<i64>());
        }
    }
}
