use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Stdio};
use std::sync::atomic::Ordering::SeqCst;

use reqwest::redirect::Policy;
use reqwest::{Response, Url};
use stockline_ingress::LoginConfig;

use crate::issuer::Installation;
use crate::server::{Ran, stockline};

/// A login that waits for the browser's answer.
struct Attempt {
    child: Child,
    out: BufReader<ChildStdout>,
    err: ChildStderr,
    printed: String,
    /// The address for the browser.
    address: Url,
}

impl Attempt {
    fn begin(installation: &Installation, options: &[&str]) -> Self {
        let logins = installation.logins();
        let mut child = stockline(&["login", "--url", &installation.url, "--no-browser", "--port", "0"])
            .args(["--logins", logins.to_str().unwrap()])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut out, err) = (BufReader::new(child.stdout.take().unwrap()), child.stderr.take().unwrap());
        let mut printed = String::new();
        while !printed.contains("Waiting for the answer") {
            assert!(out.read_line(&mut printed).unwrap() > 0, "it ended: {printed} {:?}", child.wait());
        }
        let line = printed.lines().find(|line| line.starts_with("  http")).unwrap();
        let address = Url::parse(line.trim()).unwrap();
        Self { child, out, err, printed, address }
    }

    /// Waits until the login ends.
    fn ended(mut self) -> Ran {
        let mut stderr = String::new();
        self.out.read_to_string(&mut self.printed).unwrap();
        self.err.read_to_string(&mut stderr).unwrap();
        Ran { code: self.child.wait().unwrap().code().unwrap(), stdout: self.printed, stderr }
    }

    /// Returns the address to which the issuer redirects the browser.
    fn answer(&self, installation: &Installation) -> Url {
        let response = fetch(installation, &self.address);
        let location = response.headers().get("location").unwrap_or_else(|| panic!("{response:?}"));
        Url::parse(location.to_str().unwrap()).unwrap()
    }
}

/// Fetches a page like a browser, without following redirects.
fn fetch(installation: &Installation, url: &Url) -> Response {
    installation.runtime.block_on(async {
        let browser = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        browser.get(url.clone()).send().await.unwrap()
    })
}

fn log_in(installation: &Installation) -> Ran {
    let attempt = Attempt::begin(installation, &[]);
    let answer = attempt.answer(installation);
    assert_eq!(fetch(installation, &answer).status(), 200);
    attempt.ended()
}

/// Runs a subcommand with the stored login.
fn run(installation: &Installation, words: &[&str]) -> Ran {
    let (logins, data) = (installation.logins(), installation.home().join("no-data"));
    let more = ["--url", &installation.url, "--logins", logins.to_str().unwrap()];
    let output = stockline(words).args(more).env("STOCKLINE_DATA", data).output();
    Ran::from(output.unwrap())
}

fn stored(installation: &Installation) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(installation.logins()) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_subcommand_uses_a_login_until_the_logout() {
    let installation = Installation::start();
    let login = log_in(&installation).ok();
    assert!(login.stdout.contains("Logged in to"), "{login:?}");
    let files = stored(&installation);
    let [file] = &files[..] else { panic!("{files:?}") };
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file), mode(&installation.logins())), (0o600, 0o700));

    let put = run(&installation, &["locations", "put", "store-12"]).ok();
    let listed = run(&installation, &["locations", "list"]).ok();
    assert!(listed.stdout.contains("store-12"), "{listed:?}");
    let sent = run(&installation, &["submit", "register_item", "--item", "cola", "--name", "Cola", "--timeout", "1s"]);
    let sent = sent.refused(3, "was accepted");
    for ran in [&login, &put, &listed, &sent] {
        assert!(installation.issuer.is_absent_from(&ran.stdout), "a token is printed");
        assert!(installation.issuer.is_absent_from(&ran.stderr), "a token is printed");
    }
    assert_eq!(installation.issuer.count("refresh_token"), 0, "a valid token is not renewed");

    run(&installation, &["stock", "--token", "another"]).refused(1, "token_malformed");
    let file = installation.home().join("token");
    std::fs::write(&file, "another\n").unwrap();
    run(&installation, &["stock", "--token-file", file.to_str().unwrap()]).refused(1, "token_malformed");

    assert!(run(&installation, &["logout"]).ok().stdout.contains("Logged out"));
    assert!(stored(&installation).is_empty());
    run(&installation, &["stock"]).refused(3, "holds no keys");
    assert!(run(&installation, &["logout"]).ok().stdout.contains("There was no login"));
}

