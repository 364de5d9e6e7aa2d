use std::fmt::Write as _;

/// The longest subject, in characters: an alert's id (at most 118) and what it is about.
pub(super) const SUBJECT_MAX_CHARS: usize = 240;

/// The longest name shown, in characters. The catalogue allows no longer one, so another program wrote it.
const NAME_MAX_CHARS: usize = 200;

/// The longest name in a subject, in characters.
pub(super) const SUBJECT_NAME_MAX_CHARS: usize = 60;

/// Returns the text on one line, without control or direction characters, at most `max_chars` long. It is harmless in a
/// header, and can't imitate other lines in a text.
pub(super) fn one_line(text: &str, max_chars: usize) -> String {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let spaced: String = text.chars().map(|c| if invisible(c) { ' ' } else { c }).collect();
    let mut line = String::new();
    for word in spaced.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if line.chars().count() > max_chars {
        line = line.chars().take(max_chars.saturating_sub(1)).collect();
        line.push('…');
    }
    line
}

/// Returns a name as mail bodies show it.
pub(super) fn name(text: &str) -> String {
    one_line(text, NAME_MAX_CHARS)
}

/// Returns the text as a subject.
pub(super) fn subject(text: &str) -> String {
    one_line(text, SUBJECT_MAX_CHARS)
}

/// Escapes HTML text or a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Returns the address without its final slash, if a mail may link to it.
pub(super) fn link(public_url: Option<&str>) -> Option<&str> {
    let url = public_url?.trim().trim_end_matches('/');
    (url.starts_with("https://") || url.starts_with("http://")).then_some(url)
}

/// Returns a whole page: a title, ready HTML, and small print.
pub(super) fn page(title: &str, body: &str, small_print: &str, public_url: Option<&str>) -> String {
    let title = escape(title);
    let mut foot = escape(small_print);
    if let Some(url) = link(public_url) {
        let url = escape(url);
        let _ = write!(foot, "<br>Stockline: <a href=\"{url}\" style=\"color:#1d4ed8\">{url}</a>");
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\n\
         <body style=\"margin:0;padding:24px 12px;background:#f3f4f6;color:#111827;\
         font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:15px;line-height:1.45\">\n\
         <div style=\"max-width:680px;margin:0 auto\">\n\
         <h1 style=\"margin:0 0 16px;font-size:20px;font-weight:600\">{title}</h1>\n\
         {body}\
         <p style=\"margin:16px 0 0;color:#6b7280;font-size:12px\">{foot}</p>\n\
         </div>\n</body>\n</html>\n"
    )
}

/// Returns the end of the plain text: small print and link.
pub(super) fn foot(small_print: &str, public_url: Option<&str>) -> String {
    let link = link(public_url).map(|url| format!("Stockline: {url}\n")).unwrap_or_default();
    format!("-- \n{small_print}\n{link}")
}
