//! Checks every cell of `rights.table` (role × location × operation × command) against a running server. The test fails
//! if the OpenAPI document and the table do not have the same operations and commands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};
use stockline_core::domain::{Reason, path_segment};
use stockline_ingress::{LoginConfig, StaffMay};

use crate::server::{Answer, Client, Server, id, token_with};

/// The ids of the item and the shops; the table calls the shops shop-1 and shop-2.
const ITEM: &str = "AB/12 #7%";
const SHOP_1: &str = "Café 1/2";
const SHOP_2: &str = "b#c:2";

const TABLE: &str = include_str!("rights.table");

/// The commands whose status is read, and the refused ones.
const RECEIVED: [(&str, u32); 4] = [("item", 9_000), ("1", 9_001), ("2", 9_005), ("unknown", 999)];
const REFUSED: [(&str, u32); 3] = [("item", 9_100), ("1", 9_101), ("2", 9_102)];
/// Refused ones that the first who may dismisses. They leave the list.
const DISMISSED: [(&str, u32); 3] = [("item", 9_110), ("1", 9_111), ("2", 9_112)];

/// The request of one row.
#[derive(Debug, Clone)]
struct Request {
    method: Method,
    path: String,
    body: Option<Value>,
}

/// Returns the names of rows with their requests, from the OpenAPI document.
fn rows(document: &Value) -> BTreeMap<String, Request> {
    let mut rows = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            for (variant, filled, body) in variants(document, path, operation) {
                let name = format!("{method} {path} {variant}");
                let request = Request { method: method.clone(), path: filled, body };
                assert!(
                    rows.insert(name.trim_end().to_owned(), request).is_none(),
                    "two rows {method} {path} {variant}"
                );
            }
        }
    }
    rows
}

/// Returns the requests of an operation: their names, addresses and bodies.
fn variants(document: &Value, path: &str, operation: &Value) -> Vec<(String, String, Option<Value>)> {
    let at_item =
        path.replace("{item_id}", &path_segment(ITEM)).replace("{type}", "items").replace("{import_id}", &id(1));
    let at_item = at_item.replace("{code}", "4006381333931").replace("{report}", "velocity");
    let of = |n: u32| at_item.replace("{command_id}", &id(n));
    match path {
        "/v1/commands" | "/v1/commands/batch" if operation["requestBody"].is_object() => {
            let body = |command: Value| match path {
                "/v1/commands" => command,
                _ => json!({ "commands": [command] }),
            };
            commands(document).into_iter().map(|(name, command)| (name, path.to_owned(), Some(body(command)))).collect()
        }
        "/v1/imports" => [("at 1", SHOP_1), ("at 2", SHOP_2)]
            .map(|(name, shop)| {
                let file = json!(format!("item_id,counted\n{ITEM},3\n"));
                (name.to_owned(), format!("{path}?type=counts&location_id={}", path_segment(shop)), Some(file))
            })
            .to_vec(),
        "/v1/commands/status" => {
            let line = |n: u32| json!({"commands": [{"item_id": ITEM, "command_id": id(n)}]});
            RECEIVED.map(|(of, n)| (format!("of {of}"), path.to_owned(), Some(line(n)))).to_vec()
        }
        _ if path.ends_with("/resubmit") => {
            let corrected = |shop: &str| Some(json!({ "location_id": shop }));
            let mut all = REFUSED.map(|(name, n)| (format!("of {name}"), of(n), None)).to_vec();
            for (name, n, shop) in [("1-to-1", 9_101, SHOP_1), ("1-to-2", 9_101, SHOP_2), ("2-to-1", 9_102, SHOP_1)] {
                all.push((format!("of {name}"), of(n), corrected(shop)));
            }
            all
        }
        // A dismissal of the same person for the same reason is answered again.
        _ if path.ends_with("/dismiss") => {
            DISMISSED.map(|(name, n)| (format!("of {name}"), of(n), Some(json!({"reason": "a typing error"})))).to_vec()
        }
        _ if path.contains("{command_id}") => RECEIVED.map(|(name, n)| (format!("of {name}"), of(n), None)).to_vec(),
        _ if path.contains("{client_id}") => {
            let settings = json!({"name": "tills", "rights": ["commands"], "locations": [SHOP_1]});
            let body = operation["requestBody"].is_object().then_some(settings);
            vec![(String::new(), path.replace("{client_id}", "tills-1"), body)]
        }
        _ if path.contains("{location_id}") => {
            let writes = operation["requestBody"].is_object();
            let body = writes.then(|| json!({"name": "a shop", "alert_emails": ["a@example.com"]}));
            let mut shops = vec![("1", SHOP_1), ("2", SHOP_2)];
            shops.extend(writes.then_some(("new", "shop-new")));
            let filled = |shop: &str| path.replace("{location_id}", &path_segment(shop));
            shops.into_iter().map(|(name, shop)| (format!("at {name}"), filled(shop), body.clone())).collect()
        }
        _ => {
            let parameters = operation["parameters"].as_array();
            let narrows = parameters.into_iter().flatten().any(|parameter| parameter["name"] == "location_id");
            let places = [("at 1", SHOP_1), ("at 2", SHOP_2)].into_iter().filter(|_| narrows);
            let narrowed = places.map(|(name, shop)| (name, format!("{at_item}?location_id={}", path_segment(shop))));
            std::iter::once(("", at_item.clone()))
                .chain(narrowed)
                .map(|(name, at)| (name.to_owned(), at, None))
                .collect()
        }
    }
}

