//! Tests the real binary: the server on a data folder, and the command line beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod backup;
mod beside;
mod commands;
mod folder;
mod import;
mod issuer;
mod life;
mod load;
mod login;
mod owner;
mod readme;
mod server;
mod till_page;
mod tls;
mod tokens;
mod trace;
mod words;
