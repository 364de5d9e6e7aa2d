//! HTML as it is written, and lists of JSON as they are read.

use std::fmt::Write as _;

use serde_json::Value;

use super::markdown;

/// HTML that is being written. Texts are escaped.
#[derive(Debug, Default)]
pub(super) struct Html(pub(super) String);

impl Html {
    pub(super) fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    pub(super) fn text(&mut self, text: &str) {
        markdown::escape(&mut self.0, text);
    }

    /// Writes an element whose text has inline Markdown.
    pub(super) fn inline(&mut self, element: &str, text: &str) {
        let _ = write!(self.0, "<{element}>");
        self.raw_inline(text);
        let _ = write!(self.0, "</{element}>");
    }

    /// Writes a text with inline Markdown.
    pub(super) fn raw_inline(&mut self, text: &str) {
        markdown::inline(&mut self.0, text);
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
