use std::collections::BTreeMap;

use super::super::{Demand, Figure};
use super::cell::ratio;
use super::gather::{Gathered, Key};
use super::order::{AHEAD_DAYS, LevelTerms, Source, gone_after};
use super::{Cell, Excluded, Group, Question, ReportName, abc, count};
use crate::domain::{Cost, LocationId, Quantity, Reason};

const DAY_MS: i128 = 86_400_000;
/// The least time in stock that lost sales are estimated from, in days.
const LOST_SALES_DAYS_MIN: i128 = 21;
/// The probabilities that the date of a stock-out lies between.
const EARLIEST: f64 = 0.9;
const LATEST: f64 = 0.1;

/// The rows of a report, before they are sorted.
pub(super) struct Table {
    pub(super) columns: Vec<&'static str>,
    /// Whether a column can be added up.
    pub(super) adds_up: Vec<bool>,
    pub(super) rows: Vec<Vec<Cell>>,
    pub(super) excluded: Vec<Excluded>,
}

/// A row while it is made: the pools of the locations, and what is asked for.
struct Row<'a> {
    question: &'a Question,
    of: &'a Gathered,
    /// How much the weeks of the location vary.
    dispersion: f64,
}

/// Makes the rows of a report.
pub(super) fn table(question: &Question, groups: &BTreeMap<Key, Gathered>, pools: &BTreeMap<LocationId, f64>) -> Table {
    let figures = columns(question);
    let mut columns: Vec<&'static str> = question.groups.iter().map(|group| group.words().1).collect();
    if question.groups.contains(&Group::Item) {
        columns.push("name");
    }
    let mut adds_up = vec![false; columns.len()];
    columns.extend(figures.iter().map(|(name, _)| *name));
    adds_up.extend(figures.iter().map(|(_, adds)| *adds));
    let mut left_out = 0;
    let rows = if question.report == ReportName::Abc {
        abc::rows(&groups.iter().collect::<Vec<_>>())
    } else {
        let mut rows = Vec::with_capacity(groups.len());
        for (key, of) in groups {
            let pool = of.location_id.as_ref().and_then(|location_id| pools.get(location_id));
            let row = Row { question, of, dispersion: pool.copied().unwrap_or(1.0) };
            match row.cells() {
                Some(cells) => {
                    let mut whole: Vec<Cell> = key.iter().cloned().map(Cell::Text).collect();
                    if question.groups.contains(&Group::Item) {
                        whole.push(Cell::Text(of.name.clone()));
                    }
                    whole.extend(cells);
                    rows.push(whole);
                }
                None => left_out += 1,
            }
        }
        rows
    };
    Table { columns, adds_up, rows, excluded: excluded(question.report, groups, left_out) }
}

/// Says what the figures leave out.
fn excluded(report: ReportName, groups: &BTreeMap<Key, Gathered>, left_out: usize) -> Vec<Excluded> {
    let units = |figure: Figure| {
        let sum = groups.values().map(|row| row.totals().units(figure).raw()).fold(0_i64, i64::saturating_add);
        Cell::Units(Quantity::from_raw(sum))
    };
    let unvalued = groups.values().map(|row| row.unvalued).sum();
    let rows = |what| vec![Excluded { what, count: Cell::Whole(count(left_out)) }];
    match report {
        ReportName::Sales => vec![
            Excluded {
                what: "units sold or returned without an amount: no amount, no margin",
                count: units(Figure::Unpriced),
            },
            Excluded {
                what: "units sold or returned whose cost is not known: no cost, no margin",
                count: units(Figure::Uncosted),
            },
        ],
        ReportName::Abc => {
            vec![Excluded {
                what: "units sold or returned without an amount: ranked by units",
                count: units(Figure::Unpriced),
            }]
        }
        ReportName::Turnover => vec![
            Excluded {
                what: "units sold or returned whose cost is not known: no turnover",
                count: units(Figure::Uncosted),
            },
            Excluded { what: "units sold or returned without an amount: no gmroi", count: units(Figure::Unpriced) },
        ],
        ReportName::Value => {
            vec![Excluded { what: "levels with stock whose cost is not known", count: Cell::Whole(count(unvalued)) }]
        }
        ReportName::Reorder => rows("levels that need no order"),
        ReportName::DeadStock => rows("levels that sell, are new or have nothing on hand"),
        ReportName::LostSales => {
            rows("levels that were less than 21 days in stock, or never out of it, or sold nothing")
        }
        ReportName::Velocity | ReportName::Cover | ReportName::SellThrough | ReportName::Shrinkage => Vec::new(),
    }
}

