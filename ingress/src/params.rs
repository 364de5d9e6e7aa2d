//! Query parameters. Unknown and repeated ones are refused, so that a typing error can't widen a list. Only [`LISTS`]
//! may be repeated.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::Query;
use axum::http::Uri;
use stockline_core::domain::Fault;
use stockline_core::ports::PageRequest;

use crate::problem::{Problem, codes};

/// The parameters of a request, and the faults that were found so far.
#[derive(Debug)]
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
    faults: Vec<Fault>,
}

/// The page of a list that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) cursor: Option<String>,
    pub(crate) limit: usize,
}

impl Paging {
    /// Returns the page as the store is asked for it.
    pub(crate) fn request(&self) -> PageRequest<'_> {
        PageRequest::new(self.cursor.as_deref(), self.limit)
    }
}

/// Entries of a page without a `limit`.
pub(crate) const DEFAULT_PAGE: usize = 100;
/// The longest value of a parameter, in bytes.
const MAX_VALUE_BYTES: usize = 1_024;

/// The parameters with several values: with commas between, or repeated.
const LISTS: [&str; 4] = ["group", "map", "place", "state"];

/// Parameters of a request; bounds the search for repeated ones, and the faults.
const MAX_PARAMETERS: usize = 64;

impl Params {
    /// Reads the parameters of a request; all but `known` ones are faults.
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Self {
        let mut params = Self { pairs: Vec::new(), faults: Vec::new() };
        let pairs = match Query::<Vec<(String, String)>>::try_from_uri(uri) {
            Ok(Query(pairs)) => pairs,
            Err(_) => {
                params.fault("", "invalid_value", "the query is not name=value pairs joined by &");
                Vec::new()
            }
        };
        if pairs.len() > MAX_PARAMETERS {
            params.fault("", "invalid_value", format!("has {} parameters and may have {MAX_PARAMETERS}", pairs.len()));
            return params;
        }
        for (index, (name, value)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let takes = if known.is_empty() { "no parameters".to_owned() } else { known.join(", ") };
                params.fault(name, "unknown_parameter", format!("is not known here; this path takes {takes}"));
            } else if !LISTS.contains(&name.as_str()) && pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                params.fault(name, "duplicate_parameter", "is given more than once");
            } else if value.len() > MAX_VALUE_BYTES {
                params.fault(name, "invalid_value", format!("must be at most {MAX_VALUE_BYTES} bytes"));
            }
        }
        params.pairs = pairs;
        params
    }

    /// Adds a fault that only the handler can find.
    pub(crate) fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        self.fault(name, "invalid_value", detail);
    }

    /// Returns a whole number within bounds.
    pub(crate) fn whole(&mut self, name: &str, bounds: RangeInclusive<u16>) -> Option<u16> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        if number.is_none() {
            self.fault(
                name,
                "invalid_value",
                format!("must be a whole number from {} to {}", bounds.start(), bounds.end()),
            );
        }
        number
    }

    fn fault(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.faults.push(Fault { pointer: format!("?{name}"), code, detail: detail.into() });
    }

    /// Adds a fault for each of these parameters that is given.
    pub(crate) fn unfit(&mut self, names: &[&str], why: &str) {
        for name in names {
            if self.pairs.iter().any(|(key, _)| key == name) {
                self.fault(name, "invalid_value", why);
            }
        }
    }

    /// Returns a parameter as text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let (_, value) = self.pairs.iter().find(|(key, _)| key == name)?;
        if value.is_empty() {
            self.fault(name, "invalid_value", "is empty; leave the parameter out");
            return None;
        }
        Some(value.clone())
    }

    /// Adds a fault for a parameter that must be given.
    pub(crate) fn missing(&mut self, name: &str) {
        if !self.pairs.iter().any(|(key, _)| key == name) {
            self.fault(name, "missing_field", "is required");
        }
    }

    /// Returns a parameter, read with `read`.
    pub(crate) fn read<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        let text = self.text(name)?;
        read(&text).map_err(|why| self.fault(name, "invalid_value", why)).ok()
    }

    /// Returns all values of one of [`LISTS`], each read with `read`.
    pub(crate) fn all<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, &'static str>) -> Vec<T> {
        let texts: Vec<String> =
            self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect();
        texts.iter().filter_map(|text| read(text).map_err(|why| self.fault(name, "invalid_value", why)).ok()).collect()
    }

    /// Returns a parsed parameter.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str) -> Option<T>
    where
        T::Err: Display,
    {
        let text = self.text(name)?;
        text.parse().map_err(|error: T::Err| self.fault(name, "invalid_value", error.to_string())).ok()
    }

    /// Returns the value of a parameter that must be one of `words`.
    pub(crate) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        self.one_of(name, &text, words)
    }

    /// Returns the values of one of [`LISTS`], each one of `words`; none if it is missing.
    pub(crate) fn words<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Vec<T> {
        let values = self.pairs.iter().filter(|(key, _)| key == name);
        let texts: Vec<String> = values.flat_map(|(_, value)| value.split(',').map(str::to_owned)).collect();
        texts.iter().filter_map(|text| self.one_of(name, text.trim(), words)).collect()
    }

    fn one_of<T: Copy>(&mut self, name: &str, text: &str, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fault(name, "invalid_value", format!("must be one of {}", list.join(", ")));
        }
        found
    }

    /// Returns whether a parameter is `true`; it is `false` if it is missing.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.word(name, &[("true", true), ("false", false)]).unwrap_or(false)
    }

    /// Returns `cursor` and `limit` (1 to `most`).
    pub(crate) fn paging(&mut self, most: usize) -> Paging {
        let cursor = self.text("cursor");
        let limit = match self.text("limit") {
            None => DEFAULT_PAGE.min(most),
            Some(text) => text.parse().ok().filter(|limit| (1..=most).contains(limit)).unwrap_or_else(|| {
                self.fault("limit", "invalid_value", format!("must be a whole number from 1 to {most}"));
                1
            }),
        };
        Paging { cursor, limit }
    }

    /// Returns every fault as one problem, if there is one.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let detail = "the request was not answered, because its query has faults; errors names each of them";
        Err(Problem::new(codes::INVALID_PARAMETER, detail).with_faults(self.faults))
    }
}
