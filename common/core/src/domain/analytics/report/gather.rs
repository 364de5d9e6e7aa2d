use std::collections::BTreeMap;

use super::super::{Calendar, DemandWeeks, Figure, LevelDays, LocalDay, Period, Seen, Sums, Totals};
use super::order::LevelTerms;
use super::{Group, Question, ReportName};
use crate::domain::{Cost, Item, Level, LocationId, Quantity};

/// A level with its item and its days.
#[derive(Debug, Clone, Copy)]
pub struct Stocked<'a> {
    /// The item.
    pub item: &'a Item,
    /// The level.
    pub level: &'a Level,
    /// The days of its ledger.
    pub days: &'a LevelDays,
    /// Whether the location is closed.
    pub closed: bool,
}

impl Stocked<'_> {
    pub(super) fn is_asked_for(&self, question: &Question) -> bool {
        let item_id = self.item.item_id.as_str();
        question.category.as_ref().is_none_or(|only| self.item.catalogue.category.as_ref() == Some(only))
            && question.supplier.as_ref().is_none_or(|only| self.supplier() == Some(only))
            && question.item_prefix.as_ref().is_none_or(|prefix| item_id.starts_with(prefix.as_str()))
            && question.item_id.as_ref().is_none_or(|only| item_id == only)
    }

    fn supplier(&self) -> Option<&str> {
        self.item.supplier_at(&self.level.location_id)
    }

    /// Returns the value of a balance, as the costs of its entries make it; `None` until a cost is known.
    fn value(&self, value: Cost) -> Option<Cost> {
        self.level.average_cost.map(|_| value)
    }
}

/// The texts that name a row, one for each group.
pub(super) type Key = Vec<String>;

/// What the levels and days of one row add up to.
#[derive(Debug, Clone, Default)]
pub(super) struct Gathered {
    /// The name of the item, in rows of one item.
    pub(super) name: String,
    pub(super) location_id: Option<LocationId>,
    pub(super) sums: Sums,
    /// The present balance.
    pub(super) on_hand: Quantity,
    /// The value at the end of the period of the levels whose cost is known.
    pub(super) value: Option<Cost>,
    /// Levels with a balance whose cost is not known.
    pub(super) unvalued: usize,
    /// The value at the ends of all days of the period, added up.
    pub(super) day_values: i128,
    /// The days of the period up to today.
    pub(super) days: i32,
    /// Net units of each whole week of the period, in thousandths.
    pub(super) weeks: Vec<i64>,
    pub(super) demand: Option<DemandWeeks>,
    /// Of a reorder: the unit of the item, and the terms of its orders.
    pub(super) unit: String,
    pub(super) terms: Option<LevelTerms>,
    pub(super) today: LocalDay,
    pub(super) begins: LocalDay,
}

const WEEK_DAYS: i32 = 7;

