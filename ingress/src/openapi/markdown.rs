//! Renders the Markdown of our own texts: headings of the second level, lists, fenced code and paragraphs, with inline code
//! and strong text.

use std::fmt::Write as _;

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

/// Returns the anchor of a heading.
pub(super) fn slug(heading: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    heading.chars().map(plain).collect()
}

/// Returns the headings of a text.
pub(super) fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix("## "))
}

/// Writes a line or paragraph with its inline marks.
pub(super) fn inline(html: &mut String, text: &str) {
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            html.push_str("<code>");
            escape(html, part);
            html.push_str("</code>");
            continue;
        }
        for (index, part) in part.split("**").enumerate() {
            if index > 0 {
                html.push_str(if index % 2 == 1 { "<strong>" } else { "</strong>" });
            }
            escape(html, part);
        }
    }
}

/// Renders a whole text.
pub(super) fn html(text: &str) -> String {
    let mut html = String::with_capacity(text.len() * 5 / 4);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(heading) = line.strip_prefix("## ") {
            let _ = write!(html, "<h2 id=\"{}\">", slug(heading));
            inline(&mut html, heading);
            html.push_str("</h2>");
        } else if line.starts_with("```") {
            html.push_str("<pre><code>");
            for line in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                escape(&mut html, line);
                html.push('\n');
            }
            html.push_str("</code></pre>");
        } else if line.starts_with("- ") {
            html.push_str("<ul>");
            let mut item = Some(line);
            while let Some(text) = item.and_then(|line| line.strip_prefix("- ")) {
                html.push_str("<li>");
                inline(&mut html, text);
                html.push_str("</li>");
                item = lines.next_if(|line| line.starts_with("- "));
            }
            html.push_str("</ul>");
        } else if !line.trim().is_empty() {
            let mut paragraph = line.to_owned();
            while let Some(more) = lines.next_if(|line| !line.trim().is_empty()) {
                paragraph.push(' ');
                paragraph.push_str(more);
            }
            html.push_str("<p>");
            inline(&mut html, &paragraph);
            html.push_str("</p>");
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_html_and_are_escaped() {
        let text = "One `<b>` and **two**\nlines.\n\n## A & B\n\n- x\n- y\n\n```\n<z>\n```\n";
        let expected = "<p>One <code>&lt;b&gt;</code> and <strong>two</strong> lines.</p><h2 id=\"a---b\">A &amp; B</h2>\
                        <ul><li>x</li><li>y</li></ul><pre><code>&lt;z&gt;\n</code></pre>";
        assert_eq!(html(text), expected);
        assert_eq!(headings(text).collect::<Vec<_>>(), ["A & B"]);
    }
}
