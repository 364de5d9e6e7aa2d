//! Shows the schemas of the document: types, fields and examples.

use serde_json::Value;

use super::html::{Html, array};

/// How deep the schemas of an example are nested.
const MAX_EXAMPLE_DEPTH: usize = 6;
/// What joins the choices of a schema.
const CHOICES: [&str; 3] = ["oneOf", "anyOf", "allOf"];

/// Writes what a body or an answer looks like: its examples and its fields. `required` is the word for a field that is never
/// left out.
pub(super) fn content(html: &mut Html, document: &Value, content: &Value, required: &str) {
    let schema = &content["schema"];
    if !variants(document, schema).is_empty() {
        return variant_fields(html, document, schema, required, Some(&content["examples"]));
    }
    let named = content["examples"].as_object();
    for (name, example) in named.into_iter().flatten() {
        html.raw("<details><summary>Example: ");
        html.text(example["summary"].as_str().unwrap_or(name));
        html.raw("</summary>");
        json(html, &example["value"]);
        html.raw("</details>");
    }
    if named.is_none() {
        json(html, &example_of(document, content, 0));
    }
    if has_fields(document, schema) {
        html.raw("<details><summary>Fields</summary>");
        table(html, document, schema, required);
        html.raw("</details>");
    }
}

/// Writes the fields of a type.
pub(super) fn fields_of_type(html: &mut Html, document: &Value, schema: &Value) {
    match variants(document, schema).is_empty() {
        true => table(html, document, schema, "always"),
        false => variant_fields(html, document, schema, "always", None),
    }
}

/// Writes a table of the fields of each variant, with the example that is named like it, or else one made of its schema.
fn variant_fields(html: &mut Html, document: &Value, schema: &Value, required: &str, examples: Option<&Value>) {
    for variant in variants(document, schema) {
        let of = resolve(document, variant);
        let kind = of["properties"]["type"]["enum"][0].as_str();
        html.raw("<details><summary><code>");
        html.text(kind.or_else(|| name(variant)).unwrap_or("object"));
        html.raw("</code> ");
        html.raw_inline(of["description"].as_str().unwrap_or_default());
        html.raw("</summary>");
        if let Some(examples) = examples {
            let named = kind.and_then(|kind| examples[kind].get("value")).cloned();
            json(html, &named.unwrap_or_else(|| example_of(document, variant, 0)));
        }
        table(html, document, variant, required);
        html.raw("</details>");
    }
}

/// Reports whether a schema has fields, itself or in its variants.
pub(super) fn has_fields(document: &Value, schema: &Value) -> bool {
    !properties(document, schema).is_empty() || !variants(document, schema).is_empty()
}

/// Returns the variants of a schema that is one of several objects.
fn variants<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = target(document, schema);
    let choices = ["oneOf", "anyOf"].iter().flat_map(|key| array(&schema[*key]));
    let found: Vec<_> = choices.filter(|choice| !properties(document, choice).is_empty()).collect();
    if found.len() > 1 { found } else { Vec::new() }
}

/// Returns the fields of an object: name, schema, and whether it is never left out.
fn properties<'a>(document: &'a Value, schema: &'a Value) -> Vec<(&'a str, &'a Value, bool)> {
    let schema = resolve(document, schema);
    let required = |name: &str| array(&schema["required"]).iter().any(|required| required == name);
    let own = schema["properties"].as_object().into_iter().flatten();
    let mut found: Vec<_> = own.map(|(name, property)| (name.as_str(), property, required(name))).collect();
    if array(&schema["allOf"]).len() > 1 {
        found.extend(array(&schema["allOf"]).iter().flat_map(|part| properties(document, part)));
    }
    found
}

fn table(html: &mut Html, document: &Value, schema: &Value, required: &str) {
    let properties = properties(document, schema);
    if properties.is_empty() {
        return;
    }
    html.raw("<table class=\"fields\"><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>");
    for (name, property, is_required) in properties {
        html.raw("<tr><td><code>");
        html.text(name);
        html.raw("</code>");
        if is_required {
            html.raw(" <span class=\"required\">");
            html.text(required);
            html.raw("</span>");
        }
        html.raw("</td><td class=\"type\">");
        type_of(html, document, property);
        html.raw("</td>");
        let own = property["description"].as_str();
        html.inline("td", own.or_else(|| resolve(document, property)["description"].as_str()).unwrap_or_default());
        html.raw("</tr>");
    }
    html.raw("</table>");
}

