//! What people read and type: tables that fit, names, days, and errors that say what to do.

use serde_json::{Value, json};

use crate::server::{Ran, Server, stockline};

/// Starts a server with two items, a store, and movements of each.
fn shop() -> Server {
    let server = Server::start(&[]);
    for (item, name, more) in [
        (
            "cola",
            "Cola 0.33 l, returnable bottle",
            &["--barcode", "4006381333931", "--pack", "14006381333938", "24", "--category", "drinks"][..],
        ),
        ("mint-tea-bags-of-twenty-five-pieces", "Mint tea", &["--threshold", "5"][..]),
    ] {
        let words = [&["submit", "register_item", "--item", item, "--name", name], more].concat();
        server.run(&words).ok();
        server.run(&["submit", "receive", "--item", item, "--quantity", "10"]).ok();
    }
    server.run(&["locations", "put", "store-12", "--name", "Main Street", "--alert-email", "a@example.com"]).ok();
    let sale = "submit sell --item cola --quantity 2 --operator 7 --device till-3 --reference receipt-4711 --note";
    server.run(&sale.split(' ').chain(["two \u{1b}[2J bottles"]).collect::<Vec<_>>());
    server.run(&["submit", "sell", "--item", "cola", "--quantity", "2", "--operator", "7", "--device", "till-3"]).ok();
    server
        .run(&["submit", "sell", "--item", "cola", "--quantity", "1", "--location", "nowhere"])
        .refused(1, "put nowhere");
    server
}

#[test]
fn every_table_fits_eighty_columns_names_the_items_and_keeps_ids_whole() {
    let server = shop();
    let long = "mint-tea-bags-of-twenty-five-pieces";
    for (words, parts) in [
        (&["items"][..], &["Cola 0.33", "4006381333931", long, "Mint tea"][..]),
        (&["items", "MINT"], &["Mint tea"]),
        (&["items", "--barcode", "04006381333931"], &["cola"]),
        (
            &["scan", "14006381333938"],
            &["cola  Cola 0.33 l", "quantity    24 piece", "14006381333938×24", "on hand     8 piece"],
        ),
        (
            &["scan", "(01)04006381333931(17)261231(10)AB/1"],
            &["expires     2026-12-31", "batch       AB/1", "quantity    1 piece"],
        ),
        (&["items", "--barcode", "4006381333931"], &["cola"]),
        (&["items", "cola", "--category", "drinks"], &["cola"]),
        (&["stock"], &["Cola 0.33", long, "Mint tea", "main"]),
        (&["stock", "cola"], &["Cola 0.33"]),
        (&["history", "cola"], &["cola  Cola 0.33 l, returnable bottle", "operator 7; device till-3"]),
        (&["history", "cola", "--from", "yesterday", "--to", "today"], &["sell"]),
        (&["history", "cola", "--utc"], &["Z  main"]),
        (&["refused"], &["Cola 0.33 l", "unknown_location: location nowhere", "stockline locations put nowhere"]),
        (&["locations", "list"], &["Main Street", "alerts to a@example.com"]),
        (&["alerts"], &["no alerts"]),
        (&["history", "cola", "--to", "2020-01-01"], &["no such movements"]),
        (&["items", "--category", "none"], &["no such items"]),
    ] {
        let table = server.run(words).ok().stdout;
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{words:?}:\n{table}");
        for part in parts {
            assert!(table.replace("\n    ", " ").contains(part), "{words:?} {part}:\n{table}");
        }
        assert!(!table.contains('\u{1b}'), "{table:?}");
    }
    assert!(!server.run(&["items", "MINT"]).ok().stdout.contains("Cola"));
}

#[test]
fn times_are_local_and_a_day_is_the_local_day() {
    let server = shop();
    let data = server.data();
    let at = |zone: &str, words: &[&str]| {
        let words = [words, &["--data", data.to_str().unwrap()]].concat();
        Ran::from(stockline(&words).env("TZ", zone).output().unwrap()).ok().stdout
    };
    let hour = |table: String| table.lines().nth(2).unwrap()[11..13].parse::<i64>().unwrap();
    let (tokyo, utc) = (at("Asia/Tokyo", &["history", "cola"]), at("Asia/Tokyo", &["history", "cola", "--utc"]));
    // The minute may end between the two.
    assert!([9, 10].contains(&(hour(tokyo) - hour(utc)).rem_euclid(24)));
    // Kiritimati is a day ahead of Honolulu at every moment but one hour.
    let today = at("Pacific/Kiritimati", &["history", "cola", "--from", "today", "--json"]);
    assert_ne!(today.trim(), "[]");
    let later = server.run(&["history", "cola", "--from", "2099-01-01", "--json"]).ok().json();
    assert_eq!(later, json!([]));
    server.run(&["history", "cola", "--from", "20.11.2026"]).refused(2, "neither a time nor a day");
}

#[test]
fn what_is_not_registered_is_an_error_that_names_it() {
    let server = shop();
    for (words, part) in [
        (&["history", "cloa"][..], "no item cloa"),
        (&["stock", "cloa"], "no item cloa"),
        (&["stock", "--location", "store-21"], "no location store-21"),
        (&["stock", "cola", "--location", "store-21"], "no location store-21"),
        (&["history", "cola", "--location", "store-21"], "no location store-21"),
        (&["alerts", "--location", "store-21"], "no location store-21"),
        (&["refused", "--location", "store-21"], "no location store-21"),
    ] {
        server.run(words).refused(1, part);
        let as_json = server.run(&[words, &["--json"]].concat());
        assert_eq!((as_json.code, as_json.stdout.as_str()), (1, ""), "{as_json:?}");
        let error: Value = serde_json::from_str(&as_json.stderr).unwrap();
        assert!(error["error"]["code"].as_str().unwrap().ends_with("_not_found"), "{error}");
        assert_eq!(error["error"]["problem"]["status"], 404);
    }
    server.run(&["stock", "cola", "--location", "store-12"]).ok();
}

