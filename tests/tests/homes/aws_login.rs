//! Tests `stockline login` on the AWS home: the user pool of the deployed stack, its sign-in page, and the command line
//! against the deployed ingress.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use stockline_deploy_checks::ministack::aws_tests;
use stockline_tests::aws::Installation;
use stockline_tests::cognito::PASSWORD;
use stockline_tests::process::stockline_binary;

/// The command line of a person with this folder of logins and no data folder.
#[derive(Clone)]
struct Person {
    url: String,
    logins: PathBuf,
}

impl Person {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(stockline_binary());
        command.args(words).args(["--url", &self.url, "--logins"]).arg(&self.logins).env_clear();
        command.env("STOCKLINE_DATA", self.logins.join("no-data"));
        command
    }

    /// Runs a subcommand that must succeed, and returns its output.
    fn run(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", all(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn all(output: &Output) -> String {
    format!("{}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Logs in through the page whose address the login prints, and returns the login's output.
async fn log_in(person: &Person, username: &str) -> String {
    let mut child = person.command(&["login", "--no-browser"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    while !printed.contains("Waiting for the answer") {
        assert!(out.read_line(&mut printed).unwrap() > 0, "it ended: {printed} {:?}", child.wait());
    }
    let address = printed.lines().find(|line| line.starts_with("  http")).unwrap().trim().to_owned();
    let browser = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
    let page = browser.get(&address).send().await.unwrap().text().await.unwrap();
    let wrong = sign_in(&browser, &address, &page, username, "Wrong-Horse-7").await;
    assert!(!wrong.status().is_redirection(), "a wrong password goes nowhere");
    let right = sign_in(&browser, &address, &page, username, PASSWORD).await;
    let back = right.headers().get("location").unwrap_or_else(|| panic!("{right:?}")).to_str().unwrap();
    assert!(browser.get(back).send().await.unwrap().status().is_success());
    out.read_to_string(&mut printed).unwrap();
    assert!(child.wait().unwrap().success(), "{printed}");
    printed
}

pub(crate) async fn sign_in(browser: &Client, address: &str, page: &str, username: &str, password: &str) -> Response {
    let action = Url::parse(address).unwrap().join("/login").unwrap();
    let mut form = action.clone();
    for field in page.split(r#"<input type="hidden" name=""#).skip(1) {
        let (name, rest) = field.split_once(r#"" value=""#).unwrap();
        form.query_pairs_mut().append_pair(name, rest.split('"').next().unwrap());
    }
    form.query_pairs_mut().append_pair("username", username).append_pair("password", password);
    let request = browser.post(action).header("content-type", "application/x-www-form-urlencoded");
    request.body(form.query().unwrap().to_owned()).send().await.unwrap()
}

fn kept(logins: &Path) -> String {
    let file = std::fs::read_dir(logins).unwrap().next().unwrap().unwrap();
    std::fs::read_to_string(file.path()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_logs_in_by_the_sign_in_page_and_works_from_the_command_line() {
    if !aws_tests() {
        return;
    }
    let home = Installation::deploy().await;
    let (ingress, worker) = tokio::join!(home.ingress(), home.worker());
    let person = |name: &str| Person { url: home.api.clone(), logins: home.server.folder().join(name) };
    let (manager, staff) = (person("manager"), person("staff"));

    let printed = log_in(&manager, "manager@example.com").await;
    assert!(printed.contains("Logged in to"), "{printed}");
    let login: serde_json::Value = serde_json::from_str(&kept(&manager.logins)).unwrap();
    for secret in ["access_token", "refresh_token"] {
        assert!(!printed.contains(login[secret].as_str().unwrap()), "{secret} is printed");
    }
    manager.run(&["submit", "register_item", "--item", "cola", "--name", "Cola"]);
    manager.run(&["locations", "put", "store-12", "--name", "Main Street"]);
    manager.run(&["submit", "receive", "--item", "cola", "--quantity", "10", "--location", "store-12"]);
    let stock = manager.run(&["stock", "cola", "--json"]);
    let levels: serde_json::Value = serde_json::from_str(&stock).unwrap();
    assert_eq!((&levels[0]["location_id"], &levels[0]["on_hand"]), (&"store-12".into(), &"10".into()), "{stock}");

    log_in(&staff, "staff@example.com").await;
    staff.run(&["submit", "sell", "--item", "cola", "--quantity", "1", "--location", "store-12"]);
    let adjust =
        ["submit", "adjust", "--item", "cola", "--quantity=-1", "--reason", "damaged", "--location", "store-12"];
    let refused = staff.command(&adjust).output().unwrap();
    assert!(refused.status.code() == Some(1) && all(&refused).contains("forbidden_command"), "{}", all(&refused));

    assert!(manager.run(&["logout"]).contains("Logged out"));
    assert!(!manager.command(&["stock"]).output().unwrap().status.success(), "who logged out has no token");
    staff.run(&["stock"]);
    ingress.stop().await;
    worker.stop().await;
}
