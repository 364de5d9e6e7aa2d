use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::super::{Calendar, LevelDays, LocalDays, PeriodWords};
use super::{Cell, OrderTerms, Question, Report, ReportBuilder, ReportName, Stocked};
use crate::domain::{
    Catalogue, CommandId, Entry, EntryKind, Item, Level, Money, Percent, Planning, Quantity, ShortagePolicy, Timestamp,
};

const DAY_MS: i64 = 86_400_000;
/// Ten-thousandths: each unit costs 0.50.
const HALF: i64 = 5_000;

/// Midnight of a day, from 2026-01-01 on.
fn day(n: i64) -> Timestamp {
    let begin: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    begin.plus_millis(n * DAY_MS)
}

fn item(item_id: &str) -> Item {
    Item {
        item_id: item_id.parse().unwrap(),
        catalogue: Catalogue {
            name: format!("Item {item_id}"),
            unit: "piece".into(),
            decimals: 0,
            barcodes: Vec::new(),
            category: Some("drinks".into()),
            low_stock_threshold: None,
            shortage_policy: ShortagePolicy::Allow,
            unit_cost: Some("0.5".parse().unwrap()),
            planning: Planning::default(),
        },
        overrides: BTreeMap::new(),
        threshold_version: 0,
        version: 1,
        alert_epoch: 0,
        archived_at: None,
        created_at: day(0),
        updated_at: day(0),
    }
}

/// Returns a ledger of whole units: sales are negative.
fn ledger(moves: &[(i64, i64)]) -> Vec<Entry> {
    let mut after = 0;
    let entry = |(seq, (at, units)): (u64, &(i64, i64))| {
        after += units * 1_000;
        Entry {
            seq,
            kind: if *units < 0 { EntryKind::Sell } else { EntryKind::Receive },
            command_id: CommandId(Uuid::nil()),
            quantity: Quantity::from_raw(units.abs() * 1_000),
            delta: Quantity::from_raw(units * 1_000),
            after: Quantity::from_raw(after),
            occurred_at: day(*at),
            recorded_at: day(*at),
            late: false,
            clock_ahead: false,
            submitted_by: Arc::from("till"),
            counterpart: None,
            unit_cost: None,
            reason: None,
            note: None,
            reference: None,
            device_id: None,
            operator: None,
            amount: None,
            cost: Some(Money::from_raw(units * HALF)),
            revaluation: Money::ZERO,
            reverses: None,
        }
    };
    (1..).zip(moves).map(entry).collect()
}

struct Shop {
    levels: Vec<(Item, Vec<(i64, i64)>)>,
    today: i64,
}

impl Shop {
    fn report(&self, report: ReportName, change: impl FnOnce(&mut Question)) -> Report {
        let calendar = Calendar { days: LocalDays::of_zone("UTC"), as_of: day(self.today) };
        let mut question = Question {
            report,
            period: PeriodWords::default().on(calendar.today(), 28).unwrap(),
            groups: report.usual_groups().to_vec(),
            category: None,
            supplier: None,
            item_prefix: None,
            item_id: None,
            as_of: calendar.as_of,
            dead_days: 90,
            terms: OrderTerms::default(),
            explain: false,
        };
        change(&mut question);
        let mut builder = ReportBuilder::new(question);
        for (item, moves) in &self.levels {
            let entries = ledger(moves);
            let mut level = Level::new("main".parse().unwrap(), 0);
            level.on_hand = entries.last().map_or(Quantity::ZERO, |last| last.after);
            level.average_cost = Some(Money::from_raw(HALF));
            let days = LevelDays::of_ledger(&entries, &calendar.days);
            builder.add(&Stocked { item, level: &level, days: &days, closed: false }, &calendar);
        }
        builder.finish()
    }
}

/// Returns a row as texts by column.
fn row<'a>(report: &'a Report, first: &str) -> impl Fn(&str) -> String + 'a {
    let row = report.rows.iter().find(|row| row[0].to_string() == first).unwrap().clone();
    move |column| row[report.columns.iter().position(|name| *name == column).unwrap()].to_string()
}

