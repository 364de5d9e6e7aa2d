//! The subcommands besides `serve`, one file each.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod clients;
pub(crate) mod clock;
pub(crate) mod console;
pub(crate) mod dead_letters;
pub(crate) mod export;
pub(crate) mod folder;
pub(crate) mod import;
pub(crate) mod install;
pub(crate) mod items;
pub(crate) mod load;
pub(crate) mod locations;
pub(crate) mod login;
pub(crate) mod mail;
pub(crate) mod refused;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod scan;
pub(crate) mod show;
pub(crate) mod submit;
pub(crate) mod tls;
pub(crate) mod tokens;