/// Returns a command of every type that the document lists, for every possible location. All have one id, because the
/// workers are stopped.
fn commands(document: &Value) -> Vec<(String, Value)> {
    let kinds = document["components"]["schemas"]["Command"]["discriminator"]["mapping"].as_object().unwrap();
    let mut all = Vec::new();
    for kind in kinds.keys().map(String::as_str) {
        let mut add = |name: String, fields: Value| {
            let mut command = json!({"type": kind, "command_id": id(1), "item_id": ITEM});
            command.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            all.push((name, command));
        };
        let mut everywhere = |name: &str, fields: Value| {
            for (place, shop) in [("main", None), ("1", Some(SHOP_1)), ("2", Some(SHOP_2))] {
                let mut fields = fields.clone();
                shop.into_iter().for_each(|shop| fields["location_id"] = json!(shop));
                add(format!("{name} at {place}"), fields);
            }
        };
        match kind {
            "receive" | "sell" | "return" => everywhere(kind, json!({"quantity": "1"})),
            "count" => everywhere(kind, json!({"counted": "1"})),
            "adjust" => {
                for reason in Reason::ALL.map(Reason::as_str) {
                    everywhere(&format!("adjust:{reason}"), json!({"quantity": "1", "reason": reason}));
                }
            }
            "set_threshold" => {
                let fields = json!({"low_stock_threshold": "1"});
                everywhere(kind, fields.clone());
                // Without a location it sets the item's default, not the threshold at main.
                let main = all.iter_mut().find(|(name, _)| name == "set_threshold at main").unwrap();
                main.0 = kind.to_owned();
            }
            "set_planning" => {
                everywhere(kind, json!({"lead_time_days": 3}));
                // It always names its location.
                let main = all.iter_mut().find(|(name, _)| name == "set_planning at main").unwrap();
                main.1["location_id"] = json!("main");
            }
            "transfer" => {
                for (place, from, to) in
                    [("1-to-2", SHOP_1, SHOP_2), ("2-to-1", SHOP_2, SHOP_1), ("main-to-1", "main", SHOP_1)]
                {
                    let fields = json!({"from_location_id": from, "to_location_id": to, "quantity": "1"});
                    add(format!("transfer at {place}"), fields);
                }
            }
            "reverse" => add(kind.to_owned(), json!({"reverses": id(2)})),
            "register_item" | "update_item" => add(kind.to_owned(), json!({"name": "Cola"})),
            // A new type needs a line above and rows in the table; until then it is `unknown`, and fails.
            other => add(other.to_owned(), json!({})),
        }
    }
    all
}

/// A kind of token, and the server that it is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    groups: Vec<&'static str>,
    scopes: Vec<&'static str>,
    has_token: bool,
    staff_may: bool,
}

impl Holder {
    /// Returns the token of a column by its name.
    fn named(column: &str) -> Self {
        let (name, bound) = column.split_once('@').map_or((column, None), |(name, at)| (name, Some(at)));
        let (name, staff_may) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        let mut holder = Self { groups: vec![], scopes: vec![], has_token: true, staff_may };
        match name {
            "nobody" => holder.has_token = false,
            "roleless" => holder.groups = vec!["Customers", "manager"],
            "Staff" => holder.groups = vec!["Staff"],
            "Manager" => holder.groups = vec!["Manager"],
            "commands" => holder.scopes = vec!["stockline/commands"],
            "read" => holder.scopes = vec!["stockline/read"],
            "manage" => holder.scopes = vec!["stockline/manage"],
            other => panic!("a column {other}"),
        }
        // A group binds people, a scope binds machines.
        match (bound, holder.scopes.is_empty()) {
            (None, _) => {}
            (Some("1"), true) => holder.groups.push("location.Caf%C3%A9%201%2F2"),
            (Some("1"), false) => holder.scopes.push("stockline/location.Caf%C3%A9%201%2F2"),
            (Some("none"), true) => holder.groups.push("location.*"),
            (Some(other), _) => panic!("bound to {other}"),
        }
        holder
    }