#[test]
fn with_json_every_error_is_json() {
    let mut server = shop();
    let error = |server: &Server, words: &[&str]| {
        let ran = server.run(words);
        let error: Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (ran.code, error["error"].clone())
    };
    let (code, usage) = error(&server, &["history", "--json"]);
    assert_eq!((code, &usage["code"], &usage["exit_code"]), (2, &json!("usage"), &json!(2)));
    let (code, fault) = error(&server, &["submit", "sell", "--item", "cola", "--quantity", "x\u{9b}", "--json"]);
    assert_eq!((code, &fault["problem"]["errors"][0]["pointer"]), (1, &json!("/quantity")), "{fault}");
    let path = server.home().join("twice.csv");
    std::fs::write(&path, "r,sku,n\n1,cola,1\n1,cola,1\n").unwrap();
    let load =
        ["load", path.to_str().unwrap(), "--type", "sell", "--map", "item_id=sku,quantity=n", "--id", "r", "--json"];
    let (code, repeated) = error(&server, &load);
    assert!(code == 1 && repeated["detail"].as_str().unwrap().contains("line 3 repeats line 2"), "{repeated}");
    assert!(server.terminate().success());
    let (code, down) = error(&server, &["stock", "--json"]);
    assert_eq!((code, &down["code"]), (3, &json!("unavailable")));
    assert!(down["detail"].as_str().unwrap().contains(server.data().to_str().unwrap()), "it names the folder: {down}");
}

#[test]
fn a_change_of_a_location_leaves_what_it_does_not_name() {
    let server = Server::start(&[]);
    let settings = || {
        let list = server.run(&["locations", "list", "--json"]).ok().json();
        let mut settings =
            list.as_array().unwrap().iter().find(|one| one["location_id"] == "store-12").unwrap().clone();
        settings.as_object_mut().unwrap().remove("updated_at");
        settings
    };
    let put = |words: &str| {
        server.run(&["locations", "put", "store-12"].into_iter().chain(words.split_whitespace()).collect::<Vec<_>>())
    };
    put("--name Main --time-zone Europe/Berlin --alert-email boss@example.com").ok();
    let whole = json!({"location_id": "store-12", "name": "Main", "time_zone": "Europe/Berlin", "alert_emails": ["boss@example.com"], "closed": false});
    assert_eq!(settings(), whole);
    put("--closed").ok();
    put("").ok();
    let closed = settings();
    assert_eq!((&closed["closed"], &closed["name"]), (&json!(true), &json!("Main")));
    put("--open").ok();
    assert_eq!(settings(), whole);
    server.run(&["locations", "put", "Store-12"]).refused(1, "differs from it only by its case");
}

#[test]
fn what_was_late_clamped_or_kept_is_told() {
    let server = Server::start(&[]);
    server.run(&["submit", "register_item", "--item", "tea", "--name", "Tea"]).ok();
    server.run(&["submit", "receive", "--item", "tea", "--quantity", "10"]).ok();
    let sale = ["submit", "sell", "--item", "tea", "--quantity", "1", "--occurred-at", "2099-01-01T00:00:00Z"];
    server.run(&sale).ok().refused(0, "was in the future; the time of its acceptance was taken");
    let counted_at =
        server.run(&["history", "tea", "--json"]).ok().json()[1]["occurred_at"].as_str().unwrap().to_owned();
    let count = ["submit", "count", "--item", "tea", "--counted", "10", "--occurred-at", &counted_at];
    server.run(&count).ok().refused(0, "10 counted; later movements were kept, so 9 are on hand");
    server.run(&["submit", "count", "--item", "tea", "--counted", "9"]).ok();
    let late = ["submit", "sell", "--item", "tea", "--quantity", "1", "--occurred-at", &counted_at];
    let late = server.run(&late).ok().refused(0, "late; it occurred before the last count, which had included it");
    assert!(late.stdout.contains("main: +0 → 9 on hand"), "{late:?}");
    let path = server.home().join("s.csv");
    std::fs::write(&path, format!("r,sku,n,at\n1,tea,1,{counted_at}\n2,tea,1,2099-01-01T00:00:00Z\n")).unwrap();
    let words = [
        "load",
        path.to_str().unwrap(),
        "--type",
        "sell",
        "--map",
        "item_id=sku,quantity=n,occurred_at=at",
        "--id",
        "r",
    ];
    let loaded = server.run(&words).ok();
    for part in ["1 of them late", "1 of them in the future"] {
        assert!(loaded.stdout.contains(part), "{loaded:?}");
    }
}

#[test]
fn an_installation_has_completions_and_man_pages() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    Ran::of(&["man", "--dir", pages.to_str().unwrap()]).ok();
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("stockline.1").starts_with(".ie") && page("stockline-load.1").contains("command_id"));
    assert!(page("stockline-locations-put.1").contains("time\\-zone"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Ran::of(&["completions", shell]).ok().stdout;
        assert!(script.contains("history") && script.contains("stockline"), "{shell}");
    }
    Ran::of(&["completions", "cmd"]).refused(2, "bash");
}

#[test]
fn a_backup_to_a_drive_that_is_not_there_says_so() {
    let server = Server::start(&[]);
    let missing = server.home().join("usb");
    let file = missing.join("stock.tar");
    server.run(&["backup", file.to_str().unwrap()]).refused(1, "is the drive plugged in and mounted?");
    std::fs::create_dir(&missing).unwrap();
    server.run(&["backup", missing.to_str().unwrap()]).refused(1, "is a folder");
}