/// Sells so many each day.
fn steady(days: std::ops::Range<i64>, units: i64) -> Vec<(i64, i64)> {
    days.map(|day| (day, -units)).collect()
}

#[test]
fn an_order_covers_lead_time_and_review_period_and_says_how() {
    let mut moves = vec![(0, 1_000)];
    moves.extend(steady(0..70, 2));
    let shop = Shop { levels: vec![(item("cola"), [moves, vec![(70, -850)]].concat())], today: 70 };
    let explained = shop.report(ReportName::Reorder, |question| question.explain = true);
    let cell = row(&explained, "cola");
    assert_eq!(cell("on_hand"), "10");
    assert_eq!(cell("weeks"), ["14"; 10].join(" "), "today is not over, so it does not count");
    assert_eq!((cell("mean_per_week"), cell("variance")), ("14".into(), "0".into()));
    // Two weeks of 14, as if by Poisson: poisson.ppf(0.95, 28) = 37.
    assert_eq!((cell("target"), cell("order"), cell("order_by")), ("37".into(), "27".into(), "2026-03-12".into()));
    let shorter = OrderTerms { lead_time_days: Some(0), review_days: 7, service_level: Some(Percent::from_raw(500)) };
    let small = shop.report(ReportName::Reorder, |question| question.terms = shorter);
    assert_eq!(row(&small, "cola")("order"), "4", "poisson.ppf(0.5, 14) = 14");
}

#[test]
fn the_terms_of_an_order_are_as_asked_else_of_the_location_else_of_the_item_else_the_default() {
    let moves = [vec![(0, 1_000)], steady(0..70, 2), vec![(70, -850)]].concat();
    let mut cola = item("cola");
    let explained = |item: &Item, change: fn(&mut Question)| {
        let shop = Shop { levels: vec![(item.clone(), moves.clone())], today: 70 };
        let report = shop.report(ReportName::Reorder, |question| {
            question.explain = true;
            change(question);
        });
        let cell = row(&report, "cola");
        let terms = [
            "supplier",
            "supplier_from",
            "lead_time_days",
            "lead_time_from",
            "service_level",
            "service_level_from",
            "order_multiple",
            "order_multiple_from",
            "order_minimum",
            "order_minimum_from",
        ];
        (terms.map(&cell).join(" "), cell("target"), cell("missing"), cell("order"))
    };
    let (terms, ..) = explained(&cola, |_| {});
    assert_eq!(terms, " default 7 default 95 default 1 default 0 default");
    cola.catalogue.planning = Planning {
        supplier: Some("Ltd".into()),
        lead_time_days: Some(0),
        order_multiple: Some("12".parse().unwrap()),
        order_minimum: Some("20".parse().unwrap()),
        service_level: Some(Percent::from_raw(500)),
    };
    // poisson.ppf(0.5, 14) = 14; 4 are missing, 20 is the least, 24 the next multiple.
    let (terms, target, missing, order) = explained(&cola, |_| {});
    assert_eq!(terms, "Ltd item 0 item 50 item 12 item 20 item");
    assert_eq!((target.as_str(), missing.as_str(), order.as_str()), ("14", "4", "24"));
    let own = Planning {
        supplier: Some("Next Door".into()),
        service_level: Some(Percent::from_raw(950)),
        ..Default::default()
    };
    cola.overrides.insert("main".parse().unwrap(), own.clone());
    cola.overrides.insert("elsewhere".parse().unwrap(), Planning { lead_time_days: Some(9), ..own });
    // poisson.ppf(0.95, 14) = 20.
    let (terms, target, missing, order) = explained(&cola, |_| {});
    assert_eq!(terms, "Next Door location 0 item 95 location 12 item 20 item");
    assert_eq!((target.as_str(), missing.as_str(), order.as_str()), ("20", "10", "24"));
    // What is asked for holds for all.
    let (terms, target, ..) = explained(&cola, |question| {
        question.terms.lead_time_days = Some(7);
        question.terms.service_level = Some(Percent::from_raw(500));
    });
    assert_eq!(terms, "Next Door location 7 asked 50 asked 12 item 20 item");
    assert_eq!(target, "28", "poisson.ppf(0.5, 28)");
}

