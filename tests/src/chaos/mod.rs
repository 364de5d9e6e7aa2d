//! Chaos on real processes. Tills submit commands and retry what was not answered, while the server is killed. The
//! expected state is computed from the answers alone.
//!
//! A seed decides what each till sends. The timing of the processes depends on the machine.

mod door;
mod ledger;
mod mails;
mod memory;
mod plan;
mod rounds;
mod till;

pub use door::Door;
pub use ledger::{Reckoned, reckon};
pub use mails::MailFolder;
pub use memory::Memory;
pub use plan::items;
pub use rounds::{Options, Report, Round, run};
pub use till::{Tills, open_shop};
