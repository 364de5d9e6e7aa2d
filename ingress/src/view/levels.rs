use serde::Serialize;
use stockline_core::domain::{
    Barcode, Cost, Fixed, Item, ItemId, Level, LocationId, Money, Percent, Planning, Quantity, ShortagePolicy,
    StockState, Timestamp, Valuation,
};
use stockline_core::ports;
use utoipa::ToSchema;

use super::viewer::Viewer;
use super::words::{ShortagePolicyWord, StockStateWord};

/// The stock of one item at one location.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Level)]
pub(crate) struct LevelView<'a> {
    /// The item.
    #[schema(value_type = String, example = "cola-033")]
    item_id: &'a ItemId,
    /// The item's name; in lists of levels, and not within an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Cola 0.33 l")]
    item_name: Option<&'a str>,
    /// The location.
    #[schema(value_type = String, example = "shop-1")]
    location_id: &'a LocationId,
    /// The balance; below zero when oversold.
    #[schema(value_type = String, example = "22")]
    on_hand: Quantity,
    /// The threshold of this level: its own, or else the item's default.
    #[schema(value_type = Option<String>, required = true, example = "6")]
    low_stock_threshold: Option<Quantity>,
    /// Its state, from the current balance and threshold.
    #[schema(value_type = StockStateWord)]
    state: StockState,
    /// The number of its last ledger entry.
    #[schema(example = 3)]
    seq: u64,
    /// It increases by 1 with every change.
    #[schema(example = 3)]
    version: u64,
    /// When the shelf was last counted; `null` if never, or if the clock of the last count turned out to be wrong.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    counted_at: Option<Timestamp>,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The moving average cost of one unit; `null` until a cost is known. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.41", nullable)]
    average_cost: Option<Option<Cost>>,
    /// The value of the balance: the sum of `cost` and `revaluation` of all its movements. Below zero when oversold; `null`
    /// until a cost is known. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "9.02", nullable)]
    value: Option<Option<Money>>,
    /// `true` if the item is archived; else left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    archived: bool,
}

impl<'a> LevelView<'a> {
    pub(crate) fn of(item: &'a Item, level: &'a Level, viewer: &Viewer) -> Self {
        let threshold = level.threshold(item);
        Self {
            item_id: &item.item_id,
            item_name: None,
            location_id: &level.location_id,
            on_hand: level.on_hand,
            low_stock_threshold: threshold,
            state: StockState::judge(level.on_hand, threshold),
            seq: level.seq,
            version: level.version,
            counted_at: level.counted_at,
            updated_at: level.updated_at,
            average_cost: viewer.costs.then_some(level.average_cost),
            value: viewer.costs.then_some(level.average_cost.map(|_| level.value)),
            archived: false,
        }
    }

    /// As [`Self::of`], with the item's name and whether it is archived.
    pub(crate) fn named(item: &'a Item, level: &'a Level, viewer: &Viewer) -> Self {
        let archived = item.is_archived();
        Self { item_name: Some(&item.catalogue.name), archived, ..Self::of(item, level, viewer) }
    }
}

/// A barcode of an item. A GTIN is in its shortest standard form, whatever the form was in which it was submitted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Barcode)]
pub(crate) struct BarcodeView<'a> {
    /// The code.
    #[schema(example = "4006381333931")]
    code: &'a str,
    /// The quantity that one scan of it means: 1 for a bottle, 12 for a case.
    #[schema(value_type = String, example = "1")]
    quantity: Quantity,
}

impl<'a> BarcodeView<'a> {
    pub(crate) fn of(barcode: &'a Barcode) -> Self {
        Self { code: &barcode.code, quantity: barcode.quantity }
    }
}

/// What a location has instead of the item's own. A field that is missing is the item's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanningOverride)]
pub(crate) struct OverrideView<'a> {
    /// The location.
    #[schema(value_type = String, example = "shop-1")]
    location_id: &'a LocationId,
    /// Who delivers the item there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Next Door")]
    supplier: Option<&'a str>,
    /// Days from an order to its goods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0, maximum = 365, example = 1)]
    lead_time_days: Option<u16>,
    /// The quantity whose multiples can be ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, example = "6")]
    order_multiple: Option<Quantity>,
    /// The least quantity of an order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, example = "12")]
    order_minimum: Option<Quantity>,
    /// The probability in percent that the stock lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, nullable = false, example = "99")]
    service_level: Option<Percent>,
}

