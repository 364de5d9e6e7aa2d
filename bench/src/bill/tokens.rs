//! The cost of machine tokens, by clients per shop or till and by token lifetime.

use super::HOURS;
use super::assumptions::Assumptions;
use crate::prices::list;

/// One way to issue tokens to tills, at each rate.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct Choice {
    pub(super) client_per: &'static str,
    pub(super) token_hours: f64,
    pub(super) months: Vec<Tokens>,
}

/// One month of it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct Tokens {
    pub(super) clients: f64,
    pub(super) tokens: f64,
    pub(super) client_dollars: f64,
    pub(super) token_dollars: f64,
}

impl Tokens {
    /// Returns the cost if each till fetches its own tokens around the clock.
    pub(super) fn of(clients: f64, tills: f64, token_hours: f64) -> Self {
        let tokens = tills * HOURS / token_hours;
        Self { clients, tokens, client_dollars: list::CLIENT.of(clients), token_dollars: list::TOKEN.of(tokens) }
    }

    pub(super) fn dollars(&self) -> f64 {
        self.client_dollars + self.token_dollars
    }
}

/// Returns the four choices: one client per shop or per till, tokens for a day or an hour.
pub(super) fn choices(rates: &[f64], assumed: &Assumptions) -> Vec<Choice> {
    let choice = |client_per, token_hours| {
        let month = |rate: &f64| {
            let shops = assumed.shops(*rate);
            let tills = shops * assumed.tills;
            Tokens::of(if client_per == "shop" { shops } else { tills }, tills, token_hours)
        };
        Choice { client_per, token_hours, months: rates.iter().map(month).collect() }
    };
    vec![choice("shop", 24.0), choice("shop", 1.0), choice("till", 24.0), choice("till", 1.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_shops_of_ten_tills_pay_eleven_times_as_much_for_a_client_and_an_hour_each() {
        let choices = choices(&[100.0], &Assumptions::default());
        let (first, last) = (&choices[0].months[0], &choices[3].months[0]);
        // 50 × $6, and 500 tills × 730 h / 24 h × $0.00225
        assert_eq!((first.clients, first.client_dollars), (50.0, 300.0));
        assert!((first.token_dollars - 34.218_75).abs() < 1e-9);
        // 500 × $6, and 500 × 730 × $0.00225
        assert_eq!((last.clients, last.client_dollars, last.tokens), (500.0, 3_000.0, 365_000.0));
        assert!((last.token_dollars - 821.25).abs() < 1e-9);
        assert!((last.dollars() / first.dollars() - 11.43).abs() < 0.01);
    }
}
