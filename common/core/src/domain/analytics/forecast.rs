use statrs::distribution::{DiscreteCDF, NegativeBinomial, Poisson};

/// Weeks that the mean is made of, at most. The weight of an older week is below half a percent.
pub const MEAN_WEEKS: usize = 52;
/// Weeks that the variance is made of, at most.
pub const VARIANCE_WEEKS: usize = 26;
/// The weight of the latest week in the mean.
const SMOOTHING: f64 = 0.1;
/// The weeks whose mean the smoothing begins with.
const FIRST_WEEKS: usize = 8;
/// How many weeks the pool's dispersion weighs, beside the weeks with sales of the series itself.
const POOL_WEEKS: f64 = 4.0;

/// The demand of one week, in units, as the past weeks show it.
///
/// - The *mean* is smoothed exponentially over the last 52 weeks: it begins with the mean of the first 8, and each week
///   moves it by a tenth of the difference, `m ← m + 0.1 (x − m)`.
/// - The *variance* is that of the last 26 weeks, `Σ (x − x̄)² / (n − 1)`.
/// - [`Demand::pooled`] leads the variance of a thin series towards what is usual.
///
/// Only weeks in stock belong in the series: in others nobody could buy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// The mean of a week.
    pub mean: f64,
    /// The variance of a week.
    pub variance: f64,
    /// The weeks with sales that the variance is made of.
    pub active_weeks: usize,
}

impl Demand {
    /// Returns the demand that these weeks show, oldest first; `None` without a week.
    pub fn of_weeks(weeks: &[f64]) -> Option<Self> {
        let of_mean = weeks.get(weeks.len().saturating_sub(MEAN_WEEKS)..)?;
        let begin = mean(of_mean.get(..FIRST_WEEKS.min(of_mean.len()))?)?;
        let of_variance = weeks.get(weeks.len().saturating_sub(VARIANCE_WEEKS)..)?;
        Some(Self {
            mean: of_mean.iter().fold(begin, |level, week| level + SMOOTHING * (week - level)),
            variance: variance(of_variance),
            active_weeks: of_variance.iter().filter(|week| **week > 0.0).count(),
        })
    }

    /// Leads the variance towards `dispersion × mean`: `(n v + 4 d m) / (n + 4)` with n weeks that have sales. So a
    /// series that sold twice does not claim to know how much its weeks differ.
    #[must_use]
    pub fn pooled(self, dispersion: f64) -> Self {
        let own = self.active_weeks as f64;
        let variance = (own * self.variance + POOL_WEEKS * dispersion * self.mean) / (own + POOL_WEEKS);
        Self { variance, ..self }
    }

    /// Returns the least whole number of units that the demand of so many weeks does not exceed with this probability:
    /// a quantile of the negative binomial distribution with `weeks` × mean and variance, or of the Poisson distribution
    /// where the variance is not above the mean.
    pub fn quantile(&self, weeks: f64, probability: f64) -> u64 {
        let (mean, variance) = (self.mean * weeks, self.variance * weeks);
        if mean <= 0.0 {
            return 0;
        }
        if variance > mean * (1.0 + 1e-9) {
            let size = mean * mean / (variance - mean);
            if let Ok(demand) = NegativeBinomial::new(size, size / (size + mean)) {
                return least(mean, variance, |units| demand.cdf(units) >= probability);
            }
        }
        Poisson::new(mean).map_or(0, |demand| least(mean, mean, |units| demand.cdf(units) >= probability))
    }
}

/// Returns how much wider than Poisson these series usually are: the median of variance ÷ mean, 1 at least. It is 1 without
/// any demand. (The sums of all variances and means would be those of the few that sell most.)
pub fn dispersion<'a>(series: impl IntoIterator<Item = &'a Demand>) -> f64 {
    let sells = series.into_iter().filter(|demand| demand.mean > 0.0);
    let mut ratios: Vec<f64> = sells.map(|demand| demand.variance / demand.mean).collect();
    ratios.sort_by(f64::total_cmp);
    let middle = |at: usize| ratios.get(at).copied();
    let median = match ratios.len() / 2 {
        half if ratios.len() % 2 == 1 => middle(half),
        half => middle(half.wrapping_sub(1)).zip(middle(half)).map(|(low, high)| (low + high) / 2.0),
    };
    median.unwrap_or(1.0).max(1.0)
}