#[test]
fn a_supplier_is_a_filter_and_a_group_and_the_groups_add_up_to_the_whole() {
    let of = |name: &str, supplier: Option<&str>, own: Option<&str>, units: i64| {
        let mut item = item(name);
        item.catalogue.planning.supplier = supplier.map(Into::into);
        if let Some(own) = own {
            let own = Planning { supplier: Some(own.into()), ..Planning::default() };
            item.overrides.insert("main".parse().unwrap(), own);
        }
        (item, vec![(0, 100), (20, -units)])
    };
    let shop = Shop {
        levels: vec![
            of("cola", Some("Ltd"), None, 8),
            of("tea", Some("Ltd"), Some("Next Door"), 4),
            of("milk", Some("Next Door"), None, 2),
            of("dust", None, None, 1),
        ],
        today: 28,
    };
    let grouped = shop.report(ReportName::Sales, |question| question.groups = vec![super::Group::Supplier]);
    let net = |name: &str| row(&grouped, name)("net");
    assert_eq!((net("Ltd"), net("Next Door"), net("")), ("8".into(), "6".into(), "1".into()));
    assert_eq!(grouped.totals[grouped.columns.iter().position(|name| *name == "net").unwrap()].to_string(), "15");
    let mine = shop.report(ReportName::Value, |question| question.supplier = Some("Next Door".into()));
    assert_eq!(mine.rows.iter().map(|row| row[0].to_string()).collect::<Vec<_>>(), ["milk", "tea"]);
    let none = shop.report(ReportName::Value, |question| question.supplier = Some("Nobody".into()));
    assert!(none.rows.is_empty());
}

#[test]
fn an_order_does_not_depend_on_which_items_are_asked_for() {
    let wild: Vec<_> =
        [vec![(0, 9_000)], (0..60).step_by(7).map(|day| (day + 1, -(day % 5) * 40 - 1)).collect()].concat();
    let thin = vec![(0, 5), (20, -2), (41, -2)];
    let shop = Shop { levels: vec![(item("wild"), wild), (item("thin"), thin)], today: 63 };
    let explained = |only: Option<&str>| {
        let report = shop.report(ReportName::Reorder, |question| {
            (question.explain, question.item_id) = (true, only.map(str::to_owned));
        });
        let cell = row(&report, "thin");
        (report.rows.len(), cell("target"), cell("variance"), cell("pooled_variance"))
    };
    let (all, target, variance, pooled) = explained(None);
    assert_eq!((all, explained(Some("thin"))), (2, (1, target, variance.clone(), pooled.clone())));
    assert!(pooled.parse::<f64>().unwrap() > variance.parse::<f64>().unwrap(), "{pooled} {variance}");
}

#[test]
fn weeks_out_of_stock_show_no_demand() {
    // Four weeks of 14, then three weeks out of stock, then goods again.
    let moves = [vec![(0, 56)], steady(0..28, 2), vec![(49, 100)], steady(49..56, 2)].concat();
    let shop = Shop { levels: vec![(item("cola"), moves)], today: 56 };
    let report = shop.report(ReportName::Reorder, |question| question.explain = true);
    let cell = row(&report, "cola");
    assert_eq!((cell("weeks"), cell("weeks_out_of_stock")), (["14"; 4].join(" "), "4".into()));
    let lost = shop.report(ReportName::LostSales, |question| {
        question.period =
            PeriodWords { last: Some("8w"), ..PeriodWords::default() }.on(question.period.to, 28).unwrap();
    });
    let cell = row(&lost, "cola");
    assert_eq!((cell("days_out"), cell("lost_units")), ("22".into(), "45.294".into()), "70 in 34 days, 22 days out");
}

