//! The stored numbers of a level's state.

use super::fault::Fault;
use stockline_core::domain::StockState;

const STATES: [StockState; 4] = [StockState::Normal, StockState::Low, StockState::Out, StockState::Oversold];

/// Returns the stored number of a state, which must never change.
pub(super) fn state_no(state: StockState) -> i64 {
    STATES.iter().zip(0..).find_map(|(s, no)| (*s == state).then_some(no)).unwrap_or(0)
}

/// Returns the state of a stored number.
pub(super) fn state_of(no: usize) -> Result<StockState, Fault> {
    STATES.get(no).copied().ok_or_else(|| Fault::Unreadable(format!("a level has the unknown state {no}")))
}
