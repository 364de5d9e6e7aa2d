//! A line of the slip.

use crate::api::Item;
use crate::texts::fill;
use crate::visit::{Places, Visit};

/// One line of the slip: an item and how much of it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) item_id: String,
    pub(crate) name: String,
    /// The id of the line's command: what is done with the line is done once, however often it is sent.
    pub(crate) command_id: String,
    /// As the person reads and types it.
    pub(crate) quantity: String,
    /// What one further scan adds, as a decimal string.
    pub(crate) step: String,
    /// What is here, in words.
    pub(crate) here: String,
    pub(crate) elsewhere: String,
    pub(crate) state: String,
    pub(crate) state_text: &'static str,
    /// What is wrong with the line; empty if nothing is.
    pub(crate) wrong: String,
    pub(crate) less: String,
    pub(crate) more: String,
    pub(crate) remove: String,
    pub(crate) quantity_label: String,
}

impl Line {
    /// Makes the line of a scanned item.
    pub(crate) fn of(visit: &Visit, places: &Places, item: &Item, step: &str) -> Self {
        let (t, locale) = (visit.t, visit.locale);
        let here_id = places.here_id();
        let level = item.levels.iter().find(|level| level.location_id == here_id);
        let others = item.levels.iter().filter(|level| level.location_id != here_id && level.on_hand != "0");
        let others: Vec<String> = others
            .map(|level| format!("{} {}", places.name(&level.location_id), locale.number(&level.on_hand)))
            .collect();
        let state = level.map_or("", |level| level.state.as_str());
        Self {
            item_id: item.item_id.clone(),
            name: item.name.clone(),
            command_id: visit.new_id(),
            quantity: locale.number(step),
            step: step.to_owned(),
            here: level.map_or(t.no_stock_here.to_owned(), |level| {
                fill(t.here, &[&locale.number(&level.on_hand), &item.unit])
            }),
            elsewhere: if others.is_empty() {
                t.elsewhere_none.to_owned()
            } else {
                fill(t.elsewhere, &[&others.join(" · ")])
            },
            state: state.to_owned(),
            state_text: if item.archived { t.archived } else { t.state(state) },
            wrong: String::new(),
            less: fill(t.less, &[&item.name]),
            more: fill(t.more, &[&item.name]),
            remove: fill(t.remove, &[&item.name]),
            quantity_label: fill(t.quantity, &[&item.name]),
        }
    }
}
