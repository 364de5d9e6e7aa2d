//! Renders the Markdown of our own texts. They have no HTML: what looks like it is text.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A heading of the second level.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heading {
    pub(super) text: String,
    /// Its anchor.
    pub(super) slug: String,
}

/// Escapes a text for HTML.
pub(super) fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            other => html.push(other),
        }
    }
}

/// Returns the anchor of a heading, as code hosts make it.
pub(super) fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns the headings of the second level.
pub(super) fn headings(text: &str) -> Vec<Heading> {
    let events: Vec<_> = events(text).collect();
    let begins = |event: &Event<'_>| matches!(event, Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }));
    let found = events.iter().enumerate().filter(|(_, event)| begins(event));
    found.map(|(index, _)| plain(&events[index + 1..])).map(|text| Heading { slug: slug(&text), text }).collect()
}

/// Writes a line or paragraph with its inline marks.
pub(super) fn inline(html: &mut String, text: &str) {
    let of_paragraph =
        |event: &Event<'_>| matches!(event, Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph));
    pulldown_cmark::html::push_html(html, events(text).filter(|event| !of_paragraph(event)));
}

/// Renders a whole text. Headings have anchors, and what may be wider than a phone scrolls by itself.
pub(super) fn html(text: &str) -> String {
    let events: Vec<_> = events(text).collect();
    let mut dressed = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let raw = |html: String| Event::Html(html.into());
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                dressed.push(raw(format!("<{level} id=\"{}\">", slug(&plain(&events[index + 1..])))));
            }
            Event::Start(Tag::CodeBlock(_)) => dressed.push(raw("<div class=\"code\"><pre><code>".to_owned())),
            Event::End(TagEnd::CodeBlock) => dressed.push(raw("</code></pre></div>".to_owned())),
            Event::Start(Tag::Table(_)) => dressed.extend([raw("<div class=\"wide\">".to_owned()), event.clone()]),
            Event::End(TagEnd::Table) => dressed.extend([event.clone(), raw("</div>".to_owned())]),
            other => dressed.push(other.clone()),
        }
    }
    let mut html = String::with_capacity(text.len() * 5 / 4);
    pulldown_cmark::html::push_html(&mut html, dressed.into_iter());
    html
}

fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(text, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    })
}

/// Returns the text up to the end of the heading.
fn plain(events: &[Event<'_>]) -> String {
    let inside = events.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    inside
        .filter_map(|event| if let Event::Text(text) | Event::Code(text) = event { Some(&**text) } else { None })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_html_and_are_escaped() {
        let text = "One `<b>` and **two**, <i>.\n\n## A & `B`!\n\n- x\n- y\n\n```sh\n<z>\n```\n\n| a |\n|---|\n| b |\n";
        let expected = "<p>One <code>&lt;b&gt;</code> and <strong>two</strong>, &lt;i&gt;.</p>\n<h2 id=\"a--b\">A &amp; \
                        <code>B</code>!</h2>\n<ul>\n<li>x</li>\n<li>y</li>\n</ul>\n<div class=\"code\"><pre><code>&lt;z&gt;\n\
                        </code></pre></div><div class=\"wide\"><table><thead><tr><th>a</th></tr></thead><tbody>\n\
                        <tr><td>b</td></tr>\n</tbody></table>\n</div>";
        assert_eq!(html(text), expected);
        assert_eq!(headings(text), [Heading { text: "A & B!".to_owned(), slug: "a--b".to_owned() }]);
        let mut line = String::new();
        inline(&mut line, "`a` <b>");
        assert_eq!(line, "<code>a</code> &lt;b&gt;");
    }
}
