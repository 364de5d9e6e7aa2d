use crate::server::{Ran, Server};

/// Runs a subcommand with a token.
fn as_holder(server: &Server, token: &str, words: &[&str]) -> Ran {
    let url = server.said("API").trim_end_matches("/v1").to_owned();
    let arguments: Vec<&str> = words.iter().copied().chain(["--url", &url, "--token", token]).collect();
    Ran::of(&arguments)
}

fn token(server: &Server, words: &[&str]) -> String {
    let arguments: Vec<&str> = std::iter::once("token").chain(words.iter().copied()).collect();
    let printed = server.run(&arguments).ok().stdout;
    assert_eq!(printed.lines().count(), 1, "only the token: {printed}");
    printed.trim().to_owned()
}

#[test]
fn everyone_acts_within_their_role_and_entries_name_them() {
    let server = Server::start(&["--staff-may", "adjust:damaged"]);
    let manager = token(&server, &["--role", "manager"]);
    let staff = token(&server, &["--role", "staff", "--subject", "anna-7"]);
    let till = token(&server, &["--till", "till-3", "--ttl", "400d"]);
    let register = ["submit", "register_item", "--item", "cola", "--name", "Cola"];
    as_holder(&server, &staff, &register).refused(1, "forbidden_command");
    as_holder(&server, &manager, &register).ok();
    as_holder(&server, &staff, &["submit", "receive", "--item", "cola", "--quantity", "5"]).ok();
    let sold = as_holder(&server, &till, &["submit", "sell", "--item", "cola", "--quantity", "1", "--json"]).ok();
    assert_eq!(sold.json()["submitted_by"], "till-3");
    as_holder(&server, &till, &["stock", "cola"]).refused(1, "forbidden");
    let adjust = |reason| ["submit", "adjust", "--item", "cola", "--quantity=-1", "--reason", reason];
    as_holder(&server, &staff, &adjust("damaged")).ok();
    as_holder(&server, &staff, &adjust("theft")).refused(1, "forbidden_command");
    let history = server.run(&["history", "cola"]).ok().stdout;
    assert!(history.contains("anna-7") && history.contains("till-3"), "{history}");
}

#[test]
fn a_revoked_token_ends_and_rotated_keys_keep_the_others() {
    let server = Server::start(&[]);
    let (kept, lost) = (token(&server, &["--role", "manager"]), token(&server, &["--till", "till-9"]));
    server.run(&["keys", "rotate"]).ok();
    let fresh = token(&server, &["--role", "staff"]);
    server.run(&["token", "revoke", "--subject", "till-9"]).ok();
    let list = server.run(&["token", "list"]).ok().stdout;
    assert!(list.contains("revoked") && list.contains("valid"), "{list}");
    let sell = ["submit", "sell", "--item", "nothing", "--quantity", "1"];
    as_holder(&server, &lost, &sell).refused(1, "token_revoked");
    as_holder(&server, &kept, &["stock"]).ok();
    as_holder(&server, &fresh, &["stock"]).ok();
}

#[test]
fn a_location_bound_token_acts_only_there() {
    let server = Server::start(&[]);
    server.run(&["locations", "put", "a", "b"]).ok();
    server.run(&["submit", "register_item", "--item", "cola", "--name", "Cola"]).ok();
    let till = token(&server, &["--till", "till-a", "--location", "a"]);
    let receive = |location| ["submit", "receive", "--item", "cola", "--quantity", "1", "--location", location];
    as_holder(&server, &till, &receive("a")).ok();
    as_holder(&server, &till, &receive("b")).refused(1, "forbidden");
}
