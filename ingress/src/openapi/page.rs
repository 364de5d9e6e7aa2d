//! The page for people. It is rendered once, and needs no script and no other files.

use std::fmt::Write as _;

use serde_json::Value;

use super::markdown;
use crate::problem::CODES;

/// The page's one style sheet.
pub(super) const STYLE: &str = include_str!("style.css");

/// The methods, in the order in which the operations of a path are shown.
const METHODS: [&str; 3] = ["get", "post", "put"];
/// How deep the schemas of an example are nested.
const MAX_EXAMPLE_DEPTH: usize = 6;

/// Renders the page of an OpenAPI document.
pub(super) fn render(document: &Value) -> String {
    let mut html = Html(String::with_capacity(128 * 1024));
    let tags: Vec<&str> = array(&document["tags"]).iter().filter_map(|tag| tag["name"].as_str()).collect();
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\"><title>Stockline API</title><style>");
    html.raw(STYLE);
    html.raw("</style></head><body>");
    navigation(&mut html, document, &tags);
    html.raw("<main><header id=\"top\"><h1>Stockline API</h1><p class=\"version\">version ");
    html.text(document["info"]["version"].as_str().unwrap_or_default());
    html.raw(" · <a href=\"openapi.json\">openapi.json</a> · <a href=\"v1/limits\">limits of this installation</a></p></header>");
    html.raw("<section class=\"overview\">");
    html.raw(&markdown::html(document["info"]["description"].as_str().unwrap_or_default()));
    html.raw("</section>");
    for tag in &tags {
        section(&mut html, document, tag);
    }
    problems(&mut html);
    html.raw("</main></body></html>\n");
    html.0
}

/// HTML that is being written. Texts are escaped.
struct Html(String);

impl Html {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn text(&mut self, text: &str) {
        markdown::escape(&mut self.0, text);
    }

    /// Writes an element whose text has inline Markdown.
    fn inline(&mut self, element: &str, text: &str) {
        let _ = write!(self.0, "<{element}>");
        markdown::inline(&mut self.0, text);
        let _ = write!(self.0, "</{element}>");
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns the operations of a tag: path, method, operation.
fn operations<'a>(document: &'a Value, tag: &str) -> Vec<(&'a str, &'static str, &'a Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let operation = &item[method];
            if array(&operation["tags"]).iter().any(|of| of == tag) {
                found.push((path.as_str(), method, operation));
            }
        }
    }
    found
}

fn anchor(method: &str, path: &str) -> String {
    let path: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{method}{path}").trim_end_matches('-').to_owned()
}

fn navigation(html: &mut Html, document: &Value, tags: &[&str]) {
    html.raw("<nav><a class=\"brand\" href=\"#top\">Stockline</a><ul>");
    for heading in markdown::headings(document["info"]["description"].as_str().unwrap_or_default()) {
        let _ = write!(html.0, "<li><a href=\"#{}\">", markdown::slug(heading));
        html.text(heading);
        html.raw("</a></li>");
    }
    html.raw("</ul>");
    for tag in tags {
        let _ = write!(html.0, "<p>{tag}</p><ul>");
        for (path, method, _) in operations(document, tag) {
            let _ = write!(html.0, "<li><a href=\"#{}\"><b class=\"{method}\">{method}</b> ", anchor(method, path));
            html.text(path.trim_start_matches("/v1"));
            html.raw("</a></li>");
        }
        html.raw("</ul>");
    }
    html.raw("<p>Reference</p><ul><li><a href=\"#problems\">Problem codes</a></li></ul></nav>");
}

fn section(html: &mut Html, document: &Value, tag: &str) {
    let _ = write!(html.0, "<section id=\"{}\">", markdown::slug(tag));
    html.inline("h2", tag);
    let about = array(&document["tags"]).iter().find(|of| of["name"] == tag);
    html.inline("p", about.and_then(|of| of["description"].as_str()).unwrap_or_default());
    for (path, method, operation) in operations(document, tag) {
        let _ =
            write!(html.0, "<article id=\"{}\"><h3><b class=\"{method}\">{method}</b> <code>", anchor(method, path));
        html.text(path);
        html.raw("</code></h3>");
        for part in ["summary", "description"] {
            html.raw(&markdown::html(operation[part].as_str().unwrap_or_default()));
        }
        parameters(html, operation);
        request(html, document, operation);
        responses(html, document, operation);
        if path == "/v1/limits" {
            limits(html, document);
        }
        html.raw("</article>");
    }
    html.raw("</section>");
}

fn parameters(html: &mut Html, operation: &Value) {
    let parameters = array(&operation["parameters"]);
    if parameters.is_empty() {
        return;
    }
    html.raw("<h4>Parameters</h4><div class=\"wide\"><table><tr><th>Name</th><th>In</th><th></th></tr>");
    for parameter in parameters {
        let text = |key: &str| parameter[key].as_str().unwrap_or_default();
        html.raw("<tr><td><code>");
        html.text(text("name"));
        html.raw("</code>");
        if parameter["required"] == true {
            html.raw(" <span class=\"required\">required</span>");
        }
        html.raw("</td>");
        html.inline("td", text("in"));
        let example = parameter["example"].as_str().map(|example| format!(" For example `{example}`."));
        html.inline("td", &format!("{}.{}", text("description").trim_end_matches('.'), example.unwrap_or_default()));
        html.raw("</tr>");
    }
    html.raw("</table></div>");
}

fn request(html: &mut Html, document: &Value, operation: &Value) {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if schema.is_null() {
        return;
    }
    html.raw("<h4>Body</h4>");
    example(html, document, schema);
    fields(html, document, schema);
}

