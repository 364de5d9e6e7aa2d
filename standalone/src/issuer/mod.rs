//! The local issuer of access tokens: its keys, and the tokens that it issued.

pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod lists;
mod opening;
pub(crate) mod orders;
pub(crate) mod receipt_keys;
pub(crate) mod tokens;
