//! Spreadsheets in and out, with the real program.

use std::process::Stdio;

use crate::server::{Ran, Server, stockline};

/// Starts a server with the location `shop-1`.
fn started() -> Server {
    let server = Server::start(&[]);
    server.run(&["locations", "put", "shop-1", "--name", "Main Street"]).ok();
    server
}

fn write(server: &Server, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = server.home().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_template_is_filled_in_checked_and_applied() {
    let server = started();
    let template = server.run(&["import", "items", "--template"]).ok().stdout;
    let file = write(&server, "items.csv", &template);
    let checked = server.run(&["import", "items", &file]).ok().stdout;
    assert!(checked.contains("2 lines: 2 new") && checked.contains("with --apply"), "{checked}");
    assert_eq!(server.run(&["items", "--json"]).ok().json(), serde_json::json!([]), "nothing was changed");
    let applied = server.run(&["import", "items", &file, "--apply"]).ok().stdout;
    assert!(applied.contains("4 of 4 steps: 4 applied"), "{applied}");
    assert_eq!(server.on_hand("coal", "main"), "80.25");
    let again = server.run(&["import", "items", &file, "--apply"]).ok().stdout;
    assert!(again.contains("2 left as they are"), "{again}");
}

#[test]
fn faults_are_shown_with_remedies_and_the_result_file_is_imported_after_correction() {
    let server = started();
    let windows = b"SKU;Bezeichnung;Bestand;Farbe\r\ntee;Gr\xfcner Tee;1.250;rot\r\nreis;Reis;8;wei\xdf\r\n";
    let file = write(&server, "artikel.csv", windows);
    let checked = server.run(&["import", "items", &file]).refused(1, "unknown_column");
    assert!(checked.stdout.contains("Windows-1252, semicolon between columns"), "{}", checked.stdout);
    assert!(checked.stdout.contains("line 2, column Bestand: \"1.250\" may be"), "{}", checked.stdout);
    let words = ["import", "items", &file, "--ignore-unknown", "--apply"];
    server.run(&words).refused(1, "ambiguous_number");
    assert_eq!(server.run(&["items", "--json"]).ok().json(), serde_json::json!([]), "a fault refuses all");
    let words = [&words[..], &["--skip-faulty"]].concat();
    server.run(&words).refused(1, "artikel.result");
    assert_eq!(server.on_hand("reis", "main"), "8");
    let results: Vec<_> = std::fs::read_dir(server.home()).unwrap().flatten().map(|entry| entry.path()).collect();
    let result = results.iter().filter(|path| path.to_string_lossy().contains(".result")).max().unwrap();
    let corrected = std::fs::read_to_string(result).unwrap().replace("1.250", "1250");
    std::fs::write(result, corrected).unwrap();
    server.run(&["import", "items", result.to_str().unwrap(), "--ignore-unknown", "--apply"]).ok();
    assert_eq!(server.on_hand("tee", "main"), "1250");
    let name = server.run(&["items", "--json"]).ok().json();
    assert!(name.to_string().contains("Grüner Tee"), "{name}");
}

/// Imports items with stock at two locations, and returns the file of counts: each item is counted 3 more than it has.
fn many(server: &Server, items: usize) -> String {
    let (mut text, mut counts) =
        (String::from("item_id,name,on_hand:main,on_hand:shop-1\n"), String::from("sku,qty,location\n"));
    for n in 0..items {
        text.push_str(&format!("i{n},Item {n},{},{}\n", n % 7 + 1, n % 5));
        counts.push_str(&format!("i{n},{},shop-1\ni{n},{},main\n", n % 5 + 3, n % 7 + 4));
    }
    let file = write(server, "many.csv", text);
    server.run(&["import", "items", &file, "--apply"]).ok();
    write(server, "counts.csv", counts)
}

#[test]
fn a_server_killed_in_the_middle_of_an_import_ends_at_the_same_stock() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut server = Server::start(&["--listen", &free]);
    server.run(&["locations", "put", "shop-1"]).ok();
    let counts = many(&server, 1_500);
    let data = server.data();
    let importing = stockline(&["import", "counts", &counts, "--apply", "--json", "--data", data.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while server.on_hand("i1", "shop-1") == "1" {}
    server.kill();
    server.start_again();
    let import = Ran::from(importing.wait_with_output().unwrap()).ok().json();
    assert_eq!((&import["status"], &import["progress"]["refused"]), (&"applied".into(), &0.into()), "{import}");
    for n in [0, 1, 749, 1_498, 1_499_usize] {
        assert_eq!(server.on_hand(&format!("i{n}"), "shop-1"), (n % 5 + 3).to_string());
        assert_eq!(server.on_hand(&format!("i{n}"), "main"), (n % 7 + 4).to_string());
    }
    // The same file is the same counts.
    let again = server.run(&["import", "counts", &counts, "--apply", "--json"]).ok().json();
    assert_eq!((&again["totals"]["leave"], &again["totals"]["steps"]), (&3_000.into(), &0.into()), "{again}");
    server.run(&["audit"]).ok();
}

#[test]
fn one_file_imported_twice_at_once_takes_effect_once() {
    let server = started();
    let counts = many(&server, 300);
    let data = server.data();
    let words = ["import", "counts", &counts, "--apply", "--json", "--data", data.to_str().unwrap()];
    let both: Vec<_> =
        (0..2).map(|_| stockline(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).collect();
    for importing in both {
        let import = Ran::from(importing.wait_with_output().unwrap()).ok().json();
        assert_eq!(import["progress"]["refused"], 0, "{import}");
    }
    let history = server.run(&["history", "i7", "--json"]).ok().json();
    let counted = history.as_array().unwrap().iter().filter(|movement| movement["type"] == "count").count();
    assert_eq!(counted, 2, "one at each location: {history}");
}

#[test]
fn counts_imported_while_tills_sell_end_at_what_the_ledger_explains() {
    let server = started();
    let counts = many(&server, 400);
    let data = server.data();
    let words = ["import", "counts", &counts, "--apply", "--json", "--data", data.to_str().unwrap()];
    let mut importing = stockline(&words);
    // A thread of its own reads what it prints, which is more than a pipe holds.
    let importing = std::thread::spawn(move || importing.output().unwrap());
    let mut sold = 0;
    while sold < 5 || !importing.is_finished() {
        server.run(&["submit", "sell", "--item", "i399", "--location", "shop-1", "--quantity", "1"]).ok();
        sold += 1;
    }
    let import = Ran::from(importing.join().unwrap()).ok().json();
    assert_eq!((&import["status"], &import["progress"]["refused"]), (&"applied".into(), &0.into()), "{import}");
    let history = server.run(&["history", "i399", "--location", "shop-1", "--json"]).ok().json();
    let of = |kind: &str| history.as_array().unwrap().iter().filter(|movement| movement["type"] == kind).count();
    assert_eq!((of("sell"), of("count")), (sold, 1), "{history}");
    let since = history.as_array().unwrap().iter().take_while(|movement| movement["type"] != "count").count();
    let counted = 399 % 5 + 3;
    assert_eq!(server.on_hand("i399", "shop-1"), (counted - i64::try_from(since).unwrap()).to_string());
    server.run(&["audit"]).ok();
}

#[test]
fn exports_that_are_cancelled_half_way_leave_room_for_the_next_one() {
    use std::io::{Read as _, Write as _};
    let server = started();
    many(&server, 1_200);
    let address = server.said("API").trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let token = server.run(&["token", "--role", "manager"]).ok().stdout.trim().to_owned();
    for _ in 0..8 {
        let mut connection = std::net::TcpStream::connect(&address).unwrap();
        let head = format!(
            "GET /v1/movements HTTP/1.1\r\nhost: x\r\naccept: text/csv\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).unwrap();
        assert!(connection.read(&mut [0; 256]).unwrap() > 0);
        drop(connection);
        // The place is free again once the server has found that nobody reads.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while server.run(&["export", "movements"]).code != 0 {
            assert!(std::time::Instant::now() < deadline, "cancelled exports keep their places");
        }
    }
    assert_eq!(server.run(&["export", "movements"]).ok().stdout.lines().count(), 2_161);
}

#[test]
fn an_export_that_is_cut_off_says_so_and_leaves_no_file() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let half = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let _ = connection.read(&mut [0; 4_096]).unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\ntransfer-encoding: chunked\r\n\r\n";
        connection.write_all(format!("{head}8\r\nitem_id\n\r\n").as_bytes()).unwrap();
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stock.csv");
    let words = ["export", "stock", "--output", file.to_str().unwrap(), "--url", &url, "--token", "t"];
    Ran::of(&words).refused(3, "was cut off");
    half.join().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "not even a part");
}

#[test]
fn an_export_is_a_file_that_another_shop_imports() {
    let (server, other) = (started(), started());
    many(&server, 200);
    for kind in ["items", "stock"] {
        let path = server.home().join(format!("{kind}.csv"));
        let file = path.to_str().unwrap();
        server.run(&["export", kind, "--output", file]).ok();
        assert_eq!(server.run(&["export", kind]).ok().stdout, std::fs::read_to_string(&path).unwrap());
        other.run(&["import", kind, file, "--apply"]).ok();
    }
    let stock = |server: &Server| -> Vec<String> {
        let text = server.run(&["export", "stock", "--filter", "location_id=shop-1"]).ok().stdout;
        text.lines().map(|line| line.split(',').take(6).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(stock(&server), stock(&other));
    let movements = server.run(&["export", "movements", "--form", "ndjson"]).ok().stdout;
    assert_eq!(movements.lines().count(), 200 + 160, "an item of which there is none has not moved");
    let missing = server.home().join("none.csv");
    server
        .run(&["export", "stock", "--filter", "location_id=nowhere", "--output", missing.to_str().unwrap()])
        .refused(1, "no location");
    server.run(&["export", "stock", "--filter", "colour"]).refused(2, "NAME=VALUE");
    assert!(!missing.exists());
}
