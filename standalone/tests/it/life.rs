use std::io::{Read as _, Write as _};

use crate::server::{Ran, Server};

/// Sends a plain HTTP/1.0 request.
fn get(address: &str, path: &str) -> String {
    let host = address.trim_start_matches("http://").split('/').next().unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn it_starts_on_an_empty_folder_prints_its_addresses_and_stops_in_order() {
    let mut server = Server::start(&[]);
    assert!(get(&server.said("API"), "/healthz").contains("200"));
    assert!(get(&server.said("API"), "/readyz").contains("200"));
    assert!(get(&server.said("docs"), "/docs").contains("200"));
    assert!(get(&server.said("metrics"), "/metrics").contains("stockline_"));
    assert!(server.said("alerts").contains("nobody gets mail!"));
    assert!(server.welcome.contains("submit register_item"), "{}", server.welcome);
    assert!(server.terminate().success());
    server.start_again();
    assert!(
        !server.welcome.contains("submit register_item"),
        "the second start does not repeat the first steps: {}",
        server.welcome
    );
}

#[test]
fn a_second_process_on_the_folder_is_refused_and_names_the_first() {
    let server = Server::start(&[]);
    let second = server.run(&["serve", "--listen", "127.0.0.1:0"]);
    second.refused(3, "another stockline (process").refused(3, "--data");
    assert!(get(&server.said("API"), "/readyz").contains("200"), "the first one goes on");
}

#[test]
fn a_port_in_use_is_reported_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let ran = Ran::of(&["serve", "--data", data.to_str().unwrap(), "--listen", &address]);
    ran.refused(3, "another program listens there");
}

#[test]
fn unsafe_or_mistyped_options_are_refused_before_anything_is_created() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let data = data.to_str().unwrap();
    Ran::of(&["--data", data, "--listen", "0.0.0.0:0"]).refused(2, "--insecure-http");
    Ran::of(&["--data", data, "--staff-may", "adjust:lost"]).refused(2, "adjust:damaged");
    Ran::of(&["--data", data, "--alert-email", "nobody"]).refused(2, "not a mail address");
    Ran::of(&["--data", data, "--tls-cert", "a.pem"]).refused(2, "--tls-key");
    Ran::of(&["--data", data, "--max-age-days", "0"]).refused(2, "--max-age-days");
    Ran::of(&["--data", data, "--listen", ":8085"]).refused(2, "0.0.0.0:8080 for the network");
    Ran::of(&["--data", data, "--cors-origin", "*"]).refused(2, "must be an origin");
    Ran::of(&["--data", data, "--base-path", "/v1"]).refused(2, "must be a path such as /stock");
    Ran::of(&["--data", data, "--smtp-url", "smtps://mail.example.com", "--smtp-ca-cert", "gone.pem"])
        .refused(2, "--smtp-ca-cert gone.pem");
    let output = crate::server::stockline(&["--data", data]).env("STOCKLINE_LISTNE", "x").output().unwrap();
    Ran::from(output).refused(2, "STOCKLINE_LISTNE is not a variable");
    assert!(!home.path().join("data").exists());
}

#[test]
fn a_folder_of_a_newer_version_is_refused_naming_both_and_left_as_it_is() {
    let mut server = Server::start(&[]);
    assert!(server.terminate().success());
    for name in ["stock.db", "queue.db"] {
        let path = server.data().join(name);
        let database = rusqlite::Connection::open(&path).unwrap();
        let version: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        database.pragma_update(None, "user_version", 99).unwrap();
        server.run(&["serve", "--listen", "127.0.0.1:0"]).refused(1, "99").refused(1, "newer");
        let left: i64 = database.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 99);
        database.pragma_update(None, "user_version", version).unwrap();
    }
    server.start_again();
}
