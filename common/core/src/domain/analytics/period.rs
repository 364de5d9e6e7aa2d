use super::LocalDay;

/// The longest period of a report, in days: 100 years.
pub const PERIOD_DAYS_MAX: i32 = 36_525;

/// The local days from `from`, before `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub from: LocalDay,
    /// The first day behind the period.
    pub to: LocalDay,
}

/// How a period is asked for. At most one way may be given; without any it is the report's usual number of days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeriodWords<'a> {
    /// The first day. `to` is tomorrow if it is missing.
    pub from: Option<&'a str>,
    /// The first day behind the period. `from` is needed too.
    pub to: Option<&'a str>,
    /// The last whole days or weeks of seven days, such as `28d` or `4w`. They end before today.
    pub last: Option<&'a str>,
    /// An ISO week, such as `2026-W05`.
    pub week: Option<&'a str>,
    /// A month, such as `2026-01`.
    pub month: Option<&'a str>,
}

/// Why words are no period: the parameter, and what is wrong with it.
pub type PeriodFault = (&'static str, String);

impl PeriodWords<'_> {
    /// Returns the period that the words mean on this day. Without words it is the last `usual` whole days.
    ///
    /// # Errors
    /// Names the first parameter that is wrong.
    pub fn on(&self, today: LocalDay, usual: i32) -> Result<Period, PeriodFault> {
        let ways = [self.from.or(self.to), self.last, self.week, self.month];
        if ways.iter().flatten().count() > 1 {
            return Err(("from", "name the period one way: from and to, or last, or week, or month".into()));
        }
        let period = if let Some(text) = self.last {
            last_days(text).map(|days| Period { from: today.plus(-days), to: today }).ok_or_else(|| {
                ("last", format!("is not days or weeks such as 28d or 4w, at most {PERIOD_DAYS_MAX} days"))
            })?
        } else if let Some(text) = self.week {
            let monday = LocalDay::of_week(text).ok_or(("week", "is not a week such as 2026-W05".to_owned()))?;
            Period { from: monday, to: monday.plus(7) }
        } else if let Some(text) = self.month {
            let from = LocalDay::of_month(text).ok_or(("month", "is not a month such as 2026-01".to_owned()))?;
            Period { from, to: from.next_month() }
        } else if let Some(text) = self.from {
            let from = text.parse().map_err(|fault: super::DayError| ("from", fault.to_string()))?;
            let to = self.to.map(str::parse).transpose().map_err(|fault: super::DayError| ("to", fault.to_string()))?;
            Period { from, to: to.unwrap_or_else(|| today.plus(1)) }
        } else if self.to.is_some() {
            return Err(("from", "is missing; a period with to needs it".into()));
        } else {
            Period { from: today.plus(-usual), to: today }
        };
        period.checked(today)
    }
}

impl Period {
    /// Returns the number of days.
    pub fn days(self) -> i32 {
        self.to.days_since(self.from)
    }

    /// Returns whether a day is in the period.
    pub fn has(self, day: LocalDay) -> bool {
        self.from <= day && day < self.to
    }

    fn checked(self, today: LocalDay) -> Result<Self, PeriodFault> {
        if self.from >= self.to {
            return Err((
                "to",
                format!("is {}, which is not after from, {}; to is the first day behind", self.to, self.from),
            ));
        }
        if self.from > today {
            return Err(("from", format!("is {}, which has not come yet; today is {today}", self.from)));
        }
        if self.days() > PERIOD_DAYS_MAX {
            return Err(("to", format!("makes {} days, and a period has at most {PERIOD_DAYS_MAX}", self.days())));
        }
        Ok(self)
    }
}

fn last_days(text: &str) -> Option<i32> {
    let (number, days) = match (text.strip_suffix('d'), text.strip_suffix('w')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 7),
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let days = number.parse::<i32>().ok()?.checked_mul(days)?;
    (1..=PERIOD_DAYS_MAX).contains(&days).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: PeriodWords<'_>) -> Result<(String, String), &'static str> {
        let period = words.on("2026-02-10".parse().unwrap(), 28);
        period.map(|period| (period.from.to_string(), period.to.to_string())).map_err(|(name, _)| name)
    }

    #[test]
    fn a_period_is_asked_for_in_one_of_five_ways() {
        let none = PeriodWords::default();
        let days = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        assert_eq!(found(none.clone()), days("2026-01-13", "2026-02-10"));
        assert_eq!(found(PeriodWords { last: Some("1d"), ..none.clone() }), days("2026-02-09", "2026-02-10"));
        assert_eq!(found(PeriodWords { last: Some("2w"), ..none.clone() }), days("2026-01-27", "2026-02-10"));
        assert_eq!(found(PeriodWords { week: Some("2026-W01"), ..none.clone() }), days("2025-12-29", "2026-01-05"));
        assert_eq!(found(PeriodWords { month: Some("2024-02"), ..none.clone() }), days("2024-02-01", "2024-03-01"));
        assert_eq!(found(PeriodWords { from: Some("2026-02-10"), ..none.clone() }), days("2026-02-10", "2026-02-11"));
        let both = PeriodWords { from: Some("2026-01-01"), to: Some("2030-01-01"), ..none };
        assert_eq!(found(both), days("2026-01-01", "2030-01-01"));
    }

    #[test]
    fn a_period_in_the_wrong_order_in_the_future_or_of_ages_is_refused() {
        let none = PeriodWords::default();
        let from_to = |from, to| PeriodWords { from: Some(from), to: Some(to), ..PeriodWords::default() };
        for (words, name) in [
            (from_to("2026-02-01", "2026-02-01"), "to"),
            (from_to("2026-02-02", "2026-02-01"), "to"),
            (from_to("2026-02-11", "2026-02-12"), "from"),
            (from_to("1970-01-01", "2100-01-01"), "to"),
            (PeriodWords { month: Some("2026-03"), ..none.clone() }, "from"),
            (PeriodWords { to: Some("2026-02-01"), ..none.clone() }, "from"),
            (PeriodWords { last: Some("7d"), week: Some("2026-W01"), ..none.clone() }, "from"),
            (PeriodWords { last: Some("0d"), ..none.clone() }, "last"),
            (PeriodWords { last: Some("7"), ..none.clone() }, "last"),
            (PeriodWords { last: Some("+7d"), ..none.clone() }, "last"),
            (PeriodWords { last: Some("99999d"), ..none.clone() }, "last"),
            (PeriodWords { from: Some("yesterday"), ..none.clone() }, "from"),
            (PeriodWords { week: Some("2026-W60"), ..none.clone() }, "week"),
            (PeriodWords { month: Some("2026-1"), ..none }, "month"),
        ] {
            assert_eq!(found(words.clone()), Err(name), "{words:?}");
        }
    }
}
