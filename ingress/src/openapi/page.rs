//! The reference: the page of the OpenAPI document, for people.

use std::fmt::Write as _;

use serde_json::Value;

use super::guide::{Frame, contents_of};
use super::html::{Html, array};
use super::{markdown, schema};
use crate::problem::CODES;

/// The methods, in the order in which the operations of a path are shown.
const METHODS: [&str; 3] = ["get", "post", "put"];

/// Renders the page of an OpenAPI document.
pub(super) fn render(document: &Value) -> String {
    let mut html = Html::default();
    let tags: Vec<&str> = array(&document["tags"]).iter().filter_map(|tag| tag["name"].as_str()).collect();
    html.raw("<h1 id=\"top\">The API</h1><p class=\"version\">version ");
    html.text(document["info"]["version"].as_str().unwrap_or_default());
    html.raw(
        " · <a href=\"openapi.json\">openapi.json</a> · <a href=\"v1/limits\">limits of this installation</a></p>",
    );
    html.raw("<section class=\"overview\">");
    html.raw(&markdown::html(document["info"]["description"].as_str().unwrap_or_default()));
    html.raw("</section>");
    for tag in &tags {
        section(&mut html, document, tag);
    }
    types(&mut html, document);
    problems(&mut html);
    let frame = Frame { title: "Stockline API", root: "./", contents: &contents(document, &tags) };
    frame.around(&html.into_text())
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

fn contents(document: &Value, tags: &[&str]) -> String {
    let mut html = Html(contents_of(document["info"]["description"].as_str().unwrap_or_default()));
    for tag in tags {
        let _ = write!(html.0, "<p><a href=\"#{}\">{tag}</a></p><ul>", section_anchor(tag));
        for (path, method, _) in operations(document, tag) {
            let _ = write!(html.0, "<li><a href=\"#{}\"><b class=\"{method}\">{method}</b> ", anchor(method, path));
            html.text(path.trim_start_matches("/v1"));
            html.raw("</a></li>");
        }
        html.raw("</ul>");
    }
    html.raw("<p>Reference</p><ul><li><a href=\"#types\">Types</a></li><li><a href=\"#problems\">Problem codes</a></li></ul>");
    html.0
}

/// Returns the anchor of a tag. A heading of the overview may have the same words.
fn section_anchor(tag: &str) -> String {
    format!("api-{}", markdown::slug(tag))
}

fn section(html: &mut Html, document: &Value, tag: &str) {
    let _ = write!(html.0, "<section id=\"{}\">", section_anchor(tag));
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
        parameters(html, document, operation);
        request(html, document, operation);
        responses(html, document, operation);
        if path == "/v1/limits" {
            limits(html, document);
        }
        html.raw("</article>");
    }
    html.raw("</section>");
}

fn parameters(html: &mut Html, document: &Value, operation: &Value) {
    let parameters = array(&operation["parameters"]);
    if parameters.is_empty() {
        return;
    }
    html.raw("<h4>Parameters</h4><table class=\"fields\"><tr><th>Name</th><th>Type</th><th>Meaning</th></tr>");
    for parameter in parameters {
        let text = |key: &str| parameter[key].as_str().unwrap_or_default();
        html.raw("<tr><td><code>");
        html.text(text("name"));
        html.raw("</code> ");
        html.inline("small", text("in"));
        if parameter["required"] == true {
            html.raw(" <span class=\"required\">required</span>");
        }
        html.raw("</td><td class=\"type\">");
        schema::type_of(html, document, &parameter["schema"]);
        html.raw("</td>");
        let example = parameter["example"].as_str().map(|example| format!(" For example `{example}`."));
        html.inline("td", &format!("{}.{}", text("description").trim_end_matches('.'), example.unwrap_or_default()));
        html.raw("</tr>");
    }
    html.raw("</table>");
}

fn request(html: &mut Html, document: &Value, operation: &Value) {
    let content = &operation["requestBody"]["content"]["application/json"];
    if content.is_null() {
        return;
    }
    html.raw("<h4>Body</h4>");
    schema::content(html, document, content, "required");
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
        let content = &answer["content"]["application/json"];
        if !content["schema"].is_null() {
            let _ = write!(html.0, "<details><summary>What a {status} looks like</summary>");
            schema::content(html, document, content, "always");
            html.raw("</details>");
        }
    }
}

/// Writes the types that fields refer to.
fn types(html: &mut Html, document: &Value) {
    html.raw("<section id=\"types\"><h2>Types</h2>");
    for (name, of) in document["components"]["schemas"].as_object().into_iter().flatten() {
        if !schema::has_fields(document, of) {
            continue;
        }
        let _ = write!(html.0, "<article id=\"type-{name}\"><h3>{name}</h3>");
        html.raw(&markdown::html(of["description"].as_str().unwrap_or_default()));
        schema::fields_of_type(html, document, of);
        html.raw("</article>");
    }
    html.raw("</section>");
}

fn limits(html: &mut Html, document: &Value) {
    html.raw(
        "<h4>Limits by default</h4><div class=\"wide\"><table><tr><th>Name</th><th>Value</th><th>Meaning</th></tr>",
    );
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
