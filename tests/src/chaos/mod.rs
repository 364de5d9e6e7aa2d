//! Chaos on real processes: tills that submit and send again what was not answered, while what serves them is killed;
//! and what must be true whatever happened, reckoned from the answers alone.
//!
//! Each till draws what it sends from a seed. When what happens among the processes is up to the machine.

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