#[test]
fn an_expiring_token_is_renewed_until_the_login_ends() {
    let installation = Installation::start();
    let issuer = &installation.issuer;
    issuer.lifetime_s.store(30, SeqCst);
    log_in(&installation).ok();
    issuer.lifetime_s.store(3_600, SeqCst);
    run(&installation, &["stock"]).ok();
    run(&installation, &["stock"]).ok();
    assert_eq!(issuer.count("refresh_token"), 1, "a renewed token is stored");

    issuer.lifetime_s.store(30, SeqCst);
    log_in(&installation).ok();
    issuer.is_down.store(true, SeqCst);
    run(&installation, &["stock"]).ok();
    issuer.is_down.store(false, SeqCst);
    issuer.revoke_all();
    run(&installation, &["stock"]).refused(1, "stockline login --url http://127.0.0.1").refused(1, "invalid_grant");
    log_in(&installation).ok();
    run(&installation, &["stock"]).ok();
}

#[test]
fn without_a_refresh_token_a_login_ends_with_its_token() {
    let installation = Installation::start();
    let issuer = &installation.issuer;
    issuer.gives_refresh_tokens.store(false, SeqCst);
    issuer.lifetime_s.store(30, SeqCst);
    assert!(log_in(&installation).ok().stdout.contains("valid until"));
    run(&installation, &["stock"]).ok();
    issuer.lifetime_s.store(0, SeqCst);
    log_in(&installation).ok();
    run(&installation, &["stock"]).refused(1, "(it has expired): log in again");
}

#[test]
fn an_answer_to_another_login_is_refused_and_the_right_one_still_counts() {
    let installation = Installation::start();
    let attempt = Attempt::begin(&installation, &[]);
    let right = attempt.answer(&installation);
    for wrong in ["code=stolen&state=guessed", "code=stolen", "error=access_denied&state=guessed", ""] {
        let mut url = right.clone();
        url.set_query(Some(wrong));
        assert_eq!(fetch(&installation, &url).status(), 400, "{wrong}");
    }
    assert_eq!(fetch(&installation, &right).status(), 200);
    let ended = attempt.ended().ok();
    assert!(ended.stderr.contains("not for this login (its state differs)"), "{ended:?}");
    assert_eq!(installation.issuer.count("authorization_code"), 1, "the stolen code went nowhere");
}

#[test]
fn a_code_that_someone_else_used_first_logs_nobody_in() {
    let installation = Installation::start();
    let attempt = Attempt::begin(&installation, &[]);
    let answer = attempt.answer(&installation);
    let field = |url: &Url, name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let mut form = Url::parse("http://form").unwrap();
    form.query_pairs_mut().extend_pairs([
        ("grant_type", "authorization_code"),
        ("client_id", &field(&attempt.address, "client_id")),
        ("code", &field(&answer, "code")),
        ("redirect_uri", &field(&attempt.address, "redirect_uri")),
        ("code_verifier", &field(&attempt.address, "code_challenge")),
    ]);
    let stolen = installation.runtime.block_on(async {
        let url = format!("{}/oauth2/token", installation.issuer_url);
        reqwest::Client::new().post(url).body(form.query().unwrap().to_owned()).send().await.unwrap()
    });
    assert_eq!(stolen.status(), 400, "the browser's parameters are not enough");
    fetch(&installation, &answer);
    attempt.ended().refused(1, "refuses: invalid_grant");
    assert!(stored(&installation).is_empty());
}

#[test]
fn a_denied_login_and_one_without_a_role_fail() {
    let installation = Installation::start();
    installation.issuer.denies.store(true, SeqCst);
    log_in(&installation).refused(1, "the login was refused: access_denied (not today)");
    installation.issuer.denies.store(false, SeqCst);
    installation.issuer.groups.lock().unwrap().clear();
    log_in(&installation).refused(1, "the login knows you, but").refused(1, "no_role");
    installation.issuer.is_down.store(true, SeqCst);
    log_in(&installation).refused(3, "503");
    assert!(stored(&installation).is_empty());
}

#[test]
fn a_login_without_an_answer_ends_in_time() {
    let installation = Installation::start();
    Attempt::begin(&installation, &["--timeout", "1s"]).ended().refused(3, "nobody logged in within 1 s");
}

#[test]
fn a_login_that_cant_work_says_what_to_do() {
    let installation = Installation::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    run(&installation, &["login", "--no-browser", "--port", &port]).refused(3, "--port");
    Ran::of(&["login", "--url", "http://stock.example.com"]).refused(2, "use https");
    Ran::of(&["login", "--url", "http://127.0.0.1:1", "--logins", "x"]).refused(3, "can't reach");
    Ran::of(&["login"]).refused(2, "--url");
    Ran::of(&["stock", "--url", "https://stock.example.com", "--logins", "x"])
        .refused(2, "stockline login --url https://stock.example.com");

    let without = Installation::with_login(|_| None);
    run(&without, &["login", "--no-browser"]).refused(2, "STOCKLINE_LOGIN_URL");
    let open = Installation::with_login(|url| {
        let good = LoginConfig::cognito(url, "c").unwrap();
        Some(LoginConfig { token_endpoint: "http://login.example.com/oauth2/token".into(), ..good })
    });
    run(&open, &["login", "--no-browser"]).refused(1, "is not https");
}