fn mean(weeks: &[f64]) -> Option<f64> {
    (!weeks.is_empty()).then(|| weeks.iter().sum::<f64>() / weeks.len() as f64)
}

fn variance(weeks: &[f64]) -> f64 {
    let Some(middle) = mean(weeks).filter(|_| weeks.len() > 1) else {
        return 0.0;
    };
    weeks.iter().map(|week| (week - middle) * (week - middle)).sum::<f64>() / (weeks.len() - 1) as f64
}

/// Returns the least number from which on `holds` is true, which it is for all numbers above one. It begins to look near
/// the mean, and stops at 2⁵³.
fn least(mean: f64, variance: f64, holds: impl Fn(u64) -> bool) -> u64 {
    const MOST: u64 = 1 << 53;
    let mut high = (mean as u64).clamp(1, MOST);
    let mut step = (variance.sqrt() as u64).max(1);
    while high < MOST && !holds(high) {
        high = high.saturating_add(step).min(MOST);
        step = step.saturating_mul(2);
    }
    let mut low = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_smoothed_and_the_variance_is_of_26_weeks() {
        let flat = Demand::of_weeks(&[3.0; 60]).unwrap();
        assert_eq!((flat.mean, flat.variance, flat.active_weeks), (3.0, 0.0, 26));
        let one = Demand::of_weeks(&[5.0]).unwrap();
        assert_eq!((one.mean, one.variance), (5.0, 0.0));
        assert_eq!(Demand::of_weeks(&[]), None);
        let mut weeks = [0.0; 9];
        weeks[8] = 10.0;
        assert_eq!(Demand::of_weeks(&weeks).unwrap().mean, 1.0, "the last of nine weeks weighs a tenth");
        let mut old = vec![1000.0];
        old.extend([2.0; 52]);
        let demand = Demand::of_weeks(&old).unwrap();
        assert_eq!((demand.mean, demand.variance), (2.0, 0.0), "older weeks do not count");
    }

    /// The figures are those of `scipy.stats`: `nbinom.ppf(p, m*m/(v-m), m/v)` and `poisson.ppf(p, m)`.
    #[test]
    fn quantiles_are_those_of_the_negative_binomial_and_of_poisson() {
        let wide = Demand { mean: 4.0, variance: 12.0, active_weeks: 20 };
        let quantiles = |demand: &Demand, weeks| [0.1, 0.5, 0.8, 0.9, 0.95, 0.99].map(|p| demand.quantile(weeks, p));
        assert_eq!(quantiles(&wide, 1.0), [0, 3, 6, 9, 11, 15]);
        assert_eq!(quantiles(&wide, 2.0), [2, 7, 12, 15, 17, 23]);
        let narrow = Demand { mean: 2.5, variance: 1.0, active_weeks: 20 };
        assert_eq!(quantiles(&narrow, 2.0), [2, 5, 7, 8, 9, 11]);
        let large = Demand { mean: 250_000.0, variance: 9.0e8, active_weeks: 20 };
        assert_eq!(quantiles(&large, 1.0), [212406, 248801, 274836, 289135, 301306, 325033]);
        assert_eq!(Demand { mean: 0.0, variance: 0.0, active_weeks: 0 }.quantile(9.0, 0.99), 0);
    }

    #[test]
    fn a_thin_series_takes_the_usual_dispersion() {
        let thin = Demand { mean: 0.1, variance: 0.0, active_weeks: 0 };
        assert!((thin.pooled(3.0).variance - 0.3).abs() < 1e-12);
        let known = Demand { mean: 2.0, variance: 4.0, active_weeks: 26 };
        assert!((known.pooled(2.0).variance - 4.0).abs() < 1e-12);
        let pool = dispersion([&Demand { mean: 1.0, variance: 5.0, active_weeks: 9 }, &known]);
        assert!((pool - 3.5).abs() < 1e-12);
        let three = [5.0, 4.0, 90.0].map(|variance| Demand { mean: 1.0, variance, active_weeks: 9 });
        assert!((dispersion(&three) - 5.0).abs() < 1e-12);
        assert!((dispersion([]) - 1.0).abs() < 1e-12);
    }
}
