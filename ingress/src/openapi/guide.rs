//! The pages for people who begin: the first page, and how to connect a till. They link relatively, so that they also work
//! behind a proxy with a path.

use super::html::Html;
use super::markdown;

/// The one style sheet of all pages.
pub(super) const STYLE: &str = include_str!("style.css");
/// The one script of all pages.
pub(super) const SCRIPT: &str = include_str!("page.js");
/// The guide; a test runs its commands and programs.
const TILL: &str = include_str!("../../../docs/till.md");

/// The pages of this server that the first page names: address, name, what it is for.
const PLACES: [(&str, &str, &str); 5] = [
    (
        "docs/till",
        "Connect a till or a web shop",
        "from the token to a sale that survives a lost connection, with programs to copy",
    ),
    ("docs", "The API", "every operation, field, answer and problem code"),
    ("openapi.json", "openapi.json", "the same for programs and generators of clients"),
    ("readyz", "Health", "whether this server accepts commands, and what is wrong if not"),
    ("v1/limits", "Limits", "how large and how many, on this installation"),
];

/// What is around each page.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// Leads from the page's address to the server's root.
    pub(super) root: &'a str,
    /// The list of what is on the page, as HTML; empty if the page is short.
    pub(super) contents: &'a str,
}

impl Frame<'_> {
    /// Returns the whole page around its main part.
    pub(super) fn around(&self, main: &str) -> String {
        let Self { title, root, contents } = self;
        let contents = match contents {
            &"" => String::new(),
            contents => format!(
                "<nav aria-label=\"On this page\"><details open><summary>On this page</summary>{contents}</details></nav>"
            ),
        };
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><style>{STYLE}</style>\
             <script src=\"{root}docs/page.js\" defer></script></head><body>\
             <header><a class=\"brand\" href=\"{root}\">Stockline</a><a href=\"{root}docs/till\">Tills</a>\
             <a href=\"{root}docs\">API</a></header>\
             <div class=\"page\">{contents}<main>{main}</main></div></body></html>\n"
        )
    }
}

/// Returns the list of a text's headings.
pub(super) fn contents_of(text: &str) -> String {
    let mut html = Html::default();
    html.raw("<ul>");
    for heading in markdown::headings(text) {
        html.raw(&format!("<li><a href=\"#{}\">", heading.slug));
        html.text(&heading.text);
        html.raw("</a></li>");
    }
    html.raw("</ul>");
    html.into_text()
}

/// Renders the first page.
pub(super) fn first() -> String {
    let mut html = Html::default();
    html.raw("<h1>Stockline</h1><p class=\"version\">version ");
    html.text(env!("CARGO_PKG_VERSION"));
    html.raw(
        "</p><p>This server keeps stock for a shop. Tills send it their sales; every command takes effect exactly ",
    );
    html.raw("once, in order per item.</p><ul class=\"places\">");
    for (address, name, purpose) in PLACES {
        html.raw(&format!("<li><a href=\"{address}\">{name}</a><span>{purpose}</span></li>"));
    }
    html.raw(
        "</ul><p>Everything under <code>/v1</code> needs an access token. The owner makes one on the server's machine ",
    );
    html.raw("with <code>stockline token</code>; <code>stockline --help</code> lists what else there is.</p>");
    Frame { title: "Stockline", root: "./", contents: "" }.around(&html.into_text())
}

/// Renders the till's page.
pub(super) fn till() -> String {
    let frame = Frame { title: "Connect a till to Stockline", root: "../", contents: &contents_of(TILL) };
    frame.around(&markdown::html(TILL))
}
