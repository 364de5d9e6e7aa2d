//! Turns the lines of a CSV file into commands, for `stockline load`.

pub mod mapping;
pub mod recipe;
pub mod source;