    fn united(&self, other: &Self) -> Self {
        let both = |a: &[&'static str], b: &[&'static str]| a.iter().chain(b).copied().collect();
        Self {
            groups: both(&self.groups, &other.groups),
            scopes: both(&self.scopes, &other.scopes),
            has_token: true,
            staff_may: false,
        }
    }

    fn client(&self, of: &Client) -> Client {
        Client { token: self.has_token.then(|| token_with(&self.groups, &self.scopes)), ..of.clone() }
    }
}

/// Returns the expected cells: row → column → cell.
fn expected() -> (Vec<String>, BTreeMap<String, Vec<String>>) {
    let mut lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let columns = words(lines.next().unwrap());
    let mut rows = BTreeMap::new();
    while let (Some(name), Some(cells)) = (lines.next(), lines.next()) {
        let cells = words(cells);
        assert_eq!(cells.len(), columns.len(), "{name}");
        for name in each(&words(name)) {
            assert!(rows.insert(name.clone(), cells.clone()).is_none(), "{name} stands twice");
        }
    }
    (columns, rows)
}

/// Returns the names that a row stands for: every combination of its comma-separated words.
fn each(words: &[String]) -> Vec<String> {
    let Some((first, rest)) = words.split_first() else { return vec![String::new()] };
    let rest = each(rest);
    let join = |word: &str| rest.iter().map(|rest| format!("{word} {rest}").trim_end().to_owned()).collect::<Vec<_>>();
    first.split(',').flat_map(join).collect()
}

/// Returns an answer in the words of the table.
fn cell(answer: &Answer) -> String {
    let line = &answer.body["results"][0];
    let code = line["problem"]["code"].as_str().unwrap_or(answer.code());
    match (answer.status, code) {
        (401, "token_missing") => "401".into(),
        (403, "no_role") => "role".into(),
        (403, "forbidden") => "no".into(),
        (403 | 202, "forbidden_command") => "cmd".into(),
        (403 | 202, "forbidden_location") => "loc".into(),
        (404 | 200, "command_not_found") | (404, "import_not_found") => "404".into(),
        (200..=202, "") => shown(&answer.text),
        (status, code) => format!("{status}:{code}"),
    }
}

fn shown(text: &str) -> String {
    // As JSON has it, and as CSV does.
    let at = |shop: &str| [format!("\"location_id\":\"{shop}\""), format!(",{shop},")];
    let marks = [(1, SHOP_1), (2, SHOP_2)].map(|(mark, shop)| (mark.to_string(), at(shop)));
    let is_found = |(_, found): &&(String, [String; 2])| found.iter().any(|found| text.contains(found));
    let mut shown: String = marks.iter().filter(is_found).map(|(mark, _)| &**mark).collect();
    if text.contains("a@example.com") {
        shown.push('@');
    }
    // Whatever says what goods cost.
    if ["unit_cost", "cost", "revaluation", "average_cost", "value"]
        .iter()
        .any(|name| text.contains(&format!("\"{name}\":")))
    {
        shown.insert(shown.trim_end_matches('@').len(), '$');
    }
    // The description has examples of every field.
    if shown.is_empty() || text.contains("\"openapi\"") || text.starts_with("<!") { "ok".into() } else { shown }
}

fn is_done(cell: &str) -> bool {
    cell == "ok" || cell.chars().all(|mark| "12$@".contains(mark))
}

