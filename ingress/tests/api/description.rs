//! Tests that the description of the API matches the API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use stockline_core::domain::{CommandKind, Json, ParseContext, parse_command};

use crate::server::Server;

const METHODS: [&str; 7] = ["get", "post", "put", "delete", "patch", "head", "options"];

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()));
            operations.push((method.clone(), path.clone(), operation.clone()));
        }
    }
    operations
}

/// Returns the routes that the source of the router registers.
fn routed() -> BTreeSet<(String, String)> {
    let source = include_str!("../../src/router.rs");
    let mut routed = BTreeSet::new();
    for line in source.split(".route(").skip(1) {
        let path = line.split('"').nth(1).unwrap();
        let handlers = line.split(".route(").next().unwrap();
        for method in METHODS {
            if handlers.contains(&format!("{method}(")) {
                routed.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    routed
}

#[tokio::test]
async fn the_document_lists_exactly_the_routes_that_are_served() {
    let server = Server::start().await;
    let document = server.nobody().get("/openapi.json").await.body;
    assert_eq!(document["openapi"], "3.1.0");
    let described: BTreeSet<_> = operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    assert_eq!(described, routed());
    for (method, path, _) in operations(&document) {
        let path = path
            .replace("{item_id}", "cola")
            .replace("{location_id}", "main")
            .replace("{client_id}", "tills-1")
            .replace("{report}", "sales")
            .replace("{command_id}", &crate::server::id(1));
        let client = server.manager();
        let answer = client.send(client.request(method.to_uppercase().parse().unwrap(), &path)).await;
        assert!(!["not_found", "method_not_allowed"].contains(&answer.code()), "{method} {path}: {}", answer.text);
    }
}

#[tokio::test]
async fn every_operation_describes_its_answers_and_every_reference_resolves() {
    let server = Server::start().await;
    let document = server.nobody().get("/openapi.json").await.body;
    for (method, path, operation) in operations(&document) {
        let answers = operation["responses"].as_object().unwrap();
        assert!(operation["summary"].is_string(), "{method} {path}");
        for (status, answer) in answers {
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} {status}");
            if status.as_str() >= "400" {
                assert!(answer["content"]["application/problem+json"].is_object(), "{method} {path} {status}");
            }
        }
        let needs_token = operation.get("security").is_none();
        if needs_token {
            for status in ["400", "401", "403", "429", "500", "503"] {
                assert!(answers.contains_key(status), "{method} {path} {status}");
            }
        }
        if operation.get("requestBody").is_some() {
            for status in ["400", "408", "413", "415"] {
                assert!(answers.contains_key(status), "{method} {path} {status}");
            }
        }
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

fn parses(command: &Value) -> bool {
    let text = command.to_string();
    let json: Json<'_> = serde_json::from_str(&text).unwrap();
    parse_command(&json, &ParseContext::stored()).is_ok()
}

#[tokio::test]
async fn the_examples_are_commands_of_every_type() {
    let server = Server::start().await;
    let document = server.nobody().get("/openapi.json").await.body;
    let content = &document["paths"]["/v1/commands"]["post"]["requestBody"]["content"]["application/json"];
    let examples = content["examples"].as_object().unwrap();
    let schemas = &document["components"]["schemas"];
    let types = schemas["Command"]["discriminator"]["mapping"].as_object().unwrap();
    assert_eq!(types.len(), CommandKind::ALL.len());
    assert_eq!(examples.keys().collect::<Vec<_>>(), types.keys().collect::<Vec<_>>());
    let batch = schemas["Batch"]["example"]["commands"].as_array().unwrap();
    let all = examples.values().map(|example| &example["value"]).chain(batch);
    for example in all.chain([&schemas["CommandStatus"]["example"]["command"]]) {
        assert!(parses(example), "{example}");
    }
}

/// What a client of a type must send, and what it may leave out, is what the parser requires.
#[tokio::test]
async fn each_type_of_command_describes_the_fields_that_it_needs() {
    let server = Server::start().await;
    let document = server.nobody().get("/openapi.json").await.body;
    let schemas = &document["components"]["schemas"];
    for (word, path) in schemas["Command"]["discriminator"]["mapping"].as_object().unwrap() {
        let schema = &schemas[path.as_str().unwrap().rsplit('/').next().unwrap()];
        assert_eq!(schema["properties"]["type"]["enum"], serde_json::json!([word]));
        assert_eq!(schema["additionalProperties"], false);
        let required = schema["required"].as_array().unwrap();
        let example = schema["examples"][0].as_object().unwrap();
        for field in example.keys().filter(|field| *field != "command_id") {
            let mut without = example.clone();
            without.remove(field);
            // An update needs at least one field, whichever it is.
            let needed = required.contains(&Value::from(field.as_str()));
            assert_eq!(parses(&without.into()), !needed, "{word} without {field}");
        }
        assert!(required.iter().all(|field| example.contains_key(field.as_str().unwrap())), "{word}");
    }
}

/// Calls `check` with every schema of the document, where it stands, and whether it has a name.
fn schemas(value: &Value, place: &str, named: bool, check: &mut dyn FnMut(&str, &Value, bool)) {
    let Some(members) = value.as_object() else {
        return value.as_array().into_iter().flatten().for_each(|value| schemas(value, place, false, check));
    };
    check(place, value, named);
    for (name, value) in members.iter().filter(|(name, _)| !["example", "examples", "value"].contains(&name.as_str())) {
        schemas(value, &format!("{place}/{name}"), place == "/components/schemas", check);
    }
}

/// Generators of clients make an unnamed type of each of these, name it anew in every version, or stop.
#[tokio::test]
async fn nothing_in_the_document_confuses_a_generator() {
    let server = Server::start().await;
    let document = server.nobody().get("/openapi.json").await.body;
    let mut wrong = Vec::new();
    schemas(&document, "", false, &mut |place, schema, named| {
        let has = |name: &str| schema.get(name).is_some();
        let word = place.ends_with("Command/properties/type") && schema["enum"].as_array().map(Vec::len) == Some(1);
        if has("$ref") && schema.as_object().map(serde_json::Map::len) != Some(1) {
            wrong.push(format!("{place}: something beside $ref"));
        }
        if schema["enum"].is_array() && (schema["type"] != "string" || !(named || word)) {
            wrong.push(format!("{place}: an enum without a name, or not of strings"));
        }
        let composed = ["oneOf", "anyOf", "allOf"].into_iter().any(has);
        if (composed || (schema["type"] == "object" && schema["properties"].is_object())) && !named {
            wrong.push(format!("{place}: a schema without a name"));
        }
        let of_words =
            ["status", "state", "kind", "code"].iter().any(|name| place.ends_with(&format!("/properties/{name}")));
        let of_anything = ["Problem/properties/status", "Barcode/properties/code", "Pack/properties/code"];
        if of_words && !of_anything.iter().any(|other| place.ends_with(other)) {
            let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
            if !document["components"]["schemas"][name]["enum"].is_array() {
                wrong.push(format!("{place}: not an enum"));
            }
        }
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()) && id.contains('_'), "{id} is unique and tells what it does");
        if method == "get" && !["/healthz", "/readyz"].contains(&path.as_str()) {
            let parameters = operation["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|parameter| parameter["name"] == "If-None-Match"), "{path}");
            for status in ["200", "304"] {
                assert!(operation["responses"][status]["headers"]["ETag"].is_object(), "{path} {status}");
            }
        }
    }
}

/// Every page for people.
const PAGES: [&str; 3] = ["/", "/docs", "/docs/till"];

/// Returns the values of an attribute.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    html.split(&format!(" {attribute}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn the_reference_names_every_code_and_every_type() {
    let server = Server::start().await;
    let nobody = server.nobody();
    let page = nobody.get("/docs").await;
    for shown in ["/v1/commands/batch", "Ids and retries", "id=\"problem-command_id_reused\"", "1048576", "Prefer"] {
        assert!(page.text.contains(shown), "{shown}");
    }
    let document = nobody.get("/openapi.json").await.body;
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, _) in schemas.iter().filter(|(_, schema)| schema["properties"].is_object()) {
        assert!(page.text.contains(&format!("id=\"type-{name}\"")), "{name}");
    }
    for missing in ["<td class=\"type\"></td>", "<td class=\"type\">any</td>"] {
        assert!(!page.text.contains(missing), "a field without a type");
    }
    for typed in
        ["string (date-time)", "list of <a href=\"#type-Level\">Level</a>", "<code>allow</code>, <code>reject</code>"]
    {
        assert!(page.text.contains(typed), "{typed}");
    }
    let document = document.to_string();
    for code in page.text.split("id=\"problem-").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let of_no_operation = ["not_found", "method_not_allowed"].contains(&code) || code.starts_with("token_");
        assert!(of_no_operation || document.contains(&format!("`{code}`")), "{code} is described where it may come");
    }
    let again =
        nobody.send(nobody.request(reqwest::Method::GET, "/docs").header("if-none-match", page.header("etag"))).await;
    assert_eq!(again.status, 304);
}

#[tokio::test]
async fn the_pages_run_one_script_of_this_server_and_load_nothing_else() {
    let server = Server::start().await;
    let nobody = server.nobody();
    for path in PAGES {
        let page = nobody.get(path).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{path}");
        let policy = page.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("; script-src 'self';")
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        for loading in [" style=", " onclick=", "<link", "<img", "@import", "url("] {
            assert!(!page.text.contains(loading), "{path}: {loading}");
        }
        assert_eq!(page.text.matches("<script").count(), 1, "{path}");
        let [script] = values(&page.text, "src")[..] else { panic!("{path} loads more than its script") };
        assert!(script.ends_with("docs/page.js"), "{script}");
    }
    let script = nobody.get("/docs/page.js").await;
    assert_eq!((script.status, script.header("content-type")), (200, "text/javascript; charset=utf-8"));
}

#[tokio::test]
async fn every_anchor_of_a_page_is_unique_and_every_link_leads_somewhere() {
    let server = Server::start().await;
    let nobody = server.nobody();
    let mut linked = BTreeMap::new();
    for path in PAGES {
        let page = nobody.get(path).await.text;
        let ids = values(&page, "id");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path} has an anchor twice");
        for link in values(&page, "href").into_iter().chain(values(&page, "src")) {
            // Behind a proxy with a path, only relative links find this server.
            assert!(!link.starts_with('/') && !link.contains(':'), "{path} → {link}");
            let whole = format!("http://here{path}").parse::<reqwest::Url>().unwrap().join(link).unwrap();
            if !linked.contains_key(whole.path()) {
                linked.insert(whole.path().to_owned(), nobody.get(whole.path()).await);
            }
            let there = &linked[whole.path()];
            assert_eq!(there.status, 200, "{path} → {link}");
            let found = whole.fragment().is_none_or(|anchor| values(&there.text, "id").contains(&anchor));
            assert!(found, "{path} → {link}");
        }
    }
}
