//! The console in a browser: Debian's chromium, driven by playwright. Each flow of `tests/console` runs against a server of
//! its own, with the real command line beside it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use stockline_deploy_checks::node;
use stockline_deploy_checks::python::assert_ran;
use stockline_tests::browser::browser_tests;
use stockline_tests::process::{Server, audit, free_address, stockline_binary};
use stockline_tests::wrong_clock::WrongClock;

/// The most bytes of the script, compressed.
const SCRIPT_BYTES_MAX: usize = 20 * 1024;

/// Returns a folder with the flows and the packages that they need.
fn workshop() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let flows = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
    for entry in std::fs::read_dir(flows).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let manifest = include_str!("../../console/package.json");
    let packages = node::packages("console", manifest, include_str!("../../console/package-lock.json"));
    std::os::unix::fs::symlink(packages.join("node_modules"), folder.path().join("node_modules")).unwrap();
    folder
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../console/assets/console.js")
}

/// Runs a flow against a new server.
async fn flow(name: &str, arguments: &[&str]) {
    if !browser_tests() {
        return;
    }
    let (data, workshop) = (tempfile::tempdir().unwrap(), workshop());
    let arguments = [&["--alert-email", "owner@example.com"][..], arguments].concat();
    let server = Server::start(data.path(), &arguments).await;
    step(name, 0, workshop.path(), &server).await;
    audit(&server.stop());
}

/// Runs a step of a flow against this server.
async fn step(name: &str, number: usize, workshop: &Path, server: &Server) {
    let mut node = Command::new("node");
    node.arg(workshop.join(name)).current_dir(workshop).env("SHOP_STEP", number.to_string());
    node.env("SHOP_URL", &server.url).env("SHOP_DATA", &server.data).env("SHOP_PROGRAM", stockline_binary());
    let output = tokio::task::spawn_blocking(move || node.output()).await.unwrap().unwrap();
    assert_ran(&output, name);
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_scan_and_sell() {
    flow("station.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_counted_without_network_and_by_two() {
    flow("count.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_looks_after_the_shop_and_every_page_is_accessible_and_small() {
    flow("manager.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_that_are_not_sent_stand_on_today() {
    // Nobody listens at this port.
    flow("mail.mjs", &["--smtp-url", &format!("smtp://{}", free_address())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_or_acts_beyond_their_role() {
    flow("security.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_file_is_mended_and_applied_and_no_file_is_a_way_in() {
    flow("exchange.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_tell_what_sold_and_what_to_order() {
    flow("reports.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_link_to_the_first_sale_by_keyboard() {
    flow("first-run.mjs", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_till_that_fell_silent_is_on_today_over_restarts_until_it_sells_again() {
    if !browser_tests() {
        return;
    }
    let (data, workshop, clock) = (tempfile::tempdir().unwrap(), workshop(), WrongClock::new());
    clock.set(-3 * 3_600);
    let server = Server::start_by(clock.command(stockline_binary()), data.path(), &[]).await;
    server.stock_up("cola", "5000").await;
    let sale = json!({"type": "sell", "item_id": "cola", "quantity": "1", "device_id": "till-1"});
    assert_eq!(server.settle(sale).await["status"], "applied");
    server.stop();
    let mut server = Server::start(data.path(), &[]).await;
    step("tills.mjs", 0, workshop.path(), &server).await;
    server.kill();
    server = Server::start(data.path(), &[]).await;
    for number in [1, 2] {
        step("tills.mjs", number, workshop.path(), &server).await;
    }
    server.stop();
    server = Server::start(data.path(), &[]).await;
    step("tills.mjs", 3, workshop.path(), &server).await;
    audit(&server.stop());
}

/// A process that is killed when dropped.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_shop_is_complete_and_the_pictures_of_the_readme_are_taken_from_it() {
    if !browser_tests() {
        return;
    }
    let (data, workshop) = (tempfile::tempdir().unwrap(), workshop());
    let (address, shop) = (free_address(), data.path().join("shop"));
    let mut demo = Command::new(stockline_binary());
    demo.args(["demo", "--listen", &address, "--data"]).arg(&shop).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut demo = Killed(demo.spawn().unwrap());
    let mut said = BufReader::new(demo.0.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("the demo shop is complete")), "it ended before it was complete");
    // Nobody reads what else it says.
    std::thread::spawn(move || said.for_each(drop));
    let mut node = Command::new("node");
    node.arg(workshop.path().join("pictures.mjs")).current_dir(workshop.path()).env("SHOP_PICTURES", workshop.path());
    node.env("SHOP_URL", format!("http://{address}")).env("SHOP_DATA", &shop).env("SHOP_PROGRAM", stockline_binary());
    assert_ran(&node.output().unwrap(), "pictures.mjs");
    for picture in ["scan", "today", "item", "sales"] {
        let (taken, shown) = (workshop.path().join(picture), pictures().join(picture));
        for path in [taken.with_extension("png"), shown.with_extension("png")] {
            assert!(std::fs::read(&path).unwrap().starts_with(b"\x89PNG"), "{}", path.display());
        }
    }
    audit(&shop);
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures")
}

#[test]
fn the_script_is_small_and_its_types_are_right() {
    let script = script();
    let worker = script.with_file_name("count-worker.js");
    let packed = Command::new("gzip").args(["-9", "-c"]).args([&script, &worker]).output().unwrap();
    assert!(packed.status.success() && packed.stdout.len() <= SCRIPT_BYTES_MAX, "{} bytes", packed.stdout.len());
    let workshop = workshop();
    std::fs::copy(script, workshop.path().join("console.js")).unwrap();
    std::fs::copy(worker, workshop.path().join("count-worker.js")).unwrap();
    let tsc =
        || Command::new("node").arg("node_modules/typescript/bin/tsc").current_dir(workshop.path()).output().unwrap();
    assert_ran(&tsc(), "tsc --checkJs");
    let text = std::fs::read_to_string(workshop.path().join("console.js")).unwrap();
    std::fs::write(workshop.path().join("console.js"), text + "\nruncation();\n").unwrap();
    assert!(!tsc().status.success(), "tsc notices a mistake");
}
