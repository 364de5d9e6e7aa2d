//! A real proxy, Debian's nginx, before the server: what it does to ids in paths.

use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use serde_json::{Value, json};
use stockline_core::domain::path_segment;
use stockline_core::testing::{AWKWARD_ITEMS, AWKWARD_PLACES};
use stockline_tests::process::{PATIENCE, Server, audit, free_address, with_id};
use tempfile::TempDir;

/// A proxy before a server. It ends when dropped.
struct Nginx {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nginx {
    /// Starts a proxy with these locations, in which `UPSTREAM` is the server's address.
    async fn before(server: &Server, locations: &str) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, configuration(folder.path(), &address, &locations.replace("UPSTREAM", &server.url)))
            .unwrap();
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&config).arg("-p").arg(folder.path()).args(["-e", "stderr"]);
        let child = command.spawn();
        let child =
            child.unwrap_or_else(|error| panic!("nginx can't be started (Debian: apt install nginx-light): {error}"));
        let proxy = Self { child, url: format!("http://{address}"), _folder: folder };
        let began = Instant::now();
        while tokio::net::TcpStream::connect(&address).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "nginx does not listen");
            tokio::task::yield_now().await;
        }
        proxy
    }

    async fn ask(&self, server: &Server, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", self.url));
        let request = request.bearer_auth(&server.manager).header("prefer", "wait=10");
        let request = body.into_iter().fold(request, |request, body| request.json(body));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }
}

/// Returns a configuration that needs no rights and no folder but this one.
fn configuration(folder: &Path, address: &str, locations: &str) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {}/{name};\n", folder.display()));
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {0}/pid;\nevents {{ worker_connections 64; }}\nhttp {{\n    \
         access_log off;\n{1}    server {{\n        listen {address};\n        {locations}\n    }}\n}}\n",
        folder.display(),
        temporary.concat(),
    )
}

/// Registers, receives and reads each awkward id through the proxy, whose mount is a path such as `/stock`.
async fn carries_every_id(server: &Server, proxy: &Nginx, mount: &str) {
    for location in AWKWARD_PLACES {
        let path = format!("{mount}/v1/locations/{}", path_segment(location));
        let (status, _) = proxy.ask(server, "PUT", &path, Some(&json!({"name": "a shop"}))).await;
        assert!([200, 201].contains(&status), "{location}: {status}");
    }
    for (n, item) in AWKWARD_ITEMS.into_iter().enumerate() {
        let location = AWKWARD_PLACES[n % AWKWARD_PLACES.len()];
        for command in [
            json!({"type": "register_item", "item_id": item, "name": item}),
            json!({"type": "receive", "item_id": item, "location_id": location, "quantity": "7"}),
        ] {
            let (status, outcome) =
                proxy.ask(server, "POST", &format!("{mount}/v1/commands"), Some(&with_id(command))).await;
            assert_eq!((status, &outcome["item_id"]), (200, &json!(item)), "{outcome}");
        }
        let at_item = format!("{mount}/v1/items/{}", path_segment(item));
        let (status, shown) = proxy.ask(server, "GET", &at_item, None).await;
        assert_eq!((status, &shown["item_id"]), (200, &json!(item)), "{shown}");
        let (_, movements) = proxy.ask(server, "GET", &format!("{at_item}/movements"), None).await;
        let command_id = movements["movements"][0]["command_id"].as_str().unwrap();
        let (_, status) = proxy.ask(server, "GET", &format!("{at_item}/commands/{command_id}"), None).await;
        assert_eq!((&status["item_id"], &status["command"]["location_id"]), (&json!(item), &json!(location)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_carries_every_id_when_it_leaves_paths_as_they_are() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]).await;
    let proxy = Nginx::before(&server, "location / { proxy_pass UPSTREAM; }").await;
    carries_every_id(&server, &proxy, "").await;
    audit(&server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_carries_every_id_under_a_path_that_the_server_knows() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &["--base-path", "/stock"]).await;
    let proxy = Nginx::before(&server, "location /stock/ { proxy_pass UPSTREAM; }").await;
    carries_every_id(&server, &proxy, "/stock").await;
    audit(&server.stop());
}

/// nginx decodes `%2F` where it rewrites a path. Then an id with a slash is not found, and never taken for another.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_with_a_slash_is_not_found_behind_an_nginx_that_rewrites_paths() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &["--base-path", "/stock"]).await;
    server.stock_up("AB/12 x", "3").await;
    server.stock_up("AB", "9").await;
    let proxy = Nginx::before(&server, "location /stock/ { proxy_pass UPSTREAM/; }").await;
    let (status, answer) = proxy.ask(&server, "GET", "/stock/v1/items/AB%2F12%20x", None).await;
    assert_eq!((status, &answer["code"]), (404, &json!("not_found")), "{answer}");
    let (status, answer) = proxy.ask(&server, "GET", "/stock/v1/items/AB", None).await;
    assert_eq!((status, &answer["on_hand"]), (200, &json!("9")));
}
