//! The load of `deploy/drill` against a server: it proves what it says, and it finds what is wrong.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde_json::json;
use stockline_deploy_checks::ministack::aws_tests;
use stockline_deploy_checks::python::assert_ran;
use stockline_deploy_checks::{operator, templates};
use stockline_tests::aws::{Installation, POLL_EVERY};
use stockline_tests::process::{PATIENCE, Server, audit, stockline_binary, with_id};

const ITEMS: &str = "5";

fn drill(server: &Server, arguments: &[&str]) -> Child {
    drill_at(&server.url, &server.token(&["--till", "drill"]), arguments)
}

fn drill_at(url: &str, token: &str, arguments: &[&str]) -> Child {
    Command::new("python3")
        .arg(templates::folder().join("drill"))
        .args(arguments)
        .env("STOCKLINE_URL", url)
        .env("STOCKLINE_TOKEN", token)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ended(drill: Child) -> (bool, String) {
    let Output { status, stdout, stderr } = drill.wait_with_output().unwrap();
    (status.success(), [stdout, stderr].map(|text| String::from_utf8(text).unwrap()).concat())
}

/// Registers the load's items as the page says: by a Manager, from the CSV that the drill prints.
fn register_items(server: &Server, data: &Path, prefix: &str) {
    let (works, items) = ended(drill(server, &["items", ITEMS, "--prefix", prefix]));
    assert!(works, "{items}");
    let mut load = Command::new(stockline_binary())
        .args(["load", "-", "--type", "register_item", "--map", "item_id=item_id,name=name", "--id", "item_id"])
        .args(["--url", &server.url, "--token", &server.token(&["--role", "manager"])])
        .current_dir(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    load.stdin.take().unwrap().write_all(items.as_bytes()).unwrap();
    assert!(load.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_proves_that_each_sale_took_effect_once_and_tells_when_the_stock_is_off() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;

    let (works, told) = ended(drill(&server, &["load", "50", "1", "--items", ITEMS]));
    assert!(!works && told.contains("item_not_found"), "without its items: {told}");

    register_items(&server, data.path(), "drill");
    let shops: PathBuf = data.path().join("shops");
    std::fs::write(&shops, "main\nberlin\n").unwrap();
    let berlin = json!({"name": "Berlin", "time_zone": "Europe/Berlin"});
    assert_eq!(server.request("PUT", "/v1/locations/berlin", Some(&berlin)).await.unwrap().0, 201);
    let shops = shops.to_str().unwrap();
    let (works, told) = ended(drill(&server, &["load", "100", "2", "--items", ITEMS, "--locations", shops]));
    assert!(works && told.contains("accepted 200 sales") && told.contains("what they make it"), "{told}");
    assert!(told.contains(r#"{"applied": 210}"#), "10 levels are stocked, 200 are sold: {told}");

    // Another sale beside it is a difference that it must find.
    let before = server.get("/v1/items/drill-0").await["on_hand"].clone();
    let beside = drill(&server, &["load", "20", "2", "--items", ITEMS]);
    let deadline = Instant::now() + PATIENCE;
    while server.get("/v1/items/drill-0").await["on_hand"] == before {
        assert!(Instant::now() < deadline, "the load did not begin");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    server.settle(json!({"type": "sell", "item_id": "drill-0", "quantity": "1"})).await;
    let (works, told) = ended(beside);
    assert!(!works && told.contains("drill-0 has") && told.contains("and should have"), "{told}");
    audit(&server.stop());
}

/// Returns the loads of the page's load test: the number of the step, and the words behind `./drill load`.
fn loads_of_the_page() -> Vec<(u32, Vec<String>)> {
    let page = templates::folder().join("../docs/first-hour.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = page.split("## The load test").nth(1).unwrap();
    let rows = table.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix("| ")?.split_once(" | ")?;
        Some((number.parse::<u32>().ok()?, rest))
    });
    let loads = rows.flat_map(|(number, row)| {
        let commands = row.split('`').filter_map(|code| code.strip_prefix("./drill load "));
        commands.map(move |words| (number, words.split(' ').map(str::to_owned).collect()))
    });
    loads.collect()
}

/// How long a load of the page lasts here.
const SECONDS: &str = "2";
/// From how many machines a step sends.
const MACHINES: [(u32, usize); 5] = [(1, 1), (2, 2), (3, 10), (4, 1), (5, 1)];
const LOCATIONS: usize = 500;

/// The steps without a fault, at the rates of the page: 100, 1,000 from two machines, 1,000 from ten; one item at one location,
/// and at 500. How fast a server takes them is measured elsewhere: here every command has its outcome in the end.
#[tokio::test(flavor = "multi_thread")]
async fn each_load_of_the_page_runs_as_it_stands_there() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    let shops: Vec<String> = (0..LOCATIONS).map(|number| format!("shop-{number}")).collect();
    let put = Command::new(stockline_binary())
        .args(["locations", "put", "--url", &server.url, "--token", &server.token(&["--role", "manager"])])
        .args(&shops)
        .output()
        .unwrap();
    assert!(put.status.success(), "{put:?}");
    let file = data.path().join("shops");
    std::fs::write(&file, shops.join("\n")).unwrap();

    let loads = loads_of_the_page();
    for (step, machines) in MACHINES {
        let (_, words) = loads.iter().find(|(number, _)| *number == step).unwrap_or_else(|| panic!("step {step}"));
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        words[1] = SECONDS;
        if let Some(place) = words.iter().position(|word| *word == "FILE") {
            words[place] = file.to_str().unwrap();
        }
        if !words.contains(&"--items") {
            words.extend(["--items", ITEMS]);
        }
        let prefixes: Vec<String> = (0..machines).map(|machine| format!("step-{step}-{machine}")).collect();
        prefixes.iter().for_each(|prefix| register_items(&server, data.path(), prefix));
        let running: Vec<Child> = prefixes
            .iter()
            .map(|prefix| drill(&server, &[&["load"], &words[..], &["--prefix", prefix]].concat()))
            .collect();
        for load in running {
            let (works, told) = ended(load);
            assert!(works && told.contains("what they make it"), "step {step}, {words:?}: {told}");
        }
    }
    audit(&server.stop());
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: it did not come to that");
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Step 8: while an item's row is damaged, the others go on; after it is put back, its commands are applied too.
#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_stuck_in_a_load_holds_up_nobody_and_ends_as_the_others() {
    if !aws_tests() {
        return;
    }
    let home = Installation::deploy().await;
    let (ingress, worker) = tokio::join!(home.ingress(), home.worker());
    for item in ["drill-0", "drill-1"] {
        home.settle(&home.manager, json!({"type": "register_item", "item_id": item, "name": "Drill"})).await;
    }
    let stuck = |act: &str| {
        let done = operator::drill(&home.server, &["stuck", "stockline", "drill-0", act]).output().unwrap();
        assert_ran(&done, "drill stuck");
    };

    let load = drill_at(&home.api, &home.till, &["load", "20", "30", "--items", "2"]);
    until("the load sells", async || home.get("/v1/items/drill-0").await["on_hand"] != "0").await;
    stuck("damage");
    // Whether or not the load still sells: a command comes to each item, which leaves the load's own sum alone.
    let renamed = |item: &str| json!({"type": "update_item", "item_id": item, "name": "Renamed"});
    let waits = home.accept(&home.manager, &with_id(renamed("drill-0"))).await;
    until("a worker tells it", async || {
        let log = worker.log();
        log.contains("an item can't be read") && log.contains("drill-0")
    })
    .await;
    assert_eq!(home.settle(&home.manager, renamed("drill-1")).await["status"], "applied", "the others go on");
    stuck("repair");
    let outcome = home.outcome(&home.manager, waits["status_url"].as_str().unwrap()).await;
    assert_eq!(outcome["status"], "applied", "{outcome}");
    let (works, told) = tokio::task::spawn_blocking(|| ended(load)).await.unwrap();
    assert!(works && told.contains(r#"{"applied": 602}"#) && told.contains("what they make it"), "{told}");
    let audit = home.worker_command(&["audit"]).await;
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
    tokio::join!(ingress.stop(), worker.stop());
}