impl<'a> OverrideView<'a> {
    fn of((location_id, planning): (&'a LocationId, &'a Planning)) -> Self {
        Self {
            location_id,
            supplier: planning.supplier.as_deref(),
            lead_time_days: planning.lead_time_days,
            order_multiple: planning.order_multiple,
            order_minimum: planning.order_minimum,
            service_level: planning.service_level,
        }
    }
}

/// An item with its levels.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
pub(crate) struct ItemView<'a> {
    /// The SKU.
    #[schema(value_type = String, example = "cola-033")]
    item_id: &'a ItemId,
    /// The name for people.
    #[schema(example = "Cola 0.33 l")]
    name: &'a str,
    /// The unit of a quantity.
    #[schema(example = "bottle")]
    unit: &'a str,
    /// How many decimals a quantity may have, 0 to 3.
    #[schema(example = 0)]
    decimals: u8,
    /// The barcodes; each belongs only to this item.
    barcodes: Vec<BarcodeView<'a>>,
    /// A category of your choice.
    #[schema(required = true, example = "drinks")]
    category: Option<&'a str>,
    /// The threshold of levels without one of their own.
    #[schema(value_type = Option<String>, required = true, example = "6")]
    low_stock_threshold: Option<Quantity>,
    /// What happens to a sale without `on_shortage` if there is not enough stock.
    #[schema(value_type = ShortagePolicyWord)]
    shortage_policy: ShortagePolicy,
    /// The cost of one unit. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.41", nullable)]
    unit_cost: Option<Option<Cost>>,
    /// Who delivers the item.
    #[schema(required = true, example = "Drinks Ltd")]
    supplier: Option<&'a str>,
    /// Days from an order to its goods, 0 to 365; 7 by default.
    #[schema(required = true, minimum = 0, maximum = 365, example = 3)]
    lead_time_days: Option<u16>,
    /// The quantity whose multiples can be ordered; 1 by default.
    #[schema(value_type = Option<String>, required = true, example = "12")]
    order_multiple: Option<Quantity>,
    /// The least quantity of an order; 0 by default.
    #[schema(value_type = Option<String>, required = true, example = "24")]
    order_minimum: Option<Quantity>,
    /// The probability in percent that the stock lasts until the next goods, 50 to 99.9; 95 by default.
    #[schema(value_type = Option<String>, required = true, example = "97.5")]
    service_level: Option<Percent>,
    /// What locations have instead, by location; at most 200.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    overrides: Vec<OverrideView<'a>>,
    /// Whether the item is archived.
    #[schema(example = false)]
    archived: bool,
    /// It increases by 1 with every change of the catalogue record.
    #[schema(example = 1)]
    version: u64,
    /// When the catalogue record last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// The sum of `levels`. If a token is bound to locations, these are only the levels there.
    #[schema(value_type = String, example = "22")]
    on_hand: Quantity,
    /// The average cost of one unit over `levels`; `null` until a cost is known at one of them, and while nothing is on hand.
    /// Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "0.41", nullable)]
    average_cost: Option<Option<Cost>>,
    /// The sum of the values of `levels`; `null` until a cost is known at one of them. Managers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "9.02", nullable)]
    value: Option<Option<Money>>,
    /// The levels, by location.
    levels: Vec<LevelView<'a>>,
}

