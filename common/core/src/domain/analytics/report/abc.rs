use super::Cell;
use super::cell::ratio;
use super::gather::{Gathered, Key};
use crate::domain::Cost;

/// The fewest whole weeks that X, Y or Z is judged by.
const XYZ_WEEKS_MIN: usize = 4;

/// Returns the rows of the report `abc`, greatest first: id, name, net, amount, share, class, xyz, variation.
pub(super) fn rows(groups: &[(&Key, &Gathered)]) -> Vec<Vec<Cell>> {
    let by_amount = groups.iter().all(|(_, row)| row.amount().is_some());
    let weight = |row: &Gathered| match row.amount() {
        Some(amount) if by_amount => amount.raw(),
        _ => row.totals().net().raw(),
    };
    let mut ranked: Vec<(i64, &Key, &Gathered)> =
        groups.iter().map(|(key, row)| (weight(row).max(0), *key, *row)).collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let whole: i128 = ranked.iter().map(|(weight, ..)| i128::from(*weight)).sum();
    let mut before = 0_i128;
    let mut rows = Vec::with_capacity(ranked.len());
    for (weight, key, row) in ranked {
        let class = class(weight, before, whole);
        before += i128::from(weight);
        let (xyz, variation) = xyz(&row.weeks);
        rows.push(vec![
            Cell::Text(key.first().cloned().unwrap_or_default()),
            Cell::Text(row.name.clone()),
            Cell::Units(row.totals().net()),
            Cell::number(row.amount()),
            Cell::number(ratio(before, whole)),
            Cell::Text(class.into()),
            xyz.map_or(Cell::Nothing, |xyz| Cell::Text(xyz.into())),
            Cell::number(variation),
        ]);
    }
    rows
}

/// The class of an item is decided by what stands before it: the one that crosses 80 % is still A.
fn class(weight: i64, before: i128, whole: i128) -> &'static str {
    match before.saturating_mul(100) {
        _ if weight <= 0 => "U",
        before if before < whole.saturating_mul(80) => "A",
        before if before < whole.saturating_mul(95) => "B",
        _ => "C",
    }
}

/// Returns the class of the weeks, and their coefficient of variation: standard deviation ÷ mean.
fn xyz(weeks: &[i64]) -> (Option<&'static str>, Option<Cost>) {
    let n = weeks.len() as i128;
    let sum: i128 = weeks.iter().map(|week| i128::from(*week)).sum();
    if weeks.len() < XYZ_WEEKS_MIN || sum <= 0 {
        return (None, None);
    }
    let squares: i128 =
        weeks.iter().map(|week| i128::from(*week).saturating_mul(i128::from(*week))).fold(0, i128::saturating_add);
    // Squared, it is n Σx² ÷ (Σx)² − 1: no root decides a class.
    let (above, below) = (n.saturating_mul(squares).saturating_sub(sum.saturating_mul(sum)), sum.saturating_mul(sum));
    let class = if above.saturating_mul(4) <= below {
        "X"
    } else if above <= below {
        "Y"
    } else {
        "Z"
    };
    let variation = (above as f64 / below as f64).sqrt();
    (Some(class), ratio((variation * 1e9).round() as i128, 1_000_000_000))
}
