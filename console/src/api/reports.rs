//! Reports, as far as pages show them.

use std::collections::HashMap;

use serde::Deserialize;

/// A page of a report. Its cells are decimal texts, days and texts.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ReportPage {
    pub(crate) definition: String,
    pub(crate) period: Period,
    pub(crate) time_zone: String,
    pub(crate) as_of: String,
    pub(crate) excluded: Vec<LeftOut>,
    pub(crate) columns: Vec<String>,
    pub(crate) totals: HashMap<String, String>,
    pub(crate) row_count: usize,
    pub(crate) rows: Vec<HashMap<String, Option<String>>>,
    pub(crate) next_cursor: Option<String>,
}

/// Local days; `to` is the first day behind them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Period {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// What a report left out.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LeftOut {
    pub(crate) what: String,
    pub(crate) count: String,
}