/// Returns the columns of figures of a report, and whether each adds up.
fn columns(question: &Question) -> Vec<(&'static str, bool)> {
    let mut columns: Vec<(&'static str, bool)> = match question.report {
        ReportName::Sales => {
            vec![("sold", true), ("returned", true), ("net", true), ("amount", true), ("cost", true), ("margin", true)]
        }
        ReportName::Velocity => vec![
            ("net", true),
            ("days", false),
            ("days_in_stock", false),
            ("per_day", false),
            ("per_day_in_stock", false),
        ],
        ReportName::Cover => vec![
            ("on_hand", true),
            ("per_day_in_stock", false),
            ("cover_days", false),
            ("stock_out", false),
            ("earliest", false),
            ("latest", false),
        ],
        ReportName::Reorder => {
            vec![
                ("supplier", false),
                ("unit", false),
                ("on_hand", true),
                ("on_order", true),
                ("target", true),
                ("order", true),
                ("order_by", false),
            ]
        }
        ReportName::LostSales => {
            vec![("per_day_in_stock", false), ("days_out", false), ("lost_units", true), ("lost_amount", true)]
        }
        ReportName::SellThrough => vec![
            ("start", true),
            ("received", true),
            ("transferred", true),
            ("adjusted_up", true),
            ("net", true),
            ("rate", false),
        ],
        ReportName::Abc => vec![
            ("net", true),
            ("amount", true),
            ("share", false),
            ("class", false),
            ("xyz", false),
            ("variation", false),
        ],
        ReportName::DeadStock => vec![
            ("on_hand", true),
            ("value", true),
            ("last_sold", false),
            ("last_received", false),
            ("age_days", false),
        ],
        ReportName::Turnover => {
            vec![("cost", true), ("mean_value", false), ("turnover", false), ("margin", true), ("gmroi", false)]
        }
        ReportName::Shrinkage => [("counted", true)]
            .into_iter()
            .chain(Reason::ALL.map(|reason| (reason.as_str(), true)))
            .chain([("total", true), ("total_cost", true), ("share_of_sales", false)])
            .collect(),
        ReportName::Value => vec![("on_hand", true), ("average_cost", false), ("value", true)],
    };
    if question.report == ReportName::Reorder && question.explain {
        columns.extend(
            [
                "weeks",
                "weeks_out_of_stock",
                "mean_per_week",
                "variance",
                "pooled_variance",
                "supplier_from",
                "lead_time_days",
                "lead_time_from",
                "review_days",
                "days_ahead",
                "service_level",
                "service_level_from",
                "missing",
                "order_multiple",
                "order_multiple_from",
                "order_minimum",
                "order_minimum_from",
            ]
            .map(|name| (name, false)),
        );
    }
    columns
}

