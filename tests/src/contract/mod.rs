//! What every adapter of a port must keep, as public functions over the ports: one suite, run over each adapter.

pub mod alerts;
pub mod hostile;
pub mod mail;
pub mod queue;
pub mod store;