/// Writes what a value may be. A type with fields is a link to its table.
pub(super) fn type_of(html: &mut Html, document: &Value, schema: &Value) {
    let mut kinds = Vec::new();
    add_kinds(document, schema, &mut kinds);
    kinds.sort_by_key(|kind| kind == "null");
    kinds.dedup();
    html.raw(&kinds.join(" or "));
}

/// Collects the kinds of value that a schema allows, as HTML.
fn add_kinds(document: &Value, schema: &Value, kinds: &mut Vec<String>) {
    if let Some(name) = name(schema) {
        let of = target(document, schema);
        return match has_fields(document, of) {
            true => kinds.push(format!("<a href=\"#type-{name}\">{name}</a>")),
            false => add_kinds(document, of, kinds),
        };
    }
    if let Some(choices) = CHOICES.iter().map(|key| array(&schema[*key])).find(|choices| !choices.is_empty()) {
        return choices.iter().for_each(|choice| add_kinds(document, choice, kinds));
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().map(|value| coded(value.as_str().unwrap_or("null"))).collect();
        return kinds.push(values.join(", "));
    }
    match &schema["type"] {
        Value::Array(of) => {
            kinds.extend(of.iter().filter_map(Value::as_str).map(|kind| kind_of(document, schema, kind)))
        }
        Value::String(kind) => kinds.push(kind_of(document, schema, kind)),
        _ => kinds.push("any".to_owned()),
    }
}

fn kind_of(document: &Value, schema: &Value, kind: &str) -> String {
    let mut html = Html::default();
    match (kind, schema["format"].as_str()) {
        ("array", _) => {
            html.raw("list of ");
            type_of(&mut html, document, &schema["items"]);
        }
        ("string", Some(format)) => html.text(&format!("{kind} ({format})")),
        _ => html.text(kind),
    }
    html.into_text()
}

fn coded(text: &str) -> String {
    let mut html = Html::default();
    html.raw("<code>");
    html.text(text);
    html.raw("</code>");
    html.into_text()
}

/// Returns the name of the schema that this one refers to.
fn name(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str().and_then(|path| path.rsplit('/').next())
}

/// Follows a reference.
fn target<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    name(schema).map_or(schema, |name| target(document, &document["components"]["schemas"][name]))
}

/// Follows references and unwraps optional values; of several choices it takes the first.
pub(super) fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = target(document, schema);
    let alone = array(&schema["allOf"]).len() == 1;
    let choices = CHOICES.iter().filter(|key| **key != "allOf" || alone).flat_map(|key| array(&schema[*key]));
    match choices.into_iter().find(|choice| choice["type"] != "null") {
        Some(choice) if schema["properties"].is_null() => resolve(document, choice),
        _ => schema,
    }
}

fn json(html: &mut Html, value: &Value) {
    html.raw("<div class=\"code\"><pre><code>");
    html.text(&serde_json::to_string_pretty(value).unwrap_or_default());
    html.raw("</code></pre></div>");
}

/// Makes an example. `schema` may also be what has a schema.
fn example_of(document: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(of) = schema.get("schema") {
        return example_of(document, of, depth);
    }
    let resolved = resolve(document, schema);
    let of_type = array(&resolved["examples"]).first();
    if let Some(example) = resolved.get("example").or(of_type) {
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
        (Some("array"), _) => Value::Array(vec![example_of(document, &resolved["items"], depth + 1)]),
        (Some("string"), Some("date-time")) => "2026-01-31T08:15:02.120Z".into(),
        (Some("string"), Some("uuid")) => "01936b2e-7c4a-7f10-8a5b-3c9d2e1f4a6b".into(),
        (Some("string"), _) => array(&resolved["enum"]).first().cloned().unwrap_or_else(|| "…".into()),
        (Some("integer" | "number"), _) => 1.into(),
        (Some("boolean"), _) => false.into(),
        (Some("null"), _) => Value::Null,
        _ => {
            let properties = properties(document, resolved);
            let shown =
                properties.iter().filter(|(_, property, required)| *required || property.get("example").is_some());
            shown.map(|(name, property, _)| ((*name).to_owned(), example_of(document, property, depth + 1))).collect()
        }
    }
}
