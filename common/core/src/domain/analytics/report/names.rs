/// A report of `/v1/analytics/{report}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each name says it; `ReportName::definition` has the definitions")]
pub enum ReportName {
    Sales,
    Velocity,
    Cover,
    Reorder,
    LostSales,
    SellThrough,
    Abc,
    DeadStock,
    Turnover,
    Shrinkage,
    Value,
}

/// What the rows of a report stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each name says it")]
pub enum Group {
    Day,
    Week,
    Month,
    Item,
    Category,
    Location,
    Supplier,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 7] =
        [Self::Day, Self::Week, Self::Month, Self::Item, Self::Category, Self::Location, Self::Supplier];

    /// Returns the word of the parameter `group`, and the name of the column.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Day => ("day", "day"),
            Self::Week => ("week", "week"),
            Self::Month => ("month", "month"),
            Self::Item => ("item", "item_id"),
            Self::Category => ("category", "category"),
            Self::Location => ("location", "location_id"),
            Self::Supplier => ("supplier", "supplier"),
        }
    }

    /// Returns whether it is a span of time.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Day | Self::Week | Self::Month)
    }
}

impl ReportName {
    /// All reports, in the order of design.md §12.
    pub const ALL: [Self; 11] = [
        Self::Sales,
        Self::Velocity,
        Self::Cover,
        Self::Reorder,
        Self::LostSales,
        Self::SellThrough,
        Self::Abc,
        Self::DeadStock,
        Self::Turnover,
        Self::Shrinkage,
        Self::Value,
    ];

    /// Returns the word in the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sales => "sales",
            Self::Velocity => "velocity",
            Self::Cover => "cover",
            Self::Reorder => "reorder",
            Self::LostSales => "lost-sales",
            Self::SellThrough => "sell-through",
            Self::Abc => "abc",
            Self::DeadStock => "dead-stock",
            Self::Turnover => "turnover",
            Self::Shrinkage => "shrinkage",
            Self::Value => "value",
        }
    }

    /// Returns the report of a word in the path.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|report| report.as_str() == word)
    }

    /// Returns the definition of the figures, for people.
    pub const fn definition(self) -> &'static str {
        match self {
            Self::Sales => {
                "net = sold − returned, in units; a return counts on its own day; transfers are no sales. amount = what \
                 customers paid less what they got back; cost likewise at the moving average; margin = amount − cost, \
                 only where both are known of every unit"
            }
            Self::Velocity => {
                "per_day = net units ÷ days since the first movement; per_day_in_stock leaves the time at or below zero \
                 out, in days and in nothing else"
            }
            Self::Cover => {
                "cover_days = on hand ÷ net units per day in stock, 0 where nothing is on hand, empty without sales, at \
                 most 365; stock_out = today + cover_days. It lies between earliest and latest with 80 %, by the \
                 forecast of the report reorder"
            }
            Self::Reorder => {
                "order = target − on hand − on order, at least the minimum, in whole multiples. target = the quantile of \
                 the demand of lead time + review period at the service level: negative binomial, mean by exponential \
                 smoothing (0.1) over 52 weeks, variance over 26 weeks, both in stock only, the variance of thin series \
                 pooled with those of the location. order_by = the last day on which an order comes in time. \
                 Lead time, multiple, minimum and service level are as asked, else those of the location, else of the \
                 item, else 7 days, 1, 0 and 95 %"
            }
            Self::LostSales => {
                "lost_units = net units per day in stock × time at or below zero, only after 21 days in stock; \
                 lost_amount = lost_units × mean price of the units sold"
            }
            Self::SellThrough => {
                "rate = net units ÷ (start + received + transferred in − transferred out + adjustments upwards)"
            }
            Self::Abc => {
                "class: items by amount (by units if an amount is missing), greatest first: A up to 80 %, B up to 95 %, C \
                 the rest, U unsold. xyz: coefficient of variation of the net units of whole weeks: X up to 0.5, Y up \
                 to 1, Z above; from 4 weeks on"
            }
            Self::DeadStock => "on hand above zero, first movement and last sale at least so many days ago (90)",
            Self::Turnover => {
                "turnover = cost of the goods sold ÷ mean value on hand at the ends of the days; gmroi = margin ÷ the \
                 same mean value"
            }
            Self::Shrinkage => {
                "counted = counted − book, movements that the count had seen taken out; adjusted by reason; total = their \
                 sum, negative is a loss; share_of_sales = total ÷ net units"
            }
            Self::Value => "value = on hand × moving average cost at the end of the last day of the period",
        }
    }

    /// Returns the groups that the report can have.
    pub const fn groups(self) -> &'static [Group] {
        use Group::{Category, Day, Item, Location, Month, Supplier, Week};
        match self {
            Self::Sales | Self::Shrinkage => &[Day, Week, Month, Item, Category, Location, Supplier],
            Self::SellThrough | Self::Turnover | Self::Value => &[Item, Category, Location, Supplier],
            Self::Abc => &[Item],
            Self::Velocity | Self::Cover | Self::Reorder | Self::LostSales | Self::DeadStock => &[Item, Location],
        }
    }

    /// Returns the groups that the report has if none is asked for.
    pub const fn usual_groups(self) -> &'static [Group] {
        match self {
            Self::Sales => &[Group::Day],
            Self::Shrinkage => &[Group::Location],
            Self::Abc => &[Group::Item],
            _ => &[Group::Item, Group::Location],
        }
    }

    /// Returns whether every row must stand for one item at one location.
    pub const fn needs_item(self) -> bool {
        matches!(self, Self::Velocity | Self::Cover | Self::Reorder | Self::LostSales | Self::DeadStock)
    }

    /// Returns the days of the period if none is asked for.
    pub const fn usual_days(self) -> i32 {
        match self {
            Self::LostSales | Self::Abc | Self::Turnover | Self::Shrinkage | Self::SellThrough => 91,
            _ => 28,
        }
    }

    /// Returns whether archived items are left out.
    pub(super) const fn skips_archived(self) -> bool {
        matches!(self, Self::Cover | Self::Reorder | Self::DeadStock)
    }

    /// Returns whether it needs a forecast.
    pub(super) const fn forecasts(self) -> bool {
        matches!(self, Self::Cover | Self::Reorder)
    }
}