fn responses(html: &mut Html, document: &Value, operation: &Value) {
    html.raw("<h4>Answers</h4><div class=\"wide\"><table>");
    let answers = operation["responses"].as_object();
    for (status, answer) in answers.into_iter().flatten() {
        let class = status.chars().next().unwrap_or('0');
        let _ = write!(html.0, "<tr><td><span class=\"status s{class}\">{status}</span></td>");
        html.inline("td", answer["description"].as_str().unwrap_or_default());
        html.raw("</tr>");
    }
    html.raw("</table></div>");
    for (status, answer) in answers.into_iter().flatten().filter(|(status, _)| status.starts_with('2')) {
        let schema = &answer["content"]["application/json"]["schema"];
        if !schema.is_null() {
            let _ = write!(html.0, "<details><summary>Example of {status}</summary>");
            example(html, document, schema);
            fields(html, document, schema);
            html.raw("</details>");
        }
    }
}

/// Follows references and unwraps optional values.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return resolve(document, &document["components"]["schemas"][name]);
    }
    let choices = array(&schema["oneOf"]);
    match choices.iter().find(|choice| choice["type"] != "null") {
        Some(choice) => resolve(document, choice),
        None => schema,
    }
}

fn fields(html: &mut Html, document: &Value, schema: &Value) {
    let schema = resolve(document, schema);
    let Some(properties) = schema["properties"].as_object() else { return };
    html.raw("<details><summary>Fields</summary><div class=\"wide\"><table>");
    for (name, property) in properties {
        html.raw("<tr><td><code>");
        html.text(name);
        html.raw("</code>");
        if array(&schema["required"]).iter().any(|required| required == name) {
            html.raw(" <span class=\"required\">always</span>");
        }
        html.raw("</td>");
        let own = property["description"].as_str();
        html.inline("td", own.or_else(|| resolve(document, property)["description"].as_str()).unwrap_or_default());
        html.raw("</tr>");
    }
    html.raw("</table></div></details>");
}

fn example(html: &mut Html, document: &Value, schema: &Value) {
    let example = example_of(document, schema, 0);
    html.raw("<pre><code>");
    html.text(&serde_json::to_string_pretty(&example).unwrap_or_default());
    html.raw("</code></pre>");
}

fn example_of(document: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    let resolved = resolve(document, schema);
    if let Some(example) = resolved.get("example") {
        return example.clone();
    }
    if depth > MAX_EXAMPLE_DEPTH {
        return Value::Null;
    }
    let kind = match &resolved["type"] {
        Value::Array(kinds) => kinds.iter().find_map(|kind| kind.as_str().filter(|kind| *kind != "null")),
        other => other.as_str(),
    };
    match (kind, resolved["format"].as_str()) {
        (Some("object"), _) => {
            let properties = resolved["properties"].as_object().into_iter().flatten();
            let required = array(&resolved["required"]);
            let shown = properties.filter(|(name, property)| {
                required.iter().any(|required| required == *name) || property.get("example").is_some()
            });
            shown.map(|(name, property)| (name.clone(), example_of(document, property, depth + 1))).collect()
        }
        (Some("array"), _) => Value::Array(vec![example_of(document, &resolved["items"], depth + 1)]),
        (Some("string"), Some("date-time")) => "2026-01-31T08:15:02.120Z".into(),
        (Some("string"), Some("uuid")) => "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".into(),
        (Some("string"), _) => "…".into(),
        (Some("integer" | "number"), _) => 1.into(),
        (Some("boolean"), _) => false.into(),
        _ => Value::Null,
    }
}

fn limits(html: &mut Html, document: &Value) {
    html.raw("<h4>Limits by default</h4><div class=\"wide\"><table>");
    let properties = document["components"]["schemas"]["Limits"]["properties"].as_object();
    for (name, property) in properties.into_iter().flatten() {
        html.raw("<tr><td><code>");
        html.text(name);
        html.raw("</code></td><td class=\"number\">");
        match &property["example"] {
            Value::Null => html.raw("no limit"),
            Value::String(text) => html.text(text),
            other => html.text(&other.to_string()),
        }
        html.raw("</td>");
        html.inline("td", property["description"].as_str().unwrap_or_default());
        html.raw("</tr>");
    }
    html.raw("</table></div>");
}

fn problems(html: &mut Html) {
    html.raw(
        "<section id=\"problems\"><h2>Problem codes</h2><p>Every answer that is not a success is an RFC 9457 problem ",
    );
    html.raw("(<code>application/problem+json</code>) with a stable <code>code</code>. <code>retryable</code> says whether the same request ");
    html.raw("may succeed later, unchanged; <code>errors</code> names every fault by JSON pointer (<code>?name</code> for a query parameter).</p>");
    html.raw("<div class=\"wide\"><table><tr><th>Status</th><th>Code</th><th>Meaning, and what you can do</th></tr>");
    for code in CODES {
        let class = code.status / 100;
        let _ = write!(
            html.0,
            "<tr id=\"problem-{0}\"><td><span class=\"status s{class}\">{1}</span></td>",
            code.code, code.status
        );
        let retry = if code.retryable { " <span class=\"retry\">retry</span>" } else { "" };
        let _ = write!(html.0, "<td><code>{}</code>{retry}</td><td><strong>", code.code);
        html.text(code.title);
        html.raw(".</strong> ");
        markdown::inline(&mut html.0, code.advice);
        html.raw("</td></tr>");
    }
    html.raw("</table></div></section>");
}
