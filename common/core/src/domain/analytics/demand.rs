use super::{Calendar, Demand, LevelDays, MEAN_WEEKS, Period, Seen};
use crate::domain::Quantity;

const DAY_MS: i64 = 86_400_000;
const WEEK_DAYS: i32 = 7;
/// The fewest weeks in stock that a forecast is made of; with fewer it takes all weeks.
const IN_STOCK_WEEKS_MIN: usize = 4;

/// The demand of the last weeks of a level, up to yesterday.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DemandWeeks {
    /// Units of each week that count, sold less returned, not below zero; oldest first.
    pub weeks: Vec<Quantity>,
    /// The weeks that were left out because the level was out of stock for a day or longer.
    pub out_weeks: usize,
}

impl DemandWeeks {
    /// Returns what the weeks say; `None` if the level has not lasted a whole week.
    pub fn demand(&self) -> Option<Demand> {
        let units: Vec<f64> = self.weeks.iter().map(|week| week.raw() as f64 / 1_000.0).collect();
        Demand::of_weeks(&units)
    }
}

/// One week while it is added up.
#[derive(Debug, Clone, Copy, Default)]
struct Week {
    net: i64,
    out_ms: i64,
}

/// Returns the demand of the last 52 weeks of seven days, which end before today. A week counts if the level had its first
/// movement before it. Weeks with a day or more at or below zero are left out, unless fewer than 4 would be left.
pub fn demand_weeks(days: &LevelDays, calendar: &Calendar) -> DemandWeeks {
    let today = calendar.today();
    let Some(begins_at) = days.begins_at() else {
        return DemandWeeks::default();
    };
    let mut weeks = [Week::default(); MEAN_WEEKS];
    let period = Period { from: today.plus(-WEEK_DAYS * MEAN_WEEKS as i32), to: today };
    let mut add = |day: super::LocalDay, week: Week| {
        let at = usize::try_from(day.days_since(period.from) / WEEK_DAYS).unwrap_or(usize::MAX);
        if let Some(sum) = weeks.get_mut(at) {
            sum.net = sum.net.saturating_add(week.net);
            sum.out_ms += week.out_ms;
        }
    };
    calendar.sums(days, period, |seen| match seen {
        Seen::Day(day, _) => add(day.day, Week { net: day.totals.net().raw(), out_ms: day.out_ms }),
        Seen::Quiet { from, days, closing, .. } if !closing.is_positive() => {
            (0..days).for_each(|day| add(from.plus(day), Week { net: 0, out_ms: DAY_MS }));
        }
        Seen::Quiet { .. } => {}
    });
    let first = calendar.days.day(begins_at);
    let first_whole = if calendar.days.begin(first) < begins_at { first.plus(1) } else { first };
    let first_whole = first_whole.days_since(period.from);
    let whole = (0_i32..).zip(weeks).filter(|(week, _)| first_whole <= WEEK_DAYS * week);
    let whole: Vec<Week> = whole.map(|(_, week)| week).collect();
    let in_stock = whole.iter().filter(|week| week.out_ms < DAY_MS).count();
    let takes_all = in_stock < IN_STOCK_WEEKS_MIN;
    let kept = whole.iter().filter(|week| takes_all || week.out_ms < DAY_MS);
    DemandWeeks {
        weeks: kept.map(|week| Quantity::from_raw(week.net.max(0))).collect(),
        out_weeks: if takes_all { 0 } else { whole.len() - in_stock },
    }
}
