//! Turns the lines of a CSV file into commands, for `stockline load`.

pub use stockline_import::format;
pub mod kinds;
pub mod mapping;
pub mod recipe;
pub mod source;
mod text;
