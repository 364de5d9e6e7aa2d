use std::collections::BTreeMap;
use std::sync::Arc;

use stockline_core::domain::{
    CommandId, Fold, FoldLimits, ItemId, Loaded, MessageError, Record, Rules, Slot, Timestamp, decode_message, fold,
};

use crate::config::{Adapters, Config};
use crate::health::Health;
use crate::metrics::Meters;
use crate::outage_breaker::OutageBreaker;
use crate::set_aside::SetAside;

/// After this many commands of pure computation a task yields, so that other tasks can run.
pub(crate) const YIELD_COMMANDS: usize = 256;

/// The type of [`fold`](stockline_core::domain::fold).
pub(crate) type Judge =
    fn(&Loaded, &ItemId, &[Slot], &BTreeMap<CommandId, Record>, Timestamp, &Rules, &FoldLimits) -> Fold;

/// The type of [`decode_message`].
type Decode = fn(&ItemId, &str, &str, Timestamp) -> Result<Vec<Slot>, MessageError>;

/// Holds what all rounds of one worker share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Config,
    pub(crate) adapters: Adapters,
    pub(crate) breaker: OutageBreaker,
    pub(crate) meters: Meters,
    pub(crate) set_aside: SetAside,
    /// [`fold`]; tests replace it by one that panics.
    pub(crate) judge: Judge,
    /// [`decode_message`]; tests replace it by one that panics.
    pub(crate) decode: Decode,
}

impl Worker {
    pub(crate) fn new(config: Config, adapters: Adapters, health: Arc<Health>) -> Self {
        let meters = Meters::new();
        let set_aside = SetAside::new(Arc::clone(&health), meters.set_aside.clone());
        let breaker = OutageBreaker::new(health, meters.clone());
        Self { config, adapters, breaker, meters, set_aside, judge: fold, decode: decode_message }
    }
}