impl Row<'_> {
    /// Returns the figures; `None` if the report leaves the row out.
    fn cells(&self) -> Option<Vec<Cell>> {
        let (of, sums) = (self.of, &self.of.sums);
        let totals = of.totals();
        let units = |figure: Figure| Cell::Units(totals.units(figure));
        Some(match self.question.report {
            ReportName::Sales => vec![
                units(Figure::Sold),
                units(Figure::Returned),
                Cell::Units(totals.net()),
                Cell::number(of.amount()),
                Cell::number(of.cost()),
                Cell::number(of.margin()),
            ],
            ReportName::Velocity => vec![
                Cell::Units(totals.net()),
                Cell::number(ratio(sums.known_ms.into(), DAY_MS)),
                Cell::number(ratio(sums.in_stock_ms().into(), DAY_MS)),
                Cell::number(self.per_day(sums.known_ms)),
                Cell::number(self.per_day(sums.in_stock_ms())),
            ],
            ReportName::Cover => self.cover(),
            ReportName::Reorder => return self.reorder(),
            ReportName::LostSales => return self.lost_sales(),
            ReportName::SellThrough => self.sell_through(),
            ReportName::DeadStock => return self.dead_stock(),
            ReportName::Turnover => {
                let mean = ratio::<0>(of.day_values, of.days.into()).map(|mean| Cost::from_raw(mean.raw()));
                let per_value = |money: Option<Cost>| ratio(i128::from(money?.raw()), i128::from(mean?.raw()));
                vec![
                    Cell::number(of.cost()),
                    Cell::number(mean),
                    Cell::number(per_value(of.cost())),
                    Cell::number(of.margin()),
                    Cell::number(per_value(of.margin())),
                ]
            }
            ReportName::Shrinkage => self.shrinkage(),
            ReportName::Value => {
                let average = of.value.and_then(|value| {
                    let units = i128::from(sums.closing.raw());
                    ratio::<0>(i128::from(value.raw()) * 1_000 * units.signum(), units.abs())
                });
                let average = average.map(|average| Cost::from_raw(average.raw()));
                vec![Cell::Units(sums.closing), Cell::number(average), Cell::number(of.value)]
            }
            ReportName::Abc => Vec::new(),
        })
    }

    /// Returns the net units per day of so many milliseconds.
    fn per_day(&self, ms: i64) -> Option<Cost> {
        ratio(i128::from(self.of.totals().net().raw()) * DAY_MS, i128::from(ms) * 1_000)
    }

    fn demand(&self) -> Option<Demand> {
        Some(self.of.demand.as_ref()?.demand()?.pooled(self.dispersion))
    }

    fn cover(&self) -> Vec<Cell> {
        let of = self.of;
        let net = i128::from(of.totals().net().raw());
        let on_hand = of.on_hand.max(Quantity::ZERO);
        let most = Cost::from_raw(i64::from(AHEAD_DAYS) * 10_000);
        let days = if on_hand.is_zero() {
            Some(Cost::ZERO)
        } else {
            ratio::<4>(i128::from(on_hand.raw()) * i128::from(of.sums.in_stock_ms()), net.max(0) * DAY_MS)
                .map(|days| days.min(most))
        };
        let out = days.filter(|days| *days < most).map(|days| of.today.plus((days.raw() / 10_000) as i32));
        let demand = self.demand().filter(|_| net > 0);
        let between = |probability: f64| {
            let days = gone_after(demand.as_ref()?, on_hand, probability)?;
            Some(of.today.plus(days))
        };
        vec![
            Cell::Units(of.on_hand),
            Cell::number(self.per_day(of.sums.in_stock_ms())),
            Cell::number(days),
            Cell::day(out),
            Cell::day(between(EARLIEST)),
            Cell::day(between(LATEST)),
        ]
    }

    fn reorder(&self) -> Option<Vec<Cell>> {
        let (of, terms) = (self.of, self.of.terms.as_ref()?);
        let demand = self.demand();
        let target = demand.map_or(Quantity::ZERO, |demand| terms.target(&demand));
        let missing = Quantity::from_raw(target.raw().saturating_sub(of.on_hand.raw()));
        let order = terms.order(missing);
        if (order.is_zero() || demand.is_none()) && !self.question.explain {
            return None;
        }
        let order_by = demand.map(|demand| of.today.plus(terms.days_left(&demand, of.on_hand)));
        let mut cells = vec![
            terms.supplier.value.clone().map_or(Cell::Nothing, Cell::Text),
            Cell::Text(of.unit.clone()),
            Cell::Units(of.on_hand),
            Cell::Units(Quantity::ZERO),
            Cell::Units(target),
            Cell::Units(order),
            Cell::day(order_by),
        ];
        if self.question.explain {
            cells.extend(self.explained(demand, terms, missing));
        }
        Some(cells)
    }

    /// Returns the arithmetic of an order, and where each of its terms comes from.
    fn explained(&self, pooled: Option<Demand>, terms: &LevelTerms, missing: Quantity) -> Vec<Cell> {
        let own = self.of.demand.as_ref();
        let from = |source: Source| Cell::Text(source.as_str().to_owned());
        let weeks = own.map(|own| own.weeks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        let number =
            |number: Option<f64>| Cell::number(number.and_then(|x| ratio((x * 1e6).round() as i128, 1_000_000)));
        let plain = own.and_then(super::super::DemandWeeks::demand);
        vec![
            Cell::Text(weeks.unwrap_or_default()),
            Cell::Whole(count(own.map_or(0, |own| own.out_weeks))),
            number(plain.map(|demand| demand.mean)),
            number(plain.map(|demand| demand.variance)),
            number(pooled.map(|demand| demand.variance)),
            from(terms.supplier.from),
            Cell::Whole(terms.lead_time_days.value.into()),
            from(terms.lead_time_days.from),
            Cell::Whole(terms.review_days.into()),
            Cell::Whole(terms.days_ahead()),
            // Tenths of a percent are thousand ten-thousandths.
            Cell::Number(Cost::from_raw(terms.service_level.value.raw() * 1_000)),
            from(terms.service_level.from),
            Cell::Units(missing),
            Cell::Units(terms.multiple.value),
            from(terms.multiple.from),
            Cell::Units(terms.minimum.value),
            from(terms.minimum.from),
        ]
    }

    fn lost_sales(&self) -> Option<Vec<Cell>> {
        let (of, sums) = (self.of, &self.of.sums);
        let (in_stock, net) = (i128::from(sums.in_stock_ms()), i128::from(of.totals().net().raw()));
        if in_stock < LOST_SALES_DAYS_MIN * DAY_MS || sums.out_ms <= 0 || net <= 0 {
            return None;
        }
        let lost = Quantity::from_raw(ratio::<0>(net * i128::from(sums.out_ms), in_stock)?.raw());
        let amount = of.amount().and_then(|amount| ratio::<0>(i128::from(amount.raw()) * i128::from(lost.raw()), net));
        Some(vec![
            Cell::number(self.per_day(sums.in_stock_ms())),
            Cell::number(ratio(sums.out_ms.into(), DAY_MS)),
            Cell::Units(lost),
            Cell::number(amount.map(|amount| Cost::from_raw(amount.raw()))),
        ])
    }

    fn sell_through(&self) -> Vec<Cell> {
        let (totals, start) = (self.of.totals(), self.of.sums.opening);
        let raw = |figure: Figure| totals.units(figure).raw();
        let moved = raw(Figure::TransferredIn).saturating_sub(raw(Figure::TransferredOut));
        let had =
            [start.raw(), raw(Figure::Received), moved, raw(Figure::AdjustedUp)].into_iter().map(i128::from).sum();
        vec![
            Cell::Units(start),
            Cell::Units(totals.units(Figure::Received)),
            Cell::Units(Quantity::from_raw(moved)),
            Cell::Units(totals.units(Figure::AdjustedUp)),
            Cell::Units(totals.net()),
            Cell::number(ratio(totals.net().raw().into(), had)),
        ]
    }

    fn dead_stock(&self) -> Option<Vec<Cell>> {
        let (of, days) = (self.of, self.question.dead_days);
        let long_ago = |day| of.today.days_since(day) >= days;
        if !of.on_hand.is_positive() || !long_ago(of.begins) || of.sums.last_sold.is_some_and(|day| !long_ago(day)) {
            return None;
        }
        let since = of.sums.last_received.unwrap_or(of.begins);
        Some(vec![
            Cell::Units(of.on_hand),
            Cell::number(of.value),
            Cell::day(of.sums.last_sold),
            Cell::day(of.sums.last_received),
            Cell::Whole(of.today.days_since(since).into()),
        ])
    }

    fn shrinkage(&self) -> Vec<Cell> {
        let totals = self.of.totals();
        let counted = totals.units(Figure::Counted).raw().saturating_add(totals.units(Figure::Late).raw());
        let adjusted = Reason::ALL.map(|reason| totals.units(Figure::Adjusted(reason)));
        let total = adjusted.iter().fold(counted, |sum, units| sum.saturating_add(units.raw()));
        let costs = Reason::ALL.map(|reason| totals.money(Figure::AdjustedCost(reason)).raw());
        let cost = costs.into_iter().fold(totals.money(Figure::CountedCost).raw(), i64::saturating_add);
        let known = totals.units(Figure::Uncosted).is_zero();
        [Cell::Units(Quantity::from_raw(counted))]
            .into_iter()
            .chain(adjusted.map(Cell::Units))
            .chain([
                Cell::Units(Quantity::from_raw(total)),
                if known { Cell::Number(Cost::from_raw(cost)) } else { Cell::Nothing },
                Cell::number(ratio(total.into(), totals.net().raw().into())),
            ])
            .collect()
    }
}
