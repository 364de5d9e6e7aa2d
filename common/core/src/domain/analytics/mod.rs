//! Analytics (design.md §12): totals of local days, and the reports that are made of them.

mod day;
mod demand;
mod forecast;
mod level_days;
mod moved;
mod period;
mod report;
mod sums;
mod tally;
mod totals;

pub use day::{DayError, LocalDay, LocalDays};
pub use demand::{DemandWeeks, demand_weeks};
pub use forecast::{Demand, MEAN_WEEKS, VARIANCE_WEEKS, dispersion};
pub use level_days::LevelDays;
pub use moved::Moved;
pub use period::{PERIOD_DAYS_MAX, Period, PeriodFault, PeriodWords};
pub use report::{Cell, Excluded, Group, OrderTerms, Question, Report, ReportBuilder, ReportName, Stocked};
pub use sums::{Calendar, Seen, Sums};
pub use tally::Tally;
pub use totals::{DayTotals, Figure, Totals};
