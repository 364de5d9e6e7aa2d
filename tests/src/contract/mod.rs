//! The contracts of the ports, as public functions over them. Every adapter runs the same suite.

pub mod alerts;
pub mod clients;
pub mod hostile;
pub mod mail;
pub mod queue;
pub mod store;