#[test]
fn cover_is_none_without_sales_nothing_without_stock_and_a_year_at_most() {
    let shop = Shop {
        levels: vec![
            (item("dust"), vec![(0, 5)]),
            (item("gone"), [vec![(0, 10)], steady(30..40, 1)].concat()),
            (item("hoard"), [vec![(0, 9_000)], steady(30..58, 1)].concat()),
            (item("cola"), [vec![(0, 68)], steady(30..58, 2)].concat()),
        ],
        today: 58,
    };
    let report = shop.report(ReportName::Cover, |_| {});
    let cells = |item: &str| {
        let cell = row(&report, item);
        (cell("cover_days"), cell("stock_out"))
    };
    assert_eq!(cells("dust"), (String::new(), String::new()));
    assert_eq!(cells("gone").0, "0");
    assert_eq!(cells("hoard"), ("365".into(), String::new()));
    assert_eq!(cells("cola"), ("6".into(), "2026-03-06".into()));
    let cola = row(&report, "cola");
    assert!(cola("earliest") <= cola("stock_out") && cola("stock_out") <= cola("latest"), "{report:?}");
}

#[test]
fn abc_ranks_by_units_where_an_amount_is_missing_and_says_so() {
    let sold = |units: i64| [vec![(0, 1_000)], vec![(40, -units)]].concat();
    let levels = [("a", 80), ("b", 15), ("c", 5)].map(|(name, units)| (item(name), sold(units)));
    let shop = Shop { levels: levels.into_iter().chain([(item("u"), vec![(0, 1)])]).collect(), today: 58 };
    let report = shop.report(ReportName::Abc, |_| {});
    let classes: Vec<String> = ["a", "b", "c", "u"].map(|name| row(&report, name)("class")).to_vec();
    assert_eq!(classes, ["A", "B", "C", "U"]);
    assert_eq!(row(&report, "b")("share"), "0.95");
    assert!(report.excluded.iter().any(|left_out| left_out.what.contains("by units")), "{report:?}");
}

#[test]
fn value_dead_stock_and_turnover_take_archived_items_as_their_definitions_say() {
    let mut archived = item("old");
    archived.archived_at = Some(day(3));
    let shop = Shop {
        levels: vec![(item("dust"), vec![(0, 4)]), (archived, vec![(0, 7)]), (item("new"), vec![(99, 4)])],
        today: 100,
    };
    let value = shop.report(ReportName::Value, |_| {});
    assert_eq!(value.totals.last(), Some(&Cell::Number("7.5".parse().unwrap())));
    let dead = shop.report(ReportName::DeadStock, |_| {});
    assert_eq!(dead.rows.len(), 1);
    assert_eq!((row(&dead, "dust")("value"), row(&dead, "dust")("age_days")), ("2".into(), "100".into()));
    assert!(
        dead.excluded.iter().any(|left_out| left_out.what.contains("archived") && left_out.count == Cell::Whole(1))
    );
}

#[test]
fn rows_are_sorted_by_any_column_with_the_unknown_last() {
    let shop = Shop {
        levels: vec![
            (item("a"), [vec![(0, 100)], steady(50..58, 1)].concat()),
            (item("b"), vec![(0, 5)]),
            (item("c"), [vec![(0, 100)], steady(50..58, 3)].concat()),
        ],
        today: 58,
    };
    let mut report = shop.report(ReportName::Cover, |_| {});
    let order = |report: &Report| report.rows.iter().map(|row| row[0].to_string()).collect::<String>();
    assert!(report.sort("cover_days", false));
    assert_eq!(order(&report), "cab");
    assert!(report.sort("cover_days", true));
    assert_eq!(order(&report), "acb");
    assert!(!report.sort("no_such_column", false));
}