impl<'a> ItemView<'a> {
    pub(crate) fn of(view: &'a ports::ItemWithLevels, viewer: &Viewer) -> Self {
        let item = &view.item;
        let planning = &item.catalogue.planning;
        let seen: Vec<_> = view.levels.iter().filter(|level| viewer.sees(&level.location_id)).collect();
        Self {
            item_id: &item.item_id,
            name: &item.catalogue.name,
            unit: &item.catalogue.unit,
            decimals: item.catalogue.decimals,
            barcodes: item.catalogue.barcodes.iter().map(BarcodeView::of).collect(),
            category: item.catalogue.category.as_deref(),
            low_stock_threshold: item.catalogue.low_stock_threshold,
            shortage_policy: item.catalogue.shortage_policy,
            unit_cost: viewer.costs.then_some(item.catalogue.unit_cost),
            supplier: planning.supplier.as_deref(),
            lead_time_days: planning.lead_time_days,
            order_multiple: planning.order_multiple,
            order_minimum: planning.order_minimum,
            service_level: planning.service_level,
            overrides: item.overrides.iter().filter(|(at, _)| viewer.sees(at)).map(OverrideView::of).collect(),
            archived: item.is_archived(),
            version: item.version,
            updated_at: item.updated_at,
            on_hand: sum(seen.iter().map(|level| level.on_hand)),
            average_cost: viewer.costs.then(|| average_of(&seen)),
            value: viewer.costs.then(|| value_of(&seen)),
            levels: seen.into_iter().map(|level| LevelView::of(item, level, viewer)).collect(),
        }
    }
}

/// Returns the sum of numbers, or the nearest 64-bit value if the sum is out of range.
fn sum<const P: u32>(numbers: impl Iterator<Item = Fixed<P>>) -> Fixed<P> {
    let total: i128 = numbers.map(|number| i128::from(number.raw())).sum();
    let bound = if total < 0 { i64::MIN } else { i64::MAX };
    Fixed::from_raw(i64::try_from(total).unwrap_or(bound))
}

/// Returns the average cost over the levels with a known cost.
fn average_of(levels: &[&Level]) -> Option<Cost> {
    let known = levels.iter().filter(|level| level.average_cost.is_some());
    Valuation::average_of(value_of(levels)?, sum(known.map(|level| level.on_hand)))
}

/// Returns the value of the levels with a known cost; `None` if there is no such level.
fn value_of(levels: &[&Level]) -> Option<Money> {
    let mut known = levels.iter().filter(|level| level.average_cost.is_some()).map(|level| level.value).peekable();
    known.peek()?;
    Some(sum(known))
}

/// A page of items.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemPage<'a> {
    /// The items, by name.
    pub(crate) items: Vec<ItemView<'a>>,
    /// The cursor of the next page; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<&'a str>,
    /// Where the next reading with `updated_since` begins; only with `updated_since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_updated_since: Option<&'a str>,
}

/// A page of levels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LevelPage<'a> {
    /// The levels, by item and location.
    pub(crate) levels: Vec<LevelView<'a>>,
    /// The cursor of the next page; null at the end.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<&'a str>,
    /// Where the next reading with `updated_since` begins; only with `updated_since`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_updated_since: Option<&'a str>,
}

/// One balance at a point in time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Balance)]
pub(crate) struct BalanceView<'a> {
    /// The location.
    #[schema(value_type = String, example = "shop-1")]
    pub(crate) location_id: &'a LocationId,
    /// The balance at that time.
    #[schema(value_type = String, example = "24")]
    pub(crate) on_hand: Quantity,
    /// The last ledger entry recorded by that time; 0 if there was none.
    #[schema(example = 2)]
    pub(crate) seq: u64,
}

/// The stock of an item at a point in time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PointInTime)]
pub(crate) struct PointInTimeView<'a> {
    /// The item.
    #[schema(value_type = String, example = "cola-033")]
    item_id: &'a ItemId,
    /// The time that was asked for.
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
    /// The sum of `levels`.
    #[schema(value_type = String, example = "24")]
    on_hand: Quantity,
    /// The levels, by location.
    levels: Vec<BalanceView<'a>>,
}

impl<'a> PointInTimeView<'a> {
    pub(crate) fn of(
        item_id: &'a ItemId,
        as_of: Timestamp,
        balances: &'a [(LocationId, Quantity, u64)],
        viewer: &Viewer,
    ) -> Self {
        let levels: Vec<_> = balances
            .iter()
            .filter(|(location_id, ..)| viewer.sees(location_id))
            .map(|(location_id, on_hand, seq)| BalanceView { location_id, on_hand: *on_hand, seq: *seq })
            .collect();
        Self { item_id, as_of, on_hand: sum(levels.iter().map(|level| level.on_hand)), levels }
    }
}
