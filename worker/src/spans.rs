use std::collections::HashMap;

use stockline_core::domain::{CommandId, ItemId, Slot};
use stockline_service::trace;
use tracing::Span;

/// The spans of an item's commands in a round, each in the trace of the command's request. It stays empty, and costs
/// nothing, unless spans of level `debug` are logged or exported.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// Of the item, inside the round's.
    item: Option<Span>,
    commands: HashMap<CommandId, Span>,
}

impl Spans {
    /// Begins a span for each command that names its request.
    pub(crate) fn begin(&mut self, item_id: &ItemId, slots: &[Slot]) {
        if !trace::follows_commands() {
            return;
        }
        self.item.get_or_insert_with(|| trace::item(item_id));
        for queued in slots.iter().filter_map(Slot::queued) {
            if let Some(request) = &queued.trace {
                let command_id = queued.command.command_id;
                self.commands.insert(command_id, trace::command(request, item_id, command_id));
            }
        }
    }

    /// Ends the span of a command. `as_what` says what became of it.
    pub(crate) fn settled(&mut self, command_id: CommandId, as_what: &'static str) {
        if let Some(span) = self.commands.remove(&command_id) {
            span.record("settled", as_what);
            tracing::debug!(target: trace::TARGET, parent: &span, "a command is settled");
        }
    }

    /// Are there spans to end?
    pub(crate) fn any(&self) -> bool {
        !self.commands.is_empty()
    }
}