/// Adds a level to its rows.
pub(super) fn gather(
    rows: &mut BTreeMap<Key, Gathered>,
    question: &Question,
    stocked: &Stocked<'_>,
    calendar: &Calendar,
    demand: Option<DemandWeeks>,
) {
    let period = question.period;
    let today = calendar.today();
    let end = period.to.min(today.plus(1));
    let orders = question.report == ReportName::Reorder;
    let location_id = &stocked.level.location_id;
    let mut own = Gathered {
        unit: if orders { stocked.item.catalogue.unit.clone() } else { String::new() },
        terms: orders.then(|| LevelTerms::of(&question.terms, stocked.item, location_id)),
        on_hand: stocked.level.on_hand,
        days: end.days_since(period.from).max(0),
        weeks: if question.report == ReportName::Abc { whole_weeks(period, end) } else { Vec::new() },
        location_id: Some(location_id.clone()),
        name: stocked.item.catalogue.name.clone(),
        demand,
        today,
        begins: stocked.days.begins_at().map_or(today, |begins_at| calendar.days.day(begins_at)),
        ..Gathered::default()
    };
    let by_time = question.groups.iter().copied().find(|group| group.is_time());
    let values_days = question.report == ReportName::Turnover;
    let sums = calendar.sums(stocked.days, period, |seen| match seen {
        Seen::Day(day, value) => {
            if values_days {
                own.day_values += i128::from(stocked.value(value).map_or(0, Cost::raw));
            }
            let week = usize::try_from(day.day.days_since(period.from) / WEEK_DAYS).unwrap_or(usize::MAX);
            if let Some(net) = own.weeks.get_mut(week) {
                *net = net.saturating_add(day.totals.net().raw());
            }
            if by_time.is_some() {
                let row = rows.entry(key(question, stocked, Some(day.day))).or_default();
                row.sums.totals.add(&day.totals);
            }
        }
        Seen::Quiet { days, value, .. } if values_days => {
            let value = i128::from(stocked.value(value).map_or(0, Cost::raw));
            own.day_values += value.saturating_mul(days.into());
        }
        Seen::Quiet { .. } => {}
    });
    if by_time.is_some() {
        return;
    }
    own.value = stocked.value(sums.value);
    own.unvalued = usize::from(own.value.is_none() && !sums.closing.is_zero());
    own.sums = sums;
    let own_key = key(question, stocked, None);
    match rows.get_mut(&own_key) {
        Some(row) => row.add(own, question),
        None => {
            rows.insert(own_key, own);
        }
    }
}

fn whole_weeks(period: Period, end: LocalDay) -> Vec<i64> {
    vec![0; usize::try_from(end.days_since(period.from) / WEEK_DAYS).unwrap_or(0)]
}

fn key(question: &Question, stocked: &Stocked<'_>, day: Option<LocalDay>) -> Key {
    let text = |group: &Group| match group {
        Group::Day => day.map(|day| day.to_string()).unwrap_or_default(),
        Group::Week => day.map(LocalDay::week).unwrap_or_default(),
        Group::Month => day.map(LocalDay::month).unwrap_or_default(),
        Group::Item => stocked.item.item_id.to_string(),
        Group::Category => stocked.item.catalogue.category.clone().unwrap_or_default(),
        Group::Supplier => stocked.supplier().unwrap_or_default().to_owned(),
        Group::Location => stocked.level.location_id.to_string(),
    };
    question.groups.iter().map(text).collect()
}

impl Gathered {
    fn add(&mut self, other: Self, question: &Question) {
        self.sums.add(&other.sums);
        self.on_hand = Quantity::from_raw(self.on_hand.raw().saturating_add(other.on_hand.raw()));
        self.value = match (self.value, other.value) {
            (Some(a), Some(b)) => a.checked_add(b),
            (one, None) | (None, one) => one,
        };
        self.unvalued += other.unvalued;
        self.day_values = self.day_values.saturating_add(other.day_values);
        self.days = self.days.max(other.days);
        for (sum, more) in self.weeks.iter_mut().zip(&other.weeks) {
            *sum = sum.saturating_add(*more);
        }
        if !question.groups.contains(&Group::Location) {
            self.location_id = None;
        }
    }

    pub(super) const fn totals(&self) -> &Totals {
        &self.sums.totals
    }

    /// Returns what customers paid less what they got back; `None` if an amount is missing.
    pub(super) fn amount(&self) -> Option<Cost> {
        let totals = self.totals();
        let known = totals.units(Figure::Unpriced).is_zero();
        known.then(|| totals.money(Figure::SoldAmount).checked_sub(totals.money(Figure::ReturnedAmount))).flatten()
    }

    /// Returns the cost of what was sold, less that of what was returned; `None` if a cost is missing.
    pub(super) fn cost(&self) -> Option<Cost> {
        let totals = self.totals();
        let known = totals.units(Figure::Uncosted).is_zero();
        known.then(|| totals.money(Figure::SoldCost).checked_sub(totals.money(Figure::ReturnedCost))).flatten()
    }

    /// Returns amount − cost, where both are known.
    pub(super) fn margin(&self) -> Option<Cost> {
        self.amount()?.checked_sub(self.cost()?)
    }
}
