//! Options of `submit`.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use stockline_core::domain::{CommandId, CommandKind, ItemId, LocationId, Timestamp};

use super::{ClientArgs, time};
use crate::duration::Span;

/// A command's type, as an option's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(pub(crate) CommandKind);

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Kind; CommandKind::ALL.len()] = {
            let mut kinds = [Kind(CommandKind::Sell); CommandKind::ALL.len()];
            let mut index = 0;
            while index < kinds.len() {
                kinds[index] = Kind(CommandKind::ALL[index]);
                index += 1;
            }
            kinds
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.as_str()))
    }
}

/// Options of `submit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline submit register_item --item cola --name \"Cola 0.33 l\" --threshold 12
  stockline submit receive --item cola --quantity 100
  stockline submit receive --item cola --quantity 24 --unit-cost 0.41
  stockline submit sell --item cola --quantity 2 --amount 3.98 --location store-12 --reference receipt-4711
  stockline submit adjust --item cola --quantity=-1 --reason damaged
  stockline submit transfer --item cola --quantity 10 --from main --to store-12
  stockline submit set_threshold --item cola --threshold none
  stockline submit set_planning --item cola --location store-12 --lead-time 2 --order-multiple none

Exit code 1 means that the command was rejected. A command takes effect once, however often you send its --id.")]
pub(crate) struct SubmitArgs {
    /// The command's type
    #[arg(value_name = "TYPE")]
    pub(crate) kind: Kind,
    /// The item (a SKU)
    #[arg(long = "item", visible_alias = "item-id", value_name = "ITEM")]
    pub(crate) item_id: ItemId,
    /// The command's id, a UUID; the same id is the same command [default: a new id]
    #[arg(long = "id", visible_alias = "command-id", value_name = "UUID")]
    pub(crate) command_id: Option<CommandId>,
    /// The location [default: main]
    #[arg(long = "location", visible_alias = "location-id", value_name = "LOCATION")]
    pub(crate) location_id: Option<LocationId>,
    /// The quantity; only adjust accepts a negative one (--quantity=-1)
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) quantity: Option<String>,
    /// count: the quantity on the shelf
    #[arg(long)]
    pub(crate) counted: Option<String>,
    /// transfer: the location that gives
    #[arg(long = "from", value_name = "LOCATION")]
    pub(crate) from_location_id: Option<LocationId>,
    /// transfer: the location that receives
    #[arg(long = "to", value_name = "LOCATION")]
    pub(crate) to_location_id: Option<LocationId>,
    /// adjust: damaged, expired, theft, found, correction, sample or other
    #[arg(long)]
    pub(crate) reason: Option<String>,
    /// sell: allow or reject a shortage, whatever the item's policy is
    #[arg(long)]
    pub(crate) on_shortage: Option<String>,
    /// When it happened, with an offset: 2026-01-31T09:15:00+01:00 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) occurred_at: Option<Timestamp>,
    /// Reject the command unless the balance is this
    #[arg(long, value_name = "QUANTITY", allow_hyphen_values = true)]
    pub(crate) expected_on_hand: Option<String>,
    /// Free text
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// The number of a receipt or an order, or a document's address
    #[arg(long)]
    pub(crate) reference: Option<String>,
    /// A code for the till
    #[arg(long = "device", visible_alias = "device-id", value_name = "CODE")]
    pub(crate) device_id: Option<String>,
    /// A code for the person at the till
    #[arg(long, value_name = "CODE")]
    pub(crate) operator: Option<String>,
    /// Catalogue: the item's name
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Catalogue: the unit in which the item is counted [default: piece]
    #[arg(long)]
    pub(crate) unit: Option<String>,
    /// Catalogue: the decimal places of quantities, 0 to 3
    #[arg(long)]
    pub(crate) decimals: Option<u8>,
    /// Catalogue: a barcode; can be given several times
    #[arg(long = "barcode", value_name = "CODE")]
    pub(crate) barcodes: Vec<String>,
    /// Catalogue: the barcode of a pack, and the quantity that one scan of it means; can be given several times
    #[arg(long = "pack", num_args = 2, value_names = ["CODE", "QUANTITY"])]
    pub(crate) packs: Vec<String>,
    /// Catalogue: a category of your choice
    #[arg(long)]
    pub(crate) category: Option<String>,
    /// Catalogue, set_threshold: alert when the stock is below this; `none` removes the threshold
    #[arg(long = "threshold", visible_alias = "low-stock-threshold", value_name = "QUANTITY|none")]
    pub(crate) low_stock_threshold: Option<String>,
    /// Catalogue: allow or reject sales beyond the stock
    #[arg(long)]
    pub(crate) shortage_policy: Option<String>,
    /// Catalogue, receive: the cost of one unit
    #[arg(long)]
    pub(crate) unit_cost: Option<String>,
    /// Catalogue, set_planning: who delivers the item; `none` removes it
    #[arg(long, value_name = "NAME|none")]
    pub(crate) supplier: Option<String>,
    /// Catalogue, set_planning: days from an order to its goods, 0 to 365; `none` removes them
    #[arg(long = "lead-time", visible_alias = "lead-time-days", value_name = "DAYS|none")]
    pub(crate) lead_time_days: Option<String>,
    /// Catalogue, set_planning: the quantity whose multiples can be ordered; `none` removes it
    #[arg(long, value_name = "QUANTITY|none")]
    pub(crate) order_multiple: Option<String>,
    /// Catalogue, set_planning: the least quantity of an order; `none` removes it
    #[arg(long, value_name = "QUANTITY|none")]
    pub(crate) order_minimum: Option<String>,
    /// Catalogue, set_planning: the probability in percent that the stock lasts, 50 to 99.9; `none` removes it
    #[arg(long, value_name = "PERCENT|none")]
    pub(crate) service_level: Option<String>,
    /// sell, return: the total of the line, as the customer paid it or got it back
    #[arg(long)]
    pub(crate) amount: Option<String>,
    /// reverse: the id of the command to take back
    #[arg(long, value_name = "UUID")]
    pub(crate) reverses: Option<CommandId>,
    #[command(flatten)]
    pub(crate) wait: OutcomeArgs,
}

/// How the outcome is waited for and shown.
#[derive(Debug, Args)]
pub(crate) struct OutcomeArgs {
    /// How long to wait for the outcome
    #[arg(long, value_name = "SPAN", default_value = "60s")]
    pub(crate) timeout: Span,
    /// Print the outcome as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Options of `reverse`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  stockline history cola --ids
  stockline reverse cola 01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b --note \"rung up twice\"

A movement is taken back once, with all its sides and at the cost that it moved at. A count can't be: count again.
Exit code 1 means that the reversal was rejected; the text says why.")]
pub(crate) struct ReverseArgs {
    /// The item
    pub(crate) item_id: ItemId,
    /// The id of the movement's command, which history --ids shows
    #[arg(value_name = "COMMAND")]
    pub(crate) reverses: CommandId,
    /// The reversal's own id, a UUID; the same id is the same command [default: a new id]
    #[arg(long = "id", visible_alias = "command-id", value_name = "UUID")]
    pub(crate) command_id: Option<CommandId>,
    /// Free text
    #[arg(long)]
    pub(crate) note: Option<String>,
    /// A code for the person at the till
    #[arg(long, value_name = "CODE")]
    pub(crate) operator: Option<String>,
    #[command(flatten)]
    pub(crate) wait: OutcomeArgs,
}