/// Starts a server with stock, an alert and a refused command of each kind at both shops, and stops its workers.
async fn prepared(staff_may: StaffMay) -> Server {
    let login = LoginConfig::cognito("https://acme.example.com", "people").unwrap();
    let server = Server::stocked_as(ITEM, [SHOP_1, SHOP_2], |config| {
        (config.staff_may, config.login) = (staff_may, Some(login))
    })
    .await;
    let manager = server.manager();
    for (n, shop, quantity) in [(9_003, SHOP_1, "20"), (9_004, SHOP_2, "6")] {
        let sale =
            json!({"type": "sell", "command_id": id(n), "item_id": ITEM, "location_id": shop, "quantity": quantity});
        assert_eq!(manager.post_waiting("/v1/commands", sale).await.status, 200);
    }
    let tills = json!({"name": "tills", "rights": ["commands"], "locations": [SHOP_1]});
    assert_eq!(manager.put("/v1/clients/tills-1", tills).await.status, 201);
    let refused = |n: u32, fields: Value| {
        let mut command = json!({"command_id": id(n), "item_id": ITEM, "unit_cost": "0.41"});
        command.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        command
    };
    let half = |shop: &str| json!({"type": "receive", "location_id": shop, "quantity": "0.5"});
    for command in [
        json!({"type": "receive", "command_id": id(9_005), "item_id": ITEM, "location_id": SHOP_2, "quantity": "1", "unit_cost": "0.41"}),
        refused(9_100, json!({"type": "register_item", "name": "Cola"})),
        refused(9_101, half(SHOP_1)),
        refused(9_102, half(SHOP_2)),
        refused(9_110, json!({"type": "register_item", "name": "Cola"})),
        refused(9_111, half(SHOP_1)),
        refused(9_112, half(SHOP_2)),
    ] {
        let answer = manager.post_waiting("/v1/commands", command).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    server.hold_workers();
    server
}

struct World {
    plain: Server,
    generous: Server,
    client: Client,
    rows: BTreeMap<String, Request>,
    /// The number of attempts to register a location.
    registered: AtomicUsize,
}

impl World {
    async fn new() -> Self {
        let plain = prepared(StaffMay::default()).await;
        let generous = prepared("count,adjust:damaged".parse().unwrap()).await;
        let client = plain.nobody();
        let rows = rows(&client.get("/openapi.json").await.body);
        Self { plain, generous, client, rows, registered: AtomicUsize::new(0) }
    }

    async fn ask(&self, holder: &Holder, request: &Request) -> String {
        let server = if holder.staff_may { &self.generous } else { &self.plain };
        let client = Client { url: server.url.clone(), ..holder.client(&self.client) };
        let mut path = request.path.clone();
        if path.ends_with("shop-new") {
            // Each attempt registers another location.
            path = format!("{path}-{}", self.registered.fetch_add(1, Ordering::Relaxed));
        }
        let builder = client.request(request.method.clone(), &path);
        let builder = match &request.body {
            Some(Value::String(file)) => builder.body(file.clone()),
            Some(body) => builder.json(body),
            None => builder,
        };
        cell(&client.send(builder).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_of_who_may_do_what_where_is_as_the_table_says() {
    let world = World::new().await;
    let (columns, expected) = expected();
    let described: BTreeSet<_> = world.rows.keys().collect();
    let known: BTreeSet<_> = expected.keys().collect();
    let unknown: Vec<_> = described.symmetric_difference(&known).collect();
    assert!(unknown.is_empty(), "described and not in rights.table, or the other way round: {unknown:#?}");

    let mut wrong = Vec::new();
    for (column, name) in columns.iter().enumerate() {
        let holder = Holder::named(name);
        for (row, request) in &world.rows {
            let (found, expected) = (world.ask(&holder, request).await, &expected[row][column]);
            if found != *expected {
                wrong.push(format!("{row} as {name}: {found}, expected {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cells:\n{}", wrong.len(), columns.len() * world.rows.len(), wrong.join("\n"));
    println!("{} rows × {} columns = {} cells", world.rows.len(), columns.len(), world.rows.len() * columns.len());
}

/// A token with two roles may do what either may, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_two_roles_may_do_what_one_of_them_may() {
    let world = World::new().await;
    let (columns, expected) = expected();
    let cells_of = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let mut wrong = Vec::new();
    for names in [
        ["roleless", "Staff", "Manager", "commands", "read", "manage"],
        ["Staff@1", "Staff@1", "Manager@1", "commands@1", "read@1", "manage@1"],
    ] {
        for (index, first) in names.iter().enumerate() {
            for second in &names[index + 1..] {
                let holder = Holder::named(first).united(&Holder::named(second));
                for (row, request) in &world.rows {
                    let found = world.ask(&holder, request).await;
                    let alone = [first, second].map(|name| expected[row][cells_of(name)].as_str());
                    let may = alone.iter().any(|cell| is_done(cell));
                    let cost = alone.iter().any(|cell| cell.contains('$'));
                    if is_done(&found) != may || (found.contains('$') != cost) {
                        wrong.push(format!("{row} as {first} and {second}: {found}, alone {alone:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The table must stay complete: a command or path that it does not have fails.
#[tokio::test]
async fn a_new_command_or_path_is_a_row_that_the_table_does_not_know() {
    let mut document = Server::start().await.nobody().get("/openapi.json").await.body;
    let (_, expected) = expected();
    let unknown = |document: &Value| -> Vec<String> {
        rows(document).into_keys().filter(|row| !expected.contains_key(row)).collect()
    };
    assert!(unknown(&document).is_empty());
    let types = &mut document["components"]["schemas"]["Command"]["discriminator"]["mapping"];
    types["burn"] = json!("#/components/schemas/BurnCommand");
    document["paths"]["/v1/vault"] = json!({"get": {}});
    assert_eq!(unknown(&document), ["GET /v1/vault", "POST /v1/commands burn", "POST /v1/commands/batch burn"]);
}
